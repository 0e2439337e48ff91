"""The loop on real flights: what it does, and above all what it does not do, in each case."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from utils.course import looping
from utils.course.workspace import Workspace
from utils.operations import life, quarantine, steps
from utils.operations.life import canary_name
from utils.operations.loop import told as told_of
from utils.store import open_store
from utils.text import LANGUAGES, using

DEPLOYMENT = looping.NAME


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Give what the loop did in a case, and its workspace; each case runs once."""
    known = {}

    def run(name):
        if name not in known:
            workspace = Workspace(tmp_path_factory.mktemp(name), stages={})
            with using("en"):
                known[name] = looping.run_case(workspace, name), workspace
        return known[name]

    return run


def week(looped, day):
    """Return the row of the run whose window starts on a day of 2013."""
    [row] = looped.weeks[looped.weeks["week"] == pd.Timestamp(f"2013-{day}", tz="UTC")].itertuples()
    return row


def alias(workspace, name="champion"):
    from utils.operations.candidates import Models

    models = Models(
        name=DEPLOYMENT, task="regression", loss="mae", tracking_uri=workspace.tracking_uri
    )
    return models.version_at(name)


def test_every_case_has_a_title_and_a_lesson_in_both_languages():
    for case in looping.CASES.values():
        for said in (case.title, case.lesson):
            assert said.pt.strip() and said.en.strip() and said.pt != said.en


@pytest.mark.parametrize("name", looping.CASES)
def test_each_window_of_a_case_is_run_once_and_each_flight_is_captured_once(ran, name):
    looped, workspace = ran(name)
    case = looping.CASES[name]
    mondays = pd.date_range("2013-04-01", periods=len(looped.weeks), freq="7D", tz="UTC")
    assert looped.weeks["week"].tolist() == mondays.tolist()
    assert set(looped.weeks["state"]) <= {"Completed", "CompletedWithViolations"}
    assert looped.served["prediction_id"].is_unique
    last = looped.weeks["week"].iloc[-1] + pd.Timedelta(days=7, hours=12)
    sent = looping.departures(every=4, months=range(4, 8))
    sent = case.happens(sent)["departed_at"]
    assert len(looped.served) == (sent < last).sum()


def test_a_broken_sensor_goes_into_quarantine_and_nothing_is_retrained(ran):
    looped, workspace = ran("broken_sensor")
    for day in ("04-15", "04-22"):
        assert "values missing (departure_delay_min)" in week(looped, day).refused
        assert "would learn the defect" in week(looped, day).refused
    with open_store(workspace.store_url) as store:
        held = quarantine.spans(store, DEPLOYMENT)
    assert [(each.start.day, each.columns) for each in held] == [
        (15, ("departure_delay_min",)),
        (22, ("departure_delay_min",)),
    ]
    assert looped.life.n_trained == 0 and alias(workspace) == "1"


def test_labels_that_one_airline_poisons_are_found_and_not_learned_from(ran):
    looped, workspace = ran("poisoned_labels")
    for day in ("04-15", "04-22", "04-29"):
        assert "carrier=UA" in week(looped, day).refused
    with open_store(workspace.store_url) as store:
        held = quarantine.spans(store, DEPLOYMENT)
    assert {tuple(each.where.items()) for each in held} == {(("carrier", "UA"),)}
    assert looped.life.n_trained == 0


def test_labels_that_are_not_ripe_wait(ran):
    looped, _ = ran("labels_not_ripe")
    for day in ("04-15", "04-22"):
        assert "The labels are not ripe" in week(looped, day).refused
    assert looped.life.n_trained == 0


def test_a_retraining_that_is_not_shown_to_do_no_worse_loses_at_the_gate(ran):
    looped, workspace = ran("loses_at_the_gate")
    seen = week(looped, "04-08")
    assert seen.action == "gate/retrain" and seen.why.startswith("Refused: 0 of 1 rules kept.")
    assert looped.life.n_trained == 1 and looped.life.candidate is None
    assert alias(workspace) == "1" and alias(workspace, "challenger") == ""
    assert set(looped.served["model_version"]) == {"1"}


def test_a_canary_that_does_harm_is_withdrawn_and_the_champion_was_never_changed(ran):
    looped, workspace = ran("canary_rolled_back")
    assert [week(looped, day).action for day in ("04-22", "04-29", "05-06")] == [
        "into the shadow",
        "canary begins",
        "withdraw",
    ]
    assert "that is harm" in week(looped, "05-06").why
    assert looped.life.n_promoted == 0 and looped.life.candidate is None
    assert alias(workspace) == "1"
    answered = looped.served.groupby("model_version")["event_time"].agg(["min", "max"])
    assert answered.loc["2", "min"] >= pd.Timestamp("2013-05-06T12:00Z")
    assert answered.loc["2", "max"] < pd.Timestamp("2013-05-13T12:00Z")


