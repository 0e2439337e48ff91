"""Attribution: what each feature adds, its importance, and whether the ranking changed."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import ndcg_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from utils.monitors.attribution import (
    NDCG_THRESHOLD,
    Attributions,
    attribution_drift,
    attributions,
    importance,
    ndcg,
)
from utils.records import MEASUREMENT_COLUMNS

START = pd.Timestamp("2024-01-01", tz="UTC")
NUMBERS, WORDS = ["income", "amount", "years"], ["purpose", "region"]
FEATURES = NUMBERS + WORDS


def seeded():
    return np.random.default_rng(7)


def people(n=300, *, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "event_time": pd.DatetimeIndex(START + pd.Timedelta("1h") * np.arange(n)),
            "income": rng.normal(3, 1, n),
            "amount": rng.gamma(2, 1, n),
            "years": np.where(rng.random(n) < 0.2, np.nan, spread * rng.normal(5, 2, n)),
            "purpose": rng.choice(["car", "house", "study"], n),
            "region": pd.Categorical(rng.choice(["Norte", "Sul"], n)),
            "noise": rng.normal(0, 1, n),
        }
    )


def repaid(frame):
    rng = np.random.default_rng(5)
    x = frame["income"] - frame["amount"] + (frame["purpose"] == "house") - 1
    return (rng.random(len(frame)) < 1 / (1 + np.exp(-x))).astype(int)


def trees(frame):
    return make_pipeline(
        make_column_transformer(
            ("passthrough", NUMBERS), (OneHotEncoder(sparse_output=False), WORDS)
        ),
        HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=0),
    ).fit(frame[FEATURES], repaid(frame))


def explain(model, frame, *, background, rng=None, **options):
    options = {"features": FEATURES} | options
    return attributions(model, frame, background=background, rng=rng or seeded(), **options)


def shapley(score, row, background):
    """Return the Shapley values of a row by their definition, over all sets of features."""
    m, worth = len(row), {}
    for chosen in itertools.product((False, True), repeat=m):
        worth[chosen] = score(np.where(chosen, row, background)).mean()
    values = np.zeros(m)
    for chosen, j in itertools.product(worth, range(m)):
        if not chosen[j]:
            k = sum(chosen)
            weight = math.factorial(k) * math.factorial(m - k - 1) / math.factorial(m)
            values[j] += weight * (worth[(*chosen[:j], True, *chosen[j + 1 :])] - worth[chosen])
    return values


# ----------------------------------------------------------------------------------- of each row


@pytest.mark.parametrize("link", ["identity", "logit"])
@pytest.mark.parametrize("permutations", [1, 3])
def test_base_and_attributions_make_the_score(link, permutations):
    frame = people()
    model = trees(frame)
    found = explain(
        model, frame.iloc[100:130], background=frame.iloc[:20], link=link, permutations=permutations
    )
    served = model.predict_proba(frame[FEATURES].iloc[100:130])[:, 1]
    expected = served if link == "identity" else logit(served)
    np.testing.assert_allclose(found.score, expected)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.score)
    assert list(found.values.columns) == FEATURES
    assert found.values.index.equals(frame.index[100:130])


def test_a_linear_model_has_its_closed_form():
    frame = people().fillna({"years": 0.0})
    columns = [*NUMBERS, "noise"]
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(
        frame[columns], 3 * frame["income"] - frame["amount"] ** 2
    )
    slopes = model[-1].coef_ / model[0].scale_
    found = explain(model, frame.iloc[50:80], background=frame.iloc[:20], features=columns)
    expected = slopes * (frame[columns].iloc[50:80] - frame[columns].iloc[:20].mean())
    np.testing.assert_allclose(found.values, expected)


def test_a_category_has_one_value_the_coefficient_of_its_own_against_the_backgrounds():
    frame = people().fillna({"years": 0.0})
    model = make_pipeline(
        make_column_transformer(
            (StandardScaler(), NUMBERS), (OneHotEncoder(sparse_output=False), WORDS)
        ),
        LogisticRegression(),
    ).fit(frame[FEATURES], repaid(frame))
    names = model[0].get_feature_names_out()
    coefficient = dict(zip(names, model[-1].coef_[0], strict=True))
    of_row = frame["purpose"].map(lambda word: coefficient[f"onehotencoder__purpose_{word}"])
    found = explain(model, frame.iloc[50:80], background=frame.iloc[:20], link="logit")
    np.testing.assert_allclose(
        found.values["purpose"], of_row.iloc[50:80] - of_row.iloc[:20].mean(), atol=1e-9
    )


def test_a_feature_that_is_not_used_has_0():
    frame = people()
    found = explain(
        lambda rows: (rows["income"] * rows["amount"]).to_numpy(),
        frame.iloc[:50],
        background=frame.iloc[:20],
        features=["income", "noise", "amount", "region"],
    )
    assert (found.values[["noise", "region"]] == 0).all(axis=None)
    assert (found.values[["income", "amount"]].abs().mean() > 0.1).all()


def test_one_order_is_exact_for_pairs_and_many_come_close_for_more():
    rng = seeded()
    rows = rng.normal(size=(30, 4))
    frame = pd.DataFrame(rows, columns=list("abcd"))

    def pairs(x):
        return x[:, 0] * x[:, 1] + np.maximum(x[:, 2], x[:, 3]) + x[:, 0] ** 3

    def triples(x):
        return x[:, 0] * x[:, 1] * x[:, 2] + x[:, 3]

    for score, permutations, tolerance in ((pairs, 1, 1e-9), (triples, 200, 0.1)):
        found = explain(
            lambda given, score=score: score(given.to_numpy()),
            frame.iloc[20:],
            background=frame.iloc[:20],
            features=list("abcd"),
            permutations=permutations,
        )
        expected = [shapley(score, row, rows[:20]) for row in rows[20:]]
        np.testing.assert_allclose(found.values, expected, atol=tolerance)


def test_trees_of_two_splits_are_what_shaps_tree_explainer_finds():
    import shap

    frame = people()
    columns = ["income", "amount", "noise"]
    model = RandomForestRegressor(n_estimators=20, max_depth=2, random_state=0).fit(
        frame[columns], frame["income"] * frame["amount"] - frame["noise"]
    )
    oracle = shap.TreeExplainer(
        model, frame[columns].iloc[:20].to_numpy(), feature_perturbation="interventional"
    )
    found = explain(model, frame.iloc[50:90], background=frame.iloc[:20], features=columns)
    np.testing.assert_allclose(
        found.values, oracle.shap_values(frame[columns].iloc[50:90].to_numpy()), atol=1e-6
    )


def test_many_rows_are_asked_about_at_once(monkeypatch):
    calls = []

    def score(rows):
        calls.append(len(rows))
        return rows["income"].to_numpy() * rows["amount"].to_numpy()

    frame = people(200)
    together = explain(score, frame, background=frame.iloc[:20])
    assert len(calls) <= 4  # the mixed rows, those explained, and the background
    monkeypatch.setattr("utils.monitors.attribution._AT_ONCE", 2_000)
    apart = explain(score, frame, background=frame.iloc[:20])
    assert max(calls[4:]) <= 2_000 and len(calls) > 10
    np.testing.assert_allclose(together.values, apart.values)


def test_the_model_is_given_the_columns_in_their_types_and_order():
    frame = people().convert_dtypes(dtype_backend="pyarrow")
    frame["region"] = people()["region"]
    frame["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(300), "D")
    frame["truth"] = np.arange(300) % 2 == 0
    columns = ["truth", "region", "since", "purpose", "years"]

    def score(rows):
        assert list(rows.columns) == columns
        assert (rows.dtypes == frame[columns].dtypes).all()
        return rows["truth"].to_numpy(dtype=float)

    found = explain(score, frame.iloc[:10], background=frame.iloc[10:20], features=columns)
    assert (found.values["truth"] != 0).all()


def test_categories_of_rows_and_background_may_differ():
    frame = people(40)
    seen = frame.assign(region=frame["region"].cat.add_categories("Leste"))

    def score(rows):
        assert isinstance(rows["region"].dtype, pd.CategoricalDtype)
        return (rows["region"] == "Sul").to_numpy(dtype=float)

    found = explain(score, seen.iloc[20:], background=frame.iloc[:20])
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.score)


def test_rows_and_background_are_drawn_and_the_draw_follows_the_generator():
    frame = people()
    model = trees(frame)
    once, again, other = (
        explain(model, frame, background=frame, rng=rng, max_rows=15, max_background=5)
        for rng in (seeded(), seeded(), np.random.default_rng(8))
    )
    assert len(once.values) == 15 and once.values.index.is_monotonic_increasing
    pd.testing.assert_frame_equal(once.values, again.values)
    assert once.base == again.base != other.base


def test_the_global_generator_is_neither_heard_nor_touched():
    frame = people(60)
    model = trees(frame)
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = explain(model, frame, background=frame)
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(2)
    again = explain(model, frame, background=frame)
    pd.testing.assert_frame_equal(first.values, again.values)


def test_no_rows_have_no_attributions():
    found = explain(trees(people()), people().iloc[:0], background=people())
    assert found.values.shape == (0, 5) and len(found.score) == 0
    assert 0 < found.base < 1


def test_nothing_changes_its_inputs():
    frame = people(60)
    before = frame.copy(deep=True)
    explain(trees(frame), frame, background=frame)
    pd.testing.assert_frame_equal(frame, before)


def three_classes(frame):
    model = LogisticRegression()
    return model.fit(frame[["income"]], np.arange(len(frame)) % 3)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            lambda f: lambda rows: rows["income"],
            {"features": ["incom"]},
            "frame, features='incom' is no column of the frame; did you mean 'income'?",
        ),
        (
            lambda f: lambda rows: rows["income"],
            {"background": people().iloc[:0]},
            "background: a row and a column at least are needed",
        ),
        (
            three_classes,
            {"features": ["income"]},
            "model has other than two classes; pass a function of the one that is meant, such as "
            "lambda rows: model.predict_proba(rows)[:, 0]",
        ),
        (
            lambda f: lambda rows: rows[["income", "amount"]],
            {},
            "model answered float64 of shape (20, 2) for 20 rows: one number a row is needed; "
            "pass a function, such as lambda rows: model.predict_proba(rows)[:, 1]",
        ),
        (
            lambda f: lambda rows: rows["purpose"],
            {},
            "model answered object of shape (20,) for 20 rows: one number a row is needed; pass a "
            "function, such as lambda rows: model.predict_proba(rows)[:, 1]",
        ),
        (lambda f: lambda rows: rows["years"], {}, "model answered nan for a row"),
        (
            lambda f: lambda rows: np.full(len(rows), 3.0),
            {"link": "logit"},
            "link='logit': model answered 3..3",
        ),
        (lambda f: "model", {}, "model='model': a model with predict, or a function, is needed"),
        (lambda f: trees(f), {"link": "log"}, "link='log': one of identity, logit"),
        (lambda f: trees(f), {"max_rows": 0}, "max_rows=0: at least 1 is needed"),
        (lambda f: trees(f), {"permutations": 0}, "permutations=0: at least 1 is needed"),
    ],
)
def test_misuse_is_refused_by_name(model, options, message):
    frame = people()
    with pytest.raises(ValueError) as refused:
        explain(model(frame), frame.iloc[:20], **({"background": frame.iloc[:20]} | options))
    assert str(refused.value) == message


def test_shap_is_imported_by_use_alone():
    code = (
        "import sys, utils.monitors.attribution\n"
        "assert not {'shap', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ----------------------------------------------------------------------------------- of them all


def explained(values):
    frame = pd.DataFrame(values, columns=[f"f{i}" for i in range(np.shape(values)[1])])
    return Attributions(values=frame, base=0.0, score=frame.sum(axis=1))


def test_importance_is_the_mean_size_greatest_first():
    table = importance(explained([[1.0, -4.0, 0.0], [-3.0, 2.0, 0.0]]), rng=seeded())
    assert table["feature"].tolist() == ["f1", "f0", "f2"]
    assert table["value"].tolist() == [3.0, 2.0, 0.0]
    assert (table["n"] == 2).all()
    assert table.loc[2, ["low", "high"]].isna().all()


def test_the_interval_of_importance_holds_the_truth_as_often_as_it_promises():
    rng, held = seeded(), []
    for _ in range(200):
        table = importance(explained(rng.normal(0, [[1.0, 3.0]], (80, 2))), rng=rng, draws=200)
        truth = np.sqrt(2 / np.pi) * np.array([3.0, 1.0])
        held.append((table["low"] <= truth) & (truth <= table["high"]))
    assert np.mean(held) > 0.92


def test_importance_of_no_rows_is_unknown():
    table = importance(explained(np.empty((0, 2))), rng=seeded())
    assert table[["value", "low", "high"]].isna().all(axis=None)
    assert (table["n"] == 0).all()


# ------------------------------------------------------------------------------------------ NDCG


importances = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=8
).filter(lambda pairs: any(reference for _, reference in pairs))


@given(importances)
def test_ndcg_is_scikit_learns_ties_included(pairs):
    live, reference = np.array(pairs, dtype=float).T
    expected = ndcg_score(reference[None], live[None])
    assert ndcg(live, reference=reference) == pytest.approx(expected)


@given(importances)
def test_ndcg_sees_the_order_alone(pairs):
    live, reference = np.array(pairs, dtype=float).T
    value = ndcg(live, reference=reference)
    assert 0 < value <= 1
    assert ndcg(3 * live + 1, reference=5 * reference) == pytest.approx(value)
    assert ndcg(reference, reference=reference) == pytest.approx(1)
    assert ndcg(-reference, reference=reference) <= value + 1e-12


def test_ndcg_of_equal_importances_cannot_fall_below_the_threshold():
    reference = np.linspace(1.0, 1.3, 8)
    assert ndcg(-reference, reference=reference) > NDCG_THRESHOLD


def test_ndcg_works_on_the_last_axis():
    rng = seeded()
    live, reference = rng.random((3, 5, 4)), rng.random((5, 4))
    found = ndcg(live, reference=reference)
    assert found.shape == (3, 5)
    assert found[2, 1] == pytest.approx(ndcg_score([reference[1]], [live[2, 1]]))


def test_ndcg_of_what_is_not_known_is_not_known():
    assert np.isnan(ndcg(np.array([1.0, 2.0]), reference=np.zeros(2)))
    assert np.isnan(ndcg(np.array([np.nan, 2.0]), reference=np.ones(2)))
    assert np.isnan(ndcg(np.ones(2), reference=np.array([np.nan, 2.0])))


@pytest.mark.parametrize(
    ("live", "reference", "message"),
    [
        ([1, 2], [1, -2], "reference: holds -2; an importance is a mean size, 0 or more"),
        (
            [1, 2],
            [1, 2, 3],
            "live, reference: shapes (2,) and (3,); both have the same features along the last "
            "axis",
        ),
    ],
)
def test_ndcg_refuses_what_is_no_importance(live, reference, message):
    with pytest.raises(ValueError) as refused:
        ndcg(live, reference=reference)
    assert str(refused.value) == message


# -------------------------------------------------------------------------------- drift, by window


def weighted(rows):
    return (3 * rows["income"] - 2 * rows["amount"] + rows["noise"]).to_numpy()


def drift(reference, current, model=weighted, **options):
    options = {"features": ["income", "amount", "noise"], "rng": seeded()} | options
    return attribution_drift(model, reference, current, **options)


def metric(table, name, column="value"):
    found = table[table["metric"] == name]
    return found.set_index(["feature", "window_start"])[column]


def test_a_quiet_window_keeps_its_ranking_and_a_changed_one_loses_it():
    reference = people(400, seed=1)
    quiet = people(168, seed=2)
    changed = people(168, seed=3)
    changed["noise"] *= 20
    changed["event_time"] += pd.Timedelta("7D")
    table = drift(reference, pd.concat([quiet, changed]))
    found = table[table["metric"] == "ndcg"].set_index("window_start")
    assert found["value"].iloc[0] == 1 and not found["alarm"].iloc[0]
    assert found["value"].iloc[1] < NDCG_THRESHOLD and found["alarm"].iloc[1]
    assert (found["threshold_low"] == NDCG_THRESHOLD).all()
    assert (found["n_current"] == 168).all() and (found["n_reference"] == 200).all()
    share = metric(table, "importance_share").unstack("feature")
    np.testing.assert_allclose(share.sum(axis=1), 1)
    assert share["noise"].iloc[1] > 0.7 > 0.3 > share["noise"].iloc[0]
    assert list(table.columns) == list(MEASUREMENT_COLUMNS)
    assert table["metric"].unique().tolist() == ["ndcg", "importance", "importance_share"]


def test_importance_shows_what_the_ranking_does_not():
    reference, current = people(300, seed=1), people(168, seed=2)
    for name in ("income", "amount", "noise"):
        current[name] = 5 * (current[name] - reference[name].mean()) + reference[name].mean()
    table = drift(reference, current)
    assert metric(table, "ndcg").iloc[0] == 1
    before = metric(drift(reference, people(168, seed=2)), "importance")
    assert (metric(table, "importance") > 3 * before).all()


def test_values_are_those_of_the_attributions():
    reference, current = people(60, seed=1), people(60, seed=2)
    options = {"max_background": 60, "window": None}
    table = drift(reference, current, **options)
    for frame, name in ((current, "value"),):
        sizes = attributions(
            weighted,
            frame,
            background=reference[["income", "amount", "noise"]],
            max_background=60,
            rng=seeded(),
        ).values.abs()
        found = metric(table, "importance", name).droplevel(1)
        assert dict(found) == pytest.approx(dict(sizes.mean()))
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()


def test_windows_with_few_rows_are_unknown_and_empty_ones_are_there():
    current = people(24 * 7 + 10)
    edges = {"start": START, "end": START + pd.Timedelta("21D")}
    table = drift(people(100, seed=1), current, minimum=30, **edges)
    n = table[table["metric"] == "ndcg"].set_index("window_start")["n_current"]
    assert n.tolist() == [168, 10, 0]
    few = table[table["window_start"] > START]
    assert few[["value", "low", "high"]].isna().all(axis=None) and not few["alarm"].any()


def test_other_windows_do_not_change_the_draws_of_one():
    reference, current = people(100, seed=1), people(24 * 14)
    model = trees(people())
    second = START + pd.Timedelta("7D")
    options = {"features": FEATURES, "max_rows": 40, "max_background": 10}
    whole = drift(reference, current, model, **options)
    alone = drift(reference, current[current["event_time"] >= second], model, **options)
    pd.testing.assert_frame_equal(
        whole[whole["window_start"] == second].reset_index(drop=True), alone
    )


def test_a_background_may_be_given():
    reference = people(100, seed=1)
    zero = reference.iloc[:1].assign(income=0.0, amount=0.0, noise=0.0)
    table = drift(reference, people(168, seed=2), background=zero)
    expected = (3 * people(168, seed=2)["income"]).abs().mean()
    assert metric(table, "importance")["income"].iloc[0] == pytest.approx(expected)


@pytest.mark.parametrize("now", [(6, 5, 4, 3, 2, 1), (6, 5, 4, 3, 2, 4.5), (1, 2, 3, 4, 5, 6)])
def test_the_interval_of_ndcg_holds_the_truth_as_often_as_it_promises(now):
    """Attributions of a sum, against a background of 0, are its terms: 40 windows of 60 rows."""
    rng, names = seeded(), list("abcdef")
    then, now = np.arange(6, 0, -1.0), np.array(now, dtype=float)

    def terms(n, scale):
        frame = pd.DataFrame(rng.normal(0, scale, (n, 6)), columns=names)
        return frame.assign(event_time=pd.DatetimeIndex(START + pd.Timedelta("2h") * np.arange(n)))

    table = attribution_drift(
        lambda rows: rows.sum(axis=1),
        terms(2000, then),
        terms(40 * 60, now),
        features=names,
        background=pd.DataFrame(np.zeros((1, 6)), columns=names),
        window="5D",
        start=START,
        max_rows=2000,
        draws=200,
        rng=rng,
    )
    found, truth = table[table["metric"] == "ndcg"], ndcg(now, reference=then)
    assert len(found) == 40
    held = (found["low"] <= truth + 1e-12) & (truth - 1e-12 <= found["high"])
    assert held.mean() > 0.87  # 0.95, less twice the error of 40 windows


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_shares_and_rankings_stay_in_their_bounds(seed, n_features):
    rng = np.random.default_rng(seed)
    names = [f"f{i}" for i in range(n_features)]
    frame = pd.DataFrame(rng.normal(size=(40, n_features)), columns=names)
    frame["event_time"] = pd.DatetimeIndex(START + pd.Timedelta("1h") * np.arange(40))
    table = drift(
        frame, frame, lambda rows: rows.iloc[:, 0] * rows.iloc[:, -1], features=names, draws=50
    )
    bounded = table[table["metric"] != "importance"]
    for column in ("value", "low", "high"):
        assert bounded[column].dropna().between(-1e-9, 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum": 0}, "minimum=0: at least 1 is needed"),
        ({"level": 95}, "level=95: a number between 0 and 1 is needed, such as 0.95"),
        (
            {"features": ["incom"]},
            "frame, features='incom' is no column of the frame; did you mean 'income'?",
        ),
        (
            {"time_column": "event"},
            "time_column='event' is no column of the frame; did you mean 'event_time'?",
        ),
    ],
)
def test_misuse_of_drift_is_refused_by_name(options, message):
    with pytest.raises(ValueError) as refused:
        drift(people(50), people(50), **options)
    assert str(refused.value) == message
