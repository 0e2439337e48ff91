"""What a model takes and what it answers, read from its MLflow signature.

One set of rules (``rules``) for the two ways in. Values that come as JSON are looked at one by
one; a column of a DataFrame whose dtype is already the right one is looked at as a whole, and is
looked at one by one only where that does not settle it. Both ways accept the same rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, TensorSpec
from mlflow.types.schema import Schema as MlflowSchema

from utils.records import Column, Kind, Schema, VigiaError
from utils.serving.rules import (
    SCALARS,
    Broken,
    Check,
    check_of,
    item_of_tensor,
    kind_of,
    shown,
    tensor_kind,
)

TENSOR_COLUMN = "inputs"
"""The one column of a model whose signature is a single unnamed tensor of other than two axes."""


class Unsigned(VigiaError):
    """The model's signature does not say what goes in."""


class Refused(VigiaError):
    """A request that the endpoint does not take: an HTTP status, a code, and why, for a person."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message


def bad_request(message: str) -> Refused:
    """Return the refusal of a request whose content breaks a rule, with MLflow's code for it.

    >>> bad_request("column 'hour' is missing").error_code
    'BAD_REQUEST'
    """
    return Refused(400, "BAD_REQUEST", message)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Valid rows of one request, by column: lists of plain values, or arrays of the right dtype.

    An optional column that the request does not have is not there.
    """

    count: int
    columns: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One column that a model takes: its kind, and the rule for its values."""

    name: str
    kind: Kind
    required: bool
    check: Check

    def values(self, given: Iterable[Any], *, first_row: int = 0) -> list[Any]:
        """Return given values, each checked; the refusal names the column, the row and the rule.

        Rows are counted from ``first_row`` on.
        """
        given = list(given)
        try:
            return [self.check(value) for value in given]
        except Broken:
            return [self._checked(row, value) for row, value in enumerate(given, first_row)]

    def _checked(self, row: int, value: Any) -> Any:
        try:
            return self.check(value)
        except Broken as broken:
            raise bad_request(f"column {shown(self.name)}, row {row}: {broken}") from None

    def column(self, series: pd.Series, *, first_row: int = 0) -> Sequence[Any]:
        """Return a column of a DataFrame, checked: as a whole where its dtype allows."""
        whole = self.whole(series)
        return self.values(plain_values(series), first_row=first_row) if whole is None else whole

    def whole(self, series: pd.Series) -> Sequence[Any] | None:
        """Return a column checked as a whole; ``None`` where only its values one by one tell."""
        return _WHOLE.get(self.kind, _never)(series)

    def array(self, values: Sequence[Any]) -> Any:
        """Return checked values as the model's column."""
        dtype = _DTYPES[self.kind]
        if not isinstance(values, list):
            return values
        if dtype == "str":
            return pd.array(values, dtype="str")
        if dtype == "object":
            return pd.Series(values, dtype="object").array
        return np.array(values, dtype=dtype)

    def stored(self, values: Sequence[Any]) -> list[Any]:
        """Return checked values as the store takes them: times in UTC, missing is ``None``."""
        if self.kind == "datetime":
            whole = pd.Series(values, dtype="datetime64[us]").dt.tz_localize("UTC")
            return plain_values(whole)
        return values if isinstance(values, list) else plain_values(pd.Series(values))

    def restored(self, column: pd.Series) -> list[Any]:
        """Return a column that the store gives back as it was before ``stored``."""
        values = plain_values(column)
        if self.kind == "datetime":
            return [value and value.to_pydatetime().replace(tzinfo=None) for value in values]
        return values


_DTYPES: Mapping[Kind, str] = {
    "double": "float64",
    "float": "float32",
    "long": "int64",
    "integer": "int32",
    "boolean": "bool",
    "string": "str",
    "datetime": "datetime64[ns]",
    "binary": "object",
    "json": "object",
}


