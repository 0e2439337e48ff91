"""What is counted of the traffic and the answers, by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest

from utils.dashboard.tallies import (
    ANSWERS,
    INTERVALS,
    Interval,
    Tallies,
    counted,
    of_categories,
    of_numbers,
    together,
)


def answers(tallies, at=0.0, latencies=(), scores=(), predictions=(), kind="double", **more):
    tallies.answers(
        at=at,
        latencies_ms=latencies,
        scores=scores,
        predictions=predictions,
        kind=kind,
        **more,
    )


def test_requests_are_counted_from_what_was_counted_before():
    tallies = Tallies()
    tallies.requests({200: 100, 500: 7}, at=5)
    assert together(tallies.traffic(at=5)).requests == 0
    tallies.requests({200: 104, 400: 2, 401: 1, 500: 8}, at=12)
    tallies.requests({200: 105, 400: 2, 401: 1, 500: 8}, at=25)
    *_, before, last_but_one, last = tallies.traffic(at=29)
    assert (before.answered, before.refused, before.failed) == (0, 0, 0)
    assert (last_but_one.answered, last_but_one.refused, last_but_one.failed) == (4, 3, 1)
    assert (last.answered, last.requests) == (1, 1)


def test_what_is_older_than_ten_minutes_is_forgotten():
    tallies = Tallies()
    tallies.requests({}, at=0)
    tallies.requests({200: 5}, at=1)
    assert tallies.traffic(at=599)[0].answered == 5
    assert together(tallies.traffic(at=600)).requests == 0
    for at in range(0, 10_000, 10):
        answers(tallies, at=at, latencies=[1.0])
    assert len(tallies._intervals) <= INTERVALS


@pytest.mark.parametrize("n", [1, 7, 500, 20_000])
def test_percentiles_are_those_of_the_very_latencies_within_their_step(n):
    latencies = np.random.default_rng(n).lognormal(1.0, 1.5, n)
    found = Interval(timed=counted(latencies)).percentiles
    exact = np.percentile(latencies, (50, 95, 99), method="inverted_cdf")
    assert found == pytest.approx(exact, rel=0.006)


def test_of_no_latencies_there_is_no_percentile():
    assert all(math.isnan(each) for each in Interval().percentiles)


def test_latencies_of_several_intervals_are_counted_together():
    parts = [Interval(timed=counted([1.0] * 99)), Interval(), Interval(timed=counted([100.0] * 1))]
    whole = together(parts)
    assert whole.n_timed == 100
    assert whole.percentiles == pytest.approx((1.0, 1.0, 1.0), rel=0.006)


def test_no_latency_is_too_small_or_too_large_to_be_counted():
    assert Interval(timed=counted([0.0, 1e-9, 1e12])).n_timed == 3


def test_a_prediction_that_nobody_waited_for_has_no_latency():
    tallies = Tallies()
    answers(tallies, latencies=[None, 4.0, None])
    last = tallies.traffic(at=0)[-1]
    assert last.n_timed == 1
    assert last.percentiles == pytest.approx((4.0,) * 3, rel=0.006)


def test_what_was_stored_before_the_page_shows_its_spread_and_no_latency():
    tallies = Tallies()
    answers(tallies, latencies=[4.0], predictions=[1.0], are_new=False)
    assert together(tallies.traffic(at=0)).n_timed == 0
    assert tallies.distribution().n == 1


def test_of_a_flood_the_newest_are_kept():
    tallies = Tallies()
    flood = [float(at) for at in range(ANSWERS + 5)]
    answers(tallies, latencies=flood, predictions=flood)
    assert tallies.traffic(at=0)[-1].n_timed == ANSWERS + 5
    assert tallies.distribution().n == ANSWERS
    assert tallies.distribution().median == 5 + (ANSWERS - 1) / 2


def test_scores_go_before_predictions_and_lie_between_0_and_1():
    tallies = Tallies()
    answers(tallies, scores=[0.01, 0.02, 0.97], predictions=["no", "no", "yes"], kind="string")
    found = tallies.distribution()
    assert (found.of, found.n, found.edges[0], found.edges[-1]) == ("score", 3, 0.0, 1.0)
    assert (found.counts[0], found.counts[-1], found.median) == (2, 1, 0.02)


def test_without_answers_there_is_no_distribution():
    tallies = Tallies()
    assert tallies.distribution() is None
    answers(tallies, predictions=[float("nan"), None])
    assert tallies.distribution() is None


@pytest.mark.parametrize(
    "numbers", [[3.0], [3.0, 3.0], list(np.random.default_rng(1).normal(size=999))]
)
def test_every_number_is_in_one_bin(numbers):
    found = of_numbers(np.array(numbers), of="number")
    assert sum(found.counts) == found.n == len(numbers)
    assert all(low < high for low, high in pairwise(found.edges))


def test_one_value_far_away_does_not_hide_the_others():
    numbers = np.append(np.arange(1_000.0), 1e9)
    found = of_numbers(numbers, of="number")
    assert found.edges[-1] < 1_000
    assert sum(found.counts) == 1_001


def test_categories_beyond_the_tenth_are_one():
    found = of_categories([str(at) for at in range(12)] + ["3"])
    assert found.labels[0] == "3" and found.labels[-1] == "…"
    assert (found.counts[0], found.counts[-1], sum(found.counts)) == (2, 2, 13)
