"""Synthetic credit: applicants, short loans in instalments, and repayment by a declared mechanism.

Everything that is true of this world is written in this module, so that a monitor can be marked:

- **Applicants** come by day, with a week and a year in their number and their purposes.
- **Repayment** is a coin with the probability that ``repayment_probability`` returns: the sum of
  the ``effects`` below, on the log-odds scale. Nothing else decides it; in particular not sex,
  race, age, region or channel.
- **Sensitive attributes** act before that: the income, the tenure and the region of people differ
  by sex, race and age, as they do in Brazil. A model that never sees those attributes still
  approves the groups at different rates, for reasons that can be found.
- **Labels** come weeks late, defaults first: a default is known 15 days after the missed
  instalment, a repayment only when the last instalment is paid. The refused are never labelled.

The categories of race are those of the Brazilian census (IBGE), their shares by region near those
of the census of 2022. The other magnitudes are plausible, not measured. Money is in reais (R$).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from utils.datasets._checks import need_columns, need_share

NUMERIC_FEATURES = (
    "income_brl",
    "amount_brl",
    "term_months",
    "debt_share",
    "employment_years",
    "late_payments_12m",
)
CATEGORICAL_FEATURES = ("purpose", "channel", "region")
FEATURES = NUMERIC_FEATURES + CATEGORICAL_FEATURES
"""What a model may use. Numbers are ``float64``: a missing one does not change the type."""

SENSITIVE = ("sex", "race", "age_group")
"""What a model must not use, and what fairness is measured by. ``age_years`` neither."""

TARGET = "repaid"

UNITS = {
    "income_brl": "BRL a month",
    "amount_brl": "BRL",
    "term_months": "months",
    "debt_share": "share of the income",
    "employment_years": "years",
    "late_payments_12m": "payments in 12 months",
    "age_years": "years",
}
"""The unit of each number."""

TERMS_MONTHS = (1, 2, 3, 4, 6)
DAYS_A_MONTH = 30
GRACE_DAYS = 15
CLEARING_DAYS = 3
BURDEN_LIMIT = 0.35
"""Above this share of the income, debts and the new instalment together are hard to carry."""

PURPOSES = ("appliances", "debts", "health", "home", "school")
CHANNELS = ("app", "branch", "partner_store")
AGE_GROUPS = ("18-24", "25-39", "40-59", "60+")

_BASE_LOG_ODDS = 2.0
_PURPOSE_LOG_ODDS = {"appliances": 0.1, "debts": -0.6, "health": -0.1, "home": 0.2, "school": 0.2}
_DRIFT_LOG_ODDS = -2.0


def effects(applicants: pd.DataFrame) -> pd.DataFrame:
    """Return what each cause adds to the log-odds of repayment: one column a cause.

    - ``income``: +0.5 for each doubling of the income, from R$ 2,500;
    - ``burden``: −9 for each unit by which debts and instalment exceed 35 % of the income;
    - ``late_payments``: −0.55 for each late payment of the last twelve months, up to five;
    - ``employment``: +0.3 times the square root of the years in the job;
    - ``purpose``: a constant for each, lowest for paying other debts.

    Raises ``ValueError`` naming a column that is missing.

    >>> effects(applications(start="2024-03-04", n_days=1, per_day=9, seed=1)).columns.tolist()
    ['income', 'burden', 'late_payments', 'employment', 'purpose']
    """
    need_columns(applicants, [*NUMERIC_FEATURES, "purpose"], argument="applicants")
    over_limit = (burden(applicants) - BURDEN_LIMIT).clip(0, 1)
    return pd.DataFrame(
        {
            "income": 0.5 * np.log2(applicants["income_brl"] / 2500),
            "burden": -9.0 * over_limit,
            "late_payments": -0.55 * applicants["late_payments_12m"].clip(0, 5),
            "employment": 0.3 * np.sqrt(applicants["employment_years"]),
            "purpose": applicants["purpose"].map(_PURPOSE_LOG_ODDS).astype("float64"),
        }
    )


def burden(applicants: pd.DataFrame) -> pd.Series:
    """Return the share of the income that goes to debts and the new instalment together.

    >>> burden(pd.DataFrame({"income_brl": [2000.0], "amount_brl": [1200.0],
    ...                      "term_months": [3.0], "debt_share": [0.1]})).round(2).tolist()
    [0.3]
    """
    instalment_brl = applicants["amount_brl"] / applicants["term_months"]
    return applicants["debt_share"] + instalment_brl / applicants["income_brl"]


def repayment_probability(applicants: pd.DataFrame) -> pd.Series:
    """Return the true probability that each applicant would repay, in 0..1.

    No lender knows it. It is the same on every day: what seasons change is who applies.

    Raises ``ValueError`` naming a column that is missing.

    >>> one = applications(start="2024-03-04", n_days=1, per_day=9, seed=1).head(1)
    >>> safer = one.assign(income_brl=2 * one["income_brl"])
    >>> bool((repayment_probability(safer) > repayment_probability(one)).all())
    True
    """
    log_odds = _BASE_LOG_ODDS + effects(applicants).sum(axis=1, skipna=False)
    return _logistic(log_odds).rename("repayment_probability")


def stream(
    *, start: Any, n_days: int, per_day: float, seed: int, batch_rows: int
) -> Iterator[pd.DataFrame]:
    """Yield the rows of ``applications`` in batches, holding a batch and a day at a time.

    The rows do not depend on ``batch_rows``; every batch but the last has exactly that many.

    Raises as ``applications`` does, and ``ValueError`` for a batch of less than one row.

    >>> days = dict(start="2024-03-04", n_days=3, per_day=50, seed=1)
    >>> batches = list(stream(**days, batch_rows=40))
    >>> pd.concat(batches, ignore_index=True).equals(applications(**days))
    True
    """
    if batch_rows < 1:
        raise ValueError(f"batch_rows={batch_rows!r}: a batch has at least one row")
    days = _days(start, n_days)
    _check_volume(per_day)
    return _batches((_day(day, per_day=per_day, seed=seed) for day in days), batch_rows)


def applications(*, start: Any, n_days: int, per_day: float, seed: int) -> pd.DataFrame:
    """Return who applied on each of ``n_days`` days (UTC) from ``start``, in order of time.

    Each day is drawn from its own seed, made of ``seed`` and the date. So a day has the same rows
    whichever days are asked for around it. ``per_day`` is the mean of an ordinary weekday in an
    ordinary month; the week and the year modulate it.

    ``application_id`` reads as date and number in the day. The columns are ``applied_at``, those
    of ``FEATURES`` and ``SENSITIVE``, and ``age_years``. Labels come with ``outcomes``.

    Raises ``ValueError`` for a start that is no day, no days, or a volume that is not positive.

    >>> frame = applications(start="2024-03-04", n_days=2, per_day=100, seed=1)
    >>> frame["application_id"].iloc[0]
    np.int64(20240304000000)
    """
    days = _days(start, n_days)
    _check_volume(per_day)
    return pd.concat([_day(day, per_day=per_day, seed=seed) for day in days], ignore_index=True)


def decide(frame: pd.DataFrame, probability: Any, *, threshold: float) -> pd.Series:
    """Return the lender's decisions: True where the loan is granted.

    The policy: the estimated ``probability`` of repayment (one per row, from your model) reaches
    ``threshold``, and the instalment takes at most half of the income, whatever the model says.

    Raises ``ValueError`` for a threshold outside 0..1 or another number of probabilities.

    >>> frame = applications(start="2024-03-04", n_days=1, per_day=100, seed=1)
    >>> approved = decide(frame, repayment_probability(frame), threshold=0.8)
    >>> bool(repayment_probability(frame)[approved].min() >= 0.8)
    True
    """
    need_columns(frame, ["amount_brl", "term_months", "income_brl"])
    need_share(threshold, argument="threshold")
    estimates = np.asarray(probability, dtype="float64")
    if estimates.shape != (len(frame),):
        raise ValueError(
            f"probability: its shape is {estimates.shape}; one value for each of "
            f"{len(frame)} rows is needed"
        )
    instalment_brl = frame["amount_brl"] / frame["term_months"]
    affordable = instalment_brl <= 0.5 * frame["income_brl"]
    return (affordable & (estimates >= threshold)).rename("approved")


def outcomes(frame: pd.DataFrame, approved: pd.Series, *, seed: int) -> pd.DataFrame:
    """Return the frame with ``approved``, and ``repaid`` and ``known_at`` where money was lent.

    ``repaid`` is 1 or 0 (``Int64``) and missing for the refused, whose ``known_at`` is missing too:
    nobody learns what they would have done. A borrower's luck is drawn from ``seed`` and
    ``application_id`` alone, so a more generous policy leaves the fate of the others as it was.

    ``known_at``: a missed instalment, each as likely as the others, is due 30 days a month after
    ``applied_at`` and called a default 15 days later. A repayment is known when the last
    instalment clears, up to 3 days after it is due.

    Raises ``ValueError`` if ``approved`` is not one boolean per row.

    >>> frame = applications(start="2024-03-04", n_days=1, per_day=100, seed=1)
    >>> lent = outcomes(frame, frame["amount_brl"] < 1000, seed=1)
    >>> bool(lent["repaid"].notna().equals(lent["approved"]))
    True
    """
    need_columns(frame, ["application_id", "applied_at"])
    granted = np.asarray(approved)
    if granted.dtype != bool or granted.shape != (len(frame),):
        raise ValueError(
            f"approved: {granted.dtype} of shape {granted.shape}; one boolean for each of "
            f"{len(frame)} rows is needed"
        )
    luck = _luck(frame["application_id"], seed=seed)
    repaid = luck[:, 0] < repayment_probability(frame)
    known_at = _known_at(frame, repaid=repaid, luck=luck[:, 1])
    return frame.assign(
        approved=granted,
        repaid=repaid.astype("Int64").where(granted),
        known_at=known_at.where(granted),
    )


def relabel(frame: pd.DataFrame, *, strength: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return the labels of the same borrowers in a harder world.

    The mechanism of a changed concept: at strength 1 the log-odds of repayment of everybody are
    lower by 2. Who repaid with probability p and would now with p' < p, now defaults with
    probability 1 − p'/p, so that the new labels have exactly the new mechanism. Inputs stay, the
    refused stay unlabelled. ``strength`` has one value in 0..1 per row.

    Returns ``repaid`` and ``known_at``.

    >>> frame = applications(start="2024-03-04", n_days=1, per_day=500, seed=1)
    >>> lent = outcomes(frame, frame["amount_brl"] > 0, seed=1)
    >>> harder = relabel(lent, strength=np.ones(len(lent)), rng=np.random.default_rng(0))
    >>> bool(harder["repaid"].mean() < lent["repaid"].mean())
    True
    """
    need_columns(frame, [TARGET, "known_at", "applied_at"])
    before = repayment_probability(frame)
    after = _logistic(_log_odds(before) + _DRIFT_LOG_ODDS * np.asarray(strength))
    luck = rng.random((len(frame), 2))
    defaults = frame[TARGET].eq(1).fillna(False).astype(bool) & (luck[:, 0] >= after / before)
    newly_known = _known_at(frame, repaid=~defaults, luck=luck[:, 1])
    return pd.DataFrame(
        {
            TARGET: frame[TARGET].mask(defaults, 0),
            "known_at": frame["known_at"].mask(defaults, newly_known),
        }
    )


