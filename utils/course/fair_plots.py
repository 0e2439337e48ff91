"""The pictures of chapter 10: its tables to figures, computing nothing."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from utils.plots import GREY, LOOKS, style
from utils.text import number, percent

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


def plot_prices(
    gaps: pd.DataFrame, money: pd.DataFrame, *, title: str, labels: Mapping[str, str]
) -> Figure:
    """Draw what policies do to the gaps between groups, and beside it what they bring.

    ``gaps`` and ``money`` are tables of ``plot_dots``; ``labels`` are those of their axes.
    """
    with style():
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6), width_ratios=(1.5, 1))
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
    plot_dots(gaps, title="", xlabel=labels["gaps"], zero=True, ax=left)
    left.legend(loc="upper center", bbox_to_anchor=(0.4, -0.22), ncols=3)
    plot_dots(money, title="", xlabel=labels["money"], shares=False, zero=True, ax=right)
    right.set_yticklabels([])
    return fig
