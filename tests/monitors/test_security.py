"""Security: what honest traffic looks like, and attacks beside it, each found by its own sign."""

import numpy as np
import pandas as pd
import pytest

from tests.monitors.requests_traffic import (
    FEATURES,
    LATER,
    REFERENCE,
    SHARES,
    START,
    TODAY,
    attack,
    honest,
    inputs,
)
from utils.datasets import incidents
from utils.monitors.infrastructure import poisson
from utils.monitors.requests import Requests
from utils.monitors.security import security
from utils.records import MEASUREMENT_COLUMNS, Incident


def found(*attacks, **settings):
    """Return the alarms of three days with attacks in them."""
    frame = pd.concat([TODAY, *attacks]).sort_values("event_time", ignore_index=True)
    table = security(frame, reference=REFERENCE, features=FEATURES, **settings)
    return table[table["alarm"]]


def signs(table, client):
    return set(table.loc[table["group"] == client, "metric"])


# honest traffic ---------------------------------------------------------------------------------


def test_honest_traffic_raises_next_to_no_alarm():
    alarms = windows = 0
    for seed in range(1, 5):
        table = security(
            honest(LATER, 14, seed=seed),
            reference=REFERENCE,
            features=FEATURES,
            score_column="score",
        )
        assert tuple(table.columns) == MEASUREMENT_COLUMNS
        assert set(table["group"]) == {"", *SHARES}
        alarms += table["alarm"].sum()
        windows += table["window_start"].nunique() * table["metric"].nunique()
    assert windows == 4 * 14 * 9
    assert alarms <= 3


def test_what_is_usual_for_a_client_is_no_alarm():
    """A batch job that sends a grid of cases in one minute of every night, in the reference too."""

    def nightly(start, days, first=0):
        night = inputs(400, np.random.default_rng(5)).assign(term_months=6.0, age=30.0)
        parts = [
            night.assign(
                income=night["income"] + first + day,
                client="batch",
                event_time=start + pd.Timedelta(f"{day}D2h"),
            )
            for day in range(days)
        ]
        return pd.concat(parts, ignore_index=True)

    reference = pd.concat([REFERENCE, nightly(START, 28)], ignore_index=True)
    frame = pd.concat([TODAY, nightly(LATER, 3, first=28)], ignore_index=True)
    table = security(frame, reference=reference, features=FEATURES)
    assert not table["alarm"].any()
    strange = frame.assign(client=frame["client"].replace("batch", "web"))
    table = security(strange, reference=reference, features=FEATURES)
    assert "peak_requests_per_minute" in signs(table[table["alarm"]], "web")


# attacks ----------------------------------------------------------------------------------------


def test_a_burst_of_a_known_client_is_found_in_its_window_alone():
    burst = attack(inputs(60, np.random.default_rng(2)), client="branch", minutes=0.9)
    table = found(burst)
    row = table[table["metric"] == "peak_requests_per_minute"]
    assert row["group"].tolist() == ["branch"]
    assert row["window_start"].tolist() == [LATER + pd.Timedelta("1D")]
    peak = row["value"].item()
    assert 30 <= peak <= 65
    np.testing.assert_allclose(row[["low", "high"]].iloc[0].astype(float), poisson(peak))
    assert row["threshold_high"].item() < 20


def test_probing_is_found_by_requests_that_vary_one_input():
    rng = np.random.default_rng(3)
    one = inputs(1, rng).iloc[[0] * 60].reset_index(drop=True)
    probing = one.assign(income=np.linspace(1000, 1500, 60) + rng.random(60))
    table = found(attack(probing, client="partner", minutes=10))
    assert "probing_share" in signs(table, "partner")
    row = table[(table["metric"] == "probing_share") & (table["group"] == "partner")].iloc[0]
    assert 0.2 < row["low"] < row["value"] < row["high"]
    assert row["threshold_high"] < 0.2


