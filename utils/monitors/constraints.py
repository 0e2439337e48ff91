"""Amazon SageMaker Model Monitor's statistics, constraints and six checks, computed.

Statistics describe a table, constraints say what a table must be, and violations are what of the
constraints a later table breaks. Each dataclass here has the fields of the object of the same name
in ``statistics.json``, ``constraints.json`` and ``constraint_violations.json``.

The constraints are folklore made machinery: every threshold is the same for a feature that never
varies and for one that always does, and for a window of fifty rows and one of a million.

Source: Amazon SageMaker AI developer guide, "Schema for Statistics", "Schema for Constraints" and
"Schema for Violations"; awslabs/deequ, ``Distance.scala``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.monitors import kinds
from utils.text import nearest

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
CheckType = Literal[
    "data_type_check",
    "completeness_check",
    "baseline_drift_check",
    "missing_column_check",
    "extra_column_check",
    "categorical_values_check",
]
Switch = Literal["Enabled", "Disabled"]

CHECKS: Mapping[CheckType, str] = {
    "data_type_check": "the values are not of the type that the baseline had",
    "completeness_check": "more values are missing than in the baseline",
    "baseline_drift_check": "the distribution lies farther from the baseline's than the threshold",
    "missing_column_check": "a column of the baseline is not there",
    "extra_column_check": "a column is there that the baseline did not have",
    "categorical_values_check": "there are more unknown values than the threshold allows",
}
"""The six checks, and what each one says."""

ROBUST_C = 1.8
"""The constant of the robust distance, for a chance of 0.003 (deequ's ``defaultCAlpha``)."""

_N_BUCKETS = 10
_SKETCH_SIZE = 2048
_MOST_DOMAINS = 30
_MOST_CATEGORIES = 1000
_LEAST_EXPECTED = 5


# What a table is -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """How many numbers lie between two bounds: lower <= x < upper, the last bucket with both."""

    lower_bound: float
    upper_bound: float
    count: float


@dataclass(frozen=True, kw_only=True)
class CategoryBucket:
    """How often a value comes, as text."""

    value: str
    count: int


@dataclass(frozen=True, kw_only=True)
class FeatureStatistics:
    """One feature of ``statistics.json``.

    A number (``"Integral"``, ``"Fractional"``) has ``mean`` to ``max``, ten ``buckets`` of equal
    width and ``sketch``, the levels of its quantile sketch: a value at level i stands for 2^i
    values. Text has ``distinct_count`` and ``categories``, the commonest first.

    ``types`` is ours and no part of the file: how many of the values that are there are of each
    type. Without it, all are of ``inferred_type``.
    """

    name: str
    inferred_type: InferredType
    num_present: int
    num_missing: int
    mean: float | None = None
    sum: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    buckets: tuple[Bucket, ...] = ()
    sketch: tuple[tuple[float, ...], ...] = ()
    distinct_count: int | None = None
    categories: tuple[CategoryBucket, ...] = ()
    types: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_numerical(self) -> bool:
        return self.inferred_type in ("Integral", "Fractional")

    @property
    def completeness(self) -> float:
        """The share of the rows that have a value; ``NaN`` without rows."""
        n = self.num_present + self.num_missing
        return self.num_present / n if n else float("nan")


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """``statistics.json``: a table, described."""

    item_count: int
    features: tuple[FeatureStatistics, ...]
    version: float = 0.0

    @property
    def by_name(self) -> dict[str, FeatureStatistics]:
        return {feature.name: feature for feature in self.features}


# What a table must be --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """One feature of ``constraints.json``: what its values must be.

    ``is_non_negative`` is of numbers and ``domains`` of text; ``None`` means that the rule is not
    there. ``overrides`` are the file's ``monitoringConfigOverrides``: settings of
    ``MonitoringConfig`` by name, for this feature alone.
    """

    name: str
    inferred_type: InferredType
    completeness: float = 1.0
    is_non_negative: bool | None = None
    domains: tuple[str, ...] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MonitoringConfig:
    """``monitoring_config`` of ``constraints.json``, with its ``distribution_constraints``.

    ``datatype_check_threshold`` and ``domain_content_threshold`` are the shares that must match.
    (Today's documentation gives 0.1 as their default, older copies and real files 1.0.)
    ``comparison_threshold`` is the largest distance of numbers that is borne, and
    ``categorical_comparison_threshold`` that of categories: with ``"ChiSquared"`` it is the least
    p-value. ``"Robust"`` takes from a distance what chance may give it, and ``"Simple"`` does not.

    Raises ``ValueError`` for a threshold outside 0..1 and for a setting of no known value.
    """

    evaluate_constraints: Switch = "Enabled"
    emit_metrics: Switch = "Enabled"
    datatype_check_threshold: float = 1.0
    domain_content_threshold: float = 1.0
    perform_comparison: Switch = "Enabled"
    comparison_threshold: float = 0.1
    comparison_method: Literal["Simple", "Robust"] = "Robust"
    categorical_comparison_threshold: float = 0.1
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"

    def __post_init__(self) -> None:
        for name, known in _SETTINGS.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: one of {', '.join(known)}")
        for name in vars(self):
            value = getattr(self, name)
            if name.endswith("threshold") and not 0 <= value <= 1:
                raise ValueError(f"{name}={value!r}: a number in 0..1 is needed")


_SETTINGS = {
    "evaluate_constraints": ("Enabled", "Disabled"),
    "emit_metrics": ("Enabled", "Disabled"),
    "perform_comparison": ("Enabled", "Disabled"),
    "comparison_method": ("Simple", "Robust"),
    "categorical_drift_method": ("LInfinity", "ChiSquared"),
}


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """``constraints.json``: what a table must be, and how strictly it is judged."""

    features: tuple[Constraint, ...]
    monitoring_config: MonitoringConfig = MonitoringConfig()
    version: float = 0.0

    @property
    def by_name(self) -> dict[str, Constraint]:
        return {feature.name: feature for feature in self.features}


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One entry of ``constraint_violations.json``."""

    feature_name: str
    constraint_check_type: CheckType
    description: str


# From a table ----------------------------------------------------------------------------------


def statistics(
    frame: pd.DataFrame,
    *,
    features: Sequence[str] | None = None,
    like: Constraints | None = None,
) -> Statistics:
    """Return the statistics of a table: of ``features``, or of every column.

    Whole numbers are ``"Integral"`` whatever type holds them, and a column with a value that is no
    number is ``"String"``; where ``like`` names the feature, it is described as the type there, so
    that one text among numbers does not hide how the numbers lie. Infinite numbers are present and
    in none of the moments. Of text with more than 1,000 values, the commonest 1,000 are kept.

    Raises ``ValueError`` for a feature that is no column (the nearest is named).

    >>> frame = pd.DataFrame({"wait_min": [1, 2, 6, None], "desk": ["a", "b", "a", "a"]})
    >>> wait_min, desk = statistics(frame).features
    >>> wait_min.inferred_type, wait_min.num_missing, wait_min.mean, wait_min.max
    ('Integral', 1, 3.0, 6.0)
    >>> desk.categories
    (CategoryBucket(value='a', count=3), CategoryBucket(value='b', count=1))
    """
    columns = {str(name): column for name, column in frame.items()}
    known = {} if like is None else like.by_name
    described = []
    for name in columns if features is None else features:
        if name not in columns:
            raise ValueError(f"features: {name!r} is no column; {nearest(name, columns)}")
        kept = known[name].inferred_type if name in known else None
        described.append(_feature(name, columns[name], kept=kept))
    return Statistics(item_count=len(frame), features=tuple(described))


def suggested_constraints(
    reference: pd.DataFrame | Statistics, *, config: MonitoringConfig | None = None
) -> Constraints:
    """Return the constraints that a reference suggests, as Model Monitor's baselining does.

    Each feature must stay of its type, as complete as it was, non-negative if it was, and within
    its values if it is text of at most 30. A column of mixed types must stay as mixed as it was.

    They ask of every later window what the reference happened to be: a feature that is 98 %
    complete by chance falls below that in every other window. Read them before they count.

    >>> reference = pd.DataFrame({"wait_min": [1, 2, 6, None], "desk": ["a", "b", "a", "a"]})
    >>> wait_min, desk = suggested_constraints(reference).features
    >>> wait_min.completeness, wait_min.is_non_negative, desk.domains
    (0.75, True, ('a', 'b'))
    """
    if not isinstance(reference, Statistics):
        reference = statistics(reference)
    return Constraints(
        features=tuple(_suggested(feature) for feature in reference.features),
        monitoring_config=config or MonitoringConfig(),
    )


def constraint_violations(
    current: pd.DataFrame | Statistics,
    constraints: Constraints,
    *,
    baseline: Statistics | None = None,
) -> list[Violation]:
    """Return what of the constraints a table breaks: the six checks of Model Monitor.

    Without ``baseline``, the reference's statistics, distributions are not compared. A table
    without rows breaks only what its columns break, and a feature without values in this window
    or in the baseline has no type and no distribution to compare.

    Where the documentation compares the *number* of columns, ours compares their names, so that a
    renamed column is one that is missing and one that is extra. It names no check for negative
    values: ours is ``data_type_check``. A violation tells neither how sure nor how grave it is: on
    small windows chance alone breaks several.

    >>> reference = pd.DataFrame({"wait_min": [1, 2, 6, 3]})
    >>> constraints = suggested_constraints(reference)
    >>> (found,) = constraint_violations(pd.DataFrame({"wait_min": [1, 2.5]}), constraints)
    >>> print(found.description)
    Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. \
Observed: Only 50.0% of data is Integral.
    """
    if constraints.monitoring_config.evaluate_constraints == "Disabled":
        return []
    if not isinstance(current, Statistics):
        current = statistics(current, like=constraints)
    before = {} if baseline is None else baseline.by_name
    found = [*_of_columns(current, constraints)]
    for constraint in constraints.features:
        feature = current.by_name.get(constraint.name)
        config = replace(constraints.monitoring_config, **constraint.overrides)
        if feature is None or config.evaluate_constraints == "Disabled" or not current.item_count:
            continue
        for check, description in _of_feature(feature, constraint, config, before):
            found.append(
                Violation(
                    feature_name=constraint.name,
                    constraint_check_type=check,
                    description=description,
                )
            )
    return found


def baseline_drift(
    current: FeatureStatistics, baseline: FeatureStatistics, *, config: MonitoringConfig
) -> float:
    """Return how far a feature lies from its baseline, as Model Monitor's drift check measures it.

    Of numbers the largest distance of the two distribution functions, of text the largest distance
    of two shares, in 0..1; ``"Robust"`` takes 1.8·√((n+m)/(n·m)) off, down to 0. For text with
    ``"ChiSquared"`` it is the p-value (``"Robust"``) or the statistic (``"Simple"``) of Pearson's
    test against the baseline's shares, the rarest values being put together until 80 % of the
    expected counts reach 5. ``NaN`` where one of the two has no values, or they are of two types.

    It does not tell whether a distance is more than chance (a p-value and a threshold of 0.1 least
    of all), and the test takes the baseline for the truth.

    >>> a, b = (statistics(pd.DataFrame({"x": values})).features[0] for values in ([1, 2], [2, 3]))
    >>> baseline_drift(a, b, config=MonitoringConfig(comparison_method="Simple"))
    0.5
    """
    if current.is_numerical != baseline.is_numerical:
        return float("nan")
    robust = config.comparison_method == "Robust"
    if current.is_numerical:
        return _linf_of_numbers(current, baseline, robust=robust)
    observed, expected = (
        pd.Series({each.value: each.count for each in of.categories}, dtype="float64")
        for of in (current, baseline)
    )
    if not len(observed) or not len(expected):
        return float("nan")
    if config.categorical_drift_method == "ChiSquared":
        statistic, p_value = _chi_squared(observed, expected)
        return p_value if robust else statistic
    shares = (observed / current.num_present).sub(expected / baseline.num_present, fill_value=0)
    n = (current.num_present, baseline.num_present)
    return _less_chance(float(shares.abs().max()), *n, robust=robust)


def compared(current: FeatureStatistics, baseline: FeatureStatistics) -> pd.DataFrame:
    """Return two descriptions of a feature side by side, to be drawn or read.

    Of numbers the share that lies at or below each value, ``value, reference, current``: the
    largest difference of the two is what the drift check measures. Of text the share of each
    value, ``bin, reference, current``, the commonest of the baseline first. From a sketch that is
    not exact a share is off by less than 1 in 1,024.

    Raises ``ValueError`` where one has no values, or they are of two types.

    >>> a, b = (statistics(pd.DataFrame({"x": values})).features[0] for values in ([1, 2], [2, 3]))
    >>> compared(a, b).values.tolist()
    [[1.0, 0.0, 0.5], [2.0, 0.5, 1.0], [3.0, 1.0, 1.0]]
    """
    if current.is_numerical != baseline.is_numerical:
        raise ValueError(f"current: {current.name} is of another type than in the baseline")
    for argument, each in (("current", current), ("baseline", baseline)):
        if not (_is_described(each) or each.categories):
            raise ValueError(f"{argument}: {each.name} has no values")
    if current.is_numerical:
        grid, here, there = _shares_below(current, baseline)
        return pd.DataFrame({"value": grid, "reference": there, "current": here})
    counts = {
        name: pd.Series({each.value: each.count for each in of.categories}, dtype="float64")
        for name, of in (("reference", baseline), ("current", current))
    }
    table = pd.DataFrame(counts).fillna(0.0)
    table /= [baseline.num_present, current.num_present]
    order = table.sort_values(["reference", "current"], ascending=False, kind="stable")
    return order.rename_axis("bin").reset_index()


# Describing ------------------------------------------------------------------------------------


_TYPE_OF_KIND: Mapping[int, InferredType] = {
    kinds.WHOLE: "Integral",
    kinds.FRACTION: "Fractional",
    kinds.TRUTH: "String",
    kinds.MOMENT: "String",
    kinds.TEXT: "String",
    kinds.OTHER: "String",
}


def _feature(name: str, column: pd.Series, *, kept: InferredType | None) -> FeatureStatistics:
    found = np.bincount(kinds.kinds(column), minlength=len(kinds.NAMES))
    types: dict[str, int] = {}
    for kind, of_type in _TYPE_OF_KIND.items():
        if found[kind]:
            types[of_type] = types.get(of_type, 0) + int(found[kind])
    type_ = _general(types) if kept in (None, "Unknown") else kept
    common = {
        "name": name,
        "inferred_type": type_,
        "num_present": int(len(column) - found[kinds.MISSING]),
        "num_missing": int(found[kinds.MISSING]),
        "types": types,
    }
    if type_ == "String":
        return FeatureStatistics(**common, **_of_text(column))
    values = kinds.numbers(column)
    return FeatureStatistics(**common, **_of_numbers(np.sort(values[np.isfinite(values)])))


def _general(types: Mapping[str, int]) -> InferredType:
    """Return the type that all values have: a whole number is a fraction, and anything is text."""
    return next((each for each in ("String", "Fractional", "Integral") if each in types), "Unknown")


def _of_text(column: pd.Series) -> dict[str, Any]:
    codes, texts = kinds.coded(column)
    counts = zip(texts, np.bincount(codes[codes >= 0], minlength=len(texts)), strict=True)
    by_count = sorted((each for each in counts if each[1]), key=lambda each: (-each[1], each[0]))
    return {
        "distinct_count": len(by_count),
        "categories": tuple(
            CategoryBucket(value=value, count=int(count))
            for value, count in by_count[:_MOST_CATEGORIES]
        ),
    }


def _of_numbers(values: np.ndarray) -> dict[str, Any]:
    """Return the statistics of finite numbers in order; nothing of none."""
    if not len(values):
        return {}
    with np.errstate(over="ignore", invalid="ignore"):  # numbers may be near the largest float
        moments = {"mean": values.mean(), "sum": values.sum(), "std_dev": values.std()}
    edges = 2 * np.linspace(values[0] / 2, values[-1] / 2, _N_BUCKETS + 1)
    below = np.concatenate([[0], np.searchsorted(values, edges[1:-1]), [len(values)]])
    return {
        **{name: float(value) for name, value in moments.items()},
        "min": float(values[0]),
        "max": float(values[-1]),
        "buckets": tuple(
            Bucket(lower_bound=float(low), upper_bound=float(high), count=float(count))
            for low, high, count in zip(edges[:-1], edges[1:], np.diff(below), strict=True)
        ),
        "sketch": _sketch(values),
    }


def _sketch(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return levels of values, one at level i standing for 2^i: all weights together are n.

    Every other value of a level that is too long goes up, from the first or the second in turn.
    """
    levels = []
    while len(values) > _SKETCH_SIZE:
        even = len(values) // 2 * 2
        levels.append(tuple(values[even:].tolist()))
        values = values[len(levels) % 2 : even : 2]
    return (*levels, tuple(values.tolist()))


def _suggested(feature: FeatureStatistics) -> Constraint:
    rules: dict[str, Any] = {}
    if feature.is_numerical and feature.min is not None:
        rules["is_non_negative"] = feature.min >= 0
    if feature.inferred_type == "String" and feature.distinct_count <= _MOST_DOMAINS:
        rules["domains"] = tuple(sorted(each.value for each in feature.categories))
    match = _match(feature, feature.inferred_type)
    if match < 1:
        rules["overrides"] = {"datatype_check_threshold": match}
    return Constraint(
        name=feature.name,
        inferred_type=feature.inferred_type,
        completeness=feature.completeness if feature.num_present else 0.0,
        **rules,
    )


# Checking --------------------------------------------------------------------------------------


def _of_columns(current: Statistics, constraints: Constraints) -> Iterator[Violation]:
    there, asked = current.by_name, constraints.by_name
    numbers = (
        f"Number of columns in current dataset: {len(there)}, "
        f"Number of columns in baseline constraints: {len(asked)}"
    )
    for check, what, names in (
        ("missing_column_check", "missing", [name for name in asked if name not in there]),
        ("extra_column_check", "extra", [name for name in there if name not in asked]),
    ):
        for name in names:
            yield Violation(
                feature_name=name,
                constraint_check_type=check,
                description=f"There are {what} columns in current dataset. {numbers}",
            )


def _of_feature(
    feature: FeatureStatistics,
    constraint: Constraint,
    config: MonitoringConfig,
    baseline: Mapping[str, FeatureStatistics],
) -> Iterator[tuple[CheckType, str]]:
    if feature.completeness < constraint.completeness:
        yield (
            "completeness_check",
            "Data completeness requirement is not met. "
            f"Expected completeness: {100 * constraint.completeness}%. "
            f"Observed: Only {100 * feature.completeness}% of data is present.",
        )
    if not feature.num_present:
        return
    expected = constraint.inferred_type
    match = _match(feature, expected)
    if match < config.datatype_check_threshold:
        yield (
            "data_type_check",
            f"Data type match requirement is not met. Expected data type: {expected}, "
            f"Expected match: {100 * config.datatype_check_threshold}%. "
            f"Observed: Only {100 * match}% of data is {expected}.",
        )
    if constraint.is_non_negative and feature.min is not None and feature.min < 0:
        yield (
            "data_type_check",
            "Numerical constraint requirement is not met. Expected: non-negative values. "
            f"Observed: Minimum {feature.min}.",
        )
    if constraint.domains is not None:
        known = sum(each.count for each in feature.categories if each.value in constraint.domains)
        if known / feature.num_present < config.domain_content_threshold:
            yield (
                "categorical_values_check",
                "Domain content requirement is not met. "
                f"Expected match: {100 * config.domain_content_threshold}%. "
                f"Observed: Only {100 * known / feature.num_present}% of data is in the domain.",
            )
    if config.perform_comparison == "Enabled" and constraint.name in baseline:
        yield from _of_drift(feature, baseline[constraint.name], config)


def _of_drift(
    feature: FeatureStatistics, baseline: FeatureStatistics, config: MonitoringConfig
) -> Iterator[tuple[CheckType, str]]:
    distance = baseline_drift(feature, baseline, config=config)
    if feature.is_numerical:
        what, threshold = "Numerical", config.comparison_threshold
    else:
        what, threshold = "Categorical", config.categorical_comparison_threshold
    is_p_value = (
        what == "Categorical"
        and config.categorical_drift_method == "ChiSquared"
        and config.comparison_method == "Robust"
    )
    if is_p_value and distance < threshold:
        text = f"{what} p-value: {distance} is below {what.lower()} threshold: {threshold}"
        yield "baseline_drift_check", text
    elif not is_p_value and distance > threshold:
        text = f"{what} distance: {distance} exceeds {what.lower()} threshold: {threshold}"
        yield "baseline_drift_check", text


def _match(feature: FeatureStatistics, expected: InferredType) -> float:
    """Return the share of the values there that are of a type; 1 where nothing was expected."""
    types = feature.types or {feature.inferred_type: feature.num_present}
    fitting = {"Fractional": ("Fractional", "Integral"), "Unknown": tuple(types)}
    matching = sum(types.get(each, 0) for each in fitting.get(expected, (expected,)))
    return matching / feature.num_present if feature.num_present else 1.0


# Distances -------------------------------------------------------------------------------------


def _linf_of_numbers(
    current: FeatureStatistics, baseline: FeatureStatistics, *, robust: bool
) -> float:
    """Return the largest distance of two distribution functions, from sketches or from buckets."""
    if not (_is_described(current) and _is_described(baseline)):
        return float("nan")
    _, here, there = _shares_below(current, baseline)
    sizes = (_size(current), _size(baseline))
    return _less_chance(float(np.abs(here - there).max()), *sizes, robust=robust)


def _is_described(feature: FeatureStatistics) -> bool:
    return any(feature.sketch) if feature.sketch else bool(feature.buckets)


def _shares_below(
    current: FeatureStatistics, baseline: FeatureStatistics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values in order, and which share of each of the two lies at or below them."""
    points = [_points(each) for each in (current, baseline)]
    grid = np.unique(np.concatenate([at for at, _ in points]))
    if current.sketch and baseline.sketch:
        here, there = (
            np.append(0.0, share)[np.searchsorted(at, grid, side="right")] for at, share in points
        )
    else:
        here, there = (np.interp(grid, at, share, left=0.0) for at, share in points)
    return grid, here, there


def _points(feature: FeatureStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Return values in order, and the share of all that lies at or below each."""
    if feature.sketch:
        at = np.concatenate([np.asarray(level, dtype=float) for level in feature.sketch])
        weight = np.repeat(2.0 ** np.arange(len(feature.sketch)), [*map(len, feature.sketch)])
    else:
        edges = [feature.buckets[0].lower_bound] if feature.buckets else []
        at = np.array([*edges, *(each.upper_bound for each in feature.buckets)])
        weight = np.array([0.0] * len(edges) + [each.count for each in feature.buckets])
    order = np.argsort(at, kind="stable")
    total = np.cumsum(weight[order])
    return at[order], total / total[-1] if len(total) else total


def _size(feature: FeatureStatistics) -> float:
    return sum(each.count for each in feature.buckets)


def _less_chance(distance: float, n: float, m: float, *, robust: bool) -> float:
    return max(0.0, distance - ROBUST_C * ((n + m) / (n * m)) ** 0.5) if robust else distance


def _chi_squared(observed: pd.Series, expected: pd.Series) -> tuple[float, float]:
    """Return Pearson's statistic and its p-value; values that the baseline lacks are left out."""
    from scipy.special import chdtrc

    counts = pd.DataFrame({"expected": expected})
    counts["observed"] = observed.reindex(expected.index, fill_value=0.0)
    counts["expected"] *= counts["observed"].sum() / counts["expected"].sum()
    table = counts.sort_values("expected", kind="stable").to_numpy()
    while len(table) > 1 and _too_few(table[:, 0]):
        merged = table[0] + table[1]
        table = np.vstack([merged, table[2:]])
        table = table[np.argsort(table[:, 0], kind="stable")]
    if len(table) < 2:
        return float("nan"), float("nan")
    statistic = float(((table[:, 1] - table[:, 0]) ** 2 / table[:, 0]).sum())
    return statistic, float(chdtrc(len(table) - 1, statistic))


def _too_few(expected: np.ndarray) -> bool:
    """Return whether too many expected counts are small: of two, below 10; of more, a fifth."""
    if len(expected) == 2:
        return bool((expected < 2 * _LEAST_EXPECTED).any())
    return bool((expected < _LEAST_EXPECTED).sum() > len(expected) // 5)
