"""Chapter 02 under other parameters: each changes what its comment says, and nothing else.

The runs share a workspace, so none may leave there what another would find changed.
"""

import numpy as np
import pandas as pd
import pytest

from tests.course.running import ran
from utils.course import NOTEBOOKS
from utils.text import using

SOURCE = NOTEBOOKS / "02_data_preparation.ipynb"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, pd.option_context("display.width", 80):
        patch.setenv("VIGIA_WORKSPACE", str(tmp_path_factory.mktemp("workspace")))
        yield
    pd.reset_option("display.float_format")


@pytest.fixture(scope="module")
def plain(workspace):
    with using("en"):
        return ran(SOURCE)


def digests(names):
    return {name: about.digest for name, about in names["written"].items()}


def test_the_seed_changes_intervals_and_random_splits_and_nothing_else(plain):
    with using("en"):
        other = ran(SOURCE, seed=7)
    assert digests(other) == digests(plain)
    np.testing.assert_array_equal(other["score"], plain["score"])
    one, two = plain["promises"], other["promises"]
    pd.testing.assert_series_equal(one["value"], two["value"])
    assert not np.allclose(one["low"], two["low"])
    for name in ("random", "on_cars", "on_flights"):
        one, two = (names[name].set_index("group", append=True) for names in (plain, other))
        kept, promised = (one.index.get_level_values("group") == g for g in ("kept", "promised"))
        np.testing.assert_allclose(one.loc[kept, "value"], two.loc[kept, "value"])
        assert not np.allclose(one.loc[promised, "value"], two.loc[promised, "value"])
    pd.testing.assert_frame_equal(plain["odd"], other["odd"])
    pd.testing.assert_frame_equal(plain["shares"], other["shares"])


def test_n_days_changes_what_is_learned_from_and_nothing_else(plain):
    with using("en"):
        other = ran(SOURCE, n_days=200)
    before, after = digests(plain), digests(other)
    assert before.pop("train") != after.pop("train")
    assert before == after
    since = other["life"].JUDGED_FROM - pd.Timedelta(days=200)
    kept = plain["train"][plain["train"]["applied_at"] >= since].reset_index(drop=True)
    pd.testing.assert_frame_equal(other["train"], kept)
    assert not np.allclose(plain["score"], other["score"])
    pd.testing.assert_frame_equal(plain["shares"], other["shares"])
    for name in ("on_cars", "on_flights", "on_tails", "biases"):
        np.testing.assert_allclose(plain[name]["value"], other[name]["value"])
