"""One column at a time: its times, its kind, what is wrong in it."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from utils.report import columns
from utils.report.sources import Unusable
from utils.text import using

NOON = pd.Timestamp("2013-07-31T12:00Z")


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["2013-07-31T12:00:00Z"], None),
        (["2013-07-31T09:00:00-03:00"], None),
        (["2013-07-31 12:00"], "T: times without a zone are read as UTC"),
        (["2013-07-31T12:00:00.000000"], "T: times without a zone are read as UTC"),
        ([1375272000], "T: numbers are read as seconds since 1970, in UTC"),
        ([1375272000.0], "T: numbers are read as seconds since 1970, in UTC"),
        ([1375272000 * 10**3], "T: numbers are read as milliseconds since 1970, in UTC"),
        ([1375272000 * 10**6], "T: numbers are read as microseconds since 1970, in UTC"),
        ([1375272000 * 10**9], "T: numbers are read as nanoseconds since 1970, in UTC"),
        (pd.to_datetime(["2013-07-31T12:00"]), "T: times without a zone are read as UTC"),
        (pd.to_datetime(["2013-07-31T08:00-04:00"]), None),
        (pd.to_datetime(["2013-07-31T12:00Z"]).tz_convert("America/Sao_Paulo"), None),
    ],
)
def test_times_of_every_form_are_one_moment(values, note):
    with using("en"):
        times, said = columns.moments(pd.Series(values), what="T")
    assert times.tolist() == [NOON]
    assert str(times.dtype) == "datetime64[us, UTC]"
    assert said == note


def test_two_zones_in_one_column_are_one_clock():
    text = pd.Series(
        ["2013-07-31T09:00:00-03:00", "2013-07-31T12:00:00Z", "2013-07-31T14:00+02:00"]
    )
    times, note = columns.moments(text, what="T")
    assert times.tolist() == [NOON] * 3
    assert note is None


def test_a_day_is_its_midnight_in_utc():
    times, note = columns.moments(pd.Series(["2013-07-31"]), what="T")
    assert times.tolist() == [NOON.normalize()]
    assert note is not None


@pytest.mark.parametrize(
    ("values", "en", "pt"),
    [
        (
            ["2013-07-31", "31/07/2013"],
            "T: row 2: '31/07/2013' is no ISO 8601 time, such as 2013-07-31T20:00:00Z",
            "T: linha 2: '31/07/2013' não é um momento ISO 8601, como 2013-07-31T20:00:00Z",
        ),
        (["2013-07-31", None], "T: row 2: has no time", "T: linha 2: falta o momento"),
        ([1375272000, 20130731], "T: row 2: 20130731 is no time;", "T: linha 2: 20130731 não é"),
        ([2013], "T: row 1: 2013 is no time; write it as 2013-07-31T20:00:00Z", "T: linha 1: 2013"),
        ([1375272000, 1375272000000], "T: row 2: 1375272000000 is no time", "T: linha 2:"),
        ([True], "T: row 1: 1 is no time", "T: linha 1: 1 não é um momento"),
    ],
)
def test_the_first_row_that_is_no_time_is_named(values, en, pt):
    for language, message in (("en", en), ("pt", pt)):
        with using(language), pytest.raises(Unusable) as refused:
            columns.moments(pd.Series(values), what="T")
        assert str(refused.value).startswith(message)


def test_a_row_is_called_by_its_index_so_that_sorting_does_not_rename_it():
    column = pd.Series(["2013-07-31", "soon"], index=[7, 3])
    with using("en"), pytest.raises(Unusable, match="^T: row 4: 'soon'"):
        columns.moments(column, what="T")


def test_a_time_may_be_missing_where_it_is_not_required():
    times, _ = columns.moments(pd.Series(["2013-07-31", None]), what="K", required=False)
    assert times.isna().tolist() == [False, True]
    nothing, _ = columns.moments(pd.Series([np.nan, np.nan]), what="K", required=False)
    assert nothing.isna().all()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        ([1.5, None], "number"),
        ([None, None], "number"),
        (pd.array([1, None], dtype="Int64"), "number"),
        ([True, False], "boolean"),
        ([True, None], "boolean"),
        (pd.array([True, None], dtype="boolean"), "boolean"),
        (["a", "b"], "category"),
        (pd.Categorical(["a", "b"]), "category"),
        (pd.Categorical([1, 2]), "category"),
        (["1"] * 99 + ["?"], "number"),
        (["1"] * 9 + ["a"], "category"),
        (["01", "02"], "category"),
        (["2013-07-31", "2013-08-01T10:00Z"], "moment"),
        ([date(2013, 7, 31)], "other"),
        (pd.to_datetime(["2013-07-31"]), "moment"),
        ([[1], [2]], "other"),
        ([{"a": 1}], "other"),
        ([b"x"], "other"),
        (pd.to_timedelta(["1h"]), "other"),
        ([1 + 2j], "other"),
        ([1, "a", 2.5], "category"),
    ],
)
def test_the_kind_of_a_column_is_that_of_what_it_holds(values, kind):
    assert columns.kind_of(pd.Series(values)) == kind


def test_what_is_no_number_is_counted_and_its_first_row_named():
    with using("en"):
        values, notes = columns.numbers(pd.Series(["1", "x", "3", "y", "inf"]), what="price")
    assert values.isna().tolist() == [False, True, False, True, True]
    assert notes == ["price: row 2: 'x' is no number; 3 (60%) are none, and count as missing"]
    assert columns.numbers(pd.Series([1, None]), what="price")[1] == []


def test_truth_is_read_in_any_spelling():
    read = columns.booleans(pd.Series(["TRUE", "false", 1, 0.0, "yes", None]))
    assert read.fillna(False).tolist() == [True, False, True, False, False, False]
    assert read.isna().tolist() == [False, False, False, False, True, True]


@pytest.mark.parametrize(
    ("values", "kind", "is_id"),
    [
        ([f"u{i}" for i in range(200)], "category", True),
        ([f"u{i % 90}" for i in range(200)], "category", False),
        (np.arange(200) + 10**6, "number", True),
        (np.arange(200.0), "number", True),
        (np.arange(200)[::-1], "number", True),
        (np.arange(200) ** 3, "number", True),
        (np.random.default_rng(0).permutation(np.arange(200) ** 3), "number", False),
        (np.random.default_rng(0).normal(size=200), "number", False),
        (np.arange(50), "number", False),
    ],
)
def test_what_names_its_rows_is_no_feature(values, kind, is_id):
    assert columns.is_identifier(pd.Series(values), kind) is is_id


@pytest.mark.parametrize(
    ("name", "en", "pt"),
    [
        ("scor", "did you mean 'score'?", "você quis dizer 'score'?"),
        ("SCORE", "did you mean 'score'?", "você quis dizer 'score'?"),
        ("x", "there are: score, label", "as que há: score, label"),
    ],
)
def test_the_nearest_name_is_named_else_all(name, en, pt):
    for language, message in (("en", en), ("pt", pt)):
        with using(language):
            assert columns.meant(name, ["score", "label"]) == message
