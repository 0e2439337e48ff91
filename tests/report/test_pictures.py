"""What the two pictures of a report draw, mark by mark."""

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest

from tests.report.findings import NAN, TABLE, WEEKS, alert, line, report
from utils.plots import VERMILLION, plot_alarms, plot_shares
from utils.records import measurements
from utils.report import pictures
from utils.text import using


@pytest.fixture(autouse=True)
def english():
    with using("en"):
        yield


def marks(ax, look):
    (drawn,) = [each for each in ax.lines if each.get_marker() == look]
    x, y = drawn.get_data()
    return sorted(zip(np.round(mdates.date2num(x), 3).tolist(), y.tolist(), strict=True)), drawn


def test_alarms_are_squares_quiet_windows_dots_and_silence_is_nothing():
    rows = [
        *line("drift", "psi", [0.1, 0.5, NAN], alarms=(1,), feature="a"),
        *line("drift", "psi", [0.1, 0.1, 0.9], alarms=(2,), feature="b"),
    ]
    ax = plot_alarms(measurements(rows), names=["a"] * 3 + ["b"] * 3)
    middle = [mdates.date2num(each) + 3.5 for each in WEEKS]
    squares, drawn = marks(ax, "s")
    assert squares == [(middle[1], 0), (middle[2], -1)]
    assert drawn.get_color() == VERMILLION
    assert marks(ax, ".")[0] == [(middle[0], -1), (middle[0], 0), (middle[1], -1)]
    assert [each.get_text() for each in ax.get_yticklabels()] == ["a", "b"]
    low, high = ax.get_ylim()
    assert low < -1 < 0 < high
    assert "empty: too little data" in ax.get_xlabel()


def test_a_feature_is_two_points_a_bin_the_first_at_the_top():
    shares = pd.DataFrame(
        {"bin": ["few", "many"], "reference": [0.75, 0.25], "current": [0.4, 0.6]}
    )
    ax = plot_shares(shares, feature="rooms")
    before, now = ax.lines
    assert before.get_xdata().tolist() == [0.75, 0.25]
    assert now.get_xdata().tolist() == [0.4, 0.6]
    assert before.get_ydata().tolist() == now.get_ydata().tolist() == [0, -1]
    assert before.get_markerfacecolor() != now.get_markerfacecolor()
    assert ax.get_xlabel().splitlines()[0] == "rooms"


def test_the_lines_with_the_most_alarms_are_shown_where_there_are_many(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_LINES", 2)
    drawn = pictures.alarms(measurements(TABLE))
    labels = [each.get_text() for each in drawn.figure.axes[0].get_yticklabels()]
    assert labels == ["amount, Jensen–Shannon distance", "channel, Jensen–Shannon distance"]
    assert "Those with the most alarms, 2 of them, are shown." in drawn.alt


def test_a_line_without_a_value_says_so():
    rows = line("performance", "accuracy", [NAN, NAN], threshold_low=0.8)
    key = ("performance", "accuracy", "", "")
    drawn = pictures.over_time(measurements(rows), key)
    assert drawn.alt == "accuracy: no window has enough data."


def test_how_the_model_did_is_shown_first_where_it_did_well():
    rows = [
        *line("drift", "jensen_shannon", [0.3], alarms=(0,), feature="amount", threshold_high=0.1),
        *line("performance", "accuracy", [0.9], threshold_low=0.8),
        *line("performance", "f1", [NAN], threshold_low=0.8),
        *line("performance", "accuracy", [0.9], group="north", threshold_low=0.8),
    ]
    made = report(rows, [alert("drift", "jensen_shannon", 0, 0.3, feature="amount")])
    assert [each.title for each in made.pictures][1:3] == [
        "accuracy: in its quiet range in every window",
        "amount, Jensen–Shannon distance: out of its quiet range in 1 of 1 windows",
    ]
