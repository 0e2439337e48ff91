"""Tables to pictures: each function draws one table on ``Axes`` and computes nothing.

The title, which states the finding, is the caller's; axes, units and the moment at which labels
were known come from the table. Colours are Okabe and Ito's, told apart by markers and dashes too,
so that the pictures survive grey paper and colour blindness.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from utils.text import date, metric_name, months, number, percent, tr

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
)
"""Okabe and Ito's palette. Vermillion is kept for what calls for attention: thresholds, alarms and
incidents. Source: M. Okabe and K. Ito (2008), "Color universal design"."""

GREY = "#595959"
LOOKS = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": ORANGE, "marker": "s", "linestyle": "--"},
    {"color": GREEN, "marker": "^", "linestyle": "-."},
    {"color": PURPLE, "marker": "D", "linestyle": ":"},
    {"color": SKY, "marker": "v", "linestyle": (0, (6, 2))},
    {"color": "black", "marker": "X", "linestyle": (0, (1, 3))},
)
"""How the first, the second … line of a picture looks."""

STYLE: dict[str, Any] = {
    "figure.figsize": (8.0, 3.9),
    "figure.dpi": 96,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.09,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 12.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 10.5,
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#8C8C8C",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.prop_cycle": mpl.cycler(color=[look["color"] for look in LOOKS]),
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "ytick.left": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}

_SHARES = {
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "balanced_accuracy",
    "positive_rate",
    "selection_rate",
    "base_rate",
    "within",
    "labelled_share",
}


@contextmanager
def style() -> Iterator[None]:
    """Put the course's look in force for a while; every function here does so itself.

    >>> with style():
    ...     mpl.rcParams["axes.spines.top"]
    False
    """
    with mpl.rc_context(STYLE):
        yield


# ------------------------------------------------------------------------------- the axis of time


class _DateTicks(mdates.AutoDateFormatter):
    """Write the ticks of a time axis: months, days or hours, and below them what changes."""

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        moments = [mdates.num2date(value) for value in values]
        midnight = all(m.hour == m.minute == 0 for m in moments)
        monthly = midnight and all(m.day == 1 for m in moments)
        labels, before = [], None
        for m in moments:
            day = f"{m.day} {months()[m.month - 1]}"
            if monthly:
                above, below = months()[m.month - 1], f"{m.year}"
            elif midnight:
                above, below = day, f"{m.year}"
            else:
                above, below = f"{m:%H:%M}", day
            labels.append(above if below == before else f"{above}\n{below}")
            before = below
        return labels


# ------------------------------------------------------------------------------ parts of a picture


@contextmanager
def _drawing(ax: Axes | None, title: str | None) -> Iterator[Axes]:
    """Yield the axes to draw on, in the course's look, with their title."""
    with style():
        if ax is None:
            ax = plt.figure().subplots()
        if title:
            ax.set_title(title)
        yield ax


def _rows(measurements: pd.DataFrame, metric: str, *, group: str | None = None) -> pd.DataFrame:
    rows = measurements[measurements["metric"] == metric]
    if group is not None:
        rows = rows[rows["group"] == group]
    if rows.empty:
        of_group = "" if group is None else f", group={group!r}"
        there = measurements[["metric", "group"]].drop_duplicates().to_records(index=False).tolist()
        raise ValueError(f"metric={metric!r}{of_group}: no such row; the table has {there}")
    return rows.sort_values("window_start")


def _parts(table: pd.DataFrame, group_column: str | None) -> list[tuple[Any, pd.DataFrame]]:
    """Return the parts of a table by group, in the order in which they come; one if no column."""
    if group_column is None:
        return [("", table)]
    return list(table.groupby(group_column, sort=False))


def _looks(parts: Sequence[Any]) -> Sequence[dict[str, Any]]:
    """Return a look for each part of a picture, while there are enough."""
    if len(parts) > len(LOOKS):
        raise ValueError(f"groups: {len(parts)} of them; at most {len(LOOKS)} can be told apart")
    return LOOKS[: len(parts)]


def _write_values(ax: Axes, metric: str, unit: str, *, axis: str = "y") -> None:
    """Name the axis of the values, with its unit, write its numbers; of a change, draw the zero."""
    is_change, is_share = metric.endswith("_change"), metric.removesuffix("_change") in _SHARES
    write = percent if is_share else number
    if is_change and is_share:
        unit = unit or tr(pt="p.p.", en="pp")
        write = _points
    if is_change:
        line = ax.axhline if axis == "y" else ax.axvline
        line(0, color="black", linewidth=0.8)
    which = ax.yaxis if axis == "y" else ax.xaxis
    which.set_major_formatter(FuncFormatter(lambda value, _: write(round(value, 10))))
    name = metric_name(metric) + (f" ({unit})" if unit else "")
    which.set_label_text(textwrap.fill(name, 32) if axis == "y" else name)


def _points(share: float) -> str:
    return number(round(100 * share, 8))


def _time_axis(ax: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=4, maxticks=10)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(_DateTicks(locator))


