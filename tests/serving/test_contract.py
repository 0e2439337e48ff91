"""What a signature promises, and the two ways in: JSON values and columns of a DataFrame."""

import math
from datetime import datetime

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, TensorSpec
from mlflow.types import Schema as MlflowSchema

from utils.records import Column
from utils.serving.contract import Refused, Unsigned, contract_of, plain_values


def contract(*columns, outputs=None):
    specs = [ColSpec(kind, name=name) for name, kind in columns]
    return contract_of(ModelSignature(inputs=MlflowSchema(specs), outputs=outputs))


def one(kind):
    return contract(("x", kind))


def outcome(check):
    """Return the rows of one column as plain values, or the text of the refusal."""
    try:
        (values,) = check().columns.values()
    except Refused as refused:
        return refused.message
    return plain_values(pd.Series(values))


FLOATS = st.floats(width=64) | st.sampled_from([math.inf, -math.inf, math.nan, 3.5e38, 2.0**63])
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**31 - 1, 2**31, -(2**31)])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["", "a\0", "São"])
TIMES = st.datetimes(datetime(1600, 1, 1), datetime(2300, 1, 1))
COLUMNS = st.one_of(
    st.lists(FLOATS, min_size=1, max_size=5).map(lambda v: pd.Series(v, dtype="float64")),
    st.lists(st.floats(width=32), min_size=1, max_size=5).map(
        lambda v: pd.Series(v, dtype="float32")
    ),
    st.lists(INTEGERS, min_size=1, max_size=5).map(lambda v: pd.Series(v, dtype="int64")),
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5).map(
        lambda v: pd.Series(v, dtype="uint64")
    ),
    st.lists(st.none() | INTEGERS, min_size=1, max_size=5).map(
        lambda v: pd.Series(v, dtype="Int64")
    ),
    st.lists(st.booleans(), min_size=1, max_size=5).map(lambda v: pd.Series(v, dtype="bool")),
    st.lists(st.none() | TEXTS, min_size=1, max_size=5).map(lambda v: pd.Series(v, dtype="str")),
    st.lists(TEXTS, min_size=1, max_size=5).map(lambda v: pd.Series(v, dtype="category")),
    st.lists(st.none() | TIMES, min_size=1, max_size=5).map(
        lambda v: pd.Series(v, dtype="datetime64[us]")
    ),
    st.lists(
        st.none() | FLOATS | INTEGERS | TEXTS | st.booleans() | TIMES, min_size=1, max_size=5
    ).map(lambda v: pd.Series(v, dtype="object")),
)
KINDS = [kind for kind in DataType.all_types() if kind != DataType.binary]


@given(kind=st.sampled_from(KINDS), column=COLUMNS)
def test_a_column_is_taken_whole_just_when_each_of_its_values_is(kind, column):
    whole = outcome(lambda: one(kind).rows_of(pd.DataFrame({"x": column})))
    each = outcome(lambda: one(kind).rows({"x": plain_values(column)}, len(column)))
    assert whole == each


@pytest.mark.parametrize(
    ("kind", "values", "dtype"),
    [
        (DataType.double, [1.5, None, 2], "float64"),
        (DataType.float, [0.1, None], "float32"),
        (DataType.long, [1, 2**62], "int64"),
        (DataType.integer, [1, 2.0], "int32"),
        (DataType.boolean, [True, False], "bool"),
        (DataType.string, ["a", None], "str"),
        (DataType.datetime, ["2013-07-04", None], "datetime64[ns]"),
        (DataType.binary, ["aGk="], "object"),
    ],
)
def test_a_model_gets_the_dtype_that_its_signature_names(kind, values, dtype):
    rows = one(kind).rows({"x": values}, len(values))
    assert one(kind).frame([rows])["x"].dtype == dtype


def test_rows_of_several_requests_become_one_frame_in_their_order():
    both = contract(("x", DataType.double), ("name", DataType.string))
    first = both.rows({"name": ["a", None], "x": [1, 2]}, 2)
    second = both.rows_of(pd.DataFrame({"x": [3.0], "name": ["c"]}))
    expected = pd.DataFrame({"x": [1.0, 2.0, 3.0], "name": ["a", None, "c"]})
    pd.testing.assert_frame_equal(both.frame([first, second]), expected)


