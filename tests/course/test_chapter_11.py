"""Chapter 11: its parameters change what their comments say, and its helpers what theirs do."""

import numpy as np
import pandas as pd
import pytest

from tests.course.running import ran_once
from utils.course import NOTEBOOKS, attacks, queueing
from utils.monitors.sizing import slow_share

SOURCE = NOTEBOOKS / "11_infrastructure_and_security.ipynb"

other = ran_once(
    SOURCE,
    seed=7,
    requests_per_day=36_000,
    mean_service_ms=780.0,
    target_ms=3400.0,
    hourly_price_brl=2.4,
    window_days=10,
    per_day=130,
    scenario="store-a",
    strength=1.2,
    false_alarms_per_year=8.0,
)


@pytest.fixture(scope="module")
def usual():
    return attacks.honest(
        attacks.REFERENCE_FROM,
        days=14,
        per_day=60,
        seed=3,
        scores=lambda rows: rows["debt_share"].rank(pct=True).to_numpy(),
    )


# The parameters


def test_the_traffic_the_price_and_the_strength_are_those_asked_for(other):
    workdays = other["monday"]
    assert 0.95 < len(workdays) / 36_000 < 1.05
    assert other["needs_ms"].mean() == pytest.approx(780, rel=0.02)
    one = other["sized"].iloc[0]
    lived = len(other["next_week"])
    assert one["brl"] == pytest.approx(1000 * 2.4 * 7 * 24 / lived, rel=0.01)
    in_extraction = other["now"]["event_time"].between(
        other["ledger"]["start"][0], other["ledger"]["end"][0], inclusive="left"
    )
    sent = (in_extraction & other["now"]["client"].eq("store-a")).sum()
    assert 1080 <= sent < 1150
    assert other["watch"].false_alarms_per_year == 8.0


def test_the_trend_goes_over_the_days_asked_for(other):
    trend = other["watches"]["trend"]
    assert trend["value"].isna().sum() == 9 * other["samples"]["life"].nunique()


def test_the_store_holds_what_was_kept_and_the_audit_says_what_went(other):
    record = other["record"]
    assert record[["action", "predictions"]].values.tolist() == [["retain", 1], ["erase", 2]]
    assert "529" not in record.to_string()


# The queue


def test_requests_are_served_in_order_by_whoever_is_free_first():
    times = pd.DatetimeIndex(["2024-03-04T00:00:00Z"]).repeat(4)
    seen = queueing.served(times, np.array([100.0, 50.0, 10.0, 10.0]), workers=2)
    assert seen["latency_ms"].tolist() == [100.0, 50.0, 60.0, 70.0]
    assert seen["status"].eq(queueing.OK).all()


def test_the_refused_take_no_worker_and_a_millisecond():
    times = pd.DatetimeIndex(["2024-03-04T00:00:00Z", "2024-03-04T00:00:00.010Z"])
    times = times.append(pd.DatetimeIndex(["2024-03-04T00:00:00.100Z"]))
    seen = queueing.served(times, np.full(3, 100.0), workers=1, most_wait_ms=50.0)
    assert seen["status"].tolist() == [200, 503, 200]
    assert seen["latency_ms"].tolist() == [100.0, 1.0, 100.0]
    assert seen["service_ms"].isna().tolist() == [False, True, False]


def test_waiting_is_what_the_theory_of_queues_says():
    rng = np.random.default_rng(0)
    at = np.cumsum(rng.exponential(1000 / 1.2, 60_000))
    times = queueing.START + pd.to_timedelta((at * 1000).astype("int64"), unit="us")
    needs = rng.exponential(1000.0, len(at))
    seen = queueing.served(pd.DatetimeIndex(times), needs, workers=2)
    expected = slow_share(needs, arrivals_per_s=1.2, servers=2, target_ms=3000.0)
    assert (seen["latency_ms"] > 3000).mean() == pytest.approx(expected, rel=0.05)


def test_no_worker_is_refused():
    with pytest.raises(ValueError, match="workers=0: at least 1 is needed"):
        queueing.served(pd.DatetimeIndex([]), np.empty(0), workers=0)


