"""The documented bias metrics: their definitions, by window, and bias drift."""

import inspect

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from utils.monitors import bias as module
from utils.monitors.bias import (
    METRICS,
    POST_TRAINING,
    PRE_TRAINING,
    Confusion,
    bias,
    bias_drift,
    conditional_demographic_disparity,
    difference_in_proportions,
    disparate_impact,
    flip_test,
    generalized_entropy,
    jensen_shannon_divergence,
    kolmogorov_smirnov,
    kullback_leibler_divergence,
    lp_norm,
    total_variation_distance,
    treatment_equality,
)
from utils.monitors.fairness import fairness
from utils.records import MEASUREMENT_COLUMNS

START = pd.Timestamp("2024-01-01", tz="UTC")
A = Confusion(tp=65, fp=10, fn=5, tn=20)
D = Confusion(tp=20, fp=5, fn=7, tn=18)


def seeded():
    return np.random.default_rng(7)


def times(n, *, per_day=24):
    return pd.DatetimeIndex(START + pd.Timedelta("1D") / per_day * np.arange(n))


def loans(n=800, *, seed=0, per_day=24, gap=0.15):
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n, p=[0.3, 0.7])
    income = rng.normal(3, 1, n)
    score = 1 / (1 + np.exp(-(income - 3))) - gap * (sex == "f")
    return pd.DataFrame(
        {
            "event_time": times(n, per_day=per_day),
            "sex": sex,
            "region": rng.choice(["Norte", "Sul"], n),
            "income": income,
            "prediction": (score > 0.4).astype(int),
            "label": (rng.random(n) < score + 0.05).astype(int),
        }
    )


def measure(frame, *, minimum=1, rng=None, **options):
    options = {"group_column": "sex", "disfavoured": "f"} | options
    return bias(frame, minimum=minimum, rng=rng or seeded(), **options)


def values(table, column="value"):
    assert not table["metric"].duplicated().any()
    return table.set_index("metric")[column]


EVERYTHING = {"stratum_column": "region", "features": ["income", "region"]}


# ----------------------------------------------------------------------------------- definitions


def test_the_names_are_the_documented_ones():
    assert set(PRE_TRAINING) == set("CI DPL KL JS LP TVD KS CDDL".split())
    assert set(POST_TRAINING) == set("DPPL DI CDDPL FT AD RD DCAcc DAR SD DCR DRR TE GE".split())
    for function in {*PRE_TRAINING.values(), *POST_TRAINING.values()}:
        assert "Source" in inspect.getdoc(function), function.__name__


def test_distances_are_those_of_scipy():
    rng = np.random.default_rng(1)
    favoured, disfavoured = rng.integers(1, 50, (2, 20, 4))
    p, q = (each / each.sum(axis=1, keepdims=True) for each in (favoured, disfavoured))
    np.testing.assert_allclose(
        kullback_leibler_divergence(favoured, disfavoured), entropy(p, q, axis=1)
    )
    np.testing.assert_allclose(
        jensen_shannon_divergence(favoured, disfavoured), jensenshannon(p, q, axis=1) ** 2
    )
    for order, function in ((2, lp_norm), (np.inf, kolmogorov_smirnov)):
        np.testing.assert_allclose(
            function(favoured, disfavoured), np.linalg.norm(p - q, order, axis=1)
        )
    np.testing.assert_allclose(
        total_variation_distance(favoured, disfavoured), np.linalg.norm(p - q, 1, axis=1) / 2
    )


def test_a_label_that_one_group_lacks_is_infinitely_far_by_kullback_leibler_alone():
    favoured, disfavoured = np.array([5, 5]), np.array([10, 0])
    assert kullback_leibler_divergence(favoured, disfavoured) == np.inf
    assert kullback_leibler_divergence(disfavoured, favoured) == pytest.approx(np.log(2))
    assert jensen_shannon_divergence(favoured, disfavoured) < np.log(2)


