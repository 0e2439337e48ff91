"""Incidents made to come before service: what they do to a model's metrics, one at a time."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score

from utils.datasets import credit
from utils.datasets.incidents import example, inject
from utils.monitors.contract import DataContract, Field
from utils.records import Incident
from utils.serving.robustness import COLUMNS, robustness

START = pd.Timestamp("2024-03-04", tz="UTC")
END = START + pd.Timedelta(days=7)


class Oracle:
    """A model that knows how credit works, and answers yes from even odds on."""

    schema = SimpleNamespace(names=credit.FEATURES)

    def predict(self, frame):
        assert tuple(frame.columns) == credit.FEATURES
        score = credit.repayment_probability(frame.fillna({"debt_share": 0.2})).fillna(0.5)
        return (score >= 0.5).astype("int64").to_numpy(), score.to_numpy()


class Waits:
    """A regression that gives back its only input."""

    schema = SimpleNamespace(names=("planned_min",))

    def predict(self, frame):
        return frame["planned_min"].to_numpy(), None


@pytest.fixture(scope="module")
def loans():
    applied = credit.applications(start=START, n_days=10, per_day=80, seed=3)
    lent = credit.outcomes(applied, np.ones(len(applied), dtype=bool), seed=3)
    return lent.drop(columns=[*credit.SENSITIVE, "age_years"])


def of(kind, *columns, start=START, end=END, strength=1.0, **options):
    return Incident(
        kind=kind, columns=columns, start=start, end=end, strength=strength, options=options
    )


def measured(loans, incidents, **settings):
    settings = {
        "metrics": ["roc_auc", "log_loss"],
        "rng": np.random.default_rng(5),
        "time_column": "applied_at",
        "label_column": "repaid",
        "draws": 200,
    } | settings
    return robustness(Oracle(), loans, incidents, **settings)


def test_clean_and_broken_are_the_metrics_of_the_window(loans):
    incident = of("unit_change", "income_brl", factor=12.0)
    table = measured(loans, {"a_year": incident}).set_index("metric")
    broken, _ = inject(loans, [incident], rng=np.random.default_rng(0), time_column="applied_at")
    for side, frame in (("clean", loans), ("broken", broken)):
        rows = frame[(frame["applied_at"] >= START) & (frame["applied_at"] < END)]
        scores = Oracle().predict(rows[list(credit.FEATURES)])[1]
        label = rows["repaid"].astype(int)
        assert table.loc["roc_auc", side] == pytest.approx(roc_auc_score(label, scores))
        assert table.loc["log_loss", side] == pytest.approx(log_loss(label, scores))
    np.testing.assert_allclose(table["change"], table["broken"] - table["clean"])
    assert tuple(table.reset_index()[list(COLUMNS)].columns) == COLUMNS


def test_harm_is_told_from_chance(loans):
    incidents = {
        "a_year": of("unit_change", "income_brl", factor=12.0),
        "twice": of("duplicates", strength=0.1),
    }
    table = measured(loans, incidents, metrics=["log_loss"]).set_index("incident")
    assert table.loc["a_year", "harmful"] and table.loc["a_year", "low"] > 0
    assert not table.loc["twice", "harmful"]
    assert table.loc["twice", "low"] <= 0 <= table.loc["twice", "high"]


def test_the_same_days_on_both_sides_make_the_change_surer_than_either(loans):
    """Incomes that are all 2 % higher: a small change, and nearly known."""
    slight = of("unit_change", "income_brl", factor=1.02)
    row = measured(loans, {"slight": slight}, metrics=["log_loss"]).iloc[0]
    assert 0 < row["high"] - row["low"] < 0.02
    assert row["low"] < row["change"] < row["high"]


def test_what_does_not_reach_the_model_changes_nothing_for_sure(loans):
    table = measured(loans, {"later": of("label_delay_grows", "known_at")})
    assert (table[["change", "low", "high"]] == 0).all().all()
    assert (table["touched"] > 0.9).all() and not table["harmful"].any()


@pytest.mark.parametrize(
    ("incident", "touched"),
    [
        (of("unit_change", "income_brl", factor=12.0), 1.0),
        (of("unit_change", "income_brl", factor=12.0, where={"channel": "app"}), "app"),
        (of("population_cut", "region", values=("Sudeste",)), "Sudeste"),
        (of("duplicates"), 1.0),
        (of("unit_change", "income_brl", factor=12.0, strength=0.0), 0.0),
    ],
)
def test_touched_are_the_rows_that_changed_went_or_came(loans, incident, touched):
    inside = loans[(loans["applied_at"] >= START) & (loans["applied_at"] < END)]
    if isinstance(touched, str):
        touched = (inside[["channel", "region"]] == touched).any(axis=1).mean()
    row = measured(loans, {"it": incident}).iloc[0]
    assert row["touched"] == pytest.approx(touched)
    assert row["n_clean"] == len(inside)


def test_missing_values_touch_the_rows_that_had_one_and_no_others(loans):
    half = of("missing_values", "debt_share", strength=0.5)
    once = measured(loans, {"half": half}).iloc[0]
    assert 0.4 < once["touched"] < 0.6
    gone = loans.assign(debt_share=np.nan)
    assert measured(gone, {"half": half}).iloc[0]["touched"] == 0


def test_concept_drift_has_the_labels_of_the_other_world(loans):
    drift = example("concept_drift_sudden", "credit", start=START, end=END)
    row = measured(loans, {"drift": drift}, metrics=["log_loss"], relabel=credit.relabel).iloc[0]
    assert row["low"] > 0 and row["columns"] == "repaid, known_at"


def test_the_contract_says_which_rules_the_broken_rows_break(loans):
    contract = DataContract(
        name="applications",
        version="1.0.0",
        fields=[
            Field(name="income_brl", kind="number", maximum=1e6, typical=(1500, 4000)),
            Field(name="debt_share", kind="number", completeness=0.9),
            Field(name="application_id", kind="whole number", unique=True),
        ],
        key=("application_id",),
    )
    incidents = {
        "a_year": of("unit_change", "income_brl", factor=12.0),
        "silent": of("missing_values", "debt_share", strength=0.4),
        "twice": of("duplicates", strength=0.2),
        "stores": of("unit_change", "income_brl", factor=0.5, where={"channel": "branch"}),
    }
    table = measured(loans, incidents, metrics=["log_loss"], contract=contract)
    said = table.set_index("incident")["contract"]
    assert said["a_year"] == "income_brl: typical"
    assert said["silent"] == "debt_share: completeness"
    assert "application_id: unique" in said["twice"]
    assert said["stores"] == ""
    assert (measured(loans, incidents)["contract"] == "").all()


def test_an_incident_comes_out_the_same_beside_others_and_in_any_order(loans):
    incidents = {
        "silent": of("missing_values", "debt_share", strength=0.4),
        "twice": of("duplicates", strength=0.2),
    }
    both = measured(loans, incidents).set_index("incident")
    alone = measured(loans, {"twice": incidents["twice"]}).set_index("incident")
    pd.testing.assert_frame_equal(both.loc[["twice"]], alone)
    other = measured(loans, incidents, rng=np.random.default_rng(6)).set_index("incident")
    assert (other.loc["silent", "broken"] != both.loc["silent", "broken"]).all()


def test_rows_without_a_label_are_left_out_of_the_metrics(loans):
    some = loans.assign(repaid=loans["repaid"].mask(loans.index % 2 == 0))
    row = measured(some, {"a_year": of("unit_change", "income_brl", factor=12.0)}).iloc[0]
    full = measured(loans, {"a_year": of("unit_change", "income_brl", factor=12.0)}).iloc[0]
    assert row["n_clean"] == pytest.approx(full["n_clean"] / 2, abs=1)
    assert row["touched"] == 1


def test_one_day_alone_has_a_change_and_no_interval(loans):
    a_day = of("unit_change", "income_brl", factor=12.0, end=START + pd.Timedelta(days=1))
    table = measured(loans, {"a_day": a_day})
    assert table["change"].notna().all() and table[["low", "high"]].isna().all().all()


def test_a_regression_is_measured_in_its_unit():
    times = pd.date_range(START, periods=200, freq="1h")
    planned = np.linspace(10, 50, 200)
    frame = pd.DataFrame({"event_time": times, "planned_min": planned, "label": planned + 1})
    hours = {"hours": of("unit_change", "planned_min")}
    table = robustness(
        Waits(), frame, hours, task="regression", metrics=["mae"], rng=np.random.default_rng(0)
    )
    inside = frame[frame["event_time"] < END]
    expected = mean_absolute_error(inside["label"], inside["planned_min"] / 60)
    assert table.loc[0, "clean"] == pytest.approx(1)
    assert table.loc[0, "broken"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="'roc_auc' is none of task='regression'"):
        robustness(
            Waits(),
            frame,
            hours,
            task="regression",
            metrics=["roc_auc"],
            rng=np.random.default_rng(0),
        )
    with pytest.raises(ValueError, match="'brier' needs a score, and the model gives none"):
        robustness(
            Waits(),
            frame.assign(label=1),
            hours,
            metrics=["brier"],
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"metrics": ["auc"]}, "'auc' is none of task='classification'"),
        ({}, {"metrics": ["within"]}, "'within' is none of task='classification'"),
        ({}, {"level": 0}, "level=0: a number between 0 and 1"),
        ({}, {"label_column": "paid"}, "label_column='paid' is no column"),
        ({"repaid": 2}, {}, "label_column='repaid' holds 2: 1 or 0 is needed"),
    ],
)
def test_misuse_is_named(loans, change, settings, message):
    incidents = {"a_year": of("unit_change", "income_brl", factor=12.0)}
    with pytest.raises(ValueError, match=message):
        measured(loans.assign(**change), incidents, **settings)


def test_the_frame_is_left_as_it_was(loans):
    before = loans.copy()
    measured(loans, {"a_year": of("unit_change", "income_brl", factor=12.0)})
    pd.testing.assert_frame_equal(loans, before)
