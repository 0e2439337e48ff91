"""Grafana: a dashboard of the service and one of the model, in both languages, as Grafana has them.

They are built with Grafana's own typed builders, and ask the Prometheus that scrapes the endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from utils.text import tr, using

DATASOURCE = "vigia-prometheus"
"""The uid of the data source that the dashboards ask, as provisioned."""

_OF = 'deployment="$deployment"'

Kind = Literal["timeseries", "stat"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One panel: what it is called, what it asks, and how the answer is read."""

    title: str
    description: str
    asks: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Kind = "timeseries"


def service_questions() -> tuple[Question, ...]:
    """Return what the dashboard of the service asks, in the language in force.

    >>> with using("en"):
    ...     service_questions()[0].title
    'Requests a second, by status'
    """
    quantile = "histogram_quantile({}, sum by (le) (rate(vigia_request_seconds_bucket[5m])))"
    return (
        Question(
            title=tr(pt="Requisições por segundo, por status", en="Requests a second, by status"),
            description=tr(
                pt="Todas as respostas, também as recusas.", en="Every answer, refusals too."
            ),
            asks=(("sum by (status) (rate(vigia_requests_total[5m]))", "{{status}}"),),
            unit="reqps",
        ),
        Question(
            title=tr(pt="Parcela de falhas do serviço", en="Share of failures of the service"),
            description=tr(
                pt="Status 500 e acima; as recusas por erro de quem chama não contam.",
                en="Status 500 and above; refusals for the caller's error do not count.",
            ),
            asks=(("vigia:request_errors:ratio_rate5m", tr(pt="falhas", en="failures")),),
            unit="percentunit",
        ),
        Question(
            title=tr(pt="Latência: metade, 95% e 99%", en="Latency: half, 95% and 99%"),
            description=tr(
                pt="Da chegada à resposta. Quem é recusado na hora também conta.",
                en="From arrival to answer. Who is refused at once counts too.",
            ),
            asks=tuple((quantile.format(q), f"p{round(100 * q)}") for q in (0.5, 0.95, 0.99)),
            unit="s",
        ),
        Question(
            title=tr(pt="Previsões por segundo", en="Predictions a second"),
            description=tr(pt="Linhas respondidas.", en="Rows answered."),
            asks=(("sum(rate(vigia_predictions_total[5m]))", tr(pt="linhas", en="rows")),),
            unit="rowsps",
        ),
        Question(
            title=tr(pt="Respondidas e não guardadas", en="Answered and not stored"),
            description=tr(
                pt="Acima de zero, o monitoramento está ficando cego: disco cheio, ou captura "
                "desligada.",
                en="Above zero, monitoring is going blind: a full disk, or capture switched off.",
            ),
            asks=(
                (
                    "sum(vigia_predictions_total) - sum(vigia_predictions_stored_total)",
                    tr(pt="linhas", en="rows"),
                ),
            ),
            kind="stat",
        ),
        Question(
            title=tr(pt="No ar, e com repositório", en="Up, and with its store"),
            description=tr(pt="1 é sim.", en="1 is yes."),
            asks=(
                ('up{job="vigia"}', tr(pt="serviço", en="service")),
                ("vigia_store_up", tr(pt="repositório", en="store")),
            ),
            kind="stat",
        ),
    )