def test_a_model_that_changes_its_input_does_not_change_what_is_stored():
    rows = one(DataType.double).rows_of(pd.DataFrame({"x": [1.0, 2.0]}))
    frame = one(DataType.double).frame([rows])
    frame.loc[:, "x"] = 0.0
    assert list(rows.columns["x"]) == [1.0, 2.0]


def test_a_stored_value_is_what_the_model_was_given():
    rows = one(DataType.float).rows({"x": [0.1]}, 1)
    assert rows.columns["x"] == [float(np.float32(0.1))]


@pytest.mark.parametrize("name", ["A", "a ", 'a"; DROP TABLE b', "ção", "x" * 200, "label", "é"])
def test_a_column_may_have_any_name(name):
    named = contract((name, DataType.double), ("a", DataType.double))
    rows = named.rows({"a": [1], name: [2]}, 1)
    assert named.schema.names == (name, "a")
    assert list(rows.columns) == [name, "a"]


def test_without_names_columns_count_by_position():
    specs = MlflowSchema([ColSpec(DataType.double), ColSpec(DataType.string)])
    unnamed = contract_of(ModelSignature(inputs=specs))
    assert unnamed.schema.columns == (
        Column(name="0", kind="double"),
        Column(name="1", kind="string"),
    )
    assert unnamed.rows_of(pd.DataFrame({"b": [1.0], "a": ["x"]})).columns.keys() == {"0", "1"}
    with pytest.raises(Refused, match="takes 2 columns by position, not 3"):
        unnamed.rows_of(pd.DataFrame([[1.0, "x", 2.0]]))


def tensors(*specs):
    return contract_of(ModelSignature(inputs=MlflowSchema([TensorSpec(*spec) for spec in specs])))


def test_a_matrix_is_a_column_for_each_of_its_columns():
    matrix = tensors((np.dtype("float32"), (-1, 3)))
    assert [(each.name, each.kind) for each in matrix.schema.columns] == [
        ("0", "float"),
        ("1", "float"),
        ("2", "float"),
    ]


def test_another_tensor_is_one_json_column_of_its_shape():
    image = tensors((np.dtype("uint8"), (-1, 2, 2)))
    assert image.schema.columns == (Column(name="inputs", kind="json"),)
    assert image.rows({"inputs": [[[0, 255], [1, 2]]]}, 1).count == 1
    for wrong, message in (
        ([[0, 255]], "must be a list of 2, not of 1"),
        ([[0, 256], [1, 2]], r"\[0\] \[1\] must be from 0 to 255, not 256"),
        ([[0, 1.5], [1, 2]], r"\[0\] \[1\] must be a whole number, not 1.5"),
        ([0, 1], r"\[0\] must be a list"),
    ):
        with pytest.raises(Refused, match=message):
            image.rows({"inputs": [wrong]}, 1)


def test_named_tensors_keep_their_names():
    named = tensors((np.dtype("int32"), (-1, 2), "ids"), (np.dtype("float64"), (-1,), "weight"))
    assert named.schema.columns == (
        Column(name="ids", kind="json"),
        Column(name="weight", kind="double"),
    )


@pytest.mark.parametrize(
    ("predictions", "kind"),
    [
        (np.array([1.5]), "double"),
        (np.array([[1.5]]), "double"),
        (np.array([1]), "long"),
        (np.array([True]), "boolean"),
        (np.array(["late"]), "string"),
        (pd.Series(["late"]), "string"),
        (pd.DataFrame({"delay": [1.5]}), "double"),
        (pd.DataFrame({"low": [1.5], "high": [2.5]}), "json"),
        (np.array([[0.4, 0.6]]), "json"),
        (None, "json"),
    ],
)
def test_the_kind_of_a_prediction_is_read_from_the_signature(predictions, kind):
    outputs = None if predictions is None else infer_signature([1], predictions).outputs
    assert contract(("x", DataType.double), outputs=outputs).schema.output == kind


@pytest.mark.parametrize(
    "signature", [None, ModelSignature(outputs=MlflowSchema([ColSpec(DataType.double)]))]
)
def test_a_model_without_a_signature_is_refused(signature):
    with pytest.raises(Unsigned, match="no signature.*infer_signature"):
        contract_of(signature)


