"""A canary's share of the requests begins and ends with it, also where a run broke off."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tests.operations.conftest import NOON
from utils.operations import life, loop
from utils.operations.canary import Canary
from utils.operations.life import Window
from utils.operations.loop import Loop, Plan
from utils.serving import gates
from utils.serving.splits import Split, end_split, split_of
from utils.store.example import DEPLOYMENT, SCHEMA

CANARY = Split(deployment="flights-canary", share=0.2, salt="2")


@pytest.fixture
def acting(store, monkeypatch):
    """Return a function that gives a run of a week, whose registry is not there."""

    def serve(self, name, version):
        crn = f"crn:{name}:{version}"
        about = {"name": name, "model_version": version, "deployment_crn": crn}
        self.store.add_deployment(type(DEPLOYMENT)(**vars(DEPLOYMENT) | about), SCHEMA)

    monkeypatch.setattr(loop._Acting, "_serve", serve)
    monkeypatch.setattr(gates, "promote", lambda *_, **__: None)
    plan = Plan(
        deployment="flights",
        task="regression",
        loss="mae",
        monitor=lambda seen: None,
        rules=[],
        canary=Canary(harm=0.5, share=0.2),
    )

    def acting(day):
        end = datetime(2024, 3, day, tzinfo=UTC)
        return loop._Acting(
            loop=Loop(plan=plan, store=store),
            run=SimpleNamespace(clock=lambda: NOON + timedelta(days=day)),
            window=Window(start=end - timedelta(days=7), end=end, run=end),
        )

    first = acting(1)
    first._note("trained", version="2")
    first._note("shadow", version="2", champion="1", remedy="retrain")
    return acting


def ends(acting):
    return {
        "withdrawn": lambda: acting._withdraw({"version": "2", "why": {"en": "harm"}}),
        "declined": lambda: acting._declined("no"),
        "promoted": lambda: acting._promote("2"),
        "rolled back": lambda: acting._rolled_back("1", "3"),
    }


def test_a_canary_that_begins_has_its_share_once_it_is_deployed(store, acting):
    assert split_of(store, "flights") is None
    for _ in range(2):
        acting(8)._canary_begins("2")
    assert split_of(store, "flights") == CANARY
    assert store.deployment("flights-canary").model_version == "2"
    assert len(store.events("split/flights")) == 1


@pytest.mark.parametrize("how", ["withdrawn", "declined", "promoted", "rolled back"])
def test_its_share_ends_when_it_does_however_often_that_is_done(store, acting, how):
    acting(8)._canary_begins("2")
    for _ in range(2):
        ends(acting(15))[how]()
    assert split_of(store, "flights") is None
    assert len(store.events("split/flights")) == 2
    assert life.life_of(store, "flights").candidate is None


@pytest.mark.parametrize("how", ["withdrawn", "declined", "promoted", "rolled back"])
def test_a_run_that_broke_off_before_it_noted_the_end_ends_it(store, acting, monkeypatch, how):
    acting(8)._canary_begins("2")
    with monkeypatch.context() as broken:

        def killed(*_, **__):
            raise KeyboardInterrupt

        broken.setattr(loop._Acting, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            ends(acting(15))[how]()
    assert life.life_of(store, "flights").candidate is not None
    ends(acting(15))[how]()
    assert split_of(store, "flights") is None
    assert life.life_of(store, "flights").candidate is None


def test_who_is_promoted_stands_under_the_name_before_the_share_ends(store, acting, monkeypatch):
    acting(8)._canary_begins("2")
    seen = []

    def watched(*given, **about):
        seen.append(store.deployment("flights").model_version)
        return end_split(*given, **about)

    monkeypatch.setattr(loop, "end_split", watched)
    acting(15)._promote("2")
    assert seen == ["2"]


def test_the_next_canary_has_a_share_of_its_own(store, acting):
    acting(8)._canary_begins("2")
    acting(15)._withdraw({"version": "2", "why": {"en": "harm"}})
    acting(22)._canary_begins("3")
    assert split_of(store, "flights") == Split(deployment="flights-canary", share=0.2, salt="3")
