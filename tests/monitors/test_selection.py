"""What the best of many promises and keeps: by hand, in theory, and what is refused."""

import re

import numpy as np
import pytest

from utils.monitors.selection import winners_advantage


def rng():
    return np.random.default_rng(5)


def test_by_hand_where_each_trial_costs_the_same_on_each_row():
    costs = np.array([[3.0] * 8, [1.0] * 8, [2.0] * 8])
    table = winners_advantage(costs, costs + 10, sizes=[4], rng=rng(), draws=7)
    assert table["what"].tolist() == ["promised", "kept"]
    assert table["value"].tolist() == pytest.approx([1.0, 1.0])
    assert table[["low", "high"]].to_numpy() == pytest.approx(1.0)


def test_of_trials_that_are_alike_the_winner_keeps_nothing():
    noise, fresh = (np.random.default_rng(at).normal(size=(30, 3000)) for at in (1, 2))
    table = winners_advantage(noise, fresh, sizes=[100], rng=rng(), draws=400).set_index("what")
    # The mean of the greatest of 30 standard normal numbers is 2.04.
    assert table.loc["promised", "value"] == pytest.approx(2.04 / np.sqrt(100), rel=0.1)
    assert abs(table.loc["kept", "value"]) < 0.02


def test_the_optimism_shrinks_with_the_rows_that_choose():
    rng_of_trials = np.random.default_rng(0)
    worth = rng_of_trials.normal(0, 0.05, (20, 1))
    chosen_by, judged_by = (worth + rng_of_trials.normal(size=(20, 4000)) for _ in range(2))
    table = winners_advantage(chosen_by, judged_by, sizes=[50, 500, 4000], rng=rng())
    wide = table.pivot(index="n_rows", columns="what", values="value")
    optimism = wide["promised"] - wide["kept"]
    assert (optimism.diff().dropna() < 0).all()
    assert (wide["kept"].diff().dropna() > 0).all()


def test_the_same_rng_gives_the_same_table():
    costs = np.random.default_rng(1).normal(size=(4, 50))
    one, two = (winners_advantage(costs, costs, sizes=[10, 20], rng=rng()) for _ in range(2))
    assert one.equals(two)


@pytest.mark.parametrize(
    ("chosen_by", "judged_by", "settings", "message"),
    [
        ((3, 5), (2, 5), {}, "shapes (3, 5) and (2, 5); both are trials × rows"),
        ((1, 5), (1, 5), {}, "chosen_by: 1 trial; a choice needs two or more"),
        ((3, 5), (3, 5), {"sizes": [6]}, "sizes: 6; from 1 to the 5 rows there are"),
        ((3, 5), (3, 5), {"level": 1}, "level=1"),
    ],
)
def test_what_cannot_be_compared_is_named(chosen_by, judged_by, settings, message):
    settings = {"sizes": [2], **settings}
    with pytest.raises(ValueError, match=re.escape(message)):
        winners_advantage(np.zeros(chosen_by), np.zeros(judged_by), rng=rng(), **settings)
