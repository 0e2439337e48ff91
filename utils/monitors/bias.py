"""The documented bias metrics: of the labels before training, and of the answers after it.

They compare a *disfavoured* group (facet d) with a *favoured* one (facet a), and are functions of
counts: of labels, or of the four outcomes of an answer. Each is defined as in the developer guide
of Amazon SageMaker Clarify, under the title that stands in its docstring; ``PRE_TRAINING`` and
``POST_TRAINING`` hold them by their short names. Arrays are taken element by element, over any
leading axes; what is not defined is ``NaN``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import rel_entr

from utils.monitors import windows
from utils.monitors.fairness import (
    feature_name,
    groups,
    known_frame,
    outcome,
    positive_class,
    quotient,
)
from utils.monitors.intervals import (
    bootstrap_t,
    checked_level,
    difference,
    ratio,
    resampled_weights,
    wilson,
)
from utils.records import measurements
from utils.text import nearest

MONITOR = "bias"
MOST_CLASSES = 20
"""A label of more classes than these is a number, and must be cut first."""

N_NEIGHBOURS = 5
"""Neighbours that the flip test looks at."""

RATIOS = ("DI", "demographic_parity_ratio")
"""Metrics that are 1 where there is no bias; all others are 0."""

# ------------------------------------------------------------------ of labels, or of answers alone


def class_imbalance(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return how many more rows the favoured group has, as a share of both: CI, in -1..1.

    Takes the counts of each group by label (…, labels). It says who is there, not how they fare.

    Source: "Class Imbalance (CI)".

    >>> print(class_imbalance(np.array([30, 60]), np.array([8, 2])))
    0.8
    """
    n_favoured, n_disfavoured = favoured.sum(axis=-1), disfavoured.sum(axis=-1)
    return ratio(n_favoured - n_disfavoured, n_favoured + n_disfavoured)


