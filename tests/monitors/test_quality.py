"""Rates of the data's quality: as sums over blocks, and by window with their intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from tests.monitors.columns import COLUMNS, repeated
from utils.datasets import credit, flights
from utils.datasets.incidents import inject
from utils.monitors.measures import Line
from utils.monitors.quality import METRICS, Rates, quality
from utils.records import MEASUREMENT_COLUMNS, Incident

START = pd.Timestamp("2024-01-01", tz="UTC")  # a Monday
WEEK = pd.Timedelta("7D")


def every(step, n, *, start=START):
    return start + pd.Timedelta(step) * np.arange(n)


def usual(n=400, *, seed=0, start=START):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event_time": every("1h", n, start=start),
            "age": rng.integers(18, 80, n),
            "income_brl": rng.lognormal(8, 0.5, n),
            "purpose": rng.choice(["home", "school", "car"], n),
            "is_new": rng.random(n) < 0.5,
        }
    )


def later(n=400, **changes):
    return usual(n, seed=1, start=START + 5 * WEEK).assign(**changes)


def rates_of(reference, current, **settings):
    """Return the rates of all the current rows as one block, by metric and feature."""
    rates = Rates.of(reference, **settings)
    one = np.zeros(len(current), dtype=int)
    cells = rates.cells(current, one, 1)
    before = rates.cells(reference, np.zeros(len(reference), dtype=int), 1)[0]
    values = rates.values(cells, before)[0]
    return {(line.metric, line.feature): v for line, v in zip(rates.lines, values, strict=True)}


# ---------------------------------------------------------------------------------- each rate


def test_each_rate_is_a_number_of_rows_over_a_number_of_rows():
    reference = pd.DataFrame(
        {"event_time": every("12h", 4), "x": [1, 2, 3, 9], "c": ["a", "b", "a", "b"]}
    )
    current = pd.DataFrame(
        {
            "event_time": every("12h", 8, start=START + WEEK),
            "x": [2, 2, None, 2.5, "2", 0, 10, 10],
            "c": ["a", "a", None, "z", "b", "b", 1, "z"],
        }
    )
    found = rates_of(reference, current)
    assert found["null_value_rate", "x"] == found["null_value_rate", "c"] == 1 / 8
    assert found["data_type_error_rate", "x"] == 2 / 8  # 2.5 and "2"
    assert found["data_type_error_rate", "c"] == 1 / 8  # 1
    assert found["out_of_bounds_rate", "x"] == 3 / 8  # 0, 10, 10
    assert found["unseen_rate", "c"] == 3 / 8  # z, 1, z
    assert found["repeated_share", "x"] == 2 / 3  # of (2, 2), (0, 10) and (10, 10)
    assert found["duplicate_share", ""] == 1 / 8  # (2, a)
    assert found["volume", ""] == 8 / 4


def test_the_repeated_share_is_of_the_neighbours_that_both_have_a_number():
    reference = pd.DataFrame({"event_time": every("12h", 4), "x": [1.0, 2.0, 3.0, 9.0]})
    current = pd.DataFrame(
        {"event_time": every("1h", 6, start=START + WEEK), "x": [2.0, 2.0, 2.0, None, 5.0, 6.0]}
    )
    assert rates_of(reference, current)["repeated_share", "x"] == 2 / 3


def test_a_row_is_a_duplicate_if_an_earlier_one_of_its_block_is_equal_in_every_feature():
    reference = usual()
    again = later(6)
    again = pd.concat([again, again.iloc[[0, 0, 3]], again.iloc[[1]].assign(age=-1)])
    assert rates_of(reference, again)["duplicate_share", ""] == 3 / 10
    rates = Rates.of(reference)
    apart = rates.cells(again, np.array([0] * 6 + [1] * 4), 2)
    duplicates = [line.metric for line in rates.lines].index("duplicate_share")
    assert rates.values(apart, apart[0])[:, duplicates].tolist() == [0, 1 / 4]


def test_duplicates_are_those_of_pandas():
    rng = np.random.default_rng(5)
    frame = later(
        500,
        age=rng.integers(0, 3, 500),
        income_brl=rng.choice([1.0, np.nan, 2.5], 500),
        purpose=pd.Series(rng.choice(["home", None], 500), dtype="object"),
    )
    block = np.sort(rng.integers(0, 4, 500))
    rates = Rates.of(usual())
    at = [line.metric for line in rates.lines].index("duplicate_share")
    cells = rates.cells(frame, block, 4)
    expected = [
        part.drop(columns="event_time").duplicated().mean() for _, part in frame.groupby(block)
    ]
    assert rates.values(cells, cells[0])[:, at].tolist() == expected


def test_a_feature_that_is_not_there_is_missing_in_every_row():
    found = rates_of(usual(), later().drop(columns="age"))
    assert found["null_value_rate", "age"] == 1
    assert found["data_type_error_rate", "age"] == found["out_of_bounds_rate", "age"] == 0
    assert np.isnan(found["repeated_share", "age"])


def test_zero_and_one_pass_for_truth_values_and_other_numbers_do_not():
    found = rates_of(usual(), later(4, is_new=[0, 1.0, 2, True]))
    assert found["data_type_error_rate", "is_new"] == 1 / 4


def test_whole_numbers_that_came_as_floats_are_whole_numbers_and_categories_too():
    found = rates_of(usual(), later(4, age=[20.0, 30.0, None, 40.0]))
    assert found["data_type_error_rate", "age"] == 0
    reference = usual().assign(grade=lambda f: pd.Categorical(f["age"] // 20))
    current = later().assign(grade=lambda f: (f["age"] // 20).astype(float))
    assert rates_of(reference, current)["unseen_rate", "grade"] == 0


# ------------------------------------------------------------------- which lines there are


def metrics_of(reference, feature):
    return [line.metric for line in Rates.of(reference).lines if line.feature == feature]


def test_a_line_that_can_never_be_other_than_it_is_is_not_there():
    n = 60
    reference = pd.DataFrame(
        {
            "event_time": every("1h", n),
            "constant": 3.0,
            "missing": None,
            "mixed": [1, "a"] * (n // 2),
            "flag": [True, False] * (n // 2),
            "never": False,
            "since": every("1D", n),
            "note": [[1]] * n,
        }
    )
    both = ["null_value_rate", "data_type_error_rate"]
    assert metrics_of(reference, "constant") == [*both, "out_of_bounds_rate"]
    assert metrics_of(reference, "missing") == ["null_value_rate"]
    assert metrics_of(reference, "mixed") == ["null_value_rate", "unseen_rate"]
    assert metrics_of(reference, "flag") == both
    assert metrics_of(reference, "never") == [*both, "unseen_rate"]
    assert metrics_of(reference, "since") == both
    assert metrics_of(reference, "note") == both


def test_identifiers_have_no_line_for_values_unseen():
    n = 2000
    reference = pd.DataFrame({"event_time": every("1min", n), "id": [f"row {i}" for i in range(n)]})
    assert metrics_of(reference, "id") == ["null_value_rate", "data_type_error_rate"]


def test_lines_say_on_which_side_they_are_bad_and_how_few_rows_are_too_few():
    lines = {line.metric: line for line in Rates.of(usual()).lines}
    assert {name for name, line in lines.items() if line.side == "both"} == {
        "null_value_rate",
        "volume",
    }
    assert lines["volume"] == Line(
        monitor="quality", metric="volume", side="both", minimum=0, scale="log"
    )


# --------------------------------------------------------------------------- sums over blocks


def test_what_a_block_counts_adds_up():
    reference, frame = usual(), later(300, age=[None, 5, 5] * 100)
    rates = Rates.of(reference)
    block = np.arange(300) // 10
    fine, coarse = rates.cells(frame, block, 30), rates.cells(frame, block // 10, 3)
    added = fine.reshape(3, 10, -1).sum(axis=1)
    assert fine.shape == (30, rates.n_cells)
    cells = {line: rates._layout[at][1:] for at, line in enumerate(rates.lines)}
    for line, (counted, of) in cells.items():
        if line.metric in ("repeated_share", "duplicate_share"):  # of neighbours in one block
            assert (added[:, counted] <= coarse[:, counted]).all()
        elif line.metric != "volume":
            np.testing.assert_array_equal(added[:, [counted, of]], coarse[:, [counted, of]])


def test_values_work_on_many_windows_at_once_as_on_each():
    rates = Rates.of(usual())
    cells = rates.cells(later(200), np.arange(200) // 20, 10)
    rng = np.random.default_rng(0)
    windows, references = cells[rng.integers(10, size=(2, 50, 7))].sum(axis=2)
    together = rates.values(windows, references)
    assert together.shape == rates.counts(windows).shape == (50, len(rates.lines))
    for window, reference, value in zip(windows, references, together, strict=True):
        np.testing.assert_array_equal(rates.values(window, reference), value)
    against_one = rates.values(windows, references[0])
    np.testing.assert_array_equal(against_one[7], rates.values(windows[7], references[0]))


def test_a_block_without_rows_has_no_rates_and_no_volume():
    rates = Rates.of(usual())
    cells = rates.cells(later(10), np.full(10, 2), 3)
    values = rates.values(cells, cells.sum(axis=0))
    assert np.isnan(values[:2, :-1]).all()
    assert values[:, -1].tolist() == [0, 0, 3]
    assert rates.counts(cells)[:2].max() == 0


def test_the_volume_of_a_part_of_a_window_is_that_of_its_blocks():
    rates = Rates.of(usual())
    cells = rates.cells(later(70), np.arange(70) // 10, 7)
    whole = cells.sum(axis=0)
    assert rates.values(cells[:3].sum(axis=0), whole)[-1] == 1
    assert rates.values(cells[:3].sum(axis=0), 2 * whole)[-1] == 1


def test_nothing_is_changed_and_nothing_depends_on_the_index():
    reference, frame = usual(), later()
    before = reference.copy(), frame.copy()
    found = rates_of(reference, frame)
    shuffled = frame.set_axis(np.random.default_rng(0).permutation(len(frame)))
    assert rates_of(reference, shuffled) == found
    pd.testing.assert_frame_equal(reference, before[0])
    pd.testing.assert_frame_equal(frame, before[1])


# ---------------------------------------------------------------------- bounds by the others


def test_a_stretch_of_the_reference_is_judged_by_the_others_and_later_rows_by_all_of_it():
    reference = pd.DataFrame(
        {"event_time": every("12h", 6), "x": [1, 3, 9, 8, 3, 4], "c": list("aababz")}
    )
    rates = Rates.of(reference, block="1D")
    cells = rates.cells(reference, np.arange(6) // 2, 3)
    values = rates.values(cells, cells.sum(axis=0))
    at = {line.metric: i for i, line in enumerate(rates.lines) if line.feature in ("x", "c")}
    # 1 lies below the other days' least, 3 does not; 9 and 8 lie above their largest, 4
    assert values[:, at["out_of_bounds_rate"]].tolist() == [1 / 2, 2 / 2, 0]
    assert values[:, at["unseen_rate"]].tolist() == [0, 0, 1 / 2]  # z came on one day only
    found = rates_of(reference, reference.assign(event_time=reference["event_time"] + WEEK))
    assert found["out_of_bounds_rate", "x"] == found["unseen_rate", "c"] == 0


def test_a_reference_of_one_stretch_is_judged_by_itself():
    found = rates_of(usual(20), usual(20), block="7D")
    assert found["out_of_bounds_rate", "age"] == found["unseen_rate", "purpose"] == 0


def test_the_reference_leaves_its_bounds_as_often_as_fresh_rows_leave_them():
    rng = np.random.default_rng(11)
    own, fresh = [], []
    for _ in range(150):
        days = np.repeat(np.arange(9), 30)
        level = rng.normal(0, 1, 9)[days]  # the rows of a day are alike
        frame = pd.DataFrame(
            {
                "event_time": START + pd.Timedelta("1D") * days,
                "x": level + rng.normal(0, 1, len(days)),
                "c": rng.zipf(1.6, len(days)).clip(max=400).astype(str),
            }
        )
        rates = Rates.of(frame[days < 8])
        cells = rates.cells(frame, days, 9)
        values = rates.values(cells, cells[:8].sum(axis=0))
        at = [
            i
            for i, line in enumerate(rates.lines)
            if line.metric in ("out_of_bounds_rate", "unseen_rate")
        ]
        own.append(values[:8, at].mean(axis=0))
        fresh.append(values[8, at])
    own, fresh = np.array(own), np.array(fresh)
    error = fresh.std(axis=0) / np.sqrt(len(fresh))
    assert (own.mean(axis=0) > 0.01).all()
    assert (np.abs(own.mean(axis=0) - fresh.mean(axis=0)) < 3 * error + 0.01).all()


# ------------------------------------------------------------------------- any type of column


@pytest.mark.parametrize("name", COLUMNS)
def test_any_column_has_its_rates_against_itself_and_against_others(name):
    n = 60
    reference = pd.DataFrame({"event_time": every("1h", n), "x": repeated(name, n)})
    for other in (name, "bool", "float", "str", "mixed", "lists", "moments", "all missing"):
        current = pd.DataFrame(
            {"event_time": every("1h", n, start=START + WEEK), "x": repeated(other, n)}
        )
        found = rates_of(reference, current, block="1h")
        for (metric, _), value in found.items():
            if metric != "volume":
                assert np.isnan(value) or 0 <= value <= 1
        missing = current["x"].isna().mean()
        assert found["null_value_rate", "x"] == missing
        if other == name:
            assert found.get(("data_type_error_rate", "x"), 0) == 0
            assert found.get(("unseen_rate", "x"), 0) == 0


@pytest.mark.parametrize("name", ["int", "float", "str", "bool", "all missing", "arrow double"])
def test_a_current_frame_without_rows_has_windows_only_where_they_are_asked_for(name):
    reference = pd.DataFrame({"event_time": every("1h", 60), "x": repeated(name, 60)})
    assert quality(reference, reference.iloc[:0]).empty
    table = quality(reference, reference.iloc[:0], start="2024-03-04T00Z", end="2024-03-18T00Z")
    assert table["n_current"].eq(0).all()
    assert set(table.loc[table["value"].notna(), "metric"]) == {"volume", "longest_gap_hours"}
    assert table.loc[table["metric"] == "volume", "value"].tolist() == [0, 0]
    assert table.loc[table["metric"] == "longest_gap_hours", "value"].tolist() == [168, 168]


def test_columns_may_have_numbers_for_names():
    reference = usual().rename(columns={"age": 0, "purpose": 1})
    table = quality(reference, later(168).rename(columns={"age": 0, "purpose": 1}), window=None)
    missing = table[table["metric"] == "null_value_rate"].set_index("feature")["value"]
    assert missing.to_dict() == {"0": 0, "income_brl": 0, "1": 0, "is_new": 0}
    assert set(table.loc[table["metric"] == "stuck_share", "feature"]) == {"0", "income_brl"}


# ------------------------------------------------------------------------------- by window


def values_of(table, metric, feature=""):
    rows = table[(table["metric"] == metric) & (table["feature"] == feature)]
    return rows.sort_values("window_start")["value"].tolist()


def test_the_table_is_that_of_the_measurements_in_order_of_the_metrics():
    table = quality(usual(), later())
    assert tuple(table.columns) == MEASUREMENT_COLUMNS
    assert set(table["monitor"]) == {"quality"}
    assert list(dict.fromkeys(table["metric"])) == list(METRICS)
    assert not table.duplicated(["metric", "feature", "window_start"]).any()


def test_windows_of_a_rate_are_its_rows_and_its_interval_is_wilsons():
    current = later(14 * 24)
    current.loc[: 7 * 24 - 1, "age"] = np.where(np.arange(7 * 24) < 40, np.nan, 30)
    table = quality(usual(), current, metrics=["null_value_rate"])
    rows = table[table["feature"] == "age"]
    assert rows["value"].tolist() == [40 / 168, 0]
    assert rows["n_current"].tolist() == [168, 168] and set(rows["n_reference"]) == {400}
    expected = binomtest(40, 168).proportion_ci(method="wilson")
    assert rows.iloc[0][["low", "high"]].tolist() == pytest.approx([expected.low, expected.high])


def test_completeness_is_what_is_not_missing():
    table = quality(usual(), later(168, purpose=["home", None] * 84), window=None)
    pick = table.set_index(["metric", "feature"])
    missing, there = (pick.loc[(m, "purpose")] for m in ("null_value_rate", "completeness"))
    assert there["value"] == 0.5 == missing["value"]
    assert (there["low"], there["high"]) == (1 - missing["high"], 1 - missing["low"])


def test_a_value_that_the_reference_did_not_have_is_out_of_bounds_as_azure_has_it():
    table = quality(usual(), later(168, purpose=["home", "boat"] * 84), window=None)
    rows = table[table["feature"] == "purpose"].set_index("metric")
    same = ["value", "low", "high", "n_current", "n_reference"]
    assert rows.loc["unseen_rate", "value"] == 0.5
    assert rows.loc["unseen_rate", same].tolist() == rows.loc["out_of_bounds_rate", same].tolist()


def test_too_few_rows_give_nothing_but_their_number():
    table = quality(usual(), later(29), metrics=["null_value_rate", "stuck_share"])
    assert table["value"].isna().all() and table["low"].isna().all()
    assert set(table["n_current"]) == {29}
    assert quality(usual(), later(29), minimum=29)["value"].notna().any()


def test_the_order_of_the_rows_does_not_matter():
    current = later(age=[30, 30, 40, None] * 100)
    shuffled = current.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(quality(usual(), current), quality(usual(), shuffled))


def test_the_volume_is_the_rows_an_hour_against_the_references():
    busy = later(4 * 168).assign(
        event_time=lambda f: every("30min", len(f), start=START + 5 * WEEK)
    )
    assert values_of(quality(usual(5 * 168), busy), "volume") == pytest.approx([2, 2], rel=0.01)
    gone = later(3 * 168).drop(index=range(168, 336))
    table = quality(usual(5 * 168), gone)
    assert values_of(table, "volume") == pytest.approx([1, 0, 1], rel=0.01)
    low, high = table.loc[table["metric"] == "volume", ["low", "high"]].to_numpy().T
    assert (low <= [1, 0, 1.01]).all() and (high >= [0.99, 0, 1]).all()


def test_a_reference_of_uneven_weeks_is_less_sure_of_its_volume():
    rng = np.random.default_rng(3)
    n = rng.integers(50, 300, 8)
    times = np.concatenate(
        [START + WEEK * i + pd.Timedelta("30min") * np.arange(k) for i, k in enumerate(n)]
    )
    reference = pd.DataFrame({"event_time": pd.DatetimeIndex(times), "x": 1.0})
    current = pd.DataFrame({"event_time": every("1h", 168, start=START + 9 * WEEK), "x": 1.0})
    volume = quality(reference, current, metrics=["volume"]).iloc[0]
    assert volume["low"] < 168 / n.mean() < volume["high"]
    assert volume["high"] / volume["low"] > 1.5


def test_a_part_of_a_window_is_compared_by_its_hours():
    table = quality(usual(5 * 168), later(100))
    assert values_of(table, "volume") == pytest.approx([1], rel=0.02)
    silent = quality(usual(5 * 168), later(100), end=START + 6 * WEEK)
    assert values_of(silent, "volume") == pytest.approx([100 / 168], rel=0.02)


def test_the_age_of_the_newest_row_and_the_longest_gap():
    times = START + 5 * WEEK + pd.to_timedelta([0, 1, 50, 51, 170], unit="h")
    current = pd.DataFrame({"event_time": times, "age": 30})
    end = START + 8 * WEEK
    table = quality(usual(), current, end=end)
    assert values_of(table, "staleness_hours") == [168 - 51, 336 - 170, 504 - 170]
    assert values_of(table, "longest_gap_hours") == [168 - 51, 336 - 170, 168]
    unknown = quality(usual(), current)
    assert values_of(unknown, "staleness_hours") == pytest.approx([117, np.nan], nan_ok=True)
    assert values_of(unknown, "longest_gap_hours") == [117, 2]


def test_a_run_of_one_value_is_a_share_of_the_values_that_are_there():
    age = np.arange(168) % 50
    age[20:104] = 33
    current = later(168, age=pd.Series(age, dtype="float64").where(np.arange(168) != 60))
    table = quality(usual(), current, window=None)
    assert values_of(table, "stuck_share", "age") == [83 / 167]
    assert "stuck_share" not in set(table.loc[table["feature"] == "purpose", "metric"])


def test_columns_come_and_go_by_window():
    weeks = [later(168), later(168), later(168)]
    weeks[1] = weeks[1].drop(columns="purpose").assign(channel="app", note=None)
    weeks[2] = weeks[2].assign(channel=None)
    current = pd.concat(weeks, ignore_index=True)
    current["event_time"] = every("1h", 3 * 168, start=START + 5 * WEEK)
    table = quality(usual().assign(never=None), current)
    assert values_of(table, "new_columns") == [0, 1, 0]
    assert values_of(table, "missing_columns") == [0, 1, 0]


# --------------------------------------------------------------------- incidents are seen


@pytest.fixture(scope="module")
def traffic():
    return credit.applications(start="2024-01-29", n_days=35, per_day=120, seed=2)


@pytest.mark.parametrize(
    ("kind", "columns", "metric", "feature"),
    [
        ("missing_values", ("income_brl",), "null_value_rate", "income_brl"),
        ("stuck_sensor", ("debt_share",), "stuck_share", "debt_share"),
        ("stuck_sensor", ("debt_share",), "repeated_share", "debt_share"),
        ("new_category", ("purpose",), "unseen_rate", "purpose"),
        ("duplicates", (), "duplicate_share", ""),
        ("duplicates", (), "volume", ""),
    ],
)
def test_an_incident_shows_in_its_metric_and_in_its_week(traffic, kind, columns, metric, feature):
    time = "applied_at"
    start, end = (pd.Timestamp(day, tz="UTC") for day in ("2024-02-19", "2024-02-26"))
    changed, _ = inject(
        traffic,
        [Incident(kind=kind, start=start, end=end, columns=columns, strength=1.0)],
        rng=np.random.default_rng(0),
        time_column=time,
    )
    reference = traffic[traffic[time] < pd.Timestamp("2024-02-12", tz="UTC")]
    table = quality(
        reference,
        changed[changed[time] >= pd.Timestamp("2024-02-12", tz="UTC")],
        features=credit.FEATURES,
        time_column=time,
    )
    before, during, after = values_of(table, metric, feature)[:3]
    assert during > 1.5 * max(before, after)
    assert during > 0.25


def test_flights_in_summer_are_hotter_than_any_of_winter_and_no_row_is_of_another_type():
    frame = flights.load()
    frame = frame[frame["departed_at"].notna()].iloc[::20]
    spring = pd.Timestamp("2013-04-01", tz="UTC")
    table = quality(
        frame[frame["departed_at"] < spring],
        frame[frame["departed_at"] >= spring],
        features=flights.FEATURES,
        time_column="departed_at",
        window="28D",
    )
    assert (table.loc[table["metric"] == "data_type_error_rate", "value"] == 0).all()
    hot = table[(table["metric"] == "out_of_bounds_rate") & (table["feature"] == "temperature_f")]
    in_july = hot[hot["window_start"].dt.month == 7]
    assert in_july["value"].min() > 0.9


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": "volume"}, r"metrics='volume': a list of names is needed"),
        ({"metrics": ["volumes"]}, r"'volumes' is no metric of quality; did you mean 'volume'\?"),
        ({"minimum": 0}, "minimum=0: at least 1 is needed"),
        ({"level": 1}, "level=1: a number between 0 and 1"),
        ({"features": ["agee"]}, r"features='agee' is no column of the frame; did you mean 'age'"),
        ({"time_column": "event"}, "time_column='event' is no column of the frame"),
        ({"block": "month"}, "block='month'"),
    ],
)
def test_what_cannot_be_measured_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        quality(usual(), later(), **settings)


def test_a_reference_without_rows_is_refused():
    with pytest.raises(ValueError, match="reference: has no rows"):
        quality(usual().iloc[:0], later())
    with pytest.raises(ValueError, match="reference: has no rows"):
        Rates.of(usual().iloc[:0])


def test_a_reference_of_one_moment_has_no_volume_to_compare_with():
    moment = usual(40).assign(event_time=START)
    table = quality(moment, later(), metrics=["volume", "null_value_rate"])
    assert table.loc[table["metric"] == "volume", "value"].isna().all()
    assert table.loc[table["metric"] == "null_value_rate", "value"].eq(0).all()
