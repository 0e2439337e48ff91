"""Sizing: Erlang's formula, the queue against one that is simulated, and each advice once."""

import heapq

import numpy as np
import pandas as pd
import pytest

from utils.monitors.infrastructure import usage
from utils.monitors.sizing import advice, slow_share, waiting_probability
from utils.text import using

START = pd.Timestamp("2024-01-01", tz="UTC")


def response_ms(service_ms, *, arrivals_per_s, servers, rng):
    """Return how long each request takes in a queue where the first to come is served first."""
    arrival = np.cumsum(rng.exponential(1 / arrivals_per_s, len(service_ms)))
    free_at = [0.0] * servers
    done = np.empty(len(service_ms))
    for number, (at, service) in enumerate(zip(arrival, service_ms / 1000, strict=True)):
        begins = max(at, heapq.heappop(free_at))
        done[number] = begins + service
        heapq.heappush(free_at, done[number])
    return (done - arrival) * 1000


# the queue --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "servers", "probability"),
    [
        (0.5, 1, 0.5),  # one server: as often as it is busy
        (1.0, 2, 1 / 3),
        (2.0, 3, 4 / 9),
        (8.0, 10, 0.409180),
        (0.0, 4, 0.0),
        (4.0, 4, 1.0),
        (9.0, 4, 1.0),
    ],
)
def test_erlangs_formula_has_the_known_values(load, servers, probability):
    assert waiting_probability(load, servers) == pytest.approx(probability, abs=1e-6)


def test_erlangs_formula_is_its_sum():
    load, servers = 37.0, 45
    terms = np.cumprod(np.r_[1.0, load / np.arange(1, servers + 1)])
    last = terms[-1] * servers / (servers - load)
    assert waiting_probability(load, servers) == pytest.approx(last / (terms[:-1].sum() + last))
    assert 0 < waiting_probability(900.0, 1000) < 0.01  # no overflow


@pytest.mark.parametrize(("load", "servers"), [(-1.0, 2), (1.0, 0)])
def test_a_queue_that_makes_no_sense_is_refused(load, servers):
    with pytest.raises(ValueError, match="servers="):
        waiting_probability(load, servers)


@pytest.mark.parametrize("servers", [1, 3])
def test_with_exponential_times_the_slow_share_is_the_closed_form(servers):
    service = -100 * np.log1p(-(np.arange(50_000) + 0.5) / 50_000)
    busy, target = 0.75, 600.0
    load = busy * servers
    found = slow_share(service, arrivals_per_s=load * 10, servers=servers, target_ms=target)
    rest = servers - load - 1
    t = target / 100
    waits = waiting_probability(load, servers)
    if rest == 0:
        oracle = np.exp(-t) * (1 + waits * t)
    else:
        oracle = np.exp(-t) * (1 + waits * (1 - np.exp(-t * rest)) / rest)
    assert found == pytest.approx(oracle, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "servers", "busy"),
    [(1.0, 1, 0.7), (1.0, 4, 0.8), (6.0, 3, 0.7), (0.4, 4, 0.7), (50.0, 2, 0.6)],
)
def test_the_slow_share_is_that_of_a_simulated_queue(shape, servers, busy):
    rng = np.random.default_rng(7)
    service = rng.gamma(shape, 100 / shape, 60_000)
    per_s = busy * servers * 10
    taken = response_ms(service, arrivals_per_s=per_s, servers=servers, rng=rng)
    for target in (150.0, 300.0, 500.0):
        found = slow_share(service, arrivals_per_s=per_s, servers=servers, target_ms=target)
        assert found == pytest.approx((taken > target).mean(), abs=0.04)


def test_without_traffic_only_the_service_is_slow_and_beyond_capacity_all_is():
    service = np.arange(1.0, 11.0)
    assert slow_share(service, arrivals_per_s=0, servers=1, target_ms=8) == pytest.approx(0.2)
    assert slow_share(service, arrivals_per_s=1e6, servers=1, target_ms=8) == 1.0


# the advice -------------------------------------------------------------------------------------


