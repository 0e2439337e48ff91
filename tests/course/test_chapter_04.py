"""Chapter 04: its parameters change what their comments say, and it decides as the stage does."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.course.running import ran
from utils.course import NOTEBOOKS, ROOT, builder, life, stages, validation
from utils.course.workspace import Workspace
from utils.serving import benchmarks, cards, gates
from utils.text import using

SOURCE = NOTEBOOKS / "04_validation.ipynb"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIGIA_WORKSPACE", str(tmp_path_factory.mktemp("workspace")))
        yield Workspace.current()


@pytest.fixture(scope="module")
def plain(workspace):
    with using("en"):
        return ran(SOURCE)


def shown(language):
    """Return the digits that each cell of the stored lab shows in words."""
    digits = {}
    for cell in builder.read(ROOT / f"labs_{language}" / SOURCE.name).cells:
        said = [output.get("text", "") for output in cell.get("outputs", ())]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            said += [data.get("text/plain", ""), data.get("text/markdown", "")]
        digits[cell.id] = re.findall(r"\d+", re.sub("[.,]", "", "\n".join(said)))
    return {name: found for name, found in digits.items() if found}


def numbers_of(verdict):
    """Return the estimates of a verdict, and its bounds, by rule."""
    table = verdict.table().set_index(["metric", "rule"])
    return table["value"], table[["low", "high"]]


def test_the_seed_changes_what_is_drawn_and_nothing_else(plain):
    with using("en"):
        other = ran(SOURCE, seed=7)
    for name in ("loans", "judged", "reference", "fates", "with_groups", "table", "found", "gaps"):
        pd.testing.assert_frame_equal(plain[name], other[name])
    for name in ("loss", "bounds", "costs", "in_training"):
        assert plain[name] == other[name]
    for name in ("auc", "road", "choices", "pair", "promised"):
        value = "cost" if "cost" in plain[name] else "value"
        np.testing.assert_allclose(plain[name][value], other[name][value])
        assert not np.allclose(plain[name]["low"], other[name]["low"], equal_nan=True)
    for name in ("verdict", "of_trees"):
        values, bounds = numbers_of(plain[name])
        other_values, other_bounds = numbers_of(other[name])
        np.testing.assert_allclose(values, other_values)
        assert not np.allclose(bounds, other_bounds)
    # The incidents are drawn anew, on the same clean rows; so are the cars of the test.
    np.testing.assert_allclose(plain["rehearsed"]["clean"], other["rehearsed"]["clean"])
    assert not np.allclose(plain["rehearsed"]["broken"], other["rehearsed"]["broken"])
    assert set(plain["held_out"]["car_id"]) != set(other["held_out"]["car_id"])
    pd.testing.assert_frame_equal(plain["recent"], other["recent"])


def test_n_days_changes_what_it_is_judged_by_and_nothing_else(plain):
    with using("en"):
        other = ran(SOURCE, n_days=84)
    until = life.JUDGED_FROM + pd.Timedelta(days=84)
    earlier = plain["judged"]["event_time"] < until
    pd.testing.assert_frame_equal(other["judged"], plain["judged"][earlier])
    assert other["reference"]["applied_at"].max() < until <= plain["reference"]["applied_at"].max()
    assert other["in_training"] == plain["in_training"]
    assert other["costs"] == plain["costs"]
    assert not np.allclose(other["auc"]["value"], plain["auc"]["value"])
    for name in ("held_out", "recent"):
        pd.testing.assert_frame_equal(other[name], plain[name])
    for name, verdict in plain["of_cars"].items():
        pd.testing.assert_frame_equal(other["of_cars"][name].table(), verdict.table())


def test_a_second_run_in_the_same_workspace_finds_the_same_and_harms_nothing(plain, workspace):
    workspace.need("credit-model")
    before = gates.verdict_of("models:/credit@champion", tracking_uri=workspace.tracking_uri)
    with using("en"):
        again = ran(SOURCE)
    for name in ("auc", "road", "curve", "choices", "rehearsed", "promised"):
        pd.testing.assert_frame_equal(plain[name], again[name])
    assert plain["card"] == again["card"]
    assert again["champion"].version == "1"
    after = gates.verdict_of("models:/credit@champion", tracking_uri=workspace.tracking_uri)
    assert after.to_json() == before.to_json()


def test_the_champion_of_the_chapter_is_that_of_the_stage(plain, workspace):
    """By the same rules, on the same rows, with the same benchmark: as chapter 05 finds it."""
    workspace.need("credit-model")
    uri = "models:/credit@champion"
    stage = gates.verdict_of(uri, tracking_uri=workspace.tracking_uri)
    pd.testing.assert_frame_equal(stage.table(), plain["verdict"].table())
    assert stage.digest == plain["verdict"].digest
    carried = benchmarks.benchmark_of(uri, tracking_uri=workspace.tracking_uri)
    pd.testing.assert_frame_equal(carried, plain["promised"])
    assert plain["costs"].threshold == validation.THRESHOLD == stages.CREDIT_THRESHOLD
    assert benchmarks.threshold_of(uri, tracking_uri=workspace.tracking_uri) == 0.75


def test_the_gate_refuses_the_worse_and_passes_the_equal_for_the_reasons_told(plain):
    passed = {name: verdict.passed for name, verdict in plain["verdicts"].items()}
    assert passed == {"same": True, "few": False, "memory": False, "twin": False}
    broken = {
        name: {outcome.rule.key for outcome in verdict.broken}
        for name, verdict in plain["verdicts"].items()
    }
    assert all("log_loss_change" in broken[name] for name in ("few", "memory", "twin"))
    # The twin ranks as the champion does: no rule on the ranking refuses it.
    assert "roc_auc" in broken["memory"] and "roc_auc" not in broken["twin"]


def test_the_card_says_the_same_numbers_in_both_languages_and_no_ids(plain):
    uri, where = plain["uri"], plain["where"]
    told = {
        code: cards.model_card(uri, language=code, provenance=False, **where)
        for code in ("pt", "en")
    }
    digits = {code: re.sub(r"[.,−-]", "", card) for code, card in told.items()}
    auc = plain["everybody"].loc["roc_auc"]
    for value in auc[["value", "low", "high"]]:
        assert all(f"{value:.4g}".replace(".", "") in text for text in digits.values())
    run_id = plain["champion"].run_id
    assert not any(run_id in card for card in told.values())


def test_both_editions_show_the_same_numbers():
    assert shown("pt") == shown("en")
    assert len(shown("pt")) > 20
