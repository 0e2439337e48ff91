"""Distances: each equal to an oracle, and what a distance must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance as oracle

from utils.monitors import distances
from utils.monitors.distances import (
    chebyshev,
    chi_squared,
    chi_squared_p_value,
    hellinger,
    jensen_shannon,
    kolmogorov_smirnov,
    ks,
    ks_p_value,
    l_infinity,
    l_infinity_robust,
    psi,
    wasserstein_normalised,
)


def over_categories(of):
    return lambda reference, current: of(reference, current, ordered=False)


def over_numbers(of):
    return lambda reference, current: of(reference, current, ordered=True)


BY_COUNTS = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "chebyshev": chebyshev,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "chi_squared": chi_squared,
    "l_infinity of categories": over_categories(l_infinity),
    "l_infinity of numbers": over_numbers(l_infinity),
    "l_infinity_robust of categories": over_categories(l_infinity_robust),
    "l_infinity_robust of numbers": over_numbers(l_infinity_robust),
}
BY_VALUES = {"ks": ks, "wasserstein_normalised": wasserstein_normalised}
BLIND_TO_ORDER = BY_COUNTS.keys() - {
    "kolmogorov_smirnov",
    "l_infinity of numbers",
    "l_infinity_robust of numbers",
}

each_by_counts = pytest.mark.parametrize("of", BY_COUNTS.values(), ids=BY_COUNTS.keys())
each_by_values = pytest.mark.parametrize("of", BY_VALUES.values(), ids=BY_VALUES.keys())
two_counts = st.integers(1, 8).flatmap(
    lambda k: st.tuples(*[st.lists(st.integers(0, 500), min_size=k, max_size=k).filter(any)] * 2)
)
samples = st.lists(st.integers(-20, 20).map(lambda x: x / 2), min_size=2, max_size=40)


def drawn(*, n_bins=10, seed=0, n=(5000, 700)):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(n_bins, 5.0), size=2)
    return rng.multinomial(n[0], p), rng.multinomial(n[1], q)


# --------------------------------------------------------------------------- equal to an oracle


@pytest.mark.parametrize("seed", range(5))
def test_distances_over_counts_are_what_scipy_computes(seed):
    reference, current = drawn(seed=seed)
    p, q = reference / reference.sum(), current / current.sum()
    chi = stats.chi2_contingency([reference, current], correction=False)
    positions = np.arange(len(p))
    expected = {
        psi: stats.entropy(p, q) + stats.entropy(q, p),
        jensen_shannon: oracle.jensenshannon(p, q, base=2),
        hellinger: oracle.euclidean(np.sqrt(p), np.sqrt(q)) / np.sqrt(2),
        chebyshev: oracle.chebyshev(p, q),
        chi_squared: chi.statistic,
        chi_squared_p_value: chi.pvalue,
        kolmogorov_smirnov: stats.ks_2samp(
            np.repeat(positions, reference), np.repeat(positions, current), method="asymp"
        ).statistic,
    }
    for of, value in expected.items():
        assert of(reference, current) == pytest.approx(value), of.__name__


def test_the_robust_distance_is_deequs_formula_by_hand():
    reference, current = np.array([600, 400]), np.array([60, 140])
    taken_off = 1.8 * ((1000 + 200) / (1000 * 200)) ** 0.5
    found = l_infinity_robust(reference, current, ordered=False)
    assert found == pytest.approx(0.3 - taken_off)
    assert l_infinity_robust(reference // 20, current // 20, ordered=False) == 0.0


def test_psi_by_hand_and_its_empty_bin():
    reference, current = [200, 300, 500], [100, 400, 500]
    by_hand = 0.1 * np.log(2) + 0.1 * np.log(4 / 3)
    assert psi(reference, current) == pytest.approx(by_hand)
    emptied = psi([10, 90], [0, 100])
    assert emptied == pytest.approx(
        (1e-4 - 0.1) * np.log(1e-4 / 0.1) + (1.0 - 0.9) * np.log(1.0 / 0.9)
    )
    assert psi([10, 90], [0, 100], empty_share=0.01) == pytest.approx(
        (0.01 - 0.1) * np.log(0.1) + 0.1 * np.log(1.0 / 0.9)
    )
    assert psi([10, 90], [0, 100], empty_share=0) == np.inf
    assert psi([10, 90, 0], [20, 80, 0], empty_share=0) == psi([10, 90], [20, 80])


@given(samples, samples)
def test_distances_over_values_are_what_scipy_computes(reference, current):
    asymptotic = stats.ks_2samp(reference, current, method="asymp")
    assert ks(reference, current) == pytest.approx(asymptotic.statistic)
    assert ks_p_value(reference, current) == pytest.approx(asymptotic.pvalue)
    if np.ptp(reference) > 0:
        expected = stats.wasserstein_distance(reference, current) / np.std(reference)
        assert wasserstein_normalised(reference, current) == pytest.approx(expected, abs=1e-12)


def test_kolmogorov_smirnov_on_bins_is_never_more_than_on_values():
    rng = np.random.default_rng(1)
    reference, current = rng.normal(size=4000), rng.normal(0.3, 1.4, size=900)
    exact = ks(reference, current)
    seen = []
    for n_bins in (5, 10, 200):
        edges = np.quantile(reference, np.linspace(0, 1, n_bins + 1)[1:-1])
        counts = [
            np.bincount(np.searchsorted(edges, each), minlength=n_bins)
            for each in (reference, current)
        ]
        seen.append(float(kolmogorov_smirnov(*counts)))
    assert max(seen) <= exact + 1e-12
    assert exact - seen[-1] < 1 / 200


# ------------------------------------------------------------------------ what a distance must be


@each_by_counts
@given(two_counts)
def test_nothing_is_apart_from_itself_and_neither_side_comes_first(of, pair):
    reference, current = pair
    assert of(reference, reference) == 0
    assert of(reference, current) == pytest.approx(of(current, reference), abs=1e-12)
    assert of(reference, current) >= 0


@pytest.mark.parametrize("name", sorted(BY_COUNTS.keys() - {"psi", "chi_squared"}))
@given(two_counts)
def test_distances_that_have_a_largest_value_stay_within_it(name, pair):
    assert BY_COUNTS[name](*pair) <= 1 + 1e-12


@pytest.mark.parametrize("name", sorted(BLIND_TO_ORDER))
@given(two_counts, st.randoms(use_true_random=False))
def test_the_order_of_categories_does_not_show(name, pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    shuffled = [[counts[each] for each in order] for counts in pair]
    assert BY_COUNTS[name](*shuffled) == pytest.approx(BY_COUNTS[name](*pair), abs=1e-12)


@each_by_values
@given(samples, samples, st.randoms(use_true_random=False))
def test_the_order_of_values_does_not_show(of, reference, current, random):
    before = of(reference, current)
    random.shuffle(reference)
    random.shuffle(current)
    assert of(reference, current) == before


@pytest.mark.parametrize("name", sorted(BY_COUNTS))
def test_distances_grow_with_the_change(name):
    reference = np.array([250, 250, 250, 250])
    moved = [reference + k * np.array([-20, -10, 10, 20]) for k in range(13)]
    found = BY_COUNTS[name](reference, moved)
    assert (np.diff(found) >= 0).all() and found[-1] > found[0] == 0


@each_by_values
def test_distances_over_values_grow_with_the_change(of):
    values = np.random.default_rng(0).normal(size=500)
    found = [of(values, values + shift) for shift in np.linspace(0, 2, 9)]
    assert (np.diff(found) > 0).all() and found[0] == 0


def test_wasserstein_is_the_shift_in_deviations_whatever_the_unit():
    grams = np.random.default_rng(0).gamma(2, 300, size=800)
    for unit in (1, 1e-3):
        values = grams * unit
        shifted = values + 0.7 * np.std(values)
        assert wasserstein_normalised(values, shifted) == pytest.approx(0.7)


def test_wasserstein_knows_how_far_and_the_others_do_not():
    near, far = [0, 900, 100, 0], [0, 900, 0, 100]
    reference = [0, 1000, 0, 0]
    assert jensen_shannon(reference, near) == jensen_shannon(reference, far)
    zeros = np.zeros(1000)
    spread = np.concatenate([zeros, [-0.5, 0.5]])
    moved = [np.where(np.arange(1000) < 100, by, 0.0) for by in (1.0, 50.0)]
    assert ks(spread, moved[0]) == ks(spread, moved[1])
    assert wasserstein_normalised(spread, moved[0]) < wasserstein_normalised(spread, moved[1])


def test_twice_the_rows_leave_a_distance_and_move_a_p_value():
    reference, current = drawn(n=(2000, 300))
    for of in (psi, jensen_shannon, hellinger, chebyshev, kolmogorov_smirnov):
        assert of(2 * reference, 2 * current) == pytest.approx(of(reference, current))
    assert chi_squared(2 * reference, 2 * current) == pytest.approx(
        2 * chi_squared(reference, current)
    )
    assert chi_squared_p_value(2 * reference, 2 * current) < chi_squared_p_value(reference, current)


def test_a_quiet_p_value_is_below_five_in_a_hundred_five_times_in_a_hundred():
    rng = np.random.default_rng(3)
    p = np.full(10, 0.1)
    found = chi_squared_p_value(
        rng.multinomial(4000, p, size=4000), rng.multinomial(800, p, size=4000)
    )
    assert np.mean(found < 0.05) == pytest.approx(0.05, abs=0.012)


# ------------------------------------------------------------------------------- shapes and edges


@each_by_counts
def test_leading_axes_broadcast(of):
    rng = np.random.default_rng(2)
    reference = rng.integers(1, 90, size=(1, 4, 6))
    current = rng.integers(1, 90, size=(3, 1, 6))
    found = of(reference, current)
    assert found.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            assert found[i, j] == pytest.approx(of(reference[0, j], current[i, 0]))


@pytest.mark.parametrize("of", [*BY_COUNTS.values(), chi_squared_p_value])
def test_no_rows_are_no_distance(of):
    found = of(np.array([[3, 4], [0, 0], [0, 0]]), np.array([[0, 0], [1, 1], [0, 0]]))
    assert np.isnan(found).all()


def test_no_values_are_no_distance():
    for of in (ks, ks_p_value, wasserstein_normalised):
        assert np.isnan(of([], [1.0])) and np.isnan(of([1.0], [np.nan])) and np.isnan(of([], []))


@each_by_values
def test_missing_values_are_left_out(of):
    assert of([1.0, np.nan, 2.0], [2.0, 3.0]) == of([1.0, 2.0], [np.nan, 2.0, 3.0])


def test_a_constant_reference_has_no_deviation():
    assert wasserstein_normalised([0.1] * 3, [0.1] * 7) == 0
    assert wasserstein_normalised([0.1] * 3, [0.1, 0.2]) == np.inf
    assert ks([0.1] * 3, [0.1, 0.2]) == 0.5


def test_infinite_values_have_a_largest_difference_and_no_distance():
    values = [1.0, 2.0, np.inf]
    assert ks(values, [1.0, 2.0, 3.0]) == pytest.approx(1 / 3)
    assert np.isnan(wasserstein_normalised(values, [1.0, 2.0]))
    assert np.isnan(wasserstein_normalised([1.0, 2.0], [-np.inf, 0.0]))


def test_one_bin_with_all_rows_has_a_p_value_of_one():
    assert chi_squared_p_value([5, 0], [9, 0]) == 1
    assert chi_squared_p_value([5], [9]) == 1


def test_nothing_changes_its_inputs():
    counts, values = np.array([3.0, 1.0]), np.array([3.0, 1.0, 2.0])
    for of in BY_COUNTS.values():
        of(counts, counts[::-1])
    for of in BY_VALUES.values():
        of(values, values + 1)
    assert counts.tolist() == [3.0, 1.0] and values.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("of", [*BY_COUNTS.values(), chi_squared_p_value])
def test_other_bins_are_refused(of):
    with pytest.raises(ValueError, match=r"reference has the shape \(2,\), current \(1,\)"):
        of([1, 2], [1])
    with pytest.raises(ValueError, match=r"current \(\); the same bins are needed"):
        of([1], 3)


def test_every_distance_says_what_it_does_not_tell():
    for name in ("chi_squared_p_value", "ks_p_value", *BY_VALUES, *BY_COUNTS):
        text = getattr(distances, name.split()[0]).__doc__
        assert "What it does not tell" in text, name
