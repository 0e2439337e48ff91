"""What is asked of requests: the flags by hand, alike for reference and later, and their sums."""

import time as clock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitors.requests_traffic import (
    FEATURES,
    LATER,
    REFERENCE,
    SHARES,
    START,
    TODAY,
    attack,
    honest,
    inputs,
)
from utils.monitors.intervals import wilson
from utils.monitors.requests import MISSING_CLIENT, Requests
from utils.monitors.security import security

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
    for _ in range(150):
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
    assert after == pytest.approx(before, abs=0.1)


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
    tables = [
        security(each, reference=REFERENCE, features=FEATURES)
        for each in (TODAY, mixed.set_axis([7] * len(mixed)))
    ]
    pd.testing.assert_frame_equal(*tables)


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


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "datetime64[s]", "timestamp[us][pyarrow]"])
def test_moments_are_read_alike_in_any_unit(dtype):
    seconds = np.random.default_rng(0).integers(0, 10**6, 3000)
    reference = REFERENCE.head(3000).assign(
        when=pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s")
    )
    other = reference.assign(when=reference["when"].astype(dtype))
    measure = Requests.of(reference, features=["when", "income"])
    for name, flag in measure.flags(reference).items():
        np.testing.assert_array_equal(flag, measure.flags(other)[name])
    later = other.tail(9).assign(event_time=lambda f: f["event_time"] + pd.Timedelta("90D"))
    assert measure.flags(later)["replayed"].all()


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
