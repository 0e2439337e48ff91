"""Two models on the same rows: the difference of their errors, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error

from utils.monitors.paired import LOSSES, loss_change, losses, paired_change
from utils.monitors.performance import change, performance
from utils.records import MEASUREMENT_COLUMNS


def seeded():
    return np.random.default_rng(7)


def shared(n=600, *, extra=1.0, seed=0):
    """Return rows on which two models err alike, but for ``extra`` of the new one."""
    rng = np.random.default_rng(seed)
    label = rng.normal(0, 5, n)
    common = rng.gamma(2, 10, n)
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2013-04-01", periods=n, freq="1h", tz="UTC"),
            "label": label,
            "label_known_at": pd.date_range("2013-04-01T02", periods=n, freq="1h", tz="UTC"),
            "old": label + common,
            "new": label - common - extra - rng.normal(0, 0.5, n),
            "origin": rng.choice(["EWR", "JFK"], n),
        }
    )


def compared(frame, **settings):
    settings = {"reference_column": "old", "current_column": "new", "window": None, **settings}
    table = paired_change(frame, rng=seeded(), **settings)
    return table[table["metric"] == "mae_change"].reset_index(drop=True)


def mae(frame, column):
    frame = frame.assign(prediction=frame[column])
    return performance(frame, task="regression", metrics=["mae"], window=None, rng=seeded())


def test_it_is_the_difference_of_the_two_errors():
    frame = shared()
    table = paired_change(
        frame, reference_column="old", current_column="new", window=None, rng=seeded()
    )
    assert list(table.columns) == list(MEASUREMENT_COLUMNS)
    assert table["metric"].tolist() == ["mae_change", "labelled_share"]
    apart = change(mae(frame, "old"), mae(frame, "new"))
    row = table.iloc[0]
    assert row["value"] == pytest.approx(apart.loc[0, "value"])
    assert (row["n_reference"], row["n_current"]) == (600, 600)


def test_what_makes_a_row_hard_cancels():
    frame = shared()
    apart = change(mae(frame, "old"), mae(frame, "new")).iloc[0]
    paired = compared(frame).iloc[0]
    assert paired["low"] < 1.0 < paired["high"]
    assert paired["low"] > 0 > apart["low"]


def test_exchanging_the_two_changes_the_sign():
    forth = compared(shared()).iloc[0]
    back = compared(shared(), reference_column="new", current_column="old").iloc[0]
    assert back["value"] == pytest.approx(-forth["value"])


def test_groups_windows_and_what_was_known_are_those_of_performance():
    table = compared(shared(), group_column="origin", window="7D")
    assert set(table["group"]) == {"", "EWR", "JFK"}
    assert table["window_start"].nunique() == 4
    early = compared(shared(), known_as_of="2013-04-02T02Z").iloc[0]
    assert early["n_current"] == 25


def test_a_row_without_a_label_or_a_prediction_does_not_count():
    frame = shared(100)
    frame.loc[:9, "label"] = np.nan
    frame.loc[20:24, "new"] = np.nan
    assert compared(frame).loc[0, "n_current"] == 85


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    tables = [compared(shared(200, seed=seed), draws=200).iloc[0] for seed in range(100)]
    held = sum(table["low"] < 1.0 < table["high"] for table in tables)
    assert 88 <= held <= 99


def test_a_column_that_is_not_there_or_holds_no_numbers_is_named():
    frame = shared(50)
    with pytest.raises(ValueError, match="current_column='knew' is no column .* 'new'"):
        compared(frame, current_column="knew")
    with pytest.raises(ValueError, match="reference_column='origin' holds str: numbers are needed"):
        compared(frame, reference_column="origin")


def test_the_frame_stays_as_it_was():
    frame = shared(50)
    before = frame.copy()
    compared(frame)
    pd.testing.assert_frame_equal(frame, before)


# ------------------------------------------------------------------------------------ any loss


def probabilities(n=400, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.01, 0.99, n)
    return pd.Series((rng.random(n) < score).astype(float)), pd.Series(score)


def test_the_mean_loss_is_the_metric_of_its_name():
    label, score = probabilities()
    theirs = {"log_loss": log_loss, "brier": brier_score_loss, "mae": mean_absolute_error}
    assert set(theirs) == set(LOSSES)
    for name, metric in theirs.items():
        assert losses(label, score, loss=name).mean() == pytest.approx(metric(label, score))


def test_a_certain_score_that_is_wrong_costs_much_and_not_everything():
    found = losses(pd.Series([1.0, 0.0]), pd.Series([0.0, 0.0]), loss="log_loss")
    assert np.isfinite(found).all()
    assert found[0] > 30
    assert found[1] == pytest.approx(0)


def test_a_row_that_lacks_something_has_no_loss_and_the_index_stays():
    label = pd.Series([1.0, np.nan, 0.0], index=[7, 8, 9])
    score = pd.Series([0.5, 0.5, np.nan], index=[7, 8, 9])
    found = losses(label, score, loss="brier")
    assert found.index.tolist() == [7, 8, 9]
    assert found.isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("label", "answer", "loss", "says"),
    [
        ([1.0], [0.5], "logloss", "did you mean 'log_loss'"),
        ([1.0], [1.5], "brier", "answer: holds 1.5; a probability is in 0..1"),
        ([2.0], [0.5], "log_loss", "label: holds 2; 1 or 0 is needed for log_loss"),
    ],
)
def test_what_has_no_loss_is_refused_by_name(label, answer, loss, says):
    with pytest.raises(ValueError, match=says):
        losses(pd.Series(label), pd.Series(answer), loss=loss)


def test_the_change_of_a_loss_is_the_difference_of_the_means_and_cancels_what_is_hard():
    label, score = probabilities(800)
    worse = (score * 0.97).clip(0.001, 0.999)
    times = pd.date_range("2024-01-01", periods=800, freq="1h", tz="UTC")
    frame = pd.DataFrame(
        {
            "event_time": times,
            "old": losses(label, score, loss="brier"),
            "new": losses(label, worse, loss="brier"),
        }
    )
    table = loss_change(
        frame,
        reference_column="old",
        current_column="new",
        name="brier",
        window=None,
        block="1D",
        rng=seeded(),
    )
    row = table.iloc[0]
    assert row["metric"] == "brier_change"
    assert row["value"] == pytest.approx(
        brier_score_loss(label, worse) - brier_score_loss(label, score)
    )
    assert row["low"] < row["value"] < row["high"]
    spread = frame["new"].std() / np.sqrt(800)
    assert row["high"] - row["low"] < 2 * spread


def test_a_loss_that_is_no_column_or_no_number_is_named():
    frame = shared(50)
    for argument in ("reference_column", "current_column"):
        columns = {"reference_column": "old", "current_column": "new", argument: "origin"}
        with pytest.raises(ValueError, match=f"{argument}='origin' holds str"):
            loss_change(frame, window=None, rng=seeded(), **columns)