@pytest.mark.parametrize("client", ["bot", "partner"])
def test_extraction_by_even_random_inputs_is_found(client):
    rng = np.random.default_rng(4)
    even = pd.DataFrame(
        {
            "income": rng.uniform(0, 9000, 400),
            "debt_share": rng.uniform(0, 0.7, 400),
            "age": np.round(rng.uniform(20, 75, 400)),
            "term_months": rng.choice([3.0, 6.0, 12.0, 24.0], 400),
            "purpose": rng.choice(["home", "school", "health"], 400),
        }
    )
    table = found(attack(even, client=client))
    assert "even_spread_share" in signs(table, client)


def test_extraction_by_a_grid_is_found_in_any_order():
    rng = np.random.default_rng(5)
    levels = {
        "income": np.linspace(1000, 4000, 8),
        "debt_share": np.linspace(0.05, 0.4, 8),
        "age": [30.0, 40.0, 50.0],
        "term_months": [3.0, 6.0],
        "purpose": ["home"],
    }
    grid = pd.MultiIndex.from_product(levels.values(), names=levels).to_frame(index=False)
    table = found(attack(grid.sample(frac=1, random_state=rng)))
    assert "grid_share" in signs(table, "bot")


def test_extraction_near_the_boundary_is_found_by_its_scores():
    rng = np.random.default_rng(6)
    near = inputs(200, rng).assign(score=rng.normal(0.5, 0.005, 200))
    table = found(attack(near, client="shop"), score_column="score", decision=0.5)
    assert "boundary_share" in signs(table, "shop") and "boundary_share" not in signs(table, "app")
    assert "boundary_share" not in set(security_of(TODAY)["metric"])


def security_of(frame, **settings):
    return security(frame, reference=REFERENCE, features=FEATURES, **settings)


def test_values_beyond_the_reference_are_found():
    rows = inputs(40, np.random.default_rng(7)).assign(income=1e6, purpose="yacht")
    table = found(attack(rows, client="app"))
    assert "out_of_range_share" in signs(table, "app") & signs(table, "")


def test_an_unknown_client_is_found_at_its_first_request():
    table = found(attack(inputs(1, np.random.default_rng(8))))
    assert signs(table, "bot") == {"unknown_client_share"}
    assert signs(table, "") == {"unknown_client_share"}
    assert found(known_clients=[*SHARES]).empty
    named = found(known_clients=SHARES[1:])
    assert signs(named, "bank") == signs(named, "") == {"unknown_client_share"}


def test_where_new_clients_come_anyway_a_new_one_is_no_alarm():
    growing = REFERENCE.assign(
        client=REFERENCE["client"].where(REFERENCE["event_time"] < LATER - pd.Timedelta("5D"), "x")
    )
    newcomer = pd.concat([TODAY, attack(inputs(3, np.random.default_rng(9)))])
    table = security(newcomer, reference=growing, features=FEATURES)
    rows = table[table["metric"] == "unknown_client_share"]
    assert not rows["alarm"].any() and rows["threshold_high"].isna().all()
    assert "unknown_client_share" not in [
        line.metric for line in Requests.of(growing, features=FEATURES).lines
    ]
    listed = security(newcomer, reference=growing, features=FEATURES, known_clients=[*SHARES])
    assert "unknown_client_share" in signs(listed[listed["alarm"]], "bot")


def test_a_sleeping_key_that_wakes_up_is_found_by_its_share():
    quiet = REFERENCE[(REFERENCE["client"] != "batch") | (np.arange(len(REFERENCE)) % 10 == 0)]
    table = security(
        pd.concat([TODAY, attack(inputs(400, np.random.default_rng(10)), client="batch")]),
        reference=quiet,
        features=FEATURES,
    )
    assert "client_share" in signs(table[table["alarm"]], "batch")


