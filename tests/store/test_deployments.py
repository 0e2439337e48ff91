"""Deployments, their CRNs, and tables that widen with their models."""

from datetime import datetime

import pytest

from tests.store.builders import deployment, one_column, row
from utils.records import Column, Schema, SchemaConflict, UnknownDeployment, input_column
from utils.store import open_store
from utils.store.example import DEPLOYMENT, PREDICTIONS, SCHEMA

HOSTILE = (
    "Age",
    "age",
    'quo"te',
    "apostrophe's",
    "back`tick",
    "; DROP TABLE vigia_store --",
    "%s",
    "%(x)s",
    ":name",
    "?",
    "{id}",
    "a.b",
    "[a]",
    "\\",
    "\n\t",
    " ",
    "",
    "select",
    "rowid",
    "id",
    "prediction_id",
    "deployment",
    "label",
    "event_time",
    "coração ♥ 数",
    "x" * 200,
    "x" * 199 + "y",
)


def test_the_newest_deployment_of_a_name_stands_for_it_and_a_crn_for_itself(store):
    second = deployment(2, model_version="2")
    store.add_deployment(second, SCHEMA)
    assert store.deployment("flights") == second
    assert store.deployment("crn:deployment:1") == DEPLOYMENT
    assert store.deployments()["model_version"].tolist() == ["2", "1"]
    assert str(store.deployments()["created_at"].dtype) == "datetime64[us, UTC]"


def test_the_same_deployment_again_changes_nothing(store):
    store.add_deployment(DEPLOYMENT, SCHEMA)
    assert len(store.deployments()) == 1


def test_a_crn_that_another_deployment_has_is_refused(store):
    said = "'crn:deployment:1' is taken by a deployment of 'flights' with another name"
    with pytest.raises(ValueError, match=said):
        store.add_deployment(deployment(1, name="cars"), SCHEMA)
    with pytest.raises(ValueError, match="with another inputs"):
        store.add_deployment(DEPLOYMENT, one_column("double"))
    with pytest.raises(ValueError, match="with another model_version"):
        store.add_deployment(deployment(1, model_version="9"), SCHEMA)


def test_an_unknown_deployment_is_refused_with_the_nearest(store):
    with pytest.raises(UnknownDeployment, match="called 'fligts'; the nearest is 'flights'"):
        store.deployment("fligts")
    with pytest.raises(UnknownDeployment, match="called 'zebra'; the store has 'flights'"):
        store.read("zebra")


def test_a_column_of_another_kind_is_refused_naming_it_and_both_kinds(store):
    changed = Schema(
        columns=(Column(name="distance_miles", kind="string"), Column(name="new", kind="long"))
    )
    said = "'distance_miles' of 'flights': the model takes string and the table holds double"
    with pytest.raises(SchemaConflict, match=said):
        store.add_deployment(deployment(2), changed)
    said = "'prediction' of 'flights': the model answers long and the table holds double"
    with pytest.raises(SchemaConflict, match=said):
        store.add_deployment(deployment(2), Schema(columns=SCHEMA.columns, output="long"))
    assert len(store.deployments()) == 1
    assert "new" not in store.read("flights")


def test_new_inputs_widen_the_table_and_are_missing_before(store):
    store.append("flights", [row("a")])
    wider = Schema(
        columns=(Column(name="wind", kind="long"), Column(name="carrier", kind="string")),
    )
    store.add_deployment(deployment(2), wider)
    assert store.schema("flights") == wider
    assert store.schema("crn:deployment:1") == SCHEMA
    captured = row("b", hour=1)[:7]
    store.append("flights", [(*captured, 7, "AA")])
    frame = store.read("flights")
    assert frame["carrier"].tolist() == ["UA", "AA"]
    assert frame["wind"].isna().tolist() == [True, False]
    assert frame["distance_miles"].isna().tolist() == [False, True]


def test_rows_belong_to_the_newest_deployment_or_to_the_one_named(store):
    store.append("flights", [row("a")])
    store.add_deployment(deployment(2), SCHEMA)
    store.append("flights", [row("b", 1)])
    store.append("crn:deployment:1", [row("c", 2)])
    frame = store.read("flights", columns=["prediction_id", "deployment"])
    assert frame["deployment"].str[-1].tolist() == ["1", "2", "1"]
    assert store.read("crn:deployment:1")["prediction_id"].tolist() == ["a", "c"]
    assert store.read("crn:deployment:2")["prediction_id"].tolist() == ["b"]


