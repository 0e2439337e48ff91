"""Chapter 10: its parameters change what their comments say, and its helpers what theirs do."""

import numpy as np
import pandas as pd
import pytest

from tests.course.running import ran_once
from utils.course import NOTEBOOKS, fair
from utils.datasets import credit

SOURCE = NOTEBOOKS / "10_fairness_and_attribution.ipynb"

other = ran_once(
    SOURCE,
    seed=7,
    per_day=100,
    scenario="northeast",
    false_alarms_per_year=1.0,
    lottery_share=0.1,
    explained_rows=40,
)


@pytest.fixture(scope="module")
def people():
    return fair.asked(fair.CURRENT_FROM, per_day=60, seed=3, n_days=91)


@pytest.fixture(scope="module")
def told(people):
    """Return decisions by a score that is the true probability."""
    return fair.decided(people, lambda rows: credit.repayment_probability(rows))


# The parameters


def test_the_group_that_is_hit_is_the_one_asked_for(other):
    assert other["column"] == "region" and other["hit_group"] == "Nordeste"
    assert set(other["months"]["region"]) == {"Nordeste", "Sudeste"}


def test_the_budget_and_the_lottery_are_those_asked_for(other):
    assert other["monitors"].false_alarms_per_year == 1.0
    refused = other["drawn"]["prediction"] == 0
    assert 0.06 < other["drawn"].loc[refused, "drawn"].mean() < 0.14
    assert set(other["drawn"]["weight"]) == {0.0, 1.0, 10.0}
    assert len(other["few"]) == 40


# What it is made of


def test_a_label_is_of_the_granted_alone_and_the_key_is_of_all(told):
    granted = told["prediction"] == 1
    assert told["label"].notna().equals(granted) and told["would_repay"].notna().all()
    assert told.loc[granted, "label"].astype(int).equals(told.loc[granted, "would_repay"])
    assert told["label_known_at"].notna().equals(granted)


def test_the_score_is_given_no_sensitive_attribute(people):
    def looks(rows):
        assert not set(credit.SENSITIVE) & set(rows)
        return np.ones(len(rows))

    fair.decided(people, looks)


def test_a_form_that_shrinks_incomes_touches_the_group_and_not_what_it_would_do(people):
    start = fair.CURRENT_FROM + 2 * fair.WEEK
    changed, ledger = fair.happened(people, [fair.hit("women", start, start + fair.WEEK)], seed=1)
    hit = people["sex"].eq("female") & people["applied_at"].between(
        start, start + fair.WEEK, inclusive="left"
    )
    np.testing.assert_allclose(changed["income_brl"] / people["income_brl"], np.where(hit, 0.6, 1))
    assert changed["would_repay"].equals(people["would_repay"])
    assert ledger["harmful"].tolist() == [True]


def test_an_unknown_scenario_is_named():
    with pytest.raises(ValueError, match="scenario='men': must be one of women, northeast"):
        fair.hit("men", fair.CURRENT_FROM, fair.CURRENT_FROM + fair.WEEK)


def test_the_year_leaves_quiet_weeks_and_what_harms_is_marked(people):
    planned = fair.year_of_incidents()
    ends = [each.end for each in planned]
    assert all(a < b.start for a, b in zip(ends, planned[1:], strict=False))
    _, ledger = fair.happened(people, planned[:1], seed=1)
    assert len(planned) == 6 and ledger["harmful"].all()


def test_thresholds_make_the_rates_equal_that_they_are_for(told):
    same = told["sex"].map(fair.equal_selection(told, "sex"))
    rate = (told["score"] >= same).groupby(told["sex"]).mean()
    assert rate["female"] == pytest.approx(rate["male"], abs=0.01)
    key = fair.as_if_all_were_granted(told)
    same = key["sex"].map(fair.equal_recall(key, "sex"))
    payers = key["label"] == 1
    rate = (key["score"] >= same)[payers].groupby(key["sex"][payers]).mean()
    assert rate["female"] == pytest.approx(rate["male"], abs=0.01)


def test_weights_make_group_and_label_independent(told):
    weight = fair.reweighing(told, "sex")
    known = told["label"].notna()
    assert weight[~known].eq(0).all() and weight.sum() == pytest.approx(known.sum())
    table = weight[known].groupby([told["sex"], told["label"]]).sum().unstack()
    share = table[1] / table.sum(axis=1)
    assert share["female"] == pytest.approx(share["male"])


def test_what_is_expected_is_what_happens_on_average(told):
    luck = np.random.default_rng(0)
    true = credit.repayment_probability(told)
    drawn = [
        fair.money_brl(told.assign(would_repay=(luck.random(len(told)) < true).astype(int))).sum()
        for _ in range(200)
    ]
    assert fair.expected_brl(told).sum() == pytest.approx(np.mean(drawn), rel=0.03)


def test_a_lottery_labels_its_share_and_weighs_it(people, told):
    drawn = fair.with_lottery(people, told, share=0.2, rng=np.random.default_rng(1))
    refused = told["prediction"] == 0
    assert drawn["drawn"][refused].mean() == pytest.approx(0.2, abs=0.03)
    assert drawn["label"].notna().sum() == drawn["drawn"].sum() + (~refused).sum()
    assert drawn["weight"][refused].sum() == pytest.approx(refused.sum(), rel=0.15)
    with pytest.raises(ValueError, match=r"share=0: must be in \(0, 1\]"):
        fair.with_lottery(people, told, share=0, rng=np.random.default_rng(1))


def shares(values, start="2024-01-01"):
    """Return the shares of two features, a value of the first one a week."""
    weeks = pd.date_range(start, periods=len(values), freq="7D", tz="UTC")
    first = pd.DataFrame({"window_start": weeks, "feature": "debt", "value": values})
    return pd.concat([first, first.assign(feature="income", value=1 - first["value"] / 2)])


def test_what_moved_the_reasons_is_the_feature_that_left_its_quiet_share_most():
    quiet, year = shares([0.4, 0.6, 0.4, 0.6]), shares([0.5, 0.8, 0.9, 0.1])
    weeks = year["window_start"].unique()
    ledger = pd.DataFrame(
        {"kind": ["a", "b"], "harmful": [False, True], "start": weeks[[1, 3]], "end": weeks[[3, 3]]}
    )
    ledger.loc[1, "end"] += pd.Timedelta("7D")
    moved = fair.reasons_moved(ledger, year, quiet, n_windows=1)
    assert moved["feature"].tolist() == ["debt", "debt"]
    np.testing.assert_allclose(moved["change"], [0.85 - 0.5, 0.1 - 0.5])
    np.testing.assert_allclose(moved["in_quiet"], 0.1)


def test_an_incident_that_no_window_sees_is_named():
    year = shares([0.5])
    later = year["window_start"].iloc[0] + fair.WEEK
    ledger = pd.DataFrame(
        [{"kind": "a", "harmful": True, "start": later, "end": later + fair.WEEK}]
    )
    with pytest.raises(ValueError, match="shares: no window starts within 'a' from 2024-01-08"):
        fair.reasons_moved(ledger, year, year)
