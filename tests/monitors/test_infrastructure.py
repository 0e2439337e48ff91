"""Infrastructure: percentiles and their order, traffic, resources that run out, what it costs."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from utils.datasets import incidents
from utils.monitors.infrastructure import (
    Latency,
    cost_per_thousand,
    infrastructure,
    poisson,
    quantile,
    sample,
    trend,
    usage,
)
from utils.records import MEASUREMENT_COLUMNS, Incident

START = pd.Timestamp("2024-01-01", tz="UTC")


def traffic(n=2000, *, days=1.0, seed=0):
    """Return requests at random moments, with a latency of about 8 ms and few errors."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.random(n)) * days * 86_400
    return pd.DataFrame(
        {
            "event_time": START + pd.to_timedelta((seconds * 1e6).astype("int64"), unit="us"),
            "latency_ms": 8 * np.exp(0.35 * rng.standard_normal(n)),
            "error": rng.random(n) < 0.01,
        }
    )


def measured(frame, **settings):
    return infrastructure(frame, **{"window": None} | settings).set_index("metric")


# how sure we are --------------------------------------------------------------------------------


@given(st.integers(0, 500), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_of_a_count_is_garwoods(events, level):
    low, high = poisson(events, level=level)
    tail = (1 - level) / 2
    assert high == pytest.approx(stats.chi2.ppf(1 - tail, 2 * events + 2) / 2)
    assert low == pytest.approx(stats.chi2.ppf(tail, 2 * events) / 2 if events else 0)


@settings(deadline=None)
@given(st.integers(1, 600), st.sampled_from([0.1, 0.5, 0.9, 0.95, 0.99]), st.integers(0, 9))
def test_the_interval_of_a_quantile_is_what_scipy_computes(n, q, seed):
    values = np.random.default_rng(seed).exponential(size=n)
    value, low, high = quantile(values, q)
    oracle = stats.quantile_test(values, p=q).confidence_interval(0.95)
    assert value == np.quantile(values, q, method="inverted_cdf")
    np.testing.assert_equal((low, high), (oracle.low, oracle.high))


def test_a_high_percentile_of_few_rows_has_no_upper_bound():
    assert np.isnan(quantile(np.arange(367.0), 0.99)[2])
    assert quantile(np.arange(368.0), 0.99)[2] == 367


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_the_interval_holds_the_true_quantile_as_often_as_it_says(q):
    rng = np.random.default_rng(1)
    truth = stats.lognorm.ppf(q, 0.5)
    held = 0
    for values in np.exp(0.5 * rng.standard_normal((600, 800))):
        _, low, high = quantile(values, q)
        held += low <= truth <= high
    assert 0.94 < held / 600 < 0.99


def test_blocks_that_are_slow_together_widen_the_interval():
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(60), 50)
    truth, held, held_by_block = 0.0, 0, 0
    for _ in range(300):
        values = rng.normal(size=60)[unit] + 0.3 * rng.normal(size=3000)
        _, low, high = quantile(values, 0.5)
        held += low <= truth <= high
        _, low, high = quantile(values, 0.5, unit=unit)
        held_by_block += low <= truth <= high
    assert held < 150
    assert held_by_block > 275


@pytest.mark.parametrize("q", [0, 1, 95])
def test_a_quantile_is_between_0_and_1(q):
    with pytest.raises(ValueError, match=f"q={q}: a number between 0 and 1"):
        quantile(np.ones(3), q)


def test_the_trend_is_the_median_of_the_slopes():
    rng = np.random.default_rng(3)
    time = np.sort(rng.random(200))
    values = 3 * time + rng.standard_t(2, 200)
    value, low, high = trend(time, values)
    oracle = stats.theilslopes(values, time, 0.95)
    assert value == pytest.approx(oracle.slope)
    assert (low, high) == pytest.approx((oracle.low_slope, oracle.high_slope), abs=0.02)


@pytest.mark.parametrize(("n", "missed"), [(4, 0), (5, 2), (6, 12), (7, 152)])
def test_the_interval_of_a_trend_is_exact_for_few_points(n, missed):
    """Of all orders of the noise, it leaves out the true slope in at most 5 in a hundred.

    They are those that Kendall's exact test rejects: 2 of 120, 12 of 720, 152 of 5040.
    """
    time = np.arange(n, dtype=float)
    orders = [trend(time, np.array(each)) for each in itertools.permutations(time**1.5)]
    assert sum(low > 0 or high < 0 for _, low, high in orders) == missed
    assert missed <= 0.05 * len(orders)


