"""Labels come late, out of order and again; none overwrites another."""

from datetime import datetime

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.builders import deployment, hours, label_frame, one_column, row
from utils.records import UnknownDeployment, UnknownPrediction
from utils.store import predictions
from utils.store.example import SCHEMA


@pytest.fixture
def store(store):
    store.append("flights", [row("a", 0), row("b", 1), row("c", 2)])
    return store


def known(store, **as_of):
    frame = store.read("flights", **as_of)
    return [
        (id, None if pd.isna(label) else label)
        for id, label in zip(frame["prediction_id"], frame["label"], strict=True)
    ]


def test_a_label_is_unknown_before_the_moment_at_which_it_became_known(store):
    assert store.write_labels(label_frame(("a", 20.0, 5), ("c", -3.0, 9))) == {
        "new": 2,
        "revised": 0,
        "repeated": 0,
    }
    assert known(store, known_as_of=hours(4)) == [("a", None), ("b", None), ("c", None)]
    assert known(store, known_as_of=hours(5)) == [("a", 20.0), ("b", None), ("c", None)]
    assert known(store, known_as_of=hours(9)) == [("a", 20.0), ("b", None), ("c", -3.0)]
    assert known(store) == [("a", 20.0), ("b", None), ("c", -3.0)]
    frame = store.read("flights")
    assert frame["label_known_at"].tolist()[0] == hours(5)
    assert frame["label_revision"].tolist()[0] == 1


def test_a_second_label_is_a_revision_and_the_first_is_still_what_was_known_then(store):
    store.write_labels(label_frame(("a", 20.0, 5)))
    assert store.write_labels(label_frame(("a", 25.0, 8)))["revised"] == 1
    assert known(store, known_as_of=hours(7))[0] == ("a", 20.0)
    assert known(store, known_as_of=hours(8))[0] == ("a", 25.0)
    history = store.labels("flights")
    assert history["label"].tolist() == [20.0, 25.0]
    assert history["revision"].tolist() == [1, 2]
    assert history["known_at"].tolist() == [hours(5), hours(8)]
    assert history.columns.tolist() == ["prediction_id", "label", "known_at", "revision"]


def test_a_revision_that_arrives_after_a_later_known_one_does_not_hide_it(store):
    store.write_labels(label_frame(("a", 25.0, 8)))
    store.write_labels(label_frame(("a", 20.0, 5)))
    assert known(store)[0] == ("a", 25.0)
    assert known(store, known_as_of=hours(6))[0] == ("a", 20.0)
    assert store.read("flights")["label_revision"].tolist()[0] == 1
    assert store.labels("flights")["revision"].tolist() == [1, 2]


def test_of_two_labels_known_at_one_moment_the_last_written_counts(store):
    store.write_labels(label_frame(("a", 20.0, 5), ("a", 25.0, 5)))
    assert known(store, known_as_of=hours(5))[0] == ("a", 25.0)
    store.write_labels(label_frame(("a", 20.0, 5)))
    assert known(store)[0] == ("a", 20.0)


def test_an_equal_label_again_is_ignored_and_counted(store):
    store.write_labels(label_frame(("a", 20.0, 5)))
    again = store.write_labels(label_frame(("a", 20.0, 5), ("a", 20.0, 9), ("b", 1.0, 9)))
    assert again == {"new": 1, "revised": 0, "repeated": 2}
    assert len(store.labels("flights")) == 2


def test_a_label_that_goes_back_to_an_older_one_is_a_revision(store):
    store.write_labels(label_frame(("a", 20.0, 5), ("a", 25.0, 6), ("a", 20.0, 7)))
    assert store.labels("flights")["label"].tolist() == [20.0, 25.0, 20.0]
    assert known(store, known_as_of=hours(6))[0] == ("a", 25.0)
    assert known(store)[0] == ("a", 20.0)


def test_the_same_label_known_earlier_than_thought_is_kept(store):
    store.write_labels(label_frame(("a", 20.0, 8)))
    store.write_labels(label_frame(("a", 20.0, 5)))
    assert known(store, known_as_of=hours(6))[0] == ("a", 20.0)


def test_a_label_of_an_unknown_prediction_is_refused_by_name_and_none_is_stored(store):
    with pytest.raises(UnknownPrediction, match="has the id 'ghost', 'wraith'; nothing was stored"):
        store.write_labels(label_frame(("a", 1.0, 5), ("ghost", 2.0, 5), ("wraith", 3.0, 5)))
    assert store.labels("flights").empty