def test_a_deployment_made_elsewhere_is_seen_at_once(store, store_url):
    store.append("flights", [row("a")])
    with open_store(store_url) as other:
        other.add_deployment(deployment(2), one_column("long"))
    store.append("flights", [(*row("b", 1)[:7], 41)])
    assert store.read("flights")["x"].tolist()[1] == 41


def test_hostile_names_of_inputs_are_only_names(store):
    schema = Schema(columns=tuple(Column(name=name, kind="string") for name in HOSTILE))
    store.add_deployment(deployment(2, name="hostile"), schema)
    store.append("hostile", [(*row("a")[:7], *HOSTILE)])
    frame = store.read("hostile")
    inputs = [input_column(name) for name in HOSTILE]
    assert frame.columns.tolist()[-len(HOSTILE) :] == inputs
    assert frame.loc[0, inputs].tolist() == list(HOSTILE)
    captured = frame.drop(columns=["label", "label_known_at", "label_revision"])
    store.write_predictions("hostile", captured.assign(prediction_id="b"))
    assert store.read("hostile").loc[1, inputs].tolist() == list(HOSTILE)
    for name in inputs:
        chosen = store.read("hostile", columns=[name])
        assert chosen.columns.tolist() == [name]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_deployments_are_only_names(store, name):
    store.add_deployment(deployment(2, name=name), SCHEMA)
    store.append(name, [row("a")])
    assert store.read(name)["prediction_id"].tolist() == ["a"]
    assert store.deployment(name).name == name
    assert store.read("flights").empty


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("x", "x"), "inputs 'x' and 'x' would both be read back as 'x'; rename one"),
        (("label", "input_label"), "would both be read back as 'input_label'"),
        (("a\0b",), "the name of an input: 'a.x00b' holds a NUL character"),
        ((7,), "the name of an input: 7 is not a string"),
        ([f"f{n}" for n in range(901)], "901 inputs are more than a row holds .900"),
    ],
)
def test_names_that_cannot_stand_together_are_refused(store, names, said):
    schema = Schema(columns=tuple(Column(name=name, kind="double") for name in names))
    with pytest.raises(ValueError, match=said):
        store.add_deployment(deployment(2, name="other"), schema)
    assert len(store.deployments()) == 1


def test_names_that_clash_with_those_of_an_older_deployment_are_refused(store):
    store.add_deployment(deployment(2, name="other"), one_column("double", name="label"))
    with pytest.raises(ValueError, match="would both be read back as 'input_label'"):
        clash = one_column("double", name="input_label")
        store.add_deployment(deployment(3, name="other"), clash)
    assert store.deployment("other").deployment_crn == "crn:deployment:2"


def test_as_many_inputs_as_are_promised_can_be_stored(store):
    names = [f"f{number}" for number in range(900)]
    schema = Schema(columns=tuple(Column(name=name, kind="double") for name in names))
    store.add_deployment(deployment(2, name="wide"), schema)
    store.append("wide", [(*row("a")[:7], *range(900))])
    assert store.read("wide", columns=["f899"])["f899"].tolist() == [899.0]


def test_a_model_without_inputs_can_be_stored(store):
    store.add_deployment(deployment(2, name="bare"), Schema(columns=()))
    store.append("bare", [row("a")[:7]])
    assert store.read("bare")["prediction"].tolist() == [12.5]


def test_an_unknown_kind_is_refused(store):
    with pytest.raises(ValueError, match="schema: 'decimal' is no kind"):
        store.add_deployment(deployment(2, name="other"), one_column("decimal"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"created_at": datetime(2013, 4, 1)}, "created_at: .* has no time zone"),
        ({"model_uri": "a\0"}, "model_uri: .* NUL"),
        ({"build_crn": None}, "build_crn: is missing"),
    ],
)
def test_a_deployment_with_a_bad_field_is_refused_by_its_name(store, change, said):
    with pytest.raises(ValueError, match=said):
        store.add_deployment(deployment(2, **change), SCHEMA)


def test_a_frame_is_written_for_the_deployment_of_a_crn(store):
    store.add_deployment(deployment(2), SCHEMA)
    store.write_predictions("crn:deployment:1", PREDICTIONS)
    assert len(store.read("crn:deployment:1")) == 2
    assert store.read("crn:deployment:2").empty
