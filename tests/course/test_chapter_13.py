"""Chapter 13: its parameters change what their comments say, and its helpers what theirs do."""

import numpy as np
import pandas as pd

from tests.course.running import ran_once
from utils.course import NOTEBOOKS, canaries, looping, retraining
from utils.operations import quarantine
from utils.operations.canary import Canary
from utils.store import open_store
from utils.text import LANGUAGES, using

SOURCE = NOTEBOOKS / "13_continuous_monitoring.ipynb"
DAYS = pd.date_range("2013-04-01T12:00Z", periods=14, freq="1D")

other = ran_once(
    SOURCE,
    seed=7,
    every=9,
    scenario="poisoned_labels",
    false_alarms_per_year=6.0,
    judged_days=21,
)


# The parameters


def test_the_case_that_is_run_is_the_one_asked_for(other):
    with open_store(other["one_turn"].store_url) as store:
        held = quarantine.spans(store, looping.NAME)
    assert {tuple(each.where.items()) for each in held} == {(("carrier", "UA"),)}


def test_the_scale_and_the_budget_are_those_asked_for(other):
    asked = len(looping.departures(every=9))
    assert 0.98 * asked < len(other["year"].served) <= asked
    assert other["monitor"].false_alarms_per_year == 6.0


def test_the_days_that_judge_are_as_many_as_asked_for(other):
    with open_store(other["whole_year"].store_url) as store:
        gates = [
            event.body
            for stream in store.streams(f"run/{looping.NAME}/")
            for event in store.events(stream)
            if event.key.startswith("gate/") and event.kind == "done"
        ]
    assert gates, "somebody was judged in this year"
    assert other["year"].life.n_trained == len(gates)


# What it is made of


def flights_of(*delays, reported=None, first="2013-04-01"):
    """Return departures a day apart, of one route, by how late they arrived."""
    left = pd.date_range(f"{first}T12:00Z", periods=len(delays), freq="1D")
    sample = looping.departures(every=400, months=[4]).iloc[[0] * len(delays)]
    return sample.reset_index(drop=True).assign(
        departed_at=left,
        landed_at=left + pd.Timedelta("3h"),
        departure_delay_min=np.arange(len(delays), dtype=float),
        arrival_delay_min=list(delays if reported is None else reported),
    )


def served_of(departures, *, answer):
    """Return departures as the store gives back what was answered to them."""
    return departures.rename(
        columns={"departed_at": "event_time", "arrival_delay_min": "label"}
    ).assign(label_known_at=departures["landed_at"], prediction=answer)


def test_never_is_the_first_model_and_the_loop_is_what_it_answered():
    learned = looping.departures(every=400, months=range(1, 4))
    now = flights_of(*[10.0] * 6)
    costs = retraining.costs(served_of(now, answer=7.0), learned=learned, retrained={})
    assert costs["loop"].tolist() == [3.0] * 6
    first = learned.dropna(subset=["arrival_delay_min"])
    model = looping.flights_model().fit(
        first[list(looping.flights.FEATURES)], first["arrival_delay_min"]
    )
    said = model.predict(now[list(looping.flights.FEATURES)])
    np.testing.assert_allclose(costs["never"], np.abs(10.0 - said))


def test_a_policy_is_never_until_its_first_moment_and_learns_nothing_that_was_not_known():
    learned = looping.departures(every=400, months=range(1, 4))
    now = flights_of(*[200.0] * 10)
    served = served_of(now, answer=0.0)
    moment = pd.Timestamp("2013-04-05T00:00Z")
    costs = retraining.costs(served, learned=learned, retrained={"once": [moment]})
    early = costs["event_time"] < moment
    assert costs.loc[early, "once"].equals(costs.loc[early, "never"])
    assert (costs.loc[~early, "once"] < costs.loc[~early, "never"]).all()
    late = served.assign(label_known_at=served["label_known_at"] + pd.Timedelta("30D"))
    unknown = retraining.costs(late, learned=learned, retrained={"once": [moment]})
    np.testing.assert_allclose(unknown["once"], unknown["never"])


