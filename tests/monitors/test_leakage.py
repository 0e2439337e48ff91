"""Leaks that were made on purpose are measured, and what is honest is not called a leak."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from utils.monitors.leakage import alone, promised_and_kept
from utils.records import MEASUREMENT_COLUMNS


def rng():
    return np.random.default_rng(0)


def world(n, *, start="2024-01-01", seed=1, slope=1.0):
    """Return ``n`` hours in which y follows x, with noise, and a label that follows y."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    y = slope * x + draw.normal(size=n)
    times = pd.date_range(start, periods=n, freq="h", tz="UTC")
    return pd.DataFrame({"event_time": times, "x": x, "y": y, "label": (y > 0).astype("int64")})


def measured(table, metric, group=""):
    rows = table[(table["metric"] == metric) & (table["group"] == group)]
    (row,) = rows.to_dict("records")
    return row


REGRESSION = {"features": ["x"], "target": "y", "task": "regression", "metrics": ["mae"]}


# ------------------------------------------------------------------------------ promised and kept


def test_the_numbers_are_those_of_scikit_learn():
    history, later = world(300), world(200, start="2024-03-01", seed=2)
    model = LinearRegression()
    table = promised_and_kept(model, history, later, **REGRESSION, rng=np.random.default_rng(3))
    seed = int(np.random.default_rng(3).integers(2**32))
    folds = KFold(5, shuffle=True, random_state=seed)
    promised = cross_val_predict(model, history[["x"]], history["y"], cv=folds)
    kept = clone(model).fit(history[["x"]], history["y"]).predict(later[["x"]])
    first, second = np.abs(promised - history["y"]).mean(), np.abs(kept - later["y"]).mean()
    assert measured(table, "mae", "promised")["value"] == pytest.approx(first)
    assert measured(table, "mae", "kept")["value"] == pytest.approx(second)
    assert measured(table, "mae_change")["value"] == pytest.approx(second - first)
    assert measured(table, "mae_change")["n_reference"] == 300
    assert measured(table, "mae_change")["n_current"] == 200
    assert list(table) == list(MEASUREMENT_COLUMNS)
    assert set(table["monitor"]) == {"leakage"}


def test_scores_of_classes_are_judged_too():
    history, later = world(400), world(300, start="2024-03-01", seed=2)
    table = promised_and_kept(
        LogisticRegression(),
        history,
        later,
        features=["x"],
        target="label",
        task="classification",
        metrics=["roc_auc"],
        rng=rng(),
    )
    score = LogisticRegression().fit(history[["x"]], history["label"]).predict_proba(later[["x"]])
    expected = roc_auc_score(later["label"], score[:, 1])
    assert measured(table, "roc_auc", "kept")["value"] == pytest.approx(expected)


def test_a_promise_is_kept_where_nothing_leaks_and_nothing_changes():
    """Of 40 quiet worlds, at most a few intervals (of 95 %) leave out 0."""
    outside = 0
    for seed in range(40):
        history = world(200, seed=100 + seed)
        later = world(200, start="2024-03-01", seed=200 + seed)
        table = promised_and_kept(
            LinearRegression(), history, later, **REGRESSION, rng=rng(), draws=200
        )
        row = measured(table, "mae_change")
        outside += not row["low"] <= 0 <= row["high"]
    assert outside <= 6


def test_a_world_that_changes_breaks_the_promise():
    history, later = world(300), world(300, start="2024-03-01", seed=2, slope=-1.0)
    table = promised_and_kept(LinearRegression(), history, later, **REGRESSION, rng=rng())
    assert measured(table, "mae_change")["low"] > 0


def days_with_luck(n_days, *, start, seed):
    """Return 20 rows a day that share the luck of their day, which only its neighbours know."""
    draw = np.random.default_rng(seed)
    day = np.repeat(np.arange(n_days), 20)
    luck = draw.normal(size=n_days)[day]
    times = pd.Timestamp(start, tz="UTC") + pd.to_timedelta(day * 24 + 1, unit="h")
    return pd.DataFrame(
        {"event_time": times, "x": day.astype(float), "y": luck + 0.1 * draw.normal(size=len(day))}
    )


def test_rows_that_are_alike_promise_too_much_unless_they_are_kept_together():
    history = days_with_luck(40, start="2024-01-01", seed=1)
    later = days_with_luck(20, start="2024-03-01", seed=2)
    model = KNeighborsRegressor(5)
    apart = promised_and_kept(model, history, later, **REGRESSION, rng=rng(), block="1D")
    together = promised_and_kept(
        model, history, later, **REGRESSION, rng=rng(), block="1D", alike=history["x"]
    )
    assert measured(apart, "mae", "promised")["value"] < 0.2
    assert measured(together, "mae", "promised")["value"] > 0.6
    assert measured(apart, "mae_change")["low"] > 0.3
    assert measured(together, "mae_change")["value"] < measured(apart, "mae_change")["value"] / 3
    for table in (apart, together):
        assert measured(table, "mae", "kept")["value"] == pytest.approx(
            measured(apart, "mae", "kept")["value"]
        )


