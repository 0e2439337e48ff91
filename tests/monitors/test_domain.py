"""A classifier between reference and window: what it sees, what it leans on, how sure it is."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tests.monitors.columns import COLUMNS, repeated
from utils.monitors.domain import _Drawn, _Told, _won, decomposition, domain_classifier
from utils.monitors.drift import drift
from utils.monitors.intervals import wilson
from utils.records import MEASUREMENT_COLUMNS

MONDAY = pd.Timestamp("2024-01-01", tz="UTC")


def seeded(seed=7):
    return np.random.default_rng(seed)


def loans(n, *, seed=0, correlation=0.0, shift=0.0, per_day=50, day_sd=0.0):
    rng = np.random.default_rng(seed)
    day = np.arange(n) // per_day
    of_day = rng.normal(0, day_sd, size=(day.max() + 1, 2))[day]
    cloud = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n) + of_day
    return pd.DataFrame(
        {
            "event_time": MONDAY + pd.Timedelta("1D") / per_day * np.arange(n),
            "income": cloud[:, 0] + shift,
            "amount": cloud[:, 1],
            "term": rng.integers(1, 5, n),
            "region": rng.choice(["N", "S", "L"], n),
        }
    )


def told(reference, current, *, rng=None, **settings):
    return domain_classifier(reference, current, rng=rng or seeded(), **settings)


# ------------------------------------------------------------------------------------ what it sees


def test_columns_that_no_longer_go_together_are_seen_and_no_column_alone_shows_it():
    reference = loans(4000, correlation=0.7)
    current = loans(1050, seed=1, correlation=-0.7)
    alone = drift(reference, current, rng=seeded(), metrics=["jensen_shannon", "chebyshev"])
    assert (alone["low"] == 0).all()
    found = told(reference, current)
    assert (found.auc["low"] > 0.6).all()
    drops = found.drops.groupby("feature")[["value", "low"]].mean()
    assert (drops.loc[["amount", "income"], "low"] > 0.1).all()
    assert (drops.loc[["term", "region"], "value"].abs() < 0.02).all()


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_the_area_is_near_the_largest_that_there_is(shift):
    found = told(loans(4000), loans(3000, seed=1, shift=shift), window=None).auc.iloc[0]
    best = norm.cdf(shift / np.sqrt(2))
    assert best - 0.06 < found["value"] < best + 0.02
    assert found["low"] < found["value"] < found["high"]


def test_the_area_grows_with_the_change_and_the_drop_is_of_what_changed():
    areas = []
    for shift in (0.0, 0.4, 0.8, 1.6):
        found = told(loans(2000), loans(1000, seed=1, shift=shift), window=None)
        areas.append(found.auc.loc[0, "value"])
    assert areas == sorted(areas)
    drops = found.drops.set_index("feature")["value"]
    assert drops.idxmax() == "income" and drops["income"] > 0.3
    assert drops.drop("income").abs().max() < 0.02


def test_quiet_windows_hold_one_half():
    reference, current = loans(3000), loans(210 * 24, seed=1, per_day=30)
    found = told(reference, current, features=["income", "amount"]).auc
    holds = (found["low"] <= 0.5) & (found["high"] >= 0.5)
    assert len(found) == 24
    assert holds.mean() >= 0.87
    assert found["value"].mean() == pytest.approx(0.5, abs=0.02)


def test_days_by_heart_are_no_drift_where_whole_days_are_left_out():
    reference, current = loans(4000, day_sd=1.0), loans(350 * 12, seed=1, day_sd=1.0)
    features = ["income", "amount"]
    by_row, by_day = (
        told(reference, current, features=features, block=block).auc for block in (None, "1D")
    )
    assert (by_row["low"] > 0.5).mean() > 0.3
    assert ((by_day["low"] <= 0.5) & (by_day["high"] >= 0.5)).mean() >= 0.87
    assert by_day["value"].mean() == pytest.approx(0.5, abs=0.05)


def test_missing_values_and_new_categories_are_seen():
    reference, current = loans(1500), loans(700, seed=1)
    holed = current.assign(amount=current["amount"].where(np.arange(700) % 4 > 0))
    moon = current.assign(region=current["region"].where(np.arange(700) % 4 > 0, "moon"))
    for changed, feature in ((holed, "amount"), (moon, "region")):
        found = told(reference, changed, window=None)
        assert found.auc.loc[0, "low"] > 0.55
        assert found.drops.set_index("feature")["value"].idxmax() == feature


def test_a_column_that_the_window_lacks_parts_everything():
    found = told(loans(500), loans(300, seed=1).drop(columns="amount"), window=None)
    row = found.auc.iloc[0]
    assert row["value"] == row["high"] == 1
    assert row["low"] == pytest.approx(wilson(300, 300)[0])


# --------------------------------------------------------------------------------------- the oracle


def test_pairs_won_are_the_area_of_scikit_learn():
    rng = seeded()
    score, is_current = rng.integers(0, 20, 300).astype(float), rng.random(300) < 0.4
    won = _won(score, is_current)
    n_pairs = is_current.sum() * (~is_current).sum()
    area = roc_auc_score(is_current, score)
    assert won[is_current].sum() / n_pairs == pytest.approx(area)
    assert won[~is_current].sum() / n_pairs == pytest.approx(area)


def test_the_variance_is_delongs_times_what_the_folds_have_in_common():
    rng, n = seeded(), 80
    score = np.concatenate([rng.normal(0, 1, n), rng.normal(1, 1, n)])
    is_current = np.repeat([False, True], n)
    drawn = _Drawn(
        frames=[pd.DataFrame(index=range(n))] * 2,
        units=[np.arange(n)] * 2,
        fold=np.arange(2 * n) % 5,
        columns=np.zeros((2 * n, 0)),
        is_category=[],
    )
    found = _Told(
        drawn=drawn,
        won=_won(score, is_current),
        met=np.full(2 * n, float(n)),
        won_without=np.zeros((0, 2 * n)),
    )
    beats = (score[n:, None] > score[None, :n]) + 0.5 * (score[n:, None] == score[None, :n])
    delong = beats.mean(axis=1).var(ddof=1) / n + beats.mean(axis=0).var(ddof=1) / n
    value, error = found.share(found.won)
    assert value == pytest.approx(roc_auc_score(is_current, score))
    assert error == pytest.approx(np.sqrt(delong * (1 + 5 / 4)))
    inside = found.auc(level=0.95)
    assert inside["low"] < value < inside["high"]


# ------------------------------------------------------------------------------------- the tables


def test_the_tables_are_measurements_by_window():
    found = told(loans(900), loans(700, seed=1), features=["income", "region"], monitor="joint")
    for table, metric in ((found.auc, "domain_auc"), (found.drops, "domain_auc_drop")):
        assert tuple(table.columns) == MEASUREMENT_COLUMNS
        assert set(table["metric"]) == {metric} and set(table["monitor"]) == {"joint"}
        assert not table["alarm"].any()
    assert found.auc["window_start"].tolist() == [MONDAY, MONDAY + pd.Timedelta("7D")]
    assert found.auc["feature"].tolist() == ["", ""]
    assert found.drops["feature"].tolist() == ["income", "income", "region", "region"]
    assert (found.auc[["n_reference", "n_current"]] == 350).all(axis=None)
    with_interval = found.drops.dropna(subset=["low"])
    assert (with_interval["low"] < with_interval["value"]).all()


def test_too_few_rows_or_blocks_are_not_judged():
    reference, current = loans(900), loans(450, seed=1)
    found = told(reference, current, minimum=101)
    assert found.auc["value"].notna().tolist() == [True, False]
    assert found.auc["n_current"].tolist() == [350, 100]
    assert found.drops.loc[found.drops["n_current"] == 100, "value"].isna().all()
    day = told(reference, loans(50, seed=1), block="1D", minimum=10)
    assert day.auc["value"].isna().all() and (day.auc["n_current"] == 50).all()
    assert told(reference, current.head(0)).auc.empty
    few = told(loans(99), current, window=None)
    assert few.auc["value"].isna().all() and few.auc["n_reference"].tolist() == [99]


def test_windows_lie_between_start_and_end_and_may_be_empty():
    current = loans(700, seed=1)
    current = current[current["event_time"] >= MONDAY + pd.Timedelta("7D")]
    found = told(loans(900), current, start="2024-01-01T00:00Z", end="2024-01-12T00:00Z").auc
    assert found["n_current"].tolist() == [0, 200]
    assert found["window_end"].iloc[-1] == pd.Timestamp("2024-01-12", tz="UTC")


def test_no_more_rows_than_asked_for_are_learned_from():
    found = told(loans(3000), loans(2000, seed=1, shift=0.8), window=None, max_rows=300).auc.iloc[0]
    assert (found["n_reference"], found["n_current"]) == (300, 300)
    whole = told(loans(3000), loans(2000, seed=1, shift=0.8), window=None).auc.iloc[0]
    assert whole["n_current"] == 2000
    assert found["high"] - found["low"] > 2 * (whole["high"] - whole["low"])


def test_what_is_drawn_depends_on_the_generator_and_the_window_alone():
    reference, current = loans(900), loans(700, seed=1)
    whole, again = told(reference, current), told(reference, current)
    pd.testing.assert_frame_equal(whole.auc, again.auc)
    pd.testing.assert_frame_equal(whole.drops, again.drops)
    second = current[current["event_time"] >= MONDAY + pd.Timedelta("7D")]
    part = told(reference, second)
    pd.testing.assert_frame_equal(part.auc, whole.auc.tail(1).reset_index(drop=True))
    other = told(reference, current, rng=seeded(8))
    assert not np.allclose(other.auc["value"], whole.auc["value"])


def test_columns_of_every_type_are_features():
    n = 480
    frame = pd.DataFrame(
        {"event_time": MONDAY + pd.Timedelta("1h") * np.arange(n)}
        | {
            name: repeated(name, n).sample(frac=1, random_state=0, ignore_index=True)
            for name in COLUMNS
        }
    )
    found = told(frame.head(240), frame.tail(240), window=None)
    assert found.drops["feature"].tolist() == list(COLUMNS)
    assert found.auc.loc[0, "low"] <= 0.5 <= found.auc.loc[0, "high"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_folds": 1}, "n_folds=1: at least 2 is needed"),
        ({"max_rows": 1}, "max_rows=1: at least 2 is needed"),
        ({"minimum": 0}, "minimum=0: at least 1 is needed"),
        ({"level": 0}, "level=0: a number between 0 and 1"),
        ({"features": []}, "features: none; at least 1 is needed to tell rows apart"),
        ({"features": ["incomes"]}, "features: 'incomes' is no column .* did you mean 'income'"),
        ({"window": 0}, "window=0: a positive, fixed length"),
        ({"block": "0D"}, "block='0D': a positive, fixed length"),
        ({"block": "2D", "window": "1D"}, "block='2D' is longer than window='1D'"),
        ({"time_column": "when"}, "time_column='when' is no column of the frame"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        told(loans(200), loans(200, seed=1), **settings)


def test_nothing_changes_its_inputs():
    reference, current = loans(300), loans(300, seed=1)
    copies = reference.copy(), current.copy()
    told(reference, current, block="1D")
    pd.testing.assert_frame_equal(reference, copies[0])
    pd.testing.assert_frame_equal(current, copies[1])


# ----------------------------------------------------------------- by the inputs, or by the concept


def answered(n, *, seed=0, income=0.0, concept=0.0, per_day=100):
    """Return losses of a model that is right in the reference; rich rows are harder to it."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(income, 1, n), rng.normal(0, 1, n)
    score = expit(-1 + x + 0.5 * y)
    label = rng.random(n) < expit(-1 + x + 0.5 * y + concept * (y > 0))
    return pd.DataFrame(
        {
            "event_time": MONDAY + pd.Timedelta("1D") / per_day * np.arange(n),
            "income": x,
            "amount": y,
            "loss": (score - label) ** 2,
        }
    )


