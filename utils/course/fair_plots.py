"""The pictures of chapter 10: its tables to figures, computing nothing."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.course.shared_plots import plot_dots
from utils.plots import style


def plot_prices(
    gaps: pd.DataFrame, money: pd.DataFrame, *, title: str, labels: Mapping[str, str]
) -> Figure:
    """Draw what policies do to the gaps between groups, and beside it what they bring.

    ``gaps`` and ``money`` are tables of ``shared_plots.plot_dots``; ``labels`` are those of
    their axes.
    """
    with style():
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6), width_ratios=(1.5, 1))
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
    plot_dots(gaps, title="", xlabel=labels["gaps"], zero=True, ax=left)
    left.legend(loc="upper center", bbox_to_anchor=(0.4, -0.22), ncols=3)
    plot_dots(money, title="", xlabel=labels["money"], shares=False, zero=True, ax=right)
    right.set_yticklabels([])
    return fig
