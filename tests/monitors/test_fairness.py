"""Fairness: rates by group, the gaps between groups, their intervals, and the suite's measure."""

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_score, recall_score

from utils.monitors import performance
from utils.monitors.fairness import (
    DIFFERENCES,
    DISPARITIES,
    METRICS,
    MISSING_GROUP,
    MOST_GROUPS,
    Fairness,
    fairness,
    groups,
    quotient,
)
from utils.monitors.intervals import difference, wilson
from utils.records import MEASUREMENT_COLUMNS

START = pd.Timestamp("2024-01-01", tz="UTC")  # a Monday


def seeded():
    return np.random.default_rng(7)


def times(n, *, per_day=24):
    return START + pd.Timedelta("1D") / per_day * np.arange(n)


def loans(n=900, *, seed=0, names=("a", "b", "c"), per_day=24):
    rng = np.random.default_rng(seed)
    group = rng.choice(names, n)
    score = rng.beta(2, 2, n) + 0.2 * (group == names[0])
    return pd.DataFrame(
        {
            "event_time": times(n, per_day=per_day),
            "group": group,
            "prediction": (score > 0.5).astype(int),
            "label": (rng.random(n) < score).astype(int),
        }
    )


def drawn(shares, *, n, n_days, seed=0):
    """Return so many predictions a day and group, positive with the group's own probability."""
    rng = np.random.default_rng(seed)
    per_day = n * len(shares)
    group = np.tile(np.repeat([f"g{i}" for i in range(len(shares))], n), n_days)
    p = np.tile(np.repeat(shares, n), n_days)
    return pd.DataFrame(
        {
            "event_time": times(per_day * n_days, per_day=per_day),
            "group": group,
            "prediction": (rng.random(len(p)) < p).astype(int),
            "label": 1,
        }
    )


def measure(frame, *, group_column="group", window=None, minimum=1, rng=None, **options):
    return fairness(
        frame,
        group_column=group_column,
        window=window,
        minimum=minimum,
        rng=rng or seeded(),
        **options,
    )


def values(table, metric, column="value"):
    found = table[table["metric"] == metric]
    assert not found["group"].duplicated().any()
    return found.set_index("group")[column]


# ---------------------------------------------------------------------------------------- values


def test_rates_by_group_are_those_of_fairlearn_and_scikit_learn():
    frame = loans()
    table = measure(frame)
    expected = oracle.MetricFrame(
        metrics={
            "count": oracle.count,
            "selection_rate": oracle.selection_rate,
            "recall": recall_score,
            "false_positive_rate": oracle.false_positive_rate,
            "precision": precision_score,
            "accuracy": accuracy_score,
        },
        y_true=frame["label"],
        y_pred=frame["prediction"],
        sensitive_features=frame["group"],
    ).by_group
    for metric in expected.columns:
        assert dict(values(table, metric)) == pytest.approx(dict(expected[metric])), metric


def test_disparities_are_those_of_fairlearn():
    frame = loans()
    table = measure(frame)
    for metric in DISPARITIES:
        expected = getattr(oracle, metric)(
            frame["label"], frame["prediction"], sensitive_features=frame["group"]
        )
        assert values(table, metric)[""] == pytest.approx(expected), metric


def test_a_difference_is_to_all_other_rows_or_to_a_named_group():
    frame = loans()
    rate = frame.groupby("group")["prediction"].mean()
    rest = frame[frame["group"] != "b"]["prediction"].mean()
    to_rest = values(measure(frame), "selection_rate_difference")
    to_group = values(measure(frame, reference_group="a"), "selection_rate_difference")
    assert to_rest["b"] == pytest.approx(rate["b"] - rest)
    assert dict(to_group) == pytest.approx({"b": rate["b"] - rate["a"], "c": rate["c"] - rate["a"]})


def test_combinations_of_two_columns_are_groups():
    frame = loans().assign(region=lambda f: np.where(np.arange(len(f)) % 2, "Sul", None))
    found = values(measure(frame, group_column=["group", "region"]), "selection_rate")
    assert found.index[0] == f"a × {MISSING_GROUP}"
    inside = frame[(frame["group"] == "c") & (frame["region"] == "Sul")]
    assert found["c × Sul"] == pytest.approx(inside["prediction"].mean())
    table = measure(frame, group_column=["group", "region"])
    assert set(table["feature"]) == {"group × region"}


