"""How far apart are two samples? Distances over counts in bins, and over the values themselves.

Those over counts take counts of the reference and of the current sample with the bins on the last
axis; leading axes broadcast, so that a thousand windows are compared in one call. Those over values
take two samples of numbers, of any order, and leave missing values out. All are ``NaN`` where one
of the two is empty.

A distance of two samples is more than 0 even where nothing changed, the more so the fewer the rows
and the more the bins. What a quiet window shows must be known before a distance says anything.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, rel_entr

from utils.monitors.intervals import ratio

EMPTY_SHARE = 1e-4
"""What an empty bin counts as in ``psi``: one row in ten thousand."""


def _counts(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    reference, current = np.asarray(reference, dtype=float), np.asarray(current, dtype=float)
    if reference.ndim < 1 or current.ndim < 1 or reference.shape[-1] != current.shape[-1]:
        raise ValueError(
            f"reference has the shape {reference.shape}, current {current.shape}; the same bins "
            "are needed on the last axis"
        )
    return reference, current


def _rows(counts: np.ndarray) -> np.ndarray:
    return counts.sum(axis=-1, keepdims=True)


def _shares(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each bin, ``NaN`` where there are no rows."""
    reference, current = _counts(reference, current)
    return ratio(reference, _rows(reference)), ratio(current, _rows(current))


# ------------------------------------------------------------------------------------ over counts


def psi(
    reference: np.ndarray, current: np.ndarray, *, empty_share: float = EMPTY_SHARE
) -> np.ndarray:
    """Return the population stability index: sum of (q - p) · ln(q / p) over shares p and q.

    **What it does not tell.** Nothing of how far values moved: bins are equally strange to each
    other. It has no upper bound, a bin that was empty weighs much, and what is a large value
    depends on the rows and the bins: the customary 0.1 and 0.2 know of neither.

    **Empty bins** would make it infinite, so no share counts as less than ``empty_share``
    (0 lets it be infinite). Tools differ here, and so do their values: evidently puts 0.0001 in the
    place of an empty share, deepchecks lets none be less than 0.01.

    0 or more; symmetric. Raises ``ValueError`` for different numbers of bins.

    Source: S. Kullback and R. A. Leibler (1951), "On information and sufficiency", Annals of
    Mathematical Statistics 22, whose divergence J(1, 2) it is.

    >>> round(float(psi([50, 50], [30, 70])), 4)
    0.1695
    >>> print(round(float(psi([50, 50], [0, 100])), 2), psi([50, 50], [0, 100], empty_share=0))
    4.6 inf
    """
    p, q = (np.maximum(each, empty_share) for each in _shares(reference, current))
    return (rel_entr(p, q) + rel_entr(q, p)).sum(axis=-1)


def jensen_shannon(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the Jensen–Shannon distance, of base 2: 0 for equal shares, 1 for none in common.

    It is the square root of the divergence, as in ``scipy.spatial.distance.jensenshannon``: a
    metric, which the divergence is not.

    **What it does not tell.** Nothing of how far values moved, nor in which direction: all that
    moved to the next bin and all that moved to the last one are equally far.

    Symmetric. Raises ``ValueError`` for different numbers of bins.

    Source: J. Lin (1991), "Divergence measures based on the Shannon entropy", IEEE Transactions on
    Information Theory 37.

    >>> round(float(jensen_shannon([50, 50], [30, 70])), 4), float(jensen_shannon([9, 0], [0, 5]))
    (0.1741, 1.0)
    """
    p, q = _shares(reference, current)
    middle = (p + q) / 2
    bits = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=-1) / (2 * np.log(2))
    return np.sqrt(np.clip(bits, 0, 1))


def hellinger(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the Hellinger distance: 0 for equal shares, 1 for none in common.

    **What it does not tell.** As the Jensen–Shannon distance, nothing of how far values moved. It
    weighs rare bins more than large ones: a bin that was empty counts by the root of its share.

    Symmetric. Raises ``ValueError`` for different numbers of bins.

    Source: E. Hellinger (1909), "Neue Begründung der Theorie quadratischer Formen von
    unendlichvielen Veränderlichen", Journal für die reine und angewandte Mathematik 136.

    >>> round(float(hellinger([50, 50], [30, 70])), 4), float(hellinger([9, 0], [0, 5]))
    (0.1452, 1.0)
    """
    p, q = _shares(reference, current)
    return np.minimum(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=-1) / 2), 1)


def l_infinity(reference: np.ndarray, current: np.ndarray, *, ordered: bool) -> np.ndarray:
    """Return the largest difference: of cumulated shares if bins are ``ordered``, else of shares.

    It is the "simple" distance of deequ and of SageMaker Model Monitor, which takes it over
    categories as they are, and over numbers by their cumulative distribution.

    **What it does not tell.** It sees one place only, the worst: many small changes are one small
    change to it. Of categories, it hardly sees a rare one appear.

    0 to 1; symmetric. Raises ``ValueError`` for different numbers of bins.

    Source: awslabs/deequ, ``analyzers/Distance.scala``.

    >>> before, after = [50, 30, 20], [40, 30, 30]
    >>> round(float(l_infinity(before, after, ordered=False)), 4)
    0.1
    >>> round(float(l_infinity([50, 25, 25], [25, 25, 50], ordered=True)), 4)
    0.25
    """
    p, q = _shares(reference, current)
    difference = np.cumsum(p - q, axis=-1) if ordered else p - q
    return np.abs(difference).max(axis=-1, initial=0)