def test_the_fewest_points_of_an_interval_are_five():
    rising = trend(np.arange(5.0), np.arange(5.0) ** 2)
    assert rising == (4.0, 1.0, 7.0)  # the least and the greatest slope: 2 orders in 120
    assert np.isnan(trend(np.arange(4.0), np.arange(4.0) ** 2)[1:]).all()
    assert np.isnan(trend(np.arange(1.0), np.arange(1.0))).all()


# requests ---------------------------------------------------------------------------------------


def test_a_small_day_by_hand():
    times = ["00:00:10", "00:00:20", "00:00:30", "00:02:30"]
    frame = pd.DataFrame(
        {
            "event_time": pd.to_datetime([f"2024-01-01T{each}Z" for each in times]),
            "latency_ms": [1.0, 2.0, 3.0, 100.0],
            "status": [200, 503, 404, None],
        }
    )
    table = measured(
        frame,
        status_column="status",
        minimum=1,
        start="2024-01-01T00:00Z",
        end="2024-01-01T00:05Z",
    )
    assert table["value"].round(4).to_dict() == {
        "latency_p50_ms": 2.0,
        "latency_p90_ms": 100.0,
        "latency_p95_ms": 100.0,
        "latency_p99_ms": 100.0,
        "error_rate": 0.3333,
        "refused_rate": 0.3333,
        "requests_per_second": round(4 / 300, 4),
        "peak_requests_per_minute": 3.0,
        "longest_silence_s": 150.0,
    }
    assert table.loc["error_rate", "n_current"] == 3
    low, high = poisson(4)
    rate = table.loc["requests_per_second"]
    assert (rate["low"], rate["high"]) == pytest.approx((low / 300, high / 300))


def test_the_table_is_the_measurements_table_by_metric_group_and_window():
    frame = traffic(days=3).assign(version=lambda f: np.where(f.index % 3, "1", "2"))
    table = infrastructure(frame, group_column="version", status_column="error")
    assert tuple(table.columns) == MEASUREMENT_COLUMNS
    assert list(dict.fromkeys(table["group"])) == ["", "1", "2"]
    assert len(table) == 8 * 3 * 3
    counted = table[table["metric"] == "requests_per_second"].groupby("group")["n_current"].sum()
    assert counted.to_dict() == {"": 2000, "1": 1333, "2": 667}
    alone = infrastructure(frame[frame["version"] == "1"], status_column="error")
    columns = ["metric", "window_start", "value"]
    left, right = (
        t[t["metric"].str.startswith(("latency", "error"))][columns].reset_index(drop=True)
        for t in (table[table["group"] == "1"], alone)
    )
    pd.testing.assert_frame_equal(left, right)


def test_a_silence_is_seen_and_an_unwatched_time_is_none():
    frame = traffic(5000, days=2)
    hour = frame["event_time"].dt.floor("1h")
    frame = frame[~hour.isin([START + pd.Timedelta("30h")])]
    table = infrastructure(frame)
    silence = table[table["metric"] == "longest_silence_s"]["value"].tolist()
    assert silence[0] < 600
    assert 3600 <= silence[1] < 4200
    late = infrastructure(frame, start=START, end=START + pd.Timedelta("5D"))
    silence = late[late["metric"] == "longest_silence_s"]["value"].tolist()
    assert silence[2:] == [86_400.0] * 3


def test_the_rate_of_a_window_that_is_watched_in_part_is_that_of_the_part():
    frame = traffic(4000, days=1.25)
    rates = infrastructure(frame).query("metric == 'requests_per_second'")
    np.testing.assert_allclose(rates["value"], 4000 / 1.25 / 86_400, rtol=0.08)
    assert (rates["low"] < 4000 / 1.25 / 86_400).all()
    assert (rates["high"] > 4000 / 1.25 / 86_400).all()


def test_too_few_rows_give_nan_with_their_number():
    table = measured(traffic(29), status_column="error")
    assert table.loc[["latency_p50_ms", "error_rate"], "value"].isna().all()
    assert (table["n_current"] == 29).all()
    assert table.loc["peak_requests_per_minute", "value"] >= 1
    assert infrastructure(traffic(5).head(0)).empty
    idle = infrastructure(
        traffic(5).head(0), start="2024-01-01T00:00Z", end="2024-01-02T00:00Z"
    ).set_index("metric")
    assert idle.loc["longest_silence_s", "value"] == 86_400
    assert (idle.loc["requests_per_second", ["value", "low"]] == 0).all()
    assert np.isnan(idle.loc["latency_p50_ms", "value"])