def test_rates_of_labels_rest_on_labelled_rows_and_selection_does_not():
    frame = loans()
    frame["label"] = frame["label"].where(frame["prediction"] == 1).astype(float)
    table = measure(frame)
    taken = frame[frame["prediction"] == 1]
    assert values(table, "selection_rate", "n_current").sum() == len(frame)
    assert values(table, "accuracy", "n_current").sum() == len(taken)
    shares = frame.groupby("group")["prediction"].mean()
    assert dict(values(table, "labelled_share")) == pytest.approx(dict(shares))
    assert (values(table, "recall") == 1).all()  # the refused who would have paid are not seen
    assert (values(table, "false_positive_rate") == 1).all()


def test_labelled_share_is_measured_whatever_is_asked_for():
    table = measure(loans(), metrics=["selection_rate"])
    assert set(table["metric"]) == {"selection_rate", "labelled_share"}


# -------------------------------------------------------------------------------------- intervals


def test_rates_have_wilsons_interval_and_differences_newcombes():
    frame = loans()
    table = measure(frame)
    counts = frame.groupby("group")["prediction"].agg(["sum", "count"])
    low, high = wilson(counts["sum"], counts["count"])
    np.testing.assert_allclose(values(table, "selection_rate", "low"), low)
    np.testing.assert_allclose(values(table, "selection_rate", "high"), high)


def test_newcombes_example():
    """56 of 70 against 48 of 80: method 10 of Newcombe (1998), table II, gives 0.0524 to 0.3339."""
    frame = pd.DataFrame(
        {
            "event_time": times(150),
            "group": ["a"] * 70 + ["b"] * 80,
            "prediction": [1] * 56 + [0] * 14 + [1] * 48 + [0] * 32,
            "label": 1,
        }
    )
    table = measure(frame)
    for metric, group in (
        ("selection_rate_difference", "a"),
        ("demographic_parity_difference", ""),
    ):
        found = [values(table, metric, each)[group] for each in ("value", "low", "high")]
        assert found == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5), metric


def test_a_quotient_is_that_of_the_logarithms_where_bounds_are_close():
    value, low, high = quotient(
        0.4, 0.399, 0.401, reference=0.8, reference_low=0.798, reference_high=0.802
    )
    log_value, log_low, log_high = difference(
        *np.log([0.4, 0.399, 0.401]),
        reference=np.log(0.8),
        reference_low=np.log(0.798),
        reference_high=np.log(0.802),
    )
    assert [value, low, high] == pytest.approx(np.exp([log_value, log_low, log_high]), rel=1e-4)


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        ((0.0, 0.0, 0.1), (0.5, 0.4, 0.6), (0.0, 0.0)),
        ((0.5, 0.4, 0.6), (0.1, 0.0, 0.3), (5.0, np.inf)),
        ((0.0, 0.0, 0.1), (0.0, 0.0, 0.1), (np.nan, np.nan)),
    ],
)
def test_a_quotient_at_the_bounds(value, reference, expected):
    names = ("reference", "reference_low", "reference_high")
    found, low, high = quotient(*value, **dict(zip(names, reference, strict=True)))
    assert float(found) == pytest.approx(expected[0], nan_ok=True)
    if np.isfinite(expected[1]):
        assert 0 < float(high) < 1 and float(low) == 0
    else:
        assert float(high) == pytest.approx(expected[1], nan_ok=True)


@pytest.mark.parametrize(
    ("shares", "n"),
    [
        ((0.5, 0.5), 40),
        ((0.1, 0.1, 0.1, 0.1, 0.1), 40),
        ((0.9, 0.6), 30),
        ((0.95, 0.9, 0.9, 0.5), 60),
        ((0.02, 0.3, 0.3), 50),
    ],
)
def test_intervals_between_groups_hold_the_truth_as_often_as_they_promise(shares, n):
    n_days = 300
    table = measure(drawn(shares, n=n, n_days=n_days), window="1D", metrics=list(DISPARITIES[:2]))
    truths = {
        "demographic_parity_difference": max(shares) - min(shares),
        "demographic_parity_ratio": min(shares) / max(shares),
    }
    for metric, truth in truths.items():
        found = table[table["metric"] == metric]
        assert len(found) == n_days
        held = (found["low"] <= truth + 1e-12) & (truth - 1e-12 <= found["high"])
        assert held.mean() > 0.93, metric  # 0.95, less twice the error of 300 draws