def _note(ax: Axes, parts: Iterable[str], *, before: str = "", width: int = 105) -> None:
    """Write what the reader must know beside the picture, below it; break lines between parts.

    ``before`` is a line of its own: the name of the axis, where it has one.
    """
    lines = [before, ""] if before else [""]
    for part in filter(None, parts):
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        lines[-1:] = [joined] if len(joined) <= width else [lines[-1], part]
    ax.set_xlabel("\n".join(lines), loc="left", fontsize=9, labelpad=8, linespacing=1.5)


def _as_of(rows: pd.DataFrame) -> str:
    known = rows["known_as_of"].dropna()
    if known.empty:
        return ""
    moment = date(known.iloc[0], time=True)
    return tr(pt=f"rótulos conhecidos até {moment}", en=f"labels known as of {moment}")


def _window_length(rows: pd.DataFrame) -> str:
    length = (rows["window_end"] - rows["window_start"]).iloc[0]
    days, hours = length / pd.Timedelta("1D"), length / pd.Timedelta("1h")
    if days == 1:
        return tr(pt="janelas de um dia", en="windows of one day")
    if days > 1:
        return tr(pt=f"janelas de {number(days)} dias", en=f"windows of {number(days)} days")
    return tr(pt=f"janelas de {number(hours)} h", en=f"windows of {number(hours)} h")


def _middle(rows: pd.DataFrame) -> pd.Series:
    return rows["window_start"] + (rows["window_end"] - rows["window_start"]) / 2


def _incomplete(rows: pd.DataFrame, measurements: pd.DataFrame, *, complete: float) -> np.ndarray:
    """Return which windows lack labels: still open at that moment, or with too few of them."""
    shares = measurements[measurements["metric"] == "labelled_share"]
    keys = ["group", "window_start"]
    share = rows[keys].merge(shares[[*keys, "value"]], on=keys, how="left")["value"]
    still_open = (rows["window_end"] > rows["known_as_of"]).to_numpy()
    return still_open | (share.to_numpy() < complete)


def _label_ends(ax: Axes, ends: Sequence[tuple[float, str, dict[str, Any]]]) -> None:
    """Write names right of the lines (height, text, look), apart from each other.

    A look with a marker repeats it before the name, so that the name does not rest on colour.
    """
    low, high = ax.get_ylim()
    height_points = ax.get_window_extent().height * 72 / ax.figure.dpi
    apart = 1.3 * mpl.rcParams["font.size"] / height_points
    at = -np.inf
    for height, text, look in sorted(ends, key=lambda end: end[0]):
        at = max((height - low) / (high - low), at + apart)
        marked = "marker" in look
        if marked:
            place = {"transform": ax.transAxes, "clip_on": False}
            ax.plot(1.012, at, **look | {"linestyle": ""}, **place)
        ax.annotate(
            text,
            (1.012, at),
            xycoords="axes fraction",
            xytext=(8 if marked else -3, 0),
            textcoords="offset points",
            va="center",
            color="black" if marked else look["color"],
            fontsize=10.5 if marked else 9,
        )


def _draw_incidents(ax: Axes, incidents: pd.DataFrame) -> None:
    """Draw when each incident began and what it is, the time it lasted lightly shaded."""
    for i, incident in enumerate(incidents.sort_values("start").itertuples()):
        ax.axvspan(incident.start, incident.end, color=VERMILLION, alpha=0.07, linewidth=0)
        ax.axvline(incident.start, color=VERMILLION, linestyle=(0, (1, 1.5)), linewidth=1.4)
        ax.annotate(
            str(incident.kind).replace("_", " "),
            (mdates.date2num(incident.start), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -4 - 13 * (i % 3)),
            textcoords="offset points",
            va="top",
            color=VERMILLION,
            fontsize=9,
        )


def _draw_thresholds(ax: Axes, rows: pd.DataFrame) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Draw the thresholds that the windows have, and yield what to write beside them."""
    edges = mdates.date2num([*rows["window_start"], rows["window_end"].iloc[-1]])
    look = {"color": VERMILLION, "linestyle": "--", "linewidth": 1.3}
    for column in ("threshold_low", "threshold_high"):
        level = rows[column]
        if level.notna().any():
            ax.stairs(level, edges, baseline=None, **look)
            yield level.dropna().iloc[-1], tr(pt="limiar", en="threshold"), {"color": VERMILLION}


# ---------------------------------------------------------------------------------- the pictures


def plot_metric(
    measurements: pd.DataFrame,
    *,
    metric: str,
    groups: Sequence[str] = ("",),
    title: str | None = None,
    unit: str = "",
    reference: tuple[float, float, float] | None = None,
    incidents: pd.DataFrame | None = None,
    complete: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric over time: a line of windows with the band of their intervals.

    ``measurements`` is what a monitor returns; ``groups`` are the lines ("" is everyone).
    A window with less than ``complete`` of its labels known, or still open at that moment, has a
    hollow marker; a window with too few to say anything has a cross at the bottom. Thresholds and
    alarms are drawn where the table has them, ``reference`` (value, low, high) as a grey line with
    its band, and the beginning and duration of each of the ``incidents`` (a ledger; the text of
    ``kind`` is written). A band shows one window's uncertainty, not that of the whole line.

    Raises ``ValueError`` for a metric or group that the table lacks.

    >>> from utils.records import measurements
    >>> table = measurements({
    ...     "monitor": "performance", "metric": "mae", "value": 12.0 + week, "low": 11.0 + week,
    ...     "high": 13.0 + week, "window_start": f"2013-04-{1 + 7 * week:02}",
    ...     "window_end": f"2013-04-{8 + 7 * week:02}"} for week in range(3))
    >>> ax = plot_metric(table, metric="mae", unit="min", title="The error grows")
    >>> ax.get_title(loc="left")
    'The error grows'
    >>> plt.close(ax.figure)
    """
    parts = [_rows(measurements, metric, group=group) for group in groups]
    looks = _looks(groups)
    with _drawing(ax, title) as ax:
        waiting = [_incomplete(rows, measurements, complete=complete) for rows in parts]
        for rows, look, hollow in zip(parts, looks, waiting, strict=True):
            _draw_line(ax, rows, look, hollow=hollow)
        _time_axis(ax)
        _write_values(ax, metric, unit)
        ax.margins(x=0.02)
        ends = [
            (rows["value"].dropna().iloc[-1], group, look)
            for rows, group, look in zip(parts, groups, looks, strict=True)
            if group and rows["value"].notna().any()
        ]
        ends += _draw_thresholds(ax, parts[0])
        if reference is not None:
            value, low, high = reference
            ax.axhspan(low, high, color=GREY, alpha=0.13, linewidth=0)
            ax.axhline(value, color=GREY, linewidth=1.2)
            ends.append((value, tr(pt="referência", en="reference"), {"color": GREY}))
        if incidents is not None:
            _draw_incidents(ax, incidents)
        _label_ends(ax, ends)
        every = pd.concat(parts)
        _note(ax, [_window_length(every), *_legend(every, waiting, complete), _as_of(every)])
    return ax