def test_twice_the_same_column_is_refused():
    twice = pd.DataFrame([[1.0, 2.0]], columns=["x", "x"])
    with pytest.raises(Refused, match="column 'x' is there twice"):
        one(DataType.double).rows_of(twice)


def test_what_is_no_frame_is_refused():
    with pytest.raises(Refused, match="must be a DataFrame, not a dict"):
        one(DataType.double).rows_of({"x": [1]})


def test_parameters_are_filled_in_and_checked(logged):
    info = mlflow.types.ParamSchema(
        [
            mlflow.types.ParamSpec("share", DataType.double, 0.5),
            mlflow.types.ParamSpec("sizes", DataType.long, [1], shape=(-1,)),
        ]
    )
    signature = ModelSignature(inputs=MlflowSchema([ColSpec(DataType.double, "x")]), params=info)
    with_params = contract_of(signature)
    assert with_params.parameters(None) == {"share": 0.5, "sizes": [1]}
    assert with_params.parameters({"share": 1})["share"] == 1.0
    for wrong, message in (
        ({"shares": 1}, "params: 'shares' is not in the model's signature .it has share, sizes"),
        ({"share": "half"}, "params: 'share': "),
        ({"share": math.nan}, "params: 'share': must be a finite number"),
        ({"sizes": 1}, "params: 'sizes': "),
        ([1], "params: must be an object"),
    ):
        with pytest.raises(Refused, match=message):
            with_params.parameters(wrong)


# Which contract stands in for which

NAMED = MlflowSchema([ColSpec("double", "x"), ColSpec("string", "y")])
ANSWER = MlflowSchema([TensorSpec(np.dtype("float64"), (-1,))])


def promised(inputs=NAMED, outputs=ANSWER, params=None):
    return contract_of(ModelSignature(inputs=inputs, outputs=outputs, params=params))


def columns_of(*specs):
    return promised(MlflowSchema([ColSpec(kind, name, **more) for kind, name, more in specs]))


X, Y = ("double", "x", {}), ("string", "y", {})
OPTIONAL_X = ("double", "x", {"required": False})


@pytest.mark.parametrize(
    ("new", "stands_in"),
    [
        (promised(), True),
        (columns_of(OPTIONAL_X, Y), True),
        (columns_of(Y, X), False),
        (columns_of(X), False),
        (columns_of(X, Y, ("double", "z", {"required": False})), False),
        (columns_of(X, ("double", "y", {})), False),
        (columns_of(X, ("string", "Y", {})), False),
        (columns_of(("float", "x", {}), Y), False),
        (promised(outputs=MlflowSchema([ColSpec("double")])), True),
        (promised(outputs=MlflowSchema([ColSpec("string")])), False),
        (promised(outputs=None), False),
        (
            promised(params=mlflow.types.ParamSchema([mlflow.types.ParamSpec("p", "double", 1.0)])),
            False,
        ),
    ],
)
def test_a_contract_stands_in_for_another_where_it_takes_all_and_answers_alike(new, stands_in):
    assert new.stands_in_for(promised()) is stands_in


def test_what_may_be_missing_for_the_served_model_must_be_so_for_the_next():
    served = columns_of(OPTIONAL_X, Y)
    assert not promised().stands_in_for(served)
    assert served.stands_in_for(served)


def test_tensors_stand_in_for_equal_ones_alone():
    def tensor(*shape, dtype="float64"):
        return promised(MlflowSchema([TensorSpec(np.dtype(dtype), shape)]))

    assert tensor(-1, 3).stands_in_for(tensor(-1, 3))
    assert not tensor(-1, 4).stands_in_for(tensor(-1, 3))
    assert not tensor(-1, 3, dtype="float32").stands_in_for(tensor(-1, 3))
    assert not tensor(-1, 2).stands_in_for(columns_of(X, Y))


def test_answers_of_several_columns_stand_in_for_the_very_same():
    two, other = (
        MlflowSchema([ColSpec("double", "low"), ColSpec("double", name)]) for name in ("high", "up")
    )
    assert promised(outputs=two).stands_in_for(promised(outputs=two))
    assert not promised(outputs=other).stands_in_for(promised(outputs=two))
