"""Thresholds from a budget: quiet windows, how rare a value is, and whether the budget is kept."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from utils.monitors.thresholds import (
    Blocks,
    Dependence,
    QuietWindows,
    Shape,
    calibration,
    dependence,
    rarity_threshold,
    tails,
)

ALONE = Dependence(ratio=1.0, of_cells=np.ones(3), chance=1.0, carried=0.0)
TOGETHER = Dependence(ratio=3.0, of_cells=np.full(3, 3.0), chance=0.01, carried=0.0)
WEEK = Shape(first=0, last=6, slices=4, labelled=4)


def blocks_of(cells, *, n_phases=7, per_window=7):
    cells = np.asarray(cells, dtype=float)
    return Blocks(
        cells=cells,
        rows=cells.sum(axis=2),
        phase=np.arange(len(cells)) % n_phases,
        n_phases=n_phases,
        per_window=per_window,
    )


def counts(rng, *, weeks=40, mean=None, n_slices=4):
    """Return Poisson counts in three cells (days × slices × cells)."""
    mean = np.full((7 * weeks, 3), 40.0) if mean is None else mean
    return rng.poisson(mean[:, None, :] / n_slices, size=(7 * weeks, n_slices, 3))


def quiet_of(cells, how=ALONE, *, is_labelled=(False, False, False)):
    return QuietWindows(blocks=blocks_of(cells), is_labelled=np.array(is_labelled), dependence=how)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# ------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("n_days", [7, 13])
def test_a_reference_of_less_than_two_windows_is_refused(n_days):
    with pytest.raises(ValueError, match="two of each, and two windows, are needed"):
        blocks_of(np.ones((n_days, 1, 1)))


def test_days_that_know_nothing_of_one_another_are_not_dependent(rng):
    seen = [dependence(blocks_of(counts(rng)), rng=rng) for _ in range(40)]
    assert np.mean([each.ratio for each in seen]) == pytest.approx(1.0, abs=0.1)
    assert sum(each.is_dependent for each in seen) <= 10


def test_a_rhythm_of_the_week_is_no_dependence(rng):
    rhythm = np.array([1, 1, 1, 1, 1.5, 3, 4])[np.arange(280) % 7]
    mean = 40.0 * np.column_stack([rhythm, np.ones(280), 1 / rhythm])
    seen = [dependence(blocks_of(counts(rng, mean=mean)), rng=rng) for _ in range(20)]
    assert np.mean([each.ratio for each in seen]) == pytest.approx(1.0, abs=0.15)


def test_a_spell_of_some_days_is_dependence_and_one_of_weeks_is_carried(rng):
    def spells(length):
        spell = np.repeat(rng.normal(size=280 // length), length)
        return 40.0 * np.exp(0.5 * np.column_stack([spell, -spell, 0 * spell]))

    short = dependence(blocks_of(counts(rng, mean=spells(7))), rng=rng)
    long = dependence(blocks_of(counts(rng, mean=spells(28))), rng=rng)
    assert short.is_dependent and short.ratio > 2
    assert long.is_dependent and long.carried > 0.5 > short.carried + 0.2


def test_three_windows_are_taken_to_be_dependent(rng):
    assert dependence(blocks_of(counts(rng, weeks=3)), rng=rng).is_dependent


def test_cells_that_never_vary_are_not_dependent(rng):
    assert not dependence(blocks_of(np.ones((70, 1, 2))), rng=rng).is_dependent


# ------------------------------------------------------------------------------- quiet windows


@pytest.mark.parametrize("how", [ALONE, TOGETHER])
def test_quiet_windows_are_as_the_windows_of_the_reference_and_stray_as_far(rng, how):
    cells = counts(rng, weeks=200)
    drawn = quiet_of(cells, how).windows(WEEK, draws=20_000, rng=rng).sums[:, 0]
    real = cells.sum(axis=1).reshape(200, 7, 3).sum(axis=1)
    assert drawn.mean(axis=0) == pytest.approx(real.mean(axis=0), rel=0.01)
    assert drawn.var(axis=0) == pytest.approx(np.full(3, 280.0), rel=0.25)


def test_whole_stretches_keep_a_spell_that_exchanged_days_would_lose(rng):
    spell = 40.0 * np.exp(0.4 * np.repeat(rng.normal(size=100), 7))
    cells = counts(rng, weeks=100, mean=np.column_stack([spell] * 3))
    together, alone = (
        quiet_of(cells, how).windows(WEEK, draws=4000, rng=rng).sums[:, 0].var(axis=0).mean()
        for how in (TOGETHER, ALONE)
    )
    assert together > 2.5 * alone


def test_of_few_dependent_windows_single_days_stray_at_least_as_far_as_windows_did(rng):
    spell = np.exp(0.4 * np.repeat(rng.normal(size=12), 7))
    cells = counts(rng, weeks=12, mean=40.0 * np.column_stack([spell, 1 / spell, spell]))
    found = dependence(blocks_of(cells), rng=rng)
    quiet = quiet_of(cells, found)
    assert found.is_dependent and not quiet.takes_stretches
    drawn = quiet.windows(WEEK, draws=6000, rng=rng).sums[:, 0].var(axis=0).mean()
    real = cells.sum(axis=1).reshape(12, 7, 3).sum(axis=1).var(axis=0, ddof=1).mean()
    assert 0.8 * real < drawn < 3 * real


@pytest.mark.parametrize("how", [ALONE, TOGETHER])
def test_a_draw_is_of_one_fold_its_reference_of_the_others_and_parted_draws_share_no_block(
    rng, how
):
    quiet = quiet_of(counts(rng), how)
    drawn = quiet.windows(WEEK, draws=1000, rng=rng)
    for held_out, others in drawn.parted():
        assert len(set(drawn.fold[held_out])) == 1
        low, high = drawn.first[held_out].min(), drawn.last[held_out].max()
        assert ((drawn.last[others] < low) | (drawn.first[others] > high)).all()
    cells = quiet.blocks.cells * (quiet.fold == 0)[:, None, None]
    only_first = QuietWindows(
        blocks=blocks_of(cells), is_labelled=np.zeros(3, bool), dependence=ALONE
    )
    assert only_first.rest(np.array([0, 0])).max() == 0
    assert only_first.rest(np.array([1, 2])).min() > 0


def test_what_a_fold_is_compared_with_is_as_large_as_the_whole_reference_phase_by_phase():
    cells = np.tile(np.arange(1.0, 8.0), 10)[:, None, None] * np.ones((70, 4, 3))
    quiet = quiet_of(cells)
    every = np.arange(quiet.fold[-1] + 1)
    assert quiet.rest(every) == pytest.approx(np.tile(cells.sum(axis=(0, 1)), (len(every), 1)))


def test_a_quiet_window_strays_from_the_rest_as_a_week_to_come_does_from_the_reference(rng):
    """The variance of a week, 280, and that of the mean of four, 70; of three it is 93."""
    variances = []
    for _ in range(200):
        quiet = quiet_of(counts(rng, weeks=4))
        drawn = quiet.windows(WEEK, draws=500, rng=rng)
        variances.append(((drawn.sums[:, 0] - quiet.rest(drawn.fold) / 4) ** 2).mean())
    assert np.mean(variances) == pytest.approx(350.0, rel=0.1)


@pytest.mark.parametrize("weeks", [8, 12])
def test_few_dependent_weeks_stray_from_the_rest_about_as_far_as_one_to_come(rng, weeks):
    """Days that share a spell of a week: four times the variance, kept and not squared."""
    strayed, to_come = [], []
    for _ in range(60):
        spell = 8.0 * np.repeat(rng.normal(size=(weeks + 1, 1, 3)), 7, axis=0)
        cells = 200.0 + spell + rng.normal(size=(7 * weeks + 7, 1, 3)) * 8.0
        reference, week = cells[:-7], cells[-7:].sum(axis=(0, 1))
        how = Dependence(ratio=4.0, of_cells=np.full(3, 4.0), chance=0.01, carried=0.0)
        quiet = quiet_of(reference, how)
        assert not quiet.takes_stretches
        drawn = quiet.windows(WEEK, draws=500, rng=rng)
        strayed.append(((drawn.sums[:, 0] - quiet.rest(drawn.fold) / weeks) ** 2).mean())
        to_come.append(((week - reference.sum(axis=(0, 1)) / weeks) ** 2).mean())
    assert 0.7 < np.mean(strayed) / np.mean(to_come) < 1.5


@pytest.mark.parametrize("how", [ALONE, TOGETHER])
def test_the_reference_drawn_anew_is_as_large_and_strays_as_a_sum_of_its_blocks(rng, how):
    cells = counts(rng, weeks=50)
    drawn = quiet_of(cells, how).redrawn(3000, rng=rng)
    assert drawn.mean(axis=0) == pytest.approx(cells.sum(axis=(0, 1)), rel=0.01)
    assert drawn.var(axis=0) == pytest.approx(np.full(3, 50 * 280.0), rel=0.5)


def test_a_window_of_fewer_rows_takes_some_slices_and_of_fewer_labels_those_of_their_cells(rng):
    cells = counts(rng, n_slices=4)
    quiet = quiet_of(cells, is_labelled=[False, False, True])
    half = quiet.windows(Shape(first=0, last=6, slices=2, labelled=1), draws=2000, rng=rng).sums[
        :, 0
    ]
    assert half.mean(axis=0) == pytest.approx([140, 140, 70], rel=0.05)
    assert half[:, 0].var() == pytest.approx(140, rel=0.3)


def test_a_part_of_a_window_has_the_blocks_of_that_part(rng):
    mean = np.zeros((280, 3))
    mean[np.arange(280) % 7 >= 5] = 40.0
    quiet = quiet_of(counts(rng, mean=mean))
    weekdays = quiet.windows(Shape(first=0, last=4, slices=4, labelled=4), draws=50, rng=rng).sums
    weekend = quiet.windows(Shape(first=5, last=6, slices=4, labelled=4), draws=50, rng=rng).sums
    assert weekdays.max() == 0
    assert weekend.mean() == pytest.approx(80, rel=0.1)


@pytest.mark.parametrize("how", [ALONE, TOGETHER])
def test_windows_in_a_row_are_drawn_together(rng, how):
    spell = 40.0 * np.exp(0.5 * np.repeat(rng.normal(size=20), 14))
    cells = counts(rng, mean=np.column_stack([spell] * 3))
    drawn = quiet_of(cells, how).windows(WEEK, draws=2000, in_a_row=2, rng=rng).sums
    assert drawn.shape == (2000, 2, 3)
    together = np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]
    assert together > (0.3 if how is TOGETHER else -0.1)


def test_counts_are_never_negative_but_sums_of_errors_may_be(rng):
    cells = counts(rng, mean=np.full((280, 3), 0.3)).astype(float)
    cells[:, :, 2] = rng.normal(size=cells.shape[:2])
    drawn = quiet_of(cells).windows(WEEK, draws=2000, rng=rng).sums
    assert drawn[..., :2].min() >= 0 > drawn[..., 2].min()


def test_windows_longer_than_the_rhythm_begin_at_any_phase(rng):
    mean = np.where(np.arange(300)[:, None] % 7 >= 5, 0.0, 40.0) * np.ones((300, 3))
    cells = rng.poisson(mean[:, None, :], size=(300, 1, 3))
    quiet = QuietWindows(
        blocks=blocks_of(cells, per_window=30), is_labelled=np.zeros(3, bool), dependence=ALONE
    )
    drawn = quiet.windows(Shape(first=0, last=29, slices=1, labelled=1), draws=2000, rng=rng).sums
    workdays = [sum((start + day) % 7 < 5 for day in range(30)) for start in range(7)]
    assert drawn.mean() == pytest.approx(40 * np.mean(workdays), rel=0.02)


# ------------------------------------------------------------------------------- how rare it is


def test_rarity_is_the_log_of_the_share_that_is_as_bad(rng):
    quiet = rng.normal(size=(5000, 1))
    found = tails(quiet, high_is_bad=np.array([True]), low_is_bad=np.array([False]))
    assert found.rarity(np.quantile(quiet, [0.5, 0.9])[:, None])[:, 0] == pytest.approx(
        -np.log([0.5, 0.1]), abs=0.01
    )
    assert found.rarity(np.array([-50.0])) == pytest.approx(0)


def test_beyond_the_draws_rarity_grows_as_an_exponential_tail(rng):
    quiet = rng.exponential(size=(20_000, 1))
    found = tails(quiet, high_is_bad=np.array([True]), low_is_bad=np.array([False]))
    assert found.rarity(np.array([15.0])) == pytest.approx(15, rel=0.1)


def test_a_line_is_as_rare_as_its_worse_side_and_a_good_side_is_never_bad(rng):
    quiet = rng.normal(size=(4000, 3))
    high, low = np.array([True, False, True]), np.array([False, True, True])
    found = tails(quiet, high_is_bad=high, low_is_bad=low)

    def rarity(value):
        return found.by_line(found.rarity(np.full(3, value)), 3)

    assert (rarity(5.0) > 8).tolist() == [True, False, True]
    assert (rarity(-5.0) > 8).tolist() == [False, True, True]
    least, most = found.bounds(5.0, 3)
    assert np.isnan(least).tolist() == [True, False, False]
    assert np.isnan(most).tolist() == [False, True, False]


def test_what_is_not_known_is_not_rare_and_what_never_was_known_has_no_threshold(rng):
    quiet = np.column_stack([rng.normal(size=1000), np.full(1000, np.nan)])
    every = np.array([True, True])
    found = tails(quiet, high_is_bad=every, low_is_bad=~every)
    assert found.rarity(np.array([np.nan, 3.0])).tolist() == [0.0, 0.0]
    assert np.isinf(found.bounds(5.0, 2)[1][1])


def test_a_line_that_was_always_the_same_alarms_at_what_was_said_to_be_its_least(rng):
    quiet = np.zeros((1000, 1))
    found = tails(
        quiet, high_is_bad=np.array([True]), low_is_bad=np.array([False]), least_excess=0.5
    )
    assert found.rarity(np.array([0.5])) - found.rarity(np.array([1e-9])) == pytest.approx(1.0)


@given(
    arrays(float, (200, 2), elements=st.floats(-1e6, 1e6)),
    st.floats(0.1, 12),
)
def test_what_lies_beyond_the_threshold_is_rarer_than_what_it_stands_for(values, rarity):
    every = np.array([True, True])
    found = tails(values, high_is_bad=every, low_is_bad=~every)
    _, most = found.bounds(rarity, 2)
    beyond = most + 1e-3 * np.maximum(1, np.abs(most))
    assert (found.rarity(beyond) >= rarity - 0.02).all()


# ------------------------------------------------------------------------------- the budget


def test_a_threshold_learned_from_few_witnesses_is_exceeded_as_often_as_it_says(rng):
    """Of twenty witnesses the plain quantile is exceeded too often; the wider one is not."""
    exceeded = {20.0: [], np.inf: []}
    for _ in range(3000):
        quiet = rng.exponential(size=20)
        for witnesses in exceeded:
            at = rarity_threshold(np.repeat(quiet, 50), 0.01, n_independent=witnesses)
            exceeded[witnesses].append(np.exp(-at))
    assert 0.006 < np.mean(exceeded[20.0]) < 0.013
    assert np.mean(exceeded[np.inf]) > 0.02


def test_lines_that_move_together_are_counted_once_and_the_budget_is_kept(rng):
    """Twenty lines, independent or one and the same: as many windows alarm."""
    every = np.ones(20, dtype=bool)
    for shared in (0.0, 0.99):

        def lines(n, shared=shared):
            own, common = rng.normal(size=(n, 20)), rng.normal(size=(n, 1))
            return np.sqrt(1 - shared) * own + np.sqrt(shared) * common

        found = calibration(
            lines(4000)[:, None],
            high_is_bad=every,
            low_is_bad=~every,
            chance=0.05,
            critical_chance=0.005,
        )
        rarity = found.rarity(lines(20_000)).max(axis=1)
        assert (rarity > found.warning).mean() == pytest.approx(0.05, rel=0.25)
        assert (rarity > found.critical).mean() == pytest.approx(0.005, rel=0.6)


def test_an_alarm_that_must_persist_has_a_lower_threshold_for_the_same_budget(rng):
    every = np.ones(5, dtype=bool)
    settings = {"high_is_bad": every, "low_is_bad": ~every, "chance": 0.02}
    quiet = rng.normal(size=(20_000, 2, 5))
    once = calibration(quiet[:, :1], **settings, critical_chance=0.02)
    twice = calibration(quiet, **settings, critical_chance=0.02)
    assert twice.warning < once.warning
    fresh = twice.rarity(rng.normal(size=(40_000, 2, 5)))
    persisted = (fresh > twice.warning).all(axis=1).any(axis=1)
    assert persisted.mean() == pytest.approx(0.02, rel=0.2)


def test_the_chance_of_a_rarity_is_that_of_quiet_windows_and_falls_beyond_them(rng):
    every = np.ones(4, dtype=bool)
    found = calibration(
        rng.normal(size=(5000, 1, 4)),
        high_is_bad=every,
        low_is_bad=~every,
        chance=0.05,
        critical_chance=0.01,
    )
    assert found.chance(np.array([found.warning])) == pytest.approx(0.05, rel=0.1)
    assert found.chance(np.array([0.0])) == pytest.approx(1.0)
    far = replace(found, quiet=found.quiet + 1e6)
    assert far.chance(np.array([0.0])) == pytest.approx(1.0)
    further = found.chance(found.quiet[-1] + np.arange(6.0))
    assert (np.diff(further) < 0).all() and further[-1] < 1e-5