def test_weekends_are_quieter_and_nights_too():
    times = queueing.arrivals(
        start=queueing.START, days=7, per_day=5000, rng=np.random.default_rng(0)
    )
    per_day = pd.Series(1, index=times).resample("1D").sum()
    assert per_day.iloc[5:].mean() == pytest.approx(0.6 * per_day.iloc[:5].mean(), rel=0.05)
    hour = pd.Series(times.hour)
    assert hour.between(13, 14).sum() > 5 * hour.between(2, 3).sum()


def test_what_leaks_begins_when_it_is_said_to_and_is_never_collected():
    about = {"start": queueing.START, "days": 20, "rng": np.random.default_rng(1)}
    seen = queueing.memory_samples(**about, leak_mb_per_day=30.0, leak_from=10)
    by_day = seen.groupby(seen["sampled_at"].dt.floor("1D"))["memory_bytes"].median() / 1e6
    assert abs(by_day.iloc[9] - by_day.iloc[0]) < 60
    assert by_day.iloc[19] - by_day.iloc[9] == pytest.approx(300, abs=80)


def test_a_cache_fills_and_stays_full():
    about = {"start": queueing.START, "days": 20, "rng": np.random.default_rng(1)}
    seen = queueing.memory_samples(**about, leak_mb_per_day=30.0, leak_from=2, most_mb=150.0)
    by_day = seen.groupby(seen["sampled_at"].dt.floor("1D"))["memory_bytes"].median() / 1e6
    assert by_day.iloc[10] - by_day.iloc[1] == pytest.approx(150, abs=50)
    assert by_day.iloc[19] - by_day.iloc[10] == pytest.approx(0, abs=50)


def test_lives_follow_one_another_and_the_ledger_knows_what_grew():
    kinds = ["leak", "calm", "cache"]
    samples, ledger = queueing.lives(kinds, mb_per_day=15.0, rng=np.random.default_rng(0))
    assert samples["sampled_at"].is_unique and samples["sampled_at"].is_monotonic_increasing
    assert samples.groupby("life").size().eq(48 * queueing.LIFE_DAYS).all()
    leak, cache = ledger.itertuples()
    assert (leak.kind, leak.harmful, cache.kind, cache.harmful) == ("leak", True, "cache", False)
    assert leak.start == queueing.START + 14 * queueing.DAY
    assert leak.end == queueing.START + 56 * queueing.DAY
    assert cache.start == queueing.START + (2 * 56 + 14) * queueing.DAY
    assert cache.end - cache.start == 10 * queueing.DAY


def test_a_life_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="kinds: 'drip'; each is 'calm', 'leak' or 'cache'"):
        queueing.lives(["drip"], mb_per_day=1.0, rng=np.random.default_rng(0))


def test_the_trend_of_a_line_is_its_slope_and_a_new_life_begins_anew():
    at = queueing.START + pd.to_timedelta(np.arange(20), unit="D")
    samples = pd.DataFrame(
        {"sampled_at": at, "memory_bytes": np.tile(np.arange(10.0), 2), "life": [0] * 10 + [1] * 10}
    )
    table = queueing.rising(samples, days=6)
    assert table["value"].isna().tolist() == ([True] * 5 + [False] * 5) * 2
    assert table["value"].dropna().eq(1).all() and table["alarm"].sum() == 10


def test_a_process_that_does_not_grow_rarely_seems_to():
    samples, _ = queueing.lives(["calm"] * 20, mb_per_day=0.0, rng=np.random.default_rng(4))
    table = queueing.rising(samples, days=7)
    assert table["alarm"].sum() / table["value"].notna().sum() < 0.04


def test_the_customary_alarm_rings_on_the_day_of_a_reading_above_the_limit():
    at = queueing.START + pd.to_timedelta([0, 12, 24, 36], unit="h")
    samples = pd.DataFrame({"sampled_at": at, "memory_bytes": [1.0, 2.0, 3.0, 1.0]})
    table = queueing.above(samples, limit_bytes=2.0)
    assert table["value"].tolist() == [2.0, 3.0] and table["alarm"].tolist() == [False, True]