def traffic(per_s, *, days=2, mean_ms=100.0, seed=0):
    """Return requests at random, as many by day as by night, whose service takes 50 to 200 ms."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(per_s * days * 86_400)
    at = np.sort(rng.integers(0, days * 86_400_000_000, n))
    return pd.DataFrame(
        {
            "event_time": START + pd.to_timedelta(at, unit="us"),
            "latency_ms": rng.gamma(6, mean_ms / 6, n),
        }
    )


def memory(share, *, days=2):
    n = days * 96
    times = START + pd.Timedelta("15min") * np.arange(n)
    return usage(pd.DataFrame({"sampled_at": times, "memory_share": share}), window=None)


def advised(frame, **settings):
    given = {"replicas": 2, "hourly_price": 0.5, "currency": "BRL", "target_ms": 400.0}
    with using("en"):
        return advice(frame, **given | settings)


def test_out_when_the_peak_needs_more_workers():
    found = advised(traffic(1.0, mean_ms=900), target_ms=2500.0)
    assert (found.action, found.replicas, found.size) == ("out", 2, 1.0)
    assert found.replicas_needed > 2
    assert found.busy > found.busy_limit > found.busy * 2 / found.replicas_needed
    assert found.headroom < 0
    assert found.slow_after < 0.05 < found.slow_before
    assert found.cost_after == pytest.approx(found.cost_before * found.replicas_needed / 2)
    assert found.reason.startswith(f"From 2 to {found.replicas_needed} replicas: at the peak, ")
    assert "the limits are 70% and 5%" in found.reason


def test_the_number_needed_is_the_fewest_that_meet_both_limits():
    frame = traffic(1.0, mean_ms=900)
    needed = advised(frame, target_ms=2500.0).replicas_needed
    enough = advised(frame, target_ms=2500.0, replicas=needed)
    short = advised(frame, target_ms=2500.0, replicas=needed - 1)
    assert enough.action == "keep"
    assert enough.busy <= 0.7 and enough.slow_before <= 0.05
    assert short.busy > 0.7 or short.slow_before > 0.05


def test_the_number_advised_keeps_its_promise_in_a_simulated_queue():
    frame = traffic(1.0, mean_ms=900)
    found = advised(frame, target_ms=1600.0)
    rng = np.random.default_rng(3)
    service = rng.choice(frame["latency_ms"].to_numpy(), 40_000)
    slow = [
        (response_ms(service, arrivals_per_s=found.peak_per_s, servers=n, rng=rng) > 1600).mean()
        for n in (found.replicas_needed, found.replicas_needed - 1)
    ]
    assert slow[0] <= 0.05 < slow[1] + 0.01
    assert found.slow_after == pytest.approx(slow[0], abs=0.02)


def test_a_stricter_target_needs_more_workers_although_none_is_too_busy():
    frame = traffic(1.0, mean_ms=900)
    by_use, by_target = (advised(frame, target_ms=t) for t in (5000.0, 1600.0))
    assert by_target.replicas_needed > by_use.replicas_needed


def test_workers_count_as_replicas_do():
    frame = traffic(1.0, mean_ms=900)
    one = advised(frame, target_ms=2500.0, replicas=6)
    four = advised(frame, target_ms=2500.0, replicas=2, workers=3)
    assert one.busy == four.busy
    assert one.slow_before == four.slow_before


def test_in_when_fewer_do_even_at_the_upper_bound_of_the_peak():
    found = advised(traffic(0.5), replicas=8)
    assert (found.action, found.size) == ("in", 1.0)
    assert found.replicas_needed < 8
    assert found.busy_high * 8 / found.replicas_needed <= found.busy_limit
    assert found.cost_after < found.cost_before
    assert "even at the upper bound of the peak" in found.reason
    kept = advised(traffic(0.5), replicas=8, least_replicas=8)
    assert kept.action == "keep"
    again = advised(traffic(0.5), replicas=found.replicas_needed)
    assert again.action == "keep"


def test_up_when_the_memory_is_short_whatever_the_traffic():
    found = advised(traffic(0.5), usage=memory(0.9))
    assert (found.action, found.replicas_needed, found.size) == ("up", 2, 2.0)
    assert "the 95th percentile of the memory is 90%, above 85%" in found.reason
    assert found.cost_after == pytest.approx(2 * found.cost_before)
    assert advised(traffic(0.5), usage=memory(0.8)).action != "up"


def test_up_when_one_request_alone_is_too_slow():
    found = advised(traffic(0.2, mean_ms=600), replicas=4)
    assert (found.action, found.size) == ("up", 4.0)
    assert found.slow_after < 0.05
    assert "in the service alone" in found.reason and "into computing" in found.reason
    hopeless = advised(traffic(0.2, mean_ms=60_000), replicas=40)
    assert (hopeless.action, hopeless.size) == ("keep", 1.0)
    assert "16 times the machine would not do either" in hopeless.reason


def test_down_when_half_the_machine_would_do_and_its_memory_is_known():
    frame = traffic(0.05, mean_ms=50)
    found = advised(frame, replicas=1, usage=memory(0.3))
    assert (found.action, found.replicas_needed, found.size) == ("down", 1, 0.5)
    assert found.cost_after == pytest.approx(found.cost_before / 2)
    assert "the memory used, 30%, fits" in found.reason
    unknown = advised(frame, replicas=1)
    assert unknown.action == "keep"
    assert "nobody knows whether the model fits" in unknown.reason
    assert advised(frame, replicas=1, usage=memory(0.5)).action == "keep"


@pytest.mark.parametrize(
    "frame",
    [
        traffic(0.1).head(999),
        traffic(50, days=1, mean_ms=900).head(100_000),  # an hour of it
        traffic(0.1).head(0),
        traffic(0.1).assign(latency_ms=np.nan),
    ],
)
def test_too_little_gives_no_advice_and_says_so(frame):
    found = advised(frame)
    assert (found.action, found.enough, found.replicas_needed) == ("keep", False, 2)
    assert found.reason.startswith("Too little to advise by: ")
    assert found.reason.endswith("1,000 and 24 h are needed.")
    assert np.isnan([found.busy, found.cost_before, found.slow_before, found.headroom]).all()


def test_quiet_traffic_is_advised_the_same_week_after_week():
    actions = {
        advised(traffic(2.0, mean_ms=300, seed=seed), target_ms=900.0).action for seed in range(12)
    }
    assert actions == {"keep"}


def test_the_reason_is_in_the_language_in_force():
    with using("pt"):
        found = advice(
            traffic(1.0, mean_ms=900), replicas=2, hourly_price=1, currency="BRL", target_ms=2500
        )
    assert found.reason.startswith(f"De 2 para {found.replicas_needed} réplicas: no pico, ")
    assert "requisições por segundo" in found.reason


def test_the_costs_are_those_of_a_thousand_predictions():
    frame = traffic(0.5)
    found = advised(frame, replicas=4, hourly_price=0.25)
    assert found.cost_before == pytest.approx(1000 * 48 / len(frame), rel=1e-3)
    assert found.currency == "BRL"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replicas": 0}, "replicas=0: a whole number, 1 or more"),
        ({"workers": 1.5}, "workers=1.5: a whole number"),
        ({"target_ms": 0}, "target_ms=0: a number above 0"),
        ({"hourly_price": -1}, "hourly_price=-1"),
        ({"currency": ""}, "currency='': name the unit"),
        ({"percentile": 95}, "percentile=95: a number between 0 and 1"),
        ({"busy_limit": 1}, "busy_limit=1"),
        ({"level": 2}, "level=2"),
        ({"service_column": "latency"}, "service_column='latency' is no column"),
        ({"service_column": "name"}, "service_column='name' holds"),
        ({"service_column": "below"}, "service_column='below' holds -1: a time of 0 or more"),
        ({"service_column": "nought"}, "service_column='nought' holds nothing but 0"),
        ({"usage": usage(pd.DataFrame({"sampled_at": [START], "x": [1.0]}))}, "memory_feature="),
    ],
)
def test_a_misuse_is_named(settings, message):
    frame = traffic(0.1).assign(name="a", below=-1.0, nought=0.0)
    with pytest.raises(ValueError) as error:
        advised(frame, **settings)
    assert message in str(error.value)
