"""A plan file: what it says, and what is said of one that cannot be used."""

from datetime import timedelta

import pytest
import yaml

from utils.operations.monitors import InProcess
from utils.operations.plans import BadPlan, read_plan
from utils.operations.rules import BadRules
from utils.operations.runbooks import RULES

SAMPLE = RULES.parent / "plan.yaml"
LEAST = {
    "deployment": "flights",
    "task": "regression",
    "loss": "mae",
    "schedule": {"cron": "cron(0 12 ? * MON *)", "start": "-P7DT12H", "end": "-PT12H"},
    "rules": str(RULES),
    "canary": {"harm": 0.5},
}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a plan file: the least one, changed; ``None`` leaves out."""

    def write(**changed):
        plan = {name: value for name, value in (LEAST | changed).items() if value is not None}
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(plan), encoding="utf-8")
        return path

    return write


def test_the_plan_that_is_given_to_be_copied_can_be_read():
    asked = []
    file = read_plan(SAMPLE, by_notebook=lambda measuring: asked.append(measuring) or print)
    plan = file.plan
    assert (plan.deployment, plan.task, plan.loss) == ("flights", "regression", "mae")
    assert plan.judged == timedelta(days=14) and plan.limits.pause == timedelta(days=21)
    assert plan.limits.settled == timedelta(hours=12)
    assert plan.gated == ("promote",) and plan.source_column == "carrier"
    assert [each.window for each in asked] == ["604800s"]
    assert asked[0].roles.group_columns == ("origin",)


def test_what_is_not_said_is_as_the_loop_has_it(written):
    plan = read_plan(written()).plan
    assert plan.canary.share == 0.1 and plan.limits.ripe == 0.9
    assert [each.name for each in plan.remedies] == ["retrain"] and plan.gated == ()


def test_the_monitors_run_in_this_process_where_the_plan_says_so(written):
    asked = []
    file = read_plan(written(monitor="process"), by_notebook=asked.append)
    assert isinstance(file.plan.monitor, InProcess) and not asked


def test_rules_are_looked_for_beside_the_plan(written, tmp_path):
    path = written(rules="mine.yaml")
    with pytest.raises(BadRules, match="mine.yaml: cannot be read"):
        read_plan(path)
    (tmp_path / "mine.yaml").write_text("- {name: error-rose, metric: mae, high: 15}")
    assert [rule.name for rule in read_plan(path).plan.rules] == ["error-rose"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"deployment": None}, "deployment is missing"),
        ({"canary": None}, "canary is missing"),
        ({"judge": "P7D"}, "'judge' is no field; did you mean 'judged'?"),
        ({"judged": "seven days"}, "judged='seven days': must be an ISO 8601 duration"),
        ({"judged": "P0D"}, "judged=0:00:00: must be above 0"),
        ({"task": "ranking"}, "task='ranking': must be one of"),
        ({"loss": "rmse"}, "loss='rmse': must be one of"),
        ({"margin": "none"}, "margin='none': must be a number"),
        ({"margin": -1}, "margin=-1.0: must be 0 or more"),
        ({"margin": True}, "margin=True: must be a number"),
        ({"paired": "no"}, "paired='no': must be true or false"),
        ({"group_columns": "origin"}, "group_columns='origin': must be a list of texts"),
        ({"gated": ["deploy"]}, "gated: 'deploy' is no step that waits"),
        ({"remedies": ["retrian"]}, "remedies: 'retrian' is none; did you mean 'retrain'?"),
        ({"remedies": []}, "remedies=(): at least one is needed"),
        ({"monitor": "by hand"}, "monitor='by hand': must be one of notebook, process"),
        ({"language": "fr"}, "language='fr': must be one of pt, en"),
        ({"limits": 3}, "limits=3: must be a mapping of fields"),
        ({"limits": {"ripeness": 1}}, "limits: 'ripeness' is no field; did you mean 'ripe'?"),
        ({"limits": {"ripe": 2.0}}, "limits: ripe=2.0: must be a share above 0"),
        ({"limits": {"pause": 21}}, "pause=21: must be an ISO 8601 duration"),
        ({"canary": {}}, "canary: harm is missing"),
        ({"canary": {"harm": -1}}, "canary: harm=-1: must be above 0"),
        ({"canary": {"harm": "much"}}, "canary: harm='much': must be a number"),
        ({"canary": {"harm": 1, "block": 7}}, "canary: block=7: must be a text"),
        ({"limits": {"least_rows": 0.5}}, "limits: least_rows=0.5: must be a whole number"),
        ({"schedule": {"cron": "cron(0 12 ? * MON *)"}}, "schedule: start is missing"),
        (
            {"schedule": LEAST["schedule"] | {"cron": "every Monday"}},
            "schedule: cron='every Monday': SageMaker takes",
        ),
        (
            {"schedule": LEAST["schedule"] | {"start": "-PT1H"}},
            "schedule: start='-PT1H': must lie before end='-PT12H'",
        ),
        (
            {"schedule": LEAST["schedule"] | {"end": "-PT6H"}},
            "schedule: the windows of 7 days, 6:00:00",
        ),
        (
            {"schedule": LEAST["schedule"] | {"start": "-P7DT6H", "end": "-PT6H"}},
            "none begins at 2023-12-25T06:00:00+00:00",
        ),
    ],
)
def test_a_plan_that_cannot_be_used_says_which_field_and_why(written, changed, said):
    path = written(**changed)
    with pytest.raises(BadPlan) as raised:
        read_plan(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping of fields, not NoneType"),
        ("- deployment: flights", "must be a mapping of fields, not list"),
        ("deployment: [", "is no YAML"),
        ("\x00", "is no YAML"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path, text, said):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(BadPlan, match=said):
        read_plan(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadPlan, match="plan.yaml: cannot be read"):
        read_plan(tmp_path / "plan.yaml")
