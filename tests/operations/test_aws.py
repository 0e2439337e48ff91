"""CloudWatch and Lambda: the real client, the real runtime, and a stand-in that says it is one."""

import ast
import base64
import hashlib
import importlib.util
import json
import sys
import sysconfig
import urllib.request
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
from utils.exporters import cloudwatch
from utils.exporters.cloudwatch import metric_data, statistics_data
from utils.exporters.cloudwatch_alarms import (
    LONGEST_NAME,
    NAMESPACE,
    alarms,
    dashboard_body,
    line_data,
    moved_to,
    publish,
)
from utils.monitors.constraints import statistics
from utils.operations import aws_stand_in
from utils.operations.aws_lambda import BadEvent, NoStore, change_of, handler
from utils.operations.aws_package import ALARMS, HANDLER, PACKAGES, deploy, modules, package
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
def connect(server):
    """Give boto3's own clients, in an account where nothing stands."""
    about = {
        "endpoint_url": server,
        "region_name": "sa-east-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    reset = urllib.request.Request(f"{server}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()
    opened = []

    def of(service):
        opened.append(boto3.client(service, **about))
        return opened[-1]

    yield of
    for each in opened:
        each.close()


@pytest.fixture
def client(connect):
    return connect("cloudwatch")


def read_back(client, metric, names, statistic, namespace=NAMESPACE):
    """Return what the server says of a metric, each day's, in order of time."""
    found = client.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in names.items()],
        StartTime=NOW - timedelta(days=13),
        EndTime=NOW,
        Period=86_400,
        Statistics=[statistic],
    )["Datapoints"]
    return [each[statistic] for each in sorted(found, key=lambda each: each["Timestamp"])]


def days(*values, end="2024-01-29", **more):
    starts = pd.date_range(end=pd.Timestamp(end, tz="UTC"), periods=len(values) + 1, freq="1D")
    table = weeks(*values, **more)
    return table.assign(window_start=starts[:-1], window_end=starts[1:])


# ------------------------------------------------------------------------------- metrics


def test_what_was_measured_is_read_back_as_statistics(client):
    table = pd.concat([days(11.0, np.nan, 13.0), days(0.2, 0.3, 0.4, metric="psi", feature="hour")])
    assert publish(client, line_data(table, deployment="flights"), now=NOW) == 5
    about = {"Deployment": "flights", "Monitor": "performance"}
    assert read_back(client, "psi", {**about, "Feature": "hour"}, "Average") == [0.2, 0.3, 0.4]
    assert read_back(client, "mae", about, "Average") == [11.0, 13.0]
    assert read_back(client, "mae", about, "SampleCount") == [1.0, 1.0]


def test_the_documented_metrics_of_a_schedule_are_read_back_under_their_names(client):
    settings = {"endpoint": "flights", "schedule": "daily"}
    drifted = days(0.1, 0.2, monitor="drift", metric="l_infinity_robust", feature="hour")
    publish(client, metric_data(drifted, **settings), now=NOW)
    numbers = statistics(pd.DataFrame({"hour": [5, 9, 22]}))
    publish(client, statistics_data(numbers, moment=NOW - timedelta(hours=1), **settings), now=NOW)
    about = {"Endpoint": "flights", "MonitoringSchedule": "daily"}
    space = "aws/sagemaker/Endpoints/data-metrics"
    read = read_back(client, "feature_baseline_drift_hour", about, "Average", space)
    assert read == [0.1, 0.2]
    for statistic, value in {"Sum": 36.0, "Minimum": 5.0, "Maximum": 22.0, "Average": 12.0}.items():
        assert read_back(client, "feature_data_hour", about, statistic, space) == [value]