def parts(*, income=0.0, concept=0.0, n_samples=8, **settings):
    return pd.concat(
        [
            decomposition(
                answered(3000, seed=seed),
                answered(700, seed=1000 + seed, income=income, concept=concept),
                rng=seeded(seed),
                loss_column="loss",
                **settings,
            )
            for seed in range(n_samples)
        ]
    )


def truth(*, income=0.0, concept=0.0, n=400_000):
    same, moved, both = (
        answered(n, seed=seed, income=x, concept=c)["loss"].mean()
        for seed, x, c in ((1, 0.0, 0.0), (2, income, 0.0), (3, income, concept))
    )
    return {
        "loss_change": both - same,
        "loss_change_by_inputs": moved - same,
        "loss_change_by_concept": both - moved,
    }


@pytest.mark.parametrize(
    "kinds", [{"income": 0.8}, {"concept": 1.5}, {"income": 0.8, "concept": -1.5}]
)
def test_each_part_of_the_change_is_found(kinds):
    table, expected = parts(**kinds), truth(**kinds)
    for metric, rows in table.groupby("metric"):
        inside = (rows["low"] <= expected[metric]) & (expected[metric] <= rows["high"])
        assert inside.mean() >= 0.8, metric
        error = rows["value"].std() / np.sqrt(len(rows))
        assert rows["value"].mean() == pytest.approx(expected[metric], abs=3 * error + 0.003)