def test_a_canary_gets_its_share_of_the_flights_and_no_more(ran):
    looped, _ = ran("canary_rolled_back")
    during = looped.served[
        looped.served["event_time"].between(
            pd.Timestamp("2013-05-06T12:00Z"), pd.Timestamp("2013-05-13T12:00Z"), inclusive="left"
        )
    ]
    share = during["model_version"].eq("2").mean()
    reach = 4 * (0.3 * 0.7 / len(during)) ** 0.5
    assert abs(share - 0.3) < reach


def test_a_promotion_is_undone_where_the_one_before_would_have_done_better(ran):
    looped, workspace = ran("promoted_and_rolled_back")
    assert week(looped, "05-06").action == "promote"
    assert week(looped, "05-13").action == "roll back"
    assert "the one before returns" in week(looped, "05-13").why
    assert alias(workspace) == "1"
    late = looped.served[looped.served["event_time"] >= pd.Timestamp("2013-05-20T12:00Z")]
    assert set(late["model_version"]) == {"1"}


def test_a_drift_that_does_no_harm_gets_no_action(ran):
    looped, _ = ran("drift_without_harm")
    for day in ("04-08", "04-15"):
        assert week(looped, day).state == "CompletedWithViolations"
        assert week(looped, day).action == "nothing"
        assert "the drift needs no action" in week(looped, day).why
    assert looped.life.n_trained == 0


def test_a_fallback_answers_while_the_data_are_broken_and_goes_again(ran):
    looped, workspace = ran("fallback")
    assert week(looped, "04-15").action == "fall back"
    assert week(looped, "04-29").action == "return"
    assert alias(workspace) == "1"
    by_week = looped.served.groupby(looped.served["event_time"].dt.strftime("%m-%d"))
    assert set(by_week["model_version"].agg("first")[["04-24", "04-30"]]) == {"2"}
    assert by_week["model_version"].agg("first")["05-09"] == "1"


def test_what_a_run_did_reads_in_both_languages(ran):
    looped, workspace = ran("broken_sensor")
    with open_store(workspace.store_url) as store:
        [run] = [
            known.window.id
            for known in life.runs_of(store, DEPLOYMENT)
            if known.window.start == datetime(2013, 4, 15, tzinfo=UTC)
        ]
        told = {}
        for code in LANGUAGES:
            with using(code):
                told[code] = told_of(store, DEPLOYMENT, run)
        assert store.events(steps.stream_of(DEPLOYMENT, run))
    assert any("aprenderia o defeito" in line for line in told["pt"])
    assert any("would learn the defect" in line for line in told["en"])
    assert len(told["pt"]) == len(told["en"])


def test_the_canary_is_kept_apart_in_the_store(ran):
    _, workspace = ran("canary_rolled_back")
    with open_store(workspace.store_url) as store:
        names = set(store.deployments()["name"])
        served = store.read(canary_name(DEPLOYMENT))
    assert names == {DEPLOYMENT, canary_name(DEPLOYMENT)}
    assert set(served["model_version"]) == {"2"}


def test_what_was_asked_of_a_run_that_failed_is_done_by_the_next(tmp_path):
    measure = looping.InProcess(roles=looping.ROLES)

    def fails_once(seen):
        if seen.window.start.day == 1:
            raise OSError("the disk is full")
        return measure(seen)

    workspace = Workspace(tmp_path, stages={})
    looping.begin(workspace, every=12)
    asked = looping.Ask(action="retrain", at=datetime(2013, 4, 3, tzinfo=UTC))
    with using("en"):
        looped = looping.looped(
            workspace,
            looping.departures(every=12, months=[4]),
            until=datetime(2013, 4, 16, tzinfo=UTC),
            asks=[asked],
            monitor=fails_once,
            limits=looping.Limits(least_rows=100),
        )
    assert looped.weeks["state"].tolist()[0] == "Failed"
    assert looped.weeks["action"].tolist()[1] != "nothing" and looped.life.n_trained == 1
    with open_store(workspace.store_url) as store:
        failed, _ = life.runs_of(store, DEPLOYMENT)
        told = " ".join(told_of(store, DEPLOYMENT, failed.window.id))
    assert told.count("OSError: the disk is full") == 3


def test_a_case_that_there_is_none_of_is_refused(tmp_path):
    with pytest.raises(KeyError, match="no_case"):
        looping.run_case(Workspace(tmp_path, stages={}), "no_case")
