"""Security: what honest traffic looks like, and attacks beside it, each found by its own sign."""

import time as clock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.datasets import incidents
from utils.monitors.infrastructure import poisson
from utils.monitors.intervals import wilson
from utils.monitors.security import MISSING_CLIENT, Requests, security
from utils.records import MEASUREMENT_COLUMNS, Incident

FEATURES = ["income", "debt_share", "age", "term_months", "purpose"]
START = pd.Timestamp("2024-01-01", tz="UTC")
LATER = START + pd.Timedelta("28D")
SHARES = ("bank", "app", "web", "shop", "branch", "partner", "kiosk", "batch")


def inputs(n, rng):
    """Return inputs of honest customers: skewed, and not independent of one another."""
    income = rng.gamma(2.5, 900, n)
    return pd.DataFrame(
        {
            "income": income,
            "debt_share": rng.beta(2, 6, n) * np.clip(4000 / (income + 1500), 0.2, 1),
            "age": np.round(20 + rng.gamma(3, 7, n)),
            "term_months": rng.choice([3.0, 6.0, 12.0, 24.0], n, p=[0.4, 0.3, 0.2, 0.1]),
            "purpose": rng.choice(["home", "school", "health"], n, p=[0.6, 0.3, 0.1]),
        }
    )


def honest(start=START, days=28, *, per_day=1500, seed=0):
    """Return traffic of eight clients with a day and a week, retries, and corrected forms."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(per_day * days)
    day = rng.choice(days, n, p=_weekly(days))
    seconds = np.clip(rng.normal(14, 4, n), 0, 23.99) * 3600
    frame = inputs(n, rng).assign(
        event_time=start + pd.to_timedelta(((day * 86_400 + seconds) * 1e6).astype("int64"), "us"),
        client=rng.choice(SHARES, n, p=np.arange(8, 0, -1) / 36),
    )
    retried = frame[rng.random(n) < 0.01]
    corrected = frame[rng.random(n) < 0.02].assign(income=lambda f: f["income"] * 1.1)
    later = pd.Timedelta("20s")
    again = [each.assign(event_time=each["event_time"] + later) for each in (retried, corrected)]
    frame = pd.concat([frame, *again]).sort_values("event_time", ignore_index=True)
    score = 1 / (1 + np.exp(4 * frame["debt_share"] - frame["income"] / 2500))
    return frame.assign(score=score)


def _weekly(days):
    weight = np.where(np.arange(days) % 7 < 5, 1.0, 0.5)
    return weight / weight.sum()


REFERENCE = honest()
TODAY = honest(LATER, 3, seed=1)


def attack(rows, *, client="bot", minutes=600, hour=30):
    """Return rows sent by one client, evenly from an hour of the current traffic on."""
    first = LATER + pd.Timedelta(hours=hour)
    times = pd.date_range(first, first + pd.Timedelta(minutes=minutes), len(rows), unit="us")
    return rows.assign(event_time=times, client=client).reset_index(drop=True)


def found(*attacks, **settings):
    """Return the alarms of three days with attacks in them."""
    frame = pd.concat([TODAY, *attacks]).sort_values("event_time", ignore_index=True)
    table = security(frame, reference=REFERENCE, features=FEATURES, **settings)
    return table[table["alarm"]]


def signs(table, client):
    return set(table.loc[table["group"] == client, "metric"])


# honest traffic ---------------------------------------------------------------------------------


def test_honest_traffic_raises_next_to_no_alarm():
    alarms = windows = 0
    for seed in range(1, 5):
        table = security(
            honest(LATER, 14, seed=seed),
            reference=REFERENCE,
            features=FEATURES,
            score_column="score",
        )
        assert tuple(table.columns) == MEASUREMENT_COLUMNS
        assert set(table["group"]) == {"", *SHARES}
        alarms += table["alarm"].sum()
        windows += table["window_start"].nunique() * table["metric"].nunique()
    assert windows == 4 * 14 * 9
    assert alarms <= 3


def test_what_is_usual_for_a_client_is_no_alarm():
    """A batch job that sends a grid of cases in one minute of every night, in the reference too."""

    def nightly(start, days, first=0):
        night = inputs(400, np.random.default_rng(5)).assign(term_months=6.0, age=30.0)
        parts = [
            night.assign(
                income=night["income"] + first + day,
                client="batch",
                event_time=start + pd.Timedelta(f"{day}D2h"),
            )
            for day in range(days)
        ]
        return pd.concat(parts, ignore_index=True)

    reference = pd.concat([REFERENCE, nightly(START, 28)], ignore_index=True)
    frame = pd.concat([TODAY, nightly(LATER, 3, first=28)], ignore_index=True)
    table = security(frame, reference=reference, features=FEATURES)
    assert not table["alarm"].any()
    strange = frame.assign(client=frame["client"].replace("batch", "web"))
    table = security(strange, reference=reference, features=FEATURES)
    assert "peak_requests_per_minute" in signs(table[table["alarm"]], "web")


# attacks ----------------------------------------------------------------------------------------


def test_a_burst_of_a_known_client_is_found_in_its_window_alone():
    burst = attack(inputs(60, np.random.default_rng(2)), client="branch", minutes=0.9)
    table = found(burst)
    row = table[table["metric"] == "peak_requests_per_minute"]
    assert row["group"].tolist() == ["branch"]
    assert row["window_start"].tolist() == [LATER + pd.Timedelta("1D")]
    peak = row["value"].item()
    assert 30 <= peak <= 65
    np.testing.assert_allclose(row[["low", "high"]].iloc[0].astype(float), poisson(peak))
    assert row["threshold_high"].item() < 20


def test_probing_is_found_by_requests_that_vary_one_input():
    rng = np.random.default_rng(3)
    one = inputs(1, rng).iloc[[0] * 60].reset_index(drop=True)
    probing = one.assign(income=np.linspace(1000, 1500, 60) + rng.random(60))
    table = found(attack(probing, client="partner", minutes=10))
    assert "probing_share" in signs(table, "partner")
    row = table[(table["metric"] == "probing_share") & (table["group"] == "partner")].iloc[0]
    assert 0.2 < row["low"] < row["value"] < row["high"]
    assert row["threshold_high"] < 0.2


@pytest.mark.parametrize("client", ["bot", "partner"])
def test_extraction_by_even_random_inputs_is_found(client):
    rng = np.random.default_rng(4)
    even = pd.DataFrame(
        {
            "income": rng.uniform(0, 9000, 400),
            "debt_share": rng.uniform(0, 0.7, 400),
            "age": np.round(rng.uniform(20, 75, 400)),
            "term_months": rng.choice([3.0, 6.0, 12.0, 24.0], 400),
            "purpose": rng.choice(["home", "school", "health"], 400),
        }
    )
    table = found(attack(even, client=client))
    assert "even_spread_share" in signs(table, client)


def test_extraction_by_a_grid_is_found_in_any_order():
    rng = np.random.default_rng(5)
    levels = {
        "income": np.linspace(1000, 4000, 8),
        "debt_share": np.linspace(0.05, 0.4, 8),
        "age": [30.0, 40.0, 50.0],
        "term_months": [3.0, 6.0],
        "purpose": ["home"],
    }
    grid = pd.MultiIndex.from_product(levels.values(), names=levels).to_frame(index=False)
    table = found(attack(grid.sample(frac=1, random_state=rng)))
    assert "grid_share" in signs(table, "bot")


def test_extraction_near_the_boundary_is_found_by_its_scores():
    rng = np.random.default_rng(6)
    near = inputs(200, rng).assign(score=rng.normal(0.5, 0.005, 200))
    table = found(attack(near, client="shop"), score_column="score", decision=0.5)
    assert "boundary_share" in signs(table, "shop") and "boundary_share" not in signs(table, "app")
    assert "boundary_share" not in set(security_of(TODAY)["metric"])


def security_of(frame, **settings):
    return security(frame, reference=REFERENCE, features=FEATURES, **settings)


def test_values_beyond_the_reference_are_found():
    rows = inputs(40, np.random.default_rng(7)).assign(income=1e6, purpose="yacht")
    table = found(attack(rows, client="app"))
    assert "out_of_range_share" in signs(table, "app") & signs(table, "")


def test_an_unknown_client_is_found_at_its_first_request():
    table = found(attack(inputs(1, np.random.default_rng(8))))
    assert signs(table, "bot") == {"unknown_client_share"}
    assert signs(table, "") == {"unknown_client_share"}
    assert found(known_clients=[*SHARES]).empty
    named = found(known_clients=SHARES[1:])
    assert signs(named, "bank") == signs(named, "") == {"unknown_client_share"}


def test_where_new_clients_come_anyway_a_new_one_is_no_alarm():
    growing = REFERENCE.assign(
        client=REFERENCE["client"].where(REFERENCE["event_time"] < LATER - pd.Timedelta("5D"), "x")
    )
    newcomer = pd.concat([TODAY, attack(inputs(3, np.random.default_rng(9)))])
    table = security(newcomer, reference=growing, features=FEATURES)
    rows = table[table["metric"] == "unknown_client_share"]
    assert not rows["alarm"].any() and rows["threshold_high"].isna().all()
    assert "unknown_client_share" not in [
        line.metric for line in Requests.of(growing, features=FEATURES).lines
    ]
    listed = security(newcomer, reference=growing, features=FEATURES, known_clients=[*SHARES])
    assert "unknown_client_share" in signs(listed[listed["alarm"]], "bot")


def test_a_sleeping_key_that_wakes_up_is_found_by_its_share():
    quiet = REFERENCE[(REFERENCE["client"] != "batch") | (np.arange(len(REFERENCE)) % 10 == 0)]
    table = security(
        pd.concat([TODAY, attack(inputs(400, np.random.default_rng(10)), client="batch")]),
        reference=quiet,
        features=FEATURES,
    )
    assert "client_share" in signs(table[table["alarm"]], "batch")


@pytest.mark.parametrize("kind", ["replays", "duplicates"])
def test_replays_and_duplicates_of_the_ledger_are_found_while_they_last(kind):
    incident = Incident(
        kind=kind,
        start=LATER + pd.Timedelta("3D"),
        end=LATER + pd.Timedelta("5D"),
        strength=0.1,
    )
    traffic = honest(START, 35, seed=11)
    frame, _ = incidents.inject(
        traffic, [incident], rng=np.random.default_rng(0), time_column="event_time"
    )
    table = security(
        frame[frame["event_time"] >= LATER],
        reference=frame[frame["event_time"] < LATER],
        features=FEATURES,
    )
    rows = table[(table["metric"] == "replayed_share") & (table["group"] == "")]
    assert rows["alarm"].tolist() == [False, False, False, True, True, False, False]
    assert rows["value"].iloc[[3, 4]].between(0.05, 0.15).all()


# the flags by hand ------------------------------------------------------------------------------


def rows_of(*rows, start="2024-01-01T00:00Z"):
    frame = pd.DataFrame(rows, columns=["minute", "client", "x", "y", "kind"])
    return frame.assign(
        event_time=pd.Timestamp(start) + pd.to_timedelta(frame["minute"] * 60, unit="s")
    )


A_DAY = 1440
BASE = rows_of(
    (0, "a", 1.0, 10.0, "red"),
    (1, "a", 2.0, 20.0, "red"),
    (A_DAY, "b", 3.0, 30.0, "blue"),
    (A_DAY + 1, "b", 4.0, 40.0, "blue"),
    (A_DAY + 2, "b", 4.0, 40.0, "blue"),
    (2 * A_DAY, "a", 9.0, 15.0, "green"),
    (2 * A_DAY + 1, "a", 2.5, 41.0, "red"),
    (2 * A_DAY + 2, "b", 1.5, 12.0, "blue"),
)


def flags_of(frame, **settings):
    return Requests.of(BASE, **{"features": ["x", "y", "kind"]} | settings).flags(frame)


def test_the_references_own_rows_are_judged_as_if_their_day_had_not_been_there():
    flags = flags_of(BASE)
    assert flags["replayed"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert flags_of(BASE, memory="30s")["replayed"].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    # no other day has x as low as 1, as high as 9, y as low as 10, as high as 41, or green
    assert flags["outside"].tolist() == [1, 0, 0, 0, 0, 1, 1, 0]
    assert flags["unknown"].tolist() == [0] * 8
    np.testing.assert_array_equal(flags["near"], [np.nan, 0, np.nan, 0, 0, 0, 0, 0])


def test_one_day_of_reference_has_no_other_to_be_judged_by():
    day = BASE.head(2)
    flags = Requests.of(day, features=["x", "kind"]).flags(BASE)
    assert flags["outside"].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]


def test_alike_rows_of_a_day_are_outside_as_often_later_as_in_the_reference():
    """Each day has a weather of its own, which all its rows share: 1 day in so many is extreme."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        days = np.repeat(np.arange(21), 5)
        frame = pd.DataFrame(
            {
                "event_time": START + pd.to_timedelta(days, unit="D"),
                "client": "a",
                "weather": rng.normal(size=21)[days],
                "place": rng.zipf(1.6, 21)[days].astype(str),
            }
        )
        measure = Requests.of(frame.head(100), features=["weather", "place"])
        before, after = (measure.flags(part)["outside"] for part in (frame[:100], frame[100:]))
        shares.append((before.mean(), after.mean()))
    before, after = np.mean(shares, axis=0)
    assert 0.2 < before < 0.5
    assert after == pytest.approx(before, abs=0.08)