# The applicants ---------------------------------------------------------------------------------

REGIONS = ("Norte", "Nordeste", "Sudeste", "Sul", "Centro-Oeste")
_REGION_SHARES = (0.085, 0.27, 0.42, 0.145, 0.08)
_REGION_INCOME = (0.85, 0.75, 1.10, 1.10, 1.10)

RACES = ("branca", "parda", "preta", "amarela", "indígena")
_RACE_SHARES_BY_REGION = (
    (0.207, 0.672, 0.088, 0.002, 0.031),
    (0.267, 0.596, 0.130, 0.001, 0.006),
    (0.499, 0.387, 0.106, 0.007, 0.001),
    (0.726, 0.217, 0.050, 0.004, 0.003),
    (0.370, 0.524, 0.091, 0.004, 0.011),
)
_RACE_INCOME = (1.20, 0.80, 0.78, 1.25, 0.75)

SEXES = ("female", "male")
_SEX_SHARES = (0.52, 0.48)
_SEX_INCOME = (0.82, 1.05)
_SEX_TENURE = (0.80, 1.00)

# Weekday from Monday, month from January.
_VOLUME_BY_WEEKDAY = (1.15, 1.05, 1.00, 1.00, 1.05, 0.60, 0.35)
_VOLUME_BY_MONTH = (1.10, 1.00, 0.95, 0.95, 1.00, 0.95, 0.95, 1.00, 0.95, 1.00, 1.20, 1.25)
_VOLUME_BY_HOUR_UTC = (2, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 2, 4,
                       6, 7, 7, 6, 6, 7, 7, 7, 6, 5, 4, 3)  # fmt: skip
