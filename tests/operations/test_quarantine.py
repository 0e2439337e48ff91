"""What must not be learned from is held until a person lets it go; a source that lies is named."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.operations.conftest import NOON, weeks
from utils.operations import quarantine
from utils.operations.quarantine import Span, UnknownSpan, contradicted, liars, sound
from utils.store import open_store
from utils.text import using

APRIL = datetime(2013, 4, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
SPAN = Span(
    id="labels/carrier=UA",
    start=APRIL,
    end=APRIL + WEEK,
    why={"pt": "UA mente.", "en": "UA lies."},
    columns=("label",),
    where={"carrier": "UA"},
)


# ------------------------------------------------------------------------------- put and release


def test_a_span_comes_back_as_it_was_put(store):
    assert quarantine.put(store, "flights", SPAN, at=NOON)
    assert quarantine.spans(store, "flights") == [SPAN]
    assert quarantine.spans(store, "others") == []


def test_to_put_the_same_span_again_changes_nothing(store):
    quarantine.put(store, "flights", SPAN, at=NOON)
    again = Span(id=SPAN.id, start=APRIL, end=APRIL + 2 * WEEK, why={"pt": "x", "en": "y"})
    assert not quarantine.put(store, "flights", again, at=NOON + WEEK)
    assert quarantine.spans(store, "flights") == [SPAN]


def test_spans_stand_in_the_order_in_which_they_were_put(store):
    ids = ["c", "a", "b"]
    for n, id in enumerate(ids):
        span = Span(id=id, start=APRIL - n * WEEK, end=APRIL, why=SPAN.why)
        quarantine.put(store, "flights", span, at=NOON)
    assert [each.id for each in quarantine.spans(store, "flights")] == ids


def test_a_person_releases_a_span_once_and_it_is_not_put_back_by_itself(store):
    quarantine.put(store, "flights", SPAN, at=NOON)
    about = {"by": "ana", "reason": "the airline mended its report"}
    assert quarantine.release(store, "flights", SPAN.id, at=NOON, **about)
    assert quarantine.spans(store, "flights") == []
    assert not quarantine.release(store, "flights", SPAN.id, at=NOON + WEEK, **about)
    assert not quarantine.put(store, "flights", SPAN, at=NOON + WEEK)
    assert quarantine.spans(store, "flights") == []
    [event] = [
        each for each in store.events(quarantine.stream_of("flights")) if each.kind == "released"
    ]
    assert event.body == {"span": SPAN.id, **about} and event.at == NOON


def test_what_is_in_quarantine_is_there_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(url) as store:
        quarantine.put(store, "flights", SPAN, at=NOON)
    with open_store(url) as store:
        assert quarantine.spans(store, "flights") == [SPAN]


def test_a_span_that_is_not_there_is_refused_with_the_one_that_was_meant(store):
    with pytest.raises(UnknownSpan, match="span='labels/carrier=UA': is not in quarantine; nothi"):
        quarantine.release(store, "flights", SPAN.id, by="ana", reason="typo", at=NOON)
    quarantine.put(store, "flights", SPAN, at=NOON)
    with pytest.raises(UnknownSpan, match=r"did you mean 'labels/carrier=UA'\?"):
        quarantine.release(store, "flights", "labels/carrier=AU", by="ana", reason="typo", at=NOON)


@pytest.mark.parametrize("blank", ["by", "reason"])
def test_a_release_says_who_and_why(store, blank):
    quarantine.put(store, "flights", SPAN, at=NOON)
    about = {"by": "ana", "reason": "mended", blank: "  "}
    with pytest.raises(ValueError, match=f"^{blank}='  ': must not be empty$"):
        quarantine.release(store, "flights", SPAN.id, at=NOON, **about)
    assert quarantine.spans(store, "flights") == [SPAN]


def test_why_it_is_held_is_said_in_the_language_in_force():
    with using("pt"):
        assert quarantine.said([SPAN]) == ["UA mente."]
    with using("en"):
        assert quarantine.said([SPAN]) == ["UA lies."]


# ------------------------------------------------------------------------------- what is left


def test_a_span_takes_its_first_moment_and_not_its_last():
    times = [APRIL - timedelta(microseconds=1), APRIL, APRIL + WEEK, APRIL + WEEK]
    times[2] -= timedelta(microseconds=1)
    rows = pd.DataFrame({"event_time": pd.to_datetime(times), "x": range(4)}, index=[7, 7, 8, 9])
    span = Span(id="all", start=APRIL, end=APRIL + WEEK, why={})
    left = sound(rows, [span])
    assert left["x"].tolist() == [0, 3] and left.index.tolist() == [7, 9]
    assert len(rows) == 4


def test_only_the_rows_of_the_source_are_taken_whatever_it_is_called():
    times = pd.to_datetime([APRIL] * 4)
    rows = pd.DataFrame({"event_time": times, "station": [1, 2, 1, 3], "x": range(4)})
    span = Span(id="one", start=APRIL, end=APRIL + WEEK, why={}, where={"station": "1"})
    assert sound(rows, [span])["x"].tolist() == [1, 3]


def test_a_source_that_is_missing_in_a_row_is_none_that_lies():
    rows = pd.DataFrame({"event_time": pd.to_datetime([APRIL] * 2), "carrier": ["UA", None]})
    assert sound(rows, [SPAN])["carrier"].isna().tolist() == [True]


def test_where_a_frame_does_not_say_the_source_all_of_that_time_goes():
    times = pd.to_datetime([APRIL, APRIL + WEEK])
    assert len(sound(pd.DataFrame({"event_time": times}), [SPAN])) == 1


def test_spans_that_overlap_take_what_any_of_them_takes():
    rng = np.random.default_rng(0)
    days = APRIL + pd.to_timedelta(rng.uniform(0, 28, 500), unit="D")
    rows = pd.DataFrame(
        {"event_time": days, "carrier": rng.choice(["UA", "B6"], 500), "x": range(500)}
    )
    held = [
        SPAN,
        Span(id="b", start=APRIL + timedelta(days=3), end=APRIL + timedelta(days=12), why={}),
    ]
    one_by_one = sound(sound(rows, held[:1]), held[1:])
    assert sound(rows, held).equals(one_by_one)
    assert sound(rows, []).equals(rows)


# ------------------------------------------------------------------------------- broken data


def test_only_alarms_of_broken_data_count_and_each_window_gets_a_span():
    alarm = {"monitor": "quality", "feature": "delay", "alarm": True}
    table = pd.concat(
        [
            weeks(0.0, 0.4, 0.5, metric="null_value_rate", **alarm),
            weeks(0.0, 0.2, metric="data_type_error_rate", **alarm | {"feature": "miles"}),
            weeks(0.0, 0.2, metric="duplicate_share", **alarm | {"feature": ""}),
            weeks(0.0, 0.2, metric="out_of_bounds_rate", **alarm),
            weeks(0.0, 0.2, metric="null_value_rate", **alarm | {"monitor": "drift"}),
            weeks(0.0, 0.2, metric="repeated_share", **alarm | {"alarm": False}),
        ]
    )
    start = datetime(2024, 1, 8, tzinfo=UTC)
    alarms = quarantine.broken(table, start=start, end=start + 2 * WEEK)
    assert alarms["window_start"].dt.day.tolist() == [8, 15, 8, 8]
    first, second = quarantine.broken_spans(alarms)
    assert (first.start, first.end) == (start, start + WEEK)
    assert first.id == "broken/2024-01-08T00:00:00+00:00/2024-01-15T00:00:00+00:00"
    assert first.columns == ("delay", "miles") and first.where == {}
    assert (second.start, second.columns) == (start + WEEK, ("delay",))
    assert first.why["en"] == (
        "In the window of 8 Jan 2024 the data are broken: values missing (delay); values of "
        "another type (miles); rows duplicated."
    )
    assert first.why["pt"].startswith("Na janela de 8 jan 2024 os dados estão quebrados: ")


def test_without_an_alarm_nothing_is_broken():
    table = weeks(0.4, metric="null_value_rate", monitor="quality", alarm=False)
    alarms = quarantine.broken(table, start=APRIL, end=NOON)
    assert quarantine.broken_spans(alarms) == []


def test_fewer_defects_than_usual_are_an_alarm_and_break_nothing():
    bounds = {"alarm": True, "threshold_low": 0.02, "threshold_high": 0.08}
    table = weeks(0.01, 0.4, metric="null_value_rate", monitor="quality", **bounds)
    year = {"start": datetime(2024, 1, 1, tzinfo=UTC), "end": datetime(2025, 1, 1, tzinfo=UTC)}
    assert quarantine.broken(table, **year)["value"].tolist() == [0.4]


# ------------------------------------------------------------------------------- labels that lie

SOURCES = ("B6", "EV", "UA")
MONDAY = pd.Timestamp("2024-01-01", tz="UTC")


def flights(rng, start, n_weeks, *, lies=None, world=0.0, n_rows=300, sources=SOURCES, far=None):
    """Return labelled rows of some weeks: what a model answers, how long it took, who says so."""
    n = n_weeks * n_rows * len(sources)
    carrier = np.resize(sources, n)
    miles = rng.gamma(3, 300, n) * pd.Series(carrier).map(far or {}).fillna(1.0).to_numpy()
    rows = pd.DataFrame(
        {
            "event_time": start + pd.to_timedelta(rng.uniform(0, 7 * n_weeks, n), unit="D"),
            "carrier": carrier,
            "miles": miles,
            "prediction": miles / 100,
        }
    )
    said = rows["carrier"].map(lies or {}).fillna(0.0)
    return rows.assign(label=miles / 100 + world * miles / 900 + rng.normal(0, 4, n) + said)


def named(rng, *, n_usual=10, chance=0.001, like=("miles",), **current):
    usual = flights(rng, MONDAY, n_usual)
    now = flights(rng, MONDAY + n_usual * WEEK, 1, **current)
    return contradicted(usual, now, source_column="carrier", like=like, chance=chance)


def test_the_source_that_lies_strays_most_and_is_the_one_that_is_held():
    rng = np.random.default_rng(1)
    for liar in SOURCES:
        found = named(rng, lies={liar: -6.0})
        row = found.set_index("source").loc[liar]
        assert row["value"] == pytest.approx(-6.0, abs=1.5) and row["value"] < row["low"]
        assert row["low"] < row["usual"] < row["high"] and row["n"] == 300
        [span] = quarantine.lying_spans(found, column="carrier", start=APRIL, end=APRIL + WEEK)
        assert span.where == {"carrier": liar}
        assert span.id == f"labels/carrier={liar}/2013-04-01T00:00:00+00:00"
        assert (span.start, span.end) == (APRIL, APRIL + WEEK)
        assert span.why["en"] == (
            f"The labels of carrier={liar} from 1 Apr 2013 to 8 Apr 2013 contradict those of every "
            "other source of the same time."
        )


def test_nobody_is_named_in_quiet_times_more_often_than_the_chance_says():
    rng = np.random.default_rng(2)
    n = 50
    n_named = sum(len(named(rng, n_usual=6, chance=0.2)) > 0 for _ in range(n))
    assert n_named <= stats.binom.ppf(0.99, n, 0.2)
    assert n_named >= 1


def test_nobody_is_named_where_only_a_few_labels_are_known_yet():
    rng = np.random.default_rng(3)
    n = 50
    n_named = sum(len(named(rng, n_usual=6, chance=0.2, n_rows=60)) > 0 for _ in range(n))
    assert n_named <= stats.binom.ppf(0.99, n, 0.2)


def test_where_the_world_changes_for_all_nobody_is_accused():
    rng = np.random.default_rng(4)
    assert sum(len(named(rng, world=5.0)) for _ in range(10)) <= 1


def test_a_world_that_changes_for_long_flights_does_not_accuse_who_flies_far():
    rng = np.random.default_rng(5)
    far = {"UA": 3.0}
    usual = flights(rng, MONDAY, 10, far=far)
    now = flights(rng, MONDAY + 10 * WEEK, 1, far=far, world=5.0)
    # A model that answers the same to all: nothing but the miles tells the long flights.
    usual, now = (
        rows.assign(prediction=10.0, label=rows["label"] - rows["prediction"] + 10)
        for rows in (usual, now)
    )
    settings = {"source_column": "carrier", "chance": 0.001}
    assert "UA" in contradicted(usual, now, **settings)["source"].tolist()
    assert contradicted(usual, now, like=["miles"], **settings).empty


def test_two_that_lie_are_both_found_worst_first_and_nobody_else():
    rng = np.random.default_rng(6)
    sources = (*SOURCES, "WN", "DL")
    usual = flights(rng, MONDAY, 10, sources=sources)
    now = flights(rng, MONDAY + 10 * WEEK, 1, sources=sources, lies={"UA": -30.0, "WN": 12.0})
    about = {"source_column": "carrier", "start": APRIL, "end": APRIL + WEEK, "like": ["miles"]}
    found = liars(usual, now, **about)
    assert [each.where["carrier"] for each in found] == ["UA", "WN"]
    quiet = flights(rng, MONDAY + 10 * WEEK, 1, sources=sources)
    assert liars(usual, quiet, **about) == []


def test_a_source_that_is_alone_contradicts_nobody():
    rng = np.random.default_rng(7)
    usual = flights(rng, MONDAY, 10, sources=["UA"])
    now = flights(rng, MONDAY + 10 * WEEK, 1, sources=["UA"], lies={"UA": -60.0})
    assert contradicted(usual, now, source_column="carrier").empty


@pytest.mark.parametrize(
    ("n_usual", "n_rows"), [(quarantine.LEAST_WEEKS - 1, 300), (10, quarantine.LEAST_ROWS - 1)]
)
def test_of_a_source_of_which_too_little_is_known_nothing_is_said(n_usual, n_rows):
    rng = np.random.default_rng(8)
    lies = {"UA": -60.0}
    assert named(rng, n_usual=n_usual, n_rows=n_rows, lies=lies).empty
    enough = {"n_usual": quarantine.LEAST_WEEKS, "n_rows": quarantine.LEAST_ROWS}
    assert "UA" in named(rng, lies=lies, **enough)["source"].tolist()


def test_a_source_that_is_new_has_nothing_usual():
    rng = np.random.default_rng(9)
    usual = flights(rng, MONDAY, 10)
    now = flights(rng, MONDAY + 10 * WEEK, 1, sources=(*SOURCES, "XX"), lies={"XX": -60.0})
    assert "XX" not in contradicted(usual, now, source_column="carrier")["source"].tolist()


def test_without_labels_of_before_or_of_now_nobody_is_named():
    rng = np.random.default_rng(10)
    usual, now = flights(rng, MONDAY, 8), flights(rng, MONDAY + 8 * WEEK, 1)
    none = now.assign(label=np.nan)
    for before, current in ((usual, none), (none, now), (usual.head(0), now.head(0))):
        found = contradicted(before, current, source_column="carrier", like=["miles"])
        assert found.empty
        assert list(found) == ["source", "value", "usual", "low", "high", "n"]
        assert quarantine.lying_spans(found, column="carrier", start=APRIL, end=NOON) == []


def test_numbers_that_are_missing_or_never_vary_do_no_harm():
    rng = np.random.default_rng(11)
    usual = flights(rng, MONDAY, 10).assign(gate=1.0, gone=np.nan)
    now = flights(rng, MONDAY + 10 * WEEK, 1, lies={"UA": -6.0}).assign(gate=1.0, gone=np.nan)
    now.loc[::3, "miles"] = np.nan
    found = contradicted(usual, now, source_column="carrier", like=["miles", "gate", "gone"])
    assert found.loc[found["value"].abs().idxmax(), "source"] == "UA"


def test_the_line_of_the_others_is_that_of_least_squares():
    rng = np.random.default_rng(12)
    usual = flights(rng, MONDAY, 8)
    now = flights(rng, MONDAY + 8 * WEEK, 1, lies={"UA": -60.0})
    found = contradicted(usual, now, source_column="carrier", like=["miles"])
    for row in found.itertuples():
        is_own = now["carrier"].eq(row.source)
        excess = now["label"] - now["prediction"]
        # The answer is miles / 100 here, so that the line has one slope.
        line = np.polyfit(now.loc[~is_own, "miles"], excess[~is_own], 1)
        expected = (excess[is_own] - np.polyval(line, now.loc[is_own, "miles"])).mean()
        assert row.value == pytest.approx(expected, abs=1e-4)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source_column": "career"}, "source_column='career' is no column of the frame; did you"),
        ({"like": ["mile"]}, "like='mile' is no column of the frame; did you mean 'miles'?"),
        ({"label_column": "lable"}, "label_column='lable' is no column of the frame"),
        ({"answer_column": "score"}, "answer_column='score' is no column of the frame"),
        ({"chance": 0.0}, "chance=0.0: must lie between 0 and 1"),
        ({"window": "a week"}, "window='a week': a positive, fixed length of time is needed"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_by_name(settings, said):
    rows = flights(np.random.default_rng(13), MONDAY, 1)
    with pytest.raises(ValueError) as error:
        contradicted(rows, rows, **{"source_column": "carrier", **settings})
    assert str(error.value).startswith(said)