def test_the_flags_of_later_rows_by_hand():
    later = rows_of(
        (0, "a", 2.0, 20.0, "red"),  # in the reference
        (1, "a", 2.0, 25.0, "red"),  # one feature differs
        (2, "a", 2.0, 25.001, "red"),  # and this by next to nothing
        (3, "c", 2.0, 25.0, "red"),  # another client, the same input
        (4, "a", 3.0, 25.001, "blue"),  # two differ
        (5, "a", 3.5, 50.0, "blue"),
        (6, "a", 3.5, 50.0, "pink"),
        (7, None, 3.5, np.nan, None),
        (8, None, 3.5, np.nan, None),
        start="2024-02-01T00:00Z",
    )
    flags = flags_of(later)
    assert flags["replayed"].tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert flags["outside"].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0]
    assert flags["unknown"].tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 1]
    np.testing.assert_array_equal(flags["near"], [np.nan, 1, 1, np.nan, 0, 0, 1, np.nan, 0])
    known = flags_of(later, known_clients=["a", "c", MISSING_CLIENT])
    assert not known["unknown"].any()


def test_a_repeat_counts_within_the_memory_alone():
    twice = rows_of((0, "a", 7.0, 7.0, "red"), (90, "b", 7.0, 7.0, "red"), start="2024-02-01T00Z")
    assert flags_of(twice, memory="2h")["replayed"].tolist() == [0, 1]
    assert flags_of(twice, memory="1h")["replayed"].tolist() == [0, 0]


