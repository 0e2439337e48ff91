"""The page of a viewer: made by Panel when it is opened, and kept up to date by what it asks for.

Every two seconds a page asks for what the reader made last, which is the same for all viewers and
is sent as it is; so a viewer costs the endpoint one small answer, and no work of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote

from utils.dashboard import figures
from utils.dashboard.access import HOME, NOW, RUNBOOKS, SIGN_IN, SIGN_OUT
from utils.dashboard.pages import Page
from utils.dashboard.reader import PERIOD_S, Reader
from utils.dashboard.script import SCRIPT
from utils.dashboard.snapshot import Snapshot
from utils.dashboard.style import PAGE
from utils.text import LANGUAGES, language, metric_name, tr, using

TAGS = {"pt": "pt-BR", "en": "en"}
NAMES = {"pt": "Português", "en": "English"}
SECTIONS = ("requests", "latency", "performance", "answers", "drift")

WIDTHS = {
    "requests": "half",
    "latency": "half",
    "performance": "all",
    "answers": "all beside",
    "drift": "all beside",
}
"""How much of the page a section takes, and whether its table stands beside the plot."""


def head(title: str) -> str:
    """Return the head of a page, but for Panel's own files."""
    return (
        f'<meta charset="utf-8"><title>{_plain(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{PAGE}</style>"
    )


def languages(address: Callable[[str], str]) -> str:
    """Return links to the page in each language, whose address ``address`` returns."""
    return "".join(
        f'<a href="{escape(address(code))}" lang="{TAGS[code]}" hreflang="{TAGS[code]}"'
        f"{_current(code)}>{NAMES[code]}</a>"
        for code in LANGUAGES
    )


def _current(code: str) -> str:
    return ' aria-current="true"' if code == language() else ""


def _plain(text: str) -> str:
    """Return a text for HTML that is itself a template: no brace of it opens anything."""
    return escape(text).replace("{", "&#123;")


def sign_in_page(deployment: str, *, is_wrong: bool = False, to: str = "") -> str:
    """Return the form that takes an access key, in the language in force.

    ``to`` is the address of the runbook that was asked for, and that the form leads to.
    """
    further = f"&to={quote(to, safe='')}" if to else ""
    action = f"{SIGN_IN}?language={language()}{further}"
    linked = languages(lambda code: f"{SIGN_IN}?language={code}{further}")
    title = tr(pt=f"Monitoramento de {deployment}", en=f"Monitoring of {deployment}")
    label = tr(pt="Chave de acesso", en="Access key")
    wrong = ""
    if is_wrong:
        said = tr(pt="Esta chave não abre o painel.", en="This key does not open the dashboard.")
        wrong = f'<p class="wrong" role="alert" id="wrong">{said}</p>'
    described = (
        'aria-describedby="wrong hint" aria-invalid="true"'
        if is_wrong
        else ('aria-describedby="hint"')
    )
    hint = tr(
        pt="A mesma chave que abre o endpoint. A sessão dura 12 horas e só vale neste servidor.",
        en="The key that opens the endpoint. The session lasts 12 hours, on this server alone.",
    )
    button = tr(pt="Entrar", en="Sign in")
    languages_said = tr(pt="Idioma", en="Language")
    return f"""<!DOCTYPE html>
<html lang="{TAGS[language()]}"><head>{head(title)}</head><body>
<header><div><h1>{escape(title)}</h1>
<nav aria-label="{languages_said}">{linked}</nav></div></header>
<main><form class="in" method="post" action="{escape(action)}">
{wrong}<label for="access_key">{label}</label>
<input id="access_key" name="access_key" type="password" required autocomplete="current-password"
 {described} autofocus>
<p class="hint" id="hint">{hint}</p><button type="submit">{button}</button></form></main>
</body></html>"""


def runbook_page(name: str, text: str) -> str:
    """Return a runbook, which is Markdown, as a page in the language in force.

    HTML in it is shown as text.
    """
    from markdown_it import MarkdownIt

    title = text.partition("\n")[0].strip("# ")
    back = tr(pt="Voltar ao painel", en="Back to the dashboard")
    skip = tr(pt="Ir para o conteúdo", en="Skip to the content")
    said = tr(pt="Idioma e painel", en="Language and dashboard")
    linked = languages(lambda code: f"{RUNBOOKS}/{code}/{name}")
    return f"""<!DOCTYPE html>
<html lang="{TAGS[language()]}"><head>{head(title)}</head><body>
<a class="skip" href="#content">{skip}</a>
<header><div><p>{tr(pt="Roteiro", en="Runbook")}</p><nav aria-label="{said}">{linked}
<a href="{HOME}?language={language()}">{back}</a></nav></div></header>
<main id="content" tabindex="-1"><section class="text">
{MarkdownIt("commonmark", {"html": False}).render(text)}</section></main></body></html>"""