def test_conditional_disparity_is_what_clarify_computes_in_its_own_test():
    """The rows and the expected values are those of amazon-sagemaker-clarify's test of CDDL."""
    sex = np.array(list("MMMFFFFMMMMFMMFMFFMMFMMF"))
    label = np.array([0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0])
    stratum = np.array([1, 0, 2, 2, 1, 1, 2, 1, 1, 2, 0, 1, 2, 0, 1, 1, 1, 2, 0, 1, 0, 0, 1, 1])
    counts = {
        who: np.array(
            [
                [((sex == who) & (stratum == i) & (label == y)).sum() for y in (0, 1)]
                for i in range(3)
            ]
        )
        for who in "FM"
    }
    found = conditional_demographic_disparity(counts["M"], counts["F"])
    assert found == pytest.approx(0.3982142857)
    assert conditional_demographic_disparity(counts["F"], counts["M"]) == pytest.approx(-found)


def test_a_paradox_is_undone_by_conditioning():
    """Women are refused more overall, and less in each department: they apply to the hard one."""
    men, women = np.array([[20, 80], [9, 1]]), np.array([[1, 9], [80, 20]])
    overall = conditional_demographic_disparity(
        men.sum(axis=0, keepdims=True), women.sum(axis=0, keepdims=True)
    )
    assert overall > 0.3
    assert conditional_demographic_disparity(men, women) < 0


def test_a_stratum_with_one_kind_alone_is_left_out():
    men, women = np.array([[4, 6], [0, 50]]), np.array([[6, 4], [0, 50]])
    assert conditional_demographic_disparity(men, women) == pytest.approx(0.2)
    only = conditional_demographic_disparity(men[1:], women[1:])
    assert np.isnan(only)


def test_generalized_entropy_is_half_the_squared_variation_of_the_benefits():
    benefit = np.repeat([1, 2, 0, 1], [85, 15, 12, 38])
    expected = ((benefit / benefit.mean()) ** 2 - 1).mean() / 2
    assert generalized_entropy(A, D) == pytest.approx(expected)
    assert generalized_entropy(D, A) == pytest.approx(expected)
    perfect = Confusion(tp=5, fp=0, fn=0, tn=5)
    assert generalized_entropy(perfect, perfect) == 0
    hopeless = Confusion(tp=0, fp=0, fn=5, tn=0)
    assert np.isnan(generalized_entropy(hopeless, hopeless))


@pytest.mark.parametrize("name", [each for each in METRICS if each != "FT"])
def test_equal_groups_have_no_bias_and_swapping_turns_the_sign(name):
    function = (PRE_TRAINING | POST_TRAINING)[name]
    uses = module._USES[name]
    a, d = (
        (A, D)
        if uses == "confusions"
        else (np.array([[40, 60]]), np.array([[35, 15]]))
        if uses.endswith("by_stratum")
        else (np.array([40, 60]), np.array([35, 15]))
    )
    fair = 1.0 if name == "DI" else function(a, a) if name == "GE" else 0.0
    assert function(a, a) == pytest.approx(fair)
    there, back = function(a, d), function(d, a)
    assert there != pytest.approx(fair) or name == "GE"
    if name == "DI":
        assert back == pytest.approx(1 / there)
    elif name in ("JS", "LP", "TVD", "KS", "GE"):
        assert back == pytest.approx(there)
    elif name != "KL":
        assert back == pytest.approx(-there)


def test_functions_take_arrays_element_by_element():
    stacked = Confusion(**{k: np.array([[getattr(A, k), getattr(D, k)]]) for k in vars(A)})
    other = Confusion(**{k: np.array([[getattr(D, k)] * 2]) for k in vars(A)})
    found = treatment_equality(stacked, other)
    assert found.shape == (1, 2)
    assert found.tolist() == [[pytest.approx(treatment_equality(A, D)), 0.0]]
    counts = np.array([[[40, 60], [35, 15]]])
    assert disparate_impact(counts, counts[:, ::-1]).shape == (1, 2)


def test_no_rows_give_no_value():
    nobody = Confusion(tp=0, fp=0, fn=0, tn=0)
    for name, function in (PRE_TRAINING | POST_TRAINING).items():
        uses = module._USES[name]
        if name == "FT":
            continue
        none = nobody if uses == "confusions" else np.zeros((2, 2))
        assert np.isnan(function(none, none)).all(), name


# ------------------------------------------------------------------------------------- flip test


def nearest_vote(features, answers, row, k):
    near = np.argsort(np.abs(features - row), kind="stable")[:k]
    return answers[near].mean() > 0.5