def test_a_group_that_is_not_ascii_is_escaped_alike_in_metric_alarm_and_dashboard(client):
    table = days(16.0, 17.0, group="São Paulo")
    publish(client, line_data(table, deployment="voos"), now=NOW)
    about = {"Deployment": "voos", "Monitor": "performance", "Group": "S%C3%A3o Paulo"}
    assert read_back(client, "mae", about, "Average") == [16.0, 17.0]
    client.put_metric_alarm(**alarms([RULE], table, deployment="voos")[0])
    (alarm,) = client.describe_alarms()["MetricAlarms"]
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == about
    assert "S%C3%A3o Paulo" in dashboard_body(table, deployment="voos", region="sa-east-1")
    assert alarm["AlarmName"] == "voos/error-rose/performance/mae/São Paulo/high"


def test_windows_of_too_few_rows_are_not_sent(client):
    table = pd.concat([days(1.0, n=29), days(2.0, n=30, end="2024-01-28")])
    [found] = line_data(table, deployment="flights", minimum=30)
    assert [datum["Value"] for datum in found["MetricData"]] == [2.0]


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


def test_the_body_of_no_call_is_larger_than_it_may_be(client):
    one = days(1.0)
    wordy = one.loc[one.index.repeat(1_200)].assign(group=[f"{n:0>1000}" for n in range(1_200)])
    bodies = []
    client.meta.events.register(
        "before-call.cloudwatch.PutMetricData", lambda params, **_: bodies.append(params["body"])
    )
    assert publish(client, line_data(wordy, deployment="flights"), now=NOW) == 1_200
    sizes = [len(body) for body in bodies]
    assert len(sizes) == 3 and max(sizes) <= cloudwatch.MOST_BYTES + 1_000


@pytest.mark.parametrize("value", ["x" * 1_025, "ã" * 200, "  "])
def test_a_dimension_that_cloudwatch_would_not_take_is_refused_by_name(value):
    with pytest.raises(ValueError, match="^Group='.*': a dimension of CloudWatch has from 1 to"):
        line_data(days(1.0, group=value), deployment="flights")


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
    actions = {"critical": ["arn:aws:lambda:x:1:function:f"], "warning": ["arn:aws:sns:x:1:mail"]}
    found = alarms([RULE], table, deployment="flights", actions=actions)
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
    assert one["AlarmActions"] == actions["critical"] and one["TreatMissingData"] == "missing"


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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"window": "30min", "persistence": 49}, "persistence=49 is longer than the day that"),
        ({"window": "90s"}, "window='90s': CloudWatch evaluates whole minutes"),
        ({"runbook": "https://x/" + "y" * 1_024}, "its description has 1[0-9]{3} characters"),
    ],
)
def test_a_rule_that_cloudwatch_does_not_take_is_refused_by_name(changed, said):
    settings = {"name": "odd", "metric": "mae", "high": 1.0, "window": "1D"} | changed
    length = pd.Timedelta(settings["window"])
    table = days(1.0).assign(window_start=lambda rows: rows["window_end"] - length)
    with pytest.raises(ValueError, match=f"rule 'odd': .*{said}"):
        alarms([AlertRule(**settings)], table, deployment="flights")


def test_actions_of_no_severity_or_too_many_are_refused():
    with pytest.raises(ValueError, match="actions: 'panic': must be one of"):
        alarms([RULE], days(1.0), deployment="f", actions={"panic": ["arn"]})
    with pytest.raises(ValueError, match="actions: 'critical' has 6: an alarm has 5"):
        alarms([RULE], days(1.0), deployment="f", actions={"critical": ["arn"] * 6})


def test_two_lines_with_long_names_have_alarms_of_their_own(client):
    table = pd.concat([days(16.0, group="g" * 300 + end) for end in "ab"])
    names = [each["AlarmName"] for each in alarms([RULE], table, deployment="flights")]
    assert len(set(names)) == 2 and {len(name) for name in names} == {LONGEST_NAME}


