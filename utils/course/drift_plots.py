"""The pictures of chapter 09: its tables to figures, computing nothing."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from utils.course.shared_plots import percents
from utils.plots import GREY, LOOKS, VERMILLION, style
from utils.text import metric_name, number, percent, tr

_THRESHOLD = {"color": VERMILLION, "linestyle": "--", "linewidth": 1.3}


def plot_pair(
    panel: pd.DataFrame, right: pd.DataFrame, *, usual: pd.Series, threshold: float, title: str
) -> Figure:
    """Draw two worlds side by side: how far each feature moved, and how often the model was right.

    ``panel`` has a row a feature and a column a world; ``right`` a row a world with ``value``,
    ``low`` and ``high``, as ``usual`` has of the reference.
    """
    with style():
        fig, (left, side) = plt.subplots(1, 2, figsize=(8.0, 4.0), width_ratios=(2.2, 1))
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
        at = -np.arange(len(panel))
        for name, look in zip(panel, LOOKS, strict=False):
            left.plot(panel[name], at, **look | {"linestyle": ""}, label=name)
        left.axvline(threshold, **_THRESHOLD)
        left.set_yticks(at, panel.index)
        left.tick_params(axis="y", labelcolor="black")
        left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 6))))
        left.set_xlabel(
            tr(
                pt=f"PSI em quatro semanas · tracejado: {number(threshold)}",
                en=f"PSI over four weeks · dashed: {number(threshold)}",
            )
        )
        left.legend(loc="lower right", title=tr(pt="mês", en="month"))
        side.axhspan(usual["low"], usual["high"], color=GREY, alpha=0.2, linewidth=0)
        side.axhline(usual["value"], color=GREY, linewidth=1.2)
        for place, (row, look) in enumerate(zip(right.itertuples(), LOOKS, strict=False)):
            side.vlines(place, row.low, row.high, color=look["color"], linewidth=1.8)
            side.plot(place, row.value, **look)
        side.set_xticks(range(len(right)), right.index)
        side.set_xlim(-0.6, len(right) - 0.4)
        side.yaxis.set_major_formatter(percents())
        side.set_ylabel(metric_name("accuracy"))
        side.set_xlabel(tr(pt="mês · cinza: referência", en="month · grey: reference"))
    return fig


def plot_quiet_psi(usual: pd.DataFrame, *, threshold: float, title: str) -> Axes:
    """Draw the PSI that one quiet window in twenty exceeds: by rows, a line for each bins."""
    with style():
        ax = plt.figure().subplots()
        ax.set_title(title)
        for n_bins, look in zip(usual.index, LOOKS, strict=False):
            label = tr(pt=f"{n_bins} faixas", en=f"{n_bins} bins")
            ax.plot(usual.columns, usual.loc[n_bins], **look, label=label)
        ax.axhline(threshold, **_THRESHOLD)
        ax.set(xscale="log", yscale="log")
        ax.set_xticks(usual.columns, [number(each) for each in usual.columns])
        ax.set_yticks([0.01, 0.1, threshold, 1], [number(x) for x in (0.01, 0.1, threshold, 1)])
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())
        ax.minorticks_off()
        ax.set_xlabel(
            tr(
                pt=f"linhas na janela · tracejado: {number(threshold)}",
                en=f"rows in the window · dashed: {number(threshold)}",
            )
        )
        ax.set_ylabel(tr(pt="PSI que 5% superam", en="PSI that 5% exceed"))
        ax.legend(loc="upper right")
    return ax


def plot_parts(parts: pd.DataFrame, *, title: str) -> Axes:
    """Draw how much of a change in the loss is due to the inputs and to the concept, by world.

    ``parts`` is of ``decomposition``, with the ``world`` of each row.
    """
    metrics = {
        "loss_change_by_inputs": tr(pt="devido às entradas", en="due to the inputs"),
        "loss_change_by_concept": tr(pt="devido ao conceito", en="due to the concept"),
    }
    worlds = list(dict.fromkeys(parts["world"]))
    names = {
        "covariate": tr(pt="covariáveis", en="covariate"),
        "label": tr(pt="rótulos", en="label"),
        "concept": tr(pt="conceito", en="concept"),
    }
    with style():
        ax = plt.figure(figsize=(8.0, 3.4)).subplots()
        ax.set_title(title)
        for shift, (metric, label), look in zip(
            (0.14, -0.14), metrics.items(), LOOKS, strict=False
        ):
            rows = parts[parts["metric"] == metric].set_index("world").loc[worlds]
            at = -np.arange(len(worlds)) + shift
            ax.hlines(at, rows["low"], rows["high"], color=look["color"], linewidth=1.8)
            ax.plot(rows["value"], at, **look | {"linestyle": ""}, label=label)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_yticks(-np.arange(len(worlds)), [names.get(each, each) for each in worlds])
        ax.tick_params(axis="y", labelcolor="black")
        ax.set_ylim(-len(worlds) + 0.5, 0.5)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 6))))
        ax.set_xlabel(
            tr(
                pt="mudança da perda média (erro quadrático do escore) · traço: intervalo de 95%",
                en="change in the mean loss (squared error of the score) · bar: 95% interval",
            )
        )
        ax.legend(loc="upper right")
    return ax


def plot_budget(curve: pd.DataFrame, *, budget: float, chosen: float, title: str) -> Axes:
    """Draw the false alarms a year of one line and of the dashboard, by how rare each must be.

    ``curve`` has ``rarity``, ``line`` and ``dashboard``; ``chosen`` is where the latter meets the
    budget.
    """
    with style():
        ax = plt.figure().subplots()
        ax.set_title(title)
        names = {
            "line": tr(pt="uma linha sozinha", en="one line alone"),
            "dashboard": tr(pt="o painel inteiro", en="the whole dashboard"),
        }
        for (column, label), look in zip(names.items(), LOOKS, strict=False):
            ax.plot(curve["rarity"], curve[column], **look | {"marker": ""}, label=label)
        ax.axhline(budget, **_THRESHOLD)
        ax.plot(chosen, budget, "o", color="black", markersize=7)
        ax.set_xscale("log")
        ax.set_xlim(curve["rarity"].max(), curve["rarity"].min())
        ax.set_ylim(0, min(curve["dashboard"].max(), 8 * budget))
        ticks = [each for each in (0.3, 0.1, 0.03, 0.01, 0.003) if each >= curve["rarity"].min()]
        ax.set_xticks(ticks, [percent(each) for each in ticks])
        ax.minorticks_off()
        ax.set_xlabel(
            tr(
                pt="parcela das janelas quietas em que cada linha pode alarmar (mais rara →)\n"
                f"tracejado: {number(budget)} por ano",
                en="share of quiet windows in which each line may alarm (rarer →)\n"
                f"dashed: {number(budget)} a year",
            )
        )
        ax.set_ylabel(tr(pt="alarmes falsos por ano", en="false alarms a year"))
        ax.legend(loc="upper right")
    return ax


def plot_estimated(
    pairs: Mapping[str, pd.DataFrame], *, since: pd.Timestamp, until: pd.Timestamp, title: str
) -> Figure:
    """Draw what was estimated without labels beside what came: one picture for each world.

    Each table is of ``estimated_and_realised``; a point stands in the middle of its window, in
    weeks since the first one. The incident lasted from ``since`` to ``until``.
    """
    names = {
        "covariate": tr(pt="mudam as covariáveis", en="covariates change"),
        "concept": tr(pt="muda o conceito", en="the concept changes"),
    }
    with style():
        fig, axes = plt.subplots(1, len(pairs), figsize=(8.4, 3.9), sharey=True)
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
        for ax, (name, table) in zip(axes, pairs.items(), strict=True):
            begin, week = table["window_start"].min(), pd.Timedelta("7D")
            at = (table["window_start"] - begin + table["window_end"] - begin) / 2 / week
            ax.fill_between(at, table["low"], table["high"], color=LOOKS[0]["color"], alpha=0.16)
            ax.plot(at, table["estimate"], **LOOKS[0], label=tr(pt="estimada", en="estimated"))
            ax.plot(at, table["realised"], **LOOKS[1], label=tr(pt="medida", en="measured"))
            first, last = (since - begin) / week, (until - begin) / week
            ax.axvspan(first, last, color=VERMILLION, alpha=0.07, linewidth=0)
            ax.axvline(first, color=VERMILLION, linestyle=(0, (1, 1.5)), linewidth=1.4)
            ax.set_title(names.get(name, name), fontsize=11, fontweight="normal")
            ax.set_xticks(np.arange(0, (table["window_end"].max() - begin) / week + 1, 4))
            ax.set_xlabel(
                tr(pt="semanas desde o começo · faixa: 95%", en="weeks since the start · band: 95%")
            )
            ax.yaxis.set_major_formatter(percents())
        axes[0].set_ylabel(metric_name("accuracy"))
        axes[0].legend(loc="lower left")
    return fig