def _draw_line(ax: Axes, rows: pd.DataFrame, look: dict[str, Any], *, hollow: np.ndarray) -> None:
    """Draw the windows of one group: band, line, markers, what is silent and what is alarmed."""
    x, y, color = _middle(rows), rows["value"], look["color"]
    ax.fill_between(x, rows["low"], rows["high"], color=color, alpha=0.16, linewidth=0)
    ax.plot(x, y, color=color, linestyle=look["linestyle"])
    points = look | {"linestyle": ""}
    ax.plot(x[~hollow], y[~hollow], **points)
    ax.plot(x[hollow], y[hollow], **points, markerfacecolor="white")
    silent, alarmed = y.isna(), rows["alarm"]
    bottom = np.full(silent.sum(), 0.03)
    ax.plot(x[silent], bottom, "x", color=GREY, transform=ax.get_xaxis_transform())
    ring = {"markersize": 12, "markeredgewidth": 1.6, "markerfacecolor": "none"}
    ax.plot(x[alarmed], y[alarmed], "o", markeredgecolor=VERMILLION, **ring)


def _legend(every: pd.DataFrame, waiting: Sequence[np.ndarray], complete: float) -> Iterator[str]:
    """Yield what the marks mean that are there."""
    silent = every["value"].isna().to_numpy()
    if every["low"].notna().any():
        yield tr(pt="faixa: intervalo", en="band: interval")
    if (np.concatenate(waiting) & ~silent).any():
        least = percent(complete)
        yield tr(
            pt=f"○ incompleta: menos de {least} dos rótulos",
            en=f"○ incomplete: under {least} of labels",
        )
    if silent.any():
        yield tr(pt="× rótulos de menos", en="× too few labels")
    if every["alarm"].any():
        yield tr(pt="anel: alarme", en="ring: alarm")