def plain_values(series: pd.Series) -> list[Any]:
    """Return a column as JSON would carry it: missing is ``None``, NumPy scalars are Python's.

    >>> plain_values(pd.Series([1.5, float("nan")])), plain_values(pd.Series(["a", None]))
    ([1.5, None], ['a', None])
    """
    missing = series.isna().to_numpy()
    values = series.tolist()
    if missing.any():
        values = [None if none else value for value, none in zip(values, missing, strict=True)]
    if series.dtype != "object":
        return values
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _whole_floats(dtype: str) -> Callable[[pd.Series], np.ndarray | None]:
    def whole(series: pd.Series) -> np.ndarray | None:
        if not isinstance(series.dtype, np.dtype) or series.dtype.kind not in "fiu":
            return None
        with np.errstate(over="ignore"):
            values = series.to_numpy().astype(dtype)
        return None if np.isinf(values).any() else values

    return whole


def _whole_integers(dtype: str) -> Callable[[pd.Series], np.ndarray | None]:
    limits = np.iinfo(dtype)

    def whole(series: pd.Series) -> np.ndarray | None:
        if not isinstance(series.dtype, np.dtype) or series.dtype.kind not in "iu":
            return None
        values = series.to_numpy()
        if len(values) and not limits.min <= values.min() <= values.max() <= limits.max:
            return None
        return values.astype(dtype)

    return whole


def _whole_booleans(series: pd.Series) -> np.ndarray | None:
    return series.to_numpy(copy=True) if series.dtype == np.dtype("bool") else None


def _whole_texts(series: pd.Series) -> Any:
    if series.dtype != "str" or series.dtype.storage != "pyarrow":
        return None
    # Arrow keeps valid UTF-8 only, so no surrogates; a NUL is all that can be wrong.
    if pc.any(pc.match_substring(pa.array(series), "\0")).as_py():
        return None
    return series.array.copy()


def _whole_times(series: pd.Series) -> np.ndarray | None:
    if series.dtype.kind != "M" or not isinstance(series.dtype, np.dtype):
        return None
    if len(series.dropna()) and not (
        pd.Timestamp.min <= series.min() and series.max() <= pd.Timestamp.max
    ):
        return None
    return series.to_numpy().astype("datetime64[ns]")


def _never(series: pd.Series) -> None:
    return None