def test_the_greatest_difference_is_above_0_for_a_fair_model_and_its_interval_begins_there():
    table = measure(drawn((0.3,) * 6, n=40, n_days=100), window="1D")
    found = table[table["metric"] == "demographic_parity_difference"]
    assert found["value"].mean() > 0.15
    assert (found["low"] == 0).mean() >= 0.93
    ratios = table[table["metric"] == "demographic_parity_ratio"]
    assert ratios["value"].mean() < 0.7
    assert (ratios["high"] == 1).mean() >= 0.93


def test_days_that_are_all_good_or_all_bad_widen_every_interval():
    rng = np.random.default_rng(3)
    n_days, per_day = 20, 60
    frame = loans(n_days * per_day, per_day=per_day)
    good = np.repeat(rng.random(n_days) < 0.5, per_day)
    frame["prediction"] = np.where(good & (frame["group"] == "a"), 1, rng.random(len(frame)) < 0.5)
    by_row, by_day = measure(frame), measure(frame, block="1D")
    for metric, group in (
        ("selection_rate", "a"),
        ("selection_rate_difference", "a"),
        ("demographic_parity_difference", ""),
        ("demographic_parity_ratio", ""),
    ):
        rows, days = (
            values(each, metric, "high")[group] - values(each, metric, "low")[group]
            for each in (by_row, by_day)
        )
        assert days > 1.3 * rows, metric
    pd.testing.assert_series_equal(by_row["value"], by_day["value"])


def test_a_single_block_has_values_and_no_intervals():
    table = measure(loans(24), block="1D")
    rates = table[table["metric"] != "count"]
    assert rates["value"].notna().any()
    assert rates[["low", "high"]].isna().all(axis=None)


# ---------------------------------------------------------------------------- too little, and time


def test_a_group_below_the_minimum_is_unknown_with_its_count_and_is_left_out_between_groups():
    frame = pd.concat([loans(400, names=("a", "b")), loans(9, names=("tiny",))])
    table = measure(frame, minimum=30)
    assert np.isnan(values(table, "selection_rate")["tiny"])
    assert values(table, "selection_rate", "n_current")["tiny"] == 9
    assert values(table, "count")["tiny"] == 9
    assert np.isnan(values(table, "selection_rate_difference")["tiny"])
    assert values(table, "selection_rate_difference", "n_current")["tiny"] == 9
    without = measure(frame[frame["group"] != "tiny"], minimum=30)
    for metric in DISPARITIES:
        for column in ("value", "low", "high"):
            assert values(table, metric, column)[""] == pytest.approx(
                values(without, metric, column)[""]
            )


def test_one_group_alone_has_no_disparity():
    table = measure(loans(names=("a",)))
    found = table[table["metric"].isin(DISPARITIES + DIFFERENCES)]
    assert found[["value", "low", "high"]].isna().all(axis=None)


def test_windows_are_half_open_and_empty_ones_are_there():
    frame = loans(48).iloc[[0, 23, 24 + 23]]
    edges = {"start": START, "end": START + pd.Timedelta("3D")}
    table = measure(frame, window="1D", **edges)
    counts = table[table["metric"] == "count"].groupby("window_start")["value"].sum()
    assert counts.tolist() == [2, 1, 0]
    assert list(table.columns) == list(MEASUREMENT_COLUMNS)


def test_a_label_that_comes_later_is_not_known():
    frame = loans(48)
    frame["label_known_at"] = frame["event_time"] + pd.Timedelta("10h")
    table = measure(frame, known_as_of=START + pd.Timedelta("20h"))
    assert values(table, "count").sum() == 21
    assert values(table, "labelled_share").mul(values(table, "count")).sum() == 11
    assert (table["known_as_of"] == START + pd.Timedelta("20h")).all()


def test_other_windows_and_metrics_do_not_change_the_draws_of_one():
    frame = loans(24 * 14)
    whole = measure(frame, window="7D", block="1D")
    alone = measure(
        frame[frame["event_time"] >= START + pd.Timedelta("7D")],
        window="7D",
        block="1D",
        metrics=["selection_rate"],
    )
    rate = whole[(whole["metric"] == "selection_rate")].reset_index(drop=True)
    rate = rate[rate["window_start"] == START + pd.Timedelta("7D")].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        rate, alone[alone["metric"] == "selection_rate"].reset_index(drop=True)
    )


