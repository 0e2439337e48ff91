"""What chapter 01 collects: the book, the cars and the flights, the contract, and its incidents."""

import numpy as np
import pandas as pd
import pytest

from utils.course import life
from utils.datasets import cars, credit, flights
from utils.datasets.files import content_hash, describe, read
from utils.datasets.incidents import inject
from utils.monitors.contract import ContractBroken, need, violations
from utils.monitors.odcs import from_yaml

LAST_DAYS = pd.Timedelta("28D")
CONTRACT = life.credit_contract()


@pytest.fixture(scope="module")
def book():
    return life.credit_book(n_days=120)


def spoiled(book, name, *, seed=1):
    """Return the last four weeks of a book under one incident, and its ledger."""
    end = book["applied_at"].max().ceil("D")
    incident = life.upstream_incidents(end - LAST_DAYS, end)[name]
    rng = np.random.default_rng(seed)
    changed, ledger = inject(book, [incident], rng=rng, time_column="applied_at")
    return changed[changed["applied_at"] >= end - LAST_DAYS], ledger


# ------------------------------------------------------------------------------- the parameters


def test_fewer_days_are_the_beginning_of_the_longer_book(book):
    shorter = life.credit_book(n_days=30)
    pd.testing.assert_frame_equal(book.head(len(shorter)), shorter)
    assert len(book) > len(shorter)
    assert shorter["applied_at"].max() < life.BOOK_START + pd.Timedelta("30D")


def test_another_seed_changes_the_book_and_neither_cars_nor_flights(tmp_path, book):
    other = life.credit_book(n_days=120, seed=7)
    assert content_hash(other) != content_hash(book)
    assert list(other.columns) == list(book.columns)
    assert (other.dtypes == book.dtypes).all()
    assert life.collect_cars(tmp_path / "a").digest == life.collect_cars(tmp_path / "b").digest


def test_the_same_seed_and_days_give_the_same_hash(tmp_path):
    one = life.collect_credit(tmp_path / "one", n_days=20)
    two = life.collect_credit(tmp_path / "two", n_days=20)
    assert one.content_hash == two.content_hash
    assert life.collect_credit(tmp_path / "three", n_days=20, seed=5).digest != one.digest
    assert life.collect_credit(tmp_path / "four", n_days=21).digest != one.digest


# ---------------------------------------------------------------------------------- what is kept


def test_what_is_collected_is_read_back_with_its_units_and_its_contract(tmp_path):
    written = life.collect_credit(tmp_path, n_days=20)
    assert describe(written.path) == written
    assert written.units == credit.UNITS
    assert written.source == "utils.datasets.credit, seed 2024"
    pd.testing.assert_frame_equal(read(written.path), life.credit_book(n_days=20))
    text = (tmp_path / "credit.contract.yaml").read_text(encoding="utf-8")
    assert from_yaml(text) == CONTRACT


def test_cars_and_flights_are_collected_whole_with_their_units(tmp_path):
    made = life.collect_cars(tmp_path), life.collect_flights(tmp_path)
    for written, data, rows in zip(made, (cars, flights), (406, 336_776), strict=True):
        assert (written.rows, written.units) == (rows, data.UNITS)
    pd.testing.assert_frame_equal(read(made[0].path), cars.load())


@pytest.mark.parametrize("data", [cars, flights], ids=lambda data: data.__name__)
def test_every_number_has_its_unit(data):
    frame = data.load().select_dtypes("number")
    without = {"car_id", "flight_id", "model_year", "flight_number"}
    assert set(data.UNITS) == set(frame.columns) - without


def test_every_number_of_the_book_has_its_unit(book):
    numbers = set(book.select_dtypes("number").columns) - {"application_id", credit.TARGET}
    assert set(credit.UNITS) == numbers


# ------------------------------------------------------------------------------------ the contract


@pytest.mark.parametrize("seed", [2024, 7, 99])
def test_the_book_keeps_its_contract_whole_and_week_by_week(seed):
    book = life.credit_book(seed=seed)
    need(book, CONTRACT)
    weeks = (book["applied_at"] - life.BOOK_START) // pd.Timedelta("7D")
    for _, week in book.groupby(weeks):
        need(week, CONTRACT)


def test_the_contract_names_every_column_and_its_unit(book):
    assert CONTRACT.names == tuple(book.columns)
    assert CONTRACT.status == "active"
    units = {field.name: field.unit for field in CONTRACT.fields if field.unit}
    assert units == credit.UNITS


def test_a_book_that_breaks_its_contract_is_not_written(tmp_path, monkeypatch):
    make = life.credit_book
    monkeypatch.setattr(
        life, "credit_book", lambda **given: make(**given).assign(income_brl=250_000.0)
    )
    with pytest.raises(ContractBroken, match=r"income_brl: range: promised 100 <= each <= 100000"):
        life.collect_credit(tmp_path, n_days=5)
    assert list(tmp_path.iterdir()) == []


def test_the_contract_of_the_inputs_holds_for_traffic():
    inputs = CONTRACT.only(credit.FEATURES)
    traffic = credit.applications(start="2024-03-01", n_days=7, per_day=100, seed=3)
    need(traffic[list(credit.FEATURES)], inputs)


# ------------------------------------------------------------------------------------ the incidents


FOUND = {
    "income_in_centavos": {("income_brl", "range"), ("income_brl", "typical")},
    "income_a_year": {("income_brl", "range"), ("income_brl", "typical")},
    "income_a_fortnight": set(),
    "bureau_silent": {("debt_share", "completeness"), ("late_payments_12m", "completeness")},
    "bureau_stuck": {("debt_share", "commonest"), ("late_payments_12m", "commonest")},
    "purpose_unheard_of": {("purpose", "domain")},
    "sent_twice": {("application_id", "key")},
}


@pytest.mark.parametrize("name", FOUND)
def test_the_contract_names_what_an_incident_did(book, name):
    weeks, _ = spoiled(book, name)
    table = violations(weeks, CONTRACT)
    found = set(table[["feature", "check"]].itertuples(index=False, name=None))
    # a value that is stuck may lie where the median does not
    assert FOUND[name] <= found <= FOUND[name] | {("debt_share", "typical")}
    assert (name == "bureau_stuck") or found == FOUND[name]


def test_all_incidents_are_those_tried():
    start, end = pd.Timestamp("2023-01-01", tz="UTC"), pd.Timestamp("2023-02-01", tz="UTC")
    made = life.upstream_incidents(start, end)
    assert set(made) == set(FOUND)
    assert {(incident.start, incident.end) for incident in made.values()} == {(start, end)}


def test_the_ledger_says_which_of_them_does_harm(book):
    harmful = {name: bool(spoiled(book, name)[1]["harmful"].item()) for name in FOUND}
    assert [name for name, harm in harmful.items() if not harm] == ["sent_twice"]


def test_few_rows_are_impossible_where_all_are_wrong(book):
    weeks, _ = spoiled(book, "income_a_year")
    by_check = violations(weeks, CONTRACT).set_index("check")
    assert by_check.loc["range", "share"] < 0.05
    assert by_check.loc["typical", "n"] == len(weeks)


def test_what_the_contract_does_not_see_is_there(book):
    weeks, _ = spoiled(book, "income_a_fortnight")
    before = book.loc[book["applied_at"] >= weeks["applied_at"].min(), "income_brl"]
    halved = weeks["channel"].eq("partner_store").to_numpy()
    ratio = weeks["income_brl"].to_numpy() / before.to_numpy()
    assert (ratio[halved] == 0.5).all() and (ratio[~halved] == 1).all()
    assert halved.mean() > 0.15
