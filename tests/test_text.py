"""Two languages, neither of which can be forgotten."""

import threading

import pytest

from utils import text


@pytest.fixture(autouse=True)
def no_language_set(monkeypatch):
    monkeypatch.setattr(text, "_in_force", None)
    for name in ("VIGIA_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def test_portuguese_is_the_language_where_nothing_says_otherwise():
    assert text.tr(pt="limiar", en="threshold") == "limiar"


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("en_GB.UTF-8", "en"), ("pt_BR.UTF-8", "pt"), ("C.UTF-8", "pt"), ("sw_KE.UTF-8", "pt")],
)
def test_the_locale_of_the_system_chooses(monkeypatch, locale, expected):
    monkeypatch.setenv("LANG", locale)
    assert text.language() == expected


def test_the_environment_overrides_the_locale_and_a_call_overrides_both(monkeypatch):
    monkeypatch.setenv("LANG", "pt_BR.UTF-8")
    monkeypatch.setenv("VIGIA_LANGUAGE", "en")
    assert text.language() == "en"
    text.set_language("pt")
    assert text.language() == "pt"


def test_a_missing_language_is_an_error_in_either_language():
    for code in text.LANGUAGES:
        with text.using(code):
            with pytest.raises(TypeError, match="en"):
                text.tr(pt="só")
            with pytest.raises(ValueError, match="en='': a text is needed in each language"):
                text.tr(pt="só", en="")
            with pytest.raises(ValueError, match="pt=None"):
                text.tr(pt=None, en="alone")


@pytest.mark.parametrize("code", ["fr", "", "PT", None])
def test_an_unknown_language_is_refused_by_name(code):
    with pytest.raises(ValueError, match="the languages are pt, en"):
        text.set_language(code)


def test_a_language_used_for_a_while_is_that_of_its_own_thread():
    text.set_language("pt")
    found = []
    with text.using("en"):
        other = threading.Thread(target=lambda: found.append(text.language()))
        other.start()
        other.join()
        found.append(text.language())
    assert found == ["pt", "en"]


def test_a_language_used_for_a_while_gives_way_even_after_an_error():
    text.set_language("pt")
    with pytest.raises(KeyError), text.using("en"):
        raise KeyError
    assert text.language() == "pt"
