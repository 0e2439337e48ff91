"""The model card: what a version is, what it is for, and how good it was shown to be.

It is made from what the registry and the run know, in either language, and nothing in it is typed
but what only a person can say: what the model is for, and where its limits are (``state``). A card
that was kept as a file is true of the day it was made; ``model_card`` makes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Run
from mlflow.entities.model_registry import ModelVersion as Registered
from mlflow.exceptions import MlflowException

from utils.records import measurements
from utils.serving.benchmarks import (
    BENCHMARK,
    CONTRACT,
    REFERENCE,
    TABLE,
    THRESHOLD,
    read_table,
)
from utils.serving.contract import Contract, contract_of
from utils.serving.gates import NeverJudged, Verdict, verdict_in
from utils.serving.runs import NotLogged, measurements_of
from utils.serving.versions import (
    TAG,
    ModelVersion,
    NotCarried,
    address,
    carried,
    carry_text,
    need_run,
    opened,
    point,
    read_text,
)
from utils.text import LANGUAGES, date, language, metric_name, number, tr, using

CARD = "model_card"
STATEMENTS = ("purpose", "limits", "people")
"""What only a person can say: what it is for, where it fails, and who is in the data or missing."""

ROBUSTNESS = "robustness"
_LONGEST_DESCRIPTION = 5000  # what a registry on PostgreSQL takes
_CALIBRATION = ("calibration_bias", "calibration_intercept", "calibration_slope")


def state(
    version: str | ModelVersion,
    statement: str,
    *,
    pt: str,
    en: str,
    tracking_uri: str | None = None,
) -> None:
    """Say of a version what only a person can say, in both languages: one of ``STATEMENTS``.

    A run's tags ``card.<statement>.pt`` and ``.en`` say it of each version that is made of the run,
    and are outdone by what is said of the version.

    Raises ``ValueError`` for an unknown statement, or an empty text, and as ``versions.version_of``
    does.
    """
    if statement not in STATEMENTS:
        raise ValueError(f"statement={statement!r}: one of {', '.join(STATEMENTS)}")
    texts = {"pt": pt, "en": en}
    for code, text in texts.items():
        if not text.strip():
            raise ValueError(f"{code}={text!r}: a text is needed in each language")
    with opened(version, tracking_uri=tracking_uri) as (client, registered):
        for code, text in texts.items():
            client.set_model_version_tag(
                registered.name, str(registered.version), f"card.{statement}.{code}", text
            )


def model_card(
    model_uri: str,
    *,
    language: str | None = None,
    provenance: bool = True,
    tracking_uri: str | None = None,
) -> str:
    """Return the card of a version as Markdown, made from what the registry knows at this moment.

    ``language`` is that in force unless given. Its sections are always the same ones: of what is
    not known, it says so. The last one, which holds the ids of this very run and the digests of
    what it made, to the last bit, is left out without ``provenance``: what remains is the same
    wherever the same model was made from the same data.

    It repeats what was measured and does not judge whether that was the right thing to measure.

    Raises ``Unsigned`` for a model without a signature, ``ChangedArtifact`` or ``ChangedFile``
    where what the version carries was changed, and as ``versions.version_of`` does.
    """
    with opened(model_uri, tracking_uri=tracking_uri) as (client, registered):
        facts = _facts(client, registered)
    return _card(facts, language, provenance=provenance)


def _card(facts: _Facts, code: str | None, *, provenance: bool = True) -> str:
    with using(code) if code else nullcontext():
        sections = [f"## {title()}\n\n{body(facts)}" for title, body in _SECTIONS]
        if provenance:
            sections.append(f"## {_provenance_title()}\n\n{_provenance(facts)}")
        return "\n\n".join([f"# {_title(facts)}", *sections]) + "\n"


def attach_card(version: str | ModelVersion, *, tracking_uri: str | None = None) -> None:
    """Keep the card in both languages with a version, and describe the version by what is in it.

    The files are artifacts of its run, ``model_card.pt`` and ``model_card.en``; the description,
    which MLflow's page shows, is the beginning of the card in each language. Do it last: the card
    is true of this moment.

    Raises as ``model_card`` does.
    """
    with opened(version, tracking_uri=tracking_uri) as (client, registered):
        facts = _facts(client, registered)
        for code in LANGUAGES:
            what = f"{CARD}.{code}"
            uri = carry_text(client, registered, what, _card(facts, code), suffix=".md")
            point(client, registered, what, uri)
        client.update_model_version(
            registered.name, str(registered.version), description=_description(facts)
        )


def kept_card(model_uri: str, *, language: str, tracking_uri: str | None = None) -> str:
    """Return the card that was kept with a version; raises as ``benchmarks.benchmark_of`` does."""
    with opened(model_uri, tracking_uri=tracking_uri) as (client, registered):
        return carried(client, registered, f"{CARD}.{language}", read_text)[0]


# ------------------------------------------------------------------------------ what is known of it


@dataclass(frozen=True, kw_only=True)
class _Facts:
    registered: Registered
    aliases: tuple[str, ...]
    run: Run
    model_id: str
    contract: Contract
    requirements: tuple[str, ...]
    verdict: Verdict | None
    benchmark: pd.DataFrame
    is_benchmark: bool
    digests: dict[str, str]
    n_reference: int | None
    threshold: float | None
    robustness: pd.DataFrame | None

    def said(self, statement: str) -> str | None:
        """Return what a person said of the version, or of its run, in the language in force."""
        name = f"card.{statement}.{language()}"
        return self.registered.tags.get(name) or self.run.data.tags.get(name)


def _facts(client: MlflowClient, registered: Registered) -> _Facts:
    info = mlflow.models.get_model_info(address(registered))
    run = client.get_run(need_run(registered))
    benchmark = _carried_table(client, registered, BENCHMARK)
    reference = _carried_table(client, registered, REFERENCE)
    told = registered.tags.get(f"{TAG}{THRESHOLD}")
    return _Facts(
        registered=registered,
        aliases=tuple(sorted(registered.aliases)),
        run=run,
        model_id=info.model_id or "",
        contract=contract_of(info.signature),
        requirements=_requirements(registered),
        verdict=_verdict(client, registered),
        benchmark=_measured(client, run) if benchmark is None else benchmark,
        is_benchmark=benchmark is not None,
        digests={
            what: uri.rpartition("/")[2].partition(".")[0]
            for what in (BENCHMARK, REFERENCE, CONTRACT)
            if (uri := registered.tags.get(f"{TAG}{what}"))
        },
        n_reference=None if reference is None else len(reference),
        threshold=None if told is None else float(told),
        robustness=_carried_table(client, registered, f"{TABLE}{ROBUSTNESS}"),
    )


def _carried_table(client: MlflowClient, registered: Registered, what: str) -> pd.DataFrame | None:
    try:
        return carried(client, registered, what, read_table)[0]
    except NotCarried:
        return None


def _verdict(client: MlflowClient, registered: Registered) -> Verdict | None:
    try:
        return verdict_in(client, registered)
    except NeverJudged:
        return None


def _measured(client: MlflowClient, run: Run) -> pd.DataFrame:
    """Return what the run measured: its table, else its bare metrics, which have no interval."""
    try:
        return measurements_of(run.info.run_id, tracking_uri=client.tracking_uri)
    except NotLogged:
        return measurements(
            {
                "monitor": "run",
                "metric": name,
                "value": value,
                "window_start": None,
                "window_end": None,
            }
            for name, value in sorted(run.data.metrics.items())
        )


def _requirements(registered: Registered) -> tuple[str, ...]:
    try:
        text = mlflow.artifacts.load_text(f"{address(registered)}/requirements.txt")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip())


# ---------------------------------------------------------------------------- the card, by section


def _title(facts: _Facts) -> str:
    registered = facts.registered
    return tr(
        pt=f"Cartão do modelo: {registered.name}, versão {registered.version}",
        en=f"Model card: {registered.name}, version {registered.version}",
    )


def _model(facts: _Facts) -> str:
    aliases = ", ".join(facts.aliases) or tr(pt="nenhum", en="none")
    verdict = facts.verdict.title if facts.verdict else _not_judged()
    return _bullets(
        [
            (tr(pt="Nome", en="Name"), facts.registered.name),
            (tr(pt="Versão", en="Version"), str(facts.registered.version)),
            (tr(pt="Apelidos (*aliases*)", en="Aliases"), aliases),
            (tr(pt="Veredito", en="Verdict"), verdict),
        ]
    )


def _statement(statement: str) -> Callable[[_Facts], str]:
    def body(facts: _Facts) -> str:
        return facts.said(statement) or tr(
            pt=f"Ninguém disse ainda (`utils.serving.cards.state`, {statement!r}).",
            en=f"Nobody has said so yet (`utils.serving.cards.state`, {statement!r}).",
        )

    return body


def _signature(facts: _Facts) -> str:
    schema = facts.contract.schema
    yes, no = tr(pt="sim", en="yes"), tr(pt="não", en="no")
    rows = [[f"`{each.name}`", each.kind, yes if each.required else no] for each in schema.columns]
    headers = [
        tr(pt="entrada", en="input"),
        tr(pt="tipo", en="type"),
        tr(pt="obrigatória", en="required"),
    ]
    answers = tr(pt=f"Responde: {schema.output}.", en=f"It answers: {schema.output}.")
    return f"{_table(headers, rows)}\n\n{answers}"


def _data(facts: _Facts) -> str:
    rows = []
    for each in facts.run.inputs.dataset_inputs:
        context = {tag.key: tag.value for tag in each.tags}.get("mlflow.data.context", "")
        n_rows = json.loads(each.dataset.profile or "{}").get("num_rows")
        rows.append(
            [
                _use(context),
                each.dataset.name,
                f"`{each.dataset.digest}`",
                "" if n_rows is None else number(n_rows, digits=12),
                PurePath(_source(each)).name,
            ]
        )
    if not rows:
        return tr(
            pt="A execução não registrou os seus dados.", en="The run logged none of its data."
        )
    headers = [
        tr(pt="uso", en="use"),
        tr(pt="nome", en="name"),
        tr(pt="resumo (*digest*)", en="digest"),
        tr(pt="linhas", en="rows"),
        tr(pt="origem", en="source"),
    ]
    return _table(headers, rows)


def _source(logged: DatasetInput) -> str:
    """Return where a logged data set comes from: an address, or only what kind of place it is."""
    told = json.loads(logged.dataset.source or "{}")
    return told.get("uri") or told.get("url") or logged.dataset.source_type


def _use(context: str) -> str:
    names = {
        "training": tr(pt="treino", en="training"),
        "validation": tr(pt="validação", en="validation"),
        "evaluation": tr(pt="avaliação", en="evaluation"),
    }
    return names.get(context, context)


def _training(facts: _Facts) -> str:
    params = sorted(facts.run.data.params.items())
    if not params:
        return tr(pt="A execução não registrou parâmetros.", en="The run logged no parameters.")
    headers = [tr(pt="parâmetro", en="parameter"), tr(pt="valor", en="value")]
    return _table(headers, [[f"`{name}`", value] for name, value in params])


def _performance(facts: _Facts) -> str:
    table = facts.benchmark
    rows = table[table["group"].eq("") & ~_is_calibration(table)]
    if rows.empty:
        return tr(pt="Nada foi medido.", en="Nothing was measured.")
    whence = (
        tr(pt="O que o monitoramento cobrará", en="What monitoring will hold it to")
        if facts.is_benchmark
        else tr(pt="Como a execução registrou", en="As the run logged it")
    )
    return f"{whence}{_period(rows)}.\n\n{_measurements(rows)}"


def _groups(facts: _Facts) -> str:
    table = facts.benchmark
    rows = table[table["group"].ne("")]
    if rows.empty:
        return tr(pt="Nada foi medido por grupo.", en="Nothing was measured by group.")
    return _measurements(rows)


def _calibration(facts: _Facts) -> str:
    table = facts.benchmark
    rows = table[table["group"].eq("") & _is_calibration(table)]
    if rows.empty:
        return tr(pt="A calibração não foi medida.", en="Calibration was not measured.")
    return _measurements(rows)


def _is_calibration(table: pd.DataFrame) -> pd.Series:
    return table["monitor"].eq("calibration") | table["metric"].isin(_CALIBRATION)


def _threshold(facts: _Facts) -> str:
    if facts.threshold is None:
        return tr(
            pt="Nenhum limiar acompanha o modelo: vale a resposta dele.",
            en="No threshold comes with the model: its own answer counts.",
        )
    least = number(facts.threshold)
    return tr(
        pt=f"A resposta é sim a partir do escore {least}.",
        en=f"The answer is yes from a score of {least} on.",
    )


def _robustness(facts: _Facts) -> str:
    table = facts.robustness
    if table is None:
        return tr(
            pt="Nenhum incidente foi ensaiado.", en="No incident was rehearsed with this model."
        )
    columns = {
        "incident": tr(pt="incidente", en="incident"),
        "metric": tr(pt="métrica", en="metric"),
        "clean": tr(pt="sem ele", en="without it"),
        "broken": tr(pt="com ele", en="with it"),
        "change": tr(pt="mudança", en="change"),
        "low": tr(pt="de", en="from"),
        "high": tr(pt="a", en="to"),
        "contract": tr(pt="o contrato acusa", en="the contract objects to"),
    }
    shown = [name for name in columns if name in table.columns] or list(table.columns)
    rows = [[_cell(name, row[name]) for name in shown] for row in table.to_dict("records")]
    return _table([columns.get(name, f"`{name}`") for name in shown], rows)


def _gate(facts: _Facts) -> str:
    if facts.verdict is None:
        return _not_judged()
    marks = {True: "✓", False: "✗"}
    lines = [f"- {marks[each.passed]} {each.sentence}" for each in facts.verdict.outcomes]
    return "\n".join([f"{facts.verdict.title} {facts.verdict.basis}.", "", *lines])


def _not_judged() -> str:
    return tr(pt="Nunca foi julgado.", en="It was never judged.")


def _monitoring(facts: _Facts) -> str:
    none = tr(pt="não acompanha o modelo", en="does not come with the model")
    found = dict.fromkeys(facts.digests, tr(pt="acompanha o modelo", en="comes with the model"))
    if REFERENCE in found:
        rows = number(facts.n_reference, digits=12)
        found[REFERENCE] = tr(pt=f"{rows} linhas", en=f"{rows} rows")
    if BENCHMARK in found:
        rows = number(len(facts.benchmark), digits=12)
        found[BENCHMARK] = tr(pt=f"{rows} medições", en=f"{rows} measurements")
    return _bullets([(title, found.get(what, none)) for what, title in _carried_titles().items()])


def _carried_titles() -> dict[str, str]:
    return {
        BENCHMARK: tr(pt="Padrão (*benchmark*)", en="Benchmark"),
        REFERENCE: tr(pt="Referência", en="Reference"),
        CONTRACT: tr(pt="Contrato dos dados", en="Data contract"),
    }


def _needs(facts: _Facts) -> str:
    if not facts.requirements:
        return tr(pt="O modelo não diz do que precisa.", en="The model does not say what it needs.")
    return "\n".join(f"- `{each}`" for each in facts.requirements)


_SECTIONS: tuple[tuple[Callable[[], str], Callable[[_Facts], str]], ...] = (
    (lambda: tr(pt="Modelo", en="Model"), _model),
    (lambda: tr(pt="Para que serve", en="What it is for"), _statement("purpose")),
    (lambda: tr(pt="Limites", en="Limits"), _statement("limits")),
    (lambda: tr(pt="Quem está nos dados", en="Who is in the data"), _statement("people")),
    (lambda: tr(pt="O que entra e o que sai", en="What goes in and what comes out"), _signature),
    (lambda: tr(pt="Dados", en="Data"), _data),
    (lambda: tr(pt="Treino", en="Training"), _training),
    (lambda: tr(pt="Desempenho", en="Performance"), _performance),
    (lambda: tr(pt="Por grupo", en="By group"), _groups),
    (lambda: tr(pt="Calibração", en="Calibration"), _calibration),
    (lambda: tr(pt="Limiar", en="Threshold"), _threshold),
    (lambda: tr(pt="Robustez", en="Robustness"), _robustness),
    (lambda: tr(pt="Portão de validação", en="Gate"), _gate),
    (
        lambda: tr(pt="Com que o monitoramento compara", en="What monitoring compares with"),
        _monitoring,
    ),
    (lambda: tr(pt="Requisitos", en="Requirements"), _needs),
)
"""The title of each section, and what makes it."""


def _provenance_title() -> str:
    return tr(pt="Proveniência", en="Provenance")


def _provenance(facts: _Facts) -> str:
    run = facts.run.info
    made = pd.Timestamp(run.start_time, unit="ms", tz="UTC")
    told = [
        (tr(pt="Execução", en="Run"), f"`{run.run_id}` ({run.run_name})"),
        (tr(pt="Modelo registrado", en="Logged model"), f"`{facts.model_id}`"),
        (tr(pt="Treinado em", en="Trained on"), date(made, time=True)),
        *(
            (tr(pt="Dados", en="Data"), f"{each.dataset.name}: `{_source(each)}`")
            for each in facts.run.inputs.dataset_inputs
        ),
        *(
            (title, f"`{facts.digests[what]}`")
            for what, title in _carried_titles().items()
            if what in facts.digests
        ),
    ]
    if facts.verdict:
        told.append((tr(pt="Avaliação", en="Evaluation"), f"`{facts.verdict.run_id}`"))
    return _bullets(told)


def _description(facts: _Facts) -> str:
    """Return the beginning of the card in each language, as far as a description may be long."""
    parts = []
    for code in LANGUAGES:
        with using(code):
            purpose = _statement("purpose")(facts)
            where = tr(
                pt=f"O cartão inteiro está entre os artefatos da execução: `{CARD}.pt`.",
                en=f"The whole card is among the artifacts of the run: `{CARD}.en`.",
            )
            parts.append("\n\n".join([f"**{_title(facts)}**", purpose, _gate(facts), where]))
    text = "\n\n---\n\n".join(parts)
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


# -------------------------------------------------------------------------------- Markdown, numbers


def _measurements(rows: pd.DataFrame) -> str:
    """Return measurements as a table: what, whose, value, interval, rows."""
    grouped = rows["group"].ne("").any()
    headers = [
        tr(pt="métrica", en="metric"),
        *([tr(pt="grupo", en="group")] if grouped else []),
        tr(pt="valor", en="value"),
        tr(pt="intervalo", en="interval"),
        "n",
    ]
    found = []
    for row in rows.to_dict("records"):
        group = f"{row['feature']}: {row['group']}" if row["feature"] else row["group"]
        n = number(row["n_current"], digits=12) if row["n_current"] else "—"
        found.append(
            [
                metric_name(row["metric"]),
                *([group] if grouped else []),
                _number(row["value"]),
                _interval(row["low"], row["high"]),
                n,
            ]
        )
    return _table(headers, found)


def _period(rows: pd.DataFrame) -> str:
    start, end = rows["window_start"].min(), rows["window_end"].max()
    if pd.isna(start) or pd.isna(end):
        return ""
    return tr(pt=f", de {date(start)} a {date(end)}", en=f", {date(start)} to {date(end)}")


def _interval(low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return "—"
    return tr(pt=f"de {_number(low)} a {_number(high)}", en=f"{_number(low)} to {_number(high)}")


def _number(value: float) -> str:
    return "—" if np.isnan(value) else number(value, digits=4)


def _cell(name: str, value: Any) -> str:
    if name == "metric":
        return metric_name(str(value))
    return _number(value) if isinstance(value, float) else str(value)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(each.replace("|", r"\|").split()) for each in line) + " |"
        for line in lines
    )


def _bullets(told: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- **{name}**: {value}" for name, value in told)