def difference_in_proportions(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return how much more often the favoured group has the positive one: DPL and DPPL, in -1..1.

    Takes the counts of each group, negative and positive (…, 2): of labels for DPL, of answers for
    DPPL. It does not say whether the groups should fare alike.

    Sources: "Difference in Proportions of Labels (DPL)" and "Difference in Positive Proportions in
    Predicted Labels (DPPL)".

    >>> print(difference_in_proportions(np.array([40, 60]), np.array([35, 15])).round(6))
    0.3
    """
    return _gap(_positives, favoured, disfavoured)


def kullback_leibler_divergence(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return how far the labels of the favoured group are from those of the other: KL, 0 or more.

    Takes the counts of each group by label (…, labels), and is in nats; ``inf`` where the
    disfavoured group lacks a label that the other has. It has no sign, and is above 0 by chance.

    Source: "Kullback-Leibler Divergence (KL)".

    >>> print(kullback_leibler_divergence(np.array([50, 50]), np.array([75, 25])).round(4))
    0.1438
    """
    return rel_entr(_shares(favoured), _shares(disfavoured)).sum(axis=-1)


def jensen_shannon_divergence(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return how far the labels of the two groups are from their mean: JS, in 0..ln 2.

    Takes the counts of each group by label (…, labels), and is in nats. It has no sign, and is
    above 0 by chance. It is the square of the Jensen–Shannon *distance*.

    Source: "Jensen-Shannon Divergence (JS)".

    >>> print(jensen_shannon_divergence(np.array([9, 0]), np.array([0, 5])).round(4))
    0.6931
    """
    p, q = _shares(favoured), _shares(disfavoured)
    mean = (p + q) / 2
    return (rel_entr(p, mean) + rel_entr(q, mean)).sum(axis=-1) / 2


def lp_norm(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance between the shares of the labels: LP, in 0..√2.

    Takes the counts of each group by label (…, labels). It has no sign, and is above 0 by chance.

    Source: "Lp-norm (LP)", with p = 2.

    >>> print(lp_norm(np.array([40, 40, 20]), np.array([20, 10, 70])).round(4))
    0.6164
    """
    return np.sqrt(((_shares(favoured) - _shares(disfavoured)) ** 2).sum(axis=-1))


def total_variation_distance(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return the share of labels that would have to change for the two to agree: TVD, in 0..1.

    Takes the counts of each group by label (…, labels). It has no sign, and is above 0 by chance.

    Source: "Total Variation Distance (TVD)".

    >>> print(total_variation_distance(np.array([40, 40, 20]), np.array([20, 10, 70])).round(6))
    0.5
    """
    return np.abs(_shares(favoured) - _shares(disfavoured)).sum(axis=-1) / 2


def kolmogorov_smirnov(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return the greatest difference between the shares of a label: KS, in 0..1.

    Takes the counts of each group by label (…, labels). Under the name of Kolmogorov and Smirnov it
    compares shares, not cumulated ones. It has no sign, and is above 0 by chance.

    Source: "Kolmogorov-Smirnov (KS)", whose example this is:

    >>> print(kolmogorov_smirnov(np.array([40, 40, 20]), np.array([20, 10, 70])).round(6))
    0.5
    """
    return np.abs(_shares(favoured) - _shares(disfavoured)).max(axis=-1)


def conditional_demographic_disparity(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return the demographic disparity within strata, averaged: CDDL and CDDPL, in -1..1.

    Takes the counts of each group by stratum, negative and positive (…, strata, 2): of labels for
    CDDL, of answers for CDDPL. The disparity of a stratum is the disfavoured group's share of its
    negative ones less that of its positive ones; strata are weighted by their rows. One without
    both kinds has no disparity and is left out (Clarify's own code counts a share of none as 0).

    Above 0 the disfavoured group is refused more than it is accepted, whatever stratum its people
    are in. It does not say whether it is fair that they are in those strata.

    Source: "Conditional Demographic Disparity (CDD)"; of one stratum, its example is this one.

    >>> a, d = np.array([[40, 50]]), np.array([[60, 50]])
    >>> print(conditional_demographic_disparity(a, d).round(6))
    0.1
    """
    both = favoured + disfavoured
    share = ratio(disfavoured, both)
    disparity = share[..., 0] - share[..., 1]
    weight = np.where(np.isnan(disparity), 0.0, both.sum(axis=-1))
    return ratio((weight * np.nan_to_num(disparity)).sum(axis=-1), weight.sum(axis=-1))


def disparate_impact(favoured: np.ndarray, disfavoured: np.ndarray) -> np.ndarray:
    """Return how many times as often the disfavoured group is accepted: DI, 0 or more.

    Takes the counts of each group's answers, negative and positive (…, 2). 1 is equal; below 0.8
    is what the "four-fifths rule" looks at, whatever the number of people: see the interval.

    Source: "Disparate Impact (DI)".

    >>> print(disparate_impact(np.array([40, 60]), np.array([35, 15])).round(6))
    0.5
    """
    return ratio(ratio(*_positives(disfavoured)), ratio(*_positives(favoured)))


def _shares(counts: np.ndarray) -> np.ndarray:
    return ratio(counts, counts.sum(axis=-1, keepdims=True))


Parts = tuple[np.ndarray, np.ndarray]
"""Successes and trials of a proportion."""


def _positives(counts: np.ndarray) -> Parts:
    return counts[..., 1], counts.sum(axis=-1)


def _gap(parts: Callable[[Any], Parts], plus: Any, minus: Any) -> np.ndarray:
    return ratio(*parts(plus)) - ratio(*parts(minus))


# ----------------------------------------------------------------------- of answers against labels


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How many answers of a group are true and false, positive and negative; arrays or numbers.

    >>> Confusion(tp=65, fp=10, fn=5, tn=20).observed_positive
    70
    """

    tp: Any
    fp: Any
    fn: Any
    tn: Any

    @property
    def n(self) -> Any:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def observed_positive(self) -> Any:
        return self.tp + self.fn

    @property
    def observed_negative(self) -> Any:
        return self.tn + self.fp

    @property
    def predicted_positive(self) -> Any:
        return self.tp + self.fp

    @property
    def predicted_negative(self) -> Any:
        return self.tn + self.fn


def _accuracy(c: Confusion) -> Parts:
    return c.tp + c.tn, c.n


def _recall(c: Confusion) -> Parts:
    return c.tp, c.observed_positive


def _specificity(c: Confusion) -> Parts:
    return c.tn, c.observed_negative


def _precision(c: Confusion) -> Parts:
    return c.tp, c.predicted_positive


def _negative_precision(c: Confusion) -> Parts:
    return c.tn, c.predicted_negative


def accuracy_difference(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how much more often the answers to the favoured group are right: AD, in -1..1.

    Two groups with the same accuracy may suffer very different errors: see ``treatment_equality``.

    Source: "Accuracy Difference (AD)".

    >>> a, d = Confusion(tp=65, fp=10, fn=5, tn=20), Confusion(tp=20, fp=5, fn=7, tn=18)
    >>> print(accuracy_difference(a, d).round(4))
    0.09
    """
    return _gap(_accuracy, favoured, disfavoured)


def recall_difference(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more of the favoured group's positives are found: RD, in -1..1.

    Source: "Recall Difference (RD)", whose example this is:

    >>> a, d = Confusion(tp=65, fp=10, fn=5, tn=20), Confusion(tp=20, fp=5, fn=7, tn=18)
    >>> print(recall_difference(a, d).round(2))
    0.19
    """
    return _gap(_recall, favoured, disfavoured)


def difference_in_conditional_acceptance(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more are positive for each one accepted, among the favoured: DCAcc.

    The ratio of observed to predicted positives, favoured less disfavoured; any number. Right and
    wrong acceptances cancel in it: it compares totals, not people.

    Source: "Difference in Conditional Acceptance (DCAcc)", whose example this is:

    >>> a, d = Confusion(tp=60, fp=0, fn=10, tn=30), Confusion(tp=20, fp=10, fn=0, tn=20)
    >>> print(difference_in_conditional_acceptance(a, d).round(6))
    0.5
    """
    return ratio(favoured.observed_positive, favoured.predicted_positive) - ratio(
        disfavoured.observed_positive, disfavoured.predicted_positive
    )


def difference_in_acceptance_rates(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more of the favoured group's acceptances are right: DAR, in -1..1.

    The precision of positive answers; who was refused does not enter it.

    Source: "Difference in Acceptance Rates (DAR)", whose example this is:

    >>> a, d = Confusion(tp=35, fp=35, fn=0, tn=0), Confusion(tp=40, fp=60, fn=0, tn=0)
    >>> print(difference_in_acceptance_rates(a, d).round(6))
    0.1
    """
    return _gap(_precision, favoured, disfavoured)


def specificity_difference(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more of the disfavoured group's negatives are found: SD, in -1..1.

    Disfavoured less favoured: a group whose undeserving are all refused is the worse off.

    Source: "Specificity Difference (SD)", whose example this is:

    >>> a, d = Confusion(tp=65, fp=10, fn=5, tn=20), Confusion(tp=20, fp=5, fn=7, tn=18)
    >>> print(specificity_difference(a, d).round(4))
    0.1159
    """
    return _gap(_specificity, disfavoured, favoured)


def difference_in_conditional_rejection(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more are negative for each one refused, among the disfavoured: DCR.

    The ratio of observed to predicted negatives, disfavoured less favoured; any number. Right and
    wrong refusals cancel in it: it compares totals, not people.

    Source: "Difference in Conditional Rejection (DCR)", whose example this is:

    >>> a, d = Confusion(tp=40, fp=0, fn=10, tn=50), Confusion(tp=10, fp=10, fn=0, tn=30)
    >>> print(difference_in_conditional_rejection(a, d).round(6))
    0.5
    """
    return ratio(disfavoured.observed_negative, disfavoured.predicted_negative) - ratio(
        favoured.observed_negative, favoured.predicted_negative
    )


def difference_in_rejection_rates(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more of the disfavoured group's refusals are right: DRR, in -1..1.

    The precision of negative answers; who was accepted does not enter it. Below 0 more of the
    refused of the disfavoured group deserved better.

    Source: "Difference in Rejection Rates (DRR)", whose example this is:

    >>> a, d = Confusion(tp=0, fp=0, fn=20, tn=80), Confusion(tp=0, fp=0, fn=10, tn=40)
    >>> print(difference_in_rejection_rates(a, d).round(6))
    0.0
    """
    return _gap(_negative_precision, disfavoured, favoured)


def treatment_equality(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how many more are wrongly refused for each one wrongly accepted: TE.

    The ratio of false negatives to false positives, disfavoured less favoured; any number, and a
    wild one where there are few false positives. (An older edition of the guide has the ratios the
    other way up and the other way round.)

    Source: "Treatment Equality (TE)", whose example this is:

    >>> a, d = Confusion(tp=50, fp=6, fn=8, tn=36), Confusion(tp=20, fp=2, fn=5, tn=23)
    >>> print(treatment_equality(a, d).round(3))
    1.167
    """
    return ratio(disfavoured.fn, disfavoured.fp) - ratio(favoured.fn, favoured.fp)


def generalized_entropy(favoured: Confusion, disfavoured: Confusion) -> np.ndarray:
    """Return how unequally the benefit of the answers is spread over people: GE, 0 or more.

    A false positive has a benefit of 2, a right answer 1, a false negative 0; GE is half the
    squared coefficient of variation. It does not depend on who is of which group: it is unequal
    treatment of persons, and a model may be unfair to a group with little of it.

    Source: "Generalized entropy (GE)", with alpha = 2.

    >>> everyone = Confusion(tp=1, fp=1, fn=1, tn=1)
    >>> print(generalized_entropy(everyone, everyone))
    0.25
    """
    c = Confusion(
        **{name: getattr(favoured, name) + of_d for name, of_d in vars(disfavoured).items()}
    )
    right = c.tp + c.tn
    mean, square = ratio(2 * c.fp + right, c.n), ratio(4 * c.fp + right, c.n)
    return (ratio(square, mean**2) - 1) / 2


# ------------------------------------------------------------------------------------ of neighbours


def flip_test(
    features: pd.DataFrame,
    *,
    disfavoured: np.ndarray,
    selected: np.ndarray,
    n_neighbours: int = N_NEIGHBOURS,
) -> float:
    """Return by how much the disfavoured would gain if answered as their neighbours are: FT.

    Of each row of the disfavoured group the nearest rows of the other group are looked at. FT is
    the share of rows that were answered negatively while most of those neighbours were answered
    positively, less the share the other way round; it lies in -1..1. (Clarify's own code has the
    opposite sign.)

    It takes people who are alike in ``features`` to deserve the same answer. What the features
    leave out, or stand in for (a district for a colour of skin), it does not see. Numbers count
    in standard deviations, missing ones as the median; two different categories are as far apart
    as one standard deviation.

    ``disfavoured`` and ``selected`` are one truth value a row. ``NaN`` where a group is empty.

    Source: "Counterfactual Fliptest (FT)"; ``sklearn.neighbors.KNeighborsClassifier``.

    >>> people = pd.DataFrame({"income": [1.0, 2.0, 9.0, 1.1, 2.1, 9.1]})
    >>> of_d = np.array([False, False, False, True, True, True])
    >>> answers = np.array([False, True, True, False, False, True])
    >>> print(round(flip_test(people, disfavoured=of_d, selected=answers, n_neighbours=1), 4))
    0.3333
    """
    if n_neighbours < 1:
        raise ValueError(f"n_neighbours={n_neighbours!r}: at least 1 is needed")
    flips = _flips(features, disfavoured, selected, n_neighbours=n_neighbours)
    return float(flips.mean()) if len(flips) else np.nan


def _flips(
    features: pd.DataFrame, disfavoured: np.ndarray, selected: np.ndarray, *, n_neighbours: int
) -> np.ndarray:
    """Return for each row of the disfavoured: 1 refused against its neighbours, -1 accepted so."""
    from sklearn.neighbors import KNeighborsClassifier

    n_favoured = int((~disfavoured).sum())
    if not n_favoured or not disfavoured.any():
        return np.empty(0)
    places = _places(features)
    knn = KNeighborsClassifier(n_neighbors=min(n_neighbours, n_favoured))
    knn.fit(places[~disfavoured], selected[~disfavoured])
    return knn.predict(places[disfavoured]).astype(float) - selected[disfavoured]


def _places(features: pd.DataFrame) -> np.ndarray:
    """Return where each row lies among the others, in standard deviations."""
    found = []
    for _, column in features.items():
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(dtype=float, na_value=np.nan)
            known = values[np.isfinite(values)]
            values = np.where(np.isfinite(values), values, np.median(known) if len(known) else 0.0)
            found.append(values[:, None] / (values.std() or 1.0))
        else:
            codes, categories = pd.factorize(column, use_na_sentinel=False)
            found.append((codes[:, None] == np.arange(len(categories))) / np.sqrt(2))
    return np.hstack(found)


# ----------------------------------------------------------------------------------- by their names

PRE_TRAINING: Mapping[str, Callable[..., np.ndarray]] = {
    "CI": class_imbalance,
    "DPL": difference_in_proportions,
    "KL": kullback_leibler_divergence,
    "JS": jensen_shannon_divergence,
    "LP": lp_norm,
    "TVD": total_variation_distance,
    "KS": kolmogorov_smirnov,
    "CDDL": conditional_demographic_disparity,
}
POST_TRAINING: Mapping[str, Callable[..., np.ndarray | float]] = {
    "DPPL": difference_in_proportions,
    "DI": disparate_impact,
    "CDDPL": conditional_demographic_disparity,
    "FT": flip_test,
    "AD": accuracy_difference,
    "RD": recall_difference,
    "DCAcc": difference_in_conditional_acceptance,
    "DAR": difference_in_acceptance_rates,
    "SD": specificity_difference,
    "DCR": difference_in_conditional_rejection,
    "DRR": difference_in_rejection_rates,
    "TE": treatment_equality,
    "GE": generalized_entropy,
}
METRICS = (*PRE_TRAINING, *POST_TRAINING)

_USES: Mapping[str, str] = {
    # which of the tables of a window (see _Tables) a metric is a function of
    **dict.fromkeys(("CI", "KL", "JS", "LP", "TVD", "KS"), "labels"),
    "DPL": "observed",
    "CDDL": "observed_by_stratum",
    **dict.fromkeys(("DPPL", "DI"), "answered"),
    "FT": "answered",
    "CDDPL": "answered_by_stratum",
    **dict.fromkeys(("AD", "RD", "DCAcc", "DAR", "SD", "DCR", "DRR", "TE", "GE"), "confusions"),
}
_OF_ANSWERS = ("answered", "answered_by_stratum")
_PROPORTIONS: Mapping[str, tuple[Callable[[Any], Parts], int]] = {
    # differences of two proportions, and DI: of what, and 1 for favoured against disfavoured
    "DPL": (_positives, 1),
    "DPPL": (_positives, 1),
    "DI": (_positives, -1),
    "AD": (_accuracy, 1),
    "RD": (_recall, 1),
    "DAR": (_precision, 1),
    "SD": (_specificity, -1),
    "DRR": (_negative_precision, -1),
}
_DISTANCES: Mapping[str, int] = {"KL": 2, "JS": 2, "LP": 1, "TVD": 1, "KS": 1}
"""Metrics that are 0 where there is no bias and never below, and the power of a difference that
they grow with."""


# ---------------------------------------------------------------------------- by window, of a frame


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """Counts by group (favoured, disfavoured), stratum, label and answer: (…, 2, s, labels+1, 3).

    The last label is an unknown one; answers are negative, positive, missing.
    """

    cells: np.ndarray
    positive: int  # the place of the positive label

    def _binary(self, by_label: np.ndarray) -> np.ndarray:
        positive = by_label[..., self.positive]
        return np.stack([by_label.sum(axis=-1) - positive, positive], axis=-1)

    @property
    def labels(self) -> np.ndarray:
        return self.cells[..., :-1, :].sum(axis=(-1, -3))

    @property
    def observed(self) -> np.ndarray:
        return self._binary(self.labels)

    @property
    def observed_by_stratum(self) -> np.ndarray:
        return self._binary(self.cells[..., :-1, :].sum(axis=-1))

    @property
    def answered(self) -> np.ndarray:
        return self.answered_by_stratum.sum(axis=-2)

    @property
    def answered_by_stratum(self) -> np.ndarray:
        return self.cells[..., :2].sum(axis=-2)

    @property
    def confusions(self) -> np.ndarray:
        """Return the four outcomes: (…, 2, negative and positive answers, those of labels)."""
        by_answer = np.swapaxes(self.cells[..., :-1, :2].sum(axis=-3), -1, -2)
        return self._binary(by_answer)

    def sides(self, uses: str) -> tuple[Any, Any]:
        """Return the table that a metric uses, of the favoured and of the disfavoured."""
        table = getattr(self, uses)
        if uses == "confusions":
            return tuple(_confusion(table[..., side, :, :]) for side in (0, 1))
        by_stratum = (slice(None),) * (2 if uses.endswith("by_stratum") else 1)
        return tuple(table[(..., side, *by_stratum)] for side in (0, 1))


def _confusion(table: np.ndarray) -> Confusion:
    return Confusion(
        tp=table[..., 1, 1], fp=table[..., 1, 0], fn=table[..., 0, 1], tn=table[..., 0, 0]
    )


def bias(
    frame: pd.DataFrame,
    *,
    group_column: str,
    disfavoured: str,
    rng: np.random.Generator,
    favoured: str | None = None,
    window: windows.Length | None = None,
    metrics: Sequence[str] | None = None,
    positive: Any = None,
    stratum_column: str | None = None,
    features: Sequence[str] | None = None,
    known_as_of: windows.Moment | None = None,
    minimum: int = 30,
    level: float = 0.95,
    block: windows.Length | None = None,
    draws: int = 500,
    max_rows: int = 2000,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
    prediction_column: str = "prediction",
    label_column: str = "label",
    known_at_column: str = "label_known_at",
) -> pd.DataFrame:
    """Return the documented bias metrics of one group, by window: the measurements.

    ``disfavoured`` is the group (facet d) that is compared with ``favoured``, or with all other
    rows. Metrics have their short names (``METRICS``); ``feature`` is the column, ``group`` the
    disfavoured group. ``metrics=None`` takes all that can be measured: those of labels and of
    answers against labels where there are labels, those of answers where there are predictions,
    CDDL and CDDPL with ``stratum_column``, FT with ``features`` (at most ``max_rows`` rows of each
    group are drawn for it).

    **What it does not tell.** The metrics cannot all be 0 at once, and none says which of them
    ought to be. Labels are selective: what speaks of labels speaks of the labelled rows. The
    distances (KL, JS, LP, TVD, KS) and GE have no sign and are above 0 by chance alone, the more so
    the fewer the rows. See each function.

    **Too little.** With fewer than ``minimum`` rows of either group that have what a metric uses,
    or where it is not defined, its value is ``NaN``; ``n_current`` counts such rows of both groups.

    **Intervals** hold at ``level``: Newcombe's for the differences of two proportions, MOVER-R for
    DI, and for the others a bootstrap over rows of ``draws`` samples (of FT over the rows of the
    disfavoured group, the others staying as they are). That of a distance begins at 0 where chance
    alone may have made it. With ``block="1D"`` whole days are resampled
    instead, and the wider interval is given where there are both.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Source: Amazon SageMaker Clarify, developer guide, "Pre-training Bias Metrics" and
    "Post-training Data and Model Bias Metrics".

    >>> loans = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=400, freq="10min", tz="UTC"),
    ...     "sex": ["f", "m"] * 200, "prediction": [1, 1, 0, 1] * 100, "label": [1, 1, 1, 0] * 100})
    >>> table = bias(loans, group_column="sex", disfavoured="f", metrics=["CI", "DPPL", "DI"],
    ...              rng=np.random.default_rng(0))
    >>> print(table[["metric", "group", "value", "low", "high"]].round(2).to_string(index=False))
    metric group  value   low  high
        CI     f    0.0 -0.10  0.10
      DPPL     f    0.5  0.43  0.57
        DI     f    0.5  0.43  0.57
    """
    rules = _Rules(
        minimum=_at_least_one(minimum, argument="minimum"),
        level=checked_level(level),
        draws=_at_least_one(draws, argument="draws"),
        max_rows=_at_least_one(max_rows, argument="max_rows"),
    )
    as_of = windows.moment(known_as_of, argument="known_as_of")
    frame = known_frame(
        frame,
        as_of=as_of,
        time_column=time_column,
        label_column=label_column,
        known_at_column=known_at_column,
    )
    time = windows.times(frame, time_column, argument="time_column")
    rows = _Rows.read(
        frame,
        group_column=group_column,
        disfavoured=disfavoured,
        favoured=favoured,
        positive=positive,
        stratum_column=stratum_column,
        features=features,
        prediction_column=prediction_column,
        label_column=label_column,
    )
    chosen = _chosen(metrics, given=rows.given)
    unit = None
    if block is not None:
        step = windows.length(block, argument="block")
        origin = windows.ORIGIN if start is None else windows.moment(start, argument="start")
        since = time - windows.whole_microseconds(origin)
        unit = since // windows.whole_microseconds(step)
    seed = int(rng.integers(2**63))
    edges = windows.cut(time, window=window, start=start, end=end)
    found = []
    for start_us, end_us in itertools.pairwise(edges.tolist()):
        inside = np.flatnonzero((time >= start_us) & (time < end_us) & (rows.side >= 0))
        here = {
            "monitor": MONITOR,
            "feature": feature_name(group_column),
            "group": disfavoured,
            "window_start": windows.from_microseconds(start_us),
            "window_end": windows.from_microseconds(end_us),
            "known_as_of": as_of,
        }
        sample = _Sample.of(
            rows.take(inside),
            None if unit is None else unit[inside],
            rules=rules,
            rng=np.random.default_rng([seed, start_us % 2**64]),
        )
        found += [here | {"metric": name} | sample.measured(name) for name in chosen]
    found.sort(key=lambda row: METRICS.index(row["metric"]))
    return measurements(found)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """How a window is measured."""

    minimum: int
    level: float
    draws: int
    max_rows: int


def _at_least_one(number: int, *, argument: str) -> int:
    if number < 1:
        raise ValueError(f"{argument}={number!r}: at least 1 is needed")
    return number


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Of which side, stratum, label and answer each row is, and what neighbours are told by."""

    side: np.ndarray  # 0 favoured, 1 disfavoured, -1 neither
    stratum: np.ndarray
    label: np.ndarray  # its place among the labels; the last one is unknown
    answer: np.ndarray  # 0 negative, 1 positive, 2 missing
    features: pd.DataFrame
    n_strata: int
    n_labels: int
    positive: int  # the place of the positive label
    given: frozenset[str]

    @classmethod
    def read(
        cls,
        frame: pd.DataFrame,
        *,
        group_column: str,
        disfavoured: str,
        favoured: str | None,
        positive: Any,
        stratum_column: str | None,
        features: Sequence[str] | None,
        prediction_column: str,
        label_column: str,
    ) -> _Rows:
        columns = {"label_column": label_column, "prediction_column": prediction_column}
        given = {name: column for name, column in columns.items() if column in frame.columns}
        if not given:
            raise ValueError(
                f"label_column={label_column!r}, prediction_column={prediction_column!r}: the "
                "frame has neither; one of them is needed"
            )
        positive = positive_class([frame[column] for column in given.values()], positive)
        label, n_labels, place = _labels(frame, label_column, positive)
        answer = np.full(len(frame), 2)
        if prediction_column in frame.columns:
            there, hit = outcome(frame[prediction_column], positive)
            answer = np.where(there, hit.astype(np.int64), 2)
        stratum, strata = np.zeros(len(frame), dtype=np.int64), [""]
        if stratum_column is not None:
            stratum, strata = groups(frame, stratum_column, argument="stratum_column")
            given["stratum_column"] = stratum_column
        for name in features or ():
            windows.column(frame, name, argument="features")
        return cls(
            side=_sides(frame, group_column, disfavoured=disfavoured, favoured=favoured),
            stratum=stratum,
            label=label,
            answer=answer,
            features=frame[list(features or ())],
            n_strata=len(strata),
            n_labels=n_labels,
            positive=place,
            given=frozenset(given) | ({"features"} if features else set()),
        )

    def take(self, index: np.ndarray) -> _Rows:
        taken = {
            name: getattr(self, name)[index] for name in ("side", "stratum", "label", "answer")
        }
        return replace(self, **taken, features=self.features.iloc[index])

    @property
    def shape(self) -> tuple[int, ...]:
        return 2, self.n_strata, self.n_labels + 1, 3

    def counts(self, unit: np.ndarray, n_units: int) -> np.ndarray:
        """Return the counts of each unit, flat (units × cells)."""
        place = np.ravel_multi_index(
            (unit, self.side, self.stratum, self.label, self.answer), (n_units, *self.shape)
        )
        n_cells = int(np.prod(self.shape))
        return np.bincount(place, minlength=n_units * n_cells).reshape(n_units, n_cells)


def _sides(
    frame: pd.DataFrame, group_column: str, *, disfavoured: str, favoured: str | None
) -> np.ndarray:
    codes, names = groups(frame, group_column)
    for argument, name in (("disfavoured", disfavoured), ("favoured", favoured)):
        if name is not None and name not in names:
            raise ValueError(
                f"{argument}={name!r} is no group of {group_column!r}; {nearest(name, names)}"
            )
    if favoured == disfavoured:
        raise ValueError(f"favoured={favoured!r} is the disfavoured group; name another, or none")
    others = 0 if favoured is None else np.where(codes == names.index(favoured), 0, -1)
    return np.where(codes == names.index(disfavoured), 1, others)


def _labels(frame: pd.DataFrame, name: str, positive: Any) -> tuple[np.ndarray, int, int]:
    """Return the place of each row's label, how many labels there are, and the positive one's."""
    if name not in frame.columns:
        return np.ones(len(frame), dtype=np.int64), 1, 0
    codes, labels = pd.factorize(frame[name].astype("object"), sort=True)
    if len(labels) > MOST_CLASSES:
        raise ValueError(
            f"label_column={name!r} holds {len(labels)} different labels; at most {MOST_CLASSES} "
            "are classes: cut numbers into bands first, for example with pd.cut"
        )
    labels = [*labels] if positive in labels else [*labels, positive]
    return np.where(codes < 0, len(labels), codes), len(labels), labels.index(positive)


def _chosen(metrics: Sequence[str] | None, *, given: frozenset[str]) -> list[str]:
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    if metrics is None:
        return [name for name in METRICS if _needs(name) <= given]
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"metrics: {name!r} is no metric of bias; {nearest(name, METRICS)}")
        if lacking := sorted(_needs(name) - given):
            raise ValueError(f"metrics: {name!r} needs {' and '.join(lacking)}")
    return list(dict.fromkeys(metrics))


def _needs(metric: str) -> set[str]:
    labels = {"label_column"} if _USES[metric] not in _OF_ANSWERS else set()
    answers = {"prediction_column"} if metric in POST_TRAINING else set()
    strata = {"stratum_column"} if _USES[metric].endswith("_by_stratum") else set()
    return labels | answers | strata | ({"features"} if metric == "FT" else set())


# ---------------------------------------------------------------------------------- one window


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """The rows of one window, what is counted of them, and of samples of them."""

    rows: _Rows
    counted: _Tables
    drawn: _Tables
    unit: np.ndarray | None  # of each row, from 0, where blocks are resampled
    n_units: int
    rules: _Rules
    rng: np.random.Generator

    @classmethod
    def of(
        cls, rows: _Rows, block: np.ndarray | None, *, rules: _Rules, rng: np.random.Generator
    ) -> _Sample:
        n = len(rows.side)
        if block is None:
            unit, n_units = None, n
            counts = rows.counts(np.zeros(n, dtype=np.int64), 1)[0]
            drawn = rng.multinomial(n, counts / max(n, 1), size=rules.draws if n else 0)
        else:
            blocks, unit = np.unique(block, return_inverse=True)
            n_units = len(blocks)
            by_unit = rows.counts(unit, max(n_units, 1))
            counts, drawn = by_unit.sum(axis=0), _weights(n_units, rules, rng) @ by_unit[:n_units]
        named = partial(_Tables, positive=rows.positive)
        return cls(
            rows=rows,
            counted=named(cells=counts.reshape(rows.shape)),
            drawn=named(cells=drawn.reshape(-1, *rows.shape)),
            unit=unit,
            n_units=n_units,
            rules=rules,
            rng=rng,
        )

    def measured(self, metric: str) -> dict[str, Any]:
        """Return the value of a metric, its interval, and on how many rows it rests."""
        sides = self.counted.sides(_USES[metric])
        n = [each.n if isinstance(each, Confusion) else each.sum() for each in sides]
        unknown = {"value": np.nan, "n_current": sum(n)}
        if min(n) < self.rules.minimum:
            return unknown
        value, draws = self._flipped() if metric == "FT" else self._counted(metric, sides)
        low, high = self._interval(metric, value, draws, sides)
        return unknown | {"value": value, "low": low, "high": high}

    def _counted(self, metric: str, sides: tuple[Any, Any]) -> tuple[float, np.ndarray]:
        function = (PRE_TRAINING | POST_TRAINING)[metric]
        return float(function(*sides)), function(*self.drawn.sides(_USES[metric]))

    def _flipped(self) -> tuple[float, np.ndarray]:
        """Return the flip test, and that of samples of the disfavoured rows."""
        answered = np.flatnonzero(self.rows.answer < 2)
        own = [self._some(answered[self.rows.side[answered] == side]) for side in (0, 1)]
        index = np.sort(np.concatenate(own))
        rows = self.rows.take(index)
        of_d = rows.side == 1
        flips = _flips(rows.features, of_d, rows.answer == 1, n_neighbours=N_NEIGHBOURS)
        unit = np.arange(len(flips)) if self.unit is None else self.unit[index][of_d]
        n_units = len(flips) if self.unit is None else self.n_units
        weights = _weights(n_units, self.rules, self.rng)
        flipped, n = (weights @ np.bincount(unit, each, n_units) for each in (flips, flips**0))
        return float(flips.mean()), ratio(flipped, n)

    def _some(self, index: np.ndarray) -> np.ndarray:
        few = len(index) <= self.rules.max_rows
        return index if few else self.rng.choice(index, self.rules.max_rows, replace=False)

    def _interval(
        self, metric: str, value: float, draws: np.ndarray, sides: tuple[Any, Any]
    ) -> tuple[float, float]:
        """Return the interval; the wider one where there is one of rows and one of blocks."""
        level, of_rows = self.rules.level, self._of_proportions(metric, sides)
        if self.unit is not None and self.n_units < 2:
            return np.nan, np.nan
        if self.unit is None and of_rows is not None:
            return of_rows
        if metric in _DISTANCES:
            squared = 2 if self.rows.n_labels > 2 else 1
            return _of_distance(value, draws, scale=squared / _DISTANCES[metric], level=level)
        scale = "log" if metric in ("GE", "DI") else "linear"
        low, high = bootstrap_t(value, draws, n_units=self.n_units, scale=scale, level=level)
        if of_rows is None:
            return low, high
        return float(np.fmin(low, of_rows[0])), float(np.fmax(high, of_rows[1]))

    def _of_proportions(self, metric: str, sides: tuple[Any, Any]) -> tuple[float, float] | None:
        """Return the interval of a difference, or a ratio, of two proportions; None for others."""
        parts, sign = _PROPORTIONS.get(metric, (None, 0))
        if parts is None:
            return None
        plus, minus = (parts(each) for each in sides[::sign])
        (low, high), (minus_low, minus_high) = (
            wilson(*each, level=self.rules.level) for each in (plus, minus)
        )
        _, low, high = (quotient if metric == "DI" else difference)(
            ratio(*plus),
            low,
            high,
            reference=ratio(*minus),
            reference_low=minus_low,
            reference_high=minus_high,
        )
        return float(low), float(high)


def _of_distance(
    value: float, draws: np.ndarray, *, scale: float, level: float
) -> tuple[float, float]:
    """Return the interval of a distance, which chance only adds to: as far down as the draws go up.

    On the scale of a difference this is the interval of a difference, cut at 0. Of several
    differences chance adds up the squares, so it is on their scale that the draws lie as far above
    the distance as that lies above the truth.
    """
    if not np.isfinite(value):
        return np.nan, np.nan
    high = np.nanquantile(draws, (1 + level) / 2, method="higher")
    low = max(0.0, 2 * value**scale - high**scale) ** (1 / scale)
    return float(min(low, value)), float(max(high, value))


def _weights(n_units: int, rules: _Rules, rng: np.random.Generator) -> np.ndarray:
    """Return how often each unit is in each sample (samples × units); none of none."""
    if not n_units:
        return np.empty((0, 0))
    return np.concatenate(
        list(resampled_weights(n_units, draws=rules.draws, n_rows=n_units, rng=rng))
    )


# ------------------------------------------------------------------------------- bias drift


def bias_drift(current: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements with an alarm where they are more biased than the baseline.

    Both are tables of ``bias`` (or of ``fairness``), the baseline with one row for each metric,
    feature and group (``window=None``). A value that lies further from 0 than the baseline's, on
    either side, is an alarm; ``threshold_low`` and ``threshold_high`` are the baseline's distance.
    For the metrics that are 1 where there is no bias (``RATIOS``) it is the distance from 1, in
    proportion: against a baseline of 0.8, below 0.8 and above 1.25. (Taken to the letter, the
    documented rule would have a disparate impact rise from 0.8 to 0.9, which is fairer, count as a
    violation.) Rows that only one of the two has are left out.

    **What it does not tell.** Whether anything changed: the rule knows no chance. In a quiet world
    about every second window lies further out than a baseline, and nearly every one where the
    baseline happened to be close to 0. Look at the intervals.

    Raises ``ValueError`` when the baseline has several rows for one.

    Source: Amazon SageMaker Clarify, developer guide, "Bias Drift Violations", whose example this
    is: against 0.2, 0.1 is no violation, and -0.3 is one.

    >>> def measured(*values):
    ...     weeks = pd.date_range("2024-01-01", periods=len(values), freq="7D", tz="UTC")
    ...     return measurements({"monitor": "bias", "metric": "DPPL", "window_start": week,
    ...                          "window_end": week, "value": value}
    ...                         for week, value in zip(weeks, values))
    >>> bias_drift(measured(0.1, -0.3), measured(0.2))["alarm"].tolist()
    [False, True]
    """
    keys = ["metric", "feature", "group"]
    repeated = baseline[baseline.duplicated(keys)]
    if len(repeated):
        named = ", ".join(f"{key}={repeated.iloc[0][key]!r}" for key in keys)
        raise ValueError(f"baseline has several rows for {named}; measure it with window=None")
    own = baseline[[*keys, "value", "n_current"]]
    pairs = current.merge(own, on=keys, suffixes=("", "_of_baseline"))
    at, value = pairs["value_of_baseline"], pairs["value"]
    of_ratio = pairs["metric"].isin(RATIOS)
    with np.errstate(divide="ignore"):
        allowed = np.where(of_ratio, np.abs(np.log(at.where(of_ratio, 1.0))), np.abs(at))
    low, high = (np.where(of_ratio, np.exp(sign * allowed), sign * allowed) for sign in (-1, 1))
    drifted = pairs.assign(
        threshold_low=low,
        threshold_high=high,
        alarm=(value < low) | (value > high),
        n_reference=pairs["n_current_of_baseline"],
    )
    return drifted[list(current.columns)]
