"""Credit: the mechanism is what it says, and the rows do not depend on how they are asked for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from utils.datasets import credit

YEAR = dict(start="2024-01-01", n_days=366, per_day=150, seed=5)


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return credit.applications(**YEAR)


@pytest.fixture(scope="module")
def all_lent(year) -> pd.DataFrame:
    return credit.outcomes(year, pd.Series(True, index=year.index), seed=5)


def one(**changes) -> pd.DataFrame:
    applicant = {
        "income_brl": 2500.0,
        "amount_brl": 750.0,
        "term_months": 3.0,
        "debt_share": 0.1,
        "employment_years": 0.0,
        "late_payments_12m": 0.0,
        "purpose": "school",
    }
    return pd.DataFrame([applicant | changes])


# The mechanism


def test_the_log_odds_of_a_plain_applicant_are_computed_by_hand():
    # Burden 0.1 + 250/2500 = 0.2: below the limit. Base 2.0 and school 0.2 are left.
    assert credit.burden(one()).item() == pytest.approx(0.2)
    assert credit.repayment_probability(one()).item() == pytest.approx(1 / (1 + np.exp(-2.2)))


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({"income_brl": 5000.0}, 0.5),
        ({"debt_share": 0.35}, -0.9),
        ({"late_payments_12m": 2.0}, -1.1),
        ({"late_payments_12m": 9.0}, -2.75),
        ({"employment_years": 4.0}, 0.6),
        ({"purpose": "debts"}, -0.8),
    ],
)
def test_each_cause_adds_what_it_declares(changes, added):
    before, after = (np.log(p / (1 - p)) for p in map(truth, (one(), one(**changes))))
    assert after - before == pytest.approx(added)


def truth(applicants: pd.DataFrame) -> float:
    return credit.repayment_probability(applicants).item()


def test_effects_sum_up_to_the_probability(year):
    log_odds = 2.0 + credit.effects(year).sum(axis=1)
    assert np.allclose(1 / (1 + np.exp(-log_odds)), credit.repayment_probability(year))


def test_people_repay_as_often_as_the_mechanism_says(year, all_lent):
    probability = credit.repayment_probability(year)
    for low in np.arange(0, 1, 0.1):
        bin_ = probability.between(low, low + 0.1, inclusive="left")
        z = within(all_lent.loc[bin_, "repaid"], probability[bin_])
        assert abs(z) < 4, f"probabilities from {low:.1f}: z = {z:.1f}"


@pytest.mark.parametrize("attribute", [*credit.SENSITIVE, "region", "channel"])
def test_nothing_but_the_declared_causes_decides(year, all_lent, attribute):
    probability = credit.repayment_probability(year)
    for group, rows in year.groupby(attribute).groups.items():
        z = within(all_lent.loc[rows, "repaid"], probability[rows])
        assert abs(z) < 4, f"{attribute} {group}: z = {z:.1f}"


def within(repaid: pd.Series, probability: pd.Series) -> float:
    """Return how many standard deviations the count is from what the coins should give."""
    spread = np.sqrt((probability * (1 - probability)).sum())
    return float((repaid.sum() - probability.sum()) / spread)


def test_the_mechanism_is_the_same_in_every_month(year, all_lent):
    probability = credit.repayment_probability(year)
    for month, rows in year.groupby(year["applied_at"].dt.month).groups.items():
        z = within(all_lent.loc[rows, "repaid"], probability[rows])
        assert abs(z) < 4, f"month {month}: z = {z:.1f}"


def test_a_missing_cause_gives_no_probability():
    assert credit.repayment_probability(one(debt_share=np.nan)).isna().all()


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="applicants: it has no column 'debt_share'"):
        credit.repayment_probability(one().drop(columns="debt_share"))


def test_a_plain_model_on_the_features_is_realistic_and_short_of_the_truth(credit_traffic):
    frame = credit_traffic.frame
    repaid = frame["repaid"].astype(int)
    score = credit_traffic.model.predict_proba(frame[list(credit.FEATURES)])[:, 1]
    auc, best = (roc_auc_score(repaid, s) for s in (score, credit.repayment_probability(frame)))
    assert 0.72 < auc < best < 0.85


# The rows


@settings(deadline=None, max_examples=20)
@given(
    batch_rows=st.integers(1, 300),
    per_day=st.integers(1, 60),
    n_days=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)
def test_rows_do_not_depend_on_the_size_of_batches(batch_rows, per_day, n_days, seed):
    days = dict(start="2024-02-27", n_days=n_days, per_day=per_day, seed=seed)
    whole = credit.applications(**days)
    batches = list(credit.stream(**days, batch_rows=batch_rows))
    assert [len(b) for b in batches[:-1]] == [batch_rows] * (len(batches) - 1)
    joined = pd.concat(batches, ignore_index=True) if batches else whole.iloc[:0]
    pd.testing.assert_frame_equal(joined, whole)


@settings(deadline=None, max_examples=20)
@given(first=st.integers(0, 9), n_days=st.integers(1, 10))
def test_a_day_has_the_same_rows_whichever_days_are_around_it(first, n_days):
    start = pd.Timestamp("2024-06-25")
    whole = credit.applications(start=start, n_days=20, per_day=30, seed=3)
    part = credit.applications(
        start=start + pd.Timedelta(days=first), n_days=n_days, per_day=30, seed=3
    )
    day = (whole["applied_at"] - pd.Timestamp(start, tz="UTC")).dt.days
    same = whole[day.between(first, first + n_days - 1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, same)


def test_another_seed_gives_other_people(year):
    other = credit.applications(**YEAR | {"seed": 6})
    assert not other["income_brl"].head(50).equals(year["income_brl"].head(50))


def test_ids_are_unique_and_read_as_dates_and_rows_come_in_order_of_time(year):
    assert year["application_id"].is_unique
    assert year["applied_at"].is_monotonic_increasing
    dates = year["applied_at"].dt.strftime("%Y%m%d").astype("int64")
    assert (year["application_id"] // 1_000_000).equals(dates)


def test_a_day_without_applications_is_empty_and_typed():
    quiet = credit.applications(start="2024-06-02", n_days=1, per_day=0.0001, seed=1)
    busy = credit.applications(start="2024-06-03", n_days=1, per_day=10, seed=1)
    assert len(quiet) == 0
    assert quiet.dtypes.equals(busy.dtypes)


def test_week_and_year_move_the_volume(year):
    by_weekday = year.groupby(year["applied_at"].dt.day_of_week).size()
    assert by_weekday.idxmax() == 0
    assert by_weekday.idxmin() == 6
    per_day = year.groupby(year["applied_at"].dt.month).size() / [
        31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]  # fmt: skip
    assert per_day.idxmax() == 12
    mean = credit.applications(**YEAR | {"start": "2024-05-14", "n_days": 3, "per_day": 4000})
    assert abs(len(mean) - 3.05 * 4000) < 5 * np.sqrt(3.05 * 4000)


def test_week_and_year_move_the_mix(year):
    weekend = year["applied_at"].dt.day_of_week >= 5
    assert (year.loc[weekend, "channel"] != "branch").all()
    school = (year["purpose"] == "school").groupby(year["applied_at"].dt.month).mean()
    assert school.loc[[1, 2]].min() > 2 * school.loc[3:10].max()


def test_amounts_are_of_this_world(year):
    assert year["income_brl"].between(600, 60_000).all()
    assert year["amount_brl"].between(150, 15_000).all()
    assert set(year["term_months"]) == set(credit.TERMS_MONTHS)
    assert year["debt_share"].between(0, 0.75).all()
    assert year["age_years"].between(18, 80).all()
    assert (year["employment_years"] <= year["age_years"] - 16).all()


def test_features_leave_out_what_is_sensitive(year):
    assert set(credit.FEATURES) <= set(year.columns)
    assert set(credit.SENSITIVE) <= set(year.columns)
    assert not set(credit.FEATURES) & {*credit.SENSITIVE, "age_years"}
    assert (year[list(credit.NUMERIC_FEATURES)].dtypes == "float64").all()


def test_groups_differ_in_income_and_so_in_their_chance(year):
    income = year.groupby("sex")["income_brl"].median()
    assert income["female"] < income["male"]
    income = year.groupby("race")["income_brl"].median()
    assert max(income["parda"], income["preta"]) < income["branca"]
    truth = credit.repayment_probability(year)
    for attribute, poorer, richer in (("sex", "female", "male"), ("race", "preta", "branca")):
        low, high = (truth[year[attribute] == group] for group in (poorer, richer))
        assert stats.ttest_ind(low, high, alternative="less").pvalue < 1e-6


# The loans


def test_refused_applicants_are_never_labelled(year):
    approved = credit.decide(year, credit.repayment_probability(year), threshold=0.8)
    lent = credit.outcomes(year, approved, seed=5)
    assert 0.3 < approved.mean() < 0.8
    assert lent.loc[~approved, ["repaid", "known_at"]].isna().all(axis=None)
    assert lent.loc[approved, ["repaid", "known_at"]].notna().all(axis=None)


def test_a_more_generous_policy_leaves_the_fate_of_the_others_alone(year, all_lent):
    approved = pd.Series(np.arange(len(year)) % 3 == 0, index=year.index)
    some = credit.outcomes(year, approved, seed=5)
    assert some.loc[approved, "repaid"].equals(all_lent.loc[approved, "repaid"])
    assert some.loc[approved, "known_at"].equals(all_lent.loc[approved, "known_at"])


def test_outcomes_do_not_depend_on_which_rows_are_asked_together(year, all_lent):
    part = year[1000:3000:7]
    alone = credit.outcomes(part, pd.Series(True, index=part.index), seed=5)
    pd.testing.assert_frame_equal(alone, all_lent.loc[part.index])


def test_labels_come_weeks_late_and_defaults_first(all_lent):
    days = (all_lent["known_at"] - all_lent["applied_at"]) / pd.Timedelta(days=1)
    term_days = 30 * all_lent["term_months"]
    repaid = all_lent["repaid"] == 1
    assert (days - term_days)[repaid].between(0, 3).all()
    missed = (days[~repaid] - 15) / 30
    assert np.allclose(missed, missed.round(), atol=1e-6)
    assert missed.ge(1).all() and (missed <= all_lent.loc[~repaid, "term_months"]).all()
    long = all_lent["term_months"] == 6
    assert days[long & ~repaid].median() < days[long & repaid].median()


def test_each_instalment_is_as_likely_to_be_missed_as_the_others(all_lent):
    days = (all_lent["known_at"] - all_lent["applied_at"]) / pd.Timedelta(days=1)
    defaults = (all_lent["term_months"] == 6) & (all_lent["repaid"] == 0)
    missed = ((days[defaults] - 15) / 30).round().astype(int)
    assert stats.chisquare(missed.value_counts()).pvalue > 1e-4


def test_the_policy_refuses_a_heavy_instalment_whatever_the_model_says():
    heavy = one(amount_brl=4000.0)
    assert not credit.decide(heavy, [0.999], threshold=0.5).item()
    assert credit.decide(one(), [0.5], threshold=0.5).item()


def test_harder_times_give_exactly_the_harder_mechanism(year, all_lent):
    harder = credit.relabel(
        all_lent, strength=np.full(len(year), 0.6), rng=np.random.default_rng(2)
    )
    p = credit.repayment_probability(year)
    shifted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) - 1.2)))
    for low in np.arange(0, 1, 0.1):
        bin_ = shifted.between(low, low + 0.1, inclusive="left")
        assert abs(within(harder.loc[bin_, "repaid"], shifted[bin_])) < 4
    assert harder.loc[all_lent["repaid"] == 0, "repaid"].eq(0).all()
    same = harder["repaid"] == all_lent["repaid"]
    assert harder.loc[same, "known_at"].equals(all_lent.loc[same, "known_at"])
    fallen = (harder["known_at"] - all_lent["applied_at"])[~same] / pd.Timedelta(days=30)
    assert np.allclose(fallen % 1, 0.5, atol=1e-6)


def test_harder_times_leave_the_refused_unlabelled(year):
    lent = credit.outcomes(year, year["amount_brl"] < 900, seed=5)
    harder = credit.relabel(lent, strength=np.ones(len(year)), rng=np.random.default_rng(2))
    assert harder["repaid"].isna().equals(lent["repaid"].isna())
    assert harder["known_at"].isna().equals(lent["known_at"].isna())


# Misuse


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_days": 0}, "n_days=0: at least one day"),
        ({"per_day": 0}, "per_day=0: more than 0"),
        ({"per_day": 1e6}, "per_day=1000000.0: more than 0 and at most 100,000"),
        ({"start": "2024-01-01 12:00"}, "start='2024-01-01 12:00': a day begins at midnight UTC"),
    ],
)
def test_an_impossible_calendar_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        credit.applications(**YEAR | changes)
    with pytest.raises(ValueError, match=said):
        credit.stream(**YEAR | changes, batch_rows=10)


def test_a_batch_of_no_rows_is_refused():
    with pytest.raises(ValueError, match="batch_rows=0: a batch has at least one row"):
        credit.stream(**YEAR, batch_rows=0)


def test_decisions_need_one_probability_a_row_and_a_threshold_in_range(year):
    with pytest.raises(ValueError, match=r"probability: its shape is \(2,\); one value for each"):
        credit.decide(year, [0.1, 0.2], threshold=0.5)
    with pytest.raises(ValueError, match="threshold=1.5: a share lies in 0..1"):
        credit.decide(year, credit.repayment_probability(year), threshold=1.5)


def test_outcomes_need_one_boolean_a_row(year):
    with pytest.raises(ValueError, match="approved: float64 of shape"):
        credit.outcomes(year, credit.repayment_probability(year), seed=5)
