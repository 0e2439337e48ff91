"""evidently's defaults on the benchmark's streams: ``python -m benchmarks.peers.evidently_alarms
FOLDER SEED …`` in an environment of ``evidently.txt``.

Drift is as in its ``DataDriftPreset``: the method and threshold of each column are of its choice,
and a data set drifts where half of the columns do. Asked for the count of drifted columns alone it
says the same as the preset, without drawing the preset's pictures. With labels there are also the
tests that it makes by itself of the metrics of its ``ClassificationPreset``: each must lie within a
fifth of its value in the reference.

A column without any value makes its drift end in an error. Somebody reads that, so such a week
counts as alarmed.

Not here: the tests that it makes of its ``DataSummaryPreset``. They ask of a week as many rows as
the reference has, within a tenth, and so fail in every week.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks.peers.exchange import Alarms, Family, Roles, judge, weeks

os.environ["DO_NOT_TRACK"] = "1"

HALF = 0.5


def drift(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    from evidently import Report
    from evidently.metrics import DriftedColumnsCount

    before = [*roles.features, roles.score, roles.prediction]
    report = Report([DriftedColumnsCount(columns=each) for each in (before, [roles.label])])
    told = _teller(report, reference, roles)

    def rules(frame: pd.DataFrame) -> Alarms:
        for week, rows in weeks(frame, roles.time):
            if rows[before].isna().all().any():
                counts = len(before), 0
            else:
                counts = drifted(told(rows))
            yield from drift_alarms(week, *counts, n_before=len(before))

    return rules


def drifted(told: dict) -> tuple[int, int]:
    """Return how many columns drifted of those that are there before labels, and of the label."""
    inputs, label = (int(metric["value"]["count"]) for metric in told["metrics"])
    return inputs, label


def drift_alarms(week: str, inputs: int, label: int, *, n_before: int) -> Alarms:
    for labels, n, of in (("before", inputs, n_before), ("after", inputs + label, n_before + 1)):
        yield labels, "evidently: half of the columns", week, n >= HALF * of
        yield labels, "evidently: any column", week, n > 0


def performance(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    from evidently import Report
    from evidently import metrics as of

    each = (of.Accuracy, of.Precision, of.Recall, of.F1Score, of.RocAuc, of.LogLoss)
    each += (of.TPR, of.TNR, of.FPR, of.FNR)
    report = Report([metric() for metric in each], include_tests=True)
    told = _teller(report, reference, roles)

    def rules(frame: pd.DataFrame) -> Alarms:
        for week, rows in weeks(frame, roles.time):
            yield "after", "evidently: performance", week, some_test_fails(told(rows))

    return rules


def some_test_fails(told: dict) -> bool:
    """Return whether a test of a report does not succeed.

    >>> some_test_fails({"tests": [{"status": "SUCCESS"}, {"status": "FAIL"}]})
    True
    """
    states = {str(getattr(test["status"], "value", test["status"])) for test in told["tests"]}
    if not states:
        raise ValueError("tests: the report made none")
    return states != {"SUCCESS"}


def _teller(report, reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], dict]:
    """Return what says of some rows what the report tells of them beside the reference."""
    from evidently import BinaryClassification, DataDefinition, Dataset

    definition = DataDefinition(
        numerical_columns=[*roles.numbers, roles.score],
        categorical_columns=[*roles.categories, roles.prediction, roles.label],
        classification=[
            BinaryClassification(
                target=roles.label,
                prediction_labels=roles.prediction,
                prediction_probas=roles.score,
                pos_label=1,
            )
        ],
    )

    def dataset(frame: pd.DataFrame):
        return Dataset.from_pandas(frame.drop(columns=roles.time), data_definition=definition)

    of_reference = dataset(reference)
    return lambda rows: report.run(dataset(rows), of_reference).dict()


FAMILIES: dict[str, Family] = {"evidently, drift": drift, "evidently, performance": performance}

if __name__ == "__main__":
    judge(Path(sys.argv[1]), "evidently", FAMILIES, seeds=map(int, sys.argv[2:]))