def test_a_monitor_with_more_lines_than_a_widget_shows_has_several():
    one = days(1.0)
    lines = one.loc[one.index.repeat(501)].assign(group=[f"g{n}" for n in range(501)])
    body = json.loads(dashboard_body(lines, deployment="f", region="us-east-1"))
    assert [len(each["properties"]["metrics"]) for each in body["widgets"]] == [500, 1]
    assert [(each["x"], each["y"]) for each in body["widgets"]] == [(0, 0), (12, 0)]
    many = one.loc[one.index.repeat(2_501)].assign(group=[f"g{n}" for n in range(2_501)])
    with pytest.raises(ValueError, match="table: 2501 lines: a dashboard shows 2500"):
        dashboard_body(many, deployment="f", region="us-east-1")


_DOCUMENTED = {  # M of N = 3 of 3, then 2 of 3; five periods are looked at
    3: {
        "0-X-X": ("OK", "OK", "OK", "OK"),
        "0----": ("OK", "OK", "OK", "OK"),
        "-----": ("INSUFFICIENT_DATA", "retained", "ALARM", "OK"),
        "0XX-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
        "--X--": ("ALARM", "retained", "ALARM", "OK"),
    },
    2: {
        "0-X-X": ("ALARM", "ALARM", "ALARM", "ALARM"),
        "00X0X": ("ALARM", "ALARM", "ALARM", "ALARM"),
        "0-X--": ("OK", "OK", "ALARM", "OK"),
        "----0": ("OK", "OK", "ALARM", "OK"),
        "---X-": ("ALARM", "retained", "ALARM", "OK"),
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


@pytest.mark.parametrize("points", ["----X", "---X-"])
def test_a_point_alone_is_no_alarm_before_it_is_old_enough(points):
    """The next one may be within: "Avoiding premature transitions to alarm state"."""
    values = [{"X": 9.0, "-": None}[each] for each in points]
    asked = {"beyond": lambda value: value > 5, "needed": 3, "of": 3, "before": "OK"}
    assert state_of(values, treat_missing="missing", **asked) == "OK"
    assert state_of([None, None, *values[2:], None][-5:], treat_missing="ignore", **asked) == "OK"


def test_a_treatment_or_a_count_that_cloudwatch_does_not_know_is_refused():
    with pytest.raises(ValueError, match="treat_missing='skip': must be one of"):
        state_of([1.0], beyond=bool, needed=1, of=1, treat_missing="skip")
    with pytest.raises(ValueError, match="needed=2: must be from 1 to of=1"):
        state_of([1.0], beyond=bool, needed=2, of=1)


def test_the_stand_in_sets_the_state_and_calls_the_action_once_for_a_change(client):
    publish(client, line_data(days(12.0, 16.0, 17.0), deployment="flights"), now=NOW)
    for each in alarms([RULE], days(12.0), deployment="flights", actions={"critical": ["arn:f"]}):
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


def test_the_stand_in_calls_the_actions_of_the_state_that_is_new_and_only_if_enabled(client):
    [rule] = alarms([RULE], days(12.0), deployment="flights", actions={"critical": ["arn:rang"]})
    client.put_metric_alarm(**rule, OKActions=["arn:calm"], InsufficientDataActions=["arn:blind"])
    called = []

    def evaluate(now):
        evaluate_alarms(client, now=now, invoke=lambda arn, _: called.append(arn))

    publish(client, line_data(days(16.0, 17.0), deployment="flights"), now=NOW)
    evaluate(NOW)
    later = NOW + timedelta(days=1)
    publish(client, line_data(days(1.0, end="2024-01-30"), deployment="flights"), now=later)
    evaluate(later)
    evaluate(NOW + timedelta(days=9))
    assert called == ["arn:rang", "arn:calm", "arn:blind"]
    client.disable_alarm_actions(AlarmNames=[rule["AlarmName"]])
    evaluate(NOW + timedelta(days=1))
    assert len(called) == 3


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
        ({"source": "aws.cloudwatch"}, "detail-type=None: must be 'CloudWatch Alarm State Change'"),
        (
            from_eventbridge(event_of()) | {"detail-type": "CloudWatch Alarm Configuration Change"},
            "detail-type='CloudWatch Alarm Configuration Change': must be",
        ),
        (
            from_eventbridge(event_of()) | {"resources": []},
            "resources: must hold the alarm's ARN alone",
        ),
        (event_of("GONE"), "state='GONE': must be one of"),
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


def test_a_function_that_was_not_told_its_store_says_so(monkeypatch):
    monkeypatch.delenv("VIGIA_STORE_URL", raising=False)
    with pytest.raises(NoStore, match="VIGIA_STORE_URL: is not set"):
        handler(event_of(), None)


def test_the_example_events_of_the_documentation_are_read_but_for_their_description():
    """Their alarms are not ours, so what they ask for is not said."""
    state = {"value": "ALARM", "reason": "Threshold Crossed", "reasonData": "{}"}
    documented = {
        "source": "aws.cloudwatch",
        "alarmArn": "arn:aws:cloudwatch:us-east-1:444455556666:alarm:lambda-demo-metric-alarm",
        "accountId": "444455556666",
        "time": "2023-08-04T12:36:15.490+0000",
        "region": "us-east-1",
        "alarmData": {
            "alarmName": "lambda-demo-metric-alarm",
            "state": state | {"timestamp": "2023-08-04T12:36:15.490+0000"},
            "previousState": state | {"value": "INSUFFICIENT_DATA"},
            "configuration": {"description": "Metric Alarm to test Lambda actions", "metrics": []},
        },
    }
    with pytest.raises(BadEvent, match="the alarm's description is not the JSON"):
        change_of(documented)
    documented["alarmData"]["configuration"]["description"] = ALARM["AlarmDescription"]
    assert change_of(documented).key == f"{documented['alarmArn']}@2023-08-04T12:36:15.490000+00:00"


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


def test_what_the_zip_imports_of_others_is_what_its_layers_must_bring():
    found = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.split(".")[0] for name in _names(node)}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    assert found - set(sys.stdlib_module_names) - {"utils"} == set(PACKAGES)


def test_the_function_is_made_once_and_then_brought_up_to_date(archive, connect):
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    policy = {"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:AssumeRole"}]}
    made = connect("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(policy))
    functions = connect("lambda")
    arns = {
        deploy(
            functions,
            archive,
            name="vigia",
            role=made["Role"]["Arn"],
            store_url="postgresql://host/vigia",
            timeout_s=seconds,
        )
        for seconds in (10, 20)
    }
    assert arns == {"arn:aws:lambda:sa-east-1:123456789012:function:vigia"}
    stands = functions.get_function_configuration(FunctionName="vigia")
    digest = base64.b64encode(hashlib.sha256(archive.read_bytes()).digest()).decode()
    assert (stands["Handler"], stands["Timeout"], stands["CodeSha256"]) == (HANDLER, 20, digest)
    assert stands["Environment"]["Variables"] == {"VIGIA_STORE_URL": "postgresql://host/vigia"}
    allowed = json.loads(functions.get_policy(FunctionName="vigia")["Policy"])["Statement"][0]
    assert (allowed["Principal"], allowed["Action"]) == (
        {"Service": ALARMS},
        "lambda:InvokeFunction",
    )
    only = allowed["Condition"]["ArnLike"]["AWS:SourceArn"]
    assert only == "arn:aws:cloudwatch:sa-east-1:123456789012:alarm:*"


SITE = sysconfig.get_paths()["purelib"]


def awslambdaric():
    if importlib.util.find_spec("awslambdaric") is None:
        missing("awslambdaric")


def test_an_alarm_that_goes_off_has_awss_own_runtime_run_our_function_from_its_zip(
    client, archive, url
):
    awslambdaric()
    table = days(12.0, 16.0, 17.0)
    publish(client, line_data(table, deployment="flights"), now=NOW)
    actions = {"critical": ["arn:aws:lambda:sa-east-1:123456789012:function:vigia"]}
    for each in alarms([RULE], table, deployment="flights", actions=actions):
        client.put_metric_alarm(**each)
    about = {"environment": {"VIGIA_STORE_URL": url}, "layers": [SITE]}
    done = []

    def invoke(arn, event):
        done.append((arn, call_later(lambda each: call(archive, HANDLER, each, **about), event)))

    evaluate_alarms(client, now=NOW, invoke=invoke)
    ((arn, outcome),) = done
    assert [arn] == actions["critical"]
    assert (outcome.how, outcome.answer) == ("answered", {"action": "retrain", "new": True})
    with open_store(url) as store:
        (asked,) = store.events("action/flights")
    assert (asked.kind, asked.body["line"]) == ("retrain", ["performance", "mae", "", ""])


def zipped(path, code):
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("own.py", f"def handler(event, context):\n    {code}\n")
    return path


def test_a_function_that_fails_is_tried_twice_more_and_its_event_kept(tmp_path):
    awslambdaric()
    failing = zipped(tmp_path / "failing.zip", "raise LookupError(event['said'])")
    slept, dead = [], []
    done = call_later(
        lambda event: call(failing, "own.handler", event, layers=[SITE]),
        {"said": "no such thing"},
        sleep=slept.append,
        dead_letter=lambda *about: dead.append(about),
    )
    assert (done.how, done.error["errorType"]) == ("failed", "LookupError")
    assert done.error["errorMessage"] == "no such thing"
    assert slept == [60.0, 120.0] and dead == [({"said": "no such thing"}, done)]


@pytest.mark.parametrize(
    ("code", "handler", "kind"),
    [
        ("import os; os._exit(3)", "own.handler", "Runtime.ExitError"),
        ("pass", "gone.handler", "Runtime.ImportModuleError"),
        ("pass", "own.gone", "Runtime.HandlerNotFound"),
    ],
)
def test_a_function_that_ends_or_cannot_start_has_failed_at_once(tmp_path, code, handler, kind):
    awslambdaric()
    done = call(zipped(tmp_path / "own.zip", code), handler, {}, timeout_s=60, layers=[SITE])
    assert (done.how, done.error["errorType"]) == ("failed", kind)


def test_a_function_that_hangs_is_killed_at_its_deadline(tmp_path):
    awslambdaric()
    slow = zipped(tmp_path / "slow.zip", "import time; time.sleep(600)")
    done = call(slow, "own.handler", {}, timeout_s=2, layers=[SITE])
    assert (done.how, done.answer, done.error) == ("timed out", None, None)


def test_a_call_that_works_the_second_time_is_not_made_again():
    outcomes = [
        aws_stand_in.Outcome(how="timed out"),
        aws_stand_in.Outcome(how="answered", answer=1),
    ]
    slept = []
    assert call_later(lambda event: outcomes.pop(0), {}, sleep=slept.append).answer == 1
    assert slept == [60.0]


def test_nothing_of_the_toolkit_knows_the_stand_in_or_an_address_of_its_own():
    """It goes when the endpoint's address is dropped, and nothing else changes."""
    root = Path(utils.__file__).parent
    for path in root.rglob("*.py"):
        if path.name != "aws_stand_in.py" and "course" not in path.relative_to(root).parts:
            assert "aws_stand_in" not in path.read_text(encoding="utf-8"), path
    for name in ("exporters/cloudwatch.py", "exporters/cloudwatch_alarms.py"):
        assert _calls_no_boto3(root / name), name
    for name in ("aws_lambda.py", "aws_package.py", "aws_costs.py", "aws_stand_in.py"):
        assert _calls_no_boto3(root / "operations" / name), name


def _calls_no_boto3(path):
    """Tell whether a module takes its clients from outside, and names no address for one."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {name for node in ast.walk(tree) for name in _names(node)}
    said = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    return not {"boto3", "botocore", "moto"} & imported and "endpoint_url" not in said


def _names(node):
    is_import = isinstance(node, ast.Import | ast.ImportFrom)
    return [each.name for each in node.names] if is_import else []