def test_the_flip_test_is_a_vote_of_the_nearest():
    frame = loans(300)
    of_d, selected = (frame["sex"] == "f").to_numpy(), (frame["prediction"] == 1).to_numpy()
    income = frame["income"].to_numpy()
    votes = np.array(
        [nearest_vote(income[~of_d], selected[~of_d], each, 5) for each in income[of_d]]
    )
    own = selected[of_d]
    expected = ((votes & ~own).sum() - (~votes & own).sum()) / of_d.sum()
    found = flip_test(frame[["income"]], disfavoured=of_d, selected=selected)
    assert expected > 0.05
    assert found == pytest.approx(expected)


def test_the_flip_test_does_not_depend_on_units():
    frame = loans(300)
    of_d, selected = (frame["sex"] == "f").to_numpy(), (frame["prediction"] == 1).to_numpy()
    features = frame[["income"]].assign(age=seeded().normal(40, 10, 300), region=frame["region"])
    cents = features.assign(income=100 * features["income"])
    assert flip_test(features, disfavoured=of_d, selected=selected) == flip_test(
        cents, disfavoured=of_d, selected=selected
    )


def test_the_flip_test_takes_gaps_constants_and_any_type():
    of_d = np.array([True, False] * 6)
    features = pd.DataFrame(
        {
            "number": [1.0, None] * 6,
            "nothing": [None] * 12,
            "constant": [3] * 12,
            "truth": pd.array([True, None] * 6, dtype="boolean"),
            "word": pd.Categorical(["a", None] * 6),
            "arrow": pd.array([1, None] * 6, dtype="int64[pyarrow]"),
        }
    )
    found = flip_test(features, disfavoured=of_d, selected=~of_d, n_neighbours=99)
    assert found == 1.0
    assert np.isnan(flip_test(features, disfavoured=of_d & False, selected=of_d))
    with pytest.raises(ValueError, match="n_neighbours=0: at least 1 is needed"):
        flip_test(features, disfavoured=of_d, selected=of_d, n_neighbours=0)


# ------------------------------------------------------------------------------------- by window


def test_metrics_of_a_frame_are_those_of_its_counts():
    frame = loans()
    found = values(measure(frame, **EVERYTHING))
    of_f = frame["sex"] == "f"
    y, answer = frame["label"], frame["prediction"]

    def confusion(rows):
        return Confusion(
            tp=((y == 1) & (answer == 1) & rows).sum(),
            fp=((y == 0) & (answer == 1) & rows).sum(),
            fn=((y == 1) & (answer == 0) & rows).sum(),
            tn=((y == 0) & (answer == 0) & rows).sum(),
        )

    def counts(column, rows):
        return np.array([(rows & (column == each)).sum() for each in (0, 1)])

    def by_stratum(column, rows):
        strata = [rows & (frame["region"] == each) for each in ("Norte", "Sul")]
        return np.stack([counts(column, each) for each in strata])

    selected = (answer == 1).to_numpy()
    expected = {
        "FT": flip_test(frame[["income", "region"]], disfavoured=of_f.to_numpy(), selected=selected)
    }
    for name in METRICS:
        function = (PRE_TRAINING | POST_TRAINING)[name]
        column = y if name in PRE_TRAINING else answer
        table = {
            "confusions": confusion,
            "observed_by_stratum": lambda rows: by_stratum(y, rows),
            "answered_by_stratum": lambda rows: by_stratum(answer, rows),
        }.get(module._USES[name], lambda rows, column=column: counts(column, rows))
        if name != "FT":
            expected[name] = float(function(table(~of_f), table(of_f)))
    assert set(found.index) == set(METRICS)
    assert dict(found) == pytest.approx(expected)


def test_of_two_groups_the_differences_are_fairlearns():
    frame = loans()
    found = values(measure(frame))
    y, answer, sex = frame["label"], frame["prediction"], frame["sex"]
    parity = oracle.demographic_parity_difference(y, answer, sensitive_features=sex)
    opportunity = oracle.equal_opportunity_difference(y, answer, sensitive_features=sex)
    assert abs(found["DPPL"]) == pytest.approx(parity)
    assert abs(found["RD"]) == pytest.approx(opportunity)
    ratio = oracle.demographic_parity_ratio(y, answer, sensitive_features=sex)
    assert min(found["DI"], 1 / found["DI"]) == pytest.approx(ratio)