def plot_groups(
    measurements: pd.DataFrame,
    *,
    metric: str,
    title: str | None = None,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric by group: a point and its interval for each, everyone as a line behind them.

    ``measurements`` holds one window. Two groups whose intervals overlap may still differ: the
    interval of a difference is another one.

    Raises ``ValueError`` for a metric that the table lacks, and for several windows.

    >>> from utils.records import measurements
    >>> table = measurements({
    ...     "monitor": "performance", "metric": "mae", "group": group, "value": value,
    ...     "low": value - 1, "high": value + 1, "n_current": 500, "window_start": "2013-04-01",
    ...     "window_end": "2013-05-01"} for group, value in (("", 12), ("EWR", 11), ("JFK", 13)))
    >>> ax = plot_groups(table, metric="mae", unit="min")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['EWR', 'JFK']
    >>> plt.close(ax.figure)
    """
    rows = _rows(measurements, metric)
    if rows["window_start"].nunique() > 1:
        raise ValueError(
            f"measurements: {rows['window_start'].nunique()} windows of metric={metric!r}; groups "
            "are drawn for one"
        )
    everyone = rows[rows["group"] == ""]
    rows = rows[rows["group"] != ""].sort_values("value", na_position="first")
    with _drawing(ax, title) as ax:
        at = np.arange(len(rows))
        if len(everyone):
            value, low, high = everyone[["value", "low", "high"]].iloc[0]
            ax.axvspan(low, high, color=GREY, alpha=0.13, linewidth=0)
            ax.axvline(value, color=GREY, linewidth=1.2)
            place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
            everyone_is = tr(pt="todos", en="everyone")
            ax.annotate(everyone_is, (value, 0), xytext=(4, 4), color=GREY, fontsize=9, **place)
        ax.hlines(at, rows["low"], rows["high"], color=BLUE, linewidth=2.2)
        ax.plot(rows["value"], at, linestyle="", marker="o", markersize=8, color=BLUE)
        ax.set_yticks(at, rows["group"])
        ax.tick_params(axis="y", labelcolor="black")
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        ax.set_ylim(-0.6, len(rows) - 0.4)
        for height, n, value in zip(at, rows["n_current"], rows["value"], strict=True):
            too_few = tr(pt=", de menos", en=", too few") if np.isnan(value) else ""
            ax.annotate(
                f"n = {number(n)}{too_few}",
                (1.0, height),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=GREY,
                fontsize=9,
            )
        _write_values(ax, metric, unit, axis="x")
        name = ax.get_xlabel()
        start, end = date(rows["window_start"].iloc[0]), date(rows["window_end"].iloc[0])
        period = tr(pt=f"de {start} até {end}", en=f"from {start} to {end}")
        _note(ax, [period, _as_of(rows)], before=name)
    return ax


def plot_promises(
    measurements: pd.DataFrame,
    *,
    metric: str,
    title: str | None = None,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw what was promised of each thing and what was kept: a line for each, with its intervals.

    ``measurements`` has the groups ``promised`` and ``kept`` (as ``leakage.promised_and_kept``
    returns) and names the thing in ``feature``; the first one is on top.

    Raises ``ValueError`` for a metric that the table lacks.

    >>> from utils.records import measurements
    >>> table = measurements({
    ...     "metric": "mae", "feature": "cars", "group": group, "value": value, "low": value - 1,
    ...     "high": value + 1} for group, value in (("promised", 2.0), ("kept", 6.0)))
    >>> ax = plot_promises(table, metric="mae", unit="mpg")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['cars']
    >>> plt.close(ax.figure)
    """
    every = _rows(measurements, metric)
    names = list(dict.fromkeys(measurements.loc[every.index, "feature"].sort_index()))
    looks = {"promised": LOOKS[1], "kept": LOOKS[0]}
    words = {"promised": tr(pt="prometido", en="promised"), "kept": tr(pt="cumprido", en="kept")}
    with _drawing(ax, title) as ax:
        for group, shift in (("promised", -0.12), ("kept", 0.12)):
            rows = every[every["group"] == group].set_index("feature").reindex(names)
            y = np.arange(len(names)) + shift
            look = looks[group] | {"linestyle": ""}
            ax.hlines(y, rows["low"], rows["high"], color=look["color"], linewidth=1.8)
            ax.plot(rows["value"], y, **look, label=words[group])
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(axis="x")
        ax.grid(axis="y", visible=False)
        ax.margins(x=0.06)
        _write_values(ax, metric, unit, axis="x")
        name = ax.get_xlabel()
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9.5)
        _note(ax, [tr(pt="traço: intervalo", en="line: interval")], before=name)
    return ax


