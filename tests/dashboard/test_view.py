"""The page around its plots, as text."""

import json
import re

import pytest

from tests.dashboard.builders import Fired, line, snapshot, table
from utils.dashboard.pages import page
from utils.dashboard.snapshot import performance_of
from utils.dashboard.view import runbook_page, sign_in_page, template
from utils.text import using

NASTY = "{% endraw %}{{ 7 * 7 }}</script><script>alert(1)</script>"


@pytest.mark.parametrize("code", ["pt", "en"])
def test_no_name_from_outside_is_a_template_or_a_script(code):
    import panel as pn

    measured = table(line("performance", NASTY, 1.0))
    given = snapshot(
        deployment=NASTY,
        model_name=NASTY,
        model_version=NASTY,
        performance=performance_of(measured),
        alerts=[Fired(rule=NASTY)],
        trouble=NASTY,
    )
    with using(code):
        made = page(given, version=1)
        text = template(given, made)
    found = pn.Template(
        re.sub(r"{{ embed\(roots\.\w+\) }}|{% from macros import embed %}", "", text)
    )
    shown = found.template.render()
    assert "<script>alert" not in shown
    assert "49" not in re.sub(r"<style>.*?</style>", "", shown, flags=re.DOTALL)
    about = re.search(r'id="about">(.*?)</script>', shown)[1]
    assert json.loads(about)["shape"] == f"/{NASTY}"


def test_the_form_escapes_the_name_of_the_deployment_and_says_what_went_wrong():
    with using("en"):
        text = sign_in_page(NASTY, is_wrong=True)
    assert "<script>alert" not in text
    assert 'aria-invalid="true"' in text and 'role="alert"' in text
    assert 'for="access_key"' in text


def test_the_form_keeps_the_runbook_that_was_asked_for():
    with using("pt"):
        text = sign_in_page("flights", to="/monitoring/runbooks/en/drift.md")
    further = "&amp;to=%2Fmonitoring%2Frunbooks%2Fen%2Fdrift.md"
    assert f'action="/monitoring/sign-in?language=pt{further}"' in text
    assert f'href="/monitoring/sign-in?language=en{further}"' in text


def test_a_runbook_is_a_page_with_its_title_and_its_other_language_and_no_markup_of_its_own():
    with using("pt"):
        text = runbook_page("drift.md", "# Deriva\n\n## O que fazer\n\n<script>x</script> `psi`")
    assert "<title>Deriva</title>" in text and "<h1>Deriva</h1>" in text
    assert "<h2>O que fazer</h2>" in text and "<code>psi</code>" in text
    assert "<script>" not in text
    assert 'href="/monitoring/runbooks/en/drift.md"' in text
    assert 'href="/monitoring?language=pt"' in text
