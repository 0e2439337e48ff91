"""The lender of chapter 09: a year to learn from, a quiet one, and one in which nine things happen.

This lender grants every loan, as nobody does, so that each has a label and nothing is hidden by who
was refused. The model predicts who repays; it is right or wrong of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from utils.course.models import credit_model
from utils.datasets import credit, incidents
from utils.monitors.drift import drift
from utils.records import Incident

LEARNED_FROM = pd.Timestamp("2022-01-03", tz="UTC")
REFERENCE_FROM = pd.Timestamp("2023-01-02", tz="UTC")
CURRENT_FROM = pd.Timestamp("2024-01-01", tz="UTC")
"""Three Mondays; the year from each has 52 whole weeks."""

WEEK = pd.Timedelta(7, "D")
FEATURES = list(credit.FEATURES)

PSI_OF_FOLKLORE = 0.2
P_OF_FOLKLORE = 0.05
AZURE_DEFAULT = 0.1
"""Of the normalised Wasserstein distance of a number, and Jensen and Shannon's of a category."""


def loans(start: pd.Timestamp, *, per_day: float, seed: int, n_days: int = 364) -> pd.DataFrame:
    """Return loans asked for from a day on, all of them granted, with their outcomes.

    >>> len(loans(CURRENT_FROM, per_day=10, seed=1, n_days=7)) > 50
    True
    """
    asked = credit.applications(start=start, n_days=n_days, per_day=per_day, seed=seed)
    return credit.outcomes(asked, np.ones(len(asked), dtype=bool), seed=seed)


def trained(learned_from: pd.DataFrame) -> Pipeline:
    """Return the model of repayment, fitted on loans with their outcomes."""
    return credit_model().fit(learned_from[FEATURES], learned_from[credit.TARGET].astype("int64"))


def answered(asked: pd.DataFrame, model: Pipeline) -> pd.DataFrame:
    """Return loans as a store would, with what the model says of each and what it lost by that.

    ``prediction`` is 1 where the ``score``, the probability of repayment, is at least one half;
    ``loss`` is the squared error of the score (Brier's).

    >>> few = loans(CURRENT_FROM, per_day=20, seed=1, n_days=7)
    >>> answered(few, trained(few)).columns[-5:].tolist()
    ['score', 'prediction', 'label', 'label_known_at', 'loss']
    """
    score = model.predict_proba(asked[FEATURES])[:, 1].round(12)  # the last digits vary by machine
    label = asked[credit.TARGET].astype("int64")
    told = asked[["applied_at", *FEATURES]].rename(columns={"applied_at": "event_time"})
    return told.assign(
        score=score,
        prediction=(score >= 0.5).astype("int64"),
        label=label,
        label_known_at=asked["known_at"],
        loss=(score - label) ** 2,
    )


def happened(
    asked: pd.DataFrame, what: Sequence[Incident], *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return loans with incidents injected, and their ledger."""
    return incidents.inject(
        asked,
        what,
        rng=np.random.default_rng(seed),
        time_column="applied_at",
        relabel=credit.relabel,
    )


def during(frame: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Return the rows of ``start <= event_time < end``."""
    inside = (frame["event_time"] >= start) & (frame["event_time"] < end)
    return frame[inside].reset_index(drop=True)


def nine_incidents(*, strength: float = 1.0) -> list[Incident]:
    """Return what happens in the year from ``CURRENT_FROM``: nine incidents of three weeks each.

    Six are harmful and three are not. ``strength`` multiplies that of each.

    >>> [each.kind for each in nine_incidents()][:3]
    ['concept_drift_sudden', 'covariate_drift_harmless', 'unit_change']
    """
    branches = {"columns": ("channel",), "options": {"values": ("branch",)}}
    planned = (
        (3, "concept_drift_sudden", 0.5, {}),
        (9, "covariate_drift_harmless", 1.0, {}),
        (15, "unit_change", 0.3, {}),
        (20, "population_cut", 1.0, {}),
        (26, "concept_drift_gradual", 0.8, {}),
        (32, "covariate_drift_harmful", 1.0, {}),
        (37, "population_cut", 1.0, branches),
        (42, "missing_values", 0.3, {}),
        (47, "concept_drift_sudden", 0.4, {}),
    )
    return [
        replace(
            incidents.example(
                kind,
                "credit",
                start=CURRENT_FROM + first * WEEK,
                end=CURRENT_FROM + (first + 3) * WEEK,
                strength=usual * strength,
            ),
            **other,
        )
        for first, kind, usual, other in planned
    ]


def rules_of_thumb(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    window: str,
    start: pd.Timestamp,
    end: pd.Timestamp,
) -> dict[str, pd.DataFrame]:
    """Return what three customary rules say of the inputs and the score: measurements by rule.

    ``PSI > 0.2`` and ``p < 0.05`` (chi-squared, over the same bins) of some column; and Azure
    Machine Learning's defaults for data and prediction drift, 0.1 of the normalised Wasserstein
    distance of some number, or of Jensen and Shannon's of some category.

    **What it does not tell.** None of the three was set for these data; that is what is shown.

    >>> half = loans(REFERENCE_FROM, per_day=60, seed=1, n_days=84)
    >>> told = answered(half, trained(half))
    >>> rules = rules_of_thumb(told, told, window="7D", start=REFERENCE_FROM,
    ...                        end=REFERENCE_FROM + 12 * WEEK)
    >>> list(rules), {len(table) for table in rules.values()}
    (['PSI > 0.2', 'p < 0.05', 'Azure 0.1'], {120})
    """
    measured = drift(
        reference,
        current,
        rng=np.random.default_rng(0),
        window=window,
        features=[*FEATURES, "score"],
        metrics=["psi", "chi_squared_p_value", "normalized_wasserstein", "jensen_shannon"],
        draws=20,
        start=start,
        end=end,
    )
    metric, value = measured["metric"], measured["value"]
    is_category = measured["feature"].isin(credit.CATEGORICAL_FEATURES)
    of_azure = (metric == "normalized_wasserstein") | ((metric == "jensen_shannon") & is_category)
    return {
        "PSI > 0.2": measured[metric == "psi"].assign(alarm=value > PSI_OF_FOLKLORE),
        "p < 0.05": measured[metric == "chi_squared_p_value"].assign(alarm=value < P_OF_FOLKLORE),
        "Azure 0.1": measured[of_azure].assign(alarm=value > AZURE_DEFAULT),
    }