_CHANNELS_ON_WEEKDAYS = (0.50, 0.30, 0.20)
_CHANNELS_AT_WEEKENDS = (0.70, 0.00, 0.30)
_PURPOSES_IN_ORDINARY_MONTHS = (0.26, 0.28, 0.16, 0.22, 0.08)
_PURPOSES_IN_MONTH = {
    1: (0.14, 0.38, 0.12, 0.10, 0.26),
    2: (0.16, 0.36, 0.13, 0.13, 0.22),
    11: (0.46, 0.20, 0.12, 0.17, 0.05),
    12: (0.48, 0.18, 0.11, 0.18, 0.05),
}
_AMOUNT_IN_INCOMES = (0.45, 0.65, 0.45, 0.75, 0.35)


def _day(day: pd.Timestamp, *, per_day: float, seed: int) -> pd.DataFrame:
    """Return the applications of one day, drawn from a seed of its own."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(day.toordinal(), 0)))
    volume = _VOLUME_BY_WEEKDAY[day.weekday()] * _VOLUME_BY_MONTH[day.month - 1]
    n = rng.poisson(per_day * volume)
    hour_shares = np.array(_VOLUME_BY_HOUR_UTC) / sum(_VOLUME_BY_HOUR_UTC)
    hours = np.sort(_draw(hour_shares, n, rng) + rng.random(n))
    people = _people(n, rng)
    number = np.arange(n)
    return pd.DataFrame(
        {
            "application_id": int(f"{day:%Y%m%d}") * 1_000_000 + number,
            "applied_at": day + pd.to_timedelta((hours * 3.6e9).astype("int64"), unit="us"),
            **_requests(people, day, rng),
            "region": _named(REGIONS, people["region"]),
            "sex": _named(SEXES, people["sex"]),
            "race": _named(RACES, people["race"]),
            "age_years": people["age_years"],
            "age_group": _named(AGE_GROUPS, people["age_group"]),
        }
    )


def _people(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return who applies: region, race given the region, sex, age; then tenure and income."""
    region = _draw(_REGION_SHARES, n, rng)
    race = _draw(np.array(_RACE_SHARES_BY_REGION)[region], n, rng)
    sex = _draw(_SEX_SHARES, n, rng)
    age_years = np.floor(18 + 62 * rng.beta(1.5, 2.8, n))
    working_years = age_years - 16
    employment_years = working_years * rng.beta(0.9, 3.5, n) * np.array(_SEX_TENURE)[sex]
    income_brl = (
        2300
        * np.array(_REGION_INCOME)[region]
        * np.array(_RACE_INCOME)[race]
        * np.array(_SEX_INCOME)[sex]
        * (1 + 0.015 * np.minimum(working_years, 30))
        * np.exp(0.5 * rng.standard_normal(n))
    )
    return {
        "region": region,
        "race": race,
        "sex": sex,
        "age_years": age_years,
        "age_group": np.searchsorted((25, 40, 60), age_years, side="right"),
        "employment_years": employment_years.round(1),
        "income_brl": np.maximum(income_brl, 600).round(-1),
    }


