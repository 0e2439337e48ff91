"""The pictures that several chapters draw."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from utils.course import shared_plots
from utils.monitors.scoreboard import ALWAYS, NEVER
from utils.text import using


@pytest.mark.parametrize(
    ("language", "said"),
    [("pt", ["nunca alarmar", "sempre alarmar"]), ("en", ["never alarm", "always alarm"])],
)
def test_the_scoreboard_is_drawn_with_every_rule_named(language, said):
    board = pd.DataFrame(
        {
            "rule": ["PSI > 0.2", NEVER, ALWAYS],
            "detected": [0.5, 0.0, 1.0],
            "detected_low": [0.1, 0.0, 0.4],
            "detected_high": [0.9, 0.6, 1.0],
            "false_alarms_per_100": [4.0, 0.0, 100.0],
            "false_alarms_per_100_low": [2.0, 0.0, 96.0],
            "false_alarms_per_100_high": [8.0, 4.0, 100.0],
        }
    )
    with using(language):
        ax = shared_plots.plot_scoreboard(board, title="…")
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["PSI > 0.2", *said]
        assert ax.yaxis.get_major_formatter()(0.5) == "50%"
    marks = [tuple(line.get_xydata()[0]) for line in ax.lines]
    assert marks == [(4.0, 0.5), (0.0, 0.0), (100.0, 1.0)]
    plt.close(ax.figure)


def test_dots_keep_the_order_of_rows_and_series():
    table = pd.DataFrame(
        [(r, s, 0.5, 0.4, 0.6) for r in "ba" for s in "yx"],
        columns=["row", "series", "value", "low", "high"],
    )
    ax = shared_plots.plot_dots(table, title="t", xlabel="x", zero=True)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["b", "a"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["y", "x"]
    plt.close(ax.figure)


@pytest.mark.parametrize(("shares", "said"), [(True, "50%"), (False, "0.5")])
def test_dots_are_shares_or_numbers(shares, said):
    table = pd.DataFrame({"row": ["a"], "series": "", "value": 0.5, "low": 0.4, "high": 0.6})
    with using("en"):
        ax = shared_plots.plot_dots(table, title="t", xlabel="x", shares=shares)
        assert ax.xaxis.get_major_formatter()(0.5) == said
    assert ax.get_legend() is None
    plt.close(ax.figure)
