"""The pictures of chapter 12: its tables to figures, computing nothing."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from utils.plots import BLUE, GREEN, GREY, LOOKS, VERMILLION, style
from utils.text import number, percent, tr

_DASHED = {"color": VERMILLION, "linestyle": "--", "linewidth": 1.3}


def plot_unseen(weeks: pd.DataFrame, *, expected: float, title: str) -> Axes:
    """Draw how many lines stood outside all they had been, by window of a quiet year.

    ``weeks`` has ``window_start``, ``window_end`` and ``lines``; ``expected`` is their mean number
    where nothing changes.
    """
    with style():
        ax = plt.figure(figsize=(8.0, 3.4)).subplots()
        ax.set_title(title)
        middle = weeks["window_start"] + (weeks["window_end"] - weeks["window_start"]) / 2
        width = 0.8 * (weeks["window_end"] - weeks["window_start"]).iloc[0]
        ax.bar(middle, weeks["lines"], width=width, color=BLUE)
        ax.axhline(expected, **_DASHED)
        ax.set_ylabel(tr(pt="linhas com valor nunca visto", en="lines with a value never seen"))
        _months(ax, weeks)
        ax.set_xlabel(
            tr(
                pt=f"mês de 2024 · tracejado: o que o acaso dá, {number(round(expected, 1))}",
                en=f"month of 2024 · dashed: what chance gives, {number(round(expected, 1))}",
            )
        )
    return ax


def plot_listening(windows: pd.DataFrame, *, title: str) -> Axes:
    """Draw when a dashboard told somebody, and when somebody listened, over what really happened.

    ``windows`` has ``window_start``, ``window_end``, ``told``, ``listens``, ``incident`` and
    ``harmful``.
    """
    with style():
        ax = plt.figure(figsize=(8.0, 3.0)).subplots()
        ax.set_title(title)
        middle = windows["window_start"] + (windows["window_end"] - windows["window_start"]) / 2
        spans = windows[windows["incident"] >= 0].groupby("incident")
        for _, own in spans:
            harmful = own["harmful"].iloc[0]
            ax.axvspan(
                own["window_start"].iloc[0],
                own["window_end"].iloc[-1],
                color=VERMILLION if harmful else GREY,
                alpha=0.18,
                linewidth=0,
            )
        for each in windows[~windows["listens"]].itertuples():
            ax.fill_between(
                [each.window_start, each.window_end], -0.3, 0.3, color=GREY, linewidth=0
            )
        heard = windows["told"] & windows["listens"]
        missed = windows["told"] & ~windows["listens"]
        ax.plot(middle[heard], np.ones(heard.sum()), "o", color=BLUE, markersize=7)
        look = {"color": BLUE, "markerfacecolor": "white", "markersize": 7}
        ax.plot(middle[missed], np.ones(missed.sum()), "o", **look)
        rows = {1: tr(pt="o painel avisa", en="the dashboard tells"), 0: tr(pt="mudo", en="muted")}
        ax.set_yticks(list(rows), list(rows.values()))
        ax.tick_params(axis="y", labelcolor="black")
        ax.set_ylim(-0.7, 1.6)
        ax.grid(axis="y", visible=False)
        _months(ax, windows)
        ax.set_xlabel(
            tr(
                pt="mês de 2024 · laranja: incidente nocivo · cinza-claro: inofensivo\n"
                "● alguém ouviu · ○ ninguém ouviu",
                en="month of 2024 · orange: harmful incident · light grey: harmless\n"
                "● somebody heard · ○ nobody heard",
            )
        )
    return ax


def plot_waiting(rows: pd.DataFrame, *, title: str) -> Figure:
    """Draw by persistence how many false alerts a year brings, and how late incidents are noticed.

    ``rows`` is what ``telling.waiting`` returns.
    """
    with style():
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
        sizes = list(dict.fromkeys(rows["size"]))
        quiet = rows[rows["size"] == sizes[0]]
        look = LOOKS[0]
        left.errorbar(
            quiet["persistence"],
            quiet["false_alerts"],
            yerr=_around(quiet, "false_alerts"),
            **look | {"markersize": 6},
        )
        left.set_yscale("log")
        left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 4))))
        left.yaxis.set_minor_locator(NullLocator())
        left.set_ylabel(tr(pt="alertas falsos por ano", en="false alerts a year"))
        for size, look in zip(sizes, LOOKS, strict=False):
            own = rows[rows["size"] == size]
            right.errorbar(
                own["persistence"],
                own["delay"],
                yerr=_around(own, "delay"),
                **look | {"markersize": 6},
                label=size,
            )
        right.set_ylabel(tr(pt="atraso médio (janelas)", en="mean delay (windows)"))
        right.set_ylim(bottom=0)
        right.legend(loc="upper left", title=tr(pt="incidente", en="incident"))
        for ax in (left, right):
            ax.set_xticks(quiet["persistence"])
            ax.set_xlabel(tr(pt="janelas seguidas exigidas", en="windows in a row asked for"))
    return fig


def _around(rows: pd.DataFrame, name: str) -> list[pd.Series]:
    return [rows[name] - rows[f"{name}_low"], rows[f"{name}_high"] - rows[name]]


def plot_budgets(curve: pd.DataFrame, *, chosen: float, title: str) -> Axes:
    """Draw which share of incidents is heard of, by the false alarms a year that were allowed.

    ``curve`` has ``budget``, ``reader``, ``value``, ``low`` and ``high``; ``chosen`` is the budget
    to mark.
    """
    with style():
        ax = plt.figure(figsize=(8.0, 4.4)).subplots()
        ax.set_title(title, pad=30)
        readers = list(dict.fromkeys(curve["reader"]))
        for reader, look in zip(readers, (LOOKS[2], LOOKS[0]), strict=True):
            own = curve[curve["reader"] == reader]
            band = {"color": look["color"], "alpha": 0.13, "linewidth": 0}
            ax.fill_between(own["budget"], own["low"], own["high"], **band)
            ax.plot(own["budget"], own["value"], **look, label=reader)
        ax.axvline(chosen, **_DASHED)
        ax.set_xscale("log")
        ticks = sorted(set(curve["budget"]))
        ax.set_xticks(ticks, [number(each) for each in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: percent(round(share, 10))))
        ax.set_ylim(0, 1.04)
        ax.set_ylabel(
            tr(pt="incidentes nocivos de que\nse soube", en="harmful incidents\nheard of")
        )
        ax.set_xlabel(
            tr(
                pt="alarmes falsos por ano, no orçamento do painel inteiro\n"
                "faixa: nove em dez triênios · tracejado: o orçamento em vigor",
                en="false alarms a year, in the budget of the whole dashboard\n"
                "band: nine in ten three-year spans · dashed: the budget in force",
            )
        )
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return ax


def plot_lives(lives: pd.DataFrame, *, names: Sequence[str], title: str) -> Axes:
    """Draw alerts from the window in which each began to the one in which it ended.

    ``lives`` has a row for each alert: ``since``, ``last_seen``, ``fired``, and ``acknowledged``,
    ``escalated`` and ``resolved``, which may be missing; ``names`` says what each is of.
    """
    marks = (
        ("fired", tr(pt="avisou", en="told"), LOOKS[1], 8),
        ("escalated", tr(pt="escalou", en="escalated"), LOOKS[3], 7),
        ("acknowledged", tr(pt="alguém cuida", en="somebody takes care"), LOOKS[2], 8),
        ("resolved", tr(pt="encerrou", en="resolved"), LOOKS[5], 8),
    )
    with style():
        ax = plt.figure(figsize=(8.0, 1.9 + 0.42 * len(lives))).subplots()
        ax.set_title(title)
        at = -np.arange(len(lives))
        ax.hlines(at, lives["since"], lives["last_seen"], color=VERMILLION, linewidth=5, alpha=0.45)
        over = lives["resolved"].notna().to_numpy()
        ends = lives.loc[over, ["last_seen", "resolved"]]
        ax.hlines(at[over], ends["last_seen"], ends["resolved"], color=GREEN, linewidth=1.5)
        for column, name, look, size in marks:
            there = lives[column].notna().to_numpy()
            style_of = look | {"linestyle": "", "markersize": size}
            ax.plot(lives.loc[there, column], at[there], **style_of, label=name)
        ax.set_yticks(at, names)
        ax.tick_params(axis="y", labelcolor="black")
        ax.set_ylim(-len(lives) + 0.4, 0.6)
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x")
        first, last = lives["since"].min(), lives[["last_seen", "resolved"]].max().max()
        ticks = pd.date_range(first.floor("1D"), last + pd.Timedelta("7D"), freq="7D")
        ax.set_xticks(ticks, [f"{day.day}/{day.month}" for day in ticks])
        ax.set_xlabel(
            tr(
                pt="dia/mês de 2024 · faixa: janelas fora do limite · linha fina: já quieto",
                en="day/month of 2024 · bar: windows beyond the bound · thin line: quiet again",
            )
        )
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def _months(ax: Axes, windows: pd.DataFrame) -> None:
    ticks = pd.date_range(windows["window_start"].min(), windows["window_end"].max(), freq="MS")
    ax.set_xticks(ticks, [str(day.month) for day in ticks])
    ax.set_xlim(windows["window_start"].min(), windows["window_end"].max())