def plot_volume(
    measurements: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how many predictions each window has, and of how many the label is known.

    ``measurements`` is a table of ``performance``: its rows ``labelled_share`` are drawn.

    Raises ``ValueError`` when it has none.

    >>> from utils.records import measurements
    >>> table = measurements({
    ...     "monitor": "performance", "metric": "labelled_share", "value": 0.9, "n_current": 100,
    ...     "window_start": f"2013-04-{day:02}", "window_end": f"2013-04-{day + 1:02}"}
    ...     for day in (1, 2))
    >>> from utils.text import using
    >>> with using("en"):
    ...     ax = plot_volume(table)
    >>> ax.get_ylabel()
    'predictions'
    >>> plt.close(ax.figure)
    """
    rows = _rows(measurements, "labelled_share", group="")
    with _drawing(ax, title) as ax:
        edges = mdates.date2num([*rows["window_start"], rows["window_end"].iloc[-1]])
        known = rows["n_current"] * rows["value"].fillna(0)
        ax.stairs(
            rows["n_current"],
            edges,
            baseline=known,
            fill=True,
            facecolor="white",
            edgecolor="#8C8C8C",
            hatch="////",
            label=tr(pt="sem rótulo (ainda)", en="no label (yet)"),
        )
        ax.stairs(
            known,
            edges,
            fill=True,
            color=SKY,
            label=tr(pt="com rótulo", en="label known"),
        )
        ax.stairs(rows["n_current"], edges, baseline=None, color="#8C8C8C", linewidth=0.8)
        ax.set_ylim(bottom=0)
        ax.margins(x=0.01)
        _time_axis(ax)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        ax.set_ylabel(tr(pt="previsões", en="predictions"))
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9)
        _note(ax, [_window_length(rows), _as_of(rows)])
    return ax


def plot_label_arrival(
    arrivals: pd.DataFrame,
    *,
    group_column: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of labels that are known within each delay after the prediction.

    ``arrivals`` has ``delay_hours``, ``share``, ``low`` and ``high``, as ``label_arrival`` returns;
    ``group_column`` names the lines, where there are several.

    >>> table = pd.DataFrame({"delay_hours": [1.0, 24.0], "share": [0.2, 0.9],
    ...                       "low": [0.1, 0.8], "high": [0.3, 1.0]})
    >>> ax = plot_label_arrival(table)
    >>> plt.close(ax.figure)
    """
    parts = _parts(arrivals, group_column)
    in_days = arrivals["delay_hours"].max() > 72
    with _drawing(ax, title) as ax:
        ends = []
        for (name, rows), look in zip(parts, _looks(parts), strict=True):
            x = rows["delay_hours"] / (24 if in_days else 1)
            ax.fill_between(
                x, rows["low"], rows["high"], color=look["color"], alpha=0.16, linewidth=0
            )
            ax.plot(x, rows["share"], color=look["color"], linestyle=look["linestyle"])
            if name:
                ends.append((rows["share"].dropna().iloc[-1], str(name), {"color": look["color"]}))
        ax.set_ylim(0, 1.02)
        ax.margins(x=0)
        _write_values(ax, "labelled_share", "")
        _label_ends(ax, ends)
        days = tr(pt="dias após a previsão", en="days after the prediction")
        hours = tr(pt="horas após a previsão", en="hours after the prediction")
        ax.set_xlabel(days if in_days else hours)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    return ax


def plot_errors(
    frame: pd.DataFrame,
    *,
    edges: Sequence[float],
    error_column: str = "error",
    group_column: str | None = None,
    title: str | None = None,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw how errors (predicted less observed) are distributed, one outline for each group.

    Bars are the shares of a group's errors between two ``edges``; errors beyond the edges count in
    the whole, and how many they are is written.

    >>> frame = pd.DataFrame({"error": [-30.0, -5.0, 0.0, 5.0]})
    >>> from utils.text import using
    >>> with using("en"):
    ...     ax = plot_errors(frame, edges=[-20, -10, 0, 10], unit="min")
    >>> ax.get_ylabel()
    'share of the predictions'
    >>> plt.close(ax.figure)
    """
    parts = _parts(frame, group_column)
    with _drawing(ax, title) as ax:
        beyond = []
        for (name, rows), look in zip(parts, _looks(parts), strict=True):
            errors = rows[error_column].dropna()
            weights = np.full(len(errors), 1 / len(errors))
            shares, _ = np.histogram(errors, bins=edges, weights=weights)
            ax.stairs(shares, edges, fill=True, color=look["color"], alpha=0.12)
            ax.stairs(
                shares,
                edges,
                color=look["color"],
                linestyle=look["linestyle"],
                linewidth=1.8,
                label=str(name),
            )
            outside = percent(round(max(0.0, 1 - shares.sum()), 3))
            beyond.append(f"{name}: {outside}" if name else outside)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.margins(x=0)
        ax.set_ylim(bottom=0)
        if group_column is not None:
            ax.legend(loc="upper right")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(round(value, 10))))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        ax.set_ylabel(tr(pt="parcela das previsões", en="share of the predictions"))
        in_unit = f" ({unit})" if unit else ""
        error = tr(pt="erro, previsto − observado", en="error, predicted − observed")
        shown = ", ".join(beyond)
        outside = tr(pt=f"fora da figura: {shown}", en=f"beyond the picture: {shown}")
        _note(ax, [outside], before=error + in_unit)
    return ax


def plot_estimates(
    table: pd.DataFrame,
    *,
    x: str,
    xlabel: str,
    ylabel: str,
    group_column: str | None = None,
    shares: bool = False,
    since: tuple[Any, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw estimates with their intervals over a number or over time: a line for each group.

    ``table`` has ``x``, ``value``, ``low`` and ``high``; a row without a value is a gap. With
    ``shares`` the values are shares of 1. ``since`` is where something began on the axis, and what.

    >>> table = pd.DataFrame({"model_year": [1970, 1982], "value": [17.7, 31.0],
    ...                       "low": [15.6, 29.6], "high": [19.8, 32.4]})
    >>> ax = plot_estimates(table, x="model_year", xlabel="model year", ylabel="miles per gallon")
    >>> len(ax.lines)
    1
    >>> plt.close(ax.figure)
    """
    parts = _parts(table, group_column)
    with _drawing(ax, title) as ax:
        ends = []
        for (name, rows), look in zip(parts, _looks(parts), strict=True):
            ax.vlines(rows[x], rows["low"], rows["high"], color=look["color"], linewidth=1.6)
            ax.plot(rows[x], rows["value"], **look)
            if name:
                ends.append((rows["value"].dropna().iloc[-1], str(name), look))
        if isinstance(table[x].dtype, pd.DatetimeTZDtype):
            _time_axis(ax)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
        if since is not None:
            _draw_beginning(ax, *since)
        write = percent if shares else number
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(round(value, 10))))
        ax.set_ylabel(textwrap.fill(ylabel, 32))
        _label_ends(ax, ends)
        _note(
            ax,
            [tr(pt="traços verticais: intervalos", en="vertical bars: intervals")],
            before=xlabel,
        )
    return ax


def _draw_beginning(ax: Axes, where: Any, what: str) -> None:
    """Draw where something began, and what."""
    ax.axvline(where, color=VERMILLION, linestyle=(0, (1, 1.5)), linewidth=1.4)
    at = mdates.date2num(where) if isinstance(where, pd.Timestamp) else where
    ax.annotate(
        what,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -4),
        textcoords="offset points",
        va="top",
        color=VERMILLION,
        fontsize=9,
    )


