"""The pictures that several chapters draw: their tables to figures, computing nothing."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from utils.monitors.scoreboard import ALWAYS, NEVER
from utils.plots import GREY, LOOKS, style
from utils.text import number, percent, tr

_APART = 0.22
"""How far apart two points of one row are drawn, in rows."""


def plot_dots(
    table: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    shares: bool = True,
    zero: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw a value with its interval for each ``row``, a mark for each ``series``.

    ``table`` has ``row``, ``series``, ``value``, ``low`` and ``high``; both keep their order.
    ``shares`` writes per cents, ``zero`` draws where nothing differs.

    >>> table = pd.DataFrame({"row": ["before", "after"], "series": "", "value": [0.2, 0.3],
    ...                       "low": [0.1, 0.2], "high": [0.3, 0.4]})
    >>> ax = plot_dots(table, title="It rose", xlabel="share")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['before', 'after']
    >>> plt.close(ax.figure)
    """
    rows, series = (list(dict.fromkeys(table[name])) for name in ("row", "series"))
    with style():
        if ax is None:
            ax = plt.figure(figsize=(8.0, 1.3 + 0.62 * len(rows))).subplots()
        ax.set_title(title)
        if zero:
            ax.axvline(0, color=GREY, linewidth=1.2)
        for place, name in enumerate(series):
            look = LOOKS[place % len(LOOKS)]
            own = table[table["series"] == name]
            at = np.array([-rows.index(row) for row in own["row"]], dtype=float)
            at -= (place - (len(series) - 1) / 2) * _APART
            ax.hlines(at, own["low"], own["high"], color=look["color"], linewidth=1.8)
            ax.plot(own["value"], at, **look | {"linestyle": "", "markersize": 7}, label=name)
        ax.set_yticks(-np.arange(len(rows)), rows)
        ax.tick_params(axis="y", labelcolor="black")
        ax.set_ylim(-len(rows) + 0.5, 0.5)
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x")
        told = percent if shares else number
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: told(round(value, 10))))
        ax.set_xlabel(xlabel)
        if len(series) > 1:
            ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def plot_scoreboard(board: pd.DataFrame, *, title: str) -> Axes:
    """Draw what each rule noticed, and how often it cried wolf: the best is top left."""
    with style():
        ax = plt.figure(figsize=(8.0, 4.3)).subplots()
        ax.set_title(title)
        names = {
            NEVER: tr(pt="nunca alarmar", en="never alarm"),
            ALWAYS: tr(pt="sempre alarmar", en="always alarm"),
        }
        ends = {NEVER, ALWAYS}
        looks = iter(LOOKS)
        for row in board.itertuples():
            look = {"color": GREY, "marker": "P"} if row.rule in ends else next(looks)
            color = look["color"]
            x, y = row.false_alarms_per_100, row.detected
            ax.vlines(x, row.detected_low, row.detected_high, color=color, linewidth=1)
            ax.hlines(
                y,
                row.false_alarms_per_100_low,
                row.false_alarms_per_100_high,
                color=color,
                alpha=0.45,
            )
            ax.plot(
                x,
                y,
                **look | {"linestyle": "", "markersize": 8},
                label=names.get(row.rule, row.rule),
                clip_on=False,
            )
        ax.set(xlim=(-3, 103), ylim=(-0.03, 1.05))
        ax.yaxis.set_major_formatter(percents())
        ax.set_ylabel(tr(pt="incidentes nocivos notados", en="harmful incidents noticed"))
        ax.set_xlabel(
            tr(
                pt="alarmes falsos em cem janelas quietas · traços: intervalos de 95%",
                en="false alarms in a hundred quiet windows · bars: 95% intervals",
            )
        )
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def percents() -> FuncFormatter:
    """Return what writes the shares of an axis as per cents."""
    return FuncFormatter(lambda share, _: percent(round(share, 10)))