def l_infinity_robust(reference: np.ndarray, current: np.ndarray, *, ordered: bool) -> np.ndarray:
    """Return ``l_infinity`` less what two samples of these sizes may differ by chance, 0 at least.

    Of n and m rows, 1.8·√((n + m) / (n·m)) is taken off.

    **What it does not tell.** A value of 0 says that the rows are too few to show a change, not
    that there is none. What is taken off is about right for values of a continuous distribution
    (it is near the 99.7 % point of Kolmogorov and Smirnov's), too much for categories, and in
    dependent rows too little.

    0 to 1; symmetric. Raises ``ValueError`` for different numbers of bins.

    Source: awslabs/deequ, ``analyzers/Distance.scala``.

    >>> round(float(l_infinity_robust([5000, 5000], [300, 700], ordered=False)), 4)
    0.1403
    >>> float(l_infinity_robust([50, 50], [30, 70], ordered=False))
    0.0
    """
    reference, current = _counts(reference, current)
    n, m = reference.sum(axis=-1), current.sum(axis=-1)
    return robust(l_infinity(reference, current, ordered=ordered), n, m)


def robust(distance: np.ndarray, n_reference: np.ndarray, n_current: np.ndarray) -> np.ndarray:
    """Return a largest difference less what ``l_infinity_robust`` takes off for chance.

    >>> round(float(robust(0.2, 10_000, 1_000)), 4)
    0.1403
    """
    by_chance = 1.8 * np.sqrt(ratio(n_reference + n_current, n_reference * n_current))
    return np.maximum(distance - by_chance, 0)


def chebyshev(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the largest difference of the share of a bin: the Chebyshev distance of the shares.

    **What it does not tell.** How far values moved, and whether other bins changed too. The finer
    the bins, the smaller it is: values of different binnings are not comparable.

    0 to 1; symmetric. Raises ``ValueError`` for different numbers of bins.

    Source: ``scipy.spatial.distance.chebyshev``; Azure Machine Learning has it for predictions.

    >>> round(float(chebyshev([50, 50], [30, 70])), 4)
    0.2
    """
    return l_infinity(reference, current, ordered=False)


def kolmogorov_smirnov(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return the largest difference of the cumulated shares over ordered bins.

    It is the Kolmogorov–Smirnov statistic seen at the edges of the bins alone, so never larger than
    ``ks`` of the values, which needs them.

    **What it does not tell.** Changes within a bin. As a largest difference it is slow to see a
    change in the tails.

    0 to 1; symmetric. Raises ``ValueError`` for different numbers of bins.

    >>> round(float(kolmogorov_smirnov([50, 25, 25], [25, 25, 50])), 4)
    0.25
    """
    return l_infinity(reference, current, ordered=True)


def chi_squared(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return Pearson's chi-squared statistic of the two rows of counts.

    **What it does not tell.** How large the change is: the same change gives twice the statistic
    with twice the rows. It is no distance and has no threshold of its own.

    0 or more; symmetric. Bins empty in both do not count. Raises ``ValueError`` for different
    numbers of bins.

    Source: K. Pearson (1900), "On the criterion that a given system of deviations …",
    Philosophical Magazine 50; ``scipy.stats.chi2_contingency`` without correction.

    >>> round(float(chi_squared([50, 50], [30, 70])), 4)
    8.3333
    """
    reference, current = _counts(reference, current)
    n, m = _rows(reference), _rows(current)
    gaps = reference * np.sqrt(ratio(m, n)) - current * np.sqrt(ratio(n, m))
    both = reference + current
    known = np.where((n > 0) & (m > 0), 0.0, np.nan)
    return (np.divide(gaps**2, both, out=np.zeros_like(gaps), where=both > 0) + known).sum(axis=-1)


def chi_squared_p_value(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return how probable a chi-squared statistic this large is if nothing changed.

    **What it does not tell.** How large the change is: with many rows a change that matters to
    nobody has a p-value of 0, with few rows a disaster may have 0.3. It takes rows as independent,
    and its distribution is that of large counts: of bins with fewer than some 5 rows it is not
    right.

    0 to 1; 1 where all rows of both are in one bin. Raises ``ValueError`` for different numbers of
    bins.

    >>> round(float(chi_squared_p_value([50, 50], [30, 70])), 4)
    0.0039
    """
    reference, current = _counts(reference, current)
    freedom = (reference + current > 0).sum(axis=-1) - 1
    statistic = chi_squared(reference, current)
    return np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), statistic), 1 + 0 * statistic)


# ------------------------------------------------------------------------------------ over values