def plot_stacked(
    counts: pd.DataFrame,
    *,
    edges: Sequence[float],
    xlabel: str,
    ylabel: str,
    hidden: str | None = None,
    since: tuple[Any, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw counts by bin, stacked: a column of the table is a part, a row is a bin between edges.

    The part called ``hidden`` is what nobody knows: it is drawn empty and hatched. ``since`` is
    where something begins on the axis, and what.

    >>> counts = pd.DataFrame({"repaid": [0, 8], "refused": [5, 0]})
    >>> ax = plot_stacked(counts, edges=[0, 35, 70], hidden="refused", xlabel="points",
    ...                   ylabel="applicants")
    >>> ax.get_ylabel()
    'applicants'
    >>> plt.close(ax.figure)
    """
    with _drawing(ax, title) as ax:
        below = np.zeros(len(counts))
        for name, shade in zip(counts, _looks(counts.columns), strict=True):
            look = {"facecolor": shade["color"], "edgecolor": "white"}
            if name == hidden:
                look = {"facecolor": "white", "edgecolor": "#8C8C8C", "hatch": "////"}
            top = below + counts[name].to_numpy()
            ax.stairs(top, edges, baseline=below, fill=True, label=str(name), **look)
            if name == hidden:
                ax.stairs(top, edges, baseline=None, color="#8C8C8C", linewidth=0.8)
            below = top
        if since is not None:
            _draw_beginning(ax, *since)
        ax.margins(x=0)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        ax.set_ylabel(ylabel)
        ax.legend(loc="upper left", fontsize=9)
        unknown = "" if hidden is None else tr(pt="hachura: não se sabe", en="hatched: not known")
        _note(ax, [unknown], before=xlabel)
    return ax


def plot_calibration(
    table: pd.DataFrame,
    *,
    groups: Sequence[str] = ("",),
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often the label is 1 over the score: on the dashed line the scores come true.

    ``table`` is what ``reliability`` returns: a point for each bin with its interval; ``groups``
    are the lines ("" is everyone).

    Raises ``ValueError`` for a group that the table lacks.

    >>> table = pd.DataFrame({"group": "", "score": [0.5, 0.9], "share": [0.55, 0.9],
    ...                       "low": [0.5, 0.85], "high": [0.6, 0.95], "n": 500})
    >>> from utils.text import using
    >>> with using("en"):
    ...     ax = plot_calibration(table)
    >>> ax.get_xlabel().splitlines()[0]
    'score, mean of the bin'
    >>> plt.close(ax.figure)
    """
    there = table["group"].unique().tolist()
    for group in groups:
        if group not in there:
            raise ValueError(f"groups: {group!r}: no such group; the table has {there}")
    parts = [table[table["group"] == group] for group in groups]
    looks = _looks(parts)
    with _drawing(ax, title) as ax:
        start = min(min(rows["score"].min(), rows["low"].min()) for rows in parts)
        ax.plot([start, 1], [start, 1], color="black", linestyle="--", linewidth=0.9)
        ends = []
        for group, rows, look in zip(groups, parts, looks, strict=True):
            ax.vlines(rows["score"], rows["low"], rows["high"], color=look["color"], linewidth=1.6)
            ax.plot(rows["score"], rows["share"], **look | {"linewidth": 1.0})
            if group:
                ends.append((rows["share"].iloc[-1], group, look))
        ax.grid(axis="x")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: percent(round(value, 10))))
        ax.set_ylabel(tr(pt="parcela de rótulos 1", en="share of labels that are 1"))
        _label_ends(ax, ends)
        sizes = sorted({int(rows["n"].median()) for rows in parts})
        each = " / ".join(number(size) for size in sizes)
        _note(
            ax,
            [
                tr(pt="tracejada: o escore se cumpre", en="dashed: the score comes true"),
                tr(pt="traços verticais: intervalos", en="vertical bars: intervals"),
                tr(pt=f"cerca de {each} linhas por ponto", en=f"about {each} rows a point"),
            ],
            before=tr(pt="escore, média da faixa", en="score, mean of the bin"),
        )
    return ax