def test_one_kind_of_drift_is_not_taken_for_the_other():
    settings = {"window": None, "rng": seeded(), "loss_column": "loss"}
    reference = answered(4000)
    by_inputs = decomposition(reference, answered(4000, seed=1, income=0.8), **settings)
    by_concept = decomposition(reference, answered(4000, seed=1, concept=1.5), **settings)
    low = [table.set_index("metric")["low"] for table in (by_inputs, by_concept)]
    assert low[0]["loss_change_by_inputs"] > 0 > low[0]["loss_change_by_concept"]
    assert low[1]["loss_change_by_concept"] > 0 > low[1]["loss_change_by_inputs"]


def test_the_parts_add_up_to_the_change_and_it_is_the_plain_difference():
    reference = answered(2000)
    current = answered(1400, seed=1, income=0.5)
    current.loc[:99, "loss"] = np.nan
    table = decomposition(reference, current, rng=seeded(), loss_column="loss", max_rows=5000)
    change, inputs, concept = (
        rows.reset_index() for _, rows in table.groupby("metric", sort=False)
    )
    assert list(table["metric"].unique()) == [
        "loss_change",
        "loss_change_by_inputs",
        "loss_change_by_concept",
    ]
    np.testing.assert_allclose(inputs["value"] + concept["value"], change["value"])
    assert change["n_current"].tolist() == [600, 700]
    whole = decomposition(
        reference.head(1300), current, rng=seeded(), loss_column="loss", window=None
    ).iloc[0]
    plain = current["loss"].mean() - reference["loss"].head(1300).mean()
    assert whole["value"] == pytest.approx(plain)
    error = np.sqrt(current["loss"].var() / 1300 + reference["loss"].head(1300).var() / 1300)
    assert whole["high"] - whole["value"] == pytest.approx(1.96 * error, rel=0.01)


