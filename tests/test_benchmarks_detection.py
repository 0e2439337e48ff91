"""The benchmark of detection: what peers say is read right, the score is by hand, a tiny run."""

import hashlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import detection
from benchmarks.peers import evidently_alarms, exchange, nannyml_alarms
from utils.monitors.scoreboard import ALWAYS, NEVER

PEERS = Path(detection.__file__).parent / "peers"


# What peers say


def told_by_evidently(*counts):
    """A report as evidently 0.7.23 tells it, cut to what is read."""
    return {
        "metrics": [
            {"metric_name": "DriftedColumnsCount(…)", "value": {"count": n, "share": n / 11}}
            for n in map(float, counts)
        ],
        "tests": [],
    }


def test_evidently_drifts_by_any_column_and_by_half_of_them():
    counts = evidently_alarms.drifted(told_by_evidently(5, 1))
    assert counts == (5, 1)
    alarms = {
        (labels, rule): alarm
        for labels, rule, _, alarm in evidently_alarms.drift_alarms(
            "2024-03-04", *counts, n_before=11
        )
    }
    assert alarms == {
        ("before", "evidently: half of the columns"): False,
        ("before", "evidently: any column"): True,
        ("after", "evidently: half of the columns"): True,  # 6 of 12
        ("after", "evidently: any column"): True,
    }


def test_evidently_sees_the_label_only_after_it_came():
    alarms = list(evidently_alarms.drift_alarms("2024-03-04", 0, 1, n_before=11))
    assert [labels for labels, _, _, alarm in alarms if alarm] == ["after"]


class Status:
    """As an enumeration of its own, whose text is not the value."""

    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("states", "fails"),
    [(["SUCCESS", "SUCCESS"], False), (["SUCCESS", "FAIL"], True), (["ERROR"], True)],
)
def test_a_test_of_evidently_that_does_not_succeed_is_an_alarm(states, fails):
    assert evidently_alarms.some_test_fails({"tests": [{"status": s} for s in states]}) == fails
    told = {"tests": [{"status": Status(s)} for s in states]}
    assert evidently_alarms.some_test_fails(told) == fails


def test_a_report_of_evidently_without_tests_is_no_silence():
    with pytest.raises(ValueError, match="tests: the report made none"):
        evidently_alarms.some_test_fails({"tests": []})


def told_by_nannyml(*, levels, **alerts):
    """A result as nannyml 0.13 tells it: columns of two or three levels, by chunk."""
    fill = ["jensen_shannon"] * (levels - 2)
    columns = {
        ("chunk", *["chunk"] * (levels - 2), "start_date"): pd.to_datetime(
            ["2024-03-04", "2024-03-11"]
        ),
        **{(name, *fill, "value"): [0.1, 0.2] for name in alerts},
        **{(name, *fill, "alert"): of for name, of in alerts.items()},
    }
    return pd.DataFrame(columns)


@pytest.mark.parametrize("levels", [2, 3])
def test_a_chunk_of_nannyml_alarms_where_anything_has_an_alert(levels):
    told = told_by_nannyml(levels=levels, income=[False, False], repaid=[False, True])
    alarms = nannyml_alarms.alarms_by_week(told)
    assert alarms == {"2024-03-04": False, "2024-03-11": True}
    without = nannyml_alarms.alarms_by_week(told, without=["repaid"])
    assert without == {"2024-03-04": False, "2024-03-11": False}


def test_an_alert_of_nannyml_that_is_unknown_is_none():
    told = told_by_nannyml(levels=2, roc_auc=np.array([np.nan, True], dtype=object))
    assert nannyml_alarms.alarms_by_week(told) == {"2024-03-04": False, "2024-03-11": True}


def test_a_result_of_nannyml_without_alerts_is_no_silence():
    with pytest.raises(ValueError, match="told: has no alerts"):
        nannyml_alarms.alarms_by_week(told_by_nannyml(levels=2))


def test_weeks_begin_on_mondays_in_utc():
    times = pd.to_datetime(
        [
            "2024-03-10T23:59:59.999999Z",
            "2024-03-11T00:00:00.000000Z",
            "2024-03-24T12:00:00.000000Z",
        ]
    )
    found = {week: len(rows) for week, rows in exchange.weeks(pd.DataFrame({"at": times}), "at")}
    assert found == {"2024-03-04": 1, "2024-03-11": 1, "2024-03-18": 1}


