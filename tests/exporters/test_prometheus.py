"""Measurements as gauges, rules as rule files, the past as blocks: on the real thing too."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.exporters.prometheus_servers import alertmanager, prometheus, promtool, query, until
from tests.services import free_port
from utils.exporters.prometheus import (
    ModelCollector,
    alert_name,
    expression,
    openmetrics,
    rule_file,
    write_rules,
)
from utils.operations.rules import judged, read_rules
from utils.operations.runbooks import RULES
from utils.records import AlertRule, measurements
from utils.serving.app import create_app, running
from utils.serving.client import Client
from utils.serving.example import FLIGHTS, example_endpoint
from utils.store import open_store
from utils.store.engines import StoreUnavailable
from utils.store.example import DEPLOYMENT, example_store


def weeks(*values, metric="mae", monitor="performance", start="2024-01-01", **more):
    starts = pd.date_range(start, periods=len(values), freq="7D", tz="UTC")
    return measurements(
        {
            "monitor": monitor,
            "metric": metric,
            "window_start": week,
            "window_end": week + pd.Timedelta("7D"),
            "value": value,
            "n_current": 50,
            **more,
        }
        for week, value in zip(starts, values, strict=True)
    )


def shown(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in families
    }


@pytest.fixture
def store():
    with example_store() as opened:
        yield opened


# ------------------------------------------------------------------------------- gauges


def test_the_last_window_of_each_line_is_shown_as_valid_openmetrics(store):
    odd = 'a "quoted"\nname\\'
    table = pd.concat(
        [
            weeks(11.0, 12.5, low=10.0, high=14.0, threshold_high=13.0, alarm=True),
            weeks(0.1, metric="psi", monitor="drift", feature=odd, known_as_of="2024-03-01"),
        ]
    )
    store.write_measurements("flights", table)
    seen = shown(ModelCollector(store))
    values = {labels["metric"]: value for labels, value in seen["vigia_model_measurement"]}
    assert values == {"mae": 12.5, "psi": 0.1}
    own = dict(deployment="flights", monitor="performance", metric="mae", feature="", group="")
    assert (own, 13.0) in seen["vigia_model_threshold_high"]
    assert (own, 1.0) in seen["vigia_model_alarm"] and (own, 50.0) in seen["vigia_model_rows"]
    ends = dict((labels["metric"], value) for labels, value in
                seen["vigia_model_window_end_timestamp_seconds"])  # fmt: skip
    assert ends["mae"] == pd.Timestamp("2024-01-15", tz="UTC").timestamp()
    assert [labels["feature"] for labels, _ in seen["vigia_model_measurement"]] == [odd, ""]
    # What is not known has no sample, and no made-up zero.
    assert len(seen["vigia_model_known_as_of_timestamp_seconds"]) == 1
    assert len(seen["vigia_model_threshold_low"]) == 0


def test_ten_thousand_groups_do_not_become_ten_thousand_series(store):
    table = pd.concat([weeks(1.0, group=f"g{n:03}") for n in range(30)])
    store.write_measurements("flights", table)
    seen = shown(ModelCollector(store, most_lines=10))
    assert len(seen["vigia_model_measurement"]) == 10
    assert seen["vigia_model_lines_left_out"] == [({"deployment": "flights"}, 20.0)]
    with pytest.raises(ValueError, match="most_lines=0: must be at least 1"):
        ModelCollector(store, most_lines=0)


def test_what_is_left_out_is_never_the_error_of_all_while_a_group_is_shown(store):
    narrow = [
        weeks(1.0, monitor="a", feature=f"f{n}", group=g) for n in range(3) for g in ("", "g")
    ]
    store.write_measurements("flights", pd.concat([*narrow, weeks(12.0, monitor="performance")]))
    seen = shown(ModelCollector(store, most_lines=4))["vigia_model_measurement"]
    assert [(labels["feature"], labels["group"]) for labels, _ in seen] == [
        ("f0", ""),
        ("f1", ""),
        ("f2", ""),
        ("", ""),
    ]


def test_a_window_without_a_value_is_not_the_last_that_said_something(store):
    store.write_measurements("flights", weeks(12.0, np.nan))
    seen = shown(ModelCollector(store))
    assert seen["vigia_model_measurement"] == []
    assert seen["vigia_model_window_end_timestamp_seconds"] == []
    assert [value for _, value in seen["vigia_model_rows"]] == [50.0]


def test_the_store_is_asked_once_a_refresh_whoever_scrapes(store):
    now = [0.0]
    collector = ModelCollector(store, refresh_s=15, clock=lambda: now[0])
    store.write_measurements("flights", weeks(1.0))
    first = shown(collector)["vigia_model_measurement"]
    store.write_measurements("flights", weeks(1.0, 2.0))
    now[0] = 14.9
    assert shown(collector)["vigia_model_measurement"] == first
    now[0] = 15.0
    assert shown(collector)["vigia_model_measurement"][0][1] == 2.0


def test_a_store_that_cannot_be_read_breaks_no_scrape(store, monkeypatch):
    def refuse(*about, **more):
        raise StoreUnavailable("the store is locked")

    monkeypatch.setattr(store, "measurements", refuse)
    assert shown(ModelCollector(store)) == {"vigia_store_up": [({}, 0.0)]}


# ------------------------------------------------------------------------------- rules


def test_a_rule_becomes_an_expression_that_says_the_same():
    def of(**about):
        return expression(AlertRule(name="r", metric="mae", **about))

    last = 'last_over_time(vigia_model_measurement{metric="mae"}[7d])'
    assert of(high=15.0) == f"{last} > 15"
    assert of(low=1.5, high=15.0) == f"({last} < 1.5) or ({last} > 15)"
    assert of(high=15.0, minimum=30) == (
        f'({last} > 15) and last_over_time(vigia_model_rows{{metric="mae"}}[7d]) >= 30'
    )
    day = 'last_over_time(vigia_model_measurement{metric="mae"}[1d]'
    end = 'last_over_time(vigia_model_window_end_timestamp_seconds{metric="mae"}[1d]'
    assert of(high=15.0, window="1D", persistence=3) == (
        f"{day}) > 15 and {day} offset 1d) > 15 and {end}) > {end} offset 1d) "
        f"and {day} offset 2d) > 15 and {end} offset 1d) > {end} offset 2d)"
    )
    named = of(high=1.0, monitor="performance", group='J"K')
    assert '{metric="mae",monitor="performance",group="J\\"K"}' in named


def test_the_file_has_what_a_person_needs_of_each_rule():
    rule = AlertRule(
        name="error-rose",
        metric="mae",
        high=15.0,
        severity="critical",
        action="retrain",
        owner="ana",
        runbook="performance.md",
    )
    group, service = rule_file([rule], runbooks="https://wiki/")["groups"]
    (told,) = group["rules"]
    assert told["alert"] == "ErrorRose" == alert_name(rule.name)
    assert told["labels"] == {"severity": "critical", "rule": "error-rose", "owner": "ana"}
    assert told["annotations"]["runbook_url"] == "https://wiki/performance.md"
    assert told["annotations"]["action"] == "retrain"
    alerts = {each["alert"] for each in service["rules"] if "alert" in each}
    assert alerts == set(_OF_SERVICE)


def test_promtool_accepts_the_default_rules(tmp_path):
    path = write_rules(rule_file(read_rules(RULES)), tmp_path / "rules.yml")
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(read_rules(RULES)) + 9} rules found" in done.stdout


def _series(name, rule, values):
    labels = {"deployment": "flights", "monitor": rule.monitor or "any", "metric": rule.metric}
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{told}}}", "values": values}


@pytest.mark.parametrize("rule", read_rules(RULES), ids=lambda rule: rule.name)
def test_promtool_sees_each_default_rule_fire_when_it_should_and_keep_quiet_when_not(
    rule, tmp_path
):
    rules = rule_file([rule], service=False)
    write_rules(rules, tmp_path / "rules.yml")
    bound = rule.high if rule.high is not None else 0.5
    labels = rules["groups"][0]["rules"][0]["labels"]
    shared = {"deployment": "flights", "monitor": rule.monitor, "metric": rule.metric}
    tests = []
    for value in (bound * 0.9, bound * 1.1):
        series = [
            _series("vigia_model_measurement", rule, f"{value}x40"),
            _series("vigia_model_threshold_high", rule, f"{bound}x40"),
            _series("vigia_model_rows", rule, "5000x40"),
        ]
        fires = [{"exp_labels": labels | shared}] if value > bound else []
        tests.append(
            {
                "interval": "6h",
                "input_series": series,
                "promql_expr_test": [],
                "alert_rule_test": [
                    {
                        "eval_time": "8d",
                        "alertname": alert_name(rule.name),
                        "exp_alerts": [
                            each | {"exp_annotations": _annotations(rules, value)} for each in fires
                        ],
                    }
                ],
            }
        )
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1h", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", str(tmp_path / "test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def _annotations(rules, value):
    told = dict(rules["groups"][0]["rules"][0]["annotations"])
    text = f"{value:.17g}"
    shortest = repr(float(text))
    shortest = shortest.removesuffix(".0")
    told["summary"] = told["summary"].replace("{{ $labels.feature }}", "")
    told["summary"] = told["summary"].replace("{{ $value }}", shortest)
    return told


def _tried(tmp_path, rules, cases, *, interval="6h", evaluation_interval="1h"):
    """Let promtool evaluate rules on series, and tell whether each alert stands at its time."""
    write_rules(rules, tmp_path / "rules.yml")
    stands = 'count(ALERTS{{alertname="{}",alertstate="firing"}}) or vector(0)'
    tests = [
        {
            "interval": interval,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": stands.format(alert),
                    "eval_time": at,
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        for alert, at, series, fires in cases
    ]
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": evaluation_interval,
        "tests": tests,
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", str(tmp_path / "test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_window_that_stands_for_weeks_counts_once(tmp_path):
    """A gauge is scraped on while monitoring has stopped: that is no second window."""
    rules = rule_file([AlertRule(name="r", metric="mae", high=15.0, persistence=2)], service=False)
    value = 'vigia_model_measurement{metric="mae"}'
    end = 'vigia_model_window_end_timestamp_seconds{metric="mae"}'
    # 28 samples, six hours apart, are a week.
    cases = [
        ("R", "20d", {value: "18x90", end: "100x90"}, False),
        ("R", "6d", {value: "18x27 18x62", end: "100x27 200x62"}, False),
        ("R", "8d", {value: "18x27 18x62", end: "100x27 200x62"}, True),
        ("R", "8d", {value: "12x27 18x62", end: "100x27 200x62"}, False),
        # The third is late: the alert waits for it, a quarter of a window.
        ("R", "15d", {value: "18x27 18x62", end: "100x27 200x62"}, True),
        ("R", "16d", {value: "18x27 18x62", end: "100x27 200x62"}, False),
    ]
    _tried(tmp_path, rules, cases)


_REQUESTS = 'vigia_requests_total{{route="/invocations",status="{}"}}'.format
_SLOW = {
    'vigia_request_seconds_bucket{le="1"}': "0+{}x60",
    'vigia_request_seconds_bucket{le="10"}': "0+100x60",
    'vigia_request_seconds_bucket{le="+Inf"}': "0+100x60",
}


def _filled(series, *values):
    given = iter(values)
    return {name: text.format(next(given)) if "{}" in text else text for name, text in
            series.items()}  # fmt: skip


_ALL_OF = {_REQUESTS(200): "0+{}x60", _REQUESTS(503): "0+{}x60"}
_KEPT = {"vigia_predictions_total": "0+100x60", "vigia_predictions_stored_total": "0+{}x60"}
_OF_SERVICE = {
    "ServiceDown": ({'up{job="vigia"}': "0x60"}, {'up{job="vigia"}': "1x60"}),
    "ErrorBudgetBurns": (_filled(_ALL_OF, 80, 20), _filled(_ALL_OF, 90, 10)),
    "SlowestAnswers": (_filled(_SLOW, 95), _filled(_SLOW, 100)),
    "AnswersNotStored": (_filled(_KEPT, 98), _filled(_KEPT, 100)),
    "StoreUnreadable": ({"vigia_store_up": "0x60"}, {"vigia_store_up": "1x60"}),
}
"""Of each alert on the service, series where it fires and where it keeps quiet."""


def test_promtool_sees_each_alert_on_the_service_fire_and_keep_quiet(tmp_path):
    cases = [
        (alert, "50m", series, fires)
        for alert, both in _OF_SERVICE.items()
        for series, fires in zip(both, (True, False), strict=True)
    ]
    # Failures that are over do not burn on, and nobody's requests are no failures.
    was_down = {_REQUESTS(200): "0+100x60", _REQUESTS(503): "0+100x30 3000x30"}
    cases += [
        ("ErrorBudgetBurns", "50m", was_down, False),
        ("ErrorBudgetBurns", "50m", {_REQUESTS(200): "5x60"}, False),
        ("AnswersNotStored", "50m", {name: "5x60" for name in _KEPT}, False),
    ]
    _tried(tmp_path, rule_file([]), cases, interval="1m", evaluation_interval="1m")


# ------------------------------------------------------------------------------- the past


@pytest.fixture(scope="module")
def months():
    rng = np.random.default_rng(3)
    values = rng.normal(12, 1, 26)
    values[10:13] += 6
    return pd.concat(
        [
            weeks(*values, threshold_low=9.0, threshold_high=15.0),
            weeks(*rng.uniform(0, 0.1, 26), metric="psi", monitor="drift", feature="hour"),
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def of_the_past(months, tmp_path_factory):
    """Run a real Prometheus on half a year that was backfilled."""
    folder = tmp_path_factory.mktemp("prometheus")
    text = folder / "months.txt"
    text.write_text(openmetrics(months, deployment="flights"))
    done = promtool("tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data"))
    assert done.returncode == 0, done.stdout + done.stderr
    with prometheus({"global": {"scrape_interval": "1m"}}, folder) as address:
        yield address


def test_the_text_is_openmetrics_with_the_time_of_each_window(months):
    families = list(text_string_to_metric_families(openmetrics(months, deployment="flights")))
    measured = next(each for each in families if each.name == "vigia_model_measurement")
    assert len(measured.samples) == 52
    ends = sorted({float(sample.timestamp) for sample in measured.samples})
    assert ends == sorted(end.timestamp() for end in months["window_end"].unique())


def test_a_real_server_answers_what_the_table_says(of_the_past, months):
    one = months[months["metric"] == "psi"].iloc[7]
    found = query(
        of_the_past, 'vigia_model_measurement{metric="psi"}', at=one["window_end"].timestamp()
    )
    assert [float(each["value"][1]) for each in found] == [one["value"]]
    assert found[0]["metric"]["feature"] == "hour"


@pytest.mark.parametrize(
    "rule",
    [
        AlertRule(name="bound", metric="mae", high=15.0),
        AlertRule(name="twice", metric="mae", high=15.0, persistence=2),
        AlertRule(name="thrice", metric="mae", high=15.0, persistence=3),
        AlertRule(name="budget", metric="mae", false_alarms_per_year=4),
        AlertRule(name="below", metric="mae", low=11.5),
        AlertRule(name="either-side", metric="mae", low=12.0, high=12.5, persistence=2),
        AlertRule(name="enough", metric="mae", high=15.0, minimum=50, persistence=2),
        AlertRule(name="few", metric="mae", high=15.0, minimum=51),
    ],
    ids=lambda rule: rule.name,
)
def test_a_rule_says_the_same_in_prometheus_as_in_our_book(of_the_past, months, rule):
    ours = judged([rule], months)
    theirs = [
        bool(query(of_the_past, expression(rule), at=end.timestamp() + 1))
        for end in ours["window_end"]
    ]
    assert theirs == ours["alarm"].tolist()
    assert rule.name == "few" or any(theirs)


# ------------------------------------------------------------------------------- now


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *about):
        pass


@pytest.fixture
def hook():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    server.heard = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_prometheus_scrapes_the_endpoint_and_alertmanager_tells_the_webhook(hook, tmp_path):
    rule = AlertRule(name="error-rose", metric="mae", high=15.0, owner="ana")
    rules = write_rules(rule_file([rule]), tmp_path / "rules.yml")
    receiver = f"http://127.0.0.1:{hook.server_port}/hook"
    to = {"receiver": "hook", "group_wait": "0s", "group_interval": "1s"}
    manager_config = {
        "route": to,
        "receivers": [{"name": "hook", "webhook_configs": [{"url": receiver}]}],
    }
    with (
        example_endpoint() as endpoint,
        running(_with_models(endpoint)) as service,
        alertmanager(manager_config, tmp_path) as manager,
    ):
        name = endpoint.deployment.name
        endpoint.store.write_measurements(name, weeks(12.0, 18.0))
        with Client(service, access_key="a secret") as client:
            client.predict(FLIGHTS)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [_target("vigia", service)],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_host(manager)]}]}]},
        }
        with prometheus(config, tmp_path) as server:
            rows = until(lambda: query(server, "vigia_predictions_total"))
            assert float(rows[0]["value"][1]) == len(FLIGHTS)
            measured = until(lambda: query(server, "vigia_model_measurement"))
            assert float(measured[0]["value"][1]) == 18.0
            assert query(server, 'up{job="vigia"}')[0]["value"][1] == "1"
            heard = until(lambda: list(hook.heard))
    alert = heard[0]["alerts"][0]
    assert alert["status"] == "firing" and alert["labels"]["alertname"] == "ErrorRose"
    assert alert["labels"]["owner"] == "ana" and alert["labels"]["deployment"] == name


def _with_models(endpoint):
    app = create_app(endpoint, access_keys={"a secret": "tower"})
    app.state.routes.metrics.registry.register(ModelCollector(endpoint.store, refresh_s=0))
    return app


def _host(address):
    return address.removeprefix("http://")


def _target(job, address):
    return {"job_name": job, "static_configs": [{"targets": [_host(address)]}]}


def test_an_alert_waits_for_an_alertmanager_that_is_down(hook, tmp_path):
    rules = write_rules(rule_file([]), tmp_path / "rules.yml")
    document = yaml.safe_load(rules.read_text())
    always = {"alert": "Always", "expr": "vector(1)"}
    document["groups"].append({"name": "test", "rules": [always]})
    write_rules(document, rules)
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]},
    }
    receiver = f"http://127.0.0.1:{hook.server_port}/hook"
    manager_config = {
        "route": {"receiver": "hook", "group_wait": "0s"},
        "receivers": [{"name": "hook", "webhook_configs": [{"url": receiver}]}],
    }
    with prometheus(config, tmp_path) as server:
        until(lambda: query(server, 'ALERTS{alertstate="firing"}'))
        assert hook.heard == []
        with alertmanager(manager_config, tmp_path, port=port):
            heard = until(lambda: list(hook.heard))
    assert heard[0]["alerts"][0]["labels"]["alertname"] == "Always"


def test_the_endpoint_serves_on_while_nobody_scrapes_it():
    """Prometheus pulls: that it is down costs the service nothing."""
    with example_endpoint() as endpoint, running(_with_models(endpoint)) as service:
        with Client(service, access_key="a secret") as client:
            assert len(client.predict(FLIGHTS)) == len(FLIGHTS)


def test_a_deployment_of_a_store_of_its_own_is_shown_by_its_name(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/s.db") as store:
        from utils.store.example import SCHEMA

        store.add_deployment(DEPLOYMENT, SCHEMA)
        store.write_measurements("flights", weeks(1.0))
        ((labels, value),) = shown(ModelCollector(store))["vigia_model_measurement"]
        assert labels["deployment"] == "flights" and value == 1.0
