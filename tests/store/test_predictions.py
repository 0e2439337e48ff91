"""Predictions go in once, all or none, and come out by window."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from tests.store.builders import deployment, hours, label_frame, one_column, row
from utils.records import PREDICTION_COLUMNS, DuplicatePrediction, UnknownDeployment
from utils.store import frames, predictions, services
from utils.store.example import NOON, PREDICTIONS


def test_rows_appended_are_read_back_as_they_were(store):
    store.append("flights", [row("a"), row("b", hour=1, carrier=None, score=0.25)])
    frame = store.read("flights")
    assert frame["prediction_id"].tolist() == ["a", "b"]
    assert frame["event_time"].tolist() == [NOON, hours(1)]
    assert frame["model_version"].tolist() == ["1", "1"]
    assert frame["client"].tolist() == ["tower", "tower"]
    assert frame["latency_ms"].tolist() == [1.5, 1.5]
    assert frame["carrier"].isna().tolist() == [False, True]
    assert frame["score"].isna().tolist() == [True, False]
    assert frame["label"].isna().all()


def test_an_event_time_may_be_given_in_microseconds_or_in_any_zone(store):
    elsewhere = timezone(timedelta(hours=-5))
    store.append(
        "flights",
        [
            row("a", event_time=1_364_817_600_000_000),
            row("b", event_time=datetime(2013, 4, 1, 7, tzinfo=elsewhere)),
            row("c", event_time=pd.Timestamp(NOON)),
        ],
    )
    assert store.read("flights")["event_time"].tolist() == [NOON] * 3


def test_a_frame_goes_in_as_the_same_rows_do(store):
    store.append("flights", [row("a"), row("b", hour=1, carrier=None)])
    rows = store.read("flights")
    store.add_deployment(deployment(9, name="frames"), store.schema("flights"))
    captured = rows.drop(columns=["label", "label_known_at", "label_revision"])
    assert store.write_predictions("frames", captured) == 2
    pd.testing.assert_frame_equal(store.read("frames"), rows)


def test_what_a_frame_may_leave_out_is_missing(store):
    store.write_predictions("flights", PREDICTIONS)
    frame = store.read("flights")
    assert frame[["model_version", "latency_ms", "score"]].isna().all(axis=None)


def test_an_input_that_is_not_required_may_be_left_out(store):
    store.add_deployment(deployment(2, name="other"), one_column("double", required=False))
    frame = PREDICTIONS.drop(columns=["distance_miles", "carrier"])
    store.write_predictions("other", frame)
    assert store.read("other")["x"].isna().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="carrier"), r"lacks 'carrier', which 'flights' needs"),
        (lambda f: f.drop(columns="event_time"), r"lacks 'event_time'"),
        (
            lambda f: f.assign(tail="N1"),
            r"'tail' is no column of 'flights', which takes prediction",
        ),
        (lambda f: pd.concat([f, f[["carrier"]]], axis=1), r"has 'carrier' more than once"),
    ],
)
def test_a_frame_with_other_columns_is_refused_by_name(store, change, said):
    with pytest.raises(ValueError, match=said):
        store.write_predictions("flights", change(PREDICTIONS))
    assert store.read("flights").empty


def test_a_row_of_another_length_is_refused_with_the_columns_that_it_should_have(store):
    with pytest.raises(ValueError, match="row 1 has 8 values; 'flights' takes 9: prediction_id, "):
        store.append("flights", [row("a"), row("b")[:-1]])
    assert store.read("flights").empty


def test_a_repeated_id_is_refused_by_name_and_nothing_of_its_batch_stays(store):
    store.append("flights", [row("a")])
    with pytest.raises(DuplicatePrediction, match="'flights', stored already: 'a'. Predictions"):
        store.append("flights", [row("b"), row("a")])
    with pytest.raises(DuplicatePrediction, match="more than once in these rows: 'c'"):
        store.append("flights", [row("c"), row("c")])
    both = PREDICTIONS.assign(prediction_id=["d", "a"])
    with pytest.raises(DuplicatePrediction, match="stored already: 'a'"):
        store.write_predictions("flights", both)
    assert store.read("flights")["prediction_id"].tolist() == ["a"]


def test_a_repeated_id_is_found_in_any_slice_of_a_bulk_load(store, monkeypatch):
    monkeypatch.setattr(predictions, "ROWS_A_SLICE", 10)
    many = pd.concat([PREDICTIONS] * 20, ignore_index=True)
    ids = [f"id-{number}" for number in range(40)]
    with pytest.raises(DuplicatePrediction, match="more than once in these rows: 'id-0'"):
        store.write_predictions("flights", many.assign(prediction_id=[*ids[:39], "id-0"]))
    assert store.read("flights").empty
    assert store.write_predictions("flights", many.assign(prediction_id=ids)) == 40


def test_a_value_refused_in_a_late_slice_is_named_by_its_row_and_nothing_stays(store, monkeypatch):
    monkeypatch.setattr(predictions, "ROWS_A_SLICE", 10)
    many = pd.concat([PREDICTIONS] * 20, ignore_index=True)
    many = many.assign(prediction_id=[f"id-{number}" for number in range(40)])
    many.loc[37, "carrier"] = "U\0A"
    many.index = many.index[::-1]
    with pytest.raises(ValueError, match="carrier: row 37: 'U.x00A' holds a NUL character"):
        store.write_predictions("flights", many)
    assert store.read("flights").empty


def test_writing_changes_nothing_of_the_frame_given(store):
    before = PREDICTIONS.copy(deep=True)
    store.write_predictions("flights", PREDICTIONS)
    pd.testing.assert_frame_equal(PREDICTIONS, before)


@pytest.mark.parametrize("id", ["", "x" * 65, "a\0b", None, 7, float("nan")])
def test_what_is_no_id_is_refused(store, id):
    with pytest.raises(ValueError, match="prediction_id: row 0: "):
        store.append("flights", [row(id)])
    with pytest.raises(ValueError, match="prediction_id: row 1: "):
        store.write_predictions("flights", PREDICTIONS.assign(prediction_id=["a", id]))


@pytest.mark.parametrize("id", ["x" * 64, "é" * 64, "'; DROP TABLE vigia_store --", "%s ? :a", " "])
def test_any_text_of_up_to_64_characters_is_an_id(store, id):
    store.append("flights", [row(id)])
    assert store.find("flights", [id])["prediction_id"].tolist() == [id]
    assert store.read("flights")["prediction_id"].tolist() == [id]


def test_an_event_time_is_needed_and_has_a_zone(store):
    with pytest.raises(ValueError, match="event_time: row 0: is missing"):
        store.append("flights", [row("a", event_time=None)])
    with pytest.raises(ValueError, match="event_time: row 0: datetime.* has no time zone; give an"):
        store.append("flights", [row("a", event_time=datetime(2013, 4, 1))])
    naive = PREDICTIONS.assign(event_time=pd.to_datetime(["2013-04-01", "2013-04-02"]))
    with pytest.raises(ValueError, match="event_time: row 0: Timestamp.* has no time zone"):
        store.write_predictions("flights", naive)


def test_a_window_holds_its_start_and_not_its_end(store):
    store.append("flights", [row("a", 0), row("b", 1), row("c", 2)])
    assert store.read("flights", start=hours(1))["prediction_id"].tolist() == ["b", "c"]
    assert store.read("flights", end=hours(1))["prediction_id"].tolist() == ["a"]
    assert store.read("flights", start=hours(1), end=hours(2))["prediction_id"].tolist() == ["b"]
    assert store.read("flights", start=hours(1), end=hours(1)).empty
    assert store.read("flights", known_as_of=hours(1))["prediction_id"].tolist() == ["a", "b"]


def test_predictions_come_by_event_time_whatever_the_order_of_arrival(store):
    store.append("flights", [row("c", 2), row("a", 0)])
    store.append("flights", [row("b", 1), row("a2", 0)])
    assert store.read("flights")["prediction_id"].tolist() == ["a", "a2", "b", "c"]


@pytest.mark.parametrize("bound", ["start", "end", "known_as_of"])
def test_a_bound_without_a_zone_is_refused(store, bound):
    with pytest.raises(ValueError, match=f"{bound}: datetime.* has no time zone; give an aware"):
        store.read("flights", **{bound: datetime(2013, 4, 1)})
    with pytest.raises(ValueError, match=f"{bound}: '2013-04-01' is not a datetime"):
        store.read("flights", **{bound: "2013-04-01"})


def test_columns_come_in_a_fixed_order_and_can_be_chosen(store):
    store.write_predictions("flights", PREDICTIONS)
    assert store.read("flights").columns.tolist() == [
        *PREDICTION_COLUMNS,
        "label",
        "label_known_at",
        "label_revision",
        "distance_miles",
        "carrier",
    ]
    chosen = store.read("flights", columns=["carrier", "deployment", "label"])
    assert chosen.columns.tolist() == ["carrier", "deployment", "label"]
    assert chosen["deployment"].tolist() == ["crn:deployment:1"] * 2


def test_an_unknown_column_is_refused_with_the_nearest(store):
    with pytest.raises(ValueError, match="'carier' is no column; the nearest is 'carrier'"):
        store.read("flights", columns=["carier"])
    with pytest.raises(ValueError, match="columns='carrier': give a list of names"):
        store.read("flights", columns="carrier")


def test_an_empty_window_has_the_dtypes_of_a_full_one(store):
    empty = store.read("flights")
    store.write_predictions("flights", PREDICTIONS)
    store.write_labels(label_frame(("a", 20.0, 3)))
    full = store.read("flights")
    assert len(empty) == 0 and len(full) == 2
    assert (
        empty.dtypes.astype(str).to_dict()
        == full.dtypes.astype(str).to_dict()
        == {
            "prediction_id": "str",
            "event_time": "datetime64[us, UTC]",
            "model_version": "str",
            "client": "str",
            "latency_ms": "float64",
            "prediction": "float64",
            "score": "float64",
            "label": "float64",
            "label_known_at": "datetime64[us, UTC]",
            "label_revision": "Int64",
            "distance_miles": "float64",
            "carrier": "str",
        }
    )


def test_reading_in_many_batches_gives_every_row_once(store, monkeypatch):
    monkeypatch.setattr(frames, "ROWS_A_BATCH", 7)
    store.append("flights", [row(f"id-{number:02}", number) for number in range(50)])
    assert store.read("flights")["prediction_id"].tolist() == [f"id-{n:02}" for n in range(50)]


def test_predictions_are_found_in_the_order_asked_and_the_unknown_left_out(store):
    store.append("flights", [row("a", prediction=1.0), row("b", 1), row("c", 2)])
    found = store.find("flights", ["c", "nobody", "a"])
    assert found["prediction_id"].tolist() == ["c", "a"]
    assert found.columns.tolist() == [*PREDICTION_COLUMNS, "distance_miles", "carrier"]
    assert store.find("flights", []).empty
    assert store.find("flights", ["nobody"]).dtypes.equals(found.dtypes)


def test_many_ids_are_found_in_one_question(store):
    many = pd.concat([PREDICTIONS] * 20_000, ignore_index=True)
    ids = [f"id-{number}" for number in range(40_000)]
    store.write_predictions("flights", many.assign(prediction_id=ids))
    assert store.find("flights", ids[::-1])["prediction_id"].tolist() == ids[::-1]


def test_nothing_appended_is_no_error_but_an_unknown_deployment_is(store):
    store.append("flights", [])
    assert store.write_predictions("flights", PREDICTIONS.iloc[:0]) == 0
    for write, what in ((store.append, []), (store.write_predictions, PREDICTIONS)):
        with pytest.raises(UnknownDeployment, match="the nearest is 'flights'"):
            write("flight", what)


def test_the_same_id_may_serve_two_deployments(store):
    store.add_deployment(deployment(2, name="other"), store.schema("flights"))
    store.append("flights", [row("a")])
    store.append("other", [row("a", carrier="B6")])
    assert store.read("other")["carrier"].tolist() == ["B6"]


def plan(store, **bounds):
    """Return what the database says about how it would read a window."""
    at = {name: None for name in ("start", "end", "known_as_of")}
    at |= {name: int(moment.timestamp() * 1_000_000) for name, moment in bounds.items()}
    explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
    with store._backend.writing() as connection:
        [service] = services.services_called(connection, "flights")
        chosen = frames.choose(frames.offered_columns(service), None)
        statement = frames.window(service, chosen, at)
        compiled = statement.compile(connection.engine, compile_kwargs={"literal_binds": True})
        connection.exec_driver_sql("ANALYZE")
        told = connection.execute(sa.text(f"{explain[connection.dialect.name]} {compiled}"))
        return "\n".join(str(row[-1]) for row in told)


def test_a_window_is_read_through_the_index_of_the_event_time(store):
    many = pd.concat([PREDICTIONS] * 5_000, ignore_index=True)
    ids = [f"id-{number}" for number in range(10_000)]
    times = pd.Timestamp(NOON) + pd.to_timedelta(np.arange(10_000), unit="min")
    store.write_predictions("flights", many.assign(prediction_id=ids, event_time=times))
    told = plan(store, start=hours(1), end=hours(2), known_as_of=hours(100))
    assert "vigia_prediction_1_time" in told
    assert "SCAN vigia_prediction_1" not in told
    assert "Seq Scan on vigia_prediction_1" not in told
    assert "TEMP B-TREE FOR ORDER BY" not in told, "a label is found without sorting"


def test_times_far_from_now_are_kept(store):
    store.append(
        "flights",
        [
            row("a", event_time=datetime(1, 1, 1, tzinfo=UTC)),
            row("b", event_time=datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ],
    )
    assert [moment.year for moment in store.read("flights")["event_time"]] == [1, 9999]