# Their environments


@pytest.mark.parametrize("peer", detection.PEERS)
def test_every_requirement_of_a_peer_is_pinned(peer):
    lines = (PEERS / f"{peer}.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.\-\[\]]+==[\w.!+\-]+( ; .*)?", line) for line in pinned)
    versions = dict(line.split("==") for line in pinned if " ; " not in line)
    assert peer in versions
    assert int(versions["pandas"].split(".")[0]) < 3
    assert (PEERS / f"{peer}_alarms.py").exists()


def test_a_peer_that_cannot_be_installed_is_left_out_with_a_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detection.tempfile, "gettempdir", lambda: str(tmp_path))
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="trying\nerror: no network\n")
    monkeypatch.setattr(detection.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(
        detection.NotInstalled, match="^nannyml cannot be installed, and is left out: error: no net"
    ):
        detection.environment("nannyml")


def test_a_peer_runs_in_its_own_environment_with_its_telemetry_off(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(detection.tempfile, "gettempdir", lambda: str(tmp_path))

    def run(command, **settings):
        asked.append((command, settings))
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    monkeypatch.setattr(detection.subprocess, "run", run)
    made = tmp_path / "vigia-peers"
    content = hashlib.sha256((PEERS / "evidently.txt").read_bytes()).hexdigest()[:12]
    (made / f"evidently-{content}").mkdir(parents=True)
    detection.asked("evidently", tmp_path, [0, 3])
    command, settings = asked[-1]
    assert Path(command[0]).is_relative_to(made)
    assert command[1:] == ["-m", "benchmarks.peers.evidently_alarms", str(tmp_path), "0", "3"]
    for name in ("DO_NOT_TRACK", "NML_DISABLE_USAGE_LOGGING"):
        assert settings["env"][name] == "1"
    assert settings["check"] is True


# The score


def an_incident(kind, *, seed, week, n, harmful=True, strength=1.0):
    start = detection.CURRENT + week * detection.WEEK
    return {
        "incident": 1,
        "kind": kind,
        "columns": "x",
        "strength": strength,
        "start": start,
        "end": start + n * detection.WEEK,
        "harmful": harmful,
        "stream": f"{seed}-{kind}-{strength:g}",
        "seed": seed,
        "accuracy_lost": 2.0 + seed,
    }


def said(stream, rule, *, first, alarms, labels="before"):
    for at, alarm in enumerate(alarms):
        monday = detection.CURRENT + (first + at) * detection.WEEK
        yield (stream, labels, rule, f"{monday:%Y-%m-%d}", alarm)


@pytest.fixture(scope="module")
def scored_by_hand():
    """Two seeds; a rule that is right in one of them, late, and cries wolf twice in 52 weeks."""
    ledger = pd.DataFrame(
        [
            an_incident("unit_change", seed=0, week=4, n=4),
            an_incident("unit_change", seed=1, week=10, n=4),
            an_incident("duplicates", seed=0, week=4, n=4, harmful=False),
        ]
    )
    rule = "PSI > 0.2"
    alarms = [
        *said("0-quiet", rule, first=0, alarms=[at == 5 for at in range(26)]),
        *said("1-quiet", rule, first=0, alarms=[at == 25 for at in range(26)]),
        *said("0-unit_change-1", rule, first=4, alarms=[False, False, True, True]),
        *said("1-unit_change-1", rule, first=10, alarms=[False] * 4),
        *said("0-duplicates-1", rule, first=4, alarms=[True] * 4),
    ]
    seconds = [(0, "folklore", 1.0), (1, "folklore", 3.0), (2, "folklore", 2.0)]
    seconds += [(seed, "ours, 4 a year", 2.0 + seed) for seed in range(3)]
    return detection.table_of(
        ledger,
        pd.DataFrame(alarms, columns=exchange.ALARMS),
        pd.DataFrame(seconds, columns=exchange.SECONDS),
    )


def line(table, kind, rule, labels="before"):
    found = table[(table["kind"] == kind) & (table["rule"] == rule) & (table["labels"] == labels)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_kind_is_scored_by_its_own_incidents_and_their_quiet_twins(scored_by_hand):
    of = line(scored_by_hand, "unit_change", "PSI > 0.2")
    assert (of["incidents"], of["noticed"], of["delay_weeks"]) == (2, 0.5, 2.0)
    assert of["by_chance"] == 0.5  # week 5 of the quiet stream of seed 0
    assert of["weeks_alarmed_per_100"] == 25.0
    assert of["accuracy_lost"] == 2.5
    assert bool(of["harmful"])
    assert of["noticed_low"] == pytest.approx(0.0945, abs=1e-4)  # Wilson, 1 of 2
    assert np.isnan(of["processor_ratio"])


def test_the_summary_has_the_scoreboard_and_the_ratio_of_the_processor(scored_by_hand):
    of = line(scored_by_hand, "all", "PSI > 0.2")
    assert (of["n_harmful"], of["n_harmless"], of["n_quiet"]) == (2, 1, 52)
    assert (of["detected"], of["harmless_alarmed"]) == (0.5, 1.0)
    assert of["false_alarms_per_100"] == pytest.approx(100 * 2 / 52)
    assert of["processor_ratio"] == 0.5  # the least of both


@pytest.mark.parametrize(("rule", "share"), [(NEVER, 0.0), (ALWAYS, 1.0)])
def test_never_and_always_stand_beside_every_rule(scored_by_hand, rule, share):
    of = line(scored_by_hand, "unit_change", rule)
    assert (of["noticed"], of["by_chance"]) == (share, share)
    assert line(scored_by_hand, "all", rule)["detected"] == share


def test_a_composed_rule_alarms_where_any_of_its_parts_does():
    ledger = pd.DataFrame([an_incident("unit_change", seed=0, week=4, n=4)])
    stream = "0-unit_change-1"
    alarms = [
        *said(stream, "nannyml: drift", first=4, alarms=[True, False, False, False]),
        *said(stream, "nannyml: CBPE", first=4, alarms=[False, False, True, False]),
    ]
    weeks = detection.weeks_of(detection.laid_end_to_end(ledger))
    found = detection.said_of(pd.DataFrame(alarms, columns=exchange.ALARMS), weeks)
    during = (weeks["stream"] == stream).to_numpy()
    both = found["before", "nannyml: drift or CBPE"]
    assert both[during].tolist() == [True, False, True, False]
    assert not both[~during].any()
    assert ("before", "nannyml: all") not in found  # its quality is not there


# A tiny run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(detection, "PER_DAY", 40)
    patch.setattr(detection, "KINDS", ("new_category", "duplicates"))
    patch.setattr(detection, "STRENGTHS", (1.0,))
    patch.setattr(detection, "WEEKS", 12)
    patch.setattr(detection, "TRAINING_DAYS", 28)
    patch.setattr(detection, "HERE", {n: detection.HERE[n] for n in ("ours, 4 a year", "folklore")})
    patch.setattr(detection, "ProcessPoolExecutor", lambda n, mp_context: ThreadPoolExecutor(n))
    folder = tmp_path_factory.mktemp("streams")
    yield folder, detection.measured(folder, seeds=1, peers=())
    patch.undo()


def test_a_tiny_run_has_every_rule_of_ours_for_each_kind(tiny):
    _, table = tiny
    rules = {"ours: 4 a year", "PSI > 0.2", "p < 0.05", NEVER, ALWAYS}
    for _, own in table.groupby(["kind", "strength", "labels"], dropna=False):
        assert set(own["rule"]) == rules
        assert len(own) == len(rules)
    assert table["kind"].unique().tolist() == ["all", "new_category", "duplicates"]
    assert line(table, "new_category", "ours: 4 a year")["noticed"] == 1.0
    assert line(table, "all", "ours: 4 a year")["processor_ratio"] == 1.0


def test_an_incident_stream_is_its_weeks_with_what_monitors_read(tiny):
    folder, _ = tiny
    frame = pd.read_parquet(folder / "0-new_category-1.parquet")
    roles = detection.ROLES
    assert list(frame) == [roles.time, *roles.features, roles.score, roles.prediction, roles.label]
    assert (frame["purpose"] == "travel").all()
    lasted = frame[roles.time].max() - frame[roles.time].min()
    assert 3.5 * detection.WEEK < lasted <= 8 * detection.WEEK


def test_the_table_is_printed(tiny, capsys):
    detection.show(tiny[1])
    shown = capsys.readouterr().out
    assert "before labels" in shown and "after labels" in shown
    assert re.search(r"new_category +1\.0 +True", shown)
