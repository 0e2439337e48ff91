"""The plots: made once for each viewer, and fed with columns that ``pages`` made for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from utils.dashboard.pages import MOST_DRAWN
from utils.text import tr

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure

    from utils.dashboard.pages import Columns

BLUE, ORANGE, VERMILLION, SKY, GREY = "#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#595959"
HEIGHT = 260
ROW = 22
LONGEST_NAME = 22
"""How many letters of a feature's name stand beside its bar; the table has the whole."""


def fed(name: str, data: Columns) -> dict[str, Any]:
    """Return what a plot is drawn from: its sources by name, and for bars by feature their names.

    >>> fed("latency", {"x": [1]})
    {'sources': {'latency-columns': {'x': [1]}}}
    """
    if name == "performance":
        return {
            "sources": {
                f"{source}-columns": _kept(data, estimated=estimated)
                for source, estimated in (("realised", False), ("estimated", True))
            }
        }
    if name == "drift":
        names = _apart([_short(name) for name in data["name"]])
        return {
            "sources": {f"{name}-columns": dict(data) | {"name": names}},
            "factors": names[::-1],
            "height": 90 + ROW * max(4, len(names)),
        }
    if name == "answers":
        ticks = {at: each for at, each in enumerate(data["name"]) if each}
        return {"sources": {f"{name}-columns": dict(data)}, "ticks": ticks}
    return {"sources": {f"{name}-columns": dict(data)}}


def _kept(data: Columns, *, estimated: bool) -> dict[str, list[Any]]:
    """Return the points that were estimated, or those that were not."""
    places = [at for at, each in enumerate(data["estimated"]) if each == estimated]
    return {
        name: [column[at] for at in places] for name, column in data.items() if name != "estimated"
    }


def requests(data: Columns) -> figure:
    """Return requests over ten minutes, by how they ended."""
    source = _source("requests", data)
    plot = _figure(
        "requests",
        x=tr(pt="minutos (0 é agora)", en="minutes (0 is now)"),
        y=tr(pt="requisições em 10 s", en="requests in 10 s"),
        x_range=(-10, 0),
    )
    looks = ((BLUE, " "), (ORANGE, "right_diagonal_line"), (VERMILLION, "vertical_line"))
    plot.vbar_stack(
        ["answered", "refused", "failed"],
        x="x",
        width=0.14,
        source=source,
        color=[color for color, _ in looks],
        line_color=None,
        hatch_pattern=[hatch for _, hatch in looks],
        hatch_color="white",
    )
    plot.y_range.start = 0
    return plot


def latency(data: Columns) -> figure:
    """Return percentiles of the latency over ten minutes."""
    source = _source("latency", data)
    plot = _figure(
        "latency",
        x=tr(pt="minutos (0 é agora)", en="minutes (0 is now)"),
        y=tr(pt="latência (ms)", en="latency (ms)"),
        x_range=(-10, 0),
    )
    for name, color, dash, marker in (
        ("p99", VERMILLION, "dotted", "triangle"),
        ("p95", ORANGE, "dashed", "square"),
        ("p50", BLUE, "solid", "circle"),
    ):
        look = {"source": source, "color": color}
        plot.line("x", name, line_width=2, line_dash=dash, **look)
        plot.scatter("x", name, size=5, marker=marker, **look)
    plot.y_range.start = 0
    return plot


def answers(data: Columns, *, of: str) -> figure:
    """Return how the newest answers spread."""
    source = _source("answers", data)
    plot = _figure("answers", x=of, y=tr(pt="% das previsões", en="% of the predictions"))
    plot.quad(
        left="left",
        right="right",
        bottom=0,
        top="top",
        source=source,
        color=BLUE,
        line_color="white",
    )
    plot.y_range.start = 0
    if ticks := fed("answers", data)["ticks"]:
        from bokeh.models import FixedTicker

        plot.xaxis.ticker = FixedTicker(ticks=list(ticks))
        plot.xaxis.major_label_overrides = ticks
    _hover(plot, "@label")
    return plot