def _requests(
    people: dict[str, np.ndarray], day: pd.Timestamp, rng: np.random.Generator
) -> dict[str, Any]:
    """Return what they ask for, and what the credit bureau says of them."""
    income_brl = people["income_brl"]
    n = len(income_brl)
    purpose = _draw(_PURPOSES_IN_MONTH.get(day.month, _PURPOSES_IN_ORDINARY_MONTHS), n, rng)
    weekend = day.weekday() >= 5
    channel = _draw(_CHANNELS_AT_WEEKENDS if weekend else _CHANNELS_ON_WEEKDAYS, n, rng)
    wanted = np.array(_AMOUNT_IN_INCOMES)[purpose] * np.exp(0.6 * rng.standard_normal(n))
    amount_brl = np.clip(wanted * income_brl, 150, 15_000).round(-1)
    # A term is chosen so that the instalment takes about a sixth of the income.
    months_wanted = amount_brl / income_brl * 6 * np.exp(0.35 * rng.standard_normal(n))
    term = np.minimum(np.searchsorted(TERMS_MONTHS, months_wanted), len(TERMS_MONTHS) - 1)
    debt_share = 0.75 * rng.beta(1.4, 3.6, n)
    late_payments = rng.poisson(0.2 + 2.2 * debt_share * np.sqrt(2000 / income_brl))
    return {
        "income_brl": income_brl,
        "amount_brl": amount_brl,
        "term_months": np.array(TERMS_MONTHS, dtype="float64")[term],
        "debt_share": debt_share.round(3),
        "employment_years": people["employment_years"],
        "late_payments_12m": late_payments.astype("float64"),
        "purpose": _named(PURPOSES, purpose),
        "channel": _named(CHANNELS, channel),
    }


