"""The report as one page: what matters first, then pictures, then every measurement.

The page fetches nothing: styles and pictures are within it. It says in words what the pictures
show, and reads on paper and by keyboard as it does on a screen.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from utils.plots import png
from utils.report import story
from utils.report.inputs import Inputs
from utils.report.pictures import Picture, anchor
from utils.report.story import KEYS, Answer, Case
from utils.report.tables import table
from utils.text import date, language, metric_name, number, tr

MOST_ROWS = 4_000
"""Measurements that the page lists one by one; the file has all of them."""

_LANGUAGE_TAGS = {"pt": "pt-BR", "en": "en"}


def html_page(
    inputs: Inputs,
    measurements: pd.DataFrame,
    cases: Sequence[Case],
    answers: Sequence[Answer],
    pictures: Sequence[Picture],
    *,
    sources: tuple[str, str],
) -> str:
    """Return the page in the language in force.

    ``sources`` are what the reference and the current data are called.
    """
    title = tr(pt="Relatório de monitoramento", en="Monitoring report")
    sections = [
        _header(inputs, measurements, cases, title=title, sources=sources),
        _answers(answers),
        _cases(cases, pictures),
        _notes(inputs.notes),
        _pictures(pictures),
        _measurements(measurements),
    ]
    body = "\n".join(filter(None, sections))
    return f"""<!DOCTYPE html>
<html lang="{_LANGUAGE_TAGS[language()]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _header(
    inputs: Inputs,
    measurements: pd.DataFrame,
    cases: Sequence[Case],
    *,
    title: str,
    sources: tuple[str, str],
) -> str:
    open_cases = [case for case in cases if not case.is_dismissed]
    is_critical = any(case.is_critical for case in open_cases)
    state = "critical" if is_critical else "warning" if open_cases else "clear"
    rows = [
        (
            tr(pt="Referência", en="Reference"),
            *_described(inputs.reference, inputs.roles.time_column, sources[0]),
        ),
        (
            tr(pt="Dados atuais", en="Current data"),
            *_described(inputs.current, inputs.roles.time_column, sources[1]),
        ),
    ]
    caption = tr(pt="O que se compara", en="What is compared")
    names = ["", tr(pt="Origem", en="Source"), tr(pt="Período", en="Period")]
    names.append(tr(pt="Linhas", en="Rows"))
    return f"""<header>
<h1>{escape(title)}</h1>
<p class="verdict {state}">{escape(story.verdict(cases, measurements))}</p>
{table(names, rows, caption=caption, numbers=(3,))}
</header>"""


def _described(frame: pd.DataFrame, time_column: str, source: str) -> tuple[str, str, str]:
    first, last = (date(frame[time_column].iloc[at], time=True) for at in (0, -1))
    return source, f"{first} – {last}", number(len(frame))


def _answers(answers: Sequence[Answer]) -> str:
    items = "\n".join(
        f"<section><h2>{escape(each.question)}</h2>{_said(each.lines)}</section>"
        for each in answers
    )
    return f'<div class="answers">\n{items}\n</div>'


def _said(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return f"<p>{escape(lines[0])}</p>"
    return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in lines) + "</ul>"


def _cases(cases: Sequence[Case], pictures: Sequence[Picture]) -> str:
    """Return the alerts, one item for each case: what moved, how sure, what to do and why."""
    title = tr(pt="Alertas", en="Alerts")
    if not cases:
        none = tr(
            pt="Nenhum. Isto não prova que nada mudou: diz que nada passou do que o acaso faz.",
            en="None. This does not prove that nothing changed: it says that nothing went beyond "
            "what chance does.",
        )
        return f"<section><h2>{title}</h2><p>{escape(none)}</p></section>"
    drawn = {picture.name for picture in pictures}
    items = "\n".join(_case(case, has_picture=anchor(case.worst) in drawn) for case in cases)
    return f'<section><h2>{title}</h2>\n<ol class="cases">\n{items}\n</ol></section>'