def test_differences_of_proportions_have_the_interval_of_fairness():
    frame = loans()
    own = measure(frame, metrics=["DPPL", "RD"])
    other = fairness(
        frame, group_column="sex", reference_group="m", window=None, minimum=1, rng=seeded()
    ).set_index("metric")
    for metric, name in (("DPPL", "selection_rate_difference"), ("RD", "recall_difference")):
        row = values(own, ["value", "low", "high"]).loc[metric]
        assert row["value"] == pytest.approx(-other.loc[name, "value"])
        assert row["low"] == pytest.approx(-other.loc[name, "high"])
        assert row["high"] == pytest.approx(-other.loc[name, "low"])


def test_labels_may_be_of_several_classes():
    frame = loans()
    rng = seeded()
    frame["label"] = rng.choice(["accepted", "waitlisted", "rejected"], len(frame))
    frame["prediction"] = rng.choice(["accepted", "rejected"], len(frame))
    found = values(measure(frame, positive="accepted"))
    counts = pd.crosstab(frame["sex"], frame["label"])
    p, q = (counts.loc[each] / counts.loc[each].sum() for each in "mf")
    assert found["KS"] == pytest.approx((p - q).abs().max())
    assert found["LP"] == pytest.approx(np.linalg.norm(p - q))
    assert found["DPL"] == pytest.approx(p["accepted"] - q["accepted"])


def test_another_group_may_be_the_favoured_one():
    frame = loans().assign(sex=lambda f: f["sex"].where(np.arange(len(f)) % 3 > 0, "x"))
    to_all, to_men = (
        values(measure(frame, favoured=favoured, metrics=["DPPL"]), ["value", "n_current"])
        for favoured in (None, "m")
    )
    rate = frame.groupby("sex")["prediction"].mean()
    rest = frame[frame["sex"] != "f"]["prediction"].mean()
    assert to_men.loc["DPPL", "value"] == pytest.approx(rate["m"] - rate["f"])
    assert to_all.loc["DPPL", "value"] == pytest.approx(rest - rate["f"])
    assert to_men.loc["DPPL", "n_current"] == (frame["sex"] != "x").sum()


def test_what_the_frame_lacks_is_not_measured():
    frame = loans()
    assert set(measure(frame.drop(columns="label"))["metric"]) == {"DPPL", "DI"}
    without = measure(frame.drop(columns="prediction"), stratum_column="region")
    assert set(without["metric"]) == set(PRE_TRAINING)


def test_unknown_labels_and_missing_answers_do_not_count():
    frame = loans().astype({"label": float, "prediction": float})
    frame.loc[::2, "label"] = np.nan
    frame.loc[1::4, "prediction"] = np.nan
    n = values(measure(frame, **EVERYTHING), "n_current")
    assert (n["CI"], n["DPPL"], n["RD"], n["FT"]) == (400, 600, 200, 600)
    both = frame.dropna(subset=["label", "prediction"])
    assert values(measure(frame))["RD"] == pytest.approx(values(measure(both))["RD"])


def test_a_group_below_the_minimum_is_unknown():
    table = measure(loans(100), minimum=50, **EVERYTHING)
    assert table[["value", "low", "high"]].isna().all(axis=None)
    assert (table["n_current"] == 100).all()


def test_windows_are_the_same_alone_and_together():
    frame = loans(24 * 14)
    whole = measure(frame, window="7D", **EVERYTHING)
    assert list(whole.columns) == list(MEASUREMENT_COLUMNS)
    second = START + pd.Timedelta("7D")
    alone = measure(frame[frame["event_time"] >= second], window="7D", **EVERYTHING)
    pd.testing.assert_frame_equal(
        whole[whole["window_start"] == second].reset_index(drop=True), alone
    )


def test_an_empty_window_is_there():
    frame = loans(48)
    edges = {"start": START, "end": START + pd.Timedelta("4D")}
    table = measure(frame, window="2D", **edges, **EVERYTHING)
    empty = table[table["window_start"] > START]
    assert len(empty) == len(METRICS)
    assert empty["value"].isna().all() and (empty["n_current"] == 0).all()