_WHOLE: Mapping[Kind, Callable[[pd.Series], Any]] = {
    "double": _whole_floats("float64"),
    "float": _whole_floats("float32"),
    "long": _whole_integers("int64"),
    "integer": _whole_integers("int32"),
    "boolean": _whole_booleans,
    "string": _whole_texts,
    "datetime": _whole_times,
}
"""By kind: a column of a DataFrame in the model's dtype, or ``None``: it must be looked at."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a model takes and answers; made from its signature by ``contract_of``.

    ``positional`` says that the signature names no column: the order alone counts then.
    """

    signature: ModelSignature
    fields: tuple[Field, ...]
    output: Field
    positional: bool = False
    params: Mapping[str, ParamSpec] = field(default_factory=dict)
    tensors: tuple[TensorSpec, ...] = ()

    @cached_property
    def schema(self) -> Schema:
        """The contract as the store knows it."""
        return Schema(
            columns=tuple(
                Column(name=each.name, kind=each.kind, required=each.required)
                for each in self.fields
            ),
            output=self.output.kind,
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the signature's order."""
        return tuple(each.name for each in self.fields)

    def stands_in_for(self, other: Contract) -> bool:
        """Return whether a model that promises this can answer whatever is asked under the other.

        It takes the same columns, in the same order, and answers in the same form. A column that
        must be there under the other one may be missing here, and not the other way round: MLflow
        infers from examples what may be missing, so a model that learned from more knows of more.

        >>> from mlflow.models import infer_signature
        >>> whole = contract_of(infer_signature(pd.DataFrame({"age": [41.5]}), np.array([1.0])))
        >>> gaps = contract_of(infer_signature(pd.DataFrame({"age": [None, 4.0]}), np.array([1.0])))
        >>> gaps.stands_in_for(whole), whole.stands_in_for(gaps)
        (True, False)
        """
        own, theirs = self.signature, other.signature
        specs, others = own.inputs.inputs, theirs.inputs.inputs
        return (
            len(specs) == len(others)
            and all(map(_takes, specs, others))
            and self.params == other.params
            and self.output.kind == other.output.kind
            and (self.output.kind != "json" or own.outputs == theirs.outputs)
        )

    def rows(self, given: Mapping[Any, Sequence[Any]], count: int) -> Rows:
        """Return rows given by column as JSON values (lists of ``count``), checked.

        >>> from utils.serving.example import TenMinutesWonBack
        >>> contract = TenMinutesWonBack.contract
        >>> contract.rows({"departure_delay_min": [20], "carrier": ["UA"]}, 1).columns
        {'departure_delay_min': [20.0], 'carrier': ['UA']}
        >>> contract.rows({"departure_delay_min": ["20"], "carrier": ["UA"]}, 1)
        Traceback (most recent call last):
        utils.serving.contract.Refused: column 'departure_delay_min', row 0: must be a number, \
not the text '20'
        """
        return self._checked(self._named(given), count, Field.values)

    def rows_of(self, frame: pd.DataFrame, *, first_row: int = 0) -> Rows:
        """Return the rows of a DataFrame, checked; its index says nothing here.

        ``first_row`` is how a refusal calls the first of them, where they are a part of more.

        >>> from utils.serving.example import FLIGHTS, TenMinutesWonBack
        >>> TenMinutesWonBack.contract.rows_of(FLIGHTS).count
        2
        """
        if not isinstance(frame, pd.DataFrame):
            raise bad_request(f"the rows must be a DataFrame, not a {type(frame).__name__}")
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise bad_request(f"column {shown(twice)} is there twice")
        given = self._named({name: frame[name] for name in frame.columns})
        return self._checked(given, len(frame), partial(Field.column, first_row=first_row))

    def _named(self, given: Mapping[Any, Any]) -> Mapping[str, Any]:
        """Return the columns under the signature's names: by position where it has none."""
        if not self.positional:
            return given
        if len(given) != len(self.fields):
            raise bad_request(
                f"the model takes {len(self.fields)} columns by position, not {len(given)}"
            )
        return dict(zip(self.names, given.values(), strict=True))

    def _checked(self, given: Mapping[str, Any], count: int, check: Callable) -> Rows:
        unknown = [name for name in given if name not in self._known]
        missing = [each.name for each in self.fields if each.required and each.name not in given]
        if missing:
            raise bad_request(f"column {missing[0]!r} is missing; the model needs it")
        if unknown:
            raise bad_request(self._unknown(unknown[0]))
        if not count:
            raise bad_request("there is no row to predict")
        columns = {
            each.name: check(each, given[each.name]) for each in self.fields if each.name in given
        }
        return Rows(count=count, columns=columns)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    def _unknown(self, name: Any) -> str:
        nearest = difflib.get_close_matches(str(name)[:100], self.names, n=1)
        meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
        return f"column {shown(name)} is not in the model's signature{meant}"

    def frame(self, batch: Sequence[Rows]) -> pd.DataFrame:
        """Return the rows of several requests, which have the same columns, as one DataFrame.

        >>> from utils.serving.example import FLIGHTS, TenMinutesWonBack
        >>> contract = TenMinutesWonBack.contract
        >>> contract.frame([contract.rows_of(FLIGHTS), contract.rows_of(FLIGHTS)]).shape
        (4, 2)
        """
        present = batch[0].columns
        columns = {
            each.name: each.array(_joined([rows.columns[each.name] for rows in batch]))
            for each in self.fields
            if each.name in present
        }
        return pd.DataFrame(columns)

    def parameters(self, given: Any) -> dict[str, Any]:
        """Return the parameters of a request with the signature's defaults filled in.

        >>> from utils.serving.example import TenMinutesWonBack
        >>> TenMinutesWonBack.contract.parameters(None)
        {}
        """
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            raise bad_request(f"params: must be an object, not {shown(given)}")
        for name in given:
            if name not in self.params:
                declared = ", ".join(self.params) or "none"
                raise bad_request(
                    f"params: {shown(name)} is not in the model's signature (it has {declared})"
                )
        return {
            name: self._parameter(spec, given[name]) if name in given else spec.default
            for name, spec in self.params.items()
        }

    def _parameter(self, spec: ParamSpec, value: Any) -> Any:
        try:
            SCALARS["json"](value)
            return ParamSpec.validate_param_spec(value, spec)
        except (MlflowException, Broken) as error:
            raise bad_request(f"params: {spec.name!r}: {error}") from error


def _takes(spec: ColSpec | TensorSpec, other: ColSpec | TensorSpec) -> bool:
    """Return whether an input takes all that another one does."""
    if isinstance(spec, ColSpec) and not spec.required:
        spec = ColSpec(spec.type, spec.name, required=other.required)
    return spec == other


def _joined(parts: Sequence[Sequence[Any]]) -> Sequence[Any]:
    return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))