def in_order(sample: np.ndarray) -> np.ndarray:
    """Return the values of a sample as floats in ascending order, without the missing ones.

    >>> in_order([3, np.nan, 1]).tolist()
    [1.0, 3.0]
    """
    values = np.asarray(sample, dtype=float).ravel()
    return np.sort(values[~np.isnan(values)])


def ks(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the Kolmogorov–Smirnov statistic: the largest difference of the two distributions.

    **What it does not tell.** How far values moved: all that moved a hair's breadth past all others
    is as far as can be. It is slow to see a change in the tails, where the cumulative distributions
    are close by nature.

    0 to 1; symmetric. Exact, ties included: only the smaller sample is looked up in the larger.

    Source: N. Smirnov (1939), "On the estimation of the discrepancy between empirical curves of
    distribution for two independent samples"; ``scipy.stats.ks_2samp``.

    >>> ks([1.0, 2.0, 3.0, 4.0], [3.0, 4.0, 5.0, 6.0])
    0.5
    """
    return ks_in_order(in_order(reference), in_order(current))


def ks_in_order(reference: np.ndarray, current: np.ndarray) -> float:
    """Return ``ks`` of two samples that are in ascending order already.

    >>> ks_in_order(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    few, many = sorted((reference, current), key=len)
    if not len(few):
        return np.nan
    up_to = np.searchsorted(many, few, side="right") / len(many)
    before = np.searchsorted(many, few, side="left") / len(many)
    steps = np.arange(len(few) + 1) / len(few)
    return float(max((steps[1:] - up_to).max(), (before - steps[:-1]).max(), 0.0))


def ks_p_value(reference: np.ndarray, current: np.ndarray) -> float:
    """Return how probable a Kolmogorov–Smirnov statistic this large is if nothing changed.

    **What it does not tell.** How large the change is: with many rows a change that matters to
    nobody has a p-value of 0. It takes rows as independent, and values as continuous: where they
    tie, it is larger than it should be.

    0 to 1. It is that of ``scipy.stats.ks_2samp(…, method="asymp")``.

    Source: N. Smirnov (1948), "Table for estimating the goodness of fit of empirical
    distributions", Annals of Mathematical Statistics 19.

    >>> round(ks_p_value(np.arange(100), np.arange(100) + 20), 4)
    0.0314
    """
    reference, current = in_order(reference), in_order(current)
    return p_value_of_ks(ks_in_order(reference, current), len(reference), len(current))


def p_value_of_ks(statistic: float, n_reference: int, n_current: int) -> float:
    """Return the p-value of a Kolmogorov–Smirnov statistic of samples of these sizes.

    >>> p_value_of_ks(0.0, 100, 50)
    1.0
    """
    from scipy.stats import kstwo

    if np.isnan(statistic):
        return np.nan
    rows = np.round(n_reference * n_current / (n_reference + n_current))
    return float(np.clip(kstwo.sf(statistic, max(rows, 1)), 0, 1))


def wasserstein_normalised(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the Wasserstein distance in standard deviations of the reference.

    It is the mean way that values must go for the one distribution to become the other.

    **What it does not tell.** Which part moved: all by a little, or a few by far. Rare extreme
    values move both it and the standard deviation: where tails are heavy it strays widely by
    chance.

    0 or more; **not** symmetric, since the standard deviation (of the rows, not n - 1) is the
    reference's. A constant reference has none: then the distance is 0 if the current is the same
    constant, and infinite otherwise. (evidently takes 0.001 instead, whatever the unit.) Among
    infinite values distances are not defined: ``NaN``.

    Source: ``scipy.stats.wasserstein_distance``; Azure Machine Learning calls it
    ``normalized_wasserstein_distance``, evidently "Wasserstein distance (normed)".

    >>> round(wasserstein_normalised([1.0, 3.0], [2.0, 4.0]), 4)
    1.0
    >>> wasserstein_normalised([5.0, 5.0], [5.0, 5.1])
    inf
    """
    reference, current = in_order(reference), in_order(current)
    return in_deviations(wasserstein_in_order(reference, current), reference)


def wasserstein_in_order(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the Wasserstein distance, in the values' unit, of finite samples in ascending order.

    >>> wasserstein_in_order(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    1.0
    """
    n, m = len(reference), len(current)
    if not n or not m or np.isinf([reference[[0, -1]], current[[0, -1]]]).any():
        return np.nan
    values = np.concatenate([reference, current])
    order = np.argsort(values, kind="stable")
    gap = np.cumsum(np.where(order < n, m, -n))[:-1]
    return float(np.abs(gap / (n * m)) @ np.diff(values[order]))


def in_deviations(distance: float, reference: np.ndarray) -> float:
    """Return a distance in standard deviations of the reference; of a constant one, 0 or infinite.

    >>> in_deviations(3.0, np.array([1.0, 3.0])), in_deviations(0.0, np.array([1.0, 1.0]))
    (3.0, 0.0)
    """
    if np.isnan(distance) or distance == 0:
        return distance
    constant = reference[0] == reference[-1]
    return np.inf if constant else distance / float(np.std(reference))