# Chance and time --------------------------------------------------------------------------------


def _luck(application_id: pd.Series, *, seed: int) -> np.ndarray:
    """Return two uniforms for each application, which depend on its id and ``seed`` alone."""
    dates, number = np.divmod(application_id.to_numpy(), 1_000_000)
    luck = np.empty((len(dates), 2))
    for date in np.unique(dates):
        of_date = dates == date
        day = pd.Timestamp(str(date)).toordinal()
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(day, 1)))
        luck[of_date] = rng.random((number[of_date].max() + 1, 2))[number[of_date]]
    return luck


def _known_at(frame: pd.DataFrame, *, repaid: pd.Series, luck: np.ndarray) -> pd.Series:
    """Return when the lender learns; ``luck`` picks the instalment missed, or the clearing time."""
    missed = np.floor(frame["term_months"] * luck) + 1
    default_days = missed * DAYS_A_MONTH + GRACE_DAYS
    repaid_days = frame["term_months"] * DAYS_A_MONTH + CLEARING_DAYS * luck
    days = repaid_days.where(repaid, default_days)
    return frame["applied_at"] + pd.to_timedelta((days * 86_400).round(), unit="s").dt.as_unit("us")


def _draw(shares: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``n`` category numbers drawn by ``shares``: one row of them for all, or one each."""
    steps = np.cumsum(np.atleast_2d(shares), axis=1)[:, :-1]
    return (rng.random((n, 1)) >= steps).sum(axis=1)


def _named(names: tuple[str, ...], codes: np.ndarray) -> pd.Series:
    return pd.Series(np.array(names, dtype=object)[codes], dtype="str")


def _logistic(log_odds: pd.Series) -> pd.Series:
    return 1 / (1 + np.exp(-log_odds))


def _log_odds(probability: pd.Series) -> pd.Series:
    return np.log(probability / (1 - probability))


def _days(start: Any, n_days: int) -> pd.DatetimeIndex:
    first = pd.Timestamp(start)
    first = first.tz_localize("UTC") if first.tzinfo is None else first.tz_convert("UTC")
    if first != first.normalize():
        raise ValueError(f"start={start!r}: a day begins at midnight UTC")
    if n_days < 1:
        raise ValueError(f"n_days={n_days!r}: at least one day")
    return pd.date_range(first, periods=n_days, freq="D", unit="us")


def _check_volume(per_day: float) -> None:
    if not 0 < per_day <= 100_000:
        raise ValueError(f"per_day={per_day!r}: more than 0 and at most 100,000 a day")


def _batches(days: Iterator[pd.DataFrame], batch_rows: int) -> Iterator[pd.DataFrame]:
    held = pd.DataFrame()
    for day in days:
        held = pd.concat([held, day], ignore_index=True) if len(held) else day
        whole = len(held) // batch_rows * batch_rows
        for at in range(0, whole, batch_rows):
            yield held[at : at + batch_rows].reset_index(drop=True)
        held = held[whole:]
    if len(held):
        yield held.reset_index(drop=True)