def test_days_that_are_all_good_or_all_bad_widen_every_interval():
    rng = seeded()
    frame = loans(20 * 60, per_day=60)
    good = np.repeat(rng.random(20) < 0.5, 60)
    frame["prediction"] = np.where(good & (frame["sex"] == "f"), 1, rng.random(1200) < 0.5)
    frame["label"] = frame["prediction"]
    by_row, by_day = (
        values(measure(frame, block=block, **EVERYTHING), ["value", "low", "high"])
        for block in (None, "1D")
    )
    for metric in ("DPL", "DPPL", "DI", "CDDPL", "JS"):
        rows, days = (
            each.loc[metric, "high"] - each.loc[metric, "low"] for each in (by_row, by_day)
        )
        assert days > 1.3 * rows, metric
    pd.testing.assert_series_equal(by_row["value"], by_day["value"])
    single = measure(frame.iloc[:60], block="1D", **EVERYTHING)
    assert single[["low", "high"]].isna().all(axis=None) and single["value"].notna().any()


@pytest.mark.parametrize("block", [None, "1h"])
def test_intervals_hold_the_truth_as_often_as_they_promise(block):
    """Of 200 days, each a sample of one world; the truth is that of all of them."""
    frame = loans(200 * 240, per_day=240, gap=0.2)
    names = [name for name in METRICS if name not in ("FT", "TE")]
    options = {"metrics": names, "stratum_column": "region", "block": block, "draws": 200}
    truth = values(measure(frame, **options))
    table = measure(frame, window="1D", **options)
    for metric in names:
        found = table[table["metric"] == metric]
        held = found["low"].le(truth[metric]) & found["high"].ge(truth[metric])
        assert held.mean() > 0.91, metric  # 0.95, less twice the error of 200 days


@pytest.mark.parametrize("n_labels", [2, 3, 10])
def test_the_interval_of_a_distance_begins_at_0_where_there_is_none(n_labels):
    rng, n = seeded(), 200 * 240
    frame = pd.DataFrame({"event_time": times(n, per_day=240), "sex": rng.choice(["f", "m"], n)})
    frame["label"] = rng.choice(list("abcdefghij")[:n_labels], n)
    table = measure(frame, window="1D", positive="a")
    for metric in ("KL", "JS", "LP", "TVD", "KS"):
        found = table[table["metric"] == metric]
        assert found["value"].mean() > 0
        assert found["low"].eq(0).mean() > 0.92, metric  # 0.95, less twice the error of 200 days


def test_the_interval_of_the_flip_test_is_that_of_its_rows():
    frame = loans(2000)
    row = values(measure(frame, features=["income"]), ["value", "low", "high"]).loc["FT"]
    error = (row["high"] - row["low"]) / 2 / 1.96
    n = (frame["sex"] == "f").sum()
    assert error == pytest.approx(np.sqrt((abs(row["value"]) - row["value"] ** 2) / n), rel=0.2)
    few = measure(frame, features=["income"], max_rows=100)
    assert abs(values(few)["FT"] - row["value"]) < 0.3


def test_nothing_changes_its_inputs():
    frame = loans()
    before = frame.copy(deep=True)
    measure(frame, **EVERYTHING)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"disfavoured": "F"}, "disfavoured='F' is no group of 'sex'; known: f, m"),
        ({"favoured": "M"}, "favoured='M' is no group of 'sex'; known: f, m"),
        (
            {"favoured": "f"},
            "favoured='f' is the disfavoured group; name another, or none",
        ),
        ({"metrics": ["DPPLL"]}, "metrics: 'DPPLL' is no metric of bias; did you mean 'DPPL'?"),
        ({"metrics": "DI"}, "metrics='DI': a list of names is needed, such as ['DI']"),
        ({"metrics": ["CDDL"]}, "metrics: 'CDDL' needs stratum_column"),
        ({"metrics": ["FT"]}, "metrics: 'FT' needs features"),
        ({"metrics": ["TE"], "label_column": "y"}, "metrics: 'TE' needs label_column"),
        (
            {"stratum_column": "income"},
            "stratum_column='income' holds 800 different numbers; cut them into bands first, for "
            "example with pd.cut",
        ),
        (
            {"features": ["incom"]},
            "features='incom' is no column of the frame; did you mean 'income'?",
        ),
        (
            {"label_column": "income", "positive": 1},
            "label_column='income' holds 800 different labels; at most 20 are classes: cut "
            "numbers into bands first, for example with pd.cut",
        ),
        (
            {"label_column": "y", "prediction_column": "answer"},
            "label_column='y', prediction_column='answer': the frame has neither; one of them is "
            "needed",
        ),
        ({"draws": 0}, "draws=0: at least 1 is needed"),
    ],
)
def test_misuse_is_refused_by_name(options, message):
    with pytest.raises(ValueError) as refused:
        measure(loans(), **options)
    assert str(refused.value) == message


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["f", "m", None]),
            st.sampled_from([0, 1, None]),
            st.sampled_from([0, 1, None]),
        ),
        max_size=30,
    )
)
def test_any_rows_give_measurements(rows):
    rows = [("f", 0, 1), ("m", 1, 0), *rows]
    frame = pd.DataFrame(rows, columns=["sex", "prediction", "label"], dtype="object")
    frame = frame.assign(
        event_time=times(len(frame)), region="Sul", income=np.arange(len(frame)) % 3
    )
    table = measure(frame, draws=20, **EVERYTHING)
    assert set(table["metric"]) == set(METRICS)
    known = table[table["value"].notna() & table["low"].notna()]
    assert (known["low"] <= known["value"] + 1e-12).all()
    assert (known["value"] <= known["high"] + 1e-12).all()


