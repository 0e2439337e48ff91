"""The pictures of chapter 13: its tables to figures, computing nothing."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from utils.operations.canary import Canary
from utils.plots import GREY, LOOKS, VERMILLION, style
from utils.text import number, tr


def plot_looks(paths: Mapping[str, pd.DataFrame], canary: Canary, *, title: str) -> Axes:
    """Draw how the evidence of each canary grew, between the two bounds that end it.

    ``paths`` has a table of ``n_blocks`` and ``ratio`` for each name (``canary.path``).
    """
    low, high = canary.bounds
    with style():
        ax = plt.figure(figsize=(8.0, 4.1)).subplots()
        ax.set_title(title)
        for (name, path), look in zip(paths.items(), LOOKS, strict=False):
            ax.plot(path["n_blocks"], path["ratio"], **look | {"markersize": 4}, label=name)
        for bound, said in (
            (high, tr(pt="acima: há dano", en="above: harm")),
            (low, tr(pt="abaixo: não há", en="below: none")),
        ):
            ax.axhline(bound, color=VERMILLION, linestyle="--", linewidth=1.3)
            ax.text(
                canary.most_blocks,
                bound + (0.4 if bound > 0 else -0.4),
                said,
                color=VERMILLION,
                fontsize=9,
                ha="right",
                va="bottom" if bound > 0 else "top",
            )
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_ylim(3.2 * low, 3.2 * high)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 10))))
        ax.set_xlim(canary.least_blocks - 1, canary.most_blocks + 1)
        ax.set_xlabel(tr(pt="dias do canário", en="days of the canary"))
        ax.set_ylabel(
            tr(pt="logaritmo da razão de verossimilhança", en="logarithm of the likelihood ratio")
        )
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
