"""Chapter 08: its parameters change what their comments say, and what its prose says is so."""

import numpy as np
import pandas as pd
import pytest

from tests.course.running import ran
from utils.course import NOTEBOOKS, inputs
from utils.course.workspace import Workspace
from utils.text import using

SOURCE = NOTEBOOKS / "08_data_quality.ipynb"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIGIA_WORKSPACE", str(tmp_path_factory.mktemp("workspace")))
        yield Workspace.current()


@pytest.fixture(scope="module")
def plain(workspace):
    with using("en"):
        return ran(SOURCE)


@pytest.fixture(scope="module")
def other(plain):
    changes = {"window_days": 14, "sampling_percentage": 50, "requests_per_day": 150, "seed": 2}
    with using("en"):
        return ran(SOURCE, scenario="income_a_year", strength=1.0, **changes)


def test_the_green_week_harms_and_the_red_one_does_not(plain, other):
    for names in (plain, other):
        assert names["by_suggested"](names["green"]) == []
        assert [each.feature_name for each in names["by_suggested"](names["red"])] == ["income_brl"]
        assert names["changed"]["green"].sum() > 10
        assert names["changed"]["red"].sum() <= 1


def test_the_contract_finds_each_harmful_incident_but_the_fortnights(plain, other):
    for names in (plain, other):
        alarmed = set(np.flatnonzero(names["by_week"]["alarm"]))
        assert alarmed == {
            week
            for week, name in inputs.INCIDENTS.items()
            if name not in ("income_a_fortnight", "sent_twice")
        }


def test_the_capture_is_a_sample_of_the_size_that_was_asked_for(plain, other):
    for names, share in ((plain, 0.2), (other, 0.5)):
        assert len(names["part"]) / len(names["back"]) == pytest.approx(share, abs=0.04)
        assert set(names["part"]["prediction_id"]) < set(names["back"]["prediction_id"])


def test_the_scoreboard_is_as_the_prose_reads_it(plain, other):
    for names in (plain, other):
        board = names["board"]
        assert board.loc["repaired and our own", "detected"] == 1
        assert board.loc["rates, budget", "detected"] == 1
        assert board.loc["contract", "false_alarms_per_100"] == 0
        assert board.loc["suggested", "false_alarms_per_100"] > 60
        assert board.loc["repaired", "cost"] > 2 * board.loc["repaired and our own", "cost"]
        assert board.loc["repaired and our own", "false_alarms_per_100"] < 30
        late = names["rules"]["repaired"].query("alarm")["window_start"].max()
        assert late >= pd.Timestamp("2024-12-01", tz="UTC")
    assert (other["board"]["n_quiet"] < plain["board"]["n_quiet"] / 2).all()


def test_the_last_section_takes_the_incident_that_was_asked_for(plain, other):
    assert (plain["chosen"].kind, plain["chosen"].strength) == ("stuck_sensor", 0.3)
    assert (other["chosen"].kind, other["chosen"].options["factor"]) == ("unit_change", 12.0)
    assert "debt_share" in plain["found"]["found"].item()
    assert "income_brl range" in other["found"]["found"].item()


def test_a_second_run_finds_the_same_but_what_hangs_on_the_budget(plain):
    with using("en"):
        again = ran(SOURCE, false_alarms_per_year=12)
    for name in ("sent", "by_week", "distances", "azure", "guarded_day"):
        pd.testing.assert_frame_equal(plain[name], again[name])
    few, many = (names["budgeted"] for names in (plain, again))
    np.testing.assert_allclose(few["value"], many["value"])
    judged = few["threshold_high"].notna()
    assert (many["threshold_high"] < few["threshold_high"])[judged].mean() > 0.9
    assert few["alarm"].sum() <= many["alarm"].sum()
    others = plain["board"].index.drop("rates, budget")
    pd.testing.assert_frame_equal(plain["board"].loc[others], again["board"].loc[others])
