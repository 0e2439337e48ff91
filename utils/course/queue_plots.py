"""The pictures of chapter 11: its tables to figures, computing nothing."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from utils.course.shared_plots import percents
from utils.plots import GREY, LOOKS, VERMILLION, style
from utils.text import number, tr

_DASHED = {"color": VERMILLION, "linestyle": "--", "linewidth": 1.3}


def plot_days(days: pd.DataFrame, *, since: pd.Timestamp, title: str) -> Figure:
    """Draw by day how long requests took, the refused included, and below how many were refused.

    ``days`` has ``day``, ``mean_ms``, ``p99_ms``, and ``refused`` with ``refused_low`` and
    ``refused_high``; ``since`` is when something changed.
    """
    with style():
        fig, (top, below) = plt.subplots(2, 1, figsize=(8.0, 4.6), sharex=True)
        fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
        names = {
            "p99_ms": tr(pt="percentil 99", en="99th percentile"),
            "mean_ms": tr(pt="média", en="mean"),
        }
        for (column, name), look in zip(names.items(), LOOKS, strict=False):
            top.plot(days["day"], days[column] / 1000, **look, label=name)
        top.set_ylabel(tr(pt="latência (s)", en="latency (s)"))
        top.set_ylim(bottom=0)
        top.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        look = LOOKS[2]
        below.fill_between(
            days["day"], days["refused_low"], days["refused_high"], color=look["color"], alpha=0.2
        )
        below.plot(days["day"], days["refused"], **look)
        below.set_ylabel(tr(pt="recusadas", en="refused"))
        below.set_ylim(bottom=0)
        below.yaxis.set_major_formatter(percents())
        ticks = days["day"].iloc[::2]
        below.set_xticks(ticks, [str(day.day) for day in ticks])
        below.set_xlabel(
            tr(
                pt="dia de março de 2024 · tracejado: a nova configuração",
                en="day of March 2024 · dashed: the new configuration",
            )
        )
        for ax in (top, below):
            ax.axvline(since, **_DASHED)
    return fig


def plot_waiting(curves: pd.DataFrame, *, title: str) -> Axes:
    """Draw how slow the slowest in twenty are, by how busy the workers: a line for each number.

    ``curves`` has the share ``busy`` as its index, a column for each number of workers, in units of
    the mean service time.
    """
    with style():
        ax = plt.figure(figsize=(8.0, 4.0)).subplots()
        ax.set_title(title)
        for name, look in zip(curves, LOOKS, strict=False):
            ax.plot(curves.index, curves[name], **look | {"marker": ""})
            ax.annotate(
                str(name),
                (curves.index[-1], curves[name].iloc[-1]),
                xytext=(5, 0),
                textcoords="offset points",
                color=look["color"],
                va="center",
            )
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 3))))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_yticks([2, 3, 5, 10, 20, 40])
        ax.xaxis.set_major_formatter(percents())
        ax.set_xlabel(
            tr(
                pt="parcela do tempo em que os trabalhadores estão ocupados",
                en="share of the time in which the workers are busy",
            )
        )
        ax.set_ylabel(
            tr(
                pt="percentil 95 da latência\n(em tempos médios de serviço)",
                en="95th percentile of latency\n(in mean service times)",
            )
        )
    return ax


def plot_memory(samples: dict[str, pd.DataFrame], *, limit_bytes: float, title: str) -> Axes:
    """Draw the memory of processes over time, and the limit; the name of each at its end."""
    with style():
        ax = plt.figure(figsize=(8.0, 3.6)).subplots()
        ax.set_title(title)
        for (name, table), look in zip(samples.items(), LOOKS, strict=False):
            ax.plot(
                table["sampled_at"],
                table["memory_bytes"] / 1e9,
                color=look["color"],
                linewidth=0.7,
                alpha=0.6,
            )
            by_day = table.groupby(table["sampled_at"].dt.floor("1D"))["memory_bytes"].median()
            ax.plot(
                by_day.index + pd.Timedelta("12h"),
                by_day / 1e9,
                **look | {"markersize": 4},
                label=name,
            )
        ax.axhline(limit_bytes / 1e9, **_DASHED)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value, 3))))
        ax.set_ylabel(tr(pt="memória (GB)", en="memory (GB)"))
        ax.set_xlabel(
            tr(
                pt="linha fina: leituras · pontos: mediana do dia · tracejado: o limite",
                en="thin line: readings · dots: median of the day · dashed: the limit",
            )
        )
        ticks = pd.date_range(table["sampled_at"].min(), table["sampled_at"].max(), freq="7D")
        ax.set_xticks(ticks, [f"{day.day}/{day.month}" for day in ticks])
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def plot_signs(signs: pd.DataFrame, ledger: pd.DataFrame, *, title: str) -> Axes:
    """Draw on which days each rule alarmed, over the incidents of the ledger.

    ``signs`` has ``rule``, ``window_start`` and ``window_end`` of each alarm; the duration of a
    harmful incident is red, of a harmless one grey.
    """
    rules = list(dict.fromkeys(signs["rule"]))
    with style():
        ax = plt.figure(figsize=(8.0, 1.4 + 0.55 * len(rules))).subplots()
        ax.set_title(title)
        for place, each in enumerate(ledger.itertuples()):
            color = VERMILLION if each.harmful else GREY
            ax.axvspan(each.start, each.end, color=color, alpha=0.18, linewidth=0)
            ax.annotate(
                str(place + 1),
                (each.start + (each.end - each.start) / 2, 0.62),
                color=color,
                ha="center",
                fontweight="bold",
            )
        for place, (rule, look) in enumerate(zip(rules, LOOKS, strict=False)):
            own = signs[signs["rule"] == rule]
            middle = own["window_start"] + (own["window_end"] - own["window_start"]) / 2
            ax.plot(middle, [-place] * len(own), **look | {"linestyle": "", "markersize": 7})
        ax.set_yticks([-place for place in range(len(rules))], rules)
        ax.tick_params(axis="y", labelcolor="black")
        ax.set_ylim(-len(rules) + 0.4, 1.05)
        ticks = pd.date_range(ledger["start"].min().floor("1D"), ledger["end"].max(), freq="7D")
        ax.set_xticks(ticks, [f"{day.day}/{day.month}" for day in ticks])
        ax.set_xlabel(
            tr(
                pt="dia/mês de 2024 · vermelho: ataque · cinza: inofensivo",
                en="day/month of 2024 · red: attack · grey: harmless",
            )
        )
    return ax
