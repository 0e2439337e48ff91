"""CloudWatch and Lambda: the real client, the real runtime, and a stand-in that says it is one."""

import ast
import importlib.util
import json
import sysconfig
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

import utils
from tests.operations.conftest import weeks
from tests.services import free_port, missing
from utils.exporters.cloudwatch_alarms import (
    NAMESPACE,
    alarms,
    dashboard_body,
    line_data,
    moved_to,
    publish,
)
from utils.operations import aws_stand_in
from utils.operations.aws_lambda import BadEvent, change_of, handler
from utils.operations.aws_package import HANDLER, modules, package
from utils.operations.aws_stand_in import alarm_event, call, call_later, evaluate_alarms, state_of
from utils.records import AlertRule
from utils.store import open_store
from utils.store.example import DEPLOYMENT, SCHEMA

NOW = datetime(2024, 1, 29, 1, tzinfo=UTC)
RULE = AlertRule(
    name="error-rose",
    metric="mae",
    high=15.0,
    window="1D",
    persistence=2,
    action="retrain",
    severity="critical",
    owner="ana",
)


@pytest.fixture(scope="module")
def server():
    port = free_port()
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def client(server):
    """Give CloudWatch's own client, in an account where nothing stands."""
    about = {
        "endpoint_url": server,
        "region_name": "sa-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    import urllib.request

    urllib.request.urlopen(
        urllib.request.Request(f"{server}/moto-api/reset", method="POST"), timeout=10
    ).close()
    opened = boto3.client("cloudwatch", **about)
    yield opened
    opened.close()


def days(*values, end="2024-01-29", **more):
    starts = pd.date_range(end=pd.Timestamp(end, tz="UTC"), periods=len(values) + 1, freq="1D")
    table = weeks(*values, **more)
    return table.assign(window_start=starts[:-1], window_end=starts[1:])


# ------------------------------------------------------------------------------- metrics


def test_what_was_measured_is_read_back_as_statistics(client):
    table = pd.concat([days(11.0, np.nan, 13.0), days(0.2, 0.3, 0.4, metric="psi", feature="hour")])
    assert publish(client, line_data(table, deployment="flights"), now=NOW) == 5
    found = client.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="psi",
        Dimensions=[
            {"Name": "Deployment", "Value": "flights"},
            {"Name": "Monitor", "Value": "performance"},
            {"Name": "Feature", "Value": "hour"},
        ],
        StartTime=NOW - timedelta(days=9),
        EndTime=NOW,
        Period=86_400,
        Statistics=["Average", "SampleCount"],
    )["Datapoints"]
    read = [point["Average"] for point in sorted(found, key=lambda each: each["Timestamp"])]
    assert read == [0.2, 0.3, 0.4]


def test_a_past_that_cloudwatch_would_drop_is_refused_and_may_be_moved(client):
    table = weeks(11.0, 12.0)
    late = NOW + timedelta(days=40)
    with pytest.raises(ValueError, match="mae: its time, 2024-01-08 .* from two weeks ago"):
        publish(client, line_data(table, deployment="flights"), now=late)
    assert client.list_metrics(Namespace=NAMESPACE)["Metrics"] == []
    moved = moved_to(table, late)
    assert publish(client, line_data(moved, deployment="flights"), now=late) == 2
    assert (moved["window_end"] - moved["window_start"]).eq(pd.Timedelta("7D")).all()


def test_a_call_holds_no_more_than_it_may(client):
    one = days(1.0)
    many = one.loc[one.index.repeat(1_001)].assign(group=[f"g{n}" for n in range(1_001)])
    calls = line_data(many, deployment="flights")
    assert [len(call["MetricData"]) for call in calls] == [1_000, 1]


def test_the_dashboard_is_accepted_and_shows_every_line(client):
    table = pd.concat([days(1.0), days(0.3, metric="psi", monitor="drift", feature="hour")])
    body = dashboard_body(table, deployment="flights", region="sa-east-1")
    client.put_dashboard(DashboardName="flights", DashboardBody=body)
    widgets = json.loads(client.get_dashboard(DashboardName="flights")["DashboardBody"])["widgets"]
    assert [each["properties"]["title"] for each in widgets] == [
        "flights: drift",
        "flights: performance",
    ]


# ------------------------------------------------------------------------------- alarms


def test_a_rule_becomes_an_alarm_for_each_line_with_what_the_one_who_acts_needs(client):
    table = pd.concat([days(12.0, group="JFK"), days(13.0, group="EWR")])
    found = alarms([RULE], table, deployment="flights", actions=["arn:aws:lambda:x:1:function:f"])
    for each in found:
        client.put_metric_alarm(**each)
    stand = client.describe_alarms()["MetricAlarms"]
    assert sorted(each["AlarmName"] for each in stand) == [
        "flights/error-rose/performance/mae/EWR/high",
        "flights/error-rose/performance/mae/JFK/high",
    ]
    one = stand[0]
    assert (one["Period"], one["EvaluationPeriods"], one["DatapointsToAlarm"]) == (86_400, 2, 2)
    assert (one["Threshold"], one["ComparisonOperator"]) == (15.0, "GreaterThanThreshold")
    told = json.loads(one["AlarmDescription"])
    assert (told["action"], told["owner"], told["deployment"]) == ("retrain", "ana", "flights")