# ------------------------------------------------------------------------------------ bias drift


def test_what_lies_further_out_than_the_baseline_is_an_alarm():
    baseline = measure(loans(gap=0.1), **EVERYTHING)
    current = measure(loans(gap=0.4, seed=1), **EVERYTHING)
    drifted = values(bias_drift(current, baseline), list(MEASUREMENT_COLUMNS[6:13]))
    assert drifted.loc[["DPL", "DPPL", "DI", "CDDPL"], "alarm"].all()
    before, after = values(baseline), values(current)
    for metric in set(METRICS) - {"DI"}:
        assert drifted.loc[metric, "alarm"] == (abs(after[metric]) > abs(before[metric]))
        assert drifted.loc[metric, "threshold_high"] == abs(before[metric])
        assert drifted.loc[metric, "threshold_low"] == -abs(before[metric])
    assert drifted.loc["DI", "threshold_low"] == pytest.approx(before["DI"])
    assert drifted.loc["DI", "threshold_high"] == pytest.approx(1 / before["DI"])
    assert not bias_drift(baseline, baseline)["alarm"].any()


def test_what_is_unknown_is_no_alarm_and_what_one_lacks_is_left_out():
    baseline = measure(loans(), **EVERYTHING)
    current = measure(loans(), minimum=10_000, metrics=["DPPL", "DI"])
    drifted = bias_drift(current, baseline)
    assert drifted["metric"].tolist() == ["DPPL", "DI"]
    assert not drifted["alarm"].any()
    assert (drifted["n_reference"] == 800).all()


def test_a_disparate_impact_that_comes_closer_to_1_is_no_alarm():
    row = measure(loans(), metrics=["DI"])
    fairer, worse, reversed_ = (row.assign(value=value) for value in (0.9, 0.7, 1.3))
    baseline = row.assign(value=0.8)
    assert not bias_drift(fairer, baseline)["alarm"].any()
    assert bias_drift(worse, baseline)["alarm"].all()
    assert bias_drift(reversed_, baseline)["alarm"].all()


def test_the_documented_rule_cries_in_a_quiet_world():
    quiet = loans(80 * 240, per_day=240)
    options = {"metrics": ["DPPL", "AD"]}
    baseline = measure(quiet.iloc[:2400], **options)
    drifted = bias_drift(measure(quiet.iloc[2400:], window="1D", **options), baseline)
    shares = drifted.groupby("metric")["alarm"].mean()
    assert shares["DPPL"] > 0.2
    assert shares["AD"] > 0.2


def test_a_baseline_of_several_windows_is_refused():
    table = measure(loans(48), window="1D", metrics=["DI"])
    with pytest.raises(ValueError) as refused:
        bias_drift(table, table)
    assert str(refused.value) == (
        "baseline has several rows for metric='DI', feature='sex', group='f'; measure it with "
        "window=None"
    )


def test_the_proportions_of_both_stages_are_one_function():
    assert PRE_TRAINING["DPL"] is POST_TRAINING["DPPL"] is difference_in_proportions