def plot_costs(
    curve: pd.DataFrame,
    *,
    unit: str = "",
    declared: float | None = None,
    change: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what a decision costs over the threshold, and which thresholds may be the cheapest.

    ``curve`` is what ``cost_curve`` returns; thresholds that are not finite are left out. The
    ``declared`` threshold is a line of its own. With ``change`` it is the difference from the
    threshold that the curve was measured against, on the same rows, and its interval.

    >>> curve = pd.DataFrame({"threshold": [0.6, 0.7, 0.8], "cost": [5.0, 4.0, 4.5],
    ...                       "low": [4.5, 3.5, 4.0], "high": [5.5, 4.5, 5.0],
    ...                       "may_be_best": [False, True, True]})
    >>> ax = plot_costs(curve, unit="BRL", declared=0.75)
    >>> len(ax.lines)
    3
    >>> plt.close(ax.figure)
    """
    rows = curve[np.isfinite(curve["threshold"])].sort_values("threshold")
    value, low, high = (
        ("change", "change_low", "change_high") if change else ("cost", "low", "high")
    )
    with _drawing(ax, title) as ax:
        ax.fill_between(
            rows["threshold"], rows[low], rows[high], color=BLUE, alpha=0.16, linewidth=0
        )
        ax.plot(rows["threshold"], rows[value], color=BLUE)
        kept = rows[rows["may_be_best"]]
        if len(kept):
            ax.axvspan(
                kept["threshold"].min(),
                kept["threshold"].max(),
                facecolor="white",
                edgecolor="#BFBFBF",
                hatch="////",
                linewidth=0,
                zorder=0,
            )
            cheapest = kept.loc[kept["cost"].idxmin()]
            ax.plot(cheapest["threshold"], cheapest[value], linestyle="", marker="o", color=BLUE)
        if change:
            ax.axhline(0, color="black", linewidth=0.8)
        if declared is not None:
            look = {"color": VERMILLION, "linestyle": "--", "linewidth": 1.3}
            ax.axvline(declared, **look)
            ax.annotate(
                tr(
                    pt=f"limiar declarado: {number(declared)}",
                    en=f"declared threshold: {number(declared)}",
                ),
                (declared, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-4, -4),
                textcoords="offset points",
                ha="right",
                va="top",
                color=VERMILLION,
                fontsize=9,
            )
        ax.margins(x=0.02)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda each, _: number(round(each, 10))))
        name = tr(pt="custo por decisão", en="cost per decision")
        if change:
            name = tr(pt="diferença de custo por decisão", en="difference in cost per decision")
        ax.set_ylabel(textwrap.fill(f"{name} ({unit})" if unit else name, 32))
        _note(
            ax,
            [
                tr(pt="● o mais barato", en="● the cheapest"),
                tr(pt="hachura: talvez o mais barato", en="hatched: maybe the cheapest"),
                tr(pt="faixa: intervalo", en="band: interval"),
            ],
            before=tr(
                pt="limiar: «sim» a partir deste escore", en='threshold: "yes" from this score on'
            ),
        )
    return ax


def plot_alarms(
    measurements: pd.DataFrame,
    *,
    names: Sequence[str],
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw when which line was alarmed: a row for each line, a place for each window.

    ``names`` has the line of each row of ``measurements``; the lines stand in the order in which
    they come, the first at the top. A filled square is an alarm, a dot a window without one, and
    nothing where a window had too little to say. How far beyond its threshold a value lies is not
    drawn.

    >>> from utils.records import measurements
    >>> table = measurements({
    ...     "monitor": "drift", "metric": "psi", "value": 0.1, "alarm": week == 2,
    ...     "window_start": f"2013-04-{1 + 7 * week:02}",
    ...     "window_end": f"2013-04-{8 + 7 * week:02}"} for week in range(3))
    >>> ax = plot_alarms(table, names=["distance"] * 3)
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['distance']
    >>> plt.close(ax.figure)
    """
    names = pd.Series(list(names), index=measurements.index)
    order = list(dict.fromkeys(names))
    at = names.map({name: -place for place, name in enumerate(order)})
    alarmed, judged = measurements["alarm"], measurements["value"].notna()
    x = _middle(measurements)
    with _drawing(ax, title) as ax:
        quiet = judged & ~alarmed
        ax.plot(x[quiet], at[quiet], ".", color="#B0B0B0", markersize=4)
        ax.plot(x[alarmed], at[alarmed], "s", color=VERMILLION, markersize=8)
        ax.set_yticks([-place for place in range(len(order))], order)
        ax.tick_params(axis="y", labelcolor="black")
        ax.grid(visible=False, axis="y")
        ax.set_ylim(-len(order) + 0.4, 0.6)
        ax.set_xlim(measurements["window_start"].min(), measurements["window_end"].max())
        _time_axis(ax)
        marks = [
            tr(pt="■ alarme", en="■ alarm"),
            tr(pt="· janela sem alarme", en="· window without one"),
            tr(pt="vazio: dados de menos", en="empty: too little data"),
        ]
        _note(ax, [_window_length(measurements), *marks])
    return ax


def plot_shares(
    shares: pd.DataFrame,
    *,
    feature: str,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a feature was distributed and how it is: two points for each of its bins.

    ``shares`` has the columns ``bin`` (in words), ``reference`` and ``current`` (of 1), the first
    bin at the top. A difference of two points has its chance too, which is not drawn here.

    >>> shares = pd.DataFrame({
    ...     "bin": ["≤ 100", "> 100"], "reference": [0.5, 0.5], "current": [0.2, 0.8]})
    >>> ax = plot_shares(shares, feature="distance_miles")
    >>> ax.get_xlabel().splitlines()[0]
    'distance_miles'
    >>> plt.close(ax.figure)
    """
    at = -np.arange(len(shares))
    with _drawing(ax, title) as ax:
        ax.hlines(at, shares["reference"], shares["current"], color="#B0B0B0", linewidth=1.4)
        ax.plot(shares["reference"], at, "o", color=GREY, markerfacecolor="white", markersize=7)
        ax.plot(shares["current"], at, "o", color=BLUE, markersize=7)
        ax.set_yticks(at, [textwrap.shorten(str(each), 28) for each in shares["bin"]])
        ax.tick_params(axis="y", labelcolor="black")
        ax.grid(axis="x")
        ax.grid(visible=False, axis="y")
        ax.set_ylim(-len(shares) + 0.4, 0.6)
        ax.set_xlim(left=0)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(round(value, 10))))
        marks = [tr(pt="○ referência", en="○ reference"), tr(pt="● agora", en="● now")]
        _note(ax, [tr(pt="parcela das linhas", en="share of the rows"), *marks], before=feature)
    return ax


def plot_distribution(
    compared: pd.DataFrame, *, feature: str, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a feature as two descriptions of it tell: the reference in grey, what is now in blue.

    ``compared`` is of numbers (``value, reference, current``: the share at or below each value; the
    widest gap is marked) or of text (``bin, reference, current``: the share of each). Whether a gap
    is more than chance is not drawn.

    >>> shares = pd.DataFrame({"value": [1, 2, 3], "reference": [0.2, 0.6, 1.0],
    ...                        "current": [0.5, 0.7, 1.0]})
    >>> ax = plot_distribution(shares, feature="wait_min")
    >>> len(ax.texts), ax.get_xlabel()
    (1, 'wait_min')
    >>> plt.close(ax.figure)
    """
    with _drawing(ax, title) as ax:
        if "value" in compared:
            was = {"color": GREY, "linestyle": "--", "linewidth": 1.4}
            ax.step(compared["value"], compared["reference"], where="post", **was)
            ax.step(compared["value"], compared["current"], where="post", color=BLUE)
            gap = (compared["current"] - compared["reference"]).abs()
            widest = compared.loc[gap.idxmax()]
            ax.vlines(
                widest["value"],
                *sorted(widest[["reference", "current"]]),
                color=VERMILLION,
                linewidth=3,
            )
            place = {"xytext": (6, -2), "textcoords": "offset points", "va": "top"}
            at = (widest["value"], widest[["reference", "current"]].min())
            ax.annotate(number(round(gap.max(), 2)), at, color=VERMILLION, **place)
            ax.set_ylim(0, 1.02)
            shares = ax.yaxis
        else:
            at = -np.arange(len(compared))
            ax.hlines(at, compared["reference"], compared["current"], color="#B0B0B0")
            look = {"color": GREY, "markerfacecolor": "white"}
            ax.plot(compared["reference"], at, "o", **look)
            ax.plot(compared["current"], at, "o", color=BLUE)
            ax.set_yticks(at, [textwrap.shorten(str(each), 18) for each in compared["bin"]])
            ax.set(xlim=(0, None), ylim=(-len(compared) + 0.4, 0.6))
            ax.grid(visible=False, axis="y")
            ax.grid(axis="x")
            shares = ax.xaxis
        shares.set_major_formatter(FuncFormatter(lambda share, _: percent(round(share, 10))))
        ax.set_xlabel(feature)
    return ax


# ---------------------------------------------------------------------------------------- showing

MAX_BYTES = 60_000
"""A figure that a notebook stores is smaller than this."""


class _Picture:
    """A figure as Jupyter shows it: a PNG, and an ``img`` that says in words what it shows.

    JupyterLab drops the alternative text of a PNG's metadata and keeps that of an ``img``;
    nbconvert's classic template knows both.
    """

    def __init__(self, png: bytes, *, alt: str, width: int) -> None:
        self.png = base64.b64encode(png).decode("ascii")
        self.alt, self.width = alt, width

    def __repr__(self) -> str:
        return tr(pt="[figura]", en="[figure]")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        source = f"data:image/png;base64,{self.png}"
        html = f'<img src="{source}" width="{self.width}" alt="{escape(self.alt)}">'
        data = {"text/plain": repr(self), "image/png": self.png, "text/html": html}
        return data, {"image/png": {"alt": self.alt, "width": self.width}}


def png(fig: Figure, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, int]:
    """Return a figure as a PNG smaller than ``max_bytes``, and the width to show it at in pixels.

    The same figure gives the same bytes. The resolution is the finest of a few that is small
    enough; ``ValueError`` where none is.

    >>> fig = Figure(figsize=(2, 1))
    >>> data, width = png(fig)
    >>> data[:4], len(data) < 60_000
    (b'\x89PNG', True)
    """
    for dpi in (120, 96, 72):
        drawn, packed = io.BytesIO(), io.BytesIO()
        fig.savefig(drawn, format="png", dpi=dpi, facecolor="white")
        image = Image.open(drawn).convert("RGB")
        image = image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        image.save(packed, format="PNG", optimize=True)
        if packed.tell() < max_bytes:
            return packed.getvalue(), round(image.width * 96 / dpi)
    raise ValueError(
        f"fig: {packed.tell()} bytes at the coarsest resolution, {max_bytes} allowed; draw less"
    )


def show(fig: Figure, *, alt: str) -> None:
    """Show a figure in a notebook with its alternative text, say the same below it, and close it.

    ``alt`` is one or two sentences that tell what the picture tells, for who does not see it.

    Raises ``ValueError`` for an empty ``alt``.

    >>> from utils.text import using
    >>> with using("en"):
    ...     show(Figure(figsize=(2, 1)), alt="The error doubles in July.")
    [figure]
    The error doubles in July.
    """
    from IPython.display import display

    alt = " ".join(alt.split())
    if not alt:
        raise ValueError(f"alt={alt!r}: say in a sentence what the figure shows")
    data, width = png(fig)
    plt.close(fig)
    display(_Picture(data, alt=alt, width=width))
    print(textwrap.fill(alt, 100))
