"""What a rule would have cost, before it goes live."""

import pandas as pd
import pytest

from tests.operations.conftest import weeks
from utils.monitors.scoreboard import Prices
from utils.operations.preview import preview, said
from utils.records import LEDGER_COLUMNS, AlertRule
from utils.text import using

LOW = AlertRule(name="touchy", metric="mae", high=11.0)
HIGH = AlertRule(name="calm", metric="mae", high=20.0)
TABLE = weeks(12, 10, 12, 10, 25, 26, 10, 10)


@pytest.fixture
def ledger():
    start = pd.Timestamp("2024-01-29", tz="UTC")
    row = (1, "storm", "", 1.0, start, start + pd.Timedelta("14D"), True)
    return pd.DataFrame([row], columns=list(LEDGER_COLUMNS))


def test_without_a_ledger_it_counts_alerts_and_says_what_nobody_knows():
    seen = preview([LOW, HIGH], TABLE)
    assert seen.set_index("rule")["alerts"].to_dict() == {"touchy": 3, "calm": 1}
    assert seen.set_index("rule")["windows_alarmed"].to_dict() == {"touchy": 4, "calm": 2}
    with using("en"):
        text = said(seen, TABLE)
    assert "touchy: 3 alerts, in 4 of 8 windows (lines: 1)" in text
    assert "nobody knows which of these alerts would be false" in text
    with using("pt"):
        assert "ninguém sabe quais destes alertas seriam falsos" in said(seen, TABLE)


def test_with_a_ledger_each_rule_is_scored_beside_never_and_always(ledger):
    with using("en"):
        seen = preview(
            [LOW, HIGH], TABLE, ledger=ledger, prices=Prices(false_alarm=1, harmful_window=10)
        ).set_index("rule")
        text = said(seen.reset_index(), TABLE)
    assert seen["false_alarms_per_100"].round(1).to_dict() == {
        "touchy": 33.3,
        "calm": 0.0,
        "all together": 33.3,
        "never alarm": 0.0,
        "always alarm": 100.0,
    }
    assert seen["cost"].to_dict() == {
        "touchy": 2.0,
        "calm": 0.0,
        "all together": 2.0,
        "never alarm": 20.0,
        "always alarm": 6.0,
    }
    assert "calm: 1 alert," in text and "would notice 100% of harmful incidents" in text
    assert "never alarm: would notice 0%" in text


def test_a_rule_that_looks_at_nothing_is_refused():
    rule = AlertRule(name="lost", metric="auc", high=1.0)
    with pytest.raises(ValueError, match="rule 'lost': looks at nothing here; no line has"):
        preview([rule], TABLE)
