"""Columns of every type that people's data come in, for the monitors' tests."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa


def arrow(values, of):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, type=of)))


DAYS = pd.to_datetime(["2024-01-01", "2024-01-02", None], utc=True)

COLUMNS = {
    # name: (the column, the kind of each value)
    "bool": (pd.Series([True, False]), "TT"),
    "bool with a gap": (pd.Series([True, None, False], dtype="object"), "T-T"),
    "nullable bool": (pd.Series([True, None], dtype="boolean"), "T-"),
    "int": (pd.Series([1, -2]), "WW"),
    "small unsigned int": (pd.Series([1, 255], dtype="uint8"), "WW"),
    "nullable int": (pd.Series([1, None], dtype="Int64"), "W-"),
    "float": (pd.Series([1.0, 2.5, np.nan, np.inf]), "WF-F"),
    "nullable float": (pd.Series([1.0, 2.5, None], dtype="Float64"), "WF-"),
    "huge int": (pd.Series([10**400, -(10**400)], dtype="object"), "FF"),
    "decimal": (pd.Series([Decimal("1.50"), Decimal(2), None], dtype="object"), "FW-"),
    "str": (pd.Series(["a", "12", None], dtype="str"), "xx-"),
    "text of object": (pd.Series(["a", None], dtype="object"), "x-"),
    "mixed": (pd.Series([1, 2.5, "a", True, None, date(2024, 1, 1)], dtype="object"), "WFxT-M"),
    "lists": (pd.Series([[1], [2, 3], None], dtype="object"), "oo-"),
    "bytes": (pd.Series([b"a", None], dtype="object"), "o-"),
    "categories": (pd.Series(["a", None, "b"], dtype="category"), "x-x"),
    "categories of numbers": (pd.Series([1, 2, None], dtype="category"), "WW-"),
    "moments": (pd.Series(DAYS), "MM-"),
    "moments without a zone": (pd.Series(DAYS.tz_localize(None)), "MM-"),
    "lengths of time": (pd.Series(pd.to_timedelta(["1h", None])), "o-"),
    "periods": (pd.Series(pd.period_range("2024", periods=2, freq="M")), "oo"),
    "complex": (pd.Series([1j, 2.0]), "oo"),
    "all missing": (pd.Series([None, None], dtype="object"), "--"),
    "all NaN": (pd.Series([np.nan, np.nan]), "--"),
    "empty": (pd.Series([], dtype="float64"), ""),
    "empty object": (pd.Series([], dtype="object"), ""),
    "arrow string": (arrow(["a", None], pa.string()), "x-"),
    "arrow int": (arrow([1, None], pa.int32()), "W-"),
    "arrow double": (arrow([1.5, None, 2.0], pa.float64()), "F-W"),
    "arrow bool": (arrow([True, None], pa.bool_()), "T-"),
    "arrow decimal": (arrow([Decimal("1.50"), None], pa.decimal128(5, 2)), "F-"),
    "arrow dictionary": (arrow(["a", None], pa.dictionary(pa.int32(), pa.string())), "x-"),
    "arrow timestamp": (arrow([DAYS[0], None], pa.timestamp("us", "UTC")), "M-"),
    "arrow date": (arrow([date(2024, 1, 1), None], pa.date32()), "M-"),
    "arrow list": (arrow([[1], None], pa.list_(pa.int64())), "o-"),
    "arrow null": (arrow([None, None], pa.null()), "--"),
}


def repeated(name, n):
    """Return a column of n rows that holds the values of one of ``COLUMNS`` in turn."""
    column = COLUMNS[name][0]
    if not len(column):
        return column.reindex(range(n))
    return column.iloc[np.arange(n) % len(column)].reset_index(drop=True)