def _headings() -> dict[str, tuple[str, str]]:
    """Return the heading of each section, and how to read it."""
    return {
        "requests": (
            tr(pt="Requisições e erros", en="Requests and errors"),
            tr(
                pt="Contadas por este processo, em intervalos de dez segundos.",
                en="Counted by this process, in intervals of ten seconds.",
            ),
        ),
        "latency": (
            tr(pt="Latência", en="Latency"),
            tr(
                pt="Da chegada da requisição até a previsão pronta para guardar, por previsão.",
                en="From a request's arrival until the prediction can be stored, by prediction.",
            ),
        ),
        "answers": (
            tr(pt="Distribuição das previsões", en="Distribution of the predictions"),
            tr(
                pt="As dez mil mais novas. Nas pontas ficam também as que vão além delas.",
                en="The ten thousand newest. The outermost bars hold what lies beyond them too.",
            ),
        ),
        "performance": (
            tr(pt="Desempenho realizado e estimado", en="Realised and estimated performance"),
            tr(
                pt="O realizado espera os rótulos; o estimado não os vê e supõe que o conceito não "
                "mudou. As hastes são os intervalos; um erro está na unidade do rótulo.",
                en="The realised waits for labels; the estimated does not see them, and supposes "
                "that the concept is unchanged. The bars are the intervals; an error is in the "
                "label's unit.",
            ),
        ),
        "drift": (
            tr(pt="Deriva por variável", en="Drift by feature"),
            tr(
                pt="Quanto do caminho até o limiar cada variável andou, na janela mais nova. "
                "Deriva sozinha não diz que o modelo piorou.",
                en="How far each feature is on its way to its threshold, in the newest window. "
                "Drift alone does not say that the model is worse.",
            ),
        ),
    }


def template(snapshot: Snapshot, made: Page) -> str:
    """Return the page around its plots, for Panel to fill, in the language in force."""
    parts = {name: html.replace("{", "&#123;") for name, html in made.parts.items()}
    title = tr(
        pt=f"Monitoramento de {snapshot.deployment}", en=f"Monitoring of {snapshot.deployment}"
    )
    served = tr(
        pt=f"Modelo {snapshot.model_name}, versão {snapshot.model_version}",
        en=f"Model {snapshot.model_name}, version {snapshot.model_version}",
    )
    sections = "".join(
        f'<section aria-labelledby="h-{name}" id="{name}" class="{WIDTHS[name]}">'
        f'<h2 id="h-{name}">{heading}</h2><p class="hint">{hint}</p>'
        f'<div data-part="{name}_finding">{parts[f"{name}_finding"]}</div>'
        f'<div class="both"><div class="picture" id="picture-{name}" aria-hidden="true"'
        f"{'' if name in made.drawn else ' hidden'}>{_key(name)}"
        f"{{% endraw %}}{{{{ embed(roots.{name}) }}}}{{% raw %}}</div>"
        f'<div data-part="{name}_table">{parts[f"{name}_table"]}</div></div></section>'
        for name in SECTIONS
        for heading, hint in [_headings()[name]]
    )
    said = {
        "skip": tr(pt="Ir para o conteúdo", en="Skip to the content"),
        "languages": tr(pt="Idioma e sessão", en="Language and session"),
        "out": tr(pt="Sair", en="Sign out"),
        "lost": tr(
            pt="O servidor não responde; os números são os últimos que chegaram.",
            en="The server does not answer; the numbers are the last that came.",
        ),
        "glance": tr(pt="Em resumo", en="At a glance"),
        "alerts": tr(pt="Alertas", en="Alerts"),
        "alerts_hint": tr(
            pt="O que uma regra acusou, com a evidência e o que fazer primeiro.",
            en="What a rule told, with its evidence and what to do first.",
        ),
    }
    about = {
        "address": f"{NOW}?language={language()}",
        "shape": made.shape,
        "version": made.version,
        "plots": SECTIONS,
        "period_ms": int(PERIOD_S * 1_000),
        "labels": [tr(pt="Pausar", en="Pause"), tr(pt="Continuar", en="Resume")],
    }
    return f"""{{% from macros import embed %}}<!DOCTYPE html>
<html lang="{TAGS[language()]}"><head>{{% raw %}}{head(title)}{{% endraw %}}
{{{{ bokeh_css if bokeh_css }}}}{{{{ bokeh_js if bokeh_js }}}}</head><body>
{{% raw %}}<a class="skip" href="#content">{said["skip"]}</a>
<header><div><h1>{_plain(title)}</h1><p>{_plain(served)}</p>
<nav aria-label="{said["languages"]}">{languages(lambda code: f"{HOME}?language={code}")}
<form method="post" action="{SIGN_OUT}?language={language()}"><button>{said["out"]}</button></form>
</nav></div></header>
<main id="content" tabindex="-1">
<section class="all plain" aria-labelledby="h-glance">
<h2 id="h-glance" class="spoken">{said["glance"]}</h2>
<p class="trouble" role="alert" id="lost" hidden>{said["lost"]}</p>
<div data-part="cards">{parts["cards"]}</div>
<button type="button" id="pause">{about["labels"][0]}</button>
<p class="spoken" role="status" aria-live="polite" id="status">{escape(made.status)}</p></section>
<div class="grid"><section class="all" aria-labelledby="h-alerts" id="alerts">
<h2 id="h-alerts">{said["alerts"]}</h2><p class="hint">{said["alerts_hint"]}</p>
<div data-part="alerts">{parts["alerts"]}</div></section>
{sections}</div></main>{{% endraw %}}
{{{{ plot_script }}}}
{{% raw %}}<script type="application/json" id="about">{_json(about)}</script>
<script>{SCRIPT}</script>{{% endraw %}}</body></html>"""


