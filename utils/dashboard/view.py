"""One viewer's page: Panel shows what the reader made, and asks for it again every two seconds."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from utils.dashboard import figures
from utils.dashboard.access import HOME, SIGN_IN, SIGN_OUT
from utils.dashboard.pages import Page
from utils.dashboard.reader import PERIOD_S, Reader
from utils.dashboard.snapshot import Snapshot
from utils.dashboard.style import BUTTON, PAGE, PART
from utils.text import LANGUAGES, language, metric_name, tr, using

TAGS = {"pt": "pt-BR", "en": "en"}
NAMES = {"pt": "Português", "en": "English"}
SPOKEN_EVERY = 15
"""The summary for screen readers changes at most every so many refreshes: half a minute."""

_UNFOCUSED = """<script>
function unfocus(root) {
  for (const each of root.querySelectorAll('*')) {
    if (each.hasAttribute('tabindex')) each.tabIndex = -1
    if (each.shadowRoot) unfocus(each.shadowRoot)
  }
}
setInterval(() => document.querySelectorAll('.picture').forEach(unfocus), 500)
</script>"""
"""Bokeh's plots take the focus and do nothing with it; what they show is in the tables, too."""

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


def languages(home: str) -> str:
    """Return links to the page in each language."""
    links = "".join(
        f'<a href="{home}?language={code}" lang="{TAGS[code]}" hreflang="{TAGS[code]}"'
        f"{_current(code)}>{NAMES[code]}</a>"
        for code in LANGUAGES
    )
    return links


def _current(code: str) -> str:
    return ' aria-current="true"' if code == language() else ""


def _plain(text: str) -> str:
    """Return a text for HTML that is itself a template: no brace of it opens anything."""
    return escape(text).replace("{", "&#123;")


def sign_in_page(deployment: str, *, is_wrong: bool = False) -> str:
    """Return the form that takes an access key, in the language in force."""
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
<nav aria-label="{languages_said}">{languages(SIGN_IN)}</nav></div></header>
<main><form class="in" method="post" action="{SIGN_IN}?language={language()}">
{wrong}<label for="access_key">{label}</label>
<input id="access_key" name="access_key" type="password" required autocomplete="current-password"
 {described} autofocus>
<p class="hint" id="hint">{hint}</p><button type="submit">{button}</button></form></main>
</body></html>"""


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
                "mudou. As hastes são os intervalos.",
                en="The realised waits for labels; the estimated does not see them, and supposes "
                "that the concept is unchanged. The bars are the intervals.",
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


def template(snapshot: Snapshot) -> str:
    """Return the page around its parts, for Panel to fill, in the language in force."""
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
        f"{{{{ embed(roots.{name}_finding) }}}}"
        f'<div class="both"><div class="picture" aria-hidden="true">{_key(name)}'
        f"{{{{ embed(roots.{name}_plot) }}}}</div>"
        f"<div>{{{{ embed(roots.{name}_table) }}}}</div></div></section>"
        for name in SECTIONS
        for heading, hint in [_headings()[name]]
    )
    said = {
        "skip": tr(pt="Ir para o conteúdo", en="Skip to the content"),
        "languages": tr(pt="Idioma e sessão", en="Language and session"),
        "out": tr(pt="Sair", en="Sign out"),
        "glance": tr(pt="Em resumo", en="At a glance"),
        "alerts": tr(pt="Alertas", en="Alerts"),
        "alerts_hint": tr(
            pt="O que uma regra acusou, com a evidência e o que fazer primeiro.",
            en="What a rule told, with its evidence and what to do first.",
        ),
    }
    return f"""{{% from macros import embed %}}<!DOCTYPE html>