def test_a_budget_has_the_thresholds_that_were_measured_last():
    rule = AlertRule(name="any", metric="mae", window="1D", false_alarms_per_year=4)
    table = days(1.0, 2.0, threshold_low=0.5, threshold_high=3.0)
    table.loc[1, "threshold_high"] = 4.0
    sides = {a["ComparisonOperator"]: a["Threshold"] for a in alarms([rule], table, deployment="f")}
    assert sides == {"LessThanThreshold": 0.5, "GreaterThanThreshold": 4.0}


def test_what_cloudwatch_does_not_evaluate_is_refused():
    weekly = AlertRule(name="slow", metric="mae", high=1.0, window="7D", persistence=2)
    with pytest.raises(ValueError, match="rule 'slow': window='7D' times persistence=2 is longer"):
        alarms([weekly], weeks(1.0), deployment="flights")


_DOCUMENTED = {  # M of N = 3 of 3, then 2 of 3; five periods are looked at
    3: {
        "0-X-X": ("OK", "OK", "OK", "OK"),
        "----0": ("OK", "OK", "OK", "OK"),
        "-----": ("INSUFFICIENT_DATA", "retained", "ALARM", "OK"),
        "0XX-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
        "--X--": ("ALARM", "retained", "ALARM", "OK"),
    },
    2: {
        "0-X-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
        "00X0X": ("ALARM", "ALARM", "ALARM", "ALARM"),
        "0-X--": ("OK", "OK", "ALARM", "OK"),
        "----0": ("OK", "OK", "ALARM", "OK"),
        "----X": ("ALARM", "retained", "ALARM", "OK"),
    },
}


@pytest.mark.parametrize(
    ("needed", "points", "states"),
    [(needed, points, s) for needed, each in _DOCUMENTED.items() for points, s in each.items()],
)
def test_missing_data_are_treated_as_the_documentation_tells(needed, points, states):
    values = [{"0": 0.0, "X": 9.0, "-": None}[each] for each in points]
    ways = ("missing", "ignore", "breaching", "notBreaching")
    for way, state in zip(ways, states, strict=True):
        for before in ("OK", "ALARM"):
            expected = before if state == "retained" else state
            found = state_of(
                values,
                beyond=lambda value: value > 5,
                needed=needed,
                of=3,
                treat_missing=way,
                before=before,
            )
            assert found == expected, (way, before)


def test_the_stand_in_sets_the_state_and_calls_the_action_once_for_a_change(client):
    publish(client, line_data(days(12.0, 16.0, 17.0), deployment="flights"), now=NOW)
    for each in alarms([RULE], days(12.0), deployment="flights", actions=["arn:f"]):
        client.put_metric_alarm(**each)
    called = []
    for _ in range(2):
        evaluate_alarms(client, now=NOW, invoke=lambda *about: called.append(about))
    (alarm,) = client.describe_alarms()["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
    ((action, event),) = called
    change = change_of(event)
    assert action == "arn:f" and change.state == "ALARM" and change.asks["action"] == "retrain"
    quiet = days(12.0, 16.0, 17.0, 11.0, end="2024-01-30")
    later = NOW + timedelta(days=1)
    publish(client, line_data(quiet.tail(1), deployment="flights"), now=later)
    assert evaluate_alarms(client, now=later, invoke=called.append)[0][1] == "OK"
    assert len(called) == 1


# ------------------------------------------------------------------------------- the function

ALARM = {
    "AlarmName": "flights/error-rose",
    "AlarmArn": "arn:aws:cloudwatch:sa-east-1:123456789012:alarm:flights/error-rose",
    "AlarmDescription": json.dumps(
        {"deployment": "flights", "rule": "error-rose", "action": "retrain"}
    ),
    "StateValue": "OK",
    "Namespace": NAMESPACE,
    "MetricName": "mae",
    "Dimensions": [{"Name": "Deployment", "Value": "flights"}],
    "Period": 86_400,
    "Statistic": "Average",
}


def event_of(state="ALARM", **changed):
    return alarm_event(ALARM | changed, state=state, reason="two of two", at=NOW)


def from_eventbridge(event):
    return {
        "version": "0",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": event["accountId"],
        "time": "2024-01-29T01:00:00Z",
        "region": event["region"],
        "resources": [event["alarmArn"]],
        "detail": event["alarmData"],
    }


@pytest.fixture
def url(tmp_path, monkeypatch):
    address = f"sqlite:///{tmp_path}/store.db"
    with open_store(address) as store:
        store.add_deployment(DEPLOYMENT, SCHEMA)
    monkeypatch.setenv("VIGIA_STORE_URL", address)
    return address


@pytest.mark.parametrize("form", [lambda event: event, from_eventbridge])
def test_an_alarm_asks_for_its_action_once_however_often_aws_calls(url, form):
    assert handler(form(event_of()), None) == {"action": "retrain", "new": True}
    assert handler(form(event_of()), None) == {"action": "retrain", "new": False}
    with open_store(url) as store:
        (asked,) = store.events("action/flights")
    assert (asked.kind, asked.at) == ("retrain", NOW)
    assert asked.body["rule"] == "error-rose" and asked.body["reason"] == "two of two"


def test_a_change_that_is_no_alarm_asks_for_nothing(url):
    assert handler(event_of("OK"), None) == {"action": None, "new": False}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ([], "must be an object, not list"),
        ({}, "source=None: must be 'aws.cloudwatch'"),
        ({"source": "aws.cloudwatch"}, "resources: must hold the alarm's ARN alone"),
        ({"source": "aws.cloudwatch", "alarmData": {}}, "alarmArn is missing"),
        (event_of(AlarmDescription="a plain text"), "is not the JSON that our alarms have"),
        (event_of(AlarmDescription='{"deployment": "f", "rule": "r"}'), "action is missing"),
        (
            event_of(AlarmDescription='{"deployment": "f", "rule": "r", "action": "panic"}'),
            "action='panic': must be one of",
        ),
    ],
)
def test_an_event_that_is_none_is_refused_by_name(event, said):
    with pytest.raises(BadEvent, match=said.replace("(", r"\(")):
        change_of(event)


