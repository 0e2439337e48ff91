"""What each value of a column is, whatever type holds it."""

import numpy as np
import pandas as pd
import pytest

from tests.monitors.columns import COLUMNS
from utils.monitors.kinds import NAMES, coded, fits, kind_of, kinds, numbers

LETTERS = "-TWFMxo"


@pytest.mark.parametrize("name", COLUMNS)
def test_each_value_has_its_kind(name):
    column, expected = COLUMNS[name]
    assert "".join(LETTERS[kind] for kind in kinds(column)) == expected


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers_are_the_values_that_are_numbers(name):
    column, expected = COLUMNS[name]
    found = numbers(column)
    assert found.dtype == np.float64
    assert (~np.isnan(found)).tolist() == [letter in "WF" for letter in expected]


@pytest.mark.parametrize("name", COLUMNS)
def test_codes_tell_the_values_apart_and_mark_the_missing(name):
    column, expected = COLUMNS[name]
    codes, texts = coded(column)
    assert (codes == -1).tolist() == [letter == "-" for letter in expected]
    assert all(isinstance(text, str) for text in texts)
    there = [texts[code] for code in codes if code >= 0]
    assert len(set(there)) == len(there)


def test_the_numbers_are_those_of_the_column():
    assert numbers(pd.Series([1, 2], dtype="category")).tolist() == [1.0, 2.0]
    assert numbers(COLUMNS["decimal"][0])[:2].tolist() == [1.5, 2.0]
    assert numbers(COLUMNS["huge int"][0]).tolist() == [np.inf, -np.inf]
    assert numbers(COLUMNS["arrow decimal"][0])[0] == 1.5


def test_one_and_true_and_the_text_of_one_are_told_apart():
    codes, texts = coded(pd.Series([1, True, "x", 1.0], dtype="object"))
    assert codes.tolist() == [0, 1, 2, 0]
    assert texts.tolist() == ["1", "True", "x"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bool with a gap", "truth value"),
        ("int", "whole number"),
        ("float", "number"),
        ("str", "text"),
        ("mixed", "mixed"),
        ("lists", "else"),
        ("moments", "moment"),
        ("all missing", "missing"),
        ("empty", "missing"),
    ],
)
def test_a_column_has_the_kind_of_its_values(name, kind):
    assert kind_of(kinds(COLUMNS[name][0])) == kind


def test_a_whole_number_is_a_number_and_no_other_kind_is():
    every = np.arange(len(NAMES))
    assert [NAMES[kind] for kind in every[fits(every, "number")]] == [
        "missing",
        "whole number",
        "number",
    ]
    assert [NAMES[kind] for kind in every[fits(every, "whole number")]] == [
        "missing",
        "whole number",
    ]
    assert fits(every, "mixed").all()
