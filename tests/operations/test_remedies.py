"""A remedy makes a new model, and leaves the one that it is given as it is."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from utils.operations.remedies import base_of, recalibrate, reset, retrain

SETTINGS = [{"ridge__alpha": 1e6}, {"ridge__alpha": 0.1}]
REMEDIES = {"retrain": retrain(), "recalibrate": recalibrate(), "reset": reset(SETTINGS)}


def pipeline(alpha=1.0):
    """Return a pipeline as those of real models: texts, and numbers of which some are missing."""
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (SimpleImputer(), ["miles"])
        ),
        Ridge(alpha=alpha),
    )


def rows(rng, n=400):
    miles = rng.uniform(0, 10, n)
    inputs = pd.DataFrame({"carrier": rng.choice(["UA", "B6"], n), "miles": miles})
    label = pd.Series(3 * miles + 5 * inputs["carrier"].eq("UA") + rng.normal(size=n))
    inputs.loc[::20, "miles"] = np.nan
    return inputs, label


@pytest.fixture
def old(rng):
    return pipeline().fit(*rows(rng))


@pytest.fixture
def classes(rng):
    """Return inputs, and labels of which the model that is to be mended says too much."""
    x = rng.normal(size=4_000)
    inputs = pd.DataFrame({"x": x})
    return inputs, pd.Series((rng.random(4_000) < 1 / (1 + np.exp(2 - x))).astype(int))


# ------------------------------------------------------------------------------- what holds of all


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_is_called_by_its_name_and_leaves_model_and_rows_as_they_are(name, old, rng):
    inputs, label = rows(rng)
    before, answers = pickle.dumps(old), old.predict(inputs)
    copies = inputs.copy(), label.copy()
    made = REMEDIES[name].make(old, inputs, label + 100)
    assert REMEDIES[name].name == name
    assert made is not old and pickle.dumps(old) == before
    assert inputs.equals(copies[0]) and label.equals(copies[1])
    assert (old.predict(inputs) == answers).all()
    assert np.abs(made.predict(inputs) - answers).mean() > 50


@pytest.mark.parametrize("name", REMEDIES)
def test_the_same_rows_make_the_same_model(name, old, rng):
    inputs, label = rows(rng)
    one, other = (REMEDIES[name].make(old, inputs, label) for _ in range(2))
    assert (one.predict(inputs) == other.predict(inputs)).all()


@pytest.mark.parametrize("name", REMEDIES)
def test_a_made_model_can_be_remedied_again(name, old, rng):
    made = old
    for _ in range(3):
        made = REMEDIES[name].make(made, *rows(rng))
    assert type(base_of(made)) is type(old)
    inputs, label = rows(rng)
    assert mean_absolute_error(label, made.predict(inputs)) < 3


# ------------------------------------------------------------------------------- retraining


def test_to_retrain_is_to_fit_the_same_pipeline_to_the_new_rows(old, rng):
    inputs, label = rows(rng)
    made = retrain().make(old, inputs, label)
    assert np.allclose(made.predict(inputs), pipeline().fit(inputs, label).predict(inputs))
    assert made.get_params()["ridge__alpha"] == old.get_params()["ridge__alpha"]


def test_to_retrain_a_corrected_model_fits_its_base_and_drops_the_correction(old, rng):
    corrected = recalibrate().make(old, *rows(rng))
    inputs, label = rows(rng)
    made = retrain().make(corrected, inputs, label)
    assert type(made) is type(old)
    assert np.allclose(made.predict(inputs), pipeline().fit(inputs, label).predict(inputs))


# ------------------------------------------------------------------------------- recalibrating


def test_answers_that_are_all_wrong_by_a_level_and_a_slope_are_mended(old, rng):
    inputs, _ = rows(rng)
    label = pd.Series(7 - 2 * old.predict(inputs))
    made = recalibrate().make(old, inputs, label)
    assert np.allclose(made.predict(inputs), label)


def test_a_correction_is_the_least_squares_of_labels_on_answers(old, rng):
    inputs, label = rows(rng)
    label = label + rng.normal(20, 3, len(label))
    answers = old.predict(inputs)
    slope, level = np.polyfit(answers, label, 1)
    made = recalibrate().make(old, inputs, label)
    assert np.allclose(made.predict(inputs), level + slope * answers)


def test_only_the_newest_rows_correct_where_so_many_are_asked_for(old, rng):
    inputs, label = rows(rng)
    label.iloc[-50:] += 30
    answers = old.predict(inputs)
    made = recalibrate(newest_rows=50).make(old, inputs, label)
    slope, level = np.polyfit(answers[-50:], label.iloc[-50:], 1)
    assert np.allclose(made.predict(inputs), level + slope * answers)
    many, every = (recalibrate(newest_rows=n).make(old, inputs, label) for n in (9_999, None))
    assert (many.predict(inputs) == every.predict(inputs)).all()


def test_a_corrected_model_is_corrected_from_its_base(old, rng):
    inputs, label = rows(rng)
    once = recalibrate().make(old, inputs, label + 50)
    twice = recalibrate().make(once, inputs, label)
    directly = recalibrate().make(old, inputs, label)
    assert base_of(twice) is base_of(once) is old
    assert np.allclose(twice.predict(inputs), directly.predict(inputs))


def test_a_classifier_gets_its_probabilities_corrected_and_keeps_their_order(classes):
    inputs, label = classes
    old = LogisticRegression().fit(inputs, inputs["x"] > -1)
    made = recalibrate().make(old, inputs, label)
    assert is_classifier(made) and base_of(made) is old
    before, after = (each.predict_proba(inputs)[:, 1] for each in (old, made))
    assert log_loss(label, after) < log_loss(label, before) / 2
    assert after.mean() == pytest.approx(label.mean(), abs=0.01)
    assert (np.diff(after[np.argsort(inputs["x"])]) >= -1e-12).all()
    oracle = CalibratedClassifierCV(FrozenEstimator(old), method="sigmoid").fit(inputs, label)
    assert np.allclose(oracle.predict_proba(inputs)[:, 1], after)


def test_a_corrected_classifier_is_corrected_from_its_base(classes):
    inputs, label = classes
    old = LogisticRegression().fit(inputs, inputs["x"] > -1)
    once = recalibrate().make(old, inputs, 1 - label)
    twice = recalibrate().make(once, inputs, label)
    directly = recalibrate().make(old, inputs, label)
    assert base_of(twice) is old
    assert np.allclose(twice.predict_proba(inputs), directly.predict_proba(inputs))


def test_a_model_that_nobody_corrected_is_its_own_base(old, classes):
    inputs, label = classes
    calibrated = CalibratedClassifierCV(LogisticRegression(), cv=3).fit(inputs, label)
    for model in (old, LinearRegression(), calibrated):
        assert base_of(model) is model


# ------------------------------------------------------------------------------- resetting


def test_the_settings_that_do_best_on_the_newest_rows_are_taken_and_fitted_on_all(old, rng):
    inputs, label = rows(rng)
    made = reset(SETTINGS).make(old, inputs, label)
    assert made.get_params()["ridge__alpha"] == 0.1
    assert np.allclose(made.predict(inputs), pipeline(0.1).fit(inputs, label).predict(inputs))


def test_it_is_the_newest_rows_that_choose(old, rng):
    # The old rows speak for their slope, the newest for none at all: a flat line does best there.
    inputs, label = rows(rng)
    label.iloc[300:] = label.iloc[:300].mean()
    assert reset(SETTINGS).make(old, inputs, label).get_params()["ridge__alpha"] == 1e6
    assert reset(SETTINGS, newest=0.9).make(old, inputs, label).get_params()["ridge__alpha"] == 0.1


def test_another_loss_may_choose_otherwise(old, rng):
    inputs, label = rows(rng)

    def worst(label, answer):
        return -mean_absolute_error(label, answer)

    assert reset(SETTINGS, loss=worst).make(old, inputs, label).get_params()["ridge__alpha"] == 1e6


def test_of_settings_that_do_alike_the_first_is_taken(old, rng):
    inputs, label = rows(rng)
    same = [{"ridge__alpha": 2.0, "ridge__tol": tol} for tol in (1e-3, 1e-4)]
    assert reset(same).make(old, inputs, label).get_params()["ridge__tol"] == 1e-3


def test_a_classifier_is_reset_by_its_log_loss_even_where_the_newest_rows_have_one_class(classes):
    inputs, label = classes
    old = LogisticRegression().fit(inputs, label)
    remedy = reset([{"C": 1e-6}, {"C": 1.0}])
    assert remedy.make(old, inputs, label).get_params()["C"] == 1.0
    label = label.copy()
    label.iloc[3_000:] = 0
    assert set(remedy.make(old, inputs, label).classes_) == {0, 1}


def test_settings_are_not_changed_by_the_fit(old, rng):
    settings = [{"ridge__alpha": 1.0, "columntransformer__n_jobs": None}]
    copy = [dict(each) for each in settings]
    reset(settings).make(old, *rows(rng))
    assert settings == copy


# ------------------------------------------------------------------------------- what is refused


def test_a_remedy_that_cannot_be_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^settings=\[\]: at least one is needed$"):
        reset([])
    for newest in (0, 1, float("nan")):
        with pytest.raises(ValueError, match=f"^newest={newest}: must lie between 0 and 1$"):
            reset(SETTINGS, newest=newest)
    with pytest.raises(ValueError, match="^newest_rows=0: must be at least 1$"):
        recalibrate(newest_rows=0)


def test_a_setting_that_the_model_does_not_have_is_named(old, rng):
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        reset([{"ridge__depth": 3}]).make(old, *rows(rng))
