"""The pictures of a report, each with the sentence that tells what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.monitors.profile import MISSING as ABSENT
from utils.monitors.profile import OTHER, UNSEEN, Binning
from utils.plots import plot_alarms, plot_metric, plot_shares, style
from utils.report.inputs import Inputs
from utils.report.story import JUDGES, KEYS, Case, key_of, line_name, period
from utils.text import date, number, percent, tr

MOST_LINES = 20
"""Lines in the picture of alarms, those with the most of them."""

MOST_CASES = 8
"""Cases that have a picture each, the most urgent."""

MOST_JUDGED = 3
"""Lines of how the model did that have a picture though they are no case."""

MOST_BINS = 14

ON_LABELS = ("performance", "calibration", "fairness", "label_drift")
"""Monitors whose windows wait for labels."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure, what it shows in words, and a name to link to."""

    name: str
    title: str
    figure: Figure
    alt: str


def pictures(inputs: Inputs, measurements: pd.DataFrame, cases: Sequence[Case]) -> list[Picture]:
    """Return the pictures of a report: all alarms, how the model did, then case by case."""
    shown = cases[:MOST_CASES]
    keys = [key_of(case.worst) for case in shown]
    is_harm = any(case.worst.monitor in JUDGES for case in shown)
    judged = [key for key in _judged(measurements) if key not in keys][:MOST_JUDGED]
    keys = [*keys, *judged] if is_harm else [*judged, *keys]
    moved = {case.worst.feature: case for case in reversed(shown)}
    features = [each for each in dict.fromkeys(reversed(moved)) if each in inputs.kinds]
    return [
        *([alarms(measurements)] if measurements["alarm"].any() else []),
        *(over_time(measurements, key) for key in keys),
        *(distribution(inputs, moved[each]) for each in features),
    ]


Key = tuple[str, ...]


def _judged(measurements: pd.DataFrame) -> list[Key]:
    """Return the lines of everyone that tell how the model did, in the order of the table."""
    limited = measurements[["threshold_low", "threshold_high"]].notna().any(axis=1)
    rows = measurements[limited & measurements["monitor"].isin(JUDGES)]
    rows = rows[rows["group"].eq("") & rows["feature"].eq("") & rows["value"].notna()]
    return [tuple(row) for row in rows[KEYS].drop_duplicates().itertuples(index=False)]


def anchor(line: object) -> str:
    """Return the name to link to the picture of a line."""
    return "line-" + "-".join(
        "".join(c if c.isalnum() else "_" for c in part) for part in key_of(line) if part
    )


def alarms(measurements: pd.DataFrame) -> Picture:
    """Return the picture of all alarms: which line, in which window."""
    n_alarms = measurements[measurements["alarm"]].groupby(KEYS, sort=False).size()
    most = n_alarms.sort_values(ascending=False, kind="stable").head(MOST_LINES).index
    rows = measurements.set_index(KEYS).loc[most].reset_index()
    names = [line_name(row) for row in rows.itertuples()]
    height = 1.6 + 0.26 * len(most)
    ax = plot_alarms(rows, names=names, ax=_axes(height))
    first = rows.loc[rows["alarm"], "window_start"].min()
    n, more = number(len(n_alarms)), len(n_alarms) - len(most)
    cut = (
        tr(
            pt=f" Aqui estão as {MOST_LINES} com mais alarmes.",
            en=f" Those with the most alarms, {MOST_LINES} of them, are shown.",
        )
        if more > 0
        else ""
    )
    return Picture(
        name="alarms",
        title=tr(
            pt=f"Linhas com alarme: {n}, a primeira em {date(first)}",
            en=f"Lines with an alarm: {n}, the first on {date(first)}",
        ),
        figure=ax.figure,
        alt=tr(
            pt=f"{n} linhas tiveram alarme; o primeiro na janela que começa em {date(first)}; "
            f"a que teve mais: {names[0]}.{cut}",
            en=f"{n} lines had an alarm; the first in the window that begins on {date(first)}; "
            f"the one with the most: {names[0]}.{cut}",
        ),
    )


def _axes(height: float) -> Axes:
    with style():
        return Figure(figsize=(8.0, height)).subplots()


def over_time(measurements: pd.DataFrame, key: Key) -> Picture:
    """Return the picture of one line over its windows, with its threshold."""
    rows = measurements[(measurements[KEYS] == list(key)).all(axis=1)].replace(
        [np.inf, -np.inf], np.nan
    )
    shares = measurements[
        measurements["metric"].eq("labelled_share") & measurements["group"].eq(key[3])
    ]
    rows = rows.assign(known_as_of=rows["known_as_of"].where(rows["monitor"].isin(ON_LABELS)))
    line = next(rows.itertuples())
    ax = plot_metric(
        pd.concat([rows, shares[shares["monitor"] == key[0]]]),
        metric=line.metric,
        groups=(line.group,),
        ax=_axes(3.9),
    )
    return Picture(
        name=anchor(line),
        title=f"{line_name(line)}: {_finding(rows)}",
        figure=ax.figure,
        alt=_said_of(rows.sort_values("window_start")),
    )