def test_blocks_never_make_an_interval_narrower():
    frame = traffic(3000)
    frame["latency_ms"] *= 1 + frame["event_time"].dt.hour
    frame["error"] = frame["event_time"].dt.hour == 3
    rows, blocks = (measured(frame, status_column="error", block=b) for b in (None, "1h"))
    np.testing.assert_array_equal(rows["value"], blocks["value"])
    estimated = ["latency_p50_ms", "error_rate", "requests_per_second"]
    width = [(t["high"] - t["low"])[estimated] for t in (rows, blocks)]
    assert (width[1] >= width[0]).all()
    assert (width[1] > 2 * width[0])[["latency_p50_ms", "error_rate"]].all()


@pytest.mark.parametrize("kind", ["latency_burst", "error_burst"])
def test_a_burst_is_outside_the_interval_of_the_days_before(kind):
    incident = Incident(
        kind=kind,
        start=START + pd.Timedelta("3D"),
        end=START + pd.Timedelta("4D"),
        strength=0.3,
    )
    frame, _ = incidents.inject(
        traffic(8000, days=4),
        [incident],
        rng=np.random.default_rng(0),
        time_column="event_time",
    )
    metric = {"latency_burst": "latency_p50_ms", "error_burst": "error_rate"}[kind]
    found = infrastructure(frame, status_column="error")
    found = found[found["metric"] == metric]
    low, high = found["low"].to_numpy(), found["high"].to_numpy()
    assert low[3] > high[:3].max()
    assert low[:3].max() < high[:3].min()


@pytest.mark.parametrize(
    "status",
    [
        pd.Series([False, True, None] * 40, dtype="object"),
        pd.Series([0, 1, None] * 40, dtype="float64"),
        pd.Series([False, True, None] * 40, dtype="boolean"),
        pd.Series([False, True, None] * 40, dtype="bool[pyarrow]"),
        pd.Series([200, 500, None] * 40, dtype="Int64"),
        pd.Series(["200", "500", None] * 40, dtype="str"),
        pd.Series(["200", "500", None] * 40, dtype="category"),
        pd.Series([200, 500, None] * 40, dtype="int64[pyarrow]"),
    ],
)
def test_errors_are_read_from_any_type_of_column(status):
    frame = traffic(120).assign(status=status)
    row = measured(frame, status_column="status").loc["error_rate"]
    assert (row["value"], row["n_current"]) == (0.5, 80)
    measure = Latency.of(frame, status_column="status")
    cells = measure.cells(frame, np.zeros(120, dtype=int), 1)
    assert measure.values(cells, cells)[0, -1] == 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latency_column": "latency"}, "latency_column='latency' is no column of the frame; did"),
        ({"latency_column": "version"}, "latency_column='version' holds 'a': a number is needed"),
        ({"status_column": "version"}, "status_column='version' holds 'a': an HTTP status"),
        ({"status_column": "odd"}, "status_column='odd' holds 7: an HTTP status"),
        ({"minimum": 0}, "minimum=0: at least 1"),
        ({"level": 95}, "level=95"),
        ({"block": "x"}, "block='x'"),
        ({"group_column": "team"}, "group_column='team'"),
    ],
)
def test_a_misuse_is_named(settings, message):
    with pytest.raises(ValueError) as error:
        infrastructure(traffic(40).assign(version="a", odd=7), **settings)
    assert message in str(error.value)


@pytest.mark.parametrize("dtype", ["object", "Float64", "float32", "double[pyarrow]", "category"])
def test_latencies_of_any_type_are_read_alike(dtype):
    frame = traffic(400).round({"latency_ms": 0})
    frame.loc[3, "latency_ms"] = np.nan
    other = frame.assign(latency_ms=frame["latency_ms"].astype(dtype))
    pd.testing.assert_frame_equal(infrastructure(frame), infrastructure(other))
    cells = [Latency.of(f).cells(f, np.zeros(400, dtype=int), 1) for f in (frame, other)]
    np.testing.assert_array_equal(*cells)


def test_nothing_changes_its_inputs_and_the_order_of_rows_does_not_count():
    frame = traffic(500)
    before = frame.copy(deep=True)
    table = infrastructure(frame, status_column="error", block="1h")
    pd.testing.assert_frame_equal(frame, before)
    mixed = infrastructure(frame.sample(frac=1, random_state=1), status_column="error", block="1h")
    pd.testing.assert_frame_equal(table, mixed)


