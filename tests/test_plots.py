"""Pictures: they draw what the table says, in both languages, and say it in words."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates as mdates
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from tests.services import free_port, missing
from utils import plots
from utils.monitors import calibration
from utils.monitors.performance import LABELLED_SHARE, metric_names
from utils.records import measurements
from utils.text import using

AS_OF = pd.Timestamp("2013-07-31T12:00Z")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def table(*, groups=("",), weeks=5, metric="mae", shares=(1.0, 1.0, 0.99, 0.8, 0.1), **columns):
    """Return five weeks of July, the last one still open at noon of its third day."""
    rows = []
    for group in groups:
        for week in range(weeks):
            start = pd.Timestamp("2013-07-01", tz="UTC") + pd.Timedelta(7 * week, "D")
            window = {
                "monitor": "performance",
                "group": group,
                "window_start": start,
                "window_end": start + pd.Timedelta(7, "D"),
                "known_as_of": AS_OF,
            }
            value = 12.0 + week + len(rows) / 100
            row = {"metric": metric, "value": value, "low": value - 1, "high": value + 1}
            given = {name: values[week] for name, values in columns.items()}
            rows.append({**window, **row, "n_current": 900, **given})
            rows.append(
                {**window, "metric": LABELLED_SHARE, "value": shares[week], "n_current": 1000}
            )
    return measurements(rows)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def lines(ax):
    """Return the lines drawn in data coordinates, those of points (no dash) apart."""
    of_data = [line for line in ax.lines if line.get_transform() == ax.transData]
    return [line for line in of_data if line.get_linestyle() != "None" and len(line.get_xdata())]


def points(ax, *, face):
    return [
        y
        for line in ax.lines
        if line.get_linestyle() == "None" and line.get_markerfacecolor() == face
        for y in line.get_ydata()
    ]


# --------------------------------------------------------------------------------- over time


def test_a_line_has_a_point_for_each_window_in_its_middle():
    rows = table()
    (line,) = lines(plots.plot_metric(rows, metric="mae"))
    mae = rows[rows["metric"] == "mae"]
    assert list(line.get_ydata()) == mae["value"].tolist()
    middle = mae["window_start"] + pd.Timedelta("84h")
    assert [mdates.num2date(x) for x in line.get_xdata(orig=False)] == middle.tolist()


def test_the_band_reaches_from_low_to_high():
    rows = table()
    (band,) = plots.plot_metric(rows, metric="mae").collections
    heights = band.get_paths()[0].vertices[:, 1]
    mae = rows[rows["metric"] == "mae"]
    assert (heights.min(), heights.max()) == (mae["low"].min(), mae["high"].max())


def test_windows_that_lack_labels_are_hollow_and_the_note_says_so():
    ax = plots.plot_metric(table(), metric="mae")
    values = table().query("metric == 'mae'")["value"].tolist()
    assert points(ax, face=plots.BLUE) == values[:3]
    assert points(ax, face="white") == values[3:]
    assert "○ incomplete: under 95% of labels" in ax.get_xlabel()
    every = plots.plot_metric(table(shares=[1.0] * 5), metric="mae", complete=0.5)
    assert points(every, face="white") == values[4:]  # the window that is still open


def test_windows_too_small_to_measure_are_crosses_and_gaps():
    values = [12.0, np.nan, 14.0, 15.0, np.nan]
    ax = plots.plot_metric(table(value=values, low=values, high=values), metric="mae")
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in crosses] == [2]
    assert "× too few labels" in ax.get_xlabel()
    assert np.isnan(lines(ax)[0].get_ydata()).tolist() == [False, True, False, False, True]


def test_thresholds_alarms_reference_and_incidents_are_drawn_and_named():
    ledger = pd.DataFrame(
        {
            "kind": ["unit_change"],
            "start": [pd.Timestamp("2013-07-10T00:00Z")],
            "end": [pd.Timestamp("2013-07-14T00:00Z")],
        }
    )
    rows = table(threshold_high=[14.5] * 5, alarm=[False, False, False, True, True])
    ax = plots.plot_metric(rows, metric="mae", reference=(11.8, 11.4, 12.2), incidents=ledger)
    assert {"threshold", "reference", "unit change"} <= set(texts(ax))
    mae = rows[rows["metric"] == "mae"]["value"].tolist()
    rings = [line for line in ax.lines if line.get_markersize() == 12]
    assert [y for ring in rings for y in ring.get_ydata()] == mae[3:]
    assert "ring: alarm" in ax.get_xlabel()
    levels = [list(line.get_ydata()) for line in ax.lines]
    assert [11.8, 11.8] in levels
    began = mdates.date2num(ledger["start"][0])
    assert any(list(line.get_xdata(orig=False)) == [began, began] for line in ax.lines)


def test_a_change_is_drawn_around_zero_and_that_of_a_share_in_points():
    rows = table(metric="within_change", value=[-0.1, 0.0, 0.1, 0.1, 0.1])
    ax = plots.plot_metric(rows, metric="within_change")
    assert [0, 0] in [list(line.get_ydata()) for line in ax.lines]
    assert ax.get_ylabel() == "change in share within tolerance\n(pp)"
    assert ax.yaxis.get_major_formatter()(-0.1) == "−10"


def test_what_the_table_lacks_is_not_drawn():
    ax = plots.plot_metric(table(shares=[1.0] * 5, weeks=4), metric="mae")
    assert texts(ax) == []
    assert ax.get_xlabel() == (
        "windows of 7 days · band: interval · labels known as of 31 Jul 2013, 12:00 UTC"
    )


def test_each_group_has_its_name_marker_and_dash():
    ax = plots.plot_metric(table(groups=["", "EWR", "JFK"]), metric="mae", groups=["EWR", "JFK"])
    assert texts(ax) == ["EWR", "JFK"]
    one, other = lines(ax)
    assert one.get_linestyle() != other.get_linestyle()
    assert one.get_color() != other.get_color()
    beside = [line.get_marker() for line in ax.lines if line.get_transform() == ax.transAxes]
    assert beside == ["o", "s"]


def test_names_of_lines_that_end_together_do_not_cover_each_other():
    rows = table(groups=["EWR", "JFK", "LGA"], value=[12.0] * 5)
    ax = plots.plot_metric(rows, metric="mae", groups=["EWR", "JFK", "LGA"])
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(a.y1 <= b.y0 for a, b in zip(boxes, boxes[1:], strict=False))


def test_colour_is_never_alone():
    for key in ("color", "marker", "linestyle"):
        assert len({str(look[key]) for look in plots.LOOKS}) == len(plots.LOOKS)
    with pytest.raises(ValueError, match="groups: 7 of them; at most 6 can be told apart"):
        groups = list("ABCDEFG")
        plots.plot_metric(table(groups=groups), metric="mae", groups=groups)


def test_a_metric_or_group_that_the_table_lacks_is_refused():
    with pytest.raises(ValueError, match=r"metric='rmse', group='': .*\('mae', ''\)"):
        plots.plot_metric(table(), metric="rmse")
    with pytest.raises(ValueError, match="metric='mae', group='JFK': no such row"):
        plots.plot_metric(table(), metric="mae", groups=["JFK"])


# ---------------------------------------------------------------------------- groups and volume


def test_groups_are_points_with_intervals_in_order_of_value():
    rows = table(groups=["", "EWR", "JFK", "LGA"], weeks=1)
    rows.loc[rows["group"] == "EWR", ["value", "low", "high"]] = [20.0, 18.0, 22.0]
    rows.loc[rows["group"] == "LGA", ["value", "low", "high", "n_current"]] = [np.nan] * 3 + [12]
    ax = plots.plot_groups(rows, metric="mae", unit="min")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["LGA", "JFK", "EWR"]
    assert texts(ax) == ["everyone", "n = 12, too few", "n = 900", "n = 900"]
    assert ax.get_xlabel().splitlines() == [
        "mean absolute error (min)",
        "from 1 Jul 2013 to 8 Jul 2013 · labels known as of 31 Jul 2013, 12:00 UTC",
    ]


def test_groups_of_several_windows_are_refused():
    with pytest.raises(ValueError, match="5 windows of metric='mae'; groups are drawn for one"):
        plots.plot_groups(table(groups=["", "JFK"]), metric="mae")


def test_what_was_promised_and_what_was_kept_stand_in_one_row_for_each_thing():
    rows = measurements(
        {
            "metric": "mae",
            "feature": feature,
            "group": group,
            "value": v,
            "low": v - 1,
            "high": v + 1,
        }
        for feature, values in {"honest": (5.0, 5.5), "leak": (2.0, 9.0)}.items()
        for group, v in zip(("promised", "kept"), values, strict=True)
    )
    ax = plots.plot_promises(rows, metric="mae", unit="min", title="T")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["honest", "leak"]
    promised, kept = ax.lines
    assert promised.get_xdata().tolist() == [5.0, 2.0]
    assert kept.get_xdata().tolist() == [5.5, 9.0]
    assert promised.get_marker() != kept.get_marker()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["promised", "kept"]
    assert ax.get_xlabel().splitlines() == ["mean absolute error (min)", "line: interval"]
    (low, high), _ = (segment[:, 0] for segment in ax.collections[0].get_segments())
    assert (low, high) == (4.0, 6.0)
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first one is on top"
    with pytest.raises(ValueError, match="metric='rmse': no such row"):
        plots.plot_promises(rows, metric="rmse")


def test_volume_shows_how_many_labels_are_known():
    ax = plots.plot_volume(table())
    unlabelled, labelled, _ = ax.patches
    assert list(labelled.get_data().values) == [1000, 1000, 990, 800, 100]
    assert list(unlabelled.get_data().values) == [1000] * 5
    assert unlabelled.get_hatch()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["no label (yet)", "label known"]


def test_the_arrival_of_labels_is_in_hours_or_days_as_it_needs():
    arrivals = pd.DataFrame(
        {"delay_hours": [0.0, 24.0, 48.0], "share": [0, 0.5, 0.9], "low": 0.0, "high": 1.0}
    )
    ax = plots.plot_label_arrival(arrivals)
    assert ax.get_xlabel() == "hours after the prediction"
    assert list(lines(ax)[0].get_xdata()) == [0, 24, 48]
    both = pd.concat(
        [arrivals.assign(who="flights"), arrivals.assign(who="credit", delay_hours=[0, 240, 960])]
    )
    ax = plots.plot_label_arrival(both, group_column="who")
    assert ax.get_xlabel() == "days after the prediction"
    assert list(lines(ax)[1].get_xdata()) == [0, 10, 40]
    assert texts(ax) == ["flights", "credit"]


def test_errors_beyond_the_picture_are_counted_and_said():
    frame = pd.DataFrame({"error": [-99, -5, 5, 5], "when": ["July"] * 4})
    ax = plots.plot_errors(frame, edges=[-10, 0, 10], group_column="when", unit="min")
    assert list(ax.patches[0].get_data().values) == [0.25, 0.5]
    assert ax.get_xlabel().splitlines() == [
        "error, predicted − observed (min)",
        "beyond the picture: July: 25%",
    ]


# ------------------------------------------------------------------------ scores and thresholds


def reliability_table(groups=("",)):
    parts = [
        {
            "group": group,
            "score": [0.5, 0.7 + at / 10, 0.9],
            "share": [0.55, 0.7, 0.9],
            "low": [0.4, 0.6, 0.85],
            "high": [0.6, 0.8, 0.95],
            "n": 500 + at,
        }
        for at, group in enumerate(groups)
    ]
    return pd.concat(map(pd.DataFrame, parts), ignore_index=True)


def cost_table(**columns):
    return pd.DataFrame(
        {
            "threshold": [np.inf, 0.9, 0.6, 0.7, 0.8],
            "cost": [9.0, 6.0, 5.0, 4.0, 4.5],
            "low": 3.5,
            "high": 9.5,
            "change": [5.0, 2.0, 1.0, 0.0, 0.5],
            "change_low": -0.5,
            "change_high": 5.5,
            "may_be_best": [False, False, False, True, True],
        }
        | columns
    )


def test_calibration_has_a_point_a_bin_its_interval_and_the_line_of_truth():
    ax = plots.plot_calibration(reliability_table())
    truth, curve = lines(ax)
    assert list(truth.get_xdata()) == list(truth.get_ydata()) == [0.4, 1]
    assert list(curve.get_ydata()) == [0.55, 0.7, 0.9]
    ends = [path.vertices[:, 1].tolist() for path in ax.collections[0].get_paths()]
    assert ends == [[0.4, 0.6], [0.6, 0.8], [0.85, 0.95]]
    assert "about 500 rows a point" in ax.get_xlabel()


def test_calibration_by_group_names_each_and_refuses_one_that_is_not_there():
    rows = reliability_table(["", "f", "m"])
    ax = plots.plot_calibration(rows, groups=["f", "m"])
    assert texts(ax) == ["f", "m"]
    assert "about 501 / 502 rows a point" in ax.get_xlabel()
    with pytest.raises(ValueError, match=r"groups: 'x': no such group; the table has \['', 'f'"):
        plots.plot_calibration(rows, groups=["x"])


def test_costs_are_a_curve_by_threshold_and_what_may_be_cheapest_is_hatched():
    ax = plots.plot_costs(cost_table(), unit="BRL", declared=0.75)
    curve, cheapest, declared = ax.lines
    assert list(curve.get_xdata()) == [0.6, 0.7, 0.8, 0.9]
    assert list(curve.get_ydata()) == [5, 4, 4.5, 6]
    assert (list(cheapest.get_xdata()), list(cheapest.get_ydata())) == ([0.7], [4])
    assert list(declared.get_xdata()) == [0.75, 0.75]
    assert texts(ax) == ["declared threshold: 0.75"]
    (hatched,) = ax.patches
    assert (hatched.get_x(), hatched.get_x() + hatched.get_width()) == (0.7, 0.8)
    assert hatched.get_hatch()
    assert ax.get_ylabel() == "cost per decision (BRL)"


def test_a_difference_in_costs_is_drawn_around_zero():
    ax = plots.plot_costs(cost_table(), change=True)
    assert list(lines(ax)[0].get_ydata()) == [1, 0, 0.5, 2]
    assert [0, 0] in [list(line.get_ydata()) for line in ax.lines]
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-0.5, 5.5)
    assert ax.get_ylabel() == "difference in cost per decision"


ESTIMATES = pd.DataFrame(
    {
        "year": [1970, 1971, 1972],
        "value": [17.0, np.nan, 21.0],
        "low": [15.0, np.nan, 20.0],
        "high": [19.0, np.nan, 22.0],
    }
)
AXES = {"xlabel": "model year", "ylabel": "miles"}


def test_estimates_are_points_with_their_intervals_and_a_gap_where_there_is_none():
    ax = plots.plot_estimates(ESTIMATES, x="year", **AXES)
    (line,) = lines(ax)
    np.testing.assert_array_equal(line.get_ydata(), [17, np.nan, 21])
    ends = [path.vertices[:, 1].tolist() for path in ax.collections[0].get_paths()]
    assert (ends[0], ends[-1]) == ([15, 19], [20, 22])
    assert ax.get_xlabel().splitlines() == ["model year", "vertical bars: intervals"]
    assert ax.get_ylabel() == "miles"


def test_estimates_of_groups_are_named_and_shares_written_as_such():
    both = pd.concat([ESTIMATES.assign(of="real"), (ESTIMATES / 100).assign(of="promised")])
    ax = plots.plot_estimates(both, x="year", group_column="of", shares=True, **AXES)
    assert texts(ax) == ["promised", "real"]
    assert ax.yaxis.get_major_formatter()(0.2) == "20%"
    looks = {(line.get_marker(), line.get_color()) for line in lines(ax)}
    assert len(looks) == 2


def test_estimates_over_time_say_when_something_began():
    days = pd.date_range("2023-06-01", periods=3, tz="UTC")
    since = (days[1], "the unit changes")
    ax = plots.plot_estimates(ESTIMATES.assign(day=days), x="day", since=since, **AXES)
    assert texts(ax) == ["the unit changes"]
    assert mdates.date2num(days[1]) in [mdates.date2num(line.get_xdata()[0]) for line in ax.lines]
    ax.figure.canvas.draw()
    assert "Jun" in ax.get_xticklabels()[0].get_text()


COUNTS = pd.DataFrame({"repaid": [0, 8, 9], "default": [0, 3, 1], "refused": [7, 0, 0]})


def test_a_distribution_of_numbers_is_two_steps_and_marks_their_widest_gap():
    shares = pd.DataFrame(
        {"value": [1, 2, 3], "reference": [0.2, 0.3, 1.0], "current": [0.1, 0.7, 1.0]}
    )
    with using("en"):
        ax = plots.plot_distribution(shares, feature="wait_min")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.2, 0.3, 1.0], [0.1, 0.7, 1.0]]
    assert ax.collections[0].get_segments()[0].tolist() == [[2.0, 0.3], [2.0, 0.7]]
    assert [text.get_text() for text in ax.texts] == ["0.4"]


def test_a_distribution_of_text_has_two_points_for_each_value():
    shares = pd.DataFrame({"bin": ["a", "b"], "reference": [0.6, 0.4], "current": [0.5, 0.5]})
    ax = plots.plot_distribution(shares, feature="desk", title="As it was")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[0.6, 0.4], [0.5, 0.5]]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    assert (ax.get_xlabel(), ax.get_title(loc="left")) == ("desk", "As it was")


def test_parts_stand_on_one_another_and_what_is_not_known_is_hatched():
    ax = plots.plot_stacked(
        COUNTS, edges=[0, 35, 70, 105], hidden="refused", since=(35, "yes"), **AXES
    )
    repaid, default, refused, outline = ax.patches
    assert outline.get_data().values.tolist() == [7, 11, 10]
    assert repaid.get_data().values.tolist() == [0, 8, 9]
    assert default.get_data().baseline.tolist() == [0, 8, 9]
    assert default.get_data().values.tolist() == [0, 11, 10]
    assert refused.get_data().values.tolist() == [7, 11, 10]
    assert [bool(patch.get_hatch()) for patch in ax.patches] == [False, False, True, False]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(COUNTS)
    assert texts(ax) == ["yes"]
    assert ax.get_xlabel().splitlines() == ["model year", "hatched: not known"]


# --------------------------------------------------------------------------- look and language


def every_picture():
    frame = pd.DataFrame({"error": [-5.0, 5.0]})
    arrivals = pd.DataFrame({"delay_hours": [0, 1], "share": [0, 1], "low": 0, "high": 1})
    return {
        "metric": lambda **to: plots.plot_metric(table(), metric="mae", unit="min", **to),
        "groups": lambda **to: plots.plot_groups(
            table(groups=["", "EWR"], weeks=1), metric="mae", **to
        ),
        "volume": lambda **to: plots.plot_volume(table(), **to),
        "arrival": lambda **to: plots.plot_label_arrival(arrivals, **to),
        "errors": lambda **to: plots.plot_errors(frame, edges=[-10, 0, 10], **to),
        "calibration": lambda **to: plots.plot_calibration(reliability_table(), **to),
        "costs": lambda **to: plots.plot_costs(cost_table(), **to),
        "estimates": lambda **to: plots.plot_estimates(
            ESTIMATES, x="year", xlabel="", ylabel="", **to
        ),
        "stacked": lambda **to: plots.plot_stacked(
            COUNTS, edges=[0, 1, 2, 3], hidden="refused", xlabel="", ylabel="", **to
        ),
    }


@pytest.mark.parametrize("name", every_picture())
def test_a_picture_is_drawn_on_the_axes_given_and_changes_neither_table_nor_style(name):
    before, (fig, axes) = dict(mpl.rcParams), plt.subplots(1, 2)
    ax = every_picture()[name](ax=axes[1], title="What was found")
    assert ax is axes[1]
    assert ax.get_title(loc="left") == "What was found"
    assert plt.get_fignums() == [fig.number]
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", every_picture())
def test_the_words_on_a_picture_are_in_the_language_in_force(name):
    said = {}
    for language in ("pt", "en"):
        with using(language):
            ax = every_picture()[name]()
            said[language] = {ax.get_xlabel(), ax.get_ylabel()} - {""}
    assert said["pt"] and said["en"]
    assert not said["pt"] & said["en"]


def test_the_table_is_left_as_it_was():
    rows = table(groups=["", "EWR"])
    before = rows.copy(deep=True)
    plots.plot_metric(rows, metric="mae", groups=["", "EWR"])
    plots.plot_volume(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_importing_changes_no_style():
    code = (
        "import matplotlib as m; before = dict(m.rcParams); import utils.plots;"
        "changed = {k for k in before if m.rcParams[k] != before[k]}; print(changed - {'backend'})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_every_metric_has_a_name():
    of_tasks = (*metric_names("classification"), *metric_names("regression"), LABELLED_SHARE)
    for metric in (*of_tasks, *calibration.METRICS):
        with using("pt"):
            assert plots.metric_name(metric) != metric.replace("_", " ")
            assert plots.metric_name(metric) in plots.metric_name(f"{metric}_change")
        with using("en"):
            assert plots.metric_name("unheard_of") == "unheard of"


def test_numbers_and_dates_are_written_as_the_language_writes_them():
    with using("pt"):
        assert plots.number(1234567) == "1.234.567"
        assert plots.number(-0.5) == "−0,5"
        assert plots.date(AS_OF, time=True) == "31 jul 2013, 12:00 UTC"
    with using("en"):
        assert plots.number(1234567) == "1,234,567"
        assert plots.percent(0.1234) == "12.34%"
        assert plots.date(AS_OF) == "31 Jul 2013"


@pytest.mark.parametrize(
    ("moments", "labels"),
    [
        (["2013-11-01", "2013-12-01", "2014-01-01"], ["nov\n2013", "dez", "jan\n2014"]),
        (["2013-06-28", "2013-07-05"], ["28 jun\n2013", "5 jul"]),
        (["2013-07-01T18:00", "2013-07-02T00:00"], ["18:00\n1 jul", "00:00\n2 jul"]),
    ],
)
def test_ticks_of_time_say_what_changes(moments, labels):
    ticks = plots._DateTicks(mdates.AutoDateLocator())
    with using("pt"):
        assert ticks.format_ticks(mdates.date2num(pd.to_datetime(moments))) == labels


# ------------------------------------------------------------------------------------- showing


def test_the_same_figure_gives_the_same_bytes():
    one, other = (plots.png(plots.plot_volume(table()).figure) for _ in range(2))
    assert one == other
    data, width = one
    assert len(data) < 20_000
    assert width == 768


def noise(n):
    figure = Figure(figsize=(8, 4))
    figure.subplots().plot(np.random.default_rng(0).random(n), linewidth=0.3)
    return figure


def test_a_heavy_figure_is_stored_coarser_and_one_too_heavy_is_refused():
    data, width = plots.png(noise(2000))
    pixels = int.from_bytes(data[16:20], "big")
    assert len(data) < plots.MAX_BYTES and width == 768 > pixels * 96 / 120
    with pytest.raises(ValueError, match="20000 allowed; draw less"):
        plots.png(noise(2000), max_bytes=20_000)


def test_a_figure_without_words_is_refused():
    for alt in ("", "  \n"):
        with pytest.raises(ValueError, match="alt='': say in a sentence"):
            plots.show(plots.plot_volume(table()).figure, alt=alt)


def test_showing_prints_the_sentence_and_closes_the_figure(capsys):
    ax = plots.plot_volume(table())
    plots.show(ax.figure, alt="The error\n  doubles.")
    assert capsys.readouterr().out.splitlines()[-1] == "The error doubles."
    assert plt.get_fignums() == []


ALT = 'O erro "dobra" em julho & volta, disse <ninguém>.'
CELL = f"""
from matplotlib import pyplot as plt
from utils import plots
with plots.style():
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.plot([1, 4, 2])
plots.show(fig, alt={ALT!r})
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """Return the path of a notebook that shows a figure, executed in a kernel of its own."""
    path = tmp_path_factory.mktemp("shown") / "figure.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(CELL.strip()) for _ in range(2)]
    written = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    NotebookClient(written, timeout=60).execute(env=environment | {"VIGIA_LANGUAGE": "en"})
    nbformat.write(written, path)
    return path


