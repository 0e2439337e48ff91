"""The command line of alerts: what it prints, its exit status, and what it refuses."""

import pandas as pd
import pytest

from tests.operations.conftest import weeks
from utils.__main__ import main
from utils.records import LEDGER_COLUMNS
from utils.store import open_store
from utils.store.example import DEPLOYMENT, SCHEMA
from utils.text import using


@pytest.fixture(autouse=True)
def in_english():
    with using("en"):
        yield


@pytest.fixture
def url(tmp_path):
    address = f"sqlite:///{tmp_path}/store.db"
    with open_store(address) as store:
        store.add_deployment(DEPLOYMENT, SCHEMA)
        store.write_measurements("flights", weeks(12, 12, 16, 17))
    return address


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("- {name: error-rose, metric: mae, high: 15, owner: ana}")
    return str(path)


def alerts(what, url, *more):
    return main(["alerts", what, "--store", url, "--deployment", "flights", *more])


def test_a_preview_is_printed_before_anything_is_written(url, rules, capsys, tmp_path):
    assert alerts("preview", url, "--rules", rules) == 0
    said = capsys.readouterr().out
    assert "error-rose: 1 alert, in 2 of 4 windows" in said and "nobody knows" in said
    with open_store(url) as store:
        assert store.streams() == []
    ledger = tmp_path / "ledger.csv"
    row = (1, "storm", "", 1.0, "2024-01-15", "2024-01-29", True)
    pd.DataFrame([row], columns=list(LEDGER_COLUMNS)).to_csv(ledger, index=False)
    assert alerts("preview", url, "--rules", rules, "--ledger", str(ledger)) == 0
    assert "would notice 100% of harmful incidents" in capsys.readouterr().out


def test_what_fires_is_told_listed_acknowledged_and_closed(url, rules, capsys, tmp_path):
    assert alerts("evaluate", url, "--rules", rules) == 1
    said = capsys.readouterr().out
    assert "New alerts: 1" in said and "beyond the bound 15" in said
    assert alerts("evaluate", url, "--rules", rules) == 1
    assert "New alerts: 0" in capsys.readouterr().out
    id = "fired/error-rose/performance/mae///2024-01-15T00:00:00+00:00"
    assert alerts("acknowledge", url, id, "--by", "ana") == 0
    alerts("list", url)
    assert "acknowledged" in capsys.readouterr().out
    assert alerts("resolve", url, id, "--by", "ana", "--reason", "a storm") == 0
    assert alerts("list", url) == 0
    assert "No open alert." in capsys.readouterr().out


def test_what_nobody_answers_is_told_to_the_next_in_line(url, rules, capsys, tmp_path):
    first, next_one = tmp_path / "first.txt", tmp_path / "next.txt"
    notify = ["--notify", first.as_uri(), "--escalate-to", next_one.as_uri()]
    soon = ["--escalate-after-hours", "0"]
    alerts("evaluate", url, "--rules", rules, *notify)
    assert "1 alert" in first.read_text() and not next_one.exists()
    alerts("evaluate", url, "--rules", rules, *notify, *soon)
    assert "nobody answered" in next_one.read_text() and first.read_text().count("id: ") == 1
    capsys.readouterr()


def test_what_is_silenced_is_kept_and_not_told(url, rules, capsys):
    about = ["--matching", "rule=error*", "--hours", "2", "--by", "ana", "--reason", "works"]
    assert alerts("silence", url, *about) == 0
    assert alerts("evaluate", url, "--rules", rules, "--notify", "json://127.0.0.1:9/hook") == 1
    assert "delivered: 0, put_off: 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "more", "said"),
    [
        ("preview", ["--rules", "none.yaml"], "none.yaml: cannot be read"),
        ("evaluate", ["--rules", "RULES", "--notify", "nonsense"], "notify='nonsense'"),
        ("acknowledge", ["fired/none", "--by", "ana"], "no such alert"),
        (
            "silence",
            ["--matching", "rule", "--hours", "1", "--by", "a", "--reason", "b"],
            "must read NAME=PATTERN",
        ),
        (
            "silence",
            ["--matching", "ruel=x", "--hours", "1", "--by", "a", "--reason", "b"],
            "'ruel' is none of",
        ),
        ("preview", ["--rules", "RULES", "--ledger", "none.csv"], "ledger=none.csv: cannot be"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(url, rules, capsys, what, more, said):
    assert alerts(what, url, *(rules if each == "RULES" else each for each in more)) == 2
    refused = capsys.readouterr().err
    assert said in refused and refused.count("\n") == 1
