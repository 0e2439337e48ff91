"""The inputs of 2024: what was done to them is in the ledger, and nothing else is."""

import numpy as np
import pandas as pd
import pytest

from utils.course import inputs, life
from utils.datasets import credit
from utils.monitors.constraints import constraint_violations, suggested_constraints

FEATURES = list(credit.FEATURES)


@pytest.fixture(scope="module")
def year():
    return inputs.inputs_of_2024(seed=3, requests_per_day=60)


@pytest.fixture(scope="module")
def usual():
    book = life.credit_book()
    return book[book["applied_at"] >= life.JUDGED_FROM]


def test_outside_the_incidents_what_was_sent_is_what_was_meant(year):
    sent = year.sent.drop_duplicates("application_id").set_index("application_id")
    meant = year.meant.set_index("application_id").loc[sent.index]
    touched = pd.Series(False, index=sent.index)
    for each in year.ledger.itertuples():
        touched |= sent["applied_at"].between(each.start, each.end, inclusive="left")
    pd.testing.assert_frame_equal(sent[~touched], meant[~touched])
    assert not sent[touched].equals(meant[touched])


def test_each_incident_lasts_its_week(year):
    starts = (year.ledger["start"] - inputs.START) // inputs.WEEK
    assert starts.to_list() == list(inputs.INCIDENTS)
    assert (year.ledger["end"] - year.ledger["start"] == inputs.WEEK).all()
    harmless = ~year.ledger["harmful"]
    assert year.ledger.loc[harmless, "kind"].to_list() == ["duplicates"] * 2


def test_the_new_app_sends_cents_and_nobody_else_does(year):
    new = year.meant["applied_at"] >= inputs.CENTS_FROM
    app = year.meant["channel"] == "app"
    odd = year.meant["income_brl"] % 10 != 0
    assert not odd[~(new & app)].any()
    assert odd[new & app].mean() > 0.9
    same_people = credit.applications(
        start=inputs.START, n_days=7 * inputs.N_WEEKS, per_day=60, seed=3
    )
    moved = year.meant["income_brl"].to_numpy() - same_people["income_brl"].to_numpy()
    assert np.abs(moved).max() <= 5.005


def test_the_same_seed_gives_the_same_year_and_fewer_weeks_its_beginning(year):
    shorter = inputs.inputs_of_2024(seed=3, requests_per_day=60, n_weeks=14)
    end = inputs.START + 14 * inputs.WEEK
    pd.testing.assert_frame_equal(shorter.meant, year.meant[year.meant["applied_at"] < end])
    with pytest.raises(ValueError, match="n_weeks=53: from 12 to 52"):
        inputs.inputs_of_2024(seed=3, requests_per_day=60, n_weeks=53)


def test_the_repaired_constraints_let_cents_pass_and_nothing_else(year, usual):
    suggested = suggested_constraints(usual[FEATURES])
    repaired = inputs.repaired(suggested)
    rows = inputs.week(year.sent, 13)[FEATURES]
    assert [each.feature_name for each in constraint_violations(rows, suggested)] == ["income_brl"]
    assert constraint_violations(rows, repaired) == []
    for broken in (
        rows.assign(income_brl="2000"),
        rows.assign(income_brl=-1.5),
        rows.assign(income_brl=np.nan),
        rows.assign(amount_brl=rows["amount_brl"] + 0.5),
    ):
        assert len(constraint_violations(broken, repaired)) == 1


def test_the_own_check_finds_half_the_income_of_one_channel_and_names_it(year, usual):
    check = inputs.channel_check(usual)
    for number, name in inputs.INCIDENTS.items():
        found = check(inputs.week(year.sent, number))
        if name == "income_a_fortnight":
            assert [each.description.split()[3] for each in found] == ["partner_store:"]
    weeks = [inputs.week(year.sent, number) for number in range(9)]
    assert sum(map(bool, map(check, weeks))) <= 1
