"""Tables for people, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    numbers: Iterable[int] = (),
) -> str:
    """Return a table whose first column names its rows; wider than the page it scrolls.

    ``numbers`` are the places of the columns that stand to the right.

    >>> "<caption>By day</caption>" in table(["Day", "n"], [("Monday", "2")], caption="By day")
    True
    """
    right = set(numbers)
    kind = [' class="number"' if at in right else "" for at in range(len(names))]
    head = "".join(
        f'<th scope="col"{kind[at]}>{escape(name)}</th>' if name else "<td></td>"
        for at, name in enumerate(names)
    )
    body = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td{kind[at]}>{escape(cell)}</td>" for at, cell in enumerate(rest, start=1))
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