def model_questions() -> tuple[Question, ...]:
    """Return what the dashboard of the model asks, in the language in force."""
    line = "{{metric}} {{feature}} {{group}}"

    def gauge(name: str, monitor: str) -> str:
        return f'vigia_model_{name}{{{_OF},monitor="{monitor}"}}'

    return (
        Question(
            title=tr(pt="Desempenho medido", en="Measured performance"),
            description=tr(
                pt="Com os rótulos conhecidos até o momento do painel ao lado.",
                en="On the labels known up to the moment in the panel beside.",
            ),
            asks=((gauge("measurement", "performance"), line),),
        ),
        Question(
            title=tr(pt="Desempenho estimado, sem rótulos", en="Estimated performance, no labels"),
            description=tr(
                pt="Vale se o conceito não mudou; os rótulos o dirão.",
                en="It holds if the concept did not change; labels will tell.",
            ),
            asks=((gauge("measurement", "estimated_performance"), line),),
        ),
        Question(
            title=tr(pt="Deriva por variável, e seus limiares", en="Drift by feature, thresholds"),
            description=tr(
                pt="Distância à referência; o limiar sai do orçamento de alarmes falsos.",
                en="Distance from the reference; thresholds come from the false-alarm budget.",
            ),
            asks=(
                (gauge("measurement", "drift"), "{{feature}}"),
                (
                    gauge("threshold_high", "drift"),
                    tr(pt="limiar de {{feature}}", en="threshold of {{feature}}"),
                ),
            ),
        ),
        Question(
            title=tr(pt="Linhas fora da faixa quieta", en="Lines outside their quiet range"),
            description=tr(
                pt="Quantas linhas de cada monitor alarmam na última janela.",
                en="How many lines of each monitor alarm in the last window.",
            ),
            asks=((f"sum by (monitor) (vigia_model_alarm{{{_OF}}})", "{{monitor}}"),),
        ),
        Question(
            title=tr(pt="Rótulos conhecidos até", en="Labels known up to"),
            description=tr(
                pt="Dois painéis que discordam podem estar certos, em datas diferentes.",
                en="Two dashboards that disagree may both be right, on different dates.",
            ),
            asks=(
                (
                    f"1000 * max(vigia_model_known_as_of_timestamp_seconds{{{_OF}}})",
                    tr(pt="até", en="up to"),
                ),
            ),
            unit="dateTimeAsIso",
            kind="stat",
        ),
        Question(
            title=tr(pt="Fim da última janela", en="End of the last window"),
            description=tr(
                pt="Se para no tempo, o monitoramento parou.",
                en="If it stands still, monitoring has stopped.",
            ),
            asks=(
                (
                    f"1000 * max(vigia_model_window_end_timestamp_seconds{{{_OF}}})",
                    tr(pt="fim", en="end"),
                ),
            ),
            unit="dateTimeAsIso",
            kind="stat",
        ),
    )


def dashboard(
    title: str, uid: str, questions: Sequence[Question], *, by_deployment: bool
) -> dict[str, Any]:
    """Return a dashboard as the JSON document that Grafana reads.

    ``by_deployment`` lets its reader choose the deployment that ``$deployment`` stands for.
    """
    from grafana_foundation_sdk.builders import dashboard as built
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

    source = DataSourceRef(type_val="prometheus", uid=DATASOURCE)
    board = built.Dashboard(title).uid(uid).tags(["vigia"]).refresh("30s").time("now-6h", "now")
    if by_deployment:
        board = board.with_variable(
            built.QueryVariable("deployment")
            .datasource(source)
            .query("label_values(vigia_model_measurement, deployment)")
            .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        )
    for question in questions:
        board = board.with_panel(_panel(question, source))
    return json.loads(JSONEncoder(sort_keys=True).encode(board.build()))


def _panel(question: Question, source: Any) -> Any:
    from grafana_foundation_sdk.builders import prometheus, stat, timeseries

    panel = {"timeseries": timeseries.Panel, "stat": stat.Panel}[question.kind]()
    panel = panel.title(question.title).description(question.description).unit(question.unit)
    panel = panel.datasource(source).height(8).span(12)
    for place, (expression, legend) in enumerate(question.asks):
        panel = panel.with_target(
            prometheus.Dataquery()
            .expr(expression)
            .legend_format(legend)
            .ref_id(chr(ord("A") + place))
            .datasource(source)
        )
    return panel


def dashboards(language: str) -> dict[str, dict[str, Any]]:
    """Return both dashboards in a language, by the name of their file."""
    with using(language):
        return {
            "service.json": dashboard(
                tr(pt="Vigia: o serviço", en="Vigia: the service"),
                f"vigia-service-{language}",
                service_questions(),
                by_deployment=False,
            ),
            "model.json": dashboard(
                tr(pt="Vigia: o modelo", en="Vigia: the model"),
                f"vigia-model-{language}",
                model_questions(),
                by_deployment=True,
            ),
        }


def provisioning(*, prometheus_url: str = "http://127.0.0.1:9090") -> dict[str, dict[str, Any]]:
    """Return what Grafana reads when it starts: the data source, and where the dashboards are.

    ``$VIGIA_DASHBOARDS`` is the folder of the dashboards, taken from Grafana's environment.
    """
    return {
        "provisioning/datasources/vigia.yaml": {
            "apiVersion": 1,
            "datasources": [
                {
                    "name": "Vigia",
                    "uid": DATASOURCE,
                    "type": "prometheus",
                    "access": "proxy",
                    "url": prometheus_url,
                    "isDefault": True,
                }
            ],
        },
        "provisioning/dashboards/vigia.yaml": {
            "apiVersion": 1,
            "providers": [
                {
                    "name": "vigia",
                    "type": "file",
                    "options": {
                        "path": "$VIGIA_DASHBOARDS",
                        "foldersFromFilesStructure": True,
                    },
                }
            ],
        },
    }
