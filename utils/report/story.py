"""What the findings say, in the order in which it matters: worded, and nothing measured anew.

What one monitor alerts of one feature and group is one case, whatever the metric and the window: a
reader acts on cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from utils.monitors.suite import Alert
from utils.records import LINE
from utils.text import date, metric_name, number, tr

KEYS = list(LINE)
"""What tells one line of the dashboard from another."""

SHARES = (
    "accuracy",
    "balanced_accuracy",
    "brier",
    "f1",
    "hellinger",
    "jensen_shannon",
    "macro_f1",
    "precision",
    "recall",
    "roc_auc",
    "specificity",
)
"""Metrics that lie in 0..1, beside those whose name ends in ``_rate`` or ``_share``."""

OF_A_CASE = ["monitor", "feature", "group"]
"""What the lines of a case have in common."""

MEASURED = ("performance", "calibration")
ESTIMATED = ("estimated_performance",)
FAIRNESS = ("fairness",)
JUDGES = (*MEASURED, *ESTIMATED, *FAIRNESS)
"""Monitors of what a model is for: what they find is harm, where drift is a change."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """The alerts of a monitor on one feature and group.

    ``worst`` speaks for all of them, and ``also`` names the other metrics that are alarmed.
    ``first`` and ``until`` bound the windows with an alarm, of which there are ``n_windows``.
    """

    name: str
    alerts: tuple[Alert, ...]
    worst: Alert
    also: tuple[str, ...]
    first: pd.Timestamp
    until: pd.Timestamp
    n_windows: int

    @property
    def is_critical(self) -> bool:
        return any(alert.severity == "critical" for alert in self.alerts)

    @property
    def is_dismissed(self) -> bool:
        return all(alert.action == "dismiss" for alert in self.alerts)

    @property
    def severity(self) -> str:
        return "critical" if self.is_critical else "warning"


def key_of(line: object) -> tuple[str, ...]:
    """Return what tells a line from another, of an alert or of a row of the measurements."""
    return tuple(getattr(line, name) for name in KEYS)


def cases(alerts: Sequence[Alert], measurements: pd.DataFrame) -> list[Case]:
    """Return the cases, the most urgent first.

    What calls for something comes before what may be dismissed, critical before warning, harm
    before change, everyone before a group, and what lasts before what does not. Which comes first
    says what to read first, and not that the others may wait.
    """
    alarmed = measurements[measurements["alarm"]].groupby(OF_A_CASE)
    span = alarmed.agg(
        first=("window_start", "min"),
        until=("window_end", "max"),
        n_windows=("window_start", "nunique"),
    )
    lines = measurements[KEYS].drop_duplicates().itertuples(index=False)
    place = {key: at for at, key in enumerate(map(tuple, lines))}
    by_case: dict[tuple[str, ...], list[Alert]] = {}
    for alert in sorted(alerts, key=lambda alert: (place[key_of(alert)], alert.window_start)):
        by_case.setdefault(tuple(getattr(alert, name) for name in OF_A_CASE), []).append(alert)
    found = []
    for key, each in by_case.items():
        worst = max(each, key=lambda alert: _weight(alert, place[key_of(alert)]))
        names = dict.fromkeys(_measured(alert) for alert in each)
        found.append(
            Case(
                name=line_name(worst),
                alerts=tuple(each),
                worst=worst,
                also=tuple(name for name in names if name != _measured(worst)),
                first=span["first"][key],
                until=span["until"][key],
                n_windows=int(span["n_windows"][key]),
            )
        )
    return sorted(found, key=_urgency)


def _weight(alert: Alert, place: int) -> tuple:
    """Return how much an alert speaks for its case.

    First what is not to be dismissed, then what is critical; then the metric that the dashboard
    has first, and of that the value furthest beyond its threshold, in thresholds.
    """
    beyond = abs(alert.value - alert.threshold) / max(abs(alert.threshold), 1e-12)
    known = beyond if beyond == beyond else 0.0
    return alert.action != "dismiss", alert.severity == "critical", -place, known


def _urgency(case: Case) -> tuple:
    worst = case.worst
    return (
        case.is_dismissed,
        not case.is_critical,
        worst.monitor not in JUDGES,
        worst.group != "",
        -case.n_windows,
        case.name,
    )


def line_name(line: object) -> str:
    """Return how a line is called, as an alert or a row of the measurements names it.

    >>> from types import SimpleNamespace
    >>> line = SimpleNamespace(monitor="performance", metric="mae", feature="", group="JFK")
    >>> from utils.text import using
    >>> with using("en"):
    ...     line_name(line)
    'JFK, mean absolute error'
    """
    return ", ".join(filter(None, (line.feature, line.group, _measured(line))))


def _measured(line: object) -> str:
    name = metric_name(line.metric)
    if line.monitor == "estimated_performance":
        return tr(pt=f"{name} (estimativa)", en=f"{name} (estimate)")
    return name


def _by_monitor(cases: Sequence[Case], most: int) -> list[str]:
    """Return what the cases are of, for one monitor after the other.

    What moved is the feature; where there is none, as of performance, it is the metric.
    """
    subjects: dict[str, list[str]] = {}
    for case in cases:
        worst = case.worst
        subject = ", ".join(filter(None, (worst.feature or _with_others(case), worst.group)))
        subjects.setdefault(monitor_name(worst.monitor), []).append(subject)
    return [f"{name}: {_listed(each, most)}" for name, each in subjects.items()]


def _with_others(case: Case) -> str:
    name, n = _measured(case.worst), number(len(case.also))
    if not case.also:
        return name
    return tr(pt=f"{name} (e mais {n})", en=f"{name} (and {n} more)")


def _listed(names: Sequence[str], most: int) -> str:
    more = len(names) - most
    listed = " · ".join(names[:most])
    if more <= 0:
        return listed
    return tr(pt=f"{listed} e mais {number(more)}", en=f"{listed} and {number(more)} more")


def monitor_name(monitor: str) -> str:
    """Return the name of a monitor in the language in force; an unknown one as it is."""
    names = {
        "quality": tr(pt="qualidade dos dados", en="data quality"),
        "drift": tr(pt="deriva", en="drift"),
        "prediction_drift": tr(pt="deriva das respostas", en="prediction drift"),
        "label_drift": tr(pt="deriva dos rótulos", en="label drift"),
        "performance": tr(pt="desempenho", en="performance"),
        "estimated_performance": tr(pt="desempenho estimado", en="estimated performance"),
        "calibration": tr(pt="calibração", en="calibration"),
        "fairness": tr(pt="justiça", en="fairness"),
        "attribution": tr(pt="atribuição de variáveis", en="feature attribution"),
        "infrastructure": tr(pt="infraestrutura", en="infrastructure"),
        "security": tr(pt="segurança", en="security"),
    }
    return names.get(monitor, monitor.replace("_", " "))


def action_name(action: str) -> str:
    """Return what to do in the language in force."""
    names = {
        "investigate": tr(pt="investigar", en="investigate"),
        "retrain": tr(pt="retreinar", en="retrain"),
        "roll back": tr(pt="reverter", en="roll back"),
        "quarantine": tr(pt="pôr em quarentena", en="quarantine"),
        "dismiss": tr(pt="dispensar", en="dismiss"),
    }
    return names.get(action, action)


def severity_name(severity: str) -> str:
    """Return the word for a severity in the language in force."""
    if severity == "critical":
        return tr(pt="crítico", en="critical")
    return tr(pt="aviso", en="warning")


def period(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return a half-open period in words.

    >>> from utils.text import using
    >>> with using("en"):
    ...     period(pd.Timestamp("2013-04-01", tz="UTC"), pd.Timestamp("2013-04-08", tz="UTC"))
    '1 Apr 2013 – 8 Apr 2013'
    """
    clock = any(each != each.normalize() for each in (start, end))
    return f"{date(start, time=clock)} – {date(end, time=clock)}"