def test_reference_and_later_rows_of_the_same_kind_are_flagged_equally_often():
    later = honest(LATER, 28, seed=21)
    measure = Requests.of(REFERENCE, features=FEATURES, score_column="score")
    before, after = measure.flags(REFERENCE), measure.flags(later)
    for name in before:
        hits, n = (
            [np.nansum(each[name]) for each in (before, after)],
            [(~np.isnan(each[name])).sum() for each in (before, after)],
        )
        low, high = wilson(hits, n, level=0.999)
        assert low[0] <= high[1] and low[1] <= high[0], name


def test_the_order_of_rows_and_their_index_do_not_count():
    measure = Requests.of(REFERENCE, features=FEATURES)
    mixed = TODAY.sample(frac=1, random_state=0)
    assert not mixed["event_time"].is_monotonic_increasing
    back = {n: pd.Series(f, mixed.index).sort_index() for n, f in measure.flags(mixed).items()}
    for name, flag in measure.flags(TODAY).items():
        np.testing.assert_array_equal(flag, back[name])
    pd.testing.assert_frame_equal(security_of(TODAY), security_of(mixed.set_axis([7] * len(mixed))))


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.assign(**f[[*FEATURES, "client"]].convert_dtypes(dtype_backend="pyarrow")),
        lambda f: f.convert_dtypes(),
        lambda f: f.astype({"purpose": "category", "client": "category", "age": "int64"}),
        lambda f: f.astype({"purpose": "object", "age": "object", "client": "object"}),
    ],
)
def test_any_type_of_column_is_read_alike(convert):
    reference, frame = REFERENCE.head(3000), TODAY.head(500)
    plain = Requests.of(reference, features=FEATURES).flags(frame)
    other = Requests.of(convert(reference), features=FEATURES).flags(convert(frame))
    for name, flag in plain.items():
        np.testing.assert_array_equal(flag, other[name])
    mixed = Requests.of(reference, features=FEATURES).flags(convert(frame))
    for name, flag in plain.items():
        np.testing.assert_array_equal(flag, mixed[name])


