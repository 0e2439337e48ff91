"""Chapter 10: its parameters change what their comments say, and its helpers what theirs do."""

import numpy as np
import pandas as pd
import pytest

from tests.course.running import ran_once
from utils.course import NOTEBOOKS, exercises, fair
from utils.datasets import credit
from utils.text import LANGUAGES, using

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


def test_a_gap_is_the_difference_of_shares_in_points_and_its_interval_holds_it():
    # Of women 300 of 500 are granted, of whom 240 repay, and of the refused 60 would; of men 400,
    # 360 and 40.
    def people(sex, granted_pay, granted_not, refused_pay, refused_not):
        outcomes = [(1, 1)] * granted_pay + [(1, 0)] * granted_not
        outcomes += [(0, 1)] * refused_pay + [(0, 0)] * refused_not
        return pd.DataFrame(outcomes, columns=["prediction", "label"]).assign(sex=sex)

    rows = pd.concat([people("female", 240, 60, 60, 140), people("male", 360, 40, 40, 60)])
    rows = rows.assign(event_time=fair.CURRENT_FROM).reset_index(drop=True)
    found = fair.gaps_in_points(
        rows, "sex", group="female", other="male", rng=np.random.default_rng(1)
    ).set_index("metric")
    by_hand = {
        "selection_rate": 300 / 500 - 400 / 500,
        "precision": 240 / 300 - 360 / 400,
        "recall": 240 / 300 - 360 / 400,
        "false_positive_rate": 60 / 200 - 40 / 100,
    }
    for name, share in by_hand.items():
        assert found["value"][name] == pytest.approx(100 * share)
        assert found["low"][name] < 100 * share < found["high"][name]
    # Newcombe's interval of 300/500 less 400/500, worked out by hand from Wilson's bounds.
    assert found["low"]["selection_rate"] == pytest.approx(-25.45, abs=0.01)
    assert found["high"]["selection_rate"] == pytest.approx(-14.38, abs=0.01)


def test_a_month_is_thirty_mean_days_whatever_each_day_holds():
    times = pd.Series(pd.date_range("2024-01-01", periods=40, freq="6h", tz="UTC"))
    brl = pd.Series(np.tile([1.0, 2.0, 3.0, 4.0], 10))
    same = fair.a_month(brl, times, rng=np.random.default_rng(1))
    assert same == {"value": 300.0, "low": 300.0, "high": 300.0}
    uneven = fair.a_month(brl * np.arange(40), times, rng=np.random.default_rng(1))
    assert uneven["low"] < uneven["value"] < uneven["high"]


def test_recall_with_a_lottery_is_near_the_truth_where_labels_alone_say_one(people, told):
    drawn = fair.with_lottery(people, told, share=0.2, rng=np.random.default_rng(1))
    found = fair.recall_with_lottery(drawn, rng=np.random.default_rng(2))
    payers = told["would_repay"] == 1
    assert found["low"] < told.loc[payers, "prediction"].mean() < found["high"] < 1


def test_whom_an_incident_hurts_is_the_group_that_it_hits(people):
    planned = fair.year_of_incidents()
    ledger = pd.DataFrame({"harmful": [True, False, True, False, True, True]})
    with using("en"):
        assert fair.whom(planned, ledger) == [
            "female", "nobody", "Nordeste", "nobody", "18-24", "everybody"
        ]  # fmt: skip


# What learners write


def verdict(name, answer):
    said = {}
    for language in LANGUAGES:
        with using(language):
            said[language] = exercises.verdict(f"10.{name}", answer)
    assert said["pt"].mistake == said["en"].mistake
    return said["en"].mistake or said["en"].kind


def rates_of(frame, column, minimum, *, more=False):
    rates = frame.groupby(column)["prediction"].agg(["mean", "size"])
    enough = rates["size"] > minimum if more else rates["size"] >= minimum
    return rates.loc[enough, "mean"]


@pytest.mark.parametrize(
    ("take", "more", "expected"),
    [
        (lambda rates: rates.max() - rates.min(), False, "right"),
        (lambda rates: rates.iloc[0] - rates.iloc[-1], False, "by_order"),
        (lambda rates: rates.iloc[-1] - rates.iloc[0], False, "by_order"),
        (lambda rates: rates.max() - rates.min(), True, "more_than_minimum"),
    ],
)
def test_the_greatest_gap_is_none_of_the_order_of_the_groups(take, more, expected):
    def gap(frame, column, minimum):
        return take(rates_of(frame, column, minimum, more=more))

    assert verdict("gap", gap) == expected


def test_the_usual_slips_of_the_forced_rate_are_named():
    assert verdict("forced", lambda b, p, r: b * r * (1 - p) / p) == "of_everybody"
    assert verdict("forced", lambda b, p, r: 1 - r) == "refused_payers"


def test_the_usual_slips_of_the_ranking_are_named():
    def by(order, first, gains, ideal=None):
        def ndcg(live, reference):
            given = {"live": live, "reference": reference}
            with np.errstate(all="ignore"):
                discount = 1 / np.log2(np.arange(len(live)) + first)
                top = given[gains][order(live)] @ discount
                return top / (np.sort(given[ideal or gains])[::-1] @ discount)

        return ndcg

    def largest(live):
        return np.argsort(-live)

    assert verdict("ndcg", by(largest, 2, "reference")) == "right"
    assert verdict("ndcg", by(np.argsort, 2, "reference")) == "least_first"
    assert verdict("ndcg", by(largest, 1, "reference")) == "places_from_zero"
    assert verdict("ndcg", by(largest, 2, "live", "reference")) == "own_values"
    assert verdict("ndcg", by(largest, 2, "live")) == "always_one"
