"""The flights model: judged on rows that the recipe never saw, and equipped for who watches it."""

import numpy as np
import pandas as pd
import pytest

from utils.course import arrivals, stages
from utils.course.models import flights_model
from utils.course.workspace import Workspace
from utils.datasets import flights
from utils.serving import benchmarks, cards, gates
from utils.serving.models import load
from utils.serving.versions import UnknownAlias


@pytest.fixture(scope="module")
def learned():
    return flights.departures(months=range(1, 4))


@pytest.fixture(scope="module")
def released(learned, tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('arrivals') / 'mlflow.db'}"
    return arrivals.release_flights(learned, tracking_uri=uri), uri


CHAMPION = "models:/flights@champion"


def test_the_recipe_is_judged_on_a_month_that_it_did_not_see(learned, released, monkeypatch):
    fitted = []

    def watched():
        model = flights_model()
        fit = model.fit
        model.fit = lambda inputs, label: fitted.append(len(inputs)) or fit(inputs, label)
        return model

    monkeypatch.setattr(arrivals, "flights_model", watched)
    known = learned.dropna(subset=[flights.TARGET])
    verdict = arrivals.judged_recipe(known, tracking_uri=released[1])
    of_winter = known["month"] < 3
    assert len(fitted) == 1
    assert 0 < of_winter.sum() - fitted[0] < 700, "January and February, less twelve hours"
    assert verdict.start >= arrivals.JUDGED_FROM
    assert verdict.end < arrivals.IN_SERVICE
    assert "recipe fitted on 2013-01 and 2013-02" in verdict.data


def test_what_is_judged_was_chosen_by_its_age_and_all_of_it_had_landed(learned):
    known = learned.dropna(subset=[flights.TARGET])
    for moment in (arrivals.JUDGED_FROM, arrivals.IN_SERVICE):
        old = known[known["departed_at"] < moment - arrivals.SETTLED]
        assert old["landed_at"].max() < moment


def test_the_verdict_holds_by_hand(learned, released):
    version, uri = released
    known = learned.dropna(subset=[flights.TARGET])
    before = known[known["departed_at"] < arrivals.JUDGED_FROM - arrivals.SETTLED]
    march = known[
        (known["departed_at"] >= arrivals.JUDGED_FROM)
        & (known["departed_at"] < arrivals.IN_SERVICE - arrivals.SETTLED)
    ]
    features, label = list(flights.FEATURES), march[flights.TARGET]
    model = flights_model().fit(before[features], before[flights.TARGET])
    own = (model.predict(march[features]) - label).abs()
    gain = np.median(before["departure_delay_min"] - before[flights.TARGET])
    rule = (march["departure_delay_min"] - gain - label).abs()
    table = gates.verdict_of(version.model_uri, tracking_uri=uri).table().set_index("metric")
    assert table.loc["mae_change", "value"] == pytest.approx((own - rule).mean())
    by_origin = own.groupby(march["origin"]).mean()
    assert table.loc["mae.by.origin", "value"] == pytest.approx(by_origin[by_origin.idxmax()])
    assert table["passed"].all()


def test_the_version_learned_from_the_whole_quarter_and_is_the_champion(learned, released):
    _, uri = released
    known = learned.dropna(subset=[flights.TARGET])
    features = list(flights.FEATURES)
    plain = flights_model().fit(known[features], known[flights.TARGET])
    answered, _ = load(CHAMPION, tracking_uri=uri).predict(known[features])
    np.testing.assert_allclose(answered, plain.predict(known[features]))


def test_the_version_carries_what_monitoring_judges_by(learned, released):
    _, uri = released
    reference = benchmarks.reference_of(CHAMPION, tracking_uri=uri)
    assert len(reference) == len(learned), "every departure, with a label or without one"
    assert reference["label"].isna().sum() == learned["diverted"].sum()
    pd.testing.assert_series_equal(
        reference["event_time"], learned["departed_at"], check_names=False
    )
    benchmark = benchmarks.benchmark_of(CHAMPION, tracking_uri=uri).set_index(["metric", "group"])
    off = (reference["prediction"] - reference["label"]).abs()
    assert benchmark.loc[("mae", ""), "value"] == pytest.approx(off.mean())
    for airport, errors in off.groupby(reference["origin"]):
        assert benchmark.loc[("mae", airport), "value"] == pytest.approx(errors.mean())
    whole = benchmark.loc["mae"]
    assert (whole["low"] < whole["value"]).all() and (whole["value"] < whole["high"]).all()


@pytest.mark.parametrize(
    ("language", "said"),
    [("pt", "ninguém julgou os seus próprios coeficientes"), ("en", "nobody judged its own")],
)
def test_the_card_says_what_was_judged_and_what_was_not(released, language, said):
    _, uri = released
    card = cards.model_card(CHAMPION, language=language, tracking_uri=uri)
    assert said in card
    assert "answered by the recipe fitted on 2013-01 and 2013-02" in card


def test_a_recipe_that_breaks_a_rule_is_nobodys_champion(learned, tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    strict = gates.NonInferiority(loss="mae", bound=-5.0)
    monkeypatch.setattr(arrivals, "RULES", (strict,))
    with pytest.raises(gates.NotPassed, match="models:/flights/1: did not pass its gate"):
        arrivals.release_flights(learned, tracking_uri=uri)
    with pytest.raises(UnknownAlias, match="has no alias .champion."):
        load(CHAMPION, tracking_uri=uri)


def test_the_stage_puts_only_what_passed_into_service(workspace):
    here = Workspace.current()
    here.need("flights-deployed")
    verdict = gates.need_passed(CHAMPION, tracking_uri=here.tracking_uri)
    assert verdict.passed
    here.renew("flights-model")
    here.need("flights-deployed")
    assert load(CHAMPION, tracking_uri=here.tracking_uri).model_version == "1"
    assert stages.FLIGHTS_IN_SERVICE == arrivals.IN_SERVICE