def when(case: Case) -> str:
    """Return when a case was alarmed: from when to when, and in how many windows."""
    n = number(case.n_windows)
    of_windows = (
        tr(pt="1 janela", en="1 window")
        if case.n_windows == 1
        else tr(pt=f"{n} janelas", en=f"{n} windows")
    )
    return f"{period(case.first, case.until)} ({of_windows})"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One of the four questions that a report answers first, and what there is to say to it."""

    question: str
    lines: tuple[str, ...]


def verdict(found: Sequence[Case], measurements: pd.DataFrame) -> str:
    """Return the one sentence to remember."""
    windows = number(measurements["window_start"].nunique())
    lines = number(_n_lines(measurements))
    if not found:
        return tr(
            pt=f"Nenhum alerta em {windows} janelas: nenhuma das {lines} linhas do painel saiu da "
            "sua faixa quieta.",
            en=f"No alert in {windows} windows: none of the {lines} lines of the dashboard left "
            "its quiet range.",
        )
    n = number(sum(1 + len(case.also) for case in found))
    n_cases = number(len(found))
    critical = number(sum(case.is_critical for case in found))
    dismissed = number(sum(case.is_dismissed for case in found))
    return tr(
        pt=f"Fora da faixa quieta: {n} das {lines} linhas do painel em {windows} janelas. Casos: "
        f"{n_cases}; críticos: {critical}; dispensáveis: {dismissed}.",
        en=f"Outside their quiet range: {n} of the {lines} lines of the dashboard in {windows} "
        f"windows. Cases: {n_cases}; critical: {critical}; to be dismissed: {dismissed}.",
    )


def _n_lines(measurements: pd.DataFrame) -> int:
    return len(measurements[KEYS].drop_duplicates())


def answers(
    found: Sequence[Case],
    measurements: pd.DataFrame,
    *,
    false_alarms_per_year: float,
    labelled: bool,
    notes: Sequence[str] = (),
) -> list[Answer]:
    """Return what changed, whether it matters, how sure that is, and what to do.

    ``notes`` say what the monitors could not judge, and why.
    """
    sure = _sure(measurements, false_alarms_per_year)
    return [
        Answer(question=tr(pt="O que mudou?", en="What changed?"), lines=_changed(found)),
        Answer(
            question=tr(pt="Isso importa?", en="Does it matter?"),
            lines=tuple(_matters(found, measurements, labelled=labelled)),
        ),
        Answer(
            question=tr(pt="Com que certeza sabemos?", en="How sure are we?"),
            lines=(*sure, *notes),
        ),
        Answer(question=tr(pt="O que fazer?", en="What to do?"), lines=_to_do(found)),
    ]


def _changed(found: Sequence[Case]) -> tuple[str, ...]:
    if not found:
        nothing = tr(
            pt="Nada além do que varia quando nada muda.",
            en="Nothing beyond what varies when nothing changes.",
        )
        return (nothing,)
    return tuple(_sentence(each) for each in _by_monitor(found, 6))


def _matters(found: Sequence[Case], measurements: pd.DataFrame, *, labelled: bool) -> Iterator[str]:
    measured, estimated, unfair = (
        "; ".join(_by_monitor([case for case in found if case.worst.monitor in monitors], 3))
        for monitors in (MEASURED, ESTIMATED, FAIRNESS)
    )
    of_answers = measurements[measurements["monitor"].isin([*MEASURED, *ESTIMATED])]
    judged = of_answers[of_answers["value"].notna()]
    if measured:
        yield tr(
            pt=f"Sim: medido com rótulos, o modelo responde pior ({measured}).",
            en=f"Yes: measured on labels, the model answers worse ({measured}).",
        )
    if estimated:
        yield tr(
            pt=f"Talvez: o desempenho estimado, sem rótulos, caiu ({estimated}).",
            en=f"Perhaps: the performance estimated without labels fell ({estimated}).",
        )
    if unfair:
        yield tr(
            pt=f"Os grupos são tratados de modo mais desigual ({unfair}).",
            en=f"Groups are treated more unequally ({unfair}).",
        )
    if of_answers.empty:
        yield tr(
            pt="Se o modelo responde pior não se sabe: sem rótulos e sem escores, o desempenho não "
            "se mede nem se estima.",
            en="Whether the model answers worse is not known: without labels and without scores, "
            "performance is neither measured nor estimated.",
        )
    elif judged.empty:
        yield tr(
            pt="Se o modelo responde pior não se sabe: nenhuma janela tem linhas bastantes para "
            "julgar; janelas mais longas teriam.",
            en="Whether the model answers worse is not known: no window has enough rows to judge; "
            "longer windows would.",
        )
    elif not (measured or estimated):
        yield tr(
            pt="O modelo não responde pior, até onde se vê: nenhuma medida de desempenho passou do "
            "seu limiar.",
            en="The model does not answer worse, as far as can be seen: no measure of performance "
            "went beyond its threshold.",
        )
    if not labelled and not judged.empty:
        yield tr(
            pt="Faltam os rótulos: a estimativa vale enquanto a relação entre entradas e rótulos "
            "for a da referência.",
            en="The labels are missing: the estimate holds as long as the relation of inputs and "
            "labels is that of the reference.",
        )


def _sure(measurements: pd.DataFrame, false_alarms_per_year: float) -> Iterator[str]:
    lines, budget = number(_n_lines(measurements)), number(false_alarms_per_year)
    yield tr(
        pt=f"Os limiares de todas as {lines} linhas foram calibrados juntos, na referência, para "
        f"{budget} alarmes falsos por ano no painel inteiro.",
        en=f"The thresholds of all {lines} lines were calibrated together, on the reference, for "
        f"{budget} false alarms a year on the whole dashboard.",
    )
    blind = _cannot_alarm(measurements)
    if blind:
        yield tr(
            pt=f"Linhas que não podem ter alarme, porque o seu limiar está além do possível: "
            f"{number(blind)}. Uma referência mais longa ou um orçamento maior lhes dá vista.",
            en=f"Lines that cannot alarm, since their threshold lies beyond what is possible: "
            f"{number(blind)}. A longer reference or a larger budget gives them sight.",
        )
    silent = int(measurements["value"].isna().sum())
    if silent:
        of_all = number(len(measurements))
        yield tr(
            pt=f"Medidas com dados de menos, que nada dizem: {number(silent)} de {of_all}.",
            en=f"Measurements with too little data, which say nothing: {number(silent)} of "
            f"{of_all}.",
        )


def _cannot_alarm(measurements: pd.DataFrame) -> int:
    """Return how many lines of shares have thresholds that no share can pass."""
    is_share = measurements["metric"].isin(SHARES) | measurements["metric"].str.endswith(
        ("_rate", "_share")
    )
    limits = measurements[is_share].groupby(KEYS)[["threshold_low", "threshold_high"]].median()
    there = limits.notna().any(axis=1)
    too_high, too_low = limits["threshold_high"] >= 1, limits["threshold_low"] <= 0
    high = limits["threshold_high"].isna() | too_high
    low = limits["threshold_low"].isna() | too_low
    return int((there & high & low).sum())


def _to_do(found: Sequence[Case]) -> tuple[str, ...]:
    if not found:
        nothing = tr(
            pt="Nada. O próximo relatório dirá se continua assim.",
            en="Nothing. The next report will tell whether it stays so.",
        )
        return (nothing,)
    by_action: dict[str, list[Case]] = {}
    for case in found:
        by_action.setdefault(action_name(case.worst.action), []).append(case)
    return tuple(
        f"{_capital(action)}: {'; '.join(_by_monitor(each, 3))}."
        for action, each in by_action.items()
    )


def _sentence(text: str) -> str:
    return f"{_capital(text)}."


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def what_to_do(case: Case) -> str:
    """Return the action of a case and its reason, as sentences."""
    return f"{_sentence(action_name(case.worst.action))} {case.worst.reason}".strip()