def _case(case: Case, *, has_picture: bool) -> str:
    worst = case.worst
    severity = story.severity_name(case.severity)
    name = escape(case.name)
    if has_picture:
        name = f'<a href="#{escape(anchor(worst))}">{name}</a>'
    labels = {
        tr(pt="Quando", en="When"): story.when(case),
        tr(pt="Evidência", en="Evidence"): worst.evidence,
        tr(pt="Também", en="Also"): ", ".join(case.also),
        tr(pt="Ação", en="Action"): story.what_to_do(case),
    }
    told = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in labels.items() if v)
    badge = f'<span class="badge">{escape(severity)}</span>'
    monitor = f"<small>({escape(story.monitor_name(worst.monitor))})</small>"
    kind = "dismissed" if case.is_dismissed else case.severity
    return f'<li class="{kind}"><h3>{badge} {name} {monitor}</h3><dl>{told}</dl></li>'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    title = tr(pt="O que se supôs dos dados", en="What was assumed of the data")
    return f"<section><h2>{escape(title)}</h2>\n{_said(notes)}</section>"


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    title = tr(pt="Figuras", en="Pictures")
    items = "\n".join(_picture(each) for each in pictures)
    return f"<section><h2>{title}</h2>\n{items}\n</section>"


def _picture(picture: Picture) -> str:
    data, width = png(picture.figure)
    source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    return f"""<figure id="{escape(picture.name)}">
<h3>{escape(picture.title)}</h3>
<img src="{source}" width="{width}" alt="{escape(picture.alt)}">
<figcaption>{escape(picture.alt)}</figcaption>
</figure>"""


# ---------------------------------------------------------------------------------- measurements


def _measurements(measurements: pd.DataFrame) -> str:
    title = tr(pt="Todas as medidas", en="All measurements")
    intro = tr(
        pt="Primeiro uma linha do painel em cada linha; mais abaixo, por monitor, cada janela. O "
        "arquivo measurements.csv tem tudo.",
        en="First each line of the dashboard in a row; further down, by monitor, each window. The "
        "file measurements.csv has all of it.",
    )
    parts = [f"<section><h2>{title}</h2><p>{intro}</p>", _by_line(measurements)]
    parts += [_of_monitor(name, rows) for name, rows in measurements.groupby("monitor", sort=False)]
    return "\n".join([*parts, "</section>"])


def _by_line(measurements: pd.DataFrame) -> str:
    names = [
        tr(pt="Monitor", en="Monitor"),
        tr(pt="Medida", en="Metric"),
        tr(pt="Variável", en="Feature"),
        tr(pt="Grupo", en="Group"),
        tr(pt="Menor", en="Least"),
        tr(pt="Mediana", en="Median"),
        tr(pt="Maior", en="Most"),
        tr(pt="Última janela", en="Last window"),
        tr(pt="Limiares", en="Thresholds"),
        tr(pt="Janelas julgadas", en="Windows judged"),
        tr(pt="Alarmes", en="Alarms"),
    ]
    rows = []
    for key, line in measurements.groupby(KEYS, sort=False):
        value = line["value"].dropna()
        last = line.sort_values("window_start").iloc[-1]
        spread = [value.min(), value.median(), value.max(), last["value"]]
        rows.append(
            (
                story.monitor_name(key[0]),
                metric_name(key[1]),
                key[2],
                key[3],
                *(_number(each) for each in spread),
                _limits(last),
                f"{number(len(value))} / {number(len(line))}",
                number(int(line["alarm"].sum())),
            )
        )
    caption = tr(pt="Cada linha do painel", en="Each line of the dashboard")
    return table(names, rows, caption=caption, numbers=range(4, 11))


def _of_monitor(monitor: str, measurements: pd.DataFrame) -> str:
    name = story.monitor_name(monitor)
    n = number(len(measurements))
    summary = tr(
        pt=f"Cada janela: {name} ({n} medidas)", en=f"Each window: {name} ({n} measurements)"
    )
    return (
        f"<details><summary>{escape(summary)}</summary>\n"
        f"{_each_window(measurements, caption=summary)}\n</details>"
    )