def _json(content: Any) -> str:
    """Return JSON that closes neither the element nor the template that it stands in."""
    return json.dumps(content).replace("<", "\\u003c").replace("%", "\\u0025")


def _key(name: str) -> str:
    """Return what the colours, patterns and dashes of a plot stand for."""
    threshold = tr(pt="limiar do realizado", en="threshold of the realised")
    keys: dict[str, tuple[tuple[str, str], ...]] = {
        "requests": (
            ("blue", tr(pt="respondidas", en="answered")),
            ("orange hatched", tr(pt="recusadas", en="refused")),
            ("red crossed", tr(pt="com falha", en="failed")),
        ),
        "latency": (
            ("line blue", "p50"),
            ("line orange dashed", "p95"),
            ("line red dotted", "p99"),
        ),
        "performance": (
            ("line blue", tr(pt="realizado", en="realised")),
            ("line orange dashed", tr(pt="estimado", en="estimated")),
            ("line red dotted", threshold),
        ),
        "drift": (
            ("blue", tr(pt="dentro do limiar", en="within its threshold")),
            ("red hatched", tr(pt="além do limiar", en="beyond its threshold")),
        ),
    }
    items = "".join(
        f'<span><i class="{look}"></i>{said}</span>' for look, said in keys.get(name, ())
    )
    return f'<p class="key">{items}</p>' if items else ""


def _plots(snapshot: Snapshot, made: Page) -> dict[str, Any]:
    of = {
        "score": tr(pt="escore", en="score"),
        "number": tr(pt="previsão, na unidade do rótulo", en="prediction, in the label's unit"),
    }.get(snapshot.answers.of if snapshot.answers else "", tr(pt="previsão", en="prediction"))
    metric = metric_name(snapshot.performance.metric or "mae")
    return {
        "requests": figures.requests(made.data["requests"]),
        "latency": figures.latency(made.data["latency"]),
        "answers": figures.answers(made.data["answers"], of=of),
        "performance": figures.performance(made.data["performance"], metric=metric),
        "drift": figures.drift(made.data["drift"]),
    }


def view_of(reader: Reader) -> Callable[[], Any]:
    """Return what makes a viewer's page, for Panel to call once for each."""

    def view() -> Any:
        import panel as pn

        asked = pn.state.session_args.get("language", [b""])[0].decode("latin-1")
        code = asked if asked in LANGUAGES else LANGUAGES[0]
        made, snapshot = reader.made(code).page, reader.snapshot
        with using(code):
            shown = pn.Template(template(snapshot, made))
            for name, plot in _plots(snapshot, made).items():
                shown.add_panel(name, pn.pane.Bokeh(plot, sizing_mode="stretch_width", margin=0))
        return shown

    return view