<html lang="{TAGS[language()]}"><head>{{% raw %}}{head(title)}{{% endraw %}}
{{{{ bokeh_css if bokeh_css }}}}{{{{ bokeh_js if bokeh_js }}}}</head><body>
{{% raw %}}<a class="skip" href="#content">{said["skip"]}</a>
<header><div><h1>{_plain(title)}</h1><p>{_plain(served)}</p>
<nav aria-label="{said["languages"]}">{languages(HOME)}
<form method="post" action="{SIGN_OUT}?language={language()}"><button>{said["out"]}</button></form>
</nav></div></header>{{% endraw %}}
<main id="content" tabindex="-1">
<section class="all" aria-labelledby="h-glance" style="background:none;border:0;padding:0 0 1rem">
<h2 id="h-glance" class="spoken">{said["glance"]}</h2>
{{{{ embed(roots.cards) }}}}<div class="bar">{{{{ embed(roots.pause) }}}}</div>
{{{{ embed(roots.status) }}}}</section>
<div class="grid"><section class="all" aria-labelledby="h-alerts" id="alerts">
<h2 id="h-alerts">{said["alerts"]}</h2><p class="hint">{said["alerts_hint"]}</p>
{{{{ embed(roots.alerts) }}}}</section>
{sections}</div></main>
{{{{ plot_script }}}}{{% raw %}}{_UNFOCUSED}{{% endraw %}}</body></html>"""


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


class View:
    """What one viewer sees; ``refresh`` brings it up to date, changing only what has changed."""

    def __init__(self, reader: Reader, code: str) -> None:
        import panel as pn

        self._reader = reader
        self._language = code
        self._refreshes = 0
        made = reader.page(code)
        self._shown: Page = made

        def part(html: str) -> Any:
            return pn.pane.HTML(
                html, stylesheets=[PART], sizing_mode="stretch_width", margin=0, disable_math=True
            )

        self._parts = {"cards": part(made.cards), "alerts": part(made.alerts)}
        self._status = part(_spoken(made.status))
        with using(code):
            self._plots = self._made_plots(made)
            labels = (tr(pt="Pausar", en="Pause"), tr(pt="Continuar", en="Resume"))
            text = template(reader.snapshot)
        self._pause = pn.widgets.Toggle(
            label=labels[0], value=False, width=130, margin=(8, 0, 0, 0), stylesheets=[BUTTON]
        )
        self._pause.param.watch(lambda event: self._paused(labels), "value")
        for name in SECTIONS:
            section = getattr(made, name)
            self._parts[f"{name}_finding"] = part(section.finding)
            self._parts[f"{name}_table"] = part(section.table)
        self.template = pn.Template(text)
        for name, each in self._parts.items():
            self.template.add_panel(name, each)
        for name, plot in self._plots.items():
            shown = pn.pane.Bokeh(plot.figure, sizing_mode="stretch_width", margin=0)
            self.template.add_panel(f"{name}_plot", shown)
        self.template.add_panel("status", self._status)
        self.template.add_panel("pause", self._pause)

    def _made_plots(self, made: Page) -> dict[str, figures.Plot]:
        snapshot = self._reader.snapshot
        is_score = snapshot.answers is not None and snapshot.answers.of == "score"
        of = tr(pt="escore", en="score") if is_score else tr(pt="previsão", en="prediction")
        metric = metric_name(snapshot.performance.metric or "mae")
        return {
            "requests": figures.requests(made.requests.data),
            "latency": figures.latency(made.latency.data),
            "answers": figures.answers(made.answers.data, of=of),
            "performance": figures.performance(made.performance.data, metric=metric),
            "drift": figures.drift(made.drift.data),
        }

    def _paused(self, labels: tuple[str, str]) -> None:
        self._pause.label = labels[self._pause.value]

    def refresh(self) -> None:
        """Show what the reader made last, unless the viewer has paused."""
        import panel as pn

        made, shown = self._reader.page(self._language), self._shown
        if self._pause.value or made.version == shown.version:
            return
        self._refreshes += 1
        with pn.io.hold():
            self._parts["cards"].object = made.cards
            self._parts["alerts"].object = made.alerts
            if self._refreshes % SPOKEN_EVERY == 0:
                self._status.object = _spoken(made.status)
            for name in SECTIONS:
                new, old = getattr(made, name), getattr(shown, name)
                self._parts[f"{name}_finding"].object = new.finding
                self._parts[f"{name}_table"].object = new.table
                if new.data != old.data:
                    self._plots[name].show(new.data)
        self._shown = made


def _spoken(text: str) -> str:
    return f'<p class="spoken" role="status" aria-live="polite">{escape(text)}</p>'


def view_of(reader: Reader) -> Callable[[], Any]:
    """Return what makes a viewer's page, for Panel to call once for each."""

    def view() -> Any:
        import panel as pn

        asked = pn.state.session_args.get("language", [b""])[0].decode("latin-1")
        code = asked if asked in LANGUAGES else LANGUAGES[0]
        shown = View(reader, code)
        pn.state.add_periodic_callback(shown.refresh, period=int(PERIOD_S * 1_000))
        return shown.template

    return view
