"""Model Monitor's statistics, constraints and six checks: by hand, and against scipy."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare, ks_2samp

from tests.monitors.columns import COLUMNS, repeated
from utils.monitors.constraints import (
    CHECKS,
    CategoryBucket,
    Constraint,
    Constraints,
    FeatureStatistics,
    MonitoringConfig,
    Statistics,
    baseline_drift,
    compared,
    constraint_violations,
    statistics,
    suggested_constraints,
)

SIMPLE = MonitoringConfig(comparison_method="Simple")
ROBUST = MonitoringConfig(comparison_method="Robust")


def visits(n=200, *, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "wait_min": rng.integers(0, 60, n),
            "distance_km": rng.lognormal(1, 0.5, n),
            "desk": rng.choice(["a", "b", "c"], n),
        }
    )


def described(values):
    return statistics(pd.DataFrame({"x": values})).features[0]


def found(current, constraints, **settings):
    return [
        (each.feature_name, each.constraint_check_type)
        for each in constraint_violations(current, constraints, **settings)
    ]


# ------------------------------------------------------------------------------ statistics


def test_the_statistics_of_numbers():
    x = described([1.0, 2.0, None, 4.0, 11.0])
    assert (x.name, x.inferred_type, x.num_present, x.num_missing) == ("x", "Integral", 4, 1)
    assert (x.mean, x.sum, x.min, x.max) == (4.5, 18.0, 1.0, 11.0)
    assert x.std_dev == pytest.approx(np.std([1, 2, 4, 11]))
    assert x.completeness == 0.8
    assert [b.lower_bound for b in x.buckets] == pytest.approx(range(1, 11))
    assert [b.upper_bound for b in x.buckets] == pytest.approx(range(2, 12))
    assert [b.count for b in x.buckets] == [1, 1, 0, 1, 0, 0, 0, 0, 0, 1]
    assert x.sketch == ((1.0, 2.0, 4.0, 11.0),)


def test_the_statistics_of_text_have_the_commonest_values_first():
    x = described(["b", "a", "b", None, "c", "a"])
    assert (x.inferred_type, x.num_present, x.num_missing, x.distinct_count) == ("String", 5, 1, 3)
    assert [(c.value, c.count) for c in x.categories] == [("a", 2), ("b", 2), ("c", 1)]
    assert x.mean is None and x.buckets == ()


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, 2], "Integral"),
        ([1.0, None], "Integral"),
        ([1, 2.5], "Fractional"),
        ([1, np.inf], "Fractional"),
        (["1", "2"], "String"),
        ([True, False], "String"),
        ([1, "a"], "String"),
        ([None, None], "Unknown"),
        ([], "Unknown"),
    ],
)
def test_a_column_has_the_type_that_all_its_values_have(values, type_):
    assert described(pd.Series(values, dtype="object")).inferred_type == type_


def test_the_type_of_the_constraints_is_kept_so_that_one_text_hides_no_numbers():
    constraints = suggested_constraints(visits())
    mixed = visits().astype({"wait_min": "object"})
    mixed.loc[0, "wait_min"] = "ten"
    kept = statistics(mixed, like=constraints).by_name["wait_min"]
    assert (kept.inferred_type, kept.types) == ("Integral", {"Integral": 199, "String": 1})
    assert kept.num_present == 200 and sum(b.count for b in kept.buckets) == 199
    assert statistics(mixed).by_name["wait_min"].inferred_type == "String"


@pytest.mark.parametrize("n", [0, 1, 2047, 2048, 2049, 5001, 100_000])
def test_a_sketch_weighs_as_much_as_there_are_values(n):
    values = np.random.default_rng(0).normal(size=n)
    x = described(values)
    weight = sum(len(level) * 2**i for i, level in enumerate(x.sketch))
    assert weight == n == sum(b.count for b in x.buckets)
    assert max(map(len, x.sketch), default=0) <= 2048
    if n > 2048:
        at = np.sort(np.concatenate(x.sketch))
        ranks = np.searchsorted(np.sort(values), at, side="right") / n
        assert np.abs(ranks - np.arange(1, len(at) + 1) / len(at)).max() < 0.002


@pytest.mark.parametrize(
    ("values", "n_finite"),
    [
        ([3.0] * 5, 5),
        ([-1.7e308, 1.7e308], 2),
        ([np.inf, 1.0], 1),
        ([np.inf], 0),
        ([0, 10**400], 1),
    ],
)
def test_odd_numbers_have_statistics(values, n_finite):
    x = described(pd.Series(values, dtype="object"))
    assert x.num_present == len(values)
    assert sum(b.count for b in x.buckets) == n_finite
    assert x.mean is None or not np.isnan(x.mean)


@pytest.mark.parametrize("name", COLUMNS)
def test_any_column_keeps_the_constraints_that_it_suggests(name):
    frame = pd.DataFrame({"x": repeated(name, 40)})
    baseline = statistics(frame)
    constraints = suggested_constraints(baseline)
    assert constraint_violations(frame, constraints, baseline=baseline) == []
    for other in ("bool", "float", "str", "mixed", "lists", "moments", "all missing"):
        for each in constraint_violations(
            pd.DataFrame({"x": repeated(other, 40)}), constraints, baseline=baseline
        ):
            assert each.constraint_check_type in CHECKS and each.feature_name == "x"


def test_only_the_features_asked_for_are_described():
    assert [f.name for f in statistics(visits(), features=["desk"]).features] == ["desk"]
    with pytest.raises(ValueError, match="features: 'desks' is no column; did you mean 'desk'"):
        statistics(visits(), features=["desks"])


def test_a_thousand_values_are_kept_of_more():
    x = described([f"row {i}" for i in range(1500)] + ["often"])
    assert (x.distinct_count, len(x.categories)) == (1501, 1000)
    assert suggested_constraints(statistics(pd.DataFrame({"x": ["a"] * 9}))).features[0].domains
    many = pd.DataFrame({"x": [str(i) for i in range(31)]})
    assert suggested_constraints(many).features[0].domains is None


# -------------------------------------------------------------------------------- suggested


def test_a_reference_suggests_what_it_happened_to_be():
    reference = visits().assign(balance=lambda f: f["wait_min"] - 30.5)
    reference.loc[:9, "desk"] = None
    wait, distance, desk, balance = suggested_constraints(reference).features
    assert wait == Constraint(name="wait_min", inferred_type="Integral", is_non_negative=True)
    assert distance.inferred_type == "Fractional"
    assert (desk.completeness, desk.domains, desk.is_non_negative) == (0.95, ("a", "b", "c"), None)
    assert balance.is_non_negative is False


def test_the_default_thresholds_are_those_of_real_files():
    config = MonitoringConfig()
    assert (config.datatype_check_threshold, config.domain_content_threshold) == (1.0, 1.0)
    assert config.comparison_threshold == config.categorical_comparison_threshold == 0.1
    names = {field.name for field in fields(MonitoringConfig)}
    assert names >= {
        "evaluate_constraints",
        "emit_metrics",
        "perform_comparison",
        "comparison_method",
        "categorical_drift_method",
    }


# ------------------------------------------------------------------------------ the six checks


def test_a_type_that_matches_less_than_it_must_is_told_in_the_documented_form():
    constraints = suggested_constraints(visits())
    odd = visits().assign(wait_min=lambda f: f["wait_min"] + np.where(f.index < 3, 0.5, 0))
    (violation,) = constraint_violations(odd, constraints)
    assert violation.feature_name == "wait_min"
    assert violation.constraint_check_type == "data_type_check"
    assert violation.description == (
        "Data type match requirement is not met. Expected data type: Integral, "
        "Expected match: 100.0%. Observed: Only 98.5% of data is Integral."
    )
    borne = replace(constraints, monitoring_config=MonitoringConfig(datatype_check_threshold=0.985))
    assert constraint_violations(odd, borne) == []


def test_whole_numbers_are_fractional_too_and_text_is_neither():
    constraints = suggested_constraints(visits())
    assert found(visits().assign(distance_km=3), constraints) == []
    assert found(visits().assign(distance_km="3"), constraints) == [
        ("distance_km", "data_type_check")
    ]


def test_negative_values_break_the_type():
    (violation,) = constraint_violations(
        visits().assign(wait_min=-1), suggested_constraints(visits())
    )
    assert violation.constraint_check_type == "data_type_check"
    assert violation.description.endswith("Expected: non-negative values. Observed: Minimum -1.0.")


def test_less_complete_than_the_baseline():
    reference = visits().apply(lambda column: column.mask(column.index < 20))
    constraints = suggested_constraints(reference)
    assert found(reference, constraints) == []
    worse = visits().assign(desk=lambda f: f["desk"].mask(f.index < 21))
    (violation,) = constraint_violations(worse, constraints)
    assert (violation.feature_name, violation.constraint_check_type) == (
        "desk",
        "completeness_check",
    )
    assert violation.description == (
        "Data completeness requirement is not met. Expected completeness: 90.0%. "
        "Observed: Only 89.5% of data is present."
    )


def test_a_renamed_column_is_one_that_is_missing_and_one_that_is_extra():
    renamed = visits().rename(columns={"desk": "counter"})
    violations = constraint_violations(renamed, suggested_constraints(visits()))
    assert [(v.feature_name, v.constraint_check_type) for v in violations] == [
        ("desk", "missing_column_check"),
        ("counter", "extra_column_check"),
    ]
    assert violations[0].description == (
        "There are missing columns in current dataset. Number of columns in current dataset: 3, "
        "Number of columns in baseline constraints: 3"
    )
    assert violations[1].description.startswith("There are extra columns in current dataset.")


def test_values_outside_the_domain():
    constraints = suggested_constraints(visits())
    unknown = visits().assign(desk=lambda f: f["desk"].where(f.index >= 50, "z"))
    (violation,) = constraint_violations(unknown, constraints)
    assert violation.constraint_check_type == "categorical_values_check"
    assert violation.description == (
        "Domain content requirement is not met. Expected match: 100.0%. "
        "Observed: Only 75.0% of data is in the domain."
    )
    borne = replace(constraints, monitoring_config=MonitoringConfig(domain_content_threshold=0.75))
    assert constraint_violations(unknown, borne) == []


def test_a_distance_above_the_threshold():
    reference = visits(2000)
    baseline, constraints = statistics(reference), suggested_constraints(reference)
    moved = reference.assign(wait_min=lambda f: f["wait_min"] + 30, desk="a")
    assert found(reference, constraints, baseline=baseline) == []
    numbers, texts = constraint_violations(moved, constraints, baseline=baseline)
    assert numbers.feature_name == "wait_min" and texts.feature_name == "desk"
    assert numbers.constraint_check_type == texts.constraint_check_type == "baseline_drift_check"
    distance = baseline_drift(
        statistics(moved).by_name["wait_min"], baseline.by_name["wait_min"], config=ROBUST
    )
    assert numbers.description == f"Numerical distance: {distance} exceeds numerical threshold: 0.1"
    assert texts.description.startswith("Categorical distance: 0.")
    assert found(moved, constraints) == []  # nothing to compare with
    off = replace(constraints, monitoring_config=MonitoringConfig(perform_comparison="Disabled"))
    assert found(moved, off, baseline=baseline) == []


def test_a_p_value_below_the_threshold():
    reference = visits(2000)
    config = MonitoringConfig(categorical_drift_method="ChiSquared")
    constraints = suggested_constraints(reference, config=config)
    baseline = statistics(reference)
    assert found(reference, constraints, baseline=baseline) == []
    moved = reference.assign(desk=lambda f: f["desk"].where(f.index >= 100, "a"))
    (violation,) = constraint_violations(moved, constraints, baseline=baseline)
    assert "p-value" in violation.description and "is below" in violation.description


# ------------------------------------------------------------------------------- the rules


def test_one_feature_may_have_settings_of_its_own():
    constraints = suggested_constraints(visits())
    odd = visits().assign(wait_min=0.5, desk="z")
    overrides = {
        "wait_min": {"datatype_check_threshold": 0.0},
        "desk": {"evaluate_constraints": "Disabled"},
    }
    lenient = replace(
        constraints,
        features=tuple(
            replace(each, overrides=overrides.get(each.name, {})) for each in constraints.features
        ),
    )
    assert found(odd, constraints) == [
        ("wait_min", "data_type_check"),
        ("desk", "categorical_values_check"),
    ]
    assert found(odd, lenient) == []


def test_nothing_is_evaluated_where_that_is_disabled():
    constraints = suggested_constraints(
        visits(), config=MonitoringConfig(evaluate_constraints="Disabled")
    )
    assert constraint_violations(pd.DataFrame({"other": ["x"]}), constraints) == []


def test_a_window_without_rows_breaks_only_its_columns():
    constraints = suggested_constraints(visits())
    baseline = statistics(visits())
    assert constraint_violations(visits().iloc[:0], constraints, baseline=baseline) == []
    nothing = pd.DataFrame({"wait_min": [], "distance_km": []})
    assert found(nothing, constraints) == [("desk", "missing_column_check")]


def test_a_window_without_values_is_incomplete_and_nothing_else():
    constraints, baseline = suggested_constraints(visits()), statistics(visits())
    gone = visits().assign(wait_min=None, desk=None)
    assert found(gone, constraints, baseline=baseline) == [
        ("wait_min", "completeness_check"),
        ("desk", "completeness_check"),
    ]


def test_statistics_that_were_read_back_have_one_type_and_their_buckets():
    reference = visits(3000)
    kept = statistics(reference).by_name["distance_km"]
    read = Statistics(
        item_count=3000,
        features=(replace(kept, types={}, sketch=()),),
    )
    constraints = Constraints(
        features=(Constraint(name="distance_km", inferred_type="Fractional"),)
    )
    assert constraint_violations(read, constraints, baseline=read) == []
    other = replace(constraints.features[0], inferred_type="String")
    assert found(read, Constraints(features=(other,))) == [("distance_km", "data_type_check")]
    moved = statistics(reference * {"wait_min": 1, "distance_km": 2, "desk": 1})
    exact = baseline_drift(moved.by_name["distance_km"], kept, config=SIMPLE)
    rough = baseline_drift(moved.by_name["distance_km"], read.features[0], config=SIMPLE)
    assert rough == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"comparison_threshold": 1.5}, r"comparison_threshold=1.5: a number in 0..1 is needed"),
        ({"comparison_method": "Fast"}, "comparison_method='Fast': one of Simple, Robust"),
        ({"emit_metrics": True}, "emit_metrics=True: one of Enabled, Disabled"),
    ],
)
def test_a_setting_that_is_none_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        MonitoringConfig(**settings)


# ------------------------------------------------------------------------------- distances


@pytest.mark.parametrize(("n", "m"), [(50, 80), (500, 2000), (2048, 1)])
def test_the_simple_distance_of_numbers_is_kolmogorov_and_smirnovs(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.integers(0, 20, n), rng.integers(5, 25, m)
    distance = baseline_drift(described(a), described(b), config=SIMPLE)
    assert distance == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    robust = baseline_drift(described(a), described(b), config=ROBUST)
    assert robust == pytest.approx(max(0, distance - 1.8 * np.sqrt((n + m) / (n * m))))


def test_the_distance_of_sketches_is_near_that_of_the_values():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 40_000), rng.normal(0.2, 1.1, 30_000)
    distance = baseline_drift(described(a), described(b), config=SIMPLE)
    assert distance == pytest.approx(ks_2samp(a, b).statistic, abs=0.003)


def test_the_distance_of_texts_is_the_largest_of_two_shares():
    a, b = described(list("aaab")), described(list("aabc"))
    assert baseline_drift(a, b, config=SIMPLE) == 0.25
    unseen = described(list("zzzz"))
    assert baseline_drift(unseen, b, config=SIMPLE) == 1
    assert baseline_drift(a, b, config=ROBUST) == 0


@pytest.mark.parametrize("observed", [(30, 50, 20), (10, 20, 0), (300, 200, 600)])
def test_pearsons_test_is_scipys(observed):
    expected = (400, 300, 300)
    a, b = (described(list(np.repeat(list("abc"), counts))) for counts in (observed, expected))
    wanted = chisquare(observed, np.array(expected) * sum(observed) / 1000)
    config = replace(ROBUST, categorical_drift_method="ChiSquared")
    assert baseline_drift(a, b, config=config) == pytest.approx(wanted.pvalue)
    config = replace(SIMPLE, categorical_drift_method="ChiSquared")
    assert baseline_drift(a, b, config=config) == pytest.approx(wanted.statistic)


def test_rare_values_are_put_together_until_there_are_enough_of_each():
    a, b = (
        described(list(np.repeat(list("abcdef"), counts)))
        for counts in ((60, 30, 1, 2, 3, 4), (600, 350, 20, 10, 10, 10))
    )
    config = replace(SIMPLE, categorical_drift_method="ChiSquared")
    # expected of 100: 60, 35, 2, 1, 1, 1: the four rare ones come to 5
    wanted = chisquare([60, 30, 10], [60, 35, 5])
    assert baseline_drift(a, b, config=config) == pytest.approx(wanted.statistic)
    tiny = described(list("ab"))
    assert np.isnan(baseline_drift(tiny, b, config=config))


def test_what_cannot_be_compared_has_no_distance():
    number, text, none = described([1, 2]), described(["a"]), described([None])
    nothing = FeatureStatistics(name="x", inferred_type="String", num_present=0, num_missing=2)
    assert np.isnan(baseline_drift(number, text, config=SIMPLE))
    assert np.isnan(baseline_drift(none, text, config=SIMPLE))
    assert np.isnan(baseline_drift(nothing, text, config=ROBUST))
    infinite = described([np.inf, np.inf])
    assert np.isnan(baseline_drift(infinite, number, config=ROBUST))


def test_the_buckets_of_text_are_plain_data():
    assert described(["a"]).categories == (CategoryBucket(value="a", count=1),)


# ------------------------------------------------------------------------------ side by side


def test_the_widest_gap_of_two_compared_numbers_is_their_distance():
    one, other = visits(seed=1), visits(150, seed=2)
    for name in ("wait_min", "distance_km"):
        a, b = (described(frame[name]) for frame in (one, other))
        table = compared(a, b)
        gap = (table["current"] - table["reference"]).abs().max()
        assert gap == pytest.approx(baseline_drift(a, b, config=SIMPLE))
        assert gap == pytest.approx(ks_2samp(one[name], other[name]).statistic)
        assert table["value"].is_monotonic_increasing
        assert table[["reference", "current"]].iloc[-1].to_list() == pytest.approx([1, 1])


def test_text_is_compared_by_its_shares_the_commonest_first():
    table = compared(described(["a", "c", "c", "c"]), described(["b", "a", "b", "b", "b"]))
    assert table.to_dict("list") == {
        "bin": ["b", "a", "c"],
        "reference": [0.8, 0.2, 0.0],
        "current": [0.0, 0.25, 0.75],
    }


def test_what_has_no_values_or_another_type_is_not_compared():
    with pytest.raises(ValueError, match="current: x is of another type"):
        compared(described(["a"]), described([1.0]))
    nothing = replace(described([1.0]), buckets=(), sketch=((),))
    with pytest.raises(ValueError, match="baseline: x has no values"):
        compared(described([1.0]), nothing)
    assert np.isnan(baseline_drift(described([1.0]), nothing, config=SIMPLE))
