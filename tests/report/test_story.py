"""What is told first, of findings made by hand."""

from dataclasses import replace

import pytest

from tests.report.builders import current
from tests.report.findings import ALERTS, NAN, TABLE, alert, line, quiet, report
from utils.records import measurements
from utils.report import story
from utils.text import using


@pytest.fixture(autouse=True)
def english():
    with using("en"):
        yield


def test_the_alerts_of_a_line_are_in_one_case_and_its_windows_are_counted():
    first, second, third = story.cases(ALERTS, measurements(TABLE))
    assert [first.name, second.name, third.name] == [
        "accuracy",
        "channel, Jensen–Shannon distance",
        "amount, Jensen–Shannon distance",
    ]
    assert (first.n_windows, second.n_windows, third.n_windows) == (1, 2, 2)
    assert len(third.alerts) == 2 and len(second.alerts) == 1
    assert third.worst.value == 0.4
    assert story.when(second) == "15 Apr 2024 – 29 Apr 2024 (2 windows)"
    assert story.when(first) == "15 Apr 2024 – 22 Apr 2024 (1 window)"
    assert story.when(third) == "8 Apr 2024 – 29 Apr 2024 (2 windows)"


def test_the_metrics_of_one_monitor_on_one_thing_are_one_case():
    metrics = {"accuracy": (0, 1), "f1": (1,), "brier": (1, 3)}
    rows = [
        row
        for metric, weeks in metrics.items()
        for row in line("performance", metric, [0.5] * 4, alarms=weeks)
    ]
    rows += line("performance", "accuracy", [0.5] * 4, alarms=(2,), group="north")
    alerts = [
        alert("performance", "brier", 1, 0.9),
        alert("performance", "f1", 1, 0.3),
        alert("performance", "accuracy", 0, 0.4),
        alert("performance", "accuracy", 2, 0.4, group="north"),
    ]
    everyone, north = story.cases(alerts, measurements(rows))
    assert (everyone.name, everyone.also) == ("accuracy", ("F1", "Brier score"))
    assert everyone.n_windows == 3
    assert (north.name, north.also) == ("north, accuracy", ())
    made = report(rows, alerts)
    assert made.answers[0].lines == ("Performance: accuracy (and 2 more) · accuracy, north.",)
    assert "4 of the 4 lines" in made.verdict and "Cases: 2;" in made.verdict


def test_the_alert_that_calls_for_most_speaks_for_its_case():
    rows = [
        *line("drift", "psi", [1.0] * 3, alarms=(0, 1, 2), feature="a"),
        *line("drift", "jensen_shannon", [1.0] * 3, alarms=(0, 1, 2), feature="a"),
    ]
    dismissed = alert("drift", "psi", 0, 9.0, feature="a", action="dismiss", severity="critical")
    warned = alert("drift", "psi", 1, 0.5, feature="a", action="retrain")
    worse = alert("drift", "psi", 2, 0.7, feature="a", action="retrain")
    later = alert("drift", "jensen_shannon", 1, 0.9, feature="a", action="retrain")
    urgent = replace(later, severity="critical")
    for alerts, speaks in (
        ([dismissed, warned], warned),
        ([warned, worse, later], worse),
        ([dismissed, warned, worse, urgent], urgent),
    ):
        (case,) = story.cases(alerts, measurements(rows))
        assert case.worst == speaks
        assert not case.is_dismissed
    (case,) = story.cases([dismissed], measurements(rows))
    assert case.is_dismissed


def order(*named):
    """Return the names of the cases of alerts, each of a line of its own, in their order."""
    alerts = [alert(**fields, week=0, value=0.5) for fields in named]
    rows = [
        row
        for each in alerts
        for row in line(
            each.monitor, each.metric, [0.5], alarms=(0,), feature=each.feature, group=each.group
        )
    ]
    return [case.name for case in story.cases(alerts, measurements(rows))]


def test_what_calls_for_something_comes_before_what_may_be_dismissed():
    drift = {"monitor": "drift", "metric": "x"}
    assert order(
        {**drift, "feature": "a", "action": "dismiss", "severity": "critical"},
        {**drift, "feature": "b"},
    ) == ["b, x", "a, x"]


def test_critical_comes_before_warning_harm_before_change_everyone_before_a_group():
    assert order(
        {"monitor": "drift", "metric": "x", "feature": "a"},
        {"monitor": "performance", "metric": "y", "group": "north"},
        {"monitor": "performance", "metric": "y"},
        {"monitor": "drift", "metric": "x", "feature": "b", "severity": "critical"},
    ) == ["b, x", "y", "north, y", "a, x"]


def test_a_value_that_is_not_known_is_not_the_worst():
    alerts = [replace(ALERTS[0], value=float("nan")), ALERTS[1]]
    (case,) = story.cases(alerts, measurements(TABLE))
    assert case.worst.value == 0.4


