"""What the page says, as text: findings, tables and the numbers of the plots, in one language.

Everything that a viewer gets is made here, once for all viewers; a viewer's own part only shows it.
Each plot's numbers stand in the table below it too, so nothing is told by a picture alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from html import escape
from typing import Any

from utils.dashboard.access import RUNBOOKS
from utils.dashboard.snapshot import Alert, Drifted, Point, Snapshot
from utils.dashboard.tallies import INTERVALS, SECONDS, Distribution, together
from utils.report.story import action_name, monitor_name, severity_name
from utils.report.tables import table
from utils.text import date, language, metric_name, number, tr

A_MINUTE = 60 // SECONDS
MOST_ALERTS = 12
MOST_DRAWN = 300
"""Percent of a threshold, at most, to which a bar is drawn; the table tells the whole."""

Columns = Mapping[str, list[Any]]

_NO_ANSWERS = Distribution(of="number", n=0, counts=())


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the page: what was found, the table that says it, and the plot's numbers.

    ``is_drawn`` is false where a plot would be empty.
    """

    finding: str
    table: str
    data: Columns
    is_drawn: bool = True


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that changes on the page, in one language.

    ``parts`` is HTML by the name of its place, ``data`` the columns of each plot, ``drawn`` the
    plots that have something to show, and ``status`` what is read aloud. A page of another
    ``shape`` has other axes, and must be made anew.
    """

    version: int
    shape: str
    parts: Mapping[str, str]
    data: Mapping[str, Columns]
    drawn: Sequence[str]
    status: str


def page(snapshot: Snapshot, *, version: int) -> Page:
    """Return what the page says of a snapshot, in the language in force."""
    sections = {
        "requests": _requests(snapshot),
        "latency": _latency(snapshot),
        "answers": _answers(snapshot),
        "performance": _performance(snapshot),
        "drift": _drift(snapshot),
    }
    of = snapshot.answers.of if snapshot.answers else ""
    return Page(
        version=version,
        shape=f"{of}/{snapshot.performance.metric}",
        parts={"cards": _cards(snapshot), "alerts": _alerts(snapshot)}
        | {f"{name}_finding": each.finding for name, each in sections.items()}
        | {f"{name}_table": each.table for name, each in sections.items()},
        data={name: each.data for name, each in sections.items()},
        drawn=[name for name, each in sections.items() if each.is_drawn],
        status=_status(snapshot),
    )


# ------------------------------------------------------------------------------- at a glance


def _cards(snapshot: Snapshot) -> str:
    total = snapshot.total
    _, p95, _ = total.percentiles
    n_open, drift = len(snapshot.open_alerts), snapshot.drift
    n_critical = sum(each.severity == "critical" for each in snapshot.open_alerts)
    failed = total.failed / total.requests if total.requests else math.nan
    minutes = tr(pt="em dez minutos", en="in ten minutes")
    cards = (
        (
            tr(pt="Requisições", en="Requests"),
            number(total.requests),
            minutes,
            "",
        ),
        (
            tr(pt="Falhas do serviço", en="Failures of the service"),
            _share(failed),
            tr(
                pt=f"{number(total.failed)} com falha; {_refused(total.refused)}",
                en=f"{number(total.failed)} failed; {number(total.refused)} refused",
            ),
            "bad" if total.failed else "",
        ),
        (
            tr(pt="Latência, percentil 95", en="Latency, 95th percentile"),
            _milliseconds(p95),
            minutes,
            "",
        ),
        (
            tr(pt="Previsões guardadas", en="Predictions stored"),
            number(snapshot.stored, digits=9),
            tr(pt="desde o início", en="since the beginning"),
            "",
        ),
        (
            tr(pt="Alertas abertos", en="Open alerts"),
            number(n_open),
            tr(
                pt=f"{n_critical} crítico{'' if n_critical == 1 else 's'}",
                en=f"{n_critical} critical",
            ),
            "bad" if n_critical else "warn" if n_open else "",
        ),
        (
            tr(pt="Deriva além do limiar", en="Drift beyond its threshold"),
            f"{drift.n_beyond} / {drift.n_features}" if drift.n_features else "–",
            tr(pt="variáveis e respostas", en="features and answers"),
            "warn" if drift.n_beyond else "",
        ),
    )
    items = "".join(
        f'<div class="card {look}"><dt>{escape(name)}</dt><dd><b>{escape(value)}</b>'
        f"<small>{escape(note)}</small></dd></div>"
        for name, value, note, look in cards
    )
    said = tr(pt="Atualizado em", en="Updated")
    moment = f"{date(snapshot.at)}, {snapshot.at:%H:%M:%S} UTC"
    trouble = ""
    if snapshot.trouble:
        old = tr(
            pt="O repositório não pode ser lido; os números podem estar velhos.",
            en="The store cannot be read; the numbers may be old.",
        )
        trouble = f'<p class="trouble">{escape(old)} <code>{escape(snapshot.trouble)}</code></p>'
    return f'{trouble}<dl class="cards">{items}</dl><p class="moment">{said} {moment}.</p>'


def _status(snapshot: Snapshot) -> str:
    total, n_open = snapshot.total, len(snapshot.open_alerts)
    return tr(
        pt=f"{_requested(total.requests)} em dez minutos, "
        f"{number(total.failed)} com falha. Alertas abertos: {n_open}. "
        f"Deriva além do limiar: {snapshot.drift.n_beyond}.",
        en=f"{_requested(total.requests)} in ten minutes, {number(total.failed)} failed. "
        f"Open alerts: {n_open}. Drift beyond its threshold: {snapshot.drift.n_beyond}.",
    )


# ------------------------------------------------------------------------------- alerts


def _alerts(snapshot: Snapshot) -> str:
    found = snapshot.open_alerts
    closed = [each for each in snapshot.alerts if each.state == "resolved"]
    if not found:
        said = tr(pt="Nenhum alerta aberto.", en="No alert is open.")
        if closed:
            last = max(closed, key=lambda each: each.last_seen)
            said += tr(
                pt=f" O último, {last.rule}, foi resolvido.",
                en=f" The last one, {last.rule}, is resolved.",
            )
        return f'<p class="finding quiet">{escape(said)}</p>'
    items = "".join(_alert(each, snapshot.runbooks) for each in found[:MOST_ALERTS])
    more = len(found) - MOST_ALERTS
    rest = ""
    if more > 0:
        said = tr(
            pt=f"E mais {more}, menos urgente{'' if more == 1 else 's'}.",
            en=f"And {more} less urgent.",
        )
        rest = f"<p>{said}</p>"
    return f'<ol class="alerts">{items}</ol>{rest}'


def _alert(each: Alert, runbooks: Collection[str]) -> str:
    state = {
        "firing": tr(pt="sem resposta", en="nobody has answered"),
        "acknowledged": tr(
            pt=f"assumido por {each.acknowledged_by}", en=f"taken on by {each.acknowledged_by}"
        ),
    }[each.state]
    if each.silenced:
        state += tr(pt=", silenciado", en=", silenced")
    facts = [
        (tr(pt="Evidência", en="Evidence"), escape(each.evidence)),
        (tr(pt="Janelas", en="Windows"), _period(each.since, each.last_seen)),
        (tr(pt="Ação", en="Action"), escape(action_name(each.action))),
        (tr(pt="Situação", en="State"), escape(state)),
        (tr(pt="Responsável", en="Owner"), escape(each.owner)),
        (tr(pt="Roteiro", en="Runbook"), _runbook(each.runbook, runbooks)),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{said}</dd>" for name, said in facts if said)
    look = "critical" if each.severity == "critical" else "warning"
    sign = "▲" if look == "critical" else "●"
    badge = f'<span class="badge">{sign} {escape(severity_name(each.severity))}</span>'
    return f'<li class="{look}"><h3>{escape(each.rule)} {badge}</h3><dl>{rows}</dl></li>'


def _runbook(name: str, runbooks: Collection[str]) -> str:
    """Return a link to a runbook: to its page here, or to wherever its address leads."""
    text = escape(name)
    if name in runbooks:
        return f'<a href="{RUNBOOKS}/{language()}/{text}">{text}</a>'
    if name.startswith(("https://", "http://")):
        return f'<a href="{text}" rel="noreferrer">{text}</a>'
    return text


# ------------------------------------------------------------------------------- traffic


def _minutes_ago() -> list[float]:
    """Return where the middle of each interval stands on the axis, in minutes."""
    return [(at + 0.5 - INTERVALS) * SECONDS / 60 for at in range(INTERVALS)]


def _by_minute(snapshot: Snapshot) -> list[tuple[str, Any]]:
    """Return the ten minutes, the newest first."""
    found = []
    for ago in range(INTERVALS // A_MINUTE):
        stop = INTERVALS - ago * A_MINUTE
        minute = together(snapshot.traffic[stop - A_MINUTE : stop])
        name = (
            tr(pt="o último minuto", en="the last minute")
            if ago == 0
            else tr(pt=f"há {ago} min", en=f"{ago} min ago")
        )
        found.append((name, minute))
    return found


def _requests(snapshot: Snapshot) -> Section:
    total = snapshot.total
    if not total.requests:
        finding = tr(pt="Nenhuma requisição em dez minutos.", en="No request came in ten minutes.")
    elif total.requests == total.answered == 1:
        finding = tr(pt="A única requisição foi respondida.", en="The one request was answered.")
    elif not total.refused + total.failed:
        finding = tr(
            pt=f"Todas as {number(total.requests)} requisições foram respondidas.",
            en=f"All {number(total.requests)} requests were answered.",
        )
    else:
        finding = tr(
            pt=f"{_requested(total.requests)}: {_refused(total.refused)} por erro "
            f"de quem chama, {number(total.failed)} com falha do serviço.",
            en=f"{_requested(total.requests)}: {_refused(total.refused)} for the "
            f"caller's error, {number(total.failed)} with a failure of the service.",
        )
    names = [
        tr(pt="Quando", en="When"),
        tr(pt="Respondidas", en="Answered"),
        tr(pt="Recusadas (4xx)", en="Refused (4xx)"),
        tr(pt="Com falha (5xx)", en="Failed (5xx)"),
    ]
    rows = [
        (name, number(each.answered), number(each.refused), number(each.failed))
        for name, each in _by_minute(snapshot)
    ]
    caption = tr(pt="Requisições por minuto", en="Requests by minute")
    return Section(
        finding=_said(finding, is_bad=bool(total.failed)),
        table=table(names, rows, caption=caption, numbers=(1, 2, 3)),
        data={
            "x": _minutes_ago(),
            "answered": [each.answered for each in snapshot.traffic],
            "refused": [each.refused for each in snapshot.traffic],
            "failed": [each.failed for each in snapshot.traffic],
        },
        is_drawn=bool(total.requests),
    )


def _latency(snapshot: Snapshot) -> Section:
    p50, _, p99 = snapshot.total.percentiles
    finding = (
        tr(
            pt="Nenhuma previsão guardada em dez minutos.",
            en="No prediction stored for ten minutes.",
        )
        if math.isnan(p50)
        else tr(
            pt=f"Metade das previsões sai em até {_milliseconds(p50)}, e 99% em até "
            f"{_milliseconds(p99)}.",
            en=f"Half of the predictions are made within {_milliseconds(p50)}, and 99% within "
            f"{_milliseconds(p99)}.",
        )
    )
    names = [tr(pt="Quando", en="When"), "p50 (ms)", "p95 (ms)", "p99 (ms)"]
    names.append(tr(pt="Previsões", en="Predictions"))
    rows = [
        (name, *map(_number, each.percentiles), number(each.n_timed))
        for name, each in _by_minute(snapshot)
    ]
    caption = tr(
        pt="Percentis da latência por minuto, em milissegundos",
        en="Percentiles of the latency by minute, in milliseconds",
    )
    columns = list(zip(*(each.percentiles for each in snapshot.traffic), strict=True))
    return Section(
        finding=_said(finding),
        table=table(names, rows, caption=caption, numbers=(1, 2, 3, 4)),
        data={"x": _minutes_ago()}
        | {f"p{q}": list(column) for q, column in zip((50, 95, 99), columns, strict=True)},
        is_drawn=not math.isnan(p50),
    )


# ------------------------------------------------------------------------------- answers


def _answers(snapshot: Snapshot) -> Section:
    found = snapshot.answers
    if found is None:
        said = tr(pt="Nenhuma previsão guardada ainda.", en="No prediction is stored yet.")
        return Section(finding=_said(said), table="", data=_bars(_NO_ANSWERS), is_drawn=False)
    n = number(found.n)
    among = tr(pt=f"Nas {n} previsões mais novas", en=f"Among the {n} newest predictions")
    if found.n == 1:
        among = tr(pt="Na única previsão até aqui", en="In the one prediction so far")
    if found.of == "score":
        finding = tr(
            pt=f"{among}, o escore mediano é {_number(found.median)}.",
            en=f"{among}, the median score is {_number(found.median)}.",
        )
    elif found.of == "number":
        finding = tr(
            pt=f"{among}, a mediana do previsto é {_number(found.median)}.",
            en=f"{among}, the median predicted is {_number(found.median)}.",
        )
    else:
        share = _share(found.counts[0] / found.n)
        finding = tr(
            pt=f"{among}, “{found.labels[0]}” é a mais frequente: {share}.",
            en=f"{among}, “{found.labels[0]}” is the most frequent: {share}.",
        )
    names = [
        tr(pt="Faixa", en="Range") if found.edges else tr(pt="Classe", en="Class"),
        tr(pt="Previsões", en="Predictions"),
        tr(pt="Parcela", en="Share"),
    ]
    rows = [
        (name, number(count), _share(count / found.n))
        for name, count in zip(_bin_names(found), found.counts, strict=True)
        if count
    ]
    caption = tr(
        pt="Distribuição das previsões mais novas (só faixas com previsões)",
        en="Distribution of the newest predictions (only ranges that have any)",
    )
    return Section(
        finding=_said(finding),
        table=table(names, rows, caption=caption, numbers=(1, 2)),
        data=_bars(found),
    )


def _bin_names(found: Distribution) -> Sequence[str]:
    if not found.edges:
        return found.labels
    edges = [_number(each) for each in found.edges]
    between = tr(pt="a", en="to")
    return [f"{low} {between} {high}" for low, high in zip(edges, edges[1:], strict=False)]


def _bars(found: Distribution) -> Columns:
    edges = found.edges or [at - 0.4 for at in range(len(found.counts))]
    right = found.edges[1:] or [at + 0.4 for at in range(len(found.counts))]
    total = found.n or 1
    return {
        "left": list(edges[: len(found.counts)]),
        "right": list(right),
        "top": [100 * count / total for count in found.counts],
        "label": [
            f"{name}: {_share(count / total)}"
            for name, count in zip(_bin_names(found), found.counts, strict=True)
        ]
        if found.counts
        else [],
        "name": list(found.labels) or [""] * len(found.counts),
    }


# ------------------------------------------------------------------------------- performance


def _performance(snapshot: Snapshot) -> Section:
    found = snapshot.performance
    if not found.latest:
        said = tr(
            pt="Nada foi medido ainda: os monitores escrevem aqui o que medem em cada janela.",
            en="Nothing is measured yet: the monitors write here what they measure in each window.",
        )
        return Section(finding=_said(said), table="", data=_points(()), is_drawn=False)
    metric = metric_name(found.metric)
    said, alarmed = [], False
    if not found.over_time:
        said.append(
            tr(
                pt="Ainda não se conhecem rótulos que bastem para medir o erro.",
                en="Too few labels are known yet to measure the error.",
            )
        )
    for is_estimated in (False, True):
        points = [each for each in found.over_time if each.is_estimated == is_estimated]
        if points:
            last = points[-1]
            alarmed = alarmed or last.alarm
            said.append(_newest(last, metric))
    names = [
        tr(pt="Métrica", en="Metric"),
        tr(pt="Origem", en="Origin"),
        tr(pt="Valor", en="Value"),
        tr(pt="Intervalo", en="Interval"),
        tr(pt="Limiar", en="Threshold"),
        tr(pt="Situação", en="State"),
        tr(pt="Janela", en="Window"),
        tr(pt="Conhecido até", en="Known as of"),
        tr(pt="Linhas", en="Rows"),
    ]
    rows = [
        (
            metric_name(each.metric),
            _origin(each),
            _number(each.value),
            _between(each.low, each.high),
            _limits(each) or "–",
            _state(each.alarm, is_judged=bool(_limits(each))),
            _period(each.start, each.end),
            _moment(each.known_as_of) if each.known_as_of else "–",
            number(each.n),
        )
        for each in found.latest
    ]
    caption = tr(
        pt="Desempenho na janela mais nova que tem valor",
        en="Performance in the newest window that has a value",
    )
    return Section(
        finding=_said(" ".join(said), is_bad=alarmed),
        table=table(names, rows, caption=caption, numbers=(2, 8)),
        data=_points(found.over_time),
        is_drawn=bool(found.over_time),
    )


def _newest(last: Point, metric: str) -> str:
    value = _number(last.value)
    end = _moment(last.end)
    beyond = tr(pt=", além do limiar", en=", beyond its threshold") if last.alarm else ""
    if last.is_estimated:
        return tr(
            pt=f"Estimado sem rótulos, na janela até {end}: {metric} de {value}{beyond}.",
            en=f"Estimated without labels, in the window to {end}: {metric} of {value}{beyond}.",
        )
    known = ""
    if last.known_as_of:
        moment = _moment(last.known_as_of)
        known = tr(pt=f" com o que se sabia em {moment}", en=f" with what was known on {moment}")
    return tr(
        pt=f"Realizado, na janela até {end}{known}: {metric} de {value}{beyond}.",
        en=f"Realised, in the window to {end}{known}: {metric} of {value}{beyond}.",
    )


def _origin(each: Point) -> str:
    if each.is_estimated:
        return tr(pt="estimado", en="estimated")
    return tr(pt="realizado", en="realised")


def _points(points: Sequence[Point]) -> Columns:
    return {
        "x": [(each.start.timestamp() + each.end.timestamp()) * 500 for each in points],
        "y": [each.value for each in points],
        "low": [_finite(each.low, each.value) for each in points],
        "high": [_finite(each.high, each.value) for each in points],
        "threshold": [
            each.threshold_high if math.isfinite(each.threshold_high) else each.threshold_low
            for each in points
        ],
        "estimated": [each.is_estimated for each in points],
        "label": [
            f"{_origin(each)}: {_number(each.value)} "
            f"{_between(each.low, each.high)}, {_period(each.start, each.end)}"
            for each in points
        ],
    }


# ------------------------------------------------------------------------------- drift


def _drift(snapshot: Snapshot) -> Section:
    found = snapshot.drift
    if not found.features or found.start is None or found.end is None:
        said = tr(pt="Nenhuma deriva foi medida ainda.", en="No drift has been measured yet.")
        return Section(finding=_said(said), table="", data=_ways(()), is_drawn=False)
    n, period = found.n_features, _period(found.start, found.end)
    finding = tr(
        pt=f"{found.n_beyond} de {n} além do limiar na janela de {period}.",
        en=f"{found.n_beyond} of {n} beyond the threshold in the window of {period}.",
    )
    if (shown := len(found.features)) < n:
        finding += tr(
            pt=f" Aqui, as {shown} mais perto dele ou mais além.",
            en=f" Here are the {shown} nearest to it, or furthest beyond.",
        )
    names = [
        tr(pt="Variável", en="Feature"),
        tr(pt="Métrica", en="Metric"),
        tr(pt="Valor", en="Value"),
        tr(pt="Limiar", en="Threshold"),
        tr(pt="% do limiar", en="% of threshold"),
        tr(pt="Situação", en="State"),
    ]
    rows = [
        (
            _feature(each),
            metric_name(each.metric),
            _number(each.value),
            _number(each.threshold),
            _share(each.share),
            _state(each.alarm, is_judged=math.isfinite(each.threshold)),
        )
        for each in found.features
    ]
    caption = tr(
        pt=f"Cada variável pela métrica mais perto do limiar, {period}",
        en=f"Each feature by its metric nearest to a threshold, {period}",
    )
    return Section(
        finding=_said(finding, is_bad=bool(found.n_beyond)),
        table=table(names, rows, caption=caption, numbers=(2, 3, 4)),
        data=_ways(found.features),
    )


def _feature(each: Drifted) -> str:
    name = each.feature or monitor_name(each.monitor)
    return f"{name} ({each.group})" if each.group else name


def _ways(features: Sequence[Drifted]) -> Columns:
    ways = [
        0.0 if math.isnan(each.share) else min(100 * each.share, MOST_DRAWN) for each in features
    ]
    return {
        "name": [_feature(each) for each in features],
        "within": [0.0 if each.alarm else way for each, way in zip(features, ways, strict=True)],
        "beyond": [way if each.alarm else 0.0 for each, way in zip(features, ways, strict=True)],
        "label": [
            f"{_feature(each)}: {metric_name(each.metric)} {_number(each.value)}, "
            + tr(pt="limiar", en="threshold")
            + f" {_number(each.threshold)}"
            for each in features
        ],
    }


# ------------------------------------------------------------------------------- words


def _said(text: str, *, is_bad: bool = False) -> str:
    return f'<p class="finding{" bad" if is_bad else ""}">{escape(text)}</p>'


def _requested(n: int) -> str:
    if n == 1:
        return tr(pt="1 requisição", en="1 request")
    return tr(pt=f"{number(n)} requisições", en=f"{number(n)} requests")


def _refused(n: int) -> str:
    return tr(pt=f"{number(n)} recusada{'' if n == 1 else 's'}", en=f"{number(n)} refused")


def _state(alarm: bool, *, is_judged: bool) -> str:
    if alarm:
        return tr(pt="▲ além do limiar", en="▲ beyond")
    return tr(pt="✓ dentro", en="✓ within") if is_judged else "–"


def _number(value: float) -> str:
    return number(value, digits=3) if math.isfinite(value) else "–"


def _share(value: float) -> str:
    return f"{number(100 * value, digits=3)}%" if math.isfinite(value) else "–"


def _milliseconds(value: float) -> str:
    return f"{_number(value)} ms" if math.isfinite(value) else "–"


def _between(low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    between = tr(pt="a", en="to")
    return f"{_number(low)} {between} {_number(high)}"


def _limits(each: Point) -> str:
    if math.isfinite(each.threshold_low) and math.isfinite(each.threshold_high):
        return _between(each.threshold_low, each.threshold_high)
    limits = {"≥": each.threshold_low, "≤": each.threshold_high}
    return " ".join(f"{sign} {_number(at)}" for sign, at in limits.items() if math.isfinite(at))


def _period(start: datetime, end: datetime) -> str:
    between = tr(pt="a", en="to")
    is_by_day = not any(_has_time(each) for each in (start, end))
    return between.join(f" {date(each, time=not is_by_day)} " for each in (start, end)).strip()


def _moment(at: datetime) -> str:
    """Return a moment as its date, with its time where that is not midnight."""
    return date(at, time=_has_time(at))


def _has_time(at: datetime) -> bool:
    """Tell whether a moment is another than the midnight that begins a day, in UTC."""
    return at.astimezone(UTC).time() != time()


def _finite(value: float, other: float) -> float:
    return value if math.isfinite(value) else other