def performance(data: Columns, *, metric: str) -> figure:
    """Return a metric by window, realised and estimated, with its intervals and thresholds."""
    from bokeh.models import ColumnDataSource, DatetimeTickFormatter

    sources = [
        ColumnDataSource(columns, name=name)
        for name, columns in fed("performance", data)["sources"].items()
    ]
    plot = _figure(
        "performance",
        x=tr(pt="meio da janela", en="middle of the window"),
        y=metric,
        x_axis_type="datetime",
    )
    day = tr(pt="%d/%m/%y", en="%d %b %y")
    hour = tr(pt="%d/%m %H h", en="%d %b %H:%M")
    plot.xaxis.formatter = DatetimeTickFormatter(
        **{name: day for name in ("days", "months", "years")},
        **{name: hour for name in ("minutes", "hourmin", "hours")},
    )
    for source, color, dash, marker in (
        (sources[0], BLUE, "solid", "circle"),
        (sources[1], ORANGE, "dashed", "square"),
    ):
        look = {"source": source, "color": color}
        plot.segment("x", "low", "x", "high", line_width=2, line_alpha=0.55, **look)
        plot.line("x", "y", line_width=2, line_dash=dash, **look)
        plot.scatter("x", "y", size=7, marker=marker, **look)
    plot.line(
        "x",
        "threshold",
        source=sources[0],
        color=VERMILLION,
        line_width=2,
        line_dash="dotted",
    )
    _hover(plot, "@label")
    return plot


def drift(data: Columns) -> figure:
    """Return how far each feature is on its way to its threshold, in percent."""
    from bokeh.models import FactorRange, Span

    drawn = fed("drift", data)
    source = _source("drift", drawn["sources"]["drift-columns"])
    plot = _figure(
        "drift",
        x=tr(
            pt=f"% do limiar (até {MOST_DRAWN})",
            en=f"% of threshold (up to {MOST_DRAWN})",
        ),
        y="",
        y_range=FactorRange(factors=drawn["factors"]),
        height=drawn["height"],
    )
    for name, color, hatch in (
        ("within", BLUE, " "),
        ("beyond", VERMILLION, "right_diagonal_line"),
    ):
        plot.hbar(
            y="name",
            right=name,
            height=0.66,
            source=source,
            color=color,
            line_color=None,
            hatch_pattern=hatch,
            hatch_color="white",
        )
    plot.add_layout(
        Span(location=100, dimension="height", line_color="black", line_dash="dashed", line_width=2)
    )
    plot.x_range.start = 0
    plot.ygrid.grid_line_color = None
    _hover(plot, "@label")
    return plot


def _short(name: str) -> str:
    """Return a name that leaves room for its bar.

    >>> _short("departure_delay_min"), _short("minutes_since_the_last_departure")
    ('departure_delay_min', 'minutes_since_the_las…')
    """
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _apart(names: list[str]) -> list[str]:
    """Return names of which no two are the same."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ·{seen[name]}")
    return found


def _source(name: str, data: Columns) -> ColumnDataSource:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(dict(data), name=f"{name}-columns")


def _figure(name: str, *, x: str, y: str, height: int = HEIGHT, **settings: Any) -> figure:
    from bokeh.models import CustomJSTickFormatter
    from bokeh.plotting import figure

    plot = figure(
        name=f"{name}-plot",
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        output_backend="svg",
        **settings,
    )
    tag = tr(pt="pt-BR", en="en")
    plot.xaxis.axis_label, plot.yaxis.axis_label = x, y
    for axis in plot.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = axis.major_label_text_color = "#333333"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "13px"
        axis.axis_line_color = axis.major_tick_line_color = "#8C8C8C"
        axis.minor_tick_line_color = None
        if type(axis).__name__ == "LinearAxis":
            axis.formatter = CustomJSTickFormatter(
                code=f"return tick.toLocaleString('{tag}', {{maximumFractionDigits: 4}})"
                ".replace('-', '−')"
            )
    plot.grid.grid_line_color = "#E4E4E4"
    plot.outline_line_color = None
    plot.background_fill_color = plot.border_fill_color = "#FFFFFF"
    return plot


def _hover(plot: figure, said: str) -> None:
    from bokeh.models import HoverTool

    plot.add_tools(HoverTool(tooltips=said, visible=False))
