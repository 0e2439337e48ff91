"""Decisions by cost: the curve, what is sure about it, and the threshold that costs imply."""

import numpy as np
import pandas as pd
import pytest

from utils.monitors.costs import Best, Costs, best, cost_curve

LOANS = Costs(wrong_yes=0.6, wrong_no=0.2, unit="BRL")
GRID = np.arange(0.5, 0.96, 0.05).round(2)


def drawn(n, *, seed=0, per_day=100):
    """Return scores that come true, and amounts that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    score = rng.beta(5, 1.2, n)
    return pd.DataFrame(
        {
            "event_time": pd.Timestamp("2024-01-01", tz="UTC")
            + np.arange(n) * (pd.Timedelta("1D") / per_day),
            "score": score,
            "label": (rng.random(n) < score).astype(int),
            "amount": rng.gamma(2, 500, n),
        }
    )


def curve_of(frame, **settings):
    settings = {
        "costs": LOANS,
        "thresholds": GRID,
        "rng": np.random.default_rng(7),
        "draws": 200,
    } | settings
    return cost_curve(frame, **settings)


def cost_by_hand(frame, threshold, *, costs, amount=1.0):
    yes, paid = frame["score"] >= threshold, frame["label"] == 1
    cost = np.select(
        [yes & ~paid, ~yes & paid, yes & paid],
        [costs.wrong_yes, costs.wrong_no, costs.right_yes],
        costs.right_no,
    )
    return (cost * amount).mean()


# the matrix -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "threshold"),
    [
        (Costs(wrong_yes=1, wrong_no=1), 0.5),
        (Costs(wrong_yes=3, wrong_no=1), 0.75),
        (Costs(wrong_yes=1, wrong_no=4), 0.2),
        # The same decisions told as gains: 0.2 earned on who pays, nothing on who is refused.
        (Costs(wrong_yes=0.6, wrong_no=0, right_yes=-0.2), 0.75),
    ],
)
def test_the_threshold_is_where_both_answers_cost_the_same(costs, threshold):
    assert costs.threshold == pytest.approx(threshold)
    p = costs.threshold
    of_yes = p * costs.right_yes + (1 - p) * costs.wrong_yes
    of_no = p * costs.wrong_no + (1 - p) * costs.right_no
    assert of_yes == pytest.approx(of_no)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wrong_yes": 0, "wrong_no": 1}, "wrong_yes=0: more than right_no=0.0"),
        ({"wrong_yes": 1, "wrong_no": 1, "right_yes": 2}, "wrong_no=1: more than right_yes=2"),
        ({"wrong_yes": 1, "wrong_no": float("nan")}, "wrong_no=nan: more than right_yes=0.0"),
    ],
)
def test_a_matrix_in_which_wrong_is_cheap_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Costs(**given)


# the curve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount_column", [None, "amount"])
@pytest.mark.parametrize(
    "costs", [LOANS, Costs(wrong_yes=2, wrong_no=3, right_yes=-1, right_no=0.5)]
)
def test_costs_are_those_that_a_hand_would_add_up(costs, amount_column):
    frame = drawn(400)
    frame.loc[3, "score"] = 0.75  # a score at the threshold is a yes
    thresholds = [0.75, 0.0, 0.9, np.inf]
    curve = curve_of(frame, costs=costs, thresholds=thresholds, amount_column=amount_column)
    amount = frame[amount_column] if amount_column else 1.0
    expected = [cost_by_hand(frame, each, costs=costs, amount=amount) for each in thresholds]
    np.testing.assert_allclose(curve["cost"], expected)
    assert curve["threshold"].tolist() == thresholds
    shares = [(frame["score"] >= each).mean() for each in thresholds]
    np.testing.assert_allclose(curve["yes_share"], shares)


def test_a_change_is_from_the_threshold_of_the_matrix_or_the_one_named():
    frame = drawn(400)
    curve = curve_of(frame)
    beside = cost_by_hand(frame, 0.75, costs=LOANS)
    np.testing.assert_allclose(curve["change"], curve["cost"] - beside)
    named = curve_of(frame, against=0.5)
    np.testing.assert_allclose(named["change"], named["cost"] - named["cost"].iloc[0])
    first = named.iloc[0]
    assert first[["change", "change_low", "change_high"]].tolist() == pytest.approx([0, 0, 0])


def test_a_change_is_surer_than_the_two_costs():
    curve = curve_of(drawn(3000), amount_column="amount").set_index("threshold")
    row = curve.loc[0.7]
    assert row["change_high"] - row["change_low"] < (row["high"] - row["low"]) / 2


def test_the_interval_is_that_of_a_mean():
    frame = drawn(2000)
    row = curve_of(frame, thresholds=[0.0], draws=2000).iloc[0]
    cost = 0.6 * (frame["label"] == 0)
    half = 1.96 * cost.std() / np.sqrt(len(frame))
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.06)
    assert row["high"] - row["cost"] == pytest.approx(row["cost"] - row["low"])


def test_days_that_are_all_good_or_all_bad_widen_the_interval():
    frame = drawn(2000)
    frame["label"] = np.repeat(np.random.default_rng(1).random(20) < 0.7, 100).astype(int)
    by_row, by_day = (
        curve_of(frame, thresholds=[0.0], block=block).iloc[0] for block in (None, "1D")
    )
    assert by_day["high"] - by_day["low"] > 3 * (by_row["high"] - by_row["low"])


def test_one_day_alone_has_costs_and_no_certainty():
    curve = curve_of(drawn(50), block="1D")
    assert curve["cost"].notna().all() and curve["may_be_best"].all()
    assert curve[["low", "high", "change_low", "change_high"]].isna().all().all()


def test_rows_without_a_label_are_left_out():
    frame = drawn(300)
    unlabelled = pd.concat([frame, frame.head(9).assign(label=None)], ignore_index=True)
    pd.testing.assert_frame_equal(
        curve_of(unlabelled, block="1D"), curve_of(frame, block="1D"), check_dtype=False
    )


# which is best ----------------------------------------------------------------------------------


def test_the_truly_cheapest_is_nearly_always_among_those_kept():
    """With scores that come true the matrix names it: 0.75, and no other of the grid."""
    kept = [
        curve_of(drawn(600, seed=seed), rng=np.random.default_rng(seed), draws=100).set_index(
            "threshold"
        )["may_be_best"]
        for seed in range(100)
    ]
    assert np.mean([each[0.75] for each in kept]) >= 0.9
    assert np.mean([each[0.5] for each in kept]) < 0.5


def test_more_data_keeps_fewer_thresholds():
    few, many = (curve_of(drawn(n), draws=100)["may_be_best"].sum() for n in (300, 30_000))
    assert 1 <= many < few


def test_the_cheapest_is_always_kept_and_a_tie_too():
    frame = drawn(500)
    curve = curve_of(frame, thresholds=[0.75, 0.75, 0.2])
    assert curve["may_be_best"].tolist()[:2] == [True, True]
    assert curve.loc[curve["cost"].idxmin(), "may_be_best"]


def test_the_best_is_told_with_those_that_may_be_it():
    curve = pd.DataFrame(
        {
            "threshold": [0.9, 0.8, 0.7, 0.6],
            "cost": [3.0, 1.0, 1.0, 2.0],
            "may_be_best": [False, True, True, True],
        }
    )
    assert best(curve) == Best(threshold=0.7, cost=1.0, lowest=0.6, highest=0.8)


# misuse -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"thresholds": []}, "numbers are needed, one at least"),
        ({}, {"thresholds": [0.5, np.nan]}, "numbers are needed, one at least"),
        ({}, {"draws": 0}, "draws=0: at least 1 is needed"),
        ({}, {"level": 95}, "level=95: a number between 0 and 1"),
        ({}, {"amount_column": "amounts"}, "did you mean 'amount'"),
        ({"amount": -1.0}, {"amount_column": "amount"}, "holds -1: 0 or more is needed"),
        ({"amount": np.nan}, {"amount_column": "amount"}, "holds nan: 0 or more is needed"),
        ({"label": 0.5}, {}, "label_column='label' holds 0.5: 0 or 1 is needed"),
        ({"label": None}, {}, "none of 200 rows has a label"),
        ({"score": "high"}, {}, "score_column='score' holds .*: numbers are needed"),
    ],
)
def test_what_cannot_be_counted_is_named(change, settings, message):
    with pytest.raises(ValueError, match=message):
        curve_of(drawn(200).assign(**change), **settings)


def test_the_frame_is_left_as_it_was_and_the_same_seed_says_the_same():
    frame = drawn(300)
    before = frame.copy()
    pd.testing.assert_frame_equal(curve_of(frame), curve_of(frame))
    pd.testing.assert_frame_equal(frame, before)