# resources --------------------------------------------------------------------------------------


def readings(days=7, *, leak_per_day=0.0, per_day=96, seed=0):
    """Return readings of a process whose memory follows the day, is restarted, and may leak."""
    rng = np.random.default_rng(seed)
    n = days * per_day
    day = np.arange(n) / per_day
    memory = 400e6 + 80e6 * np.sin(2 * np.pi * day) + 5e6 * rng.standard_normal(n)
    memory += leak_per_day * day
    memory[n // 3 : n // 3 + 4] = 100e6
    return pd.DataFrame(
        {
            "sampled_at": START + pd.Timedelta("1D") / per_day * np.arange(n),
            "cpu_share": np.clip(0.3 + 0.1 * rng.standard_normal(n), 0, 1),
            "memory_bytes": memory,
        }
    )


def of(table, metric, feature):
    return table[(table["metric"] == metric) & (table["feature"] == feature)].iloc[0]


def test_a_slow_leak_is_found_and_a_day_is_none():
    leak = of(usage(readings(leak_per_day=4e6)), "trend_per_day", "memory_bytes")
    assert 0 < leak["low"] < 4e6 < leak["high"] < 8e6
    quiet = [of(usage(readings(seed=seed)), "trend_per_day", "memory_bytes") for seed in range(60)]
    assert sum(row["low"] > 0 for row in quiet) <= 4


def test_the_days_until_full_are_those_of_the_trend():
    samples = readings().assign(disk_share=lambda f: 0.5 + 0.01 * np.arange(len(f)) / 96)
    samples["disk_share"] += 0.001 * np.random.default_rng(0).standard_normal(len(samples))
    left = of(usage(samples), "days_until_full", "disk_share")
    assert left["value"] == pytest.approx((1 - 0.565) / 0.01, rel=0.03)
    assert left["low"] < left["value"] < left["high"] < 50
    level = of(usage(samples.assign(disk_share=0.5)), "days_until_full", "disk_share")
    assert (level["value"], level["low"], level["high"]) == (np.inf, np.inf, np.inf)
    full = of(usage(samples.assign(disk_share=1.0)), "days_until_full", "disk_share")
    assert full["value"] == 0


def test_memory_has_days_left_where_its_capacity_is_known():
    samples = readings(leak_per_day=10e6)
    assert "days_until_full" not in set(usage(samples)["metric"])
    left = of(usage(samples, capacity={"memory_bytes": 1e9}), "days_until_full", "memory_bytes")
    assert left["value"] == pytest.approx((1e9 - 400e6 - 65e6) / 10e6, rel=0.1)


def test_the_guard_of_the_disk_is_the_last_reading_above_75_percent():
    samples = readings().assign(disk_share=0.80)
    samples.loc[len(samples) - 1, "disk_share"] = 0.75
    row = of(usage(samples), "last_use", "disk_share")
    assert (row["value"], row["threshold_high"], row["alarm"]) == (0.75, 0.75, False)
    samples.loc[len(samples) - 1, "disk_share"] = 0.76
    assert of(usage(samples), "last_use", "disk_share")["alarm"]
    assert not of(usage(samples, guard=0.9), "last_use", "disk_share")["alarm"]


def test_mean_and_percentile_of_use_take_days_as_independent():
    samples = readings().assign(cpu_share=lambda f: 0.2 + 0.05 * (np.arange(len(f)) // 96))
    table = usage(samples, columns=["cpu_share"])
    mean = of(table, "mean_use", "cpu_share")
    by_day = samples.groupby(np.arange(len(samples)) // 96)["cpu_share"].mean()
    oracle = stats.ttest_1samp(by_day, 0).confidence_interval(0.95)
    assert (mean["low"], mean["high"]) == pytest.approx((oracle.low, oracle.high))
    assert of(table, "p95_use", "cpu_share")["value"] == pytest.approx(0.5)
    one_day = usage(samples.head(96), columns=["cpu_share"])
    assert np.isnan(one_day[["low", "high"]].to_numpy()).all()
    assert one_day["value"].notna().tolist() == [True, True, False]


def test_too_few_readings_and_none_at_all():
    table = usage(readings().head(29).assign(disk_share=np.nan))
    assert table["value"].isna().all()
    assert set(table["n_current"]) == {0, 29}
    assert not table["alarm"].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guard": 75}, "guard=75: a share above 0 and up to 1"),
        ({"columns": ["cpu_shar"]}, "columns='cpu_shar' is no column of the frame; did you mean"),
        ({"capacity": {"memory": 1.0}}, "capacity='memory' is no column"),
        ({"time_column": "at"}, "time_column='at'"),
        ({"minimum": 0}, "minimum=0"),
    ],
)
def test_a_misuse_of_usage_is_named(settings, message):
    with pytest.raises(ValueError) as error:
        usage(readings(), **settings)
    assert message in str(error.value)


def test_a_reading_can_be_measured():
    reading = sample(over_s=0.01)
    shares = [reading[name] for name in ("cpu_share", "memory_share", "disk_share")]
    assert all(0 <= share <= 1 for share in shares)
    assert reading["memory_bytes"] > 1e6
    table = usage(pd.DataFrame([reading] * 3), minimum=1, window=None)
    assert of(table, "mean_use", "memory_bytes")["value"] == reading["memory_bytes"]


# cost -------------------------------------------------------------------------------------------


def test_the_cost_of_a_thousand_is_what_was_paid_by_what_was_served():
    frame = traffic(4800, days=2)
    table = cost_per_thousand(
        frame,
        hourly_price=0.5,
        replicas=3,
        currency="USD",
        start=START,
        end=START + pd.Timedelta("3D"),
    )
    assert set(table["metric"]) == {"cost_per_thousand_usd"}
    n = table["n_current"].to_numpy()
    np.testing.assert_allclose(table["value"], [36_000 / n[0], 36_000 / n[1], np.nan])
    assert n.sum() == 4800 and n[2] == 0
    some = table.head(2)
    assert ((some["low"] < 15) & (15 < some["high"])).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hourly_price": 0}, "hourly_price=0: a number above 0"),
        ({"replicas": -1}, "replicas=-1: a number above 0"),
        ({"currency": " "}, "currency=' ': name the unit"),
    ],
)
def test_a_cost_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError) as error:
        cost_per_thousand(traffic(9), **{"hourly_price": 1, "currency": "BRL"} | settings)
    assert message in str(error.value)


