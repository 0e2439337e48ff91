"""The pages that say what to do about an alert, one for each family of rules, in both languages."""

from __future__ import annotations

from pathlib import Path

from utils.text import LANGUAGES, nearest

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
RULES = MONITORING / "rules.yaml"
"""The default rules."""


def names(language: str) -> list[str]:
    """Return the names of the pages in a language, in order.

    >>> "drift.md" in names("en") and names("en") == names("pt")
    True
    """
    if language not in LANGUAGES:
        raise ValueError(f"language={language!r}: {nearest(language, LANGUAGES)}")
    return sorted(path.name for path in (MONITORING / "runbooks" / language).glob("*.md"))


def page(name: str, language: str) -> str:
    """Return the text of a page.

    Raises ``ValueError`` for a page that is not there, with the nearest that is.

    >>> page("drift.md", "en").splitlines()[0]
    '# Drift of the inputs or of the answers'
    """
    known = names(language)
    if name not in known:
        raise ValueError(f"name={name!r}: no such page; {nearest(name, known)}")
    return (MONITORING / "runbooks" / language / name).read_text(encoding="utf-8")


def pages() -> dict[str, dict[str, str]]:
    """Return the text of every page, by language and name.

    >>> pages()["pt"]["drift.md"].splitlines()[0]
    '# Deriva das entradas ou das respostas'
    """
    return {code: {name: page(name, code) for name in names(code)} for code in LANGUAGES}