def test_odd_columns_do_no_harm():
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "event_time": START + pd.Timedelta("1h") * np.arange(n),
            "client": [1, 2] * (n // 2),
            "when": START + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
            "flag": rng.random(n) < 0.5,
            "constant": 1.0,
            "empty": np.nan,
            "nothing": None,
            "mixed": [1, "a", None, True] * (n // 4),
            "infinite": np.where(rng.random(n) < 0.1, np.inf, rng.random(n)),
            "id": [f"id-{i}" for i in range(n)],
        }
    )
    features = [name for name in frame if name not in ("event_time", "client")]
    measure = Requests.of(frame.head(300), features=features)
    cells = measure.cells(frame.tail(100), np.zeros(100, dtype=int), 1)
    assert np.isfinite(cells).all()
    for frame_like in (frame.head(300), frame.head(0)):
        cells = measure.cells(frame_like, np.zeros(len(frame_like), dtype=int), 2)
        assert cells.shape == (2, measure.n_cells)
    table = security(frame.tail(100), reference=frame.head(300), features=features, window="7D")
    assert table["group"].isin(["", "1", "2"]).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_replays_are_the_duplicates_of_pandas(rows):
    frame = pd.DataFrame(rows, columns=["client", "x", "y"]).assign(
        event_time=lambda f: START + pd.Timedelta("1s") * np.arange(len(f))
    )
    flags = Requests.of(frame, features=["x", "y"]).flags(frame)
    assert (flags["replayed"] == frame.duplicated(["x", "y"])).all()
    flags = Requests.of(frame, features=["x", "y"], memory="1ms").flags(frame)
    assert (flags["replayed"] == frame.duplicated(["x", "y"], keep=False)).all()
    elsewhere = REFERENCE.assign(x=np.arange(len(REFERENCE)) + 9.0, y=0.0)
    flags = Requests.of(elsewhere, features=["x", "y"]).flags(frame)
    assert (flags["replayed"] == frame.duplicated(["x", "y"])).all()