def test_the_verdict_counts_lines_and_not_windows():
    assert report().verdict == (
        "Outside their quiet range: 3 of the 5 lines of the dashboard in 4 windows. Cases: 3; "
        "critical: 2; to be dismissed: 1."
    )
    assert quiet().verdict == (
        "No alert in 4 windows: none of the 5 lines of the dashboard left its quiet range."
    )


def said(made, at):
    return " ".join(made.answers[at].lines)


def test_the_four_questions_are_answered():
    made = report()
    assert [each.question for each in made.answers] == [
        "What changed?",
        "Does it matter?",
        "How sure are we?",
        "What to do?",
    ]
    assert made.answers[0].lines == ("Performance: accuracy.", "Drift: channel · amount.")
    assert made.answers[1].lines == (
        "Yes: measured on labels, the model answers worse (performance: accuracy).",
    )
    assert made.answers[2].lines == (
        "The thresholds of all 5 lines were calibrated together, on the reference, for 4 false "
        "alarms a year on the whole dashboard.",
        "Measurements with too little data, which say nothing: 1 of 20.",
        "The reference is short.",
    )
    assert made.answers[3].lines == (
        "Roll back: performance: accuracy.",
        "Investigate: drift: channel.",
        "Dismiss: drift: amount.",
    )


def test_a_line_whose_threshold_no_value_can_pass_is_counted():
    rows = [
        *line("drift", "jensen_shannon", [0.9], feature="a", threshold_high=1.2),
        *line("drift", "jensen_shannon", [0.9], feature="b", threshold_high=0.95),
        *line("performance", "accuracy", [0.1], threshold_low=-0.1),
        *line("performance", "mae", [9.0], threshold_high=88.0),
        *line("quality", "null_value_rate", [0.1], feature="a", threshold_low=-1, threshold_high=2),
        *line(
            "quality", "null_value_rate", [0.1], feature="b", threshold_low=0.1, threshold_high=2
        ),
        *line("quality", "null_value_rate", [0.1], feature="c"),
    ]
    assert (
        "Lines that cannot alarm, since their threshold lies beyond what is possible: 3. A longer "
        "reference or a larger budget gives them sight."
    ) in report(rows, []).answers[2].lines
    assert not any("cannot alarm" in each for each in report().answers[2].lines)


def test_where_nothing_was_found_nothing_is_to_be_done():
    made = quiet()
    assert said(made, 0) == "Nothing beyond what varies when nothing changes."
    assert said(made, 1).startswith("The model does not answer worse, as far as can be seen")
    assert said(made, 3).startswith("Nothing. The next report")


@pytest.mark.parametrize(
    ("monitor", "says"),
    [
        ("performance", "Yes: measured on labels, the model answers worse (performance: "),
        ("calibration", "Yes: measured on labels, the model answers worse (calibration: "),
        ("estimated_performance", "Perhaps: the performance estimated without labels fell ("),
        ("fairness", "Groups are treated more unequally (fairness: "),
    ],
)
def test_what_is_measured_is_told_from_what_is_estimated(monitor, says):
    rows = line(monitor, "accuracy", [0.7], alarms=(0,))
    made = report(rows, [alert(monitor, "accuracy", 0, 0.7)])
    assert said(made, 1).startswith(says)


def test_without_labels_and_scores_nobody_claims_that_all_is_well():
    rows = line("drift", "jensen_shannon", [0.05], feature="amount")
    assert "without labels and without scores" in said(report(rows, []), 1)
    silent = line("performance", "accuracy", [NAN])
    assert "no window has enough rows to judge" in said(report([*rows, *silent], []), 1)


def test_an_estimate_without_labels_says_what_it_assumes():
    now = current().drop(columns="label")
    rows = line("estimated_performance", "accuracy", [0.9])
    assert "The labels are missing: the estimate holds as long as" in said(
        report(rows, [], now=now), 1
    )
    assert "The labels are missing" not in said(report(rows, []), 1)


def test_many_names_are_cut_and_counted():
    alerts = [alert("drift", "x", 0, 1.0, feature=f"f{i}") for i in range(9)]
    rows = [
        row
        for each in alerts
        for row in line("drift", "x", [1.0], alarms=(0,), feature=each.feature)
    ]
    assert report(rows, alerts).answers[0].lines == (
        "Drift: f0 · f1 · f2 · f3 · f4 · f5 and 3 more.",
    )


def test_both_languages_tell_the_same_numbers():
    told = []
    for language in ("en", "pt"):
        with using(language):
            made = report()
            text = " ".join([made.verdict, *(line for each in made.answers for line in each.lines)])
            told.append([c for c in text if c.isdigit()])
            assert len(made.table()) == 3
    assert told[0] == told[1]
