"""What is picked out of the measurements, by hand."""

import math

import pandas as pd
import pytest

from tests.dashboard.builders import line, table
from utils.dashboard.snapshot import FEATURES, drift_of, performance_of, toward

NAN = float("nan")


def test_the_newest_realised_window_with_a_value_stands_beside_a_newer_estimate():
    known = pd.Timestamp("2013-05-01", tz="UTC")
    found = performance_of(
        table(
            line("performance", "mae", 11.0, week=0, known_as_of=known),
            line("performance", "mae", NAN, week=1, known_as_of=known),
            line("estimated_performance", "mae", 12.0, week=1),
        )
    )
    realised, estimated = found.latest
    assert (realised.value, realised.known_as_of) == (11.0, known)
    assert (estimated.value, estimated.known_as_of) == (12.0, None)
    assert [each.is_estimated for each in found.over_time] == [False, True]
    assert realised.start < estimated.start


def test_groups_and_features_are_not_the_performance_of_all():
    found = performance_of(
        table(
            line("performance", "mae", 11.0),
            line("performance", "mae", 99.0, group="carrier=UA"),
            line("calibration", "brier", 0.2),
        )
    )
    assert [each.value for each in found.latest] == [11.0]


def test_the_metric_that_is_drawn_is_the_first_known_one_else_the_first():
    assert (
        performance_of(table(line("performance", "f1", 1), line("performance", "mae", 2))).metric
        == "mae"
    )
    assert performance_of(table(line("performance", "my_own", 1))).metric == "my_own"


def test_nothing_measured_is_no_performance_and_no_drift():
    nothing = table().iloc[:0]
    assert performance_of(nothing).latest == ()
    assert drift_of(nothing).features == ()


def test_each_feature_stands_once_by_the_metric_nearest_to_its_threshold():
    found = drift_of(
        table(
            line("drift", "psi", 0.1, feature="carrier", threshold_high=0.4),
            line("drift", "jensen_shannon", 0.3, feature="carrier", threshold_high=0.4),
            line("drift", "psi", 0.3, feature="dest", threshold_high=0.2, alarm=True),
            line("prediction_drift", "psi", 0.1, threshold_high=0.2),
        )
    )
    assert [(each.feature, each.metric, each.alarm) for each in found.features] == [
        ("dest", "psi", True),
        ("carrier", "jensen_shannon", False),
        ("", "psi", False),
    ]
    assert [each.share for each in found.features] == pytest.approx([1.5, 0.75, 0.5])
    assert (found.n_beyond, found.n_features) == (1, 3)


def test_drift_is_that_of_the_newest_window():
    found = drift_of(
        table(
            line("drift", "psi", 9.0, feature="old", week=0, threshold_high=0.2, alarm=True),
            line("drift", "psi", 0.1, feature="new", week=1, threshold_high=0.2),
        )
    )
    assert [each.feature for each in found.features] == ["new"]
    assert found.start == pd.Timestamp("2013-04-08", tz="UTC")


def test_of_many_features_the_nearest_are_shown_and_all_are_counted():
    rows = [
        line("drift", "psi", at / 1_000, feature=f"f{at}", threshold_high=1.0) for at in range(50)
    ]
    found = drift_of(table(*rows))
    assert (len(found.features), found.n_features, found.n_beyond) == (FEATURES, 50, 0)
    assert found.features[0].feature == "f49"


def test_those_beyond_their_thresholds_are_counted_where_they_are_not_shown():
    rows = [
        line("drift", "psi", 2 + at, feature=f"f{at}", threshold_high=1.0, alarm=True)
        for at in range(FEATURES + 5)
    ]
    found = drift_of(table(*rows))
    assert (len(found.features), found.n_beyond) == (FEATURES, FEATURES + 5)


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.05, NAN, 0.1, (0.1, 0.5)),
        (0.4, 0.1, NAN, (0.1, 0.25)),
        (0.9, 0.45, 1.0, (1.0, 0.9)),
        (0.5, 0.45, 1.0, (0.45, 0.9)),
    ],
)
def test_the_way_to_a_threshold_is_to_the_nearer_one(value, low, high, expected):
    assert toward(value, low=low, high=high) == pytest.approx(expected)


def test_without_a_threshold_or_to_one_of_0_there_is_no_way():
    assert all(math.isnan(each) for each in toward(1.0, low=NAN, high=NAN))
    threshold, share = toward(1.0, low=NAN, high=0.0)
    assert threshold == 0.0 and math.isnan(share)


def test_the_share_of_labels_known_is_told_and_never_drawn_as_performance():
    share = line("performance", "labelled_share", 0.1)
    alone = performance_of(table(share))
    assert (alone.metric, alone.over_time) == ("", ())
    assert [each.metric for each in alone.latest] == ["labelled_share"]
    both = performance_of(table(share, line("performance", "my_own", 1.0)))
    assert both.metric == "my_own"