# the lines of the suite -------------------------------------------------------------------------


def by_day(frame):
    return ((frame["event_time"] - frame["event_time"].min().floor("1D")).dt.days).to_numpy()


def test_the_lines_are_shares_of_the_flags():
    measure = Requests.of(REFERENCE, features=FEATURES, score_column="score")
    metrics = [line.metric for line in measure.lines]
    assert metrics == [
        *("replayed_share", "probing_share", "even_spread_share", "boundary_share"),
        *("out_of_range_share", "unknown_client_share", "top_client_share"),
        "same_minute_requests",
    ]
    cells = measure.cells(TODAY, by_day(TODAY), 3)
    assert cells.shape == (3, measure.n_cells)
    total = cells.sum(axis=0)
    values = dict(zip(metrics, measure.values(total, total), strict=True))
    flags = measure.flags(TODAY)
    for metric, flag in (("replayed_share", "replayed"), ("probing_share", "near")):
        assert values[metric] == pytest.approx(np.nanmean(flags[flag]))
    top = TODAY["client"].value_counts(normalize=True).iloc[0]
    assert values["top_client_share"] == pytest.approx(top)
    minute = TODAY.groupby(["client", TODAY["event_time"].dt.floor("1min")]).size()
    assert values["same_minute_requests"] == pytest.approx(
        (minute * (minute - 1)).sum() / len(TODAY)
    )
    counts = measure.counts(total)
    assert counts[0] == len(TODAY) and counts[1] == len(TODAY) - TODAY["client"].nunique()


def test_draws_have_any_shape_and_an_empty_window_is_nan():
    measure = Requests.of(REFERENCE, features=FEATURES)
    cells = measure.cells(REFERENCE, by_day(REFERENCE), 28)
    drawn = cells[np.random.default_rng(0).integers(28, size=(5, 4, 7))].sum(axis=2)
    values = measure.values(drawn, cells.sum(axis=0))
    assert values.shape == measure.counts(drawn).shape == (5, 4, len(measure.lines))
    np.testing.assert_array_equal(values[1, 2], measure.values(drawn[1, 2], cells.sum(axis=0)))
    empty = np.zeros(measure.n_cells)
    assert np.isnan(measure.values(empty, empty)).all()
    assert not measure.counts(empty).any()


