"""What CloudWatch and Lambda would cost: counted by hand from the price list."""

import math
from dataclasses import replace

import pytest

from tests.operations.conftest import weeks
from utils.exporters.cloudwatch_alarms import line_data
from utils.operations.aws_costs import PRICES, Usage, monthly_cost, usage_of


def usd(usage, **settings):
    cost = monthly_cost(usage, **settings)
    return dict(zip(cost["item"], cost["usd"], strict=True))


def test_each_item_has_its_own_price():
    usage = Usage(
        metrics=100,
        alarms=12,
        dashboards=2,
        requests=50_000,
        invocations=3_000_000,
        seconds=1.0,
        memory_mib=512,
    )
    assert usd(usage) == pytest.approx(
        {
            "metrics": 30.0,  # 100 x 0.30
            "alarms": 1.2,  # 12 x 0.10
            "dashboards": 6.0,  # 2 x 3.00
            "requests": 0.5,  # 50 thousands x 0.01
            "invocations": 0.6,  # 3 millions x 0.20
            "gb_seconds": 25.00005,  # 3,000,000 x 1 s x 0.5 GB x 0.0000166667
        }
    )


def test_the_example_of_the_price_list_of_lambda_comes_out():
    """AWS's own: 3 million calls of 1 s with 512 MB are 18.33 + 0.40 dollars, the free tier off."""
    found = usd(Usage(invocations=3_000_000, seconds=1.0, memory_mib=512), free_tier=True)
    assert round(found["gb_seconds"], 2) == 18.33  # (1,500,000 - 400,000) x 0.0000166667
    assert round(found["invocations"], 2) == 0.40  # (3 - 1) x 0.20


def test_a_metric_is_billed_for_the_hours_in_which_it_has_data():
    always, once_a_day = Usage(metrics=730), Usage(metrics=730, metric_hours=30)
    assert usd(always)["metrics"] == pytest.approx(219.0)  # 730 x 0.30
    assert usd(once_a_day)["metrics"] == pytest.approx(9.0)  # 730 x 30 / 730 x 0.30


def test_each_tier_of_metrics_has_its_price():
    found = usd(Usage(metrics=1_100_000))["metrics"]
    by_hand = 10_000 * 0.30 + 240_000 * 0.10 + 750_000 * 0.05 + 100_000 * 0.02
    assert found == pytest.approx(by_hand) == pytest.approx(66_500)


def test_what_lies_within_the_free_tier_costs_nothing():
    small = Usage(metrics=10, alarms=10, dashboards=3, requests=1_000_000, invocations=1_000)
    cost = monthly_cost(small, free_tier=True)
    assert (cost["usd"] == 0).all() and (cost["billed"] == 0).all()
    more = replace(small, metrics=15, alarms=11)
    assert usd(more, free_tier=True)["metrics"] == pytest.approx(1.5)
    assert monthly_cost(more, free_tier=True)["free"].tolist()[:2] == [10, 10]


def test_a_duration_is_rounded_up_to_a_millisecond():
    usage = Usage(invocations=1_000_000, seconds=0.0101, memory_mib=1_024)
    cost = monthly_cost(usage).set_index("item")
    assert cost.loc["gb_seconds", "quantity"] == pytest.approx(11_000)
    exact = Usage(invocations=1_000, seconds=0.007, memory_mib=1_024)
    assert monthly_cost(exact).set_index("item").loc["gb_seconds", "quantity"] == pytest.approx(7)


def test_usage_is_counted_from_what_is_sent():
    """Two lines of three windows are two metrics; each day one call."""
    table = [weeks(1.0, 2.0, 3.0), weeks(1.0, 2.0, 3.0, group="JFK")]
    calls = [call for each in table for call in line_data(each, deployment="flights")]
    usage = usage_of(calls, a_month=30, alarms=2, dashboards=1, alerts=4)
    assert (usage.metrics, usage.metric_hours, usage.requests) == (2, 30, 60)
    assert (usage.alarms, usage.dashboards, usage.invocations) == (2, 1, 4)
    assert usage_of(calls, a_month=43_800).metric_hours == 730


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(ValueError, match="^alarms=-1: must not be negative"):
        Usage(alarms=-1)
    with pytest.raises(ValueError, match="^seconds=nan: must not be negative"):
        Usage(seconds=math.nan)
    with pytest.raises(ValueError, match="^metric_hours=731: a month has 730 hours"):
        Usage(metric_hours=731)


def test_the_prices_say_where_and_when_they_held():
    assert PRICES.region == "us-east-1" and PRICES.as_of.year == 2026
    assert "https://aws.amazon.com/cloudwatch/pricing/" in PRICES.source
    dearer = replace(PRICES, alarm_month=0.5)
    assert usd(Usage(alarms=2), prices=dearer)["alarms"] == 1.0
