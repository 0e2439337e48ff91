"""What a person reads, in the language in force.

A text is written once, in both languages, where it is used: ``tr(pt=…, en=…)``.
There is no catalogue, so the two cannot drift apart unseen.
"""

import difflib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LANGUAGES = ("pt", "en")


def _known(code: str, *, argument: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"{argument}={code!r}: the languages are {', '.join(LANGUAGES)}")
    return code


_in_force: str | None = None


def language() -> str:
    """Return the language in force.

    It is the one set; else ``VIGIA_LANGUAGE``; else that of the system's locale, where the course
    has it; else Portuguese. Raises ``ValueError`` for a ``VIGIA_LANGUAGE`` that is none of ours.

    >>> with using("en"):
    ...     language()
    'en'
    """
    if _in_force is not None:
        return _in_force
    if named := os.environ.get("VIGIA_LANGUAGE"):
        return _known(named, argument="VIGIA_LANGUAGE")
    locales = (os.environ.get(name, "")[:2] for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next((code for code in locales if code in LANGUAGES), LANGUAGES[0])


def set_language(code: str) -> None:
    """Put a language in force for this process.

    Raises ``ValueError`` when ``code`` is none of ``LANGUAGES``.
    """
    global _in_force
    _in_force = _known(code, argument="language")


@contextmanager
def using(code: str) -> Iterator[None]:
    """Put a language in force for a while, then the one before it.

    >>> with using("pt"):
    ...     tr(pt="limiar", en="threshold")
    'limiar'
    """
    global _in_force
    before = _in_force
    set_language(code)
    try:
        yield
    finally:
        _in_force = before


def tr(*, pt: str, en: str) -> str:
    """Return the text in the language in force.

    Both languages are required: a missing one is a ``TypeError`` (not given) or a
    ``ValueError`` (empty), in either language, so it is found by whoever runs the line.

    >>> with using("en"):
    ...     tr(pt="janela", en="window")
    'window'
    """
    texts = {"pt": pt, "en": en}
    for code, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{code}={text!r}: a text is needed in each language")
    return texts[language()]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a refusal: the known name that was probably meant, else all of them.

    >>> nearest("mea", ["mae", "bias"]), nearest("x", ["mae", "bias"])
    ("did you mean 'mae'?", 'known: mae, bias')
    """
    names = [str(each) for each in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
