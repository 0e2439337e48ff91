"""Drift by window: equal to scipy's distances, with intervals that hold, of whatever columns."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from scipy.spatial import distance as oracle

from tests.monitors.columns import COLUMNS, repeated
from utils.monitors import distances
from utils.monitors.drift import METRICS, Distances, drift, inputs, note, quiet_drift
from utils.monitors.profile import Binning
from utils.records import MEASUREMENT_COLUMNS
from utils.text import LANGUAGES, metric_name, using

MONDAY = pd.Timestamp("2013-01-07", tz="UTC")
P_VALUES = {"ks_p_value", "chi_squared_p_value"}


def seeded(seed=7):
    return np.random.default_rng(seed)


def times(n, *, per_day=50, start=MONDAY):
    return start + pd.Timedelta("1D") / per_day * np.arange(n)


def trips(n, *, seed=0, shift=0.0, moon=0.0, per_day=50, day_sd=0.0):
    """Return trips whose length moves by ``shift``, with a share of ``moon`` to nowhere known."""
    rng = np.random.default_rng(seed)
    of_day = rng.normal(0, day_sd, size=n // per_day + 1)[np.arange(n) // per_day]
    purpose = rng.choice(["home", "school", "work"], p=[0.5, 0.3, 0.2], size=n).astype(object)
    purpose[rng.random(n) < moon] = "moon"
    return pd.DataFrame(
        {
            "event_time": times(n, per_day=per_day),
            "km": rng.normal(10, 1, n) + shift + of_day,
            "purpose": purpose,
        }
    )


def values(table, feature):
    return table[table["feature"] == feature].set_index("metric")["value"]


def counts(binning, frame, feature):
    return binning.counts(frame)[0, binning.cells(feature)][:-1]


# ------------------------------------------------------------------------------- values, by oracle


def test_each_metric_is_what_scipy_computes():
    reference, current = trips(4000), trips(900, seed=1, shift=0.3, moon=0.1)
    table = drift(reference, current, rng=seeded(), window=None, metrics=METRICS)
    binning = Binning.fitted(reference, features=["km", "purpose"])
    for feature in ("km", "purpose"):
        r, c = (counts(binning, frame, feature) for frame in (reference, current))
        p, q = r / r.sum(), c / c.sum()
        some = (r + c) > 0
        chi = stats.chi2_contingency([r[some], c[some]], correction=False)
        apart = np.abs(np.cumsum(p - q) if feature == "km" else p - q).max()
        floored = [np.maximum(each, 1e-4) for each in (p, q)]
        expected = {
            "psi": ((floored[1] - floored[0]) * np.log(floored[1] / floored[0])).sum(),
            "jensen_shannon": oracle.jensenshannon(p, q, base=2),
            "hellinger": oracle.euclidean(np.sqrt(p), np.sqrt(q)) / np.sqrt(2),
            "chi_squared": chi.statistic,
            "chi_squared_p_value": chi.pvalue,
            "l_infinity": apart,
            "l_infinity_robust": max(0, apart - 1.8 * (4900 / (4000 * 900)) ** 0.5),
            "chebyshev": oracle.chebyshev(p, q),
        }
        if feature == "km":
            ks = stats.ks_2samp(reference["km"], current["km"], method="asymp")
            way = stats.wasserstein_distance(reference["km"], current["km"])
            expected |= {
                "kolmogorov_smirnov": ks.statistic,
                "ks_p_value": ks.pvalue,
                "normalized_wasserstein": way / np.std(reference["km"]),
            }
        assert dict(values(table, feature)) == pytest.approx(expected), feature


def test_each_window_is_compared_with_the_whole_reference():
    reference, current = trips(3000), trips(1000, seed=1, shift=0.4)
    table = drift(reference, current, rng=seeded(), features=["km"], metrics=METRICS)
    one = table[table["metric"] == "kolmogorov_smirnov"]
    assert one["window_start"].tolist() == [MONDAY + k * pd.Timedelta("7D") for k in range(3)]
    assert (one["window_end"] - one["window_start"] == pd.Timedelta("7D")).all()
    assert one["n_current"].tolist() == [350, 350, 300]
    assert (one["n_reference"] == 3000).all()
    for row in one.itertuples():
        time = current["event_time"]
        inside = current.loc[(time >= row.window_start) & (time < row.window_end), "km"]
        assert row.value == pytest.approx(stats.ks_2samp(reference["km"], inside).statistic)


def test_the_rows_may_be_in_any_order():
    reference, current = trips(1000), trips(1000, seed=1, shift=0.4, moon=0.2)
    shuffled = current.sample(frac=1, random_state=0)
    for block in (None, "1D"):
        expected, found = (
            drift(reference, frame, rng=seeded(), metrics=METRICS, block=block)
            for frame in (current, shuffled)
        )
        pd.testing.assert_frame_equal(found, expected)


def test_the_table_is_the_measurements_table_in_the_order_asked_for():
    table = drift(
        trips(500), trips(500, seed=1), rng=seeded(), metrics=["psi", "ks_p_value", "psi"]
    )
    assert tuple(table.columns) == MEASUREMENT_COLUMNS
    assert table[["metric", "feature"]].drop_duplicates().to_numpy().tolist() == [
        ["psi", "km"],
        ["psi", "purpose"],
        ["ks_p_value", "km"],
    ]
    assert (table["monitor"] == "drift").all() and not table["alarm"].any()


def test_windows_lie_between_start_and_end_and_empty_ones_are_there():
    current = trips(1400, seed=1)
    hole = (current["event_time"] >= MONDAY + pd.Timedelta("7D")) & (
        current["event_time"] < MONDAY + pd.Timedelta("14D")
    )
    table = drift(
        trips(500),
        current[~hole],
        rng=seeded(),
        features=["km"],
        metrics=["psi"],
        start="2013-01-08T00:00Z",
        end="2013-01-30T00:00Z",
    )
    assert table["window_start"].dt.strftime("%d").tolist() == ["08", "15", "22", "29"]
    assert table["window_end"].iloc[-1] == pd.Timestamp("2013-01-30", tz="UTC")
    assert table["n_current"].tolist() == [300, 50, 350, 50]
    assert drift(trips(500), current.head(0), rng=seeded()).empty


def test_too_few_rows_are_not_judged_and_missing_ones_do_not_count():
    current = trips(350, seed=1)
    current.loc[40:, "km"] = np.nan
    settings = {"window": None, "metrics": METRICS, "rng": seeded()}
    known = drift(trips(500), current, minimum=40, **settings)
    assert known["value"].notna().all()
    assert set(known[known["feature"] == "km"]["n_current"]) == {40}
    unknown = drift(trips(500), current, minimum=41, **settings)
    of_km = unknown["feature"] == "km"
    assert unknown[of_km][["value", "low", "high"]].isna().all(axis=None)
    assert unknown[~of_km]["value"].notna().all()
    few = drift(trips(39), current, minimum=40, **settings)
    assert few["value"].isna().all() and (few["n_reference"] == 39).all()


def test_missing_values_change_no_distance():
    reference, current = trips(800), trips(700, seed=1, shift=0.2)
    holed = pd.concat([current, current.assign(km=np.nan, purpose=None)])
    for block in (None, "1D"):
        expected, found = (
            drift(reference, frame, rng=seeded(), metrics=METRICS, block=block, window=None)
            for frame in (current, holed)
        )
        pd.testing.assert_frame_equal(found, expected)


# ---------------------------------------------------------------------------- columns of every kind

NUMBERS = np.random.default_rng(5).integers(0, 300, 600)
DAYS = pd.Series(pd.Timestamp("2013-01-01") + pd.to_timedelta(NUMBERS, "D"))
AS_NUMBERS = {
    "int64": pd.Series(NUMBERS),
    "float32": pd.Series(NUMBERS).astype("float32"),
    "Int64": pd.Series(NUMBERS).astype("Int64"),
    "Arrow": pd.Series(NUMBERS).astype(pd.ArrowDtype(pa.int16())),
    "Arrow, missing": pd.Series([None, *NUMBERS[1:]], dtype=pd.ArrowDtype(pa.float64())),
    "objects": pd.Series(list(NUMBERS), dtype=object),
    "decimals": pd.Series([decimal.Decimal(int(each)) for each in NUMBERS], dtype=object),
    "moments": DAYS,
    "moments with a zone": DAYS.dt.tz_localize("America/New_York").dt.as_unit("ns"),
    "dates": pd.Series([each.date() for each in DAYS], dtype=object),
    "lengths of time": pd.Series(pd.to_timedelta(NUMBERS, "h")),
    "lengths, missing": pd.Series([pd.NaT, *pd.to_timedelta(NUMBERS[1:], "h")]),
    "Arrow's moments": DAYS.astype(pd.ArrowDtype(pa.timestamp("ms"))),
}


@pytest.mark.parametrize("column", AS_NUMBERS.values(), ids=AS_NUMBERS.keys())
def test_numbers_of_any_type_are_ordered_as_numbers(column):
    frame = pd.DataFrame({"event_time": times(600), "x": column})
    reference, current = frame.head(400), frame.tail(200)
    table = drift(
        reference,
        current,
        rng=seeded(),
        window=None,
        metrics=["kolmogorov_smirnov", "normalized_wasserstein"],
    )
    there = np.where(column.isna(), np.nan, NUMBERS)
    before, now = (each[~np.isnan(each)] for each in (there[:400], there[400:]))
    ks, way = table["value"]
    assert ks == pytest.approx(stats.ks_2samp(before, now).statistic)
    assert way == pytest.approx(stats.wasserstein_distance(before, now) / np.std(before), rel=1e-2)
    assert (table["n_reference"] == len(before)).all()
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()


def test_numbers_of_other_types_than_the_reference_are_numbers_still():
    frame = pd.DataFrame({"event_time": times(600), "x": NUMBERS})
    settings = {"window": None, "metrics": METRICS}
    expected = drift(frame.head(400), frame.tail(200), rng=seeded(), **settings)
    for of in (str, "category", "float32", pd.ArrowDtype(pa.string())):
        current = frame.tail(200).assign(x=lambda f, of=of: f["x"].astype(of))
        found = drift(frame.head(400), current, rng=seeded(), **settings)
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("of", [str, bool, "category", "string", object])
def test_categories_of_any_type_are_counted(of):
    words = pd.Series(np.array(["", "a"])[NUMBERS % 2]).astype(of)
    frame = pd.DataFrame({"event_time": times(600), "x": words})
    table = drift(frame.head(400), frame.tail(200), rng=seeded(), window=None, metrics=METRICS)
    odd = NUMBERS % 2
    shares = [[1 - part.mean(), part.mean()] for part in (odd[:400], odd[400:])]
    found = values(table, "x")
    assert found["jensen_shannon"] == pytest.approx(oracle.jensenshannon(*shares, base=2))
    assert "kolmogorov_smirnov" not in found and "normalized_wasserstein" not in found


def test_a_category_that_the_reference_never_had_counts():
    reference, current = trips(900), trips(900, moon=0.2)
    table = drift(reference, current, rng=seeded(), window=None, metrics=["jensen_shannon"])
    row = table.set_index("feature").loc["purpose"]
    assert row["low"] > 0.2
    assert table.set_index("feature").loc["km", "value"] == 0


def test_constant_missing_and_infinite_columns():
    n = 200
    frame = pd.DataFrame(
        {
            "event_time": times(n),
            "constant": 5.0,
            "none": np.full(n, np.nan),
            "nothing": pd.Series([None] * n, dtype=object),
            "infinite": np.where(np.arange(n) < 20, np.inf, np.arange(n)),
        }
    )
    table = drift(frame, frame, rng=seeded(), window=None, metrics=METRICS)
    found = table.set_index(["feature", "metric"])
    assert found.loc[("constant", "jensen_shannon"), "value"] == 0
    assert np.isnan(found.loc[("constant", "jensen_shannon"), "high"])
    assert found.loc[("constant", "normalized_wasserstein"), "value"] == 0
    assert found.loc["none"]["value"].isna().all() and found.loc["nothing"]["value"].isna().all()
    assert found.loc[("infinite", "kolmogorov_smirnov"), "value"] == 0
    assert np.isnan(found.loc[("infinite", "normalized_wasserstein"), "value"])
    moved = drift(frame, frame.assign(constant=6.0), rng=seeded(), window=None, metrics=METRICS)
    moved = moved.set_index(["feature", "metric"]).loc["constant"]
    assert moved.loc["normalized_wasserstein", "value"] == np.inf
    assert moved.loc["jensen_shannon", "value"] == moved.loc["kolmogorov_smirnov", "value"] == 1


def test_a_column_that_the_window_lacks_has_no_rows():
    table = drift(trips(300), trips(300)[["event_time", "purpose"]], rng=seeded(), metrics=METRICS)
    of_km = table[table["feature"] == "km"]
    assert of_km["value"].isna().all() and (of_km["n_current"] == 0).all()


def test_predictions_scores_and_labels_are_columns_like_any_other():
    reference, current = (
        trips(1000, seed=seed).assign(
            score=lambda f: 1 / (1 + np.exp(10 - f["km"])),
            prediction=lambda f: (f["score"] > 0.5).astype(int),
            label=lambda f: f["prediction"].where(np.arange(len(f)) % 4 > 0),
            label_known_at=lambda f: f["event_time"],
            prediction_id=lambda f: np.arange(len(f)),
        )
        for seed in (0, 1)
    )
    assert inputs(reference) == ["km", "purpose"]
    settings = {"rng": seeded(), "window": None, "metrics": ["jensen_shannon", "chebyshev"]}
    assert set(drift(reference, current, **settings)["feature"]) == {"km", "purpose"}
    table = drift(reference, current, features=["label"], monitor="label_drift", **settings)
    assert set(table["monitor"]) == {"label_drift"} and (table["n_current"] == 750).all()
    gap = abs(reference["label"].mean() - current["label"].mean())
    assert values(table, "label")["chebyshev"] == pytest.approx(gap)


# --------------------------------------------------------------------------------------- intervals


def covered(table, truth):
    there = table.dropna(subset=["low"])
    assert len(there)
    inside = (there["low"] <= there["metric"].map(truth)) & (
        there["metric"].map(truth) <= there["high"]
    )
    return inside.groupby(there["metric"]).mean()


INTERVALS_OF = ["psi", "jensen_shannon", "kolmogorov_smirnov", "normalized_wasserstein"]


def between_populations(shift):
    """Return the distances between N(0, 1) in its own deciles, and the same moved by ``shift``."""
    edges = stats.norm.ppf(np.linspace(0, 1, 11)[1:-1])
    shares = [np.diff(stats.norm.cdf(edges, at), prepend=0, append=1) for at in (0, shift)]
    at_middle = stats.norm.cdf(shift / 2) - stats.norm.cdf(-shift / 2)
    return {
        "psi": distances.psi(*shares),
        "jensen_shannon": distances.jensen_shannon(*shares),
        "kolmogorov_smirnov": at_middle,
        "normalized_wasserstein": shift,
    }


@pytest.mark.parametrize("shift", [0.4, 0.9])
def test_intervals_hold_the_distance_of_the_populations(shift):
    tables = [
        drift(
            trips(3000, seed=seed),
            trips(350, seed=1000 + seed, shift=shift),
            rng=seeded(seed),
            features=["km"],
            metrics=INTERVALS_OF,
            draws=150,
        )
        for seed in range(100)
    ]
    found = covered(pd.concat(tables), between_populations(shift))
    assert (found >= 0.9).all() and (found < 1).any(), found


def test_intervals_of_quiet_windows_begin_at_zero():
    tables = [
        drift(
            trips(2000, seed=seed),
            trips(1400, seed=1000 + seed),
            rng=seeded(),
            metrics=["jensen_shannon", "hellinger", "chebyshev", "kolmogorov_smirnov"],
            draws=100,
        )
        for seed in range(10)
    ]
    table = pd.concat(tables)
    assert (table["value"] > 0).all()
    assert (table["low"] == 0).groupby(table["metric"]).mean().min() >= 0.95


def test_days_that_go_their_own_way_widen_the_interval_until_it_holds():
    truth = {"normalized_wasserstein": 0.5 / np.hypot(1, 0.5)}
    by = {}
    for block in (None, "1D"):
        tables = [
            drift(
                trips(5000, seed=seed, day_sd=0.5),
                trips(1400, seed=1000 + seed, shift=0.5, day_sd=0.5),
                rng=seeded(),
                features=["km"],
                metrics=["normalized_wasserstein"],
                block=block,
                draws=100,
            )
            for seed in range(25)
        ]
        by[block] = covered(pd.concat(tables), truth)["normalized_wasserstein"]
    assert by["1D"] >= 0.88
    assert by[None] < 0.7


@pytest.mark.parametrize("block", [None, "1D"])
def test_values_lie_in_their_intervals_and_these_where_the_distance_can_be(block):
    reference = trips(1000)
    for shift in (0.0, 0.5, 9.0):
        table = drift(
            reference,
            trips(700, seed=1, shift=shift, moon=shift / 10),
            rng=seeded(),
            metrics=METRICS,
            block=block,
        )
        some = table[table["low"].notna()]
        assert len(some) > 10
        assert (some["low"] <= some["value"]).all() and (some["value"] <= some["high"]).all()
        assert (some["low"] >= 0).all()
        bounded = ~some["metric"].isin(["psi", "chi_squared", "normalized_wasserstein"])
        assert (some[bounded]["high"] <= 1).all()


def test_p_values_have_no_interval_and_distances_have_one():
    table = drift(trips(900), trips(350, seed=1), rng=seeded(), metrics=METRICS)
    is_p_value = table["metric"].isin(P_VALUES)
    assert table[is_p_value][["low", "high"]].isna().all(axis=None)
    assert table[~is_p_value][["low", "high"]].notna().all(axis=None)


def test_one_block_has_a_value_and_no_interval():
    table = drift(trips(500), trips(50, seed=1), rng=seeded(), block="1D", metrics=["psi"])
    assert table["value"].notna().all() and table["low"].isna().all()


def test_the_robust_interval_is_that_of_the_simple_one_less_what_is_taken_off():
    table = drift(
        trips(3000),
        trips(700, seed=1, shift=0.6),
        rng=seeded(),
        window=None,
        features=["km"],
        metrics=["l_infinity_robust", "l_infinity"],
    ).set_index("metric")[["value", "low", "high"]]
    off = 1.8 * (3700 / (3000 * 700)) ** 0.5
    expected = np.maximum(table.loc["l_infinity"] - off, 0)
    assert table.loc["l_infinity_robust"].tolist() == pytest.approx(expected.tolist())


def test_a_higher_level_and_fewer_rows_widen_intervals():
    settings = {"rng": seeded(), "window": None, "features": ["km"], "metrics": ["hellinger"]}

    def width(n, level):
        row = drift(trips(3000), trips(n, seed=1, shift=0.6), level=level, **settings).iloc[0]
        return row["high"] - row["low"]

    assert width(2000, 0.5) < width(2000, 0.95) < width(200, 0.95)


def test_the_draws_of_a_window_are_its_own():
    reference, current = trips(900), trips(1050, seed=1, shift=0.3)
    whole = drift(reference, current, rng=seeded(), metrics=METRICS)
    week = MONDAY + pd.Timedelta("7D")
    part = drift(
        reference,
        current[current["event_time"] >= week],
        rng=seeded(),
        features=["km"],
        metrics=["normalized_wasserstein", "psi"],
    )
    keys = ["metric", "feature", "window_start"]
    both = part.merge(whole, on=keys, suffixes=("", "_whole"))
    assert len(both) == len(part) == 4
    assert (both["low"] == both["low_whole"]).all() and (both["high"] == both["high_whole"]).all()
    other = drift(reference, current, rng=seeded(8), metrics=METRICS)
    assert (other["value"].fillna(-1) == whole["value"].fillna(-1)).all()
    assert not (other["high"].fillna(-1) == whole["high"].fillna(-1)).all()


# --------------------------------------------------------------------------- what quiet would show


def test_quiet_distances_are_those_of_samples_of_one_population():
    metrics = ["jensen_shannon", "psi", "kolmogorov_smirnov", "normalized_wasserstein"]
    reference, current = trips(2000), trips(350, seed=1, shift=2.0)
    settings = {"features": ["km"], "metrics": metrics}
    quiet = quiet_drift(reference, current, rng=seeded(), draws=400, **settings)
    seen = pd.concat(
        [
            drift(
                trips(2000, seed=2 * seed + 10),
                trips(350, seed=2 * seed + 11),
                rng=seeded(),
                draws=1,
                **settings,
            )
            for seed in range(100)
        ]
    ).groupby("metric")["value"]
    quiet = quiet.set_index("metric")
    assert (quiet["n_current"] == 350).all()
    for metric in metrics:
        assert quiet.loc[metric, "value"] == pytest.approx(seen.mean()[metric], rel=0.1), metric
        assert quiet.loc[metric, "high"] == pytest.approx(seen.quantile(0.975)[metric], rel=0.2)
        assert quiet.loc[metric, "low"] == pytest.approx(seen.quantile(0.025)[metric], rel=0.2)


def test_quiet_distances_shrink_with_the_rows_and_grow_with_days_that_go_their_own_way():
    reference = trips(5000, day_sd=0.5)
    settings = {"rng": seeded(), "window": None, "features": ["km"], "metrics": ["hellinger"]}
    small, large = (quiet_drift(reference, trips(n), **settings) for n in (350, 1400))
    by_day = quiet_drift(reference, trips(350), block="1D", **settings)
    assert large["high"][0] < small["low"][0] * 1.5
    assert small["value"][0] == pytest.approx(2 * large["value"][0], rel=0.25)
    assert by_day["value"][0] > 1.3 * small["value"][0]


def test_quiet_p_values_have_no_row():
    table = quiet_drift(trips(500), trips(400), rng=seeded(), metrics=["psi", "ks_p_value"])
    assert set(table["metric"]) == {"psi"}


# -------------------------------------------------------------------------------- sums over blocks


OVER_COUNTS = [
    name
    for name in METRICS
    if name not in ("normalized_wasserstein", "kolmogorov_smirnov", "ks_p_value")
]


def in_blocks(measure, frame, n_blocks):
    return measure.cells(frame, np.arange(len(frame)) * n_blocks // len(frame), n_blocks)


@pytest.mark.parametrize("metric", OVER_COUNTS)
def test_the_measure_says_what_drift_says(metric):
    reference, current = trips(2000), trips(700, seed=1, shift=0.2, moon=0.1)
    measure = Distances.of(reference, metric=metric)
    found = measure.values(
        in_blocks(measure, current, 7).sum(axis=0), in_blocks(measure, reference, 20).sum(axis=0)
    )
    table = drift(reference, current, rng=seeded(), window=None, metrics=[metric])
    assert found.tolist() == pytest.approx(table["value"].tolist())
    assert [line.feature for line in measure.lines] == table["feature"].tolist()


@pytest.mark.parametrize("metric", OVER_COUNTS)
def test_the_measure_takes_any_number_of_windows_at_once(metric):
    reference, current = trips(2000), trips(700, seed=1, shift=0.2, moon=0.1)
    reference.loc[:50, "km"] = np.nan
    measure = Distances.of(reference, metric=metric)
    before, now = in_blocks(measure, reference, 3), in_blocks(measure, current, 7)
    now[0] = 0
    many = measure.values(now[:, None, :], before[None])
    assert many.shape == (7, 3, 2) and np.isnan(many[0]).all()
    for i in range(1, 7):
        for j in range(3):
            np.testing.assert_allclose(many[i, j], measure.values(now[i], before[j]))
    assert measure.counts(now)[1:].tolist() == [[100, 100]] * 6
    assert measure.counts(now)[0].tolist() == [0, 0]
    assert measure.counts(before)[0, 0] == in_blocks(measure, reference, 3)[0, :11].sum() - 51


def test_the_lines_of_the_measure():
    frame = trips(200).assign(label=1.0, prediction=0.0)
    lines = Distances.of(frame, metric="psi", minimum=50).lines
    assert [(each.monitor, each.metric, each.feature) for each in lines] == [
        ("drift", "psi", "km"),
        ("drift", "psi", "purpose"),
    ]
    assert {(each.side, each.scale, each.minimum, each.labelled) for each in lines} == {
        ("high", "log", 50, False)
    }
    [line] = Distances.of(
        frame,
        features=["label"],
        metric="chi_squared_p_value",
        monitor="label_drift",
        labelled=True,
    ).lines
    assert (line.monitor, line.feature, line.side, line.labelled) == (
        "label_drift",
        "label",
        "low",
        True,
    )


def test_a_measure_of_nothing_has_no_lines():
    measure = Distances.of(trips(20), features=[])
    empty = np.zeros((4, 0))
    assert measure.lines == () and measure.n_cells == 0
    assert measure.values(empty, empty[:1]).shape == measure.counts(empty).shape == (4, 0)


# -------------------------------------------------------------------------- refusals, and the notes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": "psi"}, r"metrics='psi': a list of names is needed, such as \['psi'\]"),
        ({"metrics": ["psy"]}, "metrics: 'psy' is no metric of drift; did you mean 'psi'"),
        ({"features": ["kms"]}, "features: 'kms' is no column of the reference; .*'km'"),
        (
            {"features": ["purpose"], "metrics": ["kolmogorov_smirnov"]},
            r"metrics=\['kolmogorov_smirnov'\] are of numbers, and no feature is one \(purpose\)",
        ),
        ({"minimum": 0}, "minimum=0: at least 1 is needed"),
        ({"draws": 0}, "draws=0: at least 1 is needed"),
        ({"level": 1.0}, "level=1.0: a number between 0 and 1"),
        ({"n_bins": 1}, "n_bins=1: 2 or more"),
        ({"window": "a month"}, "window='a month': a positive, fixed length"),
        ({"window": "1D", "block": "2D"}, "block='2D' is longer than window='1D'"),
        ({"time_column": "time"}, "time_column='time' is no column of the frame"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(settings, message):
    for of in (drift, quiet_drift):
        with pytest.raises(ValueError, match=message):
            of(trips(50), trips(50), rng=seeded(), **settings)


def test_a_measure_of_values_is_refused():
    with pytest.raises(ValueError, match="metric='kolmogorov_smirnov' is none that counts suffice"):
        Distances.of(trips(50), metric="kolmogorov_smirnov")


def test_only_blocks_need_the_time_of_the_reference():
    without = trips(500)[["km", "purpose"]]
    assert drift(without, trips(500), rng=seeded())["value"].notna().all()
    with pytest.raises(ValueError, match="time_column='event_time' is no column of the frame"):
        drift(without, trips(500), rng=seeded(), block="1D")


def test_nothing_changes_its_inputs():
    reference, current = trips(300), trips(300, seed=1)
    copies = reference.copy(), current.copy()
    drift(reference, current, rng=seeded(), metrics=METRICS, block="1D")
    quiet_drift(reference, current, rng=seeded(), metrics=METRICS)
    pd.testing.assert_frame_equal(reference, copies[0])
    pd.testing.assert_frame_equal(current, copies[1])


OF_DOMAIN = [
    "domain_auc",
    "domain_auc_drop",
    "loss_change",
    "loss_change_by_inputs",
    "loss_change_by_concept",
]


@pytest.mark.parametrize("metric", [*METRICS, *OF_DOMAIN])
def test_every_metric_has_a_name_and_a_note_in_both_languages(metric):
    said = []
    for language in LANGUAGES:
        with using(language):
            assert metric_name(metric) != metric.replace("_", " ")
            said.append(note(metric))
    assert len(set(said)) == 2


def test_a_metric_without_a_note_is_refused():
    with pytest.raises(ValueError, match="metric='psy' has no note; did you mean 'psi'"):
        note("psy")


def test_dates_are_no_category():
    days = pd.Series([datetime.date(2013, 1, 1 + k % 28) for k in range(300)], dtype=object)
    frame = pd.DataFrame({"event_time": times(300), "day": days})
    table = drift(frame, frame, rng=seeded(), window=None, metrics=["kolmogorov_smirnov"])
    assert table["value"].tolist() == [0.0]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_is_not_apart_from_itself(name):
    n = 120
    frame = pd.DataFrame({"event_time": times(n), "x": repeated(name, n)})
    metrics = [each for each in METRICS if each not in P_VALUES]
    table = drift(
        frame, frame, rng=seeded(), window=None, metrics=metrics, features=["x"], draws=20
    )
    assert ((table["value"] == 0) | table["value"].isna()).all()
    binning = Binning.fitted(frame, features=["x"])
    assert (table["n_current"] == counts(binning, frame, "x").sum()).all()
    if table["n_current"].max() >= 30 and name not in ("float", "huge int"):
        assert table["value"].notna().all()


def test_what_moved_most_is_told_with_its_shares_in_both_languages():
    reference = pd.DataFrame({"purpose": ["home"] * 60 + ["school"] * 40})
    current = pd.DataFrame({"purpose": ["home"] * 30 + ["school"] * 35 + ["boat"] * 35})
    measure = Distances.of(reference, features=["purpose"])
    sums = [measure.cells(each, np.zeros(100, dtype=int), 1)[0] for each in (current, reference)]
    with using("en"):
        assert measure.moved(0, *sums) == (
            "What moved most: values never seen, from 0% to 35% of the values."
        )
    with using("pt"):
        assert measure.moved(0, *sums).startswith(
            "O que mais mudou: valores inéditos, de 0% para 35%"
        )
    assert measure.moved(0, 0 * sums[0], sums[1]) == ""