# The attacks


def test_honest_clients_have_their_shares_and_retry_a_little(usual):
    share = usual["client"].value_counts(normalize=True)
    for client, expected in attacks.CLIENTS.items():
        assert share[client] == pytest.approx(expected, abs=0.05)
    again = usual.duplicated(attacks.FEATURES).mean()
    assert 0.002 < again < 0.03


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_an_attacker_sends_in_its_time_with_one_key_and_no_labels(usual, name):
    first, last = attacks.CURRENT_FROM, attacks.CURRENT_FROM + queueing.DAY
    inputs = attacks.ATTACKS[name](usual, n=60, rng=np.random.default_rng(2))
    sent = attacks.sent(inputs, first=first, last=last, client=attacks.ATTACKER)
    assert sent["event_time"].between(first, last, inclusive="left").all() and len(sent) == 60
    assert set(sent["client"]) == {attacks.ATTACKER} and sent["label"].isna().all()
    assert sent[attacks.FEATURES].notna().all(axis=None)


def test_a_leaked_key_brings_people_like_those_seen_and_not_they(usual):
    sent = attacks.leaked_key(usual, n=200, rng=np.random.default_rng(2))
    assert sent["income_brl"].median() == pytest.approx(usual["income_brl"].median(), rel=0.15)
    seen = set(usual[attacks.FEATURES].itertuples(index=False, name=None))
    assert not seen & set(sent[attacks.FEATURES].itertuples(index=False, name=None))


def test_attackers_use_the_key_of_whom_they_are_told_and_no_stranger_has_one(usual):
    about = {"per_day": 20, "seed": 3, "scores": lambda rows: np.full(len(rows), 0.8)}
    now, ledger = attacks.eight_weeks(usual, **about, attacker="store-a")
    first = ledger.iloc[0]
    inside = now[now["event_time"].between(first["start"], first["end"], inclusive="left")]
    assert inside["client"].value_counts().idxmax() == "store-a" and len(ledger) == 7
    with pytest.raises(ValueError, match="attacker='nobody': one of"):
        attacks.eight_weeks(usual, **about, attacker="nobody")


def test_each_attack_is_of_its_own_making(usual):
    about = {"n": 300, "rng": np.random.default_rng(2)}
    probed = attacks.probing(usual, **about)
    assert probed[attacks.FEATURES].nunique().drop("income_brl").eq(1).all()
    assert probed["income_brl"].is_monotonic_increasing
    replayed = attacks.replay(usual, **about)
    assert len(replayed.drop_duplicates(attacks.FEATURES)) <= 3
    copied = attacks.extraction(usual, **about)
    assert copied["income_brl"].skew() < 0.3 < usual["income_brl"].skew()


def test_poison_turns_payers_into_defaulters_of_one_client_in_its_time(usual):
    first = attacks.REFERENCE_FROM + 3 * queueing.DAY
    last = first + 4 * queueing.DAY
    lied = attacks.poisoned(usual, first=first, last=last)
    changed = lied["label"].ne(usual["label"]).fillna(False)
    assert changed.any() and set(usual.loc[changed, "client"]) == {attacks.LIAR}
    assert usual.loc[changed, "event_time"].between(first, last, inclusive="left").all()
    assert set(lied.loc[changed, "label"]) == {0}
    assert lied[attacks.FEATURES].equals(usual[attacks.FEATURES])


def test_the_customary_limit_alarms_above_so_many_times_the_fullest_day(usual):
    first = attacks.CURRENT_FROM
    most = (usual["client"].eq("web")).groupby(usual["event_time"].dt.floor("1D")).sum().max()
    n = int(2 * most) + 1
    burst = usual[usual["client"] == "web"].head(1)
    rows = pd.concat([burst] * n).assign(event_time=first)
    table = attacks.busiest(rows, usual, times=2, days=3)
    alarmed = table[table["alarm"]]
    assert alarmed[["client", "value"]].values.tolist() == [["web", n]]
    assert len(table) == 3 * len(attacks.CLIENTS)
