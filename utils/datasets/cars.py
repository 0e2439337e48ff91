"""Real cars: 406 models sold from 1970 to 1982, whose economy improves over the years.

A model of fuel economy trained on the first years is asked about later ones: the engines changed,
and so did the relation between weight and consumption.

Source: ``cars.json`` of the ``vega_datasets`` package (the StatLib data of Ramos and Donoho, 1983).
It has no year 1981: the cars of 1981 and 1982 are both under 1982.
"""

import json

import pandas as pd

from utils.datasets._files import data_file

NUMERIC_FEATURES = (
    "cylinders",
    "displacement_in3",
    "horsepower_hp",
    "weight_lb",
    "acceleration_s",
)
CATEGORICAL_FEATURES = ("origin",)
FEATURES = NUMERIC_FEATURES + CATEGORICAL_FEATURES
"""What is known of a car. Numbers are ``float64``: a missing one does not change the type."""

TARGET = "miles_per_gallon"

UNITS = {
    "cylinders": "cylinders",
    "displacement_in3": "in³",
    "horsepower_hp": "hp",
    "weight_lb": "lb",
    "acceleration_s": "s from 0 to 60 mph",
    TARGET: "miles per US gallon",
}
"""The unit of each number."""

_COLUMNS = {
    "Name": "name",
    "Origin": "origin",
    "Cylinders": "cylinders",
    "Displacement": "displacement_in3",
    "Horsepower": "horsepower_hp",
    "Weight_in_lbs": "weight_lb",
    "Acceleration": "acceleration_s",
    "Miles_per_Gallon": TARGET,
}


def load() -> pd.DataFrame:
    """Return the 406 cars in the source's order, ``car_id`` being the row's number there.

    ``introduced_at`` is the first moment of ``model_year`` (the day is not recorded);
    ``acceleration_s`` is the time from 0 to 60 mph. What is missing stays missing: the horsepower
    of 6 cars and the fuel economy of 8.

    >>> cars = load()
    >>> len(cars), int(cars["miles_per_gallon"].isna().sum())
    (406, 8)
    """
    text = data_file("vega_datasets", "_data", "cars.json").read_text(encoding="utf-8")
    source = pd.DataFrame(json.loads(text))
    cars = source[list(_COLUMNS)].rename(columns=_COLUMNS)
    for name in (*NUMERIC_FEATURES, TARGET):
        cars[name] = cars[name].astype("float64")
    introduced_at = pd.to_datetime(source["Year"], utc=True).astype("datetime64[us, UTC]")
    cars.insert(0, "car_id", range(len(cars)))
    cars.insert(1, "introduced_at", introduced_at)
    cars.insert(2, "model_year", introduced_at.dt.year.astype("int64"))
    return cars