def _finding(rows: pd.DataFrame) -> str:
    """Return what a picture of a line shows, in a few words."""
    n, of = int(rows["alarm"].sum()), int(rows["value"].notna().sum())
    if not of:
        return tr(pt="dados de menos", en="too little data")
    if not rows[["threshold_low", "threshold_high"]].notna().any(axis=None):
        return tr(pt="medida, sem limiar", en="measured, without a threshold")
    if not n:
        return tr(pt="na faixa quieta em toda janela", en="in its quiet range in every window")
    return tr(
        pt=f"fora da faixa quieta em {number(n)} de {number(of)} janelas",
        en=f"out of its quiet range in {number(n)} of {number(of)} windows",
    )


def _said_of(rows: pd.DataFrame) -> str:
    """Return what a line did: from what to what, beyond which threshold, and when first."""
    there = rows[rows["value"].notna()]
    name = line_name(next(rows.itertuples()))
    if there.empty:
        return tr(
            pt=f"{name}: nenhuma janela tem dados bastantes.",
            en=f"{name}: no window has enough data.",
        )
    first, last = (number(value, digits=3) for value in there["value"].iloc[[0, -1]])
    alarmed = rows[rows["alarm"]]
    said = tr(
        pt=f"{name}: {first} na primeira janela, {last} na última.",
        en=f"{name}: {first} in the first window, {last} in the last.",
    )
    usual = rows[["threshold_low", "threshold_high"]].median().dropna()
    limits = [number(each, digits=3) for each in usual]
    if limits:
        joined = tr(pt=" e ", en=" and ").join(limits)
        said += tr(pt=f" Limiar: {joined}.", en=f" Threshold: {joined}.")
    if alarmed.empty:
        return said + tr(pt=" Nenhum alarme.", en=" No alarm.")
    n, begins = number(len(alarmed)), date(alarmed["window_start"].min())
    return said + tr(
        pt=f" {n} de {number(len(rows))} janelas com alarme, a primeira começa em {begins}.",
        en=f" {n} of {number(len(rows))} windows with an alarm, the first begins on {begins}.",
    )


def shares(inputs: Inputs, feature: str, *, since, until) -> pd.DataFrame:
    """Return the share of each bin of a feature, in the reference and in a period of now.

    The bins are those that the monitors count in; of many, those that hold or gained the most.
    """
    binning = Binning.fitted(inputs.reference, features=[feature])
    time = inputs.current[inputs.roles.time_column]
    now = inputs.current[(time >= since) & (time < until)]
    table = pd.DataFrame({"bin": [_bin_name(each) for each in binning.bins[0].labels]})
    for name, frame in (("reference", inputs.reference), ("current", now)):
        counts = binning.counts(frame)[0]
        table[name] = counts / max(counts.sum(), 1)
    table = table[table[["reference", "current"]].any(axis=1)]
    if len(table) > MOST_BINS:
        kept = table[["reference", "current"]].max(axis=1).nlargest(MOST_BINS - 1).index
        rest = table.drop(kept)[["reference", "current"]].sum()
        name = tr(pt="(os demais)", en="(the rest)")
        table = pd.concat(
            [table.loc[sorted(kept)], pd.DataFrame([{"bin": name, **rest}])], ignore_index=True
        )
    return table.reset_index(drop=True)


def _bin_name(label: str) -> str:
    names = {
        OTHER: tr(pt="(outros)", en="(other)"),
        UNSEEN: tr(pt="(nunca vistos)", en="(never seen before)"),
        ABSENT: tr(pt="(ausente)", en="(missing)"),
    }
    return names.get(label, label)


def distribution(inputs: Inputs, case: Case) -> Picture:
    """Return the picture of a feature as it was and as it is in the windows of a case."""
    feature = case.worst.feature
    table = shares(inputs, feature, since=case.first, until=case.until)
    ax = plot_shares(table, feature=feature, ax=_axes(1.5 + 0.3 * len(table)))
    most = table.loc[(table["current"] - table["reference"]).abs().idxmax()]
    before, now = (percent(round(most[name], 3)) for name in ("reference", "current"))
    title = tr(
        pt=f"{feature}: como era, e como foi nas janelas com alerta",
        en=f"{feature}: as it was, and as it was in the windows with an alert",
    )
    when = period(case.first, case.until)
    return Picture(
        name=f"shares-{anchor(case.worst)}",
        title=title,
        figure=ax.figure,
        alt=tr(
            pt=f"{feature}: o que mais mudou é {most['bin']}: {before} das linhas na referência, "
            f"{now} em {when}.",
            en=f"{feature}: what changed most is {most['bin']}: {before} of the rows in the "
            f"reference, {now} in {when}.",
        ),
    )
