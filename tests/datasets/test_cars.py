"""Cars: the record, with units."""

import pandas as pd

from utils.datasets import cars


def test_every_car_is_there_once():
    frame = cars.load()
    assert frame["car_id"].tolist() == list(range(406))
    assert frame["origin"].value_counts().to_dict() == {"USA": 254, "Japan": 79, "Europe": 73}


def test_the_first_car_is_the_one_of_the_record():
    first = cars.load().iloc[0]
    assert first["name"] == "chevrolet chevelle malibu"
    assert first["miles_per_gallon"] == 18.0
    assert first["weight_lb"] == 3504.0
    assert first["introduced_at"] == pd.Timestamp("1970-01-01", tz="UTC")


def test_what_is_missing_stays_missing():
    missing = cars.load().isna().sum()
    assert missing[missing > 0].to_dict() == {"horsepower_hp": 6, "miles_per_gallon": 8}


def test_features_and_target_are_columns_and_numbers_are_floats():
    frame = cars.load()
    assert set(cars.FEATURES) | {cars.TARGET} <= set(frame.columns)
    assert (frame[list(cars.NUMERIC_FEATURES)].dtypes == "float64").all()


def test_economy_improves_over_the_years_and_there_is_no_1981():
    economy = cars.load().groupby("model_year")["miles_per_gallon"].mean()
    assert 1981 not in economy.index
    assert economy.loc[1980:].min() > 30 > 20 > economy.loc[:1973].mean()
