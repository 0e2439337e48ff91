"""What earlier chapters leave behind: models that were trained on what could be known then."""

import pandas as pd
import pytest

from utils.course import stages
from utils.course.workspace import Workspace
from utils.datasets import credit, flights
from utils.store import open_store


@pytest.fixture
def here(workspace):
    return Workspace.current()


def test_the_flights_model_learns_from_what_had_landed_before_it_went_into_service():
    known = stages.benchmark_flights()
    assert known["scheduled_at"].max() < stages.FLIGHTS_IN_SERVICE
    assert stages.flights_traffic()["scheduled_at"].min() >= stages.FLIGHTS_IN_SERVICE


def test_a_model_in_service_answers_and_is_found_by_its_alias(here):
    here.need("flights-deployed")
    departures = stages.flights_traffic().head(40)
    with open_store(here.store_url) as store:
        assert store.deployment(stages.FLIGHTS).created_at == stages.FLIGHTS_IN_SERVICE
        done = stages.replay_flights(store, here, departures)
        again = stages.replay_flights(store, here, departures)
        read = store.read(stages.FLIGHTS)
    assert done.sent == again.sent == len(read) == 40
    labelled = departures[flights.TARGET].notna()
    assert read["label"].notna().sum() == labelled.sum()
    assert (read["label"] - read["prediction"]).abs().median() < 60
    pd.testing.assert_series_equal(read["event_time"], departures["departed_at"], check_names=False)


def test_the_credit_model_gives_scores_of_the_probability_to_repay(here):
    here.need("credit-deployed")
    applied = credit.applications(start="2024-01-01", n_days=2, per_day=100, seed=1)
    with open_store(here.store_url) as store:
        answer = stages.endpoint(store, stages.CREDIT, here).predict(
            applied[list(credit.FEATURES)], event_time=list(applied["applied_at"])
        )
    truth = credit.repayment_probability(applied)
    assert abs(pd.Series(answer.scores).mean() - truth.mean()) < 0.05
    assert pd.Series(answer.scores).corr(truth) > 0.8