@pytest.mark.parametrize("kind", ["replays", "duplicates"])
def test_replays_and_duplicates_of_the_ledger_are_found_while_they_last(kind):
    incident = Incident(
        kind=kind,
        start=LATER + pd.Timedelta("3D"),
        end=LATER + pd.Timedelta("5D"),
        strength=0.1,
    )
    traffic = honest(START, 35, seed=11)
    frame, _ = incidents.inject(
        traffic, [incident], rng=np.random.default_rng(0), time_column="event_time"
    )
    table = security(
        frame[frame["event_time"] >= LATER],
        reference=frame[frame["event_time"] < LATER],
        features=FEATURES,
    )
    rows = table[(table["metric"] == "replayed_share") & (table["group"] == "")]
    assert rows["alarm"].tolist() == [False, False, False, True, True, False, False]
    assert rows["value"].iloc[[3, 4]].between(0.05, 0.15).all()


# what is refused, and what is said of little ----------------------------------------------------


def test_too_few_requests_give_nan_with_their_number():
    table = security_of(TODAY.head(20)).set_index(["metric", "group"])
    assert np.isnan(table.loc[("replayed_share", ""), "value"])
    assert table.loc[("replayed_share", ""), "n_current"] == 20
    assert table.loc[("peak_requests_per_minute", "bank"), "value"] >= 1
    assert security_of(TODAY.head(0)).empty


def test_only_the_busiest_clients_are_listed_and_everyone_counts():
    whole, part = security_of(TODAY), security_of(TODAY, most_clients=2)
    assert set(part["group"]) == {"", "bank", "app"}
    columns = ["metric", "group", "window_start", "value", "low", "high", "n_current"]
    shares = whole["metric"].str.endswith("_share") & whole["group"].isin(["", "bank", "app"])
    left, right = whole[shares], part[part["metric"].str.endswith("_share")]
    left, right = (t[t["metric"] != "grid_share"] for t in (left, right))
    pd.testing.assert_frame_equal(*(t[columns].reset_index(drop=True) for t in (left, right)))


def test_very_many_clients_take_no_more_memory_than_the_busiest():
    n = 20_000
    rng = np.random.default_rng(13)
    frame = inputs(n, rng).assign(
        event_time=START + pd.Timedelta("4min") * np.arange(n),
        client=[f"10.0.{i // 250}.{i % 250}" for i in range(n)],
    )
    first, later = frame.head(15_000), frame.tail(5_000)
    table = security(later, reference=first, features=FEATURES)
    assert table["group"].nunique() == 51
    of_all = table[table["group"] == ""]
    assert of_all.groupby("metric")["n_current"].sum()["replayed_share"] == 5_000
    assert not table["alarm"].any()


def test_nothing_changes_its_inputs():
    frame, reference = TODAY.copy(deep=True), REFERENCE.copy(deep=True)
    security_of(TODAY)
    pd.testing.assert_frame_equal(frame, TODAY)
    pd.testing.assert_frame_equal(reference, REFERENCE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": ["incomes"]}, "features='incomes' is no column of the frame; did you mean"),
        ({"features": "income"}, "features='income': a list of names is needed"),
        ({"features": []}, "features=[]: a list of names is needed"),
        ({"reference": REFERENCE.head(0)}, "reference has no rows"),
        ({"client_column": "user"}, "client_column='user'"),
        ({"known_clients": "bank"}, "known_clients='bank': a list of names is needed"),
        ({"score_column": "scores"}, "score_column='scores'"),
        ({"time_column": "at"}, "time_column='at'"),
        ({"minimum": 0}, "minimum=0: at least 1"),
        ({"most_clients": 0}, "most_clients=0: at least 1"),
        ({"chance": 1}, "chance=1: a probability"),
        ({"level": 95}, "level=95"),
        ({"memory": "x"}, "memory='x'"),
    ],
)
def test_a_misuse_is_named(settings, message):
    with pytest.raises(ValueError) as error:
        security(TODAY, **{"reference": REFERENCE, "features": FEATURES} | settings)
    assert message in str(error.value)
