"""The dashboards: each panel in both languages, and each question answered by Prometheus."""

import json
import re

import pandas as pd
import pytest

from tests.exporters.prometheus_servers import prometheus, query, until
from utils.exporters import grafana
from utils.exporters.prometheus import ModelCollector, rule_file, write_rules
from utils.records import measurements
from utils.serving.app import create_app, running
from utils.serving.client import Client
from utils.serving.example import FLIGHTS, example_endpoint
from utils.text import LANGUAGES, using


def asked():
    """Return the name of each panel, and what it asks."""
    with using("en"):
        questions = (*grafana.service_questions(), *grafana.model_questions())
    return [(each.title, expression) for each in questions for expression, _ in each.asks]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a real Prometheus that scrapes an endpoint with traffic and measurements."""
    folder = tmp_path_factory.mktemp("grafana")
    rules = write_rules(rule_file([]), folder / "rules.yml")
    lines = (("performance", "mae"), ("estimated_performance", "mae"), ("drift", "jensen_shannon"))
    table = measurements(
        {
            "monitor": monitor,
            "metric": metric,
            "feature": "carrier" if monitor == "drift" else "",
            "window_start": "2013-04-01",
            "window_end": "2013-04-08",
            "value": 0.4,
            "threshold_high": 0.5,
            "n_current": 50,
            "known_as_of": "2013-04-09",
        }
        for monitor, metric in lines
    )
    with example_endpoint() as endpoint:
        endpoint.store.write_measurements("flights", table)
        app = create_app(endpoint, access_keys={"a secret": "tower"})
        app.state.routes.metrics.registry.register(ModelCollector(endpoint.store))
        with running(app) as service:
            target = service.removeprefix("http://")
            config = {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(rules)],
                "scrape_configs": [
                    {"job_name": "vigia", "static_configs": [{"targets": [target]}]}
                ],
            }
            with (
                Client(service, access_key="a secret") as client,
                prometheus(config, folder) as address,
            ):

                def warm():
                    client.predict(FLIGHTS)
                    return query(address, "vigia:request_errors:ratio_rate5m >= 0")

                until(warm)
                yield address


@pytest.mark.parametrize(("panel", "expression"), asked(), ids=lambda each: each[:40])
def test_every_question_is_answered_by_the_real_prometheus(server, panel, expression):
    found = until(lambda: query(server, expression.replace("$deployment", "flights")))
    assert all(each["value"][1] != "NaN" for each in found), panel


def test_what_is_shown_is_what_was_measured(server):
    drift = 'vigia_model_measurement{deployment="flights",monitor="drift"}'
    (one,) = query(server, drift)
    assert float(one["value"][1]) == 0.4 and one["metric"]["feature"] == "carrier"
    known = next(e for title, e in asked() if title == "Labels known up to")
    (one,) = query(server, known.replace("$deployment", "flights"))
    moment = pd.Timestamp(float(one["value"][1]), unit="ms", tz="UTC")
    assert moment == pd.Timestamp("2013-04-09", tz="UTC")


def test_both_languages_ask_the_same_and_say_it_in_their_own_words():
    found = {}
    for language in LANGUAGES:
        for name, board in grafana.dashboards(language).items():
            panels = board["panels"]
            asks = [target["expr"] for panel in panels for target in panel["targets"]]
            titles = [panel["title"] for panel in panels]
            found.setdefault(name, []).append((asks, titles, board["uid"]))
            assert all(panel["description"] for panel in panels)
    for (asks_pt, titles_pt, uid_pt), (asks_en, titles_en, uid_en) in found.values():
        assert asks_pt == asks_en and uid_pt != uid_en
        assert not set(titles_pt) & set(titles_en)


def test_panels_do_not_lie_on_one_another_and_ask_the_provisioned_source():
    for board in grafana.dashboards("pt").values():
        taken = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            own = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not own & taken and at["x"] + at["w"] <= 24
            taken |= own
            assert panel["datasource"]["uid"] == grafana.DATASOURCE
            assert panel["type"] in ("timeseries", "stat")
            refs = [target["refId"] for target in panel["targets"]]
            assert len(set(refs)) == len(refs)
    source = grafana.provisioning()["provisioning/datasources/vigia.yaml"]["datasources"][0]
    assert source["uid"] == grafana.DATASOURCE


def test_the_model_is_chosen_and_no_other_variable_is_left():
    board = grafana.dashboards("en")["model.json"]
    (variable,) = board["templating"]["list"]
    assert variable["name"] == "deployment"
    # 1: the deployments are asked for when the dashboard is opened; else there are none to choose.
    assert variable["refresh"] == 1
    text = json.dumps(board["panels"])
    assert set(re.findall(r"\$\w+", text)) == {"$deployment"}
