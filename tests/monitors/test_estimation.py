"""Estimated performance: by hand; honest while its assumption holds; wrong when it does not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn import metrics as oracle
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from utils.datasets import credit
from utils.monitors import estimation
from utils.monitors.estimation import (
    JOINED_COLUMNS,
    LEAST_ROWS,
    ErrorModel,
    Estimated,
    assumption,
    estimated_and_realised,
    estimated_performance,
)
from utils.monitors.performance import performance
from utils.records import MEASUREMENT_COLUMNS, measurements
from utils.text import using

WEEK = pd.Timedelta("7D")
LATER = "2025-01-06T00Z"  # a Monday


def seeded(seed=7):
    return np.random.default_rng(seed)


def times(n, *, per_week, first):
    return pd.Timestamp(first).as_unit("us") + WEEK / per_week * np.arange(n)


def by_week(n, per_week, values):
    return values[np.arange(n) // per_week]


def loans(n, rng, *, first="2024-01-01T00Z", per_week=400, shift=0.0, harder=0.0, weeks_apart=0.0):
    """Return loans whose log-odds are a line over those of the score, which overstates them."""
    x = rng.normal(shift, 1.5, n)
    luck = by_week(n, per_week, rng.normal(0, weeks_apart, n // per_week + 1))
    truth = expit(-0.3 - harder + 0.6 * x + luck)
    return pd.DataFrame(
        {
            "event_time": times(n, per_week=per_week, first=first),
            "score": expit(x),
            "prediction": (x > 0).astype(int),
            "label": (rng.random(n) < truth).astype(int),
            "region": rng.choice(["Norte", "Sul"], n),
        }
    )


def trips(n, rng, *, first="2024-01-01T00Z", per_week=400, shift=1.0, rougher=1.0, weeks_apart=0.0):
    """Return trips whose error grows with the distance and is larger in the city."""
    km = rng.gamma(4, 25, n) * shift
    city = rng.random(n) < 0.5
    luck = by_week(n, per_week, np.exp(rng.normal(0, weeks_apart, n // per_week + 1)))
    spread = (2 + 0.1 * km + 8 * city) * rougher * luck
    return pd.DataFrame(
        {
            "event_time": times(n, per_week=per_week, first=first),
            "km": km,
            "road": np.where(city, "city", "country"),
            "prediction": 1.2 * km,
            "label": 1.2 * km + rng.normal(0, 1, n) * spread,
        }
    )


def joined(model, current, *, task, seed=7, metrics=None):
    estimated = model.estimates(current, rng=seeded(seed), metrics=metrics)
    realised = performance(
        current, task=task, metrics=list(estimated["metric"].unique()), rng=seeded(), draws=1
    )
    return estimated_and_realised(estimated, realised)


def within_luck(covered, *, level=0.95):
    """Whether so many are covered as binomial chance allows, but for one case in a thousand."""
    low, high = stats.binom.ppf([0.0005, 0.9995], len(covered), level)
    return low <= covered.sum() <= high


# ------------------------------------------------------------------------------------- by hand


def rounded_loans(n=600):
    frame = loans(n, seeded(), per_week=n)
    return frame.assign(score=frame["score"].round(1).clip(0.1, 0.9))


def test_a_score_that_is_a_probability_gives_the_expectations_of_its_labels():
    frame = rounded_loans()
    table = estimated_performance(
        frame, frame, task="classification", calibration="none", rng=seeded(), window=None
    )
    p, positive = frame["score"], frame["prediction"] == 1
    both = {"y_true": np.repeat([1, 0], len(frame)), "sample_weight": np.r_[p, 1 - p]}
    answers = np.tile(positive, 2)
    expected = {
        "accuracy": oracle.accuracy_score(y_pred=answers, **both),
        "precision": oracle.precision_score(y_pred=answers, **both),
        "recall": oracle.recall_score(y_pred=answers, **both),
        "f1": oracle.f1_score(y_pred=answers, **both),
        "roc_auc": oracle.roc_auc_score(y_score=np.tile(p, 2), **both),
        "log_loss": oracle.log_loss(
            both["y_true"], np.tile(p, 2), sample_weight=both["sample_weight"]
        ),
        "brier": (p * (1 - p)).mean(),
    }
    assert dict(zip(table["metric"], table["value"], strict=True)) == pytest.approx(expected)
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
    assert tuple(table.columns) == MEASUREMENT_COLUMNS
    assert (table["monitor"] == "estimated_performance").all()
    assert (table[["n_reference", "n_current"]] == 600).all().all()


def test_the_interval_of_a_known_probability_is_the_luck_of_its_labels():
    frame = rounded_loans(400).assign(score=0.7, prediction=1)
    table = estimated_performance(
        frame,
        frame,
        task="classification",
        calibration="none",
        metrics=["accuracy", "brier"],
        window=None,
        draws=20_000,
        rng=seeded(),
    )
    low, high = stats.binom.ppf([0.025, 0.975], 400, 0.7) / 400
    assert table.loc[0, ["low", "high"]].tolist() == pytest.approx([low, high], abs=0.003)
    # A row costs 0.09 or 0.49, so the mean cost is a line over the share of positives.
    low, high = 0.49 - 0.4 * high, 0.49 - 0.4 * low
    assert table.loc[1, ["low", "high"]].tolist() == pytest.approx([low, high], abs=0.003)


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_scores_become_probabilities_as_scikit_learn_makes_them(calibration):
    frame = loans(1500, seeded())
    design = logit(frame[["score"]].to_numpy())
    served = FrozenEstimator(LogisticRegression(C=np.inf).fit(design, frame["prediction"] ^ 1 ^ 1))
    served.estimator.coef_[:], served.estimator.intercept_[:] = 1.0, 0.0
    calibrated = CalibratedClassifierCV(served, method=calibration, ensemble=False)
    calibrated.fit(design, frame["label"])
    model = ErrorModel.fitted(frame, task="classification", calibration=calibration)
    grid = pd.DataFrame({"score": np.linspace(0.02, 0.98, 49), "prediction": 1})
    expected = calibrated.predict_proba(logit(grid[["score"]].to_numpy()))[:, 1]
    np.testing.assert_allclose(model.expected(grid)["positive"], expected, atol=2e-3)


def test_steps_are_taken_only_where_a_line_is_clearly_worse():
    grid = pd.DataFrame({"score": [0.15, 0.3, 0.45, 0.55, 0.7, 0.85], "prediction": 1})
    line = loans(3000, seeded())
    truth = np.where(line["score"] < 0.5, 0.2, 0.8)
    steps = line.assign(label=(seeded(1).random(3000) < truth).astype(int))
    for frame, chosen in ((line, "sigmoid"), (steps, "isotonic")):
        found, alone = (
            ErrorModel.fitted(frame, task="classification", calibration=each).expected(grid)
            for each in ("auto", chosen)
        )
        pd.testing.assert_frame_equal(found, alone)
    assert found["positive"].tolist() == pytest.approx([0.2] * 3 + [0.8] * 3, abs=0.08)


def test_scores_that_are_no_probabilities_are_calibrated_too():
    frame = loans(2000, seeded())
    margins = frame.assign(score=logit(frame["score"]) * 5)
    model = ErrorModel.fitted(margins, task="classification", calibration="sigmoid")
    assert model.metrics == ("accuracy", "precision", "recall", "f1", "roc_auc")
    same = ErrorModel.fitted(frame, task="classification", calibration="sigmoid")
    np.testing.assert_allclose(model.expected(margins), same.expected(frame), atol=1e-6)


def test_what_was_held_out_was_expected_by_a_model_that_did_not_see_it():
    frame = loans(1000, seeded(), per_week=200)
    held = frame.index >= 800  # the last of five stretches, turned upside down
    turned = frame.assign(label=frame["label"].where(~held, 1 - frame["label"]))
    model = ErrorModel.fitted(turned, task="classification", calibration="sigmoid")
    others = ErrorModel.fitted(frame[~held], task="classification", calibration="sigmoid")
    np.testing.assert_allclose(
        model.held_out["expected_positive"][held], others.expected(frame[held])["positive"]
    )
    assert model.held_out["positive"].tolist() == turned["label"].tolist()
    assert model.held_out["event_time"].tolist() == turned["event_time"].tolist()


def test_the_order_of_the_rows_does_not_matter():
    frame = loans(1000, seeded(), per_week=200)
    shuffled = frame.sample(frac=1, random_state=1)
    found, again = (
        estimated_performance(each, each, task="classification", rng=seeded())
        for each in (frame, shuffled)
    )
    pd.testing.assert_frame_equal(found, again, rtol=1e-6)


# ---------------------------------------------------------------------------------- many classes


def animals(n=2000, *, sure=0.0, first="2024-01-01T00Z"):
    rng = seeded(3)
    label = rng.choice(["cat", "dog", "emu"], n)
    score = rng.beta(2 + sure, 2, n)
    other = np.char.replace(np.char.replace(label, "cat", "dog"), "emu", "cat")
    right = rng.random(n) < score**1.5
    return pd.DataFrame(
        {
            "event_time": times(n, per_week=500, first=first),
            "score": score,
            "prediction": np.where(right, label, np.where(label == "dog", "emu", other)),
            "label": label,
        }
    )


def test_of_many_classes_the_score_of_the_predicted_one_foretells_accuracy():
    reference, current = animals(), animals(sure=2.0, first=LATER)
    table = estimated_performance(reference, current, task="classification", rng=seeded())
    assert set(table["metric"]) == {"accuracy"}
    realised = performance(
        current, task="classification", metrics=["accuracy"], rng=seeded(), draws=1
    )
    both = estimated_and_realised(table, realised)
    assert both["covered"].all()
    before = (reference["label"] == reference["prediction"]).mean()
    assert (both["estimate"] > before + 0.1).all()


def test_one_class_of_many_is_estimated_against_the_rest_but_for_accuracy():
    frame = animals().assign(score=lambda f: np.where(f["prediction"] == "cat", 0.7, 0.2))
    model = ErrorModel.fitted(frame, task="classification", positive="cat")
    assert model.metrics == ("precision", "recall", "f1", "roc_auc", "log_loss", "brier")
    came = (frame["label"] == "cat").mean()
    assert model.expected(frame)["positive"].mean() == pytest.approx(came, abs=1e-3)


# ------------------------------------------------------------------------------------- regression


@pytest.fixture(scope="module")
def of_trips():
    return ErrorModel.fitted(trips(6000, seeded()), task="regression")


def test_errors_are_expected_as_large_as_they_are(of_trips):
    assert of_trips.metrics == ("mae", "rmse") and of_trips.n_reference == 6000
    somewhere = pd.DataFrame(
        {
            "km": [60.0, 150.0, 60.0, 150.0],
            "road": ["city", "city", "country", "country"],
            "prediction": [72.0, 180.0, 72.0, 180.0],
        }
    )
    spread = np.array([16.0, 25.0, 8.0, 17.0])
    expected = of_trips.expected(somewhere)
    np.testing.assert_allclose(expected["absolute_error"], spread * np.sqrt(2 / np.pi), rtol=0.2)
    np.testing.assert_allclose(expected["squared_error"], spread**2, rtol=0.4)
    held = of_trips.held_out
    for name in ("absolute_error", "squared_error"):
        assert held[f"expected_{name}"].mean() == pytest.approx(held[name].mean(), rel=0.03)


def test_a_category_that_is_new_and_a_value_that_is_missing_have_an_estimate(of_trips):
    frame = trips(100, seeded(1)).assign(road="sea", km=np.nan)
    assert np.isfinite(of_trips.expected(frame)).all().all()
    frame.loc[0, "prediction"] = np.nan
    assert of_trips.expected(frame).isna().all(axis=1).tolist() == [True] + [False] * 99


def test_features_are_all_that_numbers_can_stand_for():
    frame = trips(400, seeded()).assign(
        trip_id=[f"t{number}" for number in range(400)],
        landed_at=pd.Timestamp(LATER),
        empty=None,
        night=lambda f: f["km"] > 90,
        score=0.5,
        stars=pd.Series([1, "two", [3], None] * 100, dtype=object),
    )
    model = ErrorModel.fitted(frame, task="regression")
    assert model.reading.inputs.names == ("km", "road", "night", "stars")
    named = ErrorModel.fitted(frame, task="regression", features=["road", "trip_id", "landed_at"])
    assert named.reading.inputs.names == ("road",)
    alone = ErrorModel.fitted(frame, task="regression", features=[])
    for each in (model, named, alone):
        assert each.expected(frame).notna().all().all()


def test_what_a_column_no_longer_holds_is_missing(of_trips):
    frame = trips(100, seeded(1))
    missing = of_trips.expected(frame.assign(km=np.nan))
    pd.testing.assert_frame_equal(of_trips.expected(frame.assign(km="far")), missing)
    endless = frame.assign(km=np.inf)
    pd.testing.assert_frame_equal(of_trips.expected(endless), missing)


def test_an_error_may_be_of_any_size_and_none_at_all():
    frame = trips(1000, seeded(), per_week=200)
    small = frame.assign(prediction=frame["prediction"] * 1e-9, label=frame["label"] * 1e-9)
    found, tiny = (
        estimated_performance(
            each, each, task="regression", features=["km", "road"], window=None, rng=seeded()
        )
        for each in (frame, small)
    )
    columns = ["value", "low", "high"]
    np.testing.assert_allclose(tiny[columns] * 1e9, found[columns], rtol=1e-6)
    right = frame.assign(label=frame["prediction"])
    none = estimated_performance(right, right, task="regression", window=None, rng=seeded())
    assert (none["value"] == 0).all() and none[["low", "high"]].isna().all().all()
    late = frame.assign(label=frame["label"].where(frame.index >= 900, frame["prediction"]))
    assert (ErrorModel.fitted(late, task="regression").expected(late) > 0).all().all()


@pytest.mark.parametrize(
    "retyped",
    [
        lambda f: f.convert_dtypes(),
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.assign(road=f["road"].astype("category")),
        lambda f: f.astype({"road": object, "km": object, "prediction": object}),
    ],
    ids=["nullable", "arrow", "category", "object"],
)
def test_the_type_of_the_columns_does_not_matter(of_trips, retyped):
    frame = trips(300, seeded(1))
    frame.loc[3, "km"] = np.nan
    pd.testing.assert_frame_equal(of_trips.expected(retyped(frame)), of_trips.expected(frame))


# -------------------------------------------------------------------------- honest, while it holds


def test_under_covariate_drift_the_interval_holds_what_comes_as_often_as_it_says():
    metrics = ["accuracy", "recall", "roc_auc", "log_loss"]
    found = []
    for seed in range(20):
        rng = seeded(seed)
        model = ErrorModel.fitted(loans(4000, rng), task="classification", calibration="sigmoid")
        drifted = loans(4000, rng, first=LATER, shift=1.0)
        found.append(joined(model, drifted, task="classification", seed=seed, metrics=metrics))
    table = pd.concat(found)
    drift = loans(4000, seeded(), shift=1.0)["label"].mean() - loans(4000, seeded())["label"].mean()
    assert drift > 0.1
    for metric, rows in table.groupby("metric"):
        assert len(rows) == 200
        assert within_luck(rows["covered"]), (metric, rows["covered"].mean())
        assert abs(rows["gap"].mean()) < 0.01 * (1 + 2 * (metric == "log_loss")), metric


def test_weeks_that_share_a_shock_are_covered_and_independence_would_not_be():
    found = {"as it is": [], "rows alone": []}
    for seed in range(10):
        rng = seeded(seed)
        model = ErrorModel.fitted(
            loans(4500, rng, weeks_apart=0.5, per_week=225),
            task="classification",
            calibration="sigmoid",
        )
        current = loans(4500, rng, first=LATER, weeks_apart=0.5, per_week=225)
        for name, least in (("as it is", 4), ("rows alone", 10**6)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(estimation, "LEAST_WINDOWS", least)
                table = joined(model, current, task="classification", metrics=["precision"])
            found[name].append(table["covered"])
    as_it_is, rows_alone = (pd.concat(each) for each in found.values())
    assert len(as_it_is) == 200 and within_luck(as_it_is), as_it_is.mean()
    assert rows_alone.mean() < 0.7


def test_the_shock_of_a_window_is_found():
    rng = seeded()
    for truth in (0.0, 0.3):
        model = ErrorModel.fitted(
            loans(40_000, rng, weeks_apart=truth), task="classification", calibration="sigmoid"
        )
        spread = model._spread(length=7 * 86_400_000_000, minimum=30)
        assert spread.n_windows == 100
        assert np.sqrt(spread.shock[0]) == pytest.approx(truth, abs=0.08)


def test_the_interval_of_an_error_holds_what_comes_under_covariate_drift():
    found = []
    for seed in range(5):
        rng = seeded(seed)
        reference = trips(6000, rng, per_week=150)
        model = ErrorModel.fitted(reference, task="regression")
        drifted = trips(6000, rng, first=LATER, shift=1.25, per_week=150)
        found.append(joined(model, drifted, task="regression"))
    table = pd.concat(found)
    for metric, rows in table.groupby("metric"):
        assert len(rows) == 200
        assert within_luck(rows["covered"]), (metric, rows["covered"].mean())
        assert abs(rows["gap"].mean()) < 0.05 * rows["estimate"].mean()
    before = np.abs(reference["prediction"] - reference["label"]).mean()
    assert table.loc[table["metric"] == "mae", "estimate"].mean() > 1.1 * before


def test_small_windows_are_less_sure_than_large_ones_and_a_short_reference_than_a_long_one():
    rng = seeded()
    current = loans(4000, rng, first=LATER, per_week=1000)

    def width(reference, window):
        table = estimated_performance(
            reference, current, task="classification", window=window, metrics=["accuracy"], rng=rng
        )
        return (table["high"] - table["low"]).mean()

    long = loans(20_000, rng)
    assert width(long, "1D") > 2 * width(long, "7D")
    assert width(long[:200], "28D") > 1.3 * width(long, "28D")


# ----------------------------------------------------------------------- wrong, when it does not


def test_under_concept_drift_what_comes_lies_below_the_interval():
    rng = seeded()
    model = ErrorModel.fitted(loans(8000, rng), task="classification")
    table = joined(
        model, loans(4000, rng, first=LATER, harder=1.5), task="classification"
    ).set_index("metric")
    quiet = joined(model, loans(4000, rng, first=LATER), task="classification").set_index("metric")
    for name, sign in (("accuracy", -1), ("precision", -1), ("brier", 1), ("log_loss", 1)):
        rows = table.loc[name]
        assert rows["covered"].mean() < 0.3 and quiet.loc[name, "covered"].mean() > 0.8, name
        assert (np.sign(rows["gap"]) == sign).all(), name
        outside = rows["gap_high"] < 0 if sign < 0 else rows["gap_low"] > 0
        assert (outside == ~rows["covered"]).all()
        np.testing.assert_allclose(
            rows["estimate"].mean(), quiet.loc[name, "estimate"].mean(), atol=0.02
        )


def test_errors_that_grow_for_the_same_inputs_lie_above_the_interval(of_trips):
    current = trips(2000, seeded(1), first=LATER, rougher=1.6)
    table = joined(of_trips, current, task="regression")
    assert not table["covered"].any()
    assert (table["gap_low"] > 0).all() and (table["gap"] < table["gap_high"]).all()


def test_credit_loud_and_harmless_beside_silent_and_harmful():
    frame = credit.applications(start="2024-01-01", n_days=240, per_day=100, seed=5)
    lent = credit.outcomes(frame, frame["amount_brl"] > 0, seed=5)
    numbers = list(credit.NUMERIC_FEATURES)
    lent[numbers] = lent[numbers].fillna(lent[numbers].median())
    lent = lent.rename(columns={"applied_at": "event_time", "repaid": "label"})
    trained = lent["event_time"] < "2024-03-01"
    served = make_pipeline(StandardScaler(), LogisticRegression())
    served.fit(lent.loc[trained, numbers], lent.loc[trained, "label"].astype(int))
    lent["score"] = served.predict_proba(lent[numbers])[:, 1]
    lent["prediction"] = (lent["score"] > 0.5).astype(int)
    is_reference = ~trained & (lent["event_time"] < "2024-06-03")
    model = ErrorModel.fitted(lent[is_reference], task="classification")
    quiet = lent[lent["event_time"] >= "2024-06-03"]

    loud = quiet[quiet["score"] > 0.8]  # another mix: the sure ones alone
    known = quiet.rename(columns={"event_time": "applied_at", "label": "repaid"})
    harder = credit.relabel(known, strength=np.full(len(quiet), 0.4), rng=seeded())
    silent = quiet.assign(label=harder["repaid"])
    for current, is_covered in ((loud, True), (silent, False)):
        table = joined(model, current, task="classification", metrics=["accuracy"])
        table = table[table["n_estimated"] > 200]
        assert len(table) > 8
        assert (table["covered"].mean() > 0.8) == is_covered
        if not is_covered:
            assert (table["gap"] < 0).all() and table["covered"].mean() < 0.2


# ----------------------------------------------------------------------- as a measure of the suite


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_measure_is_the_estimates_in_each_window_and_group(task, of_trips):
    if task == "regression":
        model, current, group = of_trips, trips(2000, seeded(1), first=LATER), "road"
    else:
        model = ErrorModel.fitted(loans(3000, seeded()), task=task)
        current, group = loans(2000, seeded(1), first=LATER), "region"
        current.loc[::17, "score"] = np.nan
        current.loc[::19, "prediction"] = np.nan
    measure = Estimated.of(current, model=model, group_column=group)
    block = ((current["event_time"] - pd.Timestamp(LATER)) // WEEK).to_numpy()
    cells = measure.cells(current, block, 5)
    assert cells.shape == (5, measure.n_cells)
    values, counts = measure.values(cells, cells[:1]), measure.counts(cells)
    table = model.estimates(current, rng=seeded(), group_column=group, minimum=1, draws=2)
    assert len(measure.lines) == 3 * len(model.metrics)
    for at, line in enumerate(measure.lines):
        rows = table[(table["metric"] == line.metric) & (table["group"] == line.group)]
        np.testing.assert_allclose(values[:, at], rows["value"])
        np.testing.assert_array_equal(counts[:, at], rows["n_current"])
    drawn = seeded().integers(5, size=(4, 3, 2))
    many = measure.values(cells[drawn].sum(axis=2), cells[:1])
    assert many.shape == (4, 3, len(measure.lines))
    one = measure.values(cells[drawn[2, 1]].sum(axis=0), cells[0])
    np.testing.assert_array_equal(many[2, 1], one)
    nothing = measure.cells(current[:0], block[:0], 2)
    assert np.isnan(measure.values(nothing, nothing)).all() and not measure.counts(nothing).any()


def test_lines_need_no_labels_and_know_their_bad_side(of_trips):
    lines = Estimated.of(trips(10, seeded()), model=of_trips).lines
    assert [(each.metric, each.side, each.scale) for each in lines] == [
        ("mae", "high", "log"),
        ("rmse", "high", "log"),
    ]
    model = ErrorModel.fitted(loans(500, seeded()), task="classification")
    lines = Estimated.of(loans(10, seeded()), model=model, metrics=["recall", "brier"]).lines
    assert [(each.metric, each.side, each.scale) for each in lines] == [
        ("recall", "low", "logit"),
        ("brier", "high", "log"),
    ]
    assert all(each.monitor == "estimated_performance" and not each.labelled for each in lines)


# ------------------------------------------------------------- windows, groups, labels, too little


def test_labels_of_the_current_frame_are_not_read():
    reference, current = loans(1000, seeded()), loans(1000, seeded(1), first=LATER)
    found, without = (
        estimated_performance(reference, each, task="classification", rng=seeded())
        for each in (current.assign(label="nobody knows"), current.drop(columns="label"))
    )
    pd.testing.assert_frame_equal(found, without)


def test_a_window_does_not_depend_on_the_others_nor_a_group_on_whether_it_is_asked_for():
    model = ErrorModel.fitted(loans(2000, seeded()), task="classification")
    current = loans(1600, seeded(1), first=LATER)
    table = model.estimates(current, rng=seeded(), group_column="region", metrics=["f1"])
    assert table["group"].unique().tolist() == ["", "Norte", "Sul"]
    assert table.groupby("group").size().tolist() == [4, 4, 4]
    alone = model.estimates(current[current["event_time"] >= "2025-01-20"], rng=seeded())
    columns = ["value", "low", "high", "n_current"]
    pd.testing.assert_frame_equal(
        table[table["group"] == ""][columns].tail(2).reset_index(drop=True),
        alone[alone["metric"] == "f1"][columns].reset_index(drop=True),
    )
    again = model.estimates(current, rng=seeded(), group_column="region", metrics=["f1"])
    pd.testing.assert_frame_equal(table, again)


def test_too_few_rows_say_nothing_and_how_many_there_were(of_trips):
    current = trips(800, seeded(1), first=LATER)
    current = current[(current.index < 400) | (current.index >= 780)]
    table = of_trips.estimates(current, rng=seeded(), metrics=["mae"], end="2025-01-27T00Z")
    assert table["n_current"].tolist() == [400, 20, 0]
    assert table[["value", "low", "high"]].notna().all(axis=1).tolist() == [True, False, False]
    assert of_trips.estimates(current[:0], rng=seeded()).empty
    scored = ErrorModel.fitted(loans(500, seeded()), task="classification")
    empty = scored.estimates(
        loans(10, seeded(), first=LATER), rng=seeded(), minimum=1, end="2025-01-20T00Z"
    )
    assert empty.groupby("window_start")["value"].apply(lambda v: v.isna().all()).tolist() == [
        False,
        True,
    ]


def test_a_window_that_predicts_nothing_positive_has_no_precision():
    frame = loans(500, seeded())
    table = ErrorModel.fitted(frame, task="classification").estimates(
        frame[frame["prediction"] == 0], rng=seeded(), window=None
    )
    table = table.set_index("metric")
    assert table.loc["precision", ["value", "low", "high"]].isna().all()
    assert table.loc["recall", "value"] == 0 and table.loc["accuracy", "high"] < 1


def test_classes_that_the_score_parts_are_learned_without_complaint():
    frame = loans(500, seeded()).assign(label=lambda f: f["prediction"])
    for calibration in ("auto", "none", "sigmoid", "isotonic"):
        table = estimated_performance(
            frame, frame, task="classification", calibration=calibration, rng=seeded(), window=None
        )
        assert table.loc[table["metric"] == "accuracy", "value"].item() > 0.7
    alone = frame.assign(label=1)
    table = estimated_performance(alone, alone, task="classification", rng=seeded(), window=None)
    assert table.loc[table["metric"] == "precision", "value"].item() > 0.98


def test_the_frames_are_left_as_they_were():
    reference, current = trips(300, seeded()), trips(300, seeded(1), first=LATER)
    before = reference.copy(deep=True), current.copy(deep=True)
    estimated_performance(reference, current, task="regression", rng=seeded())
    pd.testing.assert_frame_equal(reference, before[0])
    pd.testing.assert_frame_equal(current, before[1])


# --------------------------------------------------------------------------------- beside what came


def row(metric="mae", *, start="2025-01-06", **columns):
    end = pd.Timestamp(start) + WEEK
    return {
        "monitor": "x",
        "metric": metric,
        "window_start": start,
        "window_end": end,
        "n_current": 100,
        **columns,
    }


def test_a_gap_leaves_out_0_just_where_the_value_was_not_covered():
    starts = ["2025-01-06", "2025-01-13", "2025-01-20", "2025-01-27"]
    estimated = measurements(row(start=start, value=10.0, low=9.0, high=12.0) for start in starts)
    realised = measurements(
        [
            row(start=starts[0], value=11.0),
            row(start=starts[1], value=13.0),
            row(start=starts[2], value=8.0, n_current=94),
            row("rmse", start=starts[3], value=8.0),
        ]
    )
    table = estimated_and_realised(estimated, realised)
    assert tuple(table.columns) == JOINED_COLUMNS
    assert table["covered"].tolist()[:2] == [True, False]
    assert table["covered"].isna().tolist() == [False, False, True, True]
    assert table["gap"].tolist()[:3] == [1.0, 3.0, -2.0]
    assert table["gap_low"].tolist()[:2] == [-1.0, 1.0]
    assert table["gap_high"].tolist()[:2] == [2.0, 4.0]
    assert table[["gap_low", "gap_high"]].isna().all(axis=1).tolist() == [False] * 2 + [True] * 2
    assert table["n_realised"].tolist() == [100, 100, 94, 0]
    partly = estimated_and_realised(estimated, realised, labelled=0.9)
    assert partly["covered"].tolist()[2] is False


def test_each_group_has_its_own_gap(of_trips):
    current = trips(1200, seeded(1), first=LATER)
    worse = current["road"] == "city"
    current["label"] += (current["label"] - current["prediction"]) * worse
    settings = {"window": None, "group_column": "road", "rng": seeded()}
    table = estimated_and_realised(
        of_trips.estimates(current, metrics=["mae"], **settings),
        performance(current, task="regression", metrics=["mae"], **settings),
    ).set_index("group")
    assert table.index.tolist() == ["", "city", "country"]
    assert table["covered"].tolist() == [False, False, True]
    assert table.loc["city", "gap_low"] > 0
    assert table.loc["city", "n_realised"] == worse.sum()


@pytest.mark.parametrize(
    ("estimated", "realised", "settings", "message"),
    [
        ([row(value=1.0)] * 2, [row(value=1.0)], {}, "estimated has several rows for metric='mae'"),
        ([row(value=1.0)], [row(value=1.0)] * 2, {}, "realised has several rows .*2025-01-06"),
        ([row(value=1.0)], [row("rmse", value=1.0)], {}, "realised has none of the windows"),
        ([row(value=1.0)], [row(value=1.0)], {"labelled": 0}, "labelled=0: a share above 0"),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(estimated, realised, settings, message):
    with pytest.raises(ValueError, match=message):
        estimated_and_realised(measurements(estimated), measurements(realised), **settings)


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"task": "ranking"}, "task='ranking': one of classification, regression"),
        ({}, {"n_folds": 1}, "n_folds=1: at least 2 are needed"),
        ({}, {"calibration": "platt"}, "calibration='platt': one of auto, none, sigmoid, iso"),
        ({"score": 7.0}, {"calibration": "none"}, "scores outside 0..1 are no probabilities"),
        ({"label": np.nan}, {}, f"reference has 0 rows with a label .* at least {LEAST_ROWS}"),
        ({}, {"score_column": "scores"}, r"score_column='scores' .* did you mean 'score'\?"),
        ({}, {"label_column": "labels"}, r"label_column='labels' .* did you mean 'label'\?"),
        ({}, {"time_column": "time"}, "time_column='time' is no column"),
        ({}, {"metrics": ["mae"]}, "metrics: 'mae' is not estimated here; known: accuracy"),
        ({}, {"metrics": "f1"}, r"metrics='f1': a list of names is needed, such as \['f1'\]"),
        ({}, {"minimum": 0}, "minimum=0: at least 1"),
        ({}, {"draws": 0}, "draws=0: at least 1"),
        ({}, {"level": 95}, "level=95: a number between 0 and 1"),
        ({}, {"window": "1M"}, "window='1M': a positive, fixed length"),
        ({}, {"group_column": "regiao"}, "group_column='regiao' .* mean 'region'"),
        ({"label": "yes", "prediction": "no"}, {}, r"positive=None: name .*\['no', 'yes'\]"),
        ({"label": "yes", "prediction": "no"}, {"positive": "si"}, "positive='si' is no class"),
        ({}, {"task": "regression", "features": ["kn"]}, "features='kn' is no column"),
    ],
)
def test_a_refusal_names_the_argument_the_value_and_the_rule(change, settings, message):
    frame = loans(200, seeded()).assign(**change)
    with pytest.raises(ValueError, match=message):
        estimated_performance(
            frame, frame, **{"task": "classification", "rng": seeded(), **settings}
        )


def test_what_the_reference_did_not_hold_is_refused_by_name(of_trips):
    with pytest.raises(ValueError, match="features='km' is no column of the frame"):
        of_trips.expected(trips(10, seeded()).drop(columns="km"))
    model = ErrorModel.fitted(loans(200, seeded()), task="classification")
    with pytest.raises(ValueError, match="score_column='score' holds 1.5; a probability"):
        model.expected(loans(10, seeded()).assign(score=1.5))


def test_the_assumption_is_stated_in_both_languages():
    with using("pt"):
        assert "mudança de conceito" in assumption()
    with using("en"):
        assert "concept drift" in assumption()