def test_a_policy_learns_the_labels_as_reported_and_is_judged_by_the_truth():
    learned = looping.departures(every=400, months=range(1, 4))
    honest = flights_of(*[20.0] * 10)
    lying = flights_of(*[20.0] * 10, reported=[-60.0] * 10)
    served = retraining.with_truth(served_of(lying, answer=20.0), honest)
    assert served["truth"].tolist() == [20.0] * 10 and served["label"].eq(-60).all()
    moment = pd.Timestamp("2013-04-06T00:00Z")
    settings = {"learned": learned, "retrained": {"once": [moment]}}
    told = retraining.costs(served, **settings)
    true = retraining.costs(served, **settings, truth_column="truth")
    later = true["event_time"] >= moment
    assert true["loop"].eq(0).all() and told["loop"].eq(80).all()
    assert (true.loc[later, "once"] > true.loc[later, "never"]).all()


def test_retrained_once_both_answer_alike_until_the_moment():
    learned = looping.departures(every=400, months=range(1, 4))
    slow = flights_of(*[120.0] * 10)
    moment = pd.Timestamp("2013-04-06T00:00Z")
    costs = retraining.retrained_once(learned, slow, at=moment, truth=slow)
    early = costs["event_time"] < moment
    assert costs.loc[early, "never"].equals(costs.loc[early, "retrained"])
    assert (costs.loc[~early, "retrained"] < costs.loc[~early, "never"]).all()


def test_a_policy_that_does_nothing_changes_nothing_and_the_others_are_told_apart():
    days = pd.date_range("2013-04-01T12:00Z", periods=70, freq="1D")
    rows = pd.DataFrame({"event_time": days, "never": 10.0, "loop": 10.0, "monthly": 8.0})
    table = retraining.compared(
        rows, n_trained={"monthly": 4}, rng=np.random.default_rng(0)
    ).set_index("policy")
    assert table.loc["loop", "change"] == 0 and table.loc["monthly", "change"] == -2
    worth = retraining.worth_of_one(table.reset_index())
    assert worth[["policy", "value"]].to_numpy().tolist() == [["monthly", 0.5]]


def test_weeks_begin_on_monday_and_months_on_their_first():
    rows = pd.DataFrame({"event_time": DAYS + pd.Timedelta("2D"), "loop": np.arange(14.0)})
    weeks = retraining.weekly(rows)
    assert weeks["week"].dt.day_name().eq("Monday").all() and len(weeks) == 3
    months = retraining.by_month(rows)
    assert months["month"].tolist() == [pd.Timestamp("2013-04-01", tz="UTC")]
    assert months["value"].tolist() == [6.5]
    assert (months["low"] < 6.5).all() and (months["high"] > 6.5).all()


def test_canaries_that_harm_a_lot_are_found_and_those_that_help_are_let_through():
    rule = Canary(harm=0.5)
    table = canaries.ended(
        {"awful": 3.0, "better": -3.0}, rule, spread=0.5, n=40, rng=np.random.default_rng(1)
    ).set_index(["row", "series"])
    assert table.loc[("awful", "harm"), "value"] == 1
    assert table.loc[("better", "no harm"), "value"] == 1
    assert table.loc[("awful", "harm"), "median_day"] == rule.least_blocks
    assert table["value"].between(table["low"], table["high"]).all()


def test_what_a_run_did_is_told_in_both_languages():
    weeks = pd.DataFrame(
        {
            "week": pd.to_datetime(["2013-04-01T00:00Z"] * 3),
            "run": pd.to_datetime(["2013-04-08T12:00Z"] * 3),
            "state": "Completed",
            "asked": [True, False, False],
            "action": ["gate/retrain", "promote", "nothing"],
            "version": ["2", "2", ""],
        }
    )
    told = {}
    for code in LANGUAGES:
        with using(code):
            told[code] = looping.in_words(weeks).to_numpy().tolist()
    assert [row[4] for row in told["en"]] == ["loses at the gate", "is promoted", "nothing"]
    assert [row[4] for row in told["pt"]] == ["perde no portão", "é promovida", "nada"]
    assert [row[3] for row in told["pt"]] == ["sim", "não", "não"]
