"""The pictures of the lender's year: tables of ``lender`` to figures, computing nothing."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils import plots
from utils.text import tr


def plot_service(service: pd.DataFrame, *, title: str) -> Figure:
    """Draw the operations screen: requests, latency and errors, week by week, with their limits.

    ``service`` is what ``lender.service_weeks`` returns.
    """
    labels = {
        "requests_per_day": tr(pt="pedidos por dia", en="requests a day"),
        "latency_p95_ms": tr(pt="latência p95 (ms)", en="p95 latency (ms)"),
        "error_pct": tr(pt="erros (%)", en="errors (%)"),
    }
    fig, axes = _figure(3, 1, height=5.6)
    for ax, (metric, label) in zip(axes.flat, labels.items(), strict=True):
        plots.plot_metric(service, metric=metric, ax=ax, title=title if ax is axes[0, 0] else None)
        ax.set_ylabel(label)
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    return fig


def plot_inputs(moved: pd.DataFrame, *, title: str) -> Axes:
    """Draw the panel of the inputs: how far each moved in each window, in percent.

    ``moved`` is what ``lender.inputs_moved`` returns.
    """
    panel = moved.pivot(index="feature", columns="window_start", values="value")
    starts = [plots.date(start).rsplit(maxsplit=1)[0] for start in panel.columns]
    chance = plots.number(100 * moved["threshold_high"].max(), digits=2)
    fig, axes = _figure(1, 1, height=4.2, title=title)
    (ax,) = axes.flat
    sns.heatmap(
        100 * panel.set_axis(starts, axis=1),
        annot=True,
        fmt=".0f",
        cmap="Blues",
        vmin=0,
        cbar=False,
        ax=ax,
    )
    ax.tick_params(length=0)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_ylabel("")
    ax.set_xlabel(
        tr(
            pt=f"% que mudou de faixa, em janelas de 28 dias · até {chance} pode ser acaso",
            en=f"% in another slice, in windows of 28 days · up to {chance} can be chance",
        ),
        loc="left",
        fontsize=9,
        labelpad=8,
    )
    return ax


def plot_default_rate(
    rate: pd.DataFrame,
    *,
    title: str,
    label: str,
    reference: tuple[float, float, float],
    incidents: pd.DataFrame,
) -> Axes:
    """Draw a default rate over time from zero on; the rest is as in ``plots.plot_metric``."""
    fig, axes = _figure(1, 1, height=3.9)
    (ax,) = axes.flat
    ax.set_ylim(0, 1.1 * rate["high"].max())
    plots.plot_metric(
        rate, metric="base_rate", title=title, reference=reference, incidents=incidents, ax=ax
    )
    ax.set_ylabel(label)
    return ax


def plot_known_then(
    then: Mapping[pd.Timestamp, pd.DataFrame], *, truth: pd.DataFrame, title: str
) -> Figure:
    """Draw the default rate as it was known on each date, beside the truth (dotted)."""
    fig, axes = _figure(1, len(then), height=3.3)
    fig.suptitle(title, fontsize=12.5, fontweight="bold", x=0.01, ha="left")
    axes[0, 0].set_ylim(-0.01, 1.1 * truth["high"].max())
    middle = truth["window_start"] + (truth["window_end"] - truth["window_start"]) / 2
    for ax, (date, known) in zip(axes.flat, then.items(), strict=True):
        plots.plot_metric(known, metric="base_rate", ax=ax)
        ax.plot(middle, truth["value"], color=plots.GREY, linestyle=":")
        ax.set_title(plots.date(date), fontsize=11, fontweight="normal", loc="left")
        ax.set(xlabel="", ylabel=tr(pt="calotes conhecidos", en="defaults known"))
        ax.label_outer()
    axes[0, 0].annotate(
        tr(pt="verdade", en="truth"),
        (middle.iloc[-1], truth["value"].iloc[-1]),
        xytext=(0, -8),
        textcoords="offset points",
        ha="right",
        va="top",
        color=plots.GREY,
        fontsize=9,
    )
    return fig


def _figure(rows: int, columns: int, *, height: float, title: str | None = None):
    """Return a figure as wide as the page, in the course's look, and its axes as a table."""
    with plots.style():
        fig, axes = plt.subplots(
            rows, columns, figsize=(8, height), sharex=True, sharey="row", squeeze=False
        )
        if title:
            axes[0, 0].set_title(title)
    return fig, axes
