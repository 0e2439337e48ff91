"""Profiles: every row counted once in each feature, the same whichever way it comes."""

import numpy as np
import pandas as pd
import pytest

from utils.monitors.profile import Binning


def fitted(values, **settings):
    [bins] = Binning.fitted(pd.DataFrame({"x": values}), **settings).bins
    return bins


def counted(reference, current, **settings):
    binning = Binning.fitted(pd.DataFrame({"x": reference}), **settings)
    return binning.counts(pd.DataFrame({"x": current})).tolist()[0]


def test_a_number_on_an_edge_falls_below_it():
    assert fitted(range(1, 9), n_bins=2).edges == (4.0,)
    assert counted(range(1, 9), [4, 4.5, -np.inf, np.inf, np.nan], n_bins=2) == [2, 2, 1]


def test_a_constant_is_told_from_what_lies_below_and_above_it():
    assert counted([7, 7, 7], [6.999, 7, 7, 7.001, None]) == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": ["y"]}, r"features: 'y' is no column of the reference; known: x"),
        ({"features": ["x", "x"]}, r"features: 'x' stands twice"),
        ({"n_bins": 1}, r"n_bins=1: 2 or more"),
        ({"max_categories": 0}, r"max_categories=0: 1 or more"),
    ],
)
def test_a_refusal_names_the_argument_the_value_and_the_rule(settings, message):
    with pytest.raises(ValueError, match=message):
        Binning.fitted(pd.DataFrame({"x": [1, 2]}), **settings)
