"""The default rules and their pages: each rule has one in both languages, and each page a rule."""

import re

import pytest

from utils.operations.rules import read_rules
from utils.operations.runbooks import RULES, names, page
from utils.text import LANGUAGES


def test_every_default_rule_has_a_page_in_both_languages_and_every_page_a_rule():
    used = {rule.runbook for rule in read_rules(RULES)}
    for language in LANGUAGES:
        assert set(names(language)) == used


def test_every_default_rule_has_an_owner_and_a_name_of_its_own():
    rules = read_rules(RULES)
    assert all(rule.owner for rule in rules)
    assert len({rule.name for rule in rules}) == len(rules)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_says_what_is_seen_what_it_may_be_and_what_to_do(language):
    heads = {
        "en": [
            "What you see",
            "What it may be",
            "What to do first",
            "How to confirm",
            "When to dismiss",
        ],
        "pt": [
            "O que você vê",
            "O que pode ser",
            "O que fazer primeiro",
            "Como confirmar",
            "Quando dispensar",
        ],
    }
    for name in names(language):
        text = page(name, language)
        assert re.findall(r"^## (.+)$", text, flags=re.M) == heads[language]
        assert all(len(part.split()) > 5 for part in text.split("\n## ")[1:])


def test_a_page_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="no such page; did you mean 'drift.md'"):
        page("drifts.md", "en")
    with pytest.raises(ValueError, match="language='fr'"):
        names("fr")


def test_the_default_rules_find_what_the_monitors_measure():
    """On the suite's own table of a broken week the rules of its monitors fire."""
    import numpy as np
    import pandas as pd

    from utils.monitors import suite
    from utils.operations.rules import judged

    rng = np.random.default_rng(0)

    def waits(start, days, mean):
        times = pd.date_range(start, periods=days * 24, freq="1h", tz="UTC")
        return pd.DataFrame({"event_time": times, "wait_min": rng.gamma(4, mean / 4, len(times))})

    roles = suite.Roles(features=("wait_min",))
    monitors = suite.fitted(waits("2024-01-01", 182, 10.0), roles, rng=rng)
    now = waits("2024-07-01", 28, 14.0)
    now.loc[now.index[-168:], "wait_min"] = np.nan
    found = judged(read_rules(RULES), monitors.run(now).measurements)
    fired = set(found.loc[found["alarm"], "rule"])
    assert {"inputs-drifted", "nulls-appeared"} <= fired
