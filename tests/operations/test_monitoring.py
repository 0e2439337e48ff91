"""The files that Prometheus and Alertmanager read: made from the rules, and accepted by both."""

import re
import shutil
import subprocess
from urllib.parse import urlsplit

from tests.exporters.prometheus_servers import program, promtool
from utils.__main__ import main
from utils.dashboard.access import runbook_of
from utils.operations import monitoring
from utils.operations.runbooks import MONITORING, names


def test_the_files_are_those_that_the_rules_make_today(capsys):
    assert monitoring.stale() == []
    assert main(["monitoring", "--check"]) == 0


def test_a_file_that_was_edited_by_hand_is_stale(tmp_path, monkeypatch):
    shutil.copytree(MONITORING, tmp_path / "monitoring")
    monkeypatch.setattr(monitoring, "MONITORING", tmp_path / "monitoring")
    edited = tmp_path / "monitoring" / "prometheus" / "rules.yml"
    edited.write_text(edited.read_text().replace("critical", "warning"))
    assert monitoring.stale() == [edited]
    edited.unlink()
    assert monitoring.stale() == [edited]


def test_the_runbook_of_each_rule_of_prometheus_is_where_the_endpoint_shows_it():
    text = (MONITORING / "prometheus" / "rules.yml").read_text(encoding="utf-8")
    found = {urlsplit(each) for each in re.findall(r"runbook_url: (\S+)", text)}
    scraped = monitoring.PROMETHEUS["scrape_configs"][0]["static_configs"][0]["targets"]
    assert {each.netloc for each in found} == set(scraped)
    for each in found:
        assert runbook_of({"path": each.path, "query_string": b""}) == each.path
    assert {each.path.rpartition("/")[2] for each in found} == set(names("en"))


def test_prometheus_accepts_its_files():
    done = promtool("check", "config", str(MONITORING / "prometheus" / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_alertmanager_accepts_its_file():
    path = str(MONITORING / "alertmanager" / "alertmanager.yml")
    done = subprocess.run([program("amtool"), "check-config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 inhibit rules" in done.stdout
