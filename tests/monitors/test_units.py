"""A number in another unit: which conversion, of how many rows, and when none explains it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from tests.monitors.columns import COLUMNS, repeated
from utils.datasets import cars, flights
from utils.datasets.incidents import UNIT_CHANGES
from utils.monitors.units import (
    CHANGE_COLUMNS,
    CONVERSIONS,
    VERDICTS,
    Conversion,
    named_units,
    unit_change,
    unit_changes,
)

START = pd.Timestamp("2024-01-01", tz="UTC")
SHAPES = {
    "lognormal": lambda rng, n: rng.lognormal(6, 0.8, n),
    "normal": lambda rng, n: rng.normal(60, 8, n),
    "bounded": lambda rng, n: rng.beta(2, 5, n),
    "whole": lambda rng, n: rng.poisson(40, n).astype(float),
    "signed": lambda rng, n: rng.normal(10, 30, n),
}


def pair(shape, *, name="x", n=3000, m=1500, seed=1):
    rng = np.random.default_rng(seed)
    draw = SHAPES[shape]
    return pd.Series(draw(rng, n), name=name), pd.Series(draw(rng, m), name=name), rng


def conversion(unit, other):
    return next(each for each in CONVERSIONS if (each.unit, each.other) == (unit, other))


# ------------------------------------------------------------------------------ conversions


@pytest.mark.parametrize("each", CONVERSIONS, ids=str)
def test_a_conversion_is_undone_by_its_reverse(each):
    values = np.array([-40.0, 0.0, 1.0, 98.6])
    np.testing.assert_allclose(each.undone(each.applied(values)), values, atol=1e-9)
    np.testing.assert_allclose(each.reversed.applied(each.applied(values)), values, atol=1e-9)
    assert any((r.unit, r.other) == (each.other, each.unit) for r in CONVERSIONS)


@pytest.mark.parametrize(
    ("unit", "other", "before", "after"),
    [
        ("miles", "km", 1000, 1609.344),
        ("°F", "°C", 212, 100),
        ("°C", "K", 0, 273.15),
        ("°F", "K", 32, 273.15),
        ("mph", "m/s", 100, 44.704),
        ("lb", "kg", 2.2046226218, 1),
        ("inHg", "mb", 29.9212555, 1013.25),
        ("hp", "kW", 100, 74.569987158),
        ("gal", "L", 1, 3.785411784),
        ("mpg", "km/L", 235.214583, 100),
        ("in³", "cm³", 1, 16.387064),
        ("degrees", "radians", 180, np.pi),
    ],
)
def test_known_conversions_are_right(unit, other, before, after):
    assert conversion(unit, other).applied(before) == pytest.approx(after, rel=1e-7)


def test_every_conversion_of_the_incidents_is_known():
    for suffix, (other, factor, offset) in UNIT_CHANGES.items():
        units = named_units(f"x{suffix}")
        known = [(each.factor, each.offset) for each in CONVERSIONS if each.unit in units]
        close = [pytest.approx(each, rel=1e-6) == (factor, offset) for each in known]
        assert any(close), (suffix, other)


@pytest.mark.parametrize(
    ("feature", "units"),
    [
        ("distance_miles", ("miles",)),
        ("Temperature_F", ("°F",)),
        ("late_payments_12m", ("months",)),
        ("min", ()),
        ("age", ()),
    ],
)
def test_a_name_may_name_its_unit(feature, units):
    assert named_units(feature) == units


# ------------------------------------------------------------------------------ all the rows


@pytest.mark.parametrize("shape", ["lognormal", "normal", "signed"])
@pytest.mark.parametrize(
    ("name", "unit", "other"),
    [
        ("distance_miles", "miles", "km"),
        ("wait_min", "min", "h"),
        ("wait_min", "min", "s"),
        ("temperature_f", "°F", "°C"),
        ("weight_lb", "lb", "kg"),
        ("power_hp", "hp", "kW"),
        ("debt_share", "share", "%"),
        ("income_brl", "money", "cents"),
        ("income_brl", "a month", "a year"),
        ("pressure_mb", "mb", "inHg"),
    ],
)
def test_the_unit_in_the_name_and_the_conversion_of_all_rows(shape, name, unit, other):
    usual, now, _ = pair(shape, name=name)
    one = conversion(unit, other)
    found = unit_change(usual, one.applied(now))
    assert (found.verdict, found.conversion) == ("converted", one)
    assert found.share > 0.9 and found.high > 0.97
    assert found.distance_after < 0.06 < found.distance_before


def test_the_distance_before_is_kolmogorov_and_smirnovs():
    usual, now, _ = pair("whole", name="speed_mph")
    found = unit_change(usual, now * 1.609344)
    assert found.distance_before == pytest.approx(ks_2samp(usual, now * 1.609344).statistic)
    assert (found.n_reference, found.n_current) == (3000, 1500)


def test_a_rounded_factor_and_rounded_values_are_still_that_conversion():
    usual, now, _ = pair("whole", name="speed_mph")
    for converted in (now * 1.609, (now * 1.609344).round(), (now * 1.609344).round(1)):
        found = unit_change(usual, converted)
        assert (str(found.conversion), found.high) == ("mph → km/h", 1)


def test_without_a_named_unit_the_others_that_fit_are_told():
    usual, now, _ = pair("lognormal")
    found = unit_change(usual, now * 1.609344)
    told = {str(each) for each in (found.conversion, *found.also)}
    assert found.verdict == "converted"
    assert {"miles → km", "mph → km/h"} <= told
    assert all(
        abs(np.log(each.factor / 1.609344)) < 0.1 for each in (found.conversion, *found.also)
    )


def test_the_units_may_be_given():
    usual, now, _ = pair("lognormal")
    found = unit_change(usual, now * 12, units=["years"])
    assert str(found.conversion) == "years → months"
    assert unit_change(usual, now * 12, units=["miles"]).verdict == "scaled"


def test_a_conversion_of_ones_own_is_tried():
    usual, now, _ = pair("lognormal")
    stone = Conversion(unit="stone", other="kg", factor=6.35029318)
    assert unit_change(usual, now * 6.35, conversions=[stone]).conversion == stone


def test_a_factor_that_nobody_knows_is_told_as_a_factor():
    usual, now, _ = pair("lognormal", name="price_usd")
    found = unit_change(usual, now * 5.1)
    assert (found.verdict, found.conversion.unit) == ("scaled", "")
    assert found.conversion.factor == pytest.approx(5.1, rel=0.1)
    assert str(found.conversion) == f"× {found.conversion.factor:.4g}"
    assert found.share == 1 and np.isnan(found.low)


# ----------------------------------------------------------------------------- some of the rows


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    ("shape", "name", "unit", "other"),
    [
        ("normal", "weight_lb", "lb", "kg"),
        ("normal", "temperature_f", "°F", "°C"),
        ("lognormal", "wait_min", "min", "h"),
        ("whole", "tenure_months", "months", "years"),
        ("bounded", "debt_share", "share", "%"),
    ],
)
def test_the_share_of_the_rows_that_were_converted(shape, name, unit, other, share):
    usual, now, rng = pair(shape, name=name)
    hit = rng.random(len(now)) < share
    found = unit_change(usual, now.mask(hit, conversion(unit, other).applied(now)))
    assert str(found.conversion) == f"{unit} → {other}"
    assert found.low - 0.02 < share < found.high + 0.02
    assert found.high - found.low < 0.15


def test_the_interval_of_the_share_covers_it_as_often_as_it_says():
    covered = []
    for seed in range(120):
        usual, now, rng = pair("normal", name="weight_lb", n=400, m=200, seed=seed)
        converted = now.mask(rng.random(200) < 0.3, now * 0.45359237)
        found = unit_change(usual, converted, level=0.9)
        covered.append(found.low < 0.3 < found.high)
    assert 0.82 < np.mean(covered) < 0.97


# ------------------------------------------------------------------------------ and when it is not


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_values_are_unchanged(shape):
    for seed in range(20):
        usual, now, _ = pair(shape, n=500, m=200, seed=seed)
        assert unit_change(usual, now).verdict == "unchanged"


@pytest.mark.parametrize("shape", ["lognormal", "normal", "whole", "signed"])
@pytest.mark.parametrize(
    "drifted",
    [
        lambda x: x + 0.5 * x.std(),
        lambda x: x * 1.25,
        lambda x: x.mean() + (x - x.mean()) * 1.4,
        lambda x: x.mask(np.arange(len(x)) % 3 == 0, x.quantile(0.9)),
    ],
    ids=["moved", "a quarter more", "wider", "a mode"],
)
def test_an_ordinary_drift_is_no_conversion(shape, drifted):
    usual, now, _ = pair(shape)
    found = unit_change(usual, drifted(now))
    assert found.verdict == "otherwise"
    assert found.conversion is None and np.isnan(found.share)
    assert found.distance_before == pytest.approx(ks_2samp(usual, drifted(now)).statistic)


def test_a_drift_is_no_conversion_from_the_unit_in_its_name():
    usual, now, _ = pair("lognormal", name="distance_miles")
    assert unit_change(usual, now * 1.2).verdict == "otherwise"
    assert unit_change(usual, now * 3).conversion.unit == ""


@pytest.mark.parametrize(("n", "m"), [(0, 50), (50, 0), (29, 50), (0, 0)])
def test_too_few_rows_say_so(n, m):
    found = unit_change(pd.Series(range(n), dtype=float), pd.Series(range(m), dtype=float))
    assert (found.verdict, found.n_reference, found.n_current) == ("too few", n, m)
    assert np.isnan(found.distance_before)


@pytest.mark.parametrize("name", COLUMNS)
def test_any_column_has_a_verdict(name):
    column = repeated(name, 80)
    for other in ("int", "float", "mixed", "huge int", "all missing", "str"):
        assert unit_change(column, repeated(other, 80)).verdict in VERDICTS
        assert unit_change(repeated(other, 80), column).verdict in VERDICTS


@pytest.mark.parametrize(
    ("usual", "now"),
    [
        ([0.0] * 50, [0.0] * 50),
        ([0.0] * 50, [5.0] * 50),
        ([3.0] * 50, [3.0 * 1.609344] * 50),
        ([1.7e308, -1.7e308] * 25, [1.0, 2.0] * 25),
        ([1.0, 2.0] * 25, [1.7e308, -1.7e308] * 25),
        ([np.inf] * 10 + [1.0] * 40, [100.0] * 50),
    ],
)
def test_odd_numbers_have_a_verdict(usual, now):
    assert unit_change(pd.Series(usual), pd.Series(now)).verdict in VERDICTS


def test_missing_and_other_values_are_left_out():
    usual, now, _ = pair("lognormal", name="wait_min")
    odd = (now / 60).astype("object")
    odd.iloc[:500] = None
    odd.iloc[500:600] = "n/a"
    found = unit_change(usual, odd)
    assert (str(found.conversion), found.n_current) == ("min → h", 900)


# ----------------------------------------------------------------------------------- by window


def traffic(n, *, start, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event_time": start + pd.Timedelta("10min") * np.arange(n),
            "distance_miles": rng.lognormal(6, 0.8, n),
            "temperature_f": rng.normal(60, 8, n),
            "carrier": rng.choice(["AA", "UA"], n),
        }
    )


def test_each_window_of_each_number_has_a_row():
    usual = traffic(3000, start=START, seed=0)
    now = traffic(3 * 1008, start=START + pd.Timedelta("28D"), seed=1)
    hit = now["event_time"] >= START + pd.Timedelta("35D")
    now.loc[hit, "distance_miles"] *= 1.609344
    last = now["event_time"] >= START + pd.Timedelta("42D")
    now.loc[last, "temperature_f"] = (now.loc[last, "temperature_f"] - 32) * 5 / 9
    before = now.copy()
    table = unit_changes(usual, now)
    assert tuple(table.columns) == CHANGE_COLUMNS
    assert table[["feature", "verdict", "conversion"]].to_numpy().tolist() == [
        ["distance_miles", "unchanged", ""],
        ["distance_miles", "converted", "miles → km"],
        ["distance_miles", "converted", "miles → km"],
        ["temperature_f", "unchanged", ""],
        ["temperature_f", "unchanged", ""],
        ["temperature_f", "converted", "°F → °C"],
    ]
    assert table["window_start"].iloc[:3].tolist() == [
        START + pd.Timedelta(days=d) for d in (28, 35, 42)
    ]
    assert table["factor"].iloc[-1] == pytest.approx(5 / 9)
    assert table["offset"].iloc[-1] == pytest.approx(-160 / 9)
    assert table["share"].iloc[1:3].min() > 0.93
    pd.testing.assert_frame_equal(now, before)


def test_empty_windows_and_columns_that_are_gone_are_too_few():
    usual = traffic(3000, start=START, seed=0)
    now = traffic(2 * 1008, start=START + pd.Timedelta("28D"), seed=1).iloc[:1000]
    table = unit_changes(usual, now.drop(columns="temperature_f"), end=START + pd.Timedelta("42D"))
    assert table["verdict"].tolist() == ["unchanged", "too few", "too few", "too few"]
    assert table["n_current"].tolist() == [1000, 0, 0, 0]
    assert unit_changes(usual, now.iloc[:0]).empty


def test_real_columns_in_every_unit_that_the_incidents_know():
    rng = np.random.default_rng(4)
    frame = cars.load()
    half = rng.random(len(frame)) < 0.5
    for name, other in {
        "displacement_in3": "cm³",
        "weight_lb": "kg",
        "horsepower_hp": "kW",
    }.items():
        _, factor, offset = UNIT_CHANGES["_" + name.rsplit("_", 1)[1]]
        usual, now = frame.loc[half, name], frame.loc[~half, name]
        assert unit_change(usual, now).verdict == "unchanged"
        assert unit_change(usual, now * factor + offset).conversion.other == other


def test_real_delays_in_hours_and_real_miles_in_kilometres():
    frame = flights.load()
    frame = frame[frame["departed_at"].notna()]
    april = pd.Timestamp("2013-04-01", tz="UTC")
    usual = frame[frame["departed_at"] < april]
    now = frame[frame["departed_at"].between(april, april + pd.Timedelta("14D"))]
    changed = now.assign(
        departure_delay_min=now["departure_delay_min"] / 60,
        distance_miles=now["distance_miles"] * 1.609344,
    )
    columns = ["departure_delay_min", "distance_miles"]
    settings = {"features": columns, "time_column": "departed_at", "window": None}
    assert set(unit_changes(usual, now, **settings)["verdict"]) <= {"unchanged", "otherwise"}
    found = unit_changes(usual, changed, **settings)
    assert set(found["conversion"]) == {"min → h", "miles → km"}


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minimum": 1}, "minimum=1: at least 2 is needed"),
        ({"level": 0}, "level=0: a number between 0 and 1"),
        ({"features": ["distance"]}, "features='distance' is no column of the frame"),
        ({"time_column": "time"}, "time_column='time' is no column of the frame"),
    ],
)
def test_what_cannot_be_is_named(settings, message):
    frame = traffic(100, start=START, seed=0)
    with pytest.raises(ValueError, match=message):
        unit_changes(frame, frame, **settings)
