"""The pictures of chapter 10: its tables to figures, computing nothing."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.course.shared_plots import plot_dots
from utils.plots import GREY, style


def plot_gaps(table: pd.DataFrame, *, title: str, xlabel: str, ax: Axes | None = None) -> Axes:
    """Draw several gaps, in points, for each row of ``shared_plots.plot_dots``, rows kept apart.

    >>> gaps = pd.DataFrame({"row": ["before", "after"] * 2, "series": list("aabb"), "value": 1,
    ...                      "low": 0, "high": 2})
    >>> ax = plot_gaps(gaps, title="", xlabel="points")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['before', 'after']
    >>> plt.close(ax.figure)
    """
    ax = plot_dots(table, title=title, xlabel=xlabel, shares=False, zero=True, ax=ax)
    for place in range(1, table["row"].nunique()):
        ax.axhline(0.5 - place, color=GREY, linewidth=0.6, alpha=0.5)
    return ax


def plot_prices(
    gaps: pd.DataFrame, money: pd.DataFrame, *, title: str, labels: Mapping[str, str]
) -> Figure:
    """Draw what policies do to the gaps between groups, and beside it what they bring.

    ``gaps`` and ``money`` are tables of ``shared_plots.plot_dots``, not in shares; ``labels`` are
    those of their axes. Money is grey, for it is none of the gaps.
    """
    with style():
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 4.2), width_ratios=(1.5, 1))
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
    plot_gaps(gaps, title="", xlabel=labels["gaps"], ax=left)
    left.legend(loc="upper center", bbox_to_anchor=(0.4, -0.19), ncols=2)
    plot_dots(money, title="", xlabel=labels["money"], shares=False, zero=True, ax=right)
    for drawn in (*right.lines, *right.collections):
        drawn.set_color(GREY)
    right.set_yticklabels([])
    return fig