def test_a_flood_of_a_new_client_shows_in_the_lines():
    measure = Requests.of(REFERENCE, features=FEATURES)
    flood = attack(inputs(3000, np.random.default_rng(12)), minutes=60)
    values = [
        measure.values(*[measure.cells(f, np.zeros(len(f), dtype=int), 1)[0]] * 2)
        for f in (TODAY, pd.concat([TODAY, flood]).sort_values("event_time"))
    ]
    quiet, loud = (
        dict(zip([line.metric for line in measure.lines], each, strict=True)) for each in values
    )
    assert quiet["unknown_client_share"] == 0 < 0.3 < loud["unknown_client_share"]
    assert loud["top_client_share"] > 0.3 > quiet["top_client_share"]
    assert loud["same_minute_requests"] > 10 * quiet["same_minute_requests"]


def test_without_a_client_column_the_inputs_are_still_asked():
    measure = Requests.of(REFERENCE, features=FEATURES, client_column=None)
    metrics = ["replayed_share", "even_spread_share", "out_of_range_share"]
    assert [line.metric for line in measure.lines] == metrics
    frame = TODAY.drop(columns="client")
    cells = measure.cells(frame, by_day(frame), 3)
    assert measure.values(cells, cells).shape == measure.counts(cells).shape == (3, 3)


def test_repeats_say_nothing_where_inputs_are_coarse():
    coarse = Requests.of(REFERENCE, features=["term_months", "purpose"])
    assert "replayed_share" not in [line.metric for line in coarse.lines]


def test_two_hundred_thousand_requests_take_a_moment():
    n = 200_000
    rng = np.random.default_rng(0)
    frame = inputs(n, rng).assign(
        event_time=START + pd.Timedelta("10s") * np.arange(n), client=rng.choice(SHARES, n)
    )
    measure = Requests.of(REFERENCE, features=FEATURES)
    before = clock.process_time()
    measure.cells(frame, np.arange(n) // 8640, n // 8640 + 1)
    assert clock.process_time() - before < 3


# what is refused, and what is said of little ----------------------------------------------------


def test_too_few_requests_give_nan_with_their_number():
    table = security_of(TODAY.head(20)).set_index(["metric", "group"])
    assert np.isnan(table.loc[("replayed_share", ""), "value"])
    assert table.loc[("replayed_share", ""), "n_current"] == 20
    assert table.loc[("peak_requests_per_minute", "bank"), "value"] >= 1
    assert security_of(TODAY.head(0)).empty


def test_only_the_busiest_clients_are_listed():
    table = security_of(TODAY, most_clients=2)
    assert set(table["group"]) == {"", "bank", "app"}


def test_nothing_changes_its_inputs():
    frame, reference = TODAY.copy(deep=True), REFERENCE.copy(deep=True)
    security_of(TODAY)
    pd.testing.assert_frame_equal(frame, TODAY)
    pd.testing.assert_frame_equal(reference, REFERENCE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": ["incomes"]}, "features='incomes' is no column of the frame; did you mean"),
        ({"features": "income"}, "features='income': a list of names is needed"),
        ({"features": []}, "features=[]: a list of names is needed"),
        ({"reference": REFERENCE.head(0)}, "reference has no rows"),
        ({"client_column": "user"}, "client_column='user'"),
        ({"score_column": "scores"}, "score_column='scores'"),
        ({"time_column": "at"}, "time_column='at'"),
        ({"minimum": 0}, "minimum=0: at least 1"),
        ({"most_clients": 0}, "most_clients=0: at least 1"),
        ({"chance": 1}, "chance=1: a probability"),
        ({"level": 95}, "level=95"),
        ({"memory": "x"}, "memory='x'"),
    ],
)
def test_a_misuse_is_named(settings, message):
    with pytest.raises(ValueError) as error:
        security(TODAY, **{"reference": REFERENCE, "features": FEATURES} | settings)
    assert message in str(error.value)