def test_a_moment_that_is_none_is_refused():
    event = event_of()
    event["alarmData"]["state"]["timestamp"] = "yesterday"
    with pytest.raises(BadEvent, match="timestamp='yesterday'"):
        change_of(event)


# ------------------------------------------------------------------------------- the zip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return package(tmp_path_factory.mktemp("lambda") / "vigia.zip")


def test_the_zip_is_the_same_each_time_small_and_holds_what_is_imported_alone(archive, tmp_path):
    again = package(tmp_path / "again.zip")
    assert archive.read_bytes() == again.read_bytes() and archive.stat().st_size < 200_000
    names = set(zipfile.ZipFile(archive).namelist())
    assert {"utils/operations/aws_lambda.py", "utils/store/store.py", "utils/records.py"} <= names
    assert not any(name.startswith(("utils/course", "utils/monitors")) for name in names)
    assert len(names) == len(modules())


SITE = sysconfig.get_paths()["purelib"]


def awslambdaric():
    if importlib.util.find_spec("awslambdaric") is None:
        missing("awslambdaric")


def test_awss_own_runtime_client_runs_the_function_from_its_zip(archive, url):
    awslambdaric()
    about = {"environment": {"VIGIA_STORE_URL": url}, "layers": [SITE]}
    done = call(archive, HANDLER, event_of(), **about)
    assert (done.how, done.answer) == ("answered", {"action": "retrain", "new": True})
    with open_store(url) as store:
        assert [each.kind for each in store.events("action/flights")] == ["retrain"]


def test_a_function_that_fails_is_tried_twice_more_and_its_event_kept(archive, url):
    awslambdaric()
    about = {"environment": {"VIGIA_STORE_URL": url}, "layers": [SITE]}
    slept, dead = [], []
    done = call_later(
        lambda event: call(archive, HANDLER, event, **about),
        {"source": "somebody"},
        sleep=slept.append,
        dead_letter=lambda *about: dead.append(about),
    )
    assert done.how == "failed" and done.error["errorType"] == "BadEvent"
    assert slept == [60.0, 120.0] and dead[0][0] == {"source": "somebody"}


def test_a_function_that_hangs_is_killed_at_its_deadline(tmp_path):
    awslambdaric()
    with zipfile.ZipFile(tmp_path / "slow.zip", "w") as packed:
        packed.writestr(
            "slow.py", "import time\ndef handler(event, context):\n    time.sleep(60)\n"
        )
    began = time.monotonic()
    done = call(tmp_path / "slow.zip", "slow.handler", {}, timeout_s=3, layers=[SITE])
    assert done.how == "timed out" and time.monotonic() - began < 30


def test_a_call_that_works_the_second_time_is_not_made_again():
    outcomes = [
        aws_stand_in.Outcome(how="timed out"),
        aws_stand_in.Outcome(how="answered", answer=1),
    ]
    slept = []
    assert call_later(lambda event: outcomes.pop(0), {}, sleep=slept.append).answer == 1
    assert slept == [60.0]


def test_nothing_of_the_toolkit_imports_the_stand_in():
    """It goes when the endpoint's address is dropped, and nothing else changes."""
    for path in Path(utils.__file__).parent.rglob("*.py"):
        if path.name == "aws_stand_in.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [getattr(node, "module", "") or "", *_names(node)]
            assert not any("aws_stand_in" in name for name in names), path


def _names(node):
    is_import = isinstance(node, ast.Import | ast.ImportFrom)
    return [each.name for each in node.names] if is_import else []