# ------------------------------------------------------------------------------ anybody's frames


@pytest.mark.parametrize(
    "written",
    [
        lambda s: s.astype(bool),
        lambda s: s.astype(float),
        lambda s: s.astype("Int64"),
        lambda s: s.astype("int64[pyarrow]"),
        lambda s: s.astype("bool").astype("bool[pyarrow]"),
        lambda s: s.astype("object"),
        lambda s: s.astype("category"),
        lambda s: s.map({0: "no", 1: "yes"}),
        lambda s: s.map({0: "no", 1: "yes"}).astype("category"),
        lambda s: s.map({0: "no", 1: "yes"}).astype("string[pyarrow]"),
    ],
)
def test_answers_may_be_written_in_any_type(written):
    frame = loans()
    frame["label"] = frame["label"].astype(float)
    frame.loc[::7, "label"] = np.nan
    other = frame.assign(prediction=written(frame["prediction"]))
    other["label"] = written(frame["label"].fillna(0)).where(frame["label"].notna())
    is_text = set(other["prediction"]) == {"no", "yes"}
    pd.testing.assert_frame_equal(
        measure(other, positive="yes" if is_text else None), measure(frame)
    )


@pytest.mark.parametrize("dtype", ["object", "str", "category", "string[pyarrow]"])
def test_groups_may_be_written_in_any_type(dtype):
    frame = loans()
    pd.testing.assert_frame_equal(
        measure(frame.assign(group=frame["group"].astype(dtype))), measure(frame)
    )


def test_numbers_name_the_same_groups_with_and_without_gaps():
    whole = pd.DataFrame({"group": [1, 0, 1]})
    gaps = pd.DataFrame({"group": [1, 0, None]})
    assert groups(whole, "group")[1] == ["0", "1"]
    codes, names = groups(gaps, "group")
    assert [names[code] for code in codes] == ["1", "0", MISSING_GROUP]
    assert MISSING_GROUP == performance.MISSING_GROUP


def test_an_empty_text_is_a_missing_group():
    codes, names = groups(pd.DataFrame({"group": ["", None, "x"]}), "group")
    assert (codes.tolist(), names) == ([0, 0, 1], [MISSING_GROUP, "x"])


def test_nothing_changes_its_inputs():
    frame = loans()
    before = frame.copy(deep=True)
    measure(frame, block="1D")
    Fairness.of(frame, group_column="group").cells(frame, np.zeros(len(frame), int), 1)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"group_column": "age"},
            "group_column='age' holds 900 different numbers; cut them into bands first, for "
            "example with pd.cut",
        ),
        (
            {"group_column": "city"},
            f"group_column='city' holds 300 groups; at most {MOST_GROUPS} can be compared: put the "
            "small ones together first",
        ),
        (
            {"group_column": "grup"},
            "group_column='grup' is no column of the frame; did you mean 'group'?",
        ),
        (
            {"metrics": ["recal"]},
            "metrics: 'recal' is no metric of fairness; did you mean 'recall'?",
        ),
        (
            {"metrics": "recall"},
            "metrics='recall': a list of names is needed, such as ['recall']",
        ),
        (
            {"reference_group": "A"},
            "reference_group='A' is no group of 'group'; known: a, b, c",
        ),
        ({"positive": 2}, "positive=2 is none of the labels and predictions; known: 0, 1"),
        (
            {"label_column": "age"},
            "positive=None: name the class that counts as positive, such as ",
        ),
        (
            {"label_column": "city"},
            "labels and predictions hold both text and numbers (",
        ),
        ({"minimum": 0}, "minimum=0: at least 1 is needed"),
        (
            {"window": "1D", "block": "2D"},
            "block='2D' is longer than window='1D'; it must fit into it",
        ),
    ],
)
def test_misuse_is_refused_by_name(options, message):
    frame = loans().assign(
        age=np.linspace(18, 80, 900), city=[f"city {i % 300}" for i in range(900)]
    )
    with pytest.raises(ValueError) as refused:
        measure(frame, **options)
    assert str(refused.value).startswith(message)


# ------------------------------------------------------------------------- the measure of the suite


def suite_cells(frame, reference=None, *, n_blocks=1, **options):
    measure_of_suite = Fairness.of(
        frame if reference is None else reference, group_column="group", **options
    )
    block = np.arange(len(frame)) * n_blocks // len(frame)
    return measure_of_suite, measure_of_suite.cells(frame, block, n_blocks)