def test_a_bad_label_in_a_late_slice_takes_the_whole_frame_with_it(store, monkeypatch):
    monkeypatch.setattr(predictions, "ROWS_A_SLICE", 2)
    with pytest.raises(ValueError, match="label: row 2: is missing"):
        store.write_labels(label_frame(("a", 1.0, 5), ("b", 2.0, 5), ("c", None, 5)))
    with pytest.raises(UnknownPrediction, match="'ghost'"):
        store.write_labels(label_frame(("a", 1.0, 5), ("b", 2.0, 5), ("ghost", 3.0, 5)))
    assert store.labels("flights").empty


def test_labels_of_one_prediction_in_two_slices_are_revisions(store, monkeypatch):
    monkeypatch.setattr(predictions, "ROWS_A_SLICE", 1)
    counts = store.write_labels(label_frame(("a", 1.0, 5), ("a", 2.0, 6), ("a", 2.0, 7)))
    assert counts == {"new": 1, "revised": 1, "repeated": 1}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (label_frame(("a", 1.0, 5)).drop(columns="known_at"), "it takes prediction_id, label, kno"),
        (label_frame(("a", 1.0, 5)).assign(note="x"), "has the columns .*note; it takes"),
        (label_frame(("a", 1.0, 5)).assign(known_at=pd.NaT), "known_at: row 0: is missing"),
        (label_frame(("a", 1.0, 5)).assign(label="late"), "label: row 0: 'late' is not a number"),
        (
            label_frame(("a", 1.0, 5)).assign(known_at=datetime(2013, 4, 1)),
            "known_at: row 0: .* has no time zone",
        ),
        (label_frame(("a", 1.0, 5)).assign(prediction_id=7), "prediction_id: row 0: 7 is not a st"),
    ],
)
def test_a_frame_that_is_none_of_labels_is_refused(store, frame, said):
    with pytest.raises(ValueError, match=said):
        store.write_labels(frame)
    assert store.labels("flights").empty


def test_labels_find_their_deployment_by_the_prediction(store):
    store.add_deployment(deployment(2, name="kinds"), one_column("long", output="string"))
    store.append("kinds", [(*row("k")[:5], "late", None, 1)])
    mixed = label_frame(("k", "on time", 5), ("a", 1.0, 5))
    assert store.write_labels(mixed)["new"] == 2
    assert store.labels("kinds")["label"].tolist() == ["on time"]
    assert store.labels("flights")["label"].tolist() == [1.0]


def test_an_id_of_two_deployments_needs_the_name_of_one(store):
    store.add_deployment(deployment(2, name="other"), SCHEMA)
    store.append("other", [row("a")])
    with pytest.raises(ValueError, match="'a' is one of 'flights' and one of 'other': name the"):
        store.write_labels(label_frame(("a", 1.0, 5)))
    store.write_labels(label_frame(("a", 1.0, 5)), deployment="other")
    assert store.labels("flights").empty
    assert len(store.labels("other")) == 1


def test_a_named_deployment_must_have_the_prediction(store):
    store.add_deployment(deployment(2, name="other"), SCHEMA)
    with pytest.raises(UnknownPrediction, match="'a'"):
        store.write_labels(label_frame(("a", 1.0, 5)), deployment="other")
    with pytest.raises(UnknownDeployment, match="'flights'"):
        store.write_labels(label_frame(("a", 1.0, 5)), deployment="flight")


def test_no_label_is_no_error(store):
    assert store.write_labels(label_frame()) == {"new": 0, "revised": 0, "repeated": 0}


def in_force(written, moment):
    """Return what the documented rule says is known at a moment, in plain Python."""
    candidates = [
        (known_at, at, label) for at, (label, known_at) in enumerate(written) if known_at <= moment
    ]
    return max(candidates)[2] if candidates else None


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arrivals=st.lists(
        st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.integers(3, 8)), min_size=1, max_size=8
    ),
    cut=st.integers(0, 8),
)
def test_whatever_the_order_of_arrival_the_label_known_at_a_moment_follows_the_rule(
    store, arrivals, cut
):
    id = f"p{len(store.read('flights'))}"
    store.append("flights", [row(id)])
    for part in (arrivals[:cut], arrivals[cut:]):
        frame = label_frame(*((id, label, hour) for label, hour in part))
        store.write_labels(frame)
    kept = []
    for label, hour in arrivals:
        if in_force(kept, hour) != label:
            kept.append((label, hour))
    history = store.labels("flights").query("prediction_id == @id")
    assert history["label"].tolist() == [label for label, _ in kept]
    for moment in range(2, 10):
        frame = store.read("flights", known_as_of=hours(moment))
        [label] = frame.query("prediction_id == @id")["label"]
        assert in_force(kept, moment) == (None if pd.isna(label) else label)