def _each_window(measurements: pd.DataFrame, *, caption: str) -> str:
    names = [
        tr(pt="Medida", en="Metric"),
        tr(pt="Variável", en="Feature"),
        tr(pt="Grupo", en="Group"),
        tr(pt="Janela", en="Window"),
        tr(pt="Valor", en="Value"),
        tr(pt="Intervalo", en="Interval"),
        tr(pt="Limiares", en="Thresholds"),
        tr(pt="Linhas", en="Rows"),
        tr(pt="Alarme", en="Alarm"),
    ]
    alarm = tr(pt="alarme", en="alarm")
    listed = measurements.sort_values([*KEYS, "window_start"], kind="stable").head(MOST_ROWS)
    rows = [
        (
            metric_name(row.metric),
            row.feature,
            row.group,
            story.period(row.window_start, row.window_end),
            _number(row.value),
            _between(row.low, row.high),
            _limits(row._asdict()),
            number(row.n_current),
            alarm if row.alarm else "",
        )
        for row in listed.itertuples(index=False)
    ]
    found = table(names, rows, caption=caption, numbers=(4, 5, 6, 7))
    more = len(measurements) - len(listed)
    if more:
        left = number(more)
        found += (
            "<p>"
            + tr(
                pt=f"Mais {left} medidas em measurements.csv.",
                en=f"{left} more measurements in measurements.csv.",
            )
            + "</p>"
        )
    return found


def _number(value: float) -> str:
    return number(value, digits=4) if math.isfinite(value) else "–"


def _between(low: float, high: float) -> str:
    if not (math.isfinite(low) or math.isfinite(high)):
        return ""
    to = tr(pt="a", en="to")
    return f"{_number(low)} {to} {_number(high)}"


def _limits(row: Mapping[str, Any]) -> str:
    limits = {"≥": row["threshold_low"], "≤": row["threshold_high"]}
    return " ".join(f"{sign} {_number(at)}" for sign, at in limits.items() if math.isfinite(at))


_STYLE = """
:root { color-scheme: light; }
body { font: 1rem/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .6rem; }
h2 { font-size: 1.25rem; margin: 2rem 0 .6rem; }
h3 { font-size: 1.02rem; margin: 0 0 .4rem; }
a { color: #00568f; }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 3px solid #00568f; }
.verdict { font-size: 1.2rem; font-weight: 600; padding: .7rem 1rem; margin: 0 0 1rem;
  border-left: .5rem solid #006b4f; background: #eef7f3; }
.verdict.warning { border-color: #8a5a00; background: #fdf5e6; }
.verdict.critical { border-color: #a01c10; background: #fdecea; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr));
  gap: .2rem 2rem; }
.answers h2 { margin: 1rem 0 .2rem; }
.answers p { margin: 0; }
.answers ul { margin: 0; padding-left: 1.1rem; }
.cases { list-style: none; padding: 0; }
.cases li { border-left: .35rem solid #8a5a00; padding: .3rem 0 .3rem .9rem; margin: 0 0 1.1rem; }
.cases li.critical { border-color: #a01c10; }
.badge { font-size: .78rem; text-transform: uppercase; letter-spacing: .04em; color: #fff;
  background: #8a5a00; padding: .12rem .5rem; border-radius: 3px; }
.critical .badge { background: #a01c10; }
.cases li.dismissed { border-color: #8c8c8c; }
.dismissed .badge { background: #595959; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: 0; }
dt { color: #595959; }
dd { margin: 0; }
small { font-weight: 400; color: #595959; font-size: .9rem; }
figure { margin: 0 0 2.2rem; }
figcaption { color: #444; font-size: .95rem; max-width: 48rem; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .4rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid #d0d0d0; }
tbody th { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: #00568f; }
@media print {
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  figure, .cases li, tr { break-inside: avoid; }
  .verdict, .badge { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
  details { display: none; }
}
@media (max-width: 40rem) {
  .answers { grid-template-columns: 1fr; }
  dl { grid-template-columns: 1fr; }
}
"""
