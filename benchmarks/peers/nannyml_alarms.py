"""nannyml's defaults on the benchmark's streams: ``python -m benchmarks.peers.nannyml_alarms
FOLDER SEED …`` in an environment of ``nannyml.txt``.

Windows are its weekly chunks. Thresholds are its own: three standard deviations of the reference's
chunks around their mean, and no category that the reference lacks. Drift is its default distance,
Jensen–Shannon, of every column; performance is estimated (CBPE) before labels, and calculated with
them. Of what is estimated or calculated it asks to be told: the area under the ROC curve, as in its
quick start, and the accuracy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.peers.exchange import Alarms, Family, Roles, judge

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

METRICS = ["roc_auc", "accuracy"]


def drift(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    import nannyml

    whole = [roles.prediction, roles.label]
    made = nannyml.UnivariateDriftCalculator(
        column_names=[*roles.features, roles.score, *whole],
        treat_as_categorical=whole,
        **_weekly(roles),
    ).fit(reference)

    def rules(frame: pd.DataFrame) -> Alarms:
        told = made.calculate(frame).filter(period="analysis").to_df()
        for labels, without in (("before", [roles.label]), ("after", [])):
            yield from named(labels, "nannyml: drift", alarms_by_week(told, without=without))

    return rules


def estimated(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    import nannyml

    made = nannyml.CBPE(metrics=METRICS, **_classes(roles), **_weekly(roles)).fit(reference)

    def rules(frame: pd.DataFrame) -> Alarms:
        told = made.estimate(frame.drop(columns=roles.label)).filter(period="analysis").to_df()
        yield from named("before", "nannyml: CBPE", alarms_by_week(told))

    return rules


def realised(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    import nannyml

    made = nannyml.PerformanceCalculator(metrics=METRICS, **_classes(roles), **_weekly(roles)).fit(
        reference
    )

    def rules(frame: pd.DataFrame) -> Alarms:
        told = made.calculate(frame).filter(period="analysis").to_df()
        yield from named("after", "nannyml: performance", alarms_by_week(told))

    return rules


def quality(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    import nannyml

    made = [
        nannyml.MissingValuesCalculator(column_names=roles.features, **_weekly(roles)),
        nannyml.UnseenValuesCalculator(column_names=roles.categories, **_weekly(roles)),
    ]
    for each in made:
        each.fit(reference)

    def rules(frame: pd.DataFrame) -> Alarms:
        found = [
            alarms_by_week(each.calculate(frame).filter(period="analysis").to_df()) for each in made
        ]
        either = {week: any(alarms[week] for alarms in found) for week in found[0]}
        yield from named("before", "nannyml: quality", either)

    return rules


def alarms_by_week(told: pd.DataFrame, *, without: list[str] | None = None) -> dict[str, bool]:
    """Return of each chunk of a result, by the date of its start, whether anything has an alert.

    The columns of a result have several levels: what it is of first, ``alert`` last.
    """
    alerts = [c for c in told.columns if c[-1] == "alert" and c[0] not in (without or [])]
    if not alerts:
        raise ValueError("told: has no alerts")
    starts = told[next(c for c in told.columns if c[-1] == "start_date")]
    alarm = told[alerts].fillna(False).astype(bool).any(axis=1)
    return {f"{start:%Y-%m-%d}": bool(each) for start, each in zip(starts, alarm, strict=True)}


def named(labels: str, rule: str, by_week: dict[str, bool]) -> Alarms:
    for week, alarm in by_week.items():
        yield labels, rule, week, alarm


def _weekly(roles: Roles) -> dict[str, str]:
    return {"timestamp_column_name": roles.time, "chunk_period": "W"}


def _classes(roles: Roles) -> dict[str, str]:
    return {
        "problem_type": "classification_binary",
        "y_pred_proba": roles.score,
        "y_pred": roles.prediction,
        "y_true": roles.label,
    }


FAMILIES: dict[str, Family] = {
    "nannyml, drift": drift,
    "nannyml, CBPE": estimated,
    "nannyml, performance": realised,
    "nannyml, quality": quality,
}

if __name__ == "__main__":
    judge(Path(sys.argv[1]), "nannyml", FAMILIES, seeds=map(int, sys.argv[2:]))