class Images(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def test_a_notebook_stores_the_figure_with_its_words_and_no_address(notebook):
    figure, said = json.loads(notebook.read_text())["cells"][0]["outputs"]
    assert figure["output_type"] == "display_data"
    assert figure["metadata"]["image/png"]["alt"] == ALT
    assert "".join(figure["data"]["text/plain"]) == "[figure]"
    assert len(base64.b64decode(figure["data"]["image/png"])) < plots.MAX_BYTES
    assert "".join(said["text"]) == ALT + "\n"


@pytest.mark.parametrize("template", ["classic", "lab"])
@pytest.mark.parametrize("kept", ["image/png", "text/html"])
def test_the_words_survive_nbconvert(notebook, template, kept):
    read = nbformat.read(notebook, as_version=4)
    data = read.cells[0].outputs[0].data
    read.cells = read.cells[:1]
    for other in {"image/png", "text/html"} - {kept}:
        del data[other]
    html, _ = HTMLExporter(template_name=template).from_notebook_node(read)
    (image,) = Images(html).found
    dropped = template == "lab" and kept == "image/png"  # why there is an img beside the picture
    assert (image["alt"] == ALT) is not dropped
    assert image["src"].startswith("data:image/png;base64,")


def test_nbval_compares_the_words_and_not_the_pixels(notebook, tmp_path):
    """What is stored of the first figure has other pixels, of the second other words."""
    changed = nbformat.read(notebook, as_version=4)
    other_pixels, other_words = (cell.outputs[0].data for cell in changed.cells)
    picture = other_pixels["image/png"].strip()
    assert picture in other_pixels["text/html"]
    other_pixels["text/html"] = other_pixels["text/html"].replace(picture, "AAAA")
    other_words["text/html"] = other_words["text/html"].replace("dobra", "some")
    nbformat.write(changed, tmp_path / "changed.ipynb")
    here = Path(__file__).parent
    options = ["-c", os.devnull, "--nbval", f"--nbval-sanitize-with={here / 'nbval.cfg'}", "-rA"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "changed.ipynb"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(here.parent)},
        check=False,
    )
    summary = re.findall(r"^(PASSED|FAILED) changed.ipynb::Cell (\d)", run.stdout, re.MULTILINE)
    assert sorted(summary) == [("FAILED", "1"), ("PASSED", "0")], run.stdout


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_jupyterlab_gives_the_words_to_who_does_not_see(notebook, tmp_path):
    """The notebook is not trusted, as it is when it has just been cloned."""
    browser = os.environ.get("VIGIA_CHROMIUM") or shutil.which("chromium")
    if browser is None:
        missing("chromium")
    port = free_port()
    options = [f"--port={port}", "--ip=127.0.0.1", "--no-browser", "--allow-root"]
    options += ["--IdentityProvider.token=known", f"--ServerApp.root_dir={notebook.parent}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    folders = {name: str(tmp_path) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], env=os.environ | folders, **quiet
    )
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = chromium.new_page()
            for _ in range(120):
                try:
                    page.goto(f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?token=known")
                    break
                except PlaywrightError:
                    time.sleep(0.25)
            page.wait_for_selector(".jp-OutputArea-output img", timeout=60_000)
            look = "images => images.map(image => [image.alt, image.naturalWidth > 0])"
            seen = page.eval_on_selector_all(".jp-OutputArea-output img", look)
            chromium.close()
    finally:
        stop(server)
    assert seen == [[ALT, True]] * 2