# the line of the suite --------------------------------------------------------------------------


def test_the_measure_reads_percentiles_off_the_bins_to_within_two_percent():
    frame = traffic(20_000, days=10)
    measure = Latency.of(frame, status_column="error")
    block = (frame["event_time"] - START).dt.days.to_numpy()
    cells = measure.cells(frame, block, 10)
    assert cells.shape == (10, measure.n_cells)
    metrics = [line.metric for line in measure.lines]
    assert metrics == ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "error_rate"]
    oracle = infrastructure(frame, status_column="error").pivot(
        index="window_start", columns="metric", values="value"
    )[metrics]
    found = measure.values(cells, cells.sum(axis=0))
    np.testing.assert_allclose(found, oracle, rtol=0.02)
    np.testing.assert_array_equal(
        measure.counts(cells), np.repeat(np.bincount(block)[:, None], 4, axis=1)
    )


def test_cells_add_up_and_draws_have_any_shape():
    frame = traffic(3000, days=6)
    measure = Latency.of(frame, status_column="error")
    block = (frame["event_time"] - START).dt.days.to_numpy()
    cells = measure.cells(frame, block, 6)
    np.testing.assert_array_equal(
        cells.sum(axis=0, keepdims=True), measure.cells(frame, np.zeros(3000, dtype=int), 1)
    )
    drawn = cells[np.random.default_rng(0).integers(6, size=(4, 5, 3))].sum(axis=2)
    values = measure.values(drawn, cells.sum(axis=0))
    assert values.shape == measure.counts(drawn).shape == (4, 5, 4)
    np.testing.assert_array_equal(values[2, 3], measure.values(drawn[2, 3], cells.sum(axis=0)))


def test_what_lies_beyond_the_bins_is_in_the_outermost_and_nothing_is_nan():
    measure = Latency.of(traffic())
    odd = pd.DataFrame({"latency_ms": [0.0, -1.0, np.inf, 1e12, np.nan, "slow"]}, dtype="object")
    cells = measure.cells(odd, np.zeros(6, dtype=int), 2)
    assert cells[0, [0, -1]].tolist() == [2.0, 2.0]
    values = measure.values(cells, cells)
    assert np.isfinite(values[0]).all() and np.isnan(values[1]).all()
    assert measure.counts(cells).tolist() == [[4.0] * 3, [0.0] * 3]


def test_a_reference_without_latency_is_refused():
    with pytest.raises(ValueError, match="the reference holds no latency above 0"):
        Latency.of(pd.DataFrame({"latency_ms": [np.nan, 0.0]}))