def contract_of(signature: ModelSignature | None) -> Contract:
    """Return what a signature promises.

    Columns keep their names; columns and two-axis tensors without names are called "0", "1", …
    by position; any other tensor is one JSON column.

    Raises ``Unsigned`` for a model without a signature: nothing could be checked or stored.

    >>> from mlflow.models import infer_signature
    >>> contract = contract_of(infer_signature(pd.DataFrame({"age": [41.5]}), np.array([1.0])))
    >>> contract.schema.names, contract.schema.output
    (('age',), 'double')
    """
    if signature is None or signature.inputs is None:
        raise Unsigned(
            "the model has no signature, so its inputs can be neither checked nor stored: log it "
            "with signature=mlflow.models.infer_signature(inputs, predictions)"
        )
    inputs = signature.inputs
    fields, positional = (
        _fields_of_tensors(inputs) if inputs.is_tensor_spec() else _fields_of_columns(inputs)
    )
    return Contract(
        signature=signature,
        fields=fields,
        output=_output(signature.outputs),
        positional=positional,
        params=_params(signature.params),
        tensors=tuple(inputs.inputs) if inputs.is_tensor_spec() else (),
    )


def _params(schema: ParamSchema | None) -> dict[str, ParamSpec]:
    return {} if schema is None else {spec.name: spec for spec in schema.params}


def _fields_of_columns(inputs: MlflowSchema) -> tuple[tuple[Field, ...], bool]:
    fields = tuple(
        Field(
            name=str(at) if spec.name is None else spec.name,
            kind=kind_of(spec.type),
            required=spec.required,
            check=check_of(spec.type, required=spec.required),
        )
        for at, spec in enumerate(inputs.inputs)
    )
    return fields, not inputs.has_input_names()


def _fields_of_tensors(inputs: MlflowSchema) -> tuple[tuple[Field, ...], bool]:
    first = inputs.inputs[0]
    if not inputs.has_input_names() and len(first.shape) == 2 and first.shape[1] > 0:
        check = item_of_tensor(first.type, ())
        return tuple(
            Field(name=str(at), kind=tensor_kind(first.type), required=True, check=check)
            for at in range(first.shape[1])
        ), True
    fields = tuple(
        Field(
            name=spec.name or TENSOR_COLUMN,
            kind="json" if len(spec.shape) > 1 else tensor_kind(spec.type),
            required=True,
            check=item_of_tensor(spec.type, spec.shape[1:]),
        )
        for spec in inputs.inputs
    )
    return fields, not inputs.has_input_names()


def _output(outputs: MlflowSchema | None) -> Field:
    """Return the rule of a prediction: the kind of its one value a row, else ``"json"``."""
    kind = "json"
    if outputs is not None and len(outputs.inputs) == 1:
        (spec,) = outputs.inputs
        if not isinstance(spec, TensorSpec):
            kind = kind_of(spec.type)
        elif len(spec.shape) == 1 or (len(spec.shape) == 2 and spec.shape[1] == 1):
            kind = tensor_kind(spec.type)
    return Field(name="prediction", kind=kind, required=True, check=SCALARS[kind])