def test_no_day_is_on_both_sides_of_a_fold():
    history = days_with_luck(10, start="2024-01-01", seed=1)
    seen = []

    class Spy(KNeighborsRegressor):
        def fit(self, X, y):
            self.days_ = set(X["x"])
            return super().fit(X, y)

        def predict(self, X):
            seen.append(self.days_ & set(X["x"]))
            return super().predict(X)

    promised_and_kept(
        Spy(), history, history, **REGRESSION, rng=rng(), alike=history["x"].to_numpy()
    )
    assert seen[:5] == [set()] * 5
    assert len(seen) == 6


def test_rows_may_carry_any_index_and_inputs_stay_as_they_were():
    history, later = world(100), world(100, start="2024-03-01", seed=2)
    plain = promised_and_kept(LinearRegression(), history, later, **REGRESSION, rng=rng())
    odd, copy = history.set_axis([7] * 100), history.set_axis([7] * 100)
    model = LinearRegression()
    again = promised_and_kept(model, odd, later[::-1][::-1], **REGRESSION, rng=rng())
    pd.testing.assert_frame_equal(plain, again)
    pd.testing.assert_frame_equal(odd, copy)
    assert not hasattr(model, "coef_")


def test_a_row_without_a_label_is_refused_by_name():
    history, later = world(50), world(50, seed=2)
    for name, pair in {
        "history": (history.assign(y=np.nan), later),
        "later": (history, later.assign(y=np.nan)),
    }.items():
        with pytest.raises(ValueError, match=f"{name}: 50 rows have no 'y'"):
            promised_and_kept(LinearRegression(), *pair, **REGRESSION, rng=rng())


# ------------------------------------------------------------------------------- a column by itself


def labelled(n=4000, seed=5):
    draw = np.random.default_rng(seed)
    label = draw.integers(2, size=n)
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2024-01-01", periods=n, freq="min", tz="UTC"),
            "label": label,
            "noise": draw.normal(size=n),
            "good": label + draw.normal(size=n),
            "reversed": -label + draw.normal(size=n),
            "u_shaped": np.where(label == 1, 0.0, 4.0) * draw.choice([-1, 1], n)
            + draw.normal(size=n),
            "filled_after": np.where(label == 1, np.nan, draw.normal(size=n)),
            "names": [f"row {i}" for i in range(n)],
            "letters": np.where(label == 1, "a", draw.choice(["a", "b"], n)),
        }
    )


def strengths(frame, features, **settings):
    table = alone(frame, features=features, rng=rng(), draws=50, **settings)
    return table.set_index("feature")["value"]


def test_what_each_column_tells_alone():
    frame = labelled()
    found = strengths(frame, list(frame.columns[2:]))
    assert found["filled_after"] == 1
    assert found["u_shaped"] > 0.95
    expected = roc_auc_score(frame["label"], frame["good"])
    assert found["good"] == pytest.approx(expected, abs=0.02)
    assert found["reversed"] == pytest.approx(expected, abs=0.05)
    assert found["letters"] == pytest.approx(0.75, abs=0.03)
    assert found["noise"] == pytest.approx(0.5, abs=0.04)
    assert found["names"] == pytest.approx(0.5, abs=0.04)
    assert found.is_monotonic_decreasing


def test_the_interval_of_noise_holds_one_half_and_that_of_a_leak_does_not():
    table = alone(labelled(), features=["noise", "good"], rng=rng(), level=0.999)
    table = table.set_index("feature")
    assert table.loc["noise", "low"] < 0.5 < table.loc["noise", "high"]
    assert table.loc["good", "low"] > 0.6


def test_a_part_of_an_honest_column_that_leaks_is_not_told_from_a_good_one():
    """The limit that the docstring states."""
    frame = labelled()
    frame["updated_later"] = frame["noise"] + 0.7 * frame["label"]
    found = strengths(frame, ["good", "updated_later"])
    assert 0.55 < found["updated_later"] < found["good"]


def test_a_column_without_values_and_a_constant_tell_nothing():
    frame = labelled(400).assign(empty=np.nan, same=1.0, text=None)
    found = strengths(frame, ["empty", "same", "text"])
    assert found.tolist() == pytest.approx([0.5] * 3, abs=0.12)


@pytest.mark.parametrize("strange", [2, None])
def test_a_label_that_is_neither_one_nor_zero_is_refused(strange):
    frame = labelled(100)
    frame["label"] = frame["label"].astype("Float64")
    frame.loc[3, "label"] = strange
    with pytest.raises(ValueError, match="label_column='label' holds .*; each is 1 or 0"):
        alone(frame, features=["noise"], rng=rng())


def test_a_column_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="nosie"):
        alone(labelled(100), features=["nosie"], rng=rng())
