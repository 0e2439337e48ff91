"""The lender's year: healthy service, a loud harmless change, a silent harmful one."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from utils.course import lender, lender_plots
from utils.datasets import credit
from utils.text import LANGUAGES, using

SEED, PER_DAY = 5, 40


@pytest.fixture(scope="module")
def year():
    return lender.lender_year(seed=SEED, requests_per_day=PER_DAY)


def between(frame, start, end):
    return frame[frame["applied_at"].between(start, end, inclusive="left")]


def z_of_repayment(loans):
    """Return how far what was repaid lies from the declared mechanism, in standard errors."""
    truth = credit.repayment_probability(loans)
    return float((loans["repaid"].sum() - truth.sum()) / np.sqrt((truth * (1 - truth)).sum()))


# The year


def test_a_seed_makes_one_year_and_another_seed_another(year):
    again = lender.lender_year(seed=SEED, requests_per_day=PER_DAY)
    pd.testing.assert_frame_equal(year.requests, again.requests)
    other = lender.lender_year(seed=SEED + 1, requests_per_day=PER_DAY)
    assert not other.requests["income_brl"].equals(year.requests["income_brl"])


def test_the_model_learned_only_from_loans_that_were_settled_when_it_went_into_service():
    early = credit.applications(
        start=lender.YEAR_BEFORE_START, n_days=lender.TRAINING_DAYS, per_day=20, seed=1
    )
    lent = credit.outcomes(early, pd.Series(True, index=early.index), seed=1)
    assert lent["known_at"].max() < lender.YEAR_START


def test_only_those_approved_have_a_label(year):
    assert year.requests["repaid"].notna().equals(year.requests["approved"])
    assert year.granted["known_at"].max() == year.settled
    assert 0 < len(year.granted) < len(year.requests)


def test_the_ledger_tells_the_two_incidents_apart(year):
    assert year.ledger["kind"].tolist() == ["covariate_drift_harmless", "concept_drift_sudden"]
    assert year.ledger["harmful"].tolist() == [False, True]


def test_in_the_campaign_loans_are_repaid_by_the_same_mechanism_as_before_it(year):
    campaign = between(year.granted, lender.CAMPAIGN.start, lender.CAMPAIGN.end)
    quiet = between(year.granted, lender.YEAR_START, lender.CAMPAIGN.start)
    assert abs(z_of_repayment(campaign)) < 4
    assert abs(z_of_repayment(quiet)) < 4


def test_the_campaign_changes_the_channel_and_hardly_the_volume(year):
    campaign = between(year.requests, lender.CAMPAIGN.start, lender.CAMPAIGN.end)
    before = between(year.requests, lender.YEAR_START, lender.CAMPAIGN.start)
    assert (campaign["channel"] == "app").mean() > 0.9 > (before["channel"] == "app").mean()
    days = (lender.CAMPAIGN.end - lender.CAMPAIGN.start).days
    assert 0.8 < len(campaign) / days / PER_DAY < 1.2


def test_in_harder_times_the_inputs_are_those_that_would_have_come_anyway(year):
    harder = between(year.requests, lender.HARDER_TIMES.start, lender.HARDER_TIMES.end)
    anyway = credit.applications(
        start=lender.HARDER_TIMES.start,
        n_days=(lender.HARDER_TIMES.end - lender.HARDER_TIMES.start).days,
        per_day=PER_DAY,
        seed=SEED,
    )
    columns = ["application_id", *credit.FEATURES]
    pd.testing.assert_frame_equal(
        harder[columns].reset_index(drop=True), anyway[columns], check_like=False
    )


def test_in_harder_times_far_fewer_loans_are_repaid_than_the_mechanism_of_before_would_have(year):
    harder = between(year.granted, lender.HARDER_TIMES.start, lender.HARDER_TIMES.end)
    assert z_of_repayment(harder) < -8


# The screens


def test_an_operations_screen_is_within_its_limits_all_year(year):
    table = lender.service_weeks(year.requests)
    assert len(table) == 3 * 52
    assert not table["alarm"].any()


def test_a_slow_week_and_a_week_without_requests_enough_are_alarms(year):
    slow = year.requests.assign(latency_ms=2 * lender.LATENCY_LIMIT_MS)
    table = lender.service_weeks(slow)
    assert table.groupby("metric")["alarm"].all().to_dict() == {
        "error_pct": False,
        "latency_p95_ms": True,
        "requests_per_day": False,
    }
    first_day = between(year.requests, lender.YEAR_START, lender.YEAR_START + pd.Timedelta(days=1))
    rest = year.requests[year.requests["applied_at"] >= lender.YEAR_START + pd.Timedelta(days=7)]
    table = lender.service_weeks(pd.concat([first_day, rest]))
    volume = table[table["metric"] == "requests_per_day"]
    assert volume["alarm"].tolist() == [True] + [False] * 51


def test_percentiles_and_errors_of_a_week_are_counted_with_their_intervals(year):
    table = lender.service_weeks(year.requests)
    week = between(year.requests, lender.YEAR_START, lender.YEAR_START + pd.Timedelta(days=7))
    rows = table[table["window_start"] == lender.YEAR_START].set_index("metric")
    assert rows.loc["requests_per_day", "value"] == len(week) / 7
    assert rows.loc["latency_p95_ms", "value"] == np.quantile(week["latency_ms"], 0.95)
    assert rows.loc["error_pct", "value"] == 100 * week["error"].mean()
    for metric in ("latency_p95_ms", "error_pct"):
        row = rows.loc[metric]
        assert row["low"] <= row["value"] <= row["high"]
        assert row["low"] < row["high"]


def test_the_panel_of_inputs_rings_for_the_channel_in_the_campaign_and_for_nothing_else(year):
    moved = lender.inputs_moved(year.requests, year.year_before, rng=np.random.default_rng(1))
    alarms = moved[moved["alarm"]]
    assert set(alarms["feature"]) == {"channel"}
    assert alarms["window_start"].min() == lender.CAMPAIGN.start
    assert alarms["window_end"].max() == lender.CAMPAIGN.end
    assert len(moved) == 13 * (len(credit.FEATURES) + 1)


def test_a_year_that_repeats_the_year_before_has_not_moved(year):
    shift = lender.YEAR_START - lender.YEAR_BEFORE_START
    repeated = year.year_before.assign(applied_at=year.year_before["applied_at"] + shift)
    moved = lender.inputs_moved(repeated, year.year_before, rng=np.random.default_rng(1))
    assert (moved["value"] == 0).all()
    assert not moved["alarm"].any()


def test_where_all_have_moved_the_share_is_one(year):
    shift = lender.YEAR_START - lender.YEAR_BEFORE_START
    elsewhere = year.year_before.assign(
        applied_at=year.year_before["applied_at"] + shift, region="elsewhere"
    )
    moved = lender.inputs_moved(elsewhere, year.year_before, rng=np.random.default_rng(1))
    by_feature = moved.groupby("feature")["value"]
    assert by_feature.min()["region"] == pytest.approx(1)
    assert by_feature.max().drop("region").max() == 0


# Default rates


@pytest.fixture
def loans():
    """Make four loans of one day: defaults known after 45 and 75 days, two repaid."""
    applied_at = lender.YEAR_START + pd.Timedelta(days=1)
    return pd.DataFrame(
        {
            "applied_at": applied_at,
            "approved": True,
            "repaid": pd.array([0, 0, 1, 1], dtype="Int64"),
            "known_at": applied_at + pd.to_timedelta([45, 75, 31, 121], unit="D"),
        }
    )


@pytest.mark.parametrize(("days", "share"), [(44, 0), (45, 0.25), (75, 0.5), (300, 0.5)])
def test_a_default_counts_from_the_moment_it_is_known(loans, days, share):
    age = pd.Timedelta(days=days)
    many = pd.concat([loans] * 10, ignore_index=True)
    for known_by in (age, loans["applied_at"].iloc[0] + age):
        rate = lender.default_rate(many, known_by=known_by)
        assert rate["value"].tolist() == [share]
        assert rate["n_current"].tolist() == [40]
        assert rate["low"].item() <= share <= rate["high"].item()


def test_loans_judged_at_one_age_do_not_look_better_for_being_new(year):
    granted = year.granted
    newest = granted[
        granted["applied_at"] >= year.requests["applied_at"].max() - pd.Timedelta("28D")
    ]
    at_45_days = pd.Timedelta("45D")
    assert lender.default_rate(newest, known_by=at_45_days, window=None)["value"].item() > 0
    year_end = lender.HARDER_TIMES.end
    assert lender.default_rate(newest, known_by=year_end, window=None)["value"].item() == 0


# The pictures


def test_the_pictures_are_in_the_language_in_force(year):
    service = lender.service_weeks(year.requests)
    labels = {}
    for language in LANGUAGES:
        with using(language):
            fig = lender_plots.plot_service(service, title="T")
            labels[language] = [ax.get_ylabel() for ax in fig.axes]
            assert fig.axes[0].get_title(loc="left") == "T"
            plt.close(fig)
    assert labels["pt"] == ["pedidos por dia", "latência p95 (ms)", "erros (%)"]
    assert labels["en"] == ["requests a day", "p95 latency (ms)", "errors (%)"]


def test_the_panel_of_inputs_has_a_row_for_each_input_and_a_column_for_each_window(year):
    moved = lender.inputs_moved(year.requests, year.year_before, rng=np.random.default_rng(1))
    ax = lender_plots.plot_inputs(moved, title="T")
    assert len(ax.get_yticklabels()) == len(credit.FEATURES) + 1
    assert [tick.get_text() for tick in ax.get_xticklabels()][:2] == ["1 Jan", "29 Jan"]
    plt.close(ax.figure)


def test_a_rate_is_drawn_from_zero_and_what_was_known_then_beside_the_truth(year):
    truth = lender.default_rate(year.granted, known_by=year.settled)
    promise = (year.promised,) * 3
    ax = lender_plots.plot_default_rate(
        truth, title="T", label="L", reference=promise, incidents=year.ledger
    )
    assert ax.get_ylim()[0] == 0 and ax.get_ylabel() == "L"
    plt.close(ax.figure)

    dates = pd.to_datetime(["2024-06-01", "2024-12-30"], utc=True)
    then = {date: lender.default_rate(year.granted, known_by=date) for date in dates}
    fig = lender_plots.plot_known_then(then, truth=truth, title="T")
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["1 Jun 2024", "30 Dec 2024"]
    for ax, known in zip(fig.axes, then.values(), strict=True):
        drawn = [line.get_ydata().tolist() for line in ax.get_lines()]
        assert truth["value"].tolist() in drawn
        assert known["value"].tolist() in drawn
    plt.close(fig)