def test_lines_are_the_differences_of_the_frame():
    frame = loans()
    of_suite, cells = suite_cells(frame, n_blocks=5)
    total = cells.sum(axis=0)
    table = measure(frame).set_index(["metric", "group"])
    found = of_suite.values(total, total)
    assert len(of_suite.lines) == 9
    for line, value, n in zip(of_suite.lines, found, of_suite.counts(total), strict=True):
        row = table.loc[(line.metric, line.group)]
        assert (value, n) == pytest.approx((row["value"], row["n_current"]))
        assert line.feature == row["feature"]
        assert line.labelled == (line.metric != "selection_rate_difference")
        assert line.side == "both"


def test_blocks_add_up_and_leading_axes_broadcast():
    frame = loans()
    of_suite, cells = suite_cells(frame, n_blocks=6)
    assert cells.shape == (6, of_suite.n_cells)
    _, whole = suite_cells(frame)
    np.testing.assert_array_equal(cells.sum(axis=0), whole[0])
    windows = cells.reshape(2, 3, -1)
    together = of_suite.values(windows, whole)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[i, j], of_suite.values(windows[i, j], whole[0]))


def test_of_two_groups_the_smaller_has_the_lines():
    frame = loans(names=("a", "b"))
    smaller = frame["group"].value_counts().index[-1]
    of_suite, cells = suite_cells(frame)
    assert {line.group for line in of_suite.lines} == {smaller}
    other = frame.assign(group=frame["group"].map({"a": "b", "b": "a"}))
    mirrored = of_suite.cells(other, np.zeros(len(frame), dtype=int), 1)
    np.testing.assert_allclose(of_suite.values(mirrored, mirrored), -of_suite.values(cells, cells))


def test_a_group_that_the_reference_did_not_have_counts_among_the_rest():
    reference = loans()
    current = pd.concat([reference, loans(300, names=("new",), seed=1)])
    of_suite, cells = suite_cells(current, reference)
    place = [(line.metric, line.group) for line in of_suite.lines].index(
        ("selection_rate_difference", "a")
    )
    rate = current.groupby(current["group"] == "a")["prediction"].mean()
    assert of_suite.values(cells, cells)[0, place] == pytest.approx(rate[True] - rate[False])


def test_a_current_frame_may_have_more_groups_than_could_be_compared():
    reference = loans()
    current = reference.assign(group=[f"new {i}" for i in range(len(reference))])
    of_suite, cells = suite_cells(current, reference)
    assert np.isnan(of_suite.values(cells, cells)).all()
    assert (of_suite.counts(cells) == 0).all()


def test_what_the_reference_never_had_enough_of_has_no_line():
    reference = loans(200).assign(label=np.nan)
    of_suite, _ = suite_cells(reference)
    assert {line.metric for line in of_suite.lines} == {"selection_rate_difference"}
    without = Fairness.of(reference.drop(columns="label"), group_column="group")
    assert without.lines == of_suite.lines


def test_a_measure_of_one_group_is_refused():
    with pytest.raises(ValueError) as refused:
        Fairness.of(loans(names=("a",)), group_column="group")
    assert str(refused.value) == "group_column='group' holds 1 group; two or more are needed"


def test_no_lines_give_no_values():
    of_suite, cells = suite_cells(loans(60, names=("a", "b")), minimum=1000)
    assert of_suite.lines == ()
    assert of_suite.values(cells, cells).shape == (1, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]),
            st.sampled_from([0, 1, None]),
            st.sampled_from([0, 1, None]),
        ),
        max_size=40,
    )
)
def test_any_rows_give_measurements_within_their_bounds(rows):
    frame = pd.DataFrame(rows, columns=["group", "prediction", "label"], dtype="object")
    frame["event_time"] = pd.DatetimeIndex(times(len(frame)), tz="UTC")
    table = measure(frame)
    known = table[table["value"].notna() & table["low"].notna()]
    assert (known["low"] <= known["value"] + 1e-12).all()
    assert (known["value"] <= known["high"] + 1e-12).all()
    rates = table[~table["metric"].isin(["count", *DIFFERENCES])]
    assert rates["value"].dropna().between(0, 1).all()
    assert set(table["metric"]) <= set(METRICS)
