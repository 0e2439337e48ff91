"""A canary is wrong as rarely as it says."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from utils.operations.canary import (
    Canary,
    differences,
    differences_apart,
    looked,
    path,
    rule_said,
)
from utils.text import using

CANARY = Canary(harm=0.5)
N_SEEN = 400
DAY = pd.Timestamp("2013-04-01T12:00Z")


# ------------------------------------------------------------------------------- what it is


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"harm": 0.0}, "harm=0.0: must be above 0, in the unit of the loss"),
        ({"harm": float("nan")}, "harm=nan: must be above 0"),
        ({"share": 0.0}, "share=0.0: must lie between 0 and 1"),
        ({"share": 1.0}, "share=1.0: must lie between 0 and 1"),
        ({"false_stop": 0.5}, "false_stop=0.5: must lie between 0 and 0.5"),
        ({"missed_harm": 0.0}, "missed_harm=0.0: must lie between 0 and 0.5"),
        ({"least_blocks": 6}, "least_blocks=6: must be at least 7, and at most most_blocks=42"),
        (
            {"least_blocks": 20, "most_blocks": 14},
            "least_blocks=20: must be at least 7, and at most most_blocks=14",
        ),
        ({"most_blocks": 43}, "most_blocks=43: must be at most 42"),
        ({"block": "one day"}, "block='one day': a positive, fixed length of time is needed"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(fields, said):
    with pytest.raises(ValueError, match="^" + said.replace("(", r"\(")):
        Canary(**{"harm": 0.5, **fields})


def test_the_bounds_are_walds_and_a_tenth_wider():
    low, high = Canary(harm=1.0, false_stop=0.01, missed_harm=0.2).bounds
    assert low == pytest.approx(1.1 * np.log(0.2 / 0.99))
    assert high == pytest.approx(1.1 * np.log(0.8 / 0.01))


# ------------------------------------------------------------------------------- by hand


def test_harm_is_found_by_hand():
    # Mean 0.6 and variance 0.04: no harm would need a mean of 0, which costs 7/2·ln(0.40/0.04).
    values = [0.4, 0.8] * 3 + [0.6]
    variance = 6 * 0.04 / 7
    look = looked(values, CANARY)
    assert look.verdict == "harm" and look.n_blocks == 7
    assert look.ratio == pytest.approx(7 / 2 * np.log((variance + 0.36) / variance))
    assert look.difference == pytest.approx(0.6)
    assert look.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(7))


def test_no_harm_is_found_by_hand():
    # Mean 0: harm would need a mean of 0.5.
    values = [-0.2, 0.2] * 3 + [0.0]
    variance = 6 * 0.04 / 7
    look = looked(values, CANARY)
    assert look.verdict == "no harm"
    assert look.ratio == pytest.approx(-7 / 2 * np.log((variance + 0.25) / variance))


def test_halfway_between_no_harm_and_harm_speaks_for_neither_and_ends_undecided():
    values = [0.0, 0.5] * 21
    assert looked(values[:41], CANARY).verdict == "go on"
    look = looked(values, CANARY)
    assert (look.verdict, look.n_blocks) == ("undecided", 42)
    assert look.ratio == pytest.approx(0.0)


def test_nothing_is_said_before_the_least_blocks():
    rule = Canary(harm=0.5, least_blocks=10)
    assert looked([9.0, 9.1] * 4 + [9.0], rule).verdict == "go on"
    assert looked([9.0, 9.1] * 5, rule).verdict == "harm"


def test_the_first_answer_stands_whatever_comes_after():
    good, bad = [-0.2, 0.2] * 3 + [0.0], [5.0] * 30
    first, later = looked(good, CANARY), looked(good + bad, CANARY)
    assert first == later


def test_the_block_after_the_last_that_counts_is_not_looked_at():
    values = [0.0, 0.5] * 21
    assert looked([*values, *[9.0] * 40], CANARY) == looked(values, CANARY)


def test_blocks_that_are_all_alike_decide():
    assert looked([0.0] * 7, CANARY).verdict == "no harm"
    assert looked([0.5] * 7, CANARY).verdict == "harm"


def test_the_mirror_of_harm_is_no_harm():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.normal(0.25, 0.4, 42)
        one, other = looked(values, CANARY), looked(0.5 - values, CANARY)
        assert one.n_blocks == other.n_blocks
        assert one.ratio == pytest.approx(-other.ratio)


def test_the_unit_of_the_loss_changes_nothing():
    rng = np.random.default_rng(1)
    for _ in range(20):
        values = rng.normal(0.3, 0.4, 42)
        hours, minutes = looked(values, CANARY), looked(60 * values, Canary(harm=30.0))
        assert (hours.verdict, hours.n_blocks) == (minutes.verdict, minutes.n_blocks)


def test_the_path_ends_in_what_was_looked_at():
    values = np.random.default_rng(2).normal(0.6, 0.8, 42)
    look, table = looked(values, CANARY), path(values, CANARY)
    assert table["n_blocks"].tolist() == list(range(7, 43))
    low, high = CANARY.bounds
    decides = table[(table["ratio"] <= low) | (table["ratio"] >= high)]
    assert decides["n_blocks"].iloc[0] == look.n_blocks
    assert decides["ratio"].iloc[0] == pytest.approx(look.ratio)


# ------------------------------------------------------------------------------- how often wrong


NOISE = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(3, size=n) / np.sqrt(3),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("spread", [0.7, 3.0])
@pytest.mark.parametrize(("harm", "wrong"), [(0.0, "harm"), (0.5, "no harm")])
def test_a_canary_is_wrong_no_more_often_than_it_says(noise, spread, harm, wrong):
    rng = np.random.default_rng(3)
    draws = harm + spread * NOISE[noise](rng, (N_SEEN, CANARY.most_blocks))
    n_wrong = sum(looked(each, CANARY).verdict == wrong for each in draws)
    # No more than chance would have of a rule that errs exactly as often as stated.
    assert n_wrong <= stats.binom.ppf(0.99, N_SEEN, 0.05)


def test_where_blocks_hardly_vary_nearly_every_canary_ends_right_and_soon():
    rng = np.random.default_rng(4)
    for harm, right in ((0.0, "no harm"), (0.5, "harm")):
        looks = [looked(rng.normal(harm, 0.3, 42), CANARY) for _ in range(200)]
        assert np.mean([each.verdict == right for each in looks]) > 0.95
        assert np.mean([each.n_blocks for each in looks]) < 10


def test_harm_that_is_larger_is_found_sooner():
    rng = np.random.default_rng(5)
    days = []
    for harm in (0.5, 1.0, 2.0):
        looks = [looked(rng.normal(harm, 0.9, 42), CANARY) for _ in range(100)]
        days.append(np.mean([each.n_blocks for each in looks]))
    assert days == sorted(days, reverse=True)


# ------------------------------------------------------------------------------- what is compared


def test_the_difference_of_a_day_is_that_of_its_rows_and_rows_without_either_loss_do_not_count():
    later = DAY + pd.Timedelta("1D")
    rows = pd.DataFrame(
        {
            "event_time": [DAY, DAY, DAY, later, later],
            "new": [1.0, 3.0, np.nan, 5.0, 8.0],
            "old": [2.0, 2.0, 9.0, 1.0, np.nan],
        }
    )
    found = differences(rows, loss_column="new", champion_loss_column="old")
    assert found.to_dict() == {DAY.floor("1D"): 0.0, later.floor("1D"): 4.0}
    halves = differences(rows, loss_column="new", champion_loss_column="old", block="12h")
    assert halves.index.tolist() == [DAY, later]


def test_a_version_against_itself_differs_nowhere():
    rng = np.random.default_rng(6)
    times = pd.date_range(DAY, periods=100, freq="7h")
    rows = pd.DataFrame({"event_time": times, "loss": rng.normal(size=100)}).assign(
        same=lambda frame: frame["loss"]
    )
    assert differences(rows, loss_column="loss", champion_loss_column="same").eq(0).all()
    assert differences_apart(rows, rows, loss_column="loss").eq(0).all()


def test_apart_only_days_on_which_both_answered_count():
    days = [DAY + pd.Timedelta(days=n) for n in range(3)]
    canary = pd.DataFrame({"event_time": days[:2], "loss": [4.0, 6.0]})
    champion = pd.DataFrame({"event_time": [days[1], days[1], days[2]], "loss": [1.0, np.nan, 2.0]})
    found = differences_apart(canary, champion, loss_column="loss")
    assert found.to_dict() == {days[1].floor("1D"): 5.0}


def test_rows_that_are_paired_say_more_than_rows_apart():
    rng = np.random.default_rng(7)
    times = pd.date_range(DAY, periods=42 * 20, freq="72min")
    hard = rng.gamma(2, 5, len(times))
    rows = pd.DataFrame({"event_time": times, "old": hard, "new": hard + 0.5})
    in_canary = rng.random(len(rows)) < 0.3
    apart = differences_apart(
        rows[in_canary], rows[~in_canary].assign(new=rows["old"]), loss_column="new"
    )
    paired = differences(rows[in_canary], loss_column="new", champion_loss_column="old")
    assert paired.std() < 1e-9 < apart.std()


# ------------------------------------------------------------------------------- what is said


def test_what_was_seen_is_said_in_both_languages():
    look = looked([0.4, 0.8] * 3 + [0.6, 9.0], CANARY, n_rows=[10] * 8)
    assert look.n_rows == 70
    with using("en"):
        assert look.sentence == (
            "over 7 days and 70 requests of the canary its mean loss less the champion's was 0.6 "
            "(standard error 0.076); that is harm: it is withdrawn."
        )
    with using("pt"):
        assert look.sentence == (
            "em 7 dias e 70 requisições do canário, a perda média dele menos a do campeão foi 0,6 "
            "(erro-padrão 0,076); é dano: o canário sai."
        )


@pytest.mark.parametrize("values", [[], [3.0]])
def test_of_a_canary_of_which_hardly_anything_is_known_no_number_is_made_up(values):
    look = looked(values, CANARY, n_rows=[4][: len(values)])
    assert look.verdict == "go on" and np.isnan(look.ratio)
    for code in ("pt", "en"):
        with using(code):
            assert "nan" not in look.sentence
    with using("en"):
        assert look.sentence.endswith("it is early to compare; nobody knows yet: it goes on.")


def test_blocks_that_are_no_days_are_not_called_days():
    rule = Canary(harm=0.5, block="12h", most_blocks=28)
    with using("en"):
        assert "over 7 blocks of 12h" in looked([0.6] * 7, rule).sentence
        assert rule_said(rule) == (
            "A canary of 10% of the requests, looked at every 12h: it stops for harm of 0.5 (a "
            "chance of 5% if it is as good as the champion) or for no harm (a chance of 5% if "
            "there is some), and is withdrawn undecided after 28 blocks of 12h."
        )
    with using("pt"):
        assert "olhado a cada 12h" in rule_said(rule)
        assert rule_said(CANARY).endswith("sai sem decisão depois de 42 dias.")
