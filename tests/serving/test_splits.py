"""Who goes to the canary: the same ones, as many as were meant, and as the store says."""

from dataclasses import replace

import numpy as np
import pytest

from utils.records import UnknownDeployment
from utils.serving.splits import (
    Split,
    begin_split,
    end_split,
    goes_to_canary,
    keys_of,
    split_of,
    splits_of,
)
from utils.store import open_store
from utils.store.example import DEPLOYMENT, NOON, SCHEMA

KEYS = [f"N{number}" for number in range(20_000)]
CANARY = replace(DEPLOYMENT, name="flights-canary", deployment_crn="crn:deployment:2")
TENTH = Split(deployment="flights-canary", share=0.1, salt="2")


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        opened.add_deployment(DEPLOYMENT, SCHEMA)
        opened.add_deployment(CANARY, SCHEMA)
        yield opened


def begin(store, split=TENTH, *, by="monday"):
    return begin_split(store, "flights", split, at=NOON, by=by)


def end(store, *, by="tuesday"):
    return end_split(store, "flights", at=NOON, by=by)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_share_is_as_meant_within_five_standard_errors(share):
    for salt in ("1", "2", "3"):
        goes = goes_to_canary(KEYS, share=share, salt=salt)
        assert abs(goes.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(KEYS))


def test_none_goes_at_share_0_and_all_go_at_share_1():
    assert not goes_to_canary(KEYS, share=0, salt="1").any()
    assert goes_to_canary(KEYS, share=1, salt="1").all()
    assert goes_to_canary([], share=1, salt="1").tolist() == []


def test_who_goes_at_a_small_share_goes_at_a_larger_one():
    few, many = (goes_to_canary(KEYS, share=share, salt="1") for share in (0.1, 0.3))
    assert (many | ~few).all()


def test_another_salt_takes_others():
    one, other = (goes_to_canary(KEYS, share=0.1, salt=salt) for salt in ("1", "2"))
    both = (one & other).mean()
    assert abs(both - 0.01) < 5 * np.sqrt(0.01 * 0.99 / len(KEYS))


def test_a_key_goes_the_same_way_wherever_it_stands_and_however_often():
    goes = dict(zip(KEYS, TENTH.takes(KEYS), strict=True))
    again = [*KEYS[::-7], *KEYS[:50]]
    assert TENTH.takes(again).tolist() == [goes[key] for key in again]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(ValueError, match=r"share=.*: must lie in 0\.\.1"):
        Split(deployment="flights-canary", share=share, salt="1")


def test_a_split_with_nobody_is_refused():
    with pytest.raises(ValueError, match="deployment='': must name"):
        Split(deployment="", share=0.1, salt="1")


def test_a_request_without_the_key_column_goes_as_a_whole():
    by_carrier = replace(TENTH, key_column="carrier")
    assert keys_of(by_carrier, {"carrier": ["UA", "B6"]}, ["a", "b"]) == ["UA", "B6"]
    assert keys_of(by_carrier, {}, ["a", "b"]) == ["a", "a"]
    assert keys_of(TENTH, {"carrier": ["UA", "B6"]}, ["a", "b"]) == ["a", "a"]


def test_a_split_is_on_until_it_is_ended(store):
    assert split_of(store, "flights") is None
    assert begin(store)
    assert split_of(store, "flights") == TENTH
    assert end(store)
    assert split_of(store, "flights") is None


def test_what_is_said_again_by_the_same_changes_nothing(store):
    assert [begin(store), begin(store)] == [True, False]
    assert [end(store), end(store)] == [True, False]
    assert not begin(store), "a run that is taken up again begins nothing that was ended since"
    assert split_of(store, "flights") is None


def test_where_none_is_on_ending_leaves_no_trace(store):
    assert not end(store)
    assert begin(store, by="tuesday")
    assert end(store), "the same name may end it later"


def test_the_split_that_was_begun_last_is_on(store):
    begin(store)
    third = replace(TENTH, share=0.3, key_column="carrier")
    begin(store, third, by="tuesday")
    assert split_of(store, "flights") == third


def test_every_deployment_that_took_a_share_is_remembered(store):
    other = replace(CANARY, name="flights-other", deployment_crn="crn:deployment:3")
    store.add_deployment(other, SCHEMA)
    begin(store)
    begin(store, replace(TENTH, deployment="flights-other"), by="tuesday")
    end(store, by="wednesday")
    begin(store, by="thursday")
    found = splits_of(store, "flights")
    assert found.on == TENTH
    assert found.deployments == ("flights-canary", "flights-other")


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"deployment": "nobody"}, UnknownDeployment, "no deployment is called 'nobody'"),
        ({"deployment": "flights"}, ValueError, "'flights' would be split with itself"),
        ({"key_column": "tail"}, ValueError, "key_column='tail': is no input of 'flights'"),
    ],
)
def test_a_split_that_cannot_be_is_not_begun(store, changed, error, message):
    with pytest.raises(error, match=message):
        begin(store, replace(TENTH, **changed))
    assert split_of(store, "flights") is None
