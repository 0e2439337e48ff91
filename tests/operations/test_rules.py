"""Rules as data: what a file may say, and what a rule says of a table."""

import numpy as np
import pandas as pd
import pytest

from tests.operations.conftest import weeks
from utils.operations.rules import BadRules, judged, read_rules
from utils.records import AlertRule

RULE = AlertRule(name="error-rose", metric="mae", high=15.0)


@pytest.fixture
def written(tmp_path):
    def write(text, name="rules.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_says_every_field_of_a_rule(written):
    path = written(
        """
- name: error-rose
  metric: mae
  monitor: performance
  group: JFK
  high: 15
  window: 1D
  persistence: 2
  minimum: 30
  severity: critical
  action: retrain
  owner: flights-team
  runbook: performance.md
- {name: any-drift, metric: jensen_shannon, false_alarms_per_year: 4}
"""
    )
    first, second = read_rules(path)
    assert first == AlertRule(
        name="error-rose",
        metric="mae",
        monitor="performance",
        group="JFK",
        high=15.0,
        window="1D",
        persistence=2,
        minimum=30,
        severity="critical",
        action="retrain",
        owner="flights-team",
        runbook="performance.md",
    )
    assert second.false_alarms_per_year == 4.0 and second.high is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: x}", "must be a list of rules, not dict"),
        ("", "must be a list of rules, not NoneType"),
        ("- error", "rule 1 must be a mapping, not str"),
        (
            "- {name: a, metric: mae, high: 1, hihg: 2}",
            "rule 'a': 'hihg' is no field; did you mean",
        ),
        ("- {metric: mae, high: 1}", "rule 1: name is missing"),
        ("- {name: a, high: 1}", "rule 'a': metric is missing"),
        ("- {name: a, metric: mae, high: much}", "rule 'a': high='much': must be a number"),
        ("- {name: a, metric: mae, high: .inf}", "high=inf: must be a number"),
        ("- {name: a, metric: mae, high: true}", "high=True: must be a number"),
        ("- {name: a, metric: mae, high: 1, persistence: 1.5}", "persistence=1.5: must be a whole"),
        ("- {name: a, metric: mae, high: 1, persistence: 0}", "persistence=0: must be at least 1"),
        ("- {name: a, metric: mae, high: 1, owner: 7}", "owner=7: must be a text"),
        ("- {name: a, metric: mae, high: 1, window: soon}", "rule 'a': window='soon'"),
        ("- {name: a, metric: mae, high: 1, severity: loud}", "severity='loud': must be one of"),
        ("- {name: a, metric: mae}", "bounds or a budget, and not both"),
        (
            "- {name: a, metric: mae, high: 1}\n- {name: a, metric: rmse, high: 1}",
            "rule 'a' stands there twice",
        ),
        ("- {name: a, metric: [", "is no YAML"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line_that_names_what_to_mend(written, text, said):
    path = written(text)
    with pytest.raises(BadRules) as refused:
        read_rules(path)
    assert str(refused.value).startswith(str(path)) and said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(BadRules, match="cannot be read"):
        read_rules(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRules, match="is no YAML"):
        read_rules(tmp_path / "bytes.yaml")


def test_an_alarm_needs_so_many_windows_in_a_row(rng):
    table = weeks(12, 16, 12, 16, 17, 18)
    alarm = judged([AlertRule(name="r", metric="mae", high=15, persistence=2)], table)["alarm"]
    assert alarm.tolist() == [False, False, False, False, True, True]


def test_a_window_that_says_nothing_neither_counts_nor_clears():
    table = weeks(16, np.nan, 17, 12)
    two = AlertRule(name="r", metric="mae", high=15, persistence=2)
    assert judged([two], table)["alarm"].tolist() == [False, False, True, False]
    few = table.assign(n_current=[50, 50, 3, 50])
    needs = AlertRule(name="r", metric="mae", high=15, persistence=2, minimum=30)
    found = judged([needs], few)
    assert found["known"].tolist() == [True, False, False, True] and not found["alarm"].any()


def test_bounds_are_inclusive_and_both_sides_count():
    rule = AlertRule(name="r", metric="mae", low=10, high=15)
    assert judged([rule], weeks(10, 15, 9.9, 15.1))["outside"].tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_a_budget_takes_the_thresholds_that_were_measured():
    table = weeks(1.0, 3.0, threshold_high=2.0)
    rule = AlertRule(name="r", metric="mae", false_alarms_per_year=4)
    found = judged([rule], table)
    assert found["alarm"].tolist() == [False, True] and found["high"].tolist() == [2.0, 2.0]
    never = judged([rule], weeks(1.0, 3.0))
    assert not never["alarm"].any()


def test_a_rule_looks_at_its_own_lines_and_windows_alone():
    table = pd.concat(
        [
            weeks(20, metric="mae", group="JFK"),
            weeks(20, metric="mae", group="EWR"),
            weeks(20, metric="rmse"),
            weeks(20, metric="mae", monitor="estimated_performance"),
        ]
    )
    assert len(judged([RULE], table)) == 3
    own = AlertRule(name="r", metric="mae", monitor="performance", group="JFK", high=15)
    assert judged([own], table)["group"].tolist() == ["JFK"]
    daily = AlertRule(name="r", metric="mae", high=15, window="1D")
    assert judged([daily], table).empty


def test_lines_do_not_lend_each_other_their_windows():
    table = pd.concat([weeks(16, 12, feature="a"), weeks(12, 16, feature="b")])
    rule = AlertRule(name="r", metric="mae", high=15, persistence=2)
    assert not judged([rule], table)["alarm"].any()


def test_no_rules_say_nothing():
    assert judged([], weeks(20)).empty