def test_inputs_too_strange_for_the_reference_are_not_judged():
    table = parts(income=5.0, n_samples=1, window=None).set_index("metric")
    assert np.isfinite(table.loc["loss_change", "value"])
    few = table.loc[["loss_change_by_inputs", "loss_change_by_concept"]]
    assert few["value"].isna().all() and (few["n_reference"] < 100).all()


def test_a_window_without_losses_is_there_and_not_judged():
    current = answered(1400, seed=1)
    current.loc[700:, "loss"] = np.nan
    table = decomposition(answered(900), current, rng=seeded(), loss_column="loss", block="1D")
    assert table["n_current"].tolist() == [700, 0] * 3
    assert table["value"].notna().tolist() == [True, False] * 3
    inside = table.dropna(subset=["value"])
    assert (inside["low"] < inside["value"]).all() and (inside["value"] < inside["high"]).all()


def test_losses_must_be_numbers_that_are_there():
    with pytest.raises(ValueError, match="loss_column='los' is no column of the frame; .*'loss'"):
        decomposition(answered(200), answered(200), rng=seeded(), loss_column="los")
    wrong = answered(200).assign(loss="high")
    with pytest.raises(ValueError, match="loss_column='loss' holds str: numbers are needed"):
        decomposition(answered(200), wrong, rng=seeded(), loss_column="loss")
