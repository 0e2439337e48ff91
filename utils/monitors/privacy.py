"""Is there personal data where none should be, and for how long is it kept? Found, never shown."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from utils.monitors import windows
from utils.monitors.intervals import checked_level, wilson

PERSONAL_COLUMNS = (
    *("feature", "kind", "share", "low", "high"),
    *("n", "n_rows", "n_by_chance", "example"),
)
KEPT_COLUMNS = (
    *("feature", "n", "oldest", "newest", "oldest_days"),
    *("retention_days", "n_overdue", "is_overdue"),
)
CHANCE = 0.001
"""Bare digits pass a check by chance too; what chance does less often than this is a finding."""

_SHORTEST_KEY = 16


# ------------------------------------------------------------------------------- check digits


def is_cpf(digits: str) -> bool:
    """Return whether 11 digits are a CPF, the number of a person in Brazil, by its check digits.

    It does not tell whether it was ever given out. One in a hundred of any 11 digits pass.

    >>> is_cpf("52998224725"), is_cpf("52998224724"), is_cpf("11111111111")
    (True, False, False)
    """
    if len(digits) != 11 or not _is_ascii_digits(digits) or len(set(digits)) == 1:
        return False
    return all(digits[at] == _mod_11(digits[:at], range(at + 1, 1, -1)) for at in (9, 10))


def is_cnpj(code: str) -> bool:
    """Return whether 14 characters are a CNPJ, the number of a company in Brazil.

    Since July 2026 the first twelve may be letters too, each worth its ASCII code less 48.

    Source: Receita Federal do Brasil, Instrução Normativa 2.229 of 2024.

    >>> is_cnpj("11222333000181"), is_cnpj("12ABC34501DE35"), is_cnpj("11222333000182")
    (True, True, False)
    """
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", code) or len(set(code)) == 1:
        return False
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return all(code[at] == _mod_11(code[:at], weights[-at:]) for at in (12, 13))


def _mod_11(code: str, weights: Sequence[int]) -> str:
    total = sum((ord(each) - 48) * weight for each, weight in zip(code, weights, strict=True))
    return str((11 - total % 11) % 11 % 10)


def is_card(digits: str) -> bool:
    """Return whether digits are the number of a payment card: its length, its first digits, Luhn.

    >>> is_card("4111111111111111"), is_card("4111111111111112")
    (True, False)
    """
    if not _CARD.fullmatch(digits) or not _is_ascii_digits(digits) or len(set(digits)) == 1:
        return False
    doubled = [int(each) * (1 + at % 2) for at, each in enumerate(reversed(digits))]
    return sum(each // 10 + each % 10 for each in doubled) % 10 == 0


_CARD = re.compile(
    r"4\d{12}(\d{3}){0,2}"  # Visa
    r"|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(0[0-5]|[68]\d)\d{11}"  # Diners
    r"|6(011|4[4-9]\d|5\d\d)\d{12}|35(2[89]|[3-8]\d)\d{12}"  # Discover, JCB
    r"|(606282|3841\d\d|636368|636297|5067\d\d|6362\d\d|5090\d\d|6277\d\d)\d{10}"  # Hipercard, Elo
)


def is_iban(code: str) -> bool:
    """Return whether a code is an IBAN, an international bank account, by its check digits.

    The length is checked where the country's is known here.

    >>> is_iban("GB82WEST12345698765432"), is_iban("GB82WEST12345698765433")
    (True, False)
    """
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", code):
        return False
    if _IBAN_LENGTHS.get(code[:2], len(code)) != len(code):
        return False
    return int("".join(str(int(each, 36)) for each in code[4:] + code[:4])) % 97 == 1


_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI NL", 19: "SI MK", 20: "AT BA EE LT LU XK", 21: "CH HR LI LV",
        22: "BG DE GB GE IE ME RS", 23: "AE IL", 24: "AD CZ ES MD RO SA SE SK TN",
        25: "PT", 26: "IS TR", 27: "FR GR IT MC SM", 28: "AL CY DO HU LB PL", 29: "BR EG QA UA",
    }.items()
    for country in countries.split()
}  # fmt: skip


def _begins_with_iban(text: str) -> bool:
    """Return whether a text begins with an IBAN; words after it may have been taken for groups."""
    code = text.upper()
    return is_iban(code[: _IBAN_LENGTHS.get(code[:2])])


def _is_ascii_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(map(str.isdigit, text)) and not (address.is_loopback or address.is_unspecified)


_AREAS = frozenset(
    "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 "
    "53 54 55 61 62 63 64 65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93 94 "
    "95 96 97 98 99".split()
)


def _is_brazilian_phone(digits: str) -> bool:
    digits = digits.removeprefix("55") if len(digits) > 11 else digits
    if digits[:2] not in _AREAS:
        return False
    return (len(digits) == 11 and digits[2] == "9") or (len(digits) == 10 and digits[2] in "2345")


# ------------------------------------------------------------------------------------- the kinds


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    """How a kind of personal data is written, and what else must hold of it.

    ``by_chance`` is how often what has the form passes although it is none; 0 for a form that
    speaks for itself. ``check`` is given what was found without its separators, or ``as_written``.
    """

    kind: str
    form: re.Pattern[str]
    check: Callable[[str], bool] = lambda text: True
    by_chance: float = 0.0
    as_written: bool = False

    def found_in(self, text: str) -> tuple[bool, str, str]:
        """Return whether a text has the form, the first that is one, and the text without them."""
        tried, example = False, ""

        def without(match: re.Match[str]) -> str:
            nonlocal tried, example
            tried = True
            plain = match[0] if self.as_written else _SEPARATORS.sub("", match[0])
            if not self.check(plain):
                return match[0]
            example = example or match[0]
            return " " * len(match[0])

        rest = self.form.sub(without, text)
        return tried, example, rest


_SEPARATORS = re.compile(r"[\s.\-/()+]")


def _bare(digits: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.,+/-])(?:{digits})(?![\w/-]|[.,]\d)", re.ASCII)


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | re.IGNORECASE)


_DATE = r"(?:\d{1,2}[/.-]\d{1,2}[/.-](?:19|20)\d\d|(?:19|20)\d\d-\d\d-\d\d)"
_BORN = r"(?:nascid[oa]|nascimento|data de nasc\w*|nasc|dt_?nasc\w*|born|birth\s?date|birthday|dob"
_BORN += r"|date of birth)"

_PATTERNS = (
    _Pattern(
        kind="email",
        form=_form(r"(?<![\w.+-])[\w.+%-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])"),
    ),
    _Pattern(
        kind="iban",
        form=_form(r"(?<![\w-])[a-z]{2}\d\d(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?(?![\w-])"),
        check=_begins_with_iban,
    ),
    _Pattern(
        kind="cnpj",
        form=_form(r"(?<![\w./-])[a-z0-9]{2}\.[a-z0-9]{3}\.[a-z0-9]{3}/[a-z0-9]{4}-\d\d(?![\w/-])"),
        check=lambda text: is_cnpj(text.upper()),
    ),
    _Pattern(
        kind="cpf",
        form=_form(r"(?<![\w./-])\d{3}\.\d{3}\.\d{3}-\d\d(?![\w/-])"),
        check=is_cpf,
    ),
    _Pattern(
        kind="credit_card",
        form=_form(
            r"(?<![\w./-])(?:\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}|\d{4}[ -]\d{6}[ -]\d{5})(?![\w-])"
        ),
        check=is_card,
    ),
    _Pattern(
        kind="date_of_birth",
        form=_form(rf"\b{_BORN}\b[\s:.,=]{{0,4}}(?:em|in|on|de|dia)?\s?{_DATE}(?!\d)"),
    ),
    _Pattern(
        kind="phone_br",
        form=_form(
            r"(?<![\w+./-])(?:\+?55[ -]?)?\(0?\d{2}\) ?9?[ -]?\d{4}[ -]?\d{4}(?![\w-])"
            r"|(?<![\w./-])\+55[ -]?\d{2}[ -]?9?[ -]?\d{4}[ -]?\d{4}(?![\w-])"
            r"|(?<![\w+./-])\d{2} 9?\d{4}-\d{4}(?![\w-])"
        ),
        check=lambda text: _is_brazilian_phone(text.lstrip("0") if text[:1] == "0" else text),
    ),
    _Pattern(
        kind="phone",
        form=_form(r"(?<![\w+./-])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,5}(?![\w-])"),
        check=lambda text: 8 <= len(text) <= 15,
    ),
    _Pattern(
        kind="ip_address",
        form=_form(
            r"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})"
            r"(?![\w:-]|\.\d)"
        ),
        check=_is_ip,
        as_written=True,
    ),
    _Pattern(kind="cpf", form=_bare(r"\d{11}"), check=is_cpf, by_chance=0.01),
    _Pattern(kind="cnpj", form=_bare(r"[0-9A-Z]{12}\d\d"), check=is_cnpj, by_chance=0.01),
    _Pattern(kind="credit_card", form=_bare(_CARD.pattern), check=is_card, by_chance=0.1),
    _Pattern(
        kind="phone_br", form=_bare(r"(?:55)?\d{11}"), check=_is_brazilian_phone, by_chance=0.07
    ),
)
KINDS = tuple(dict.fromkeys(pattern.kind for pattern in _PATTERNS))
"""The kinds of personal data that are looked for."""


def personal_data(
    frame: pd.DataFrame, *, columns: Sequence[str] | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Return which columns hold personal data, of which kind and how much: never the data itself.

    One row for each column and kind found, in order of the columns; none where nothing is found:

    - ``kind``: email; cpf and cnpj, by their check digits; credit_card, by its issuer's digits and
      Luhn's; iban, by its check digits; phone_br; phone, international with its +; ip_address (but
      for those of the own machine); date_of_birth, a date beside a word such as *nascido* or
      *born*, or a column of dates whose name says so;
    - ``share``: of the rows with a value, those that hold some, ``low`` to ``high`` (Wilson's, as
      if the rows were a sample of those to come), and ``n`` of ``n_rows``;
    - ``n_by_chance``: bare digits, in text or as numbers, pass a check by chance too: how many rows
      would. They are a finding where half of what has the form passes, or more than chance makes
      one time in a thousand; so a column of order numbers is not a column of CPFs;
    - ``example``: the form of one, each letter an x and each digit a 9: what a person needs to see
      what was found, and no more.

    **What it does not tell.** Names, addresses, faces and voices have no check digit, and are not
    found; nor is a person who can be told from harmless columns put together (see
    ``k_anonymity``). A date alone is nobody's birth, and bare digits of a landline are no phone.
    What is found may belong to a company, be made up, or be something else: a version in four parts
    reads as an address. A table without a finding is not a table without personal data.

    Any column will do: text, categories, numbers (a CPF that lost its leading zeros too), objects,
    bytes. Each distinct value is read once.

    Raises ``ValueError`` for a column that is not there.

    Source of the ideas of form, check and context: Microsoft Presidio.

    >>> frame = pd.DataFrame({"note": ["call Ana, 529.982.247-25", "ok", "ana@example.com", None]})
    >>> personal_data(frame)[["feature", "kind", "n", "n_rows", "example"]].values.tolist()
    [['note', 'email', 1, 3, 'xxx@xxx.xxx'], ['note', 'cpf', 1, 3, '999.999.999-99']]
    """
    checked_level(level)
    named = list(frame.columns) if columns is None else list(columns)
    for name in named:
        windows.column(frame, name, argument="columns")
    found = []
    for at, name in enumerate(frame.columns):
        if name in named:
            found += _in_column(frame.iloc[:, at], level=level)
    return pd.DataFrame(found, columns=list(PERSONAL_COLUMNS)).astype(_TYPES)


_TYPES = {
    **{"feature": "str", "kind": "str", "example": "str"},
    **{"share": "float64", "low": "float64", "high": "float64", "n_by_chance": "float64"},
    **{"n": "int64", "n_rows": "int64"},
}


def _in_column(column: pd.Series, *, level: float) -> Iterator[dict[str, Any]]:
    """Yield what is found in one column, by kind."""
    n_rows = int(column.notna().sum())
    texts = _texts(column)
    kinds = _counted(texts.items())
    if n_rows and _names_a_birth(str(column.name)) and _holds_dates(column, texts):
        kinds["date_of_birth"] = _Kind(rows=n_rows, example="9999-99-99")
    for kind in KINDS:
        here = kinds.get(kind)
        if here is None or here.rows == 0:
            continue
        low, high = wilson(here.rows, n_rows, level=level)
        yield {
            "feature": str(column.name),
            "kind": kind,
            "share": here.rows / n_rows,
            "low": float(low),
            "high": float(high),
            "n": here.rows,
            "n_rows": n_rows,
            "n_by_chance": here.by_chance,
            "example": here.example,
        }


def _texts(column: pd.Series) -> pd.Series:
    """Return each distinct text that a column holds, with the number of its rows."""
    if column.dtype.kind in "bmM":
        return pd.Series(dtype="int64")
    values = column[column.notna()].astype("object")
    return values.map(_searched).value_counts(sort=False)


def _searched(value: Any) -> str:
    """Return a value as the text that is searched; a number also with the zeros that it lost."""
    text = _text(value)
    if isinstance(value, (int, float, np.number)) and text.isdigit():
        width = next((w for w in (11, 14) if w - 2 <= len(text) < w), 0)
        return f"{text} {text.zfill(width)}" if width else text
    return text


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (float, np.floating)) and np.isfinite(value) and value == np.rint(value):
        return str(int(value))
    return str(value)


@dataclass(kw_only=True)
class _Kind:
    """What a column holds of a kind of personal data."""

    rows: int = 0
    by_chance: float = 0.0
    example: str = ""


@dataclass(kw_only=True)
class _Seen:
    """In how many rows of a column a pattern's form was seen, and in how many it passed."""

    tried: int = 0
    passed: int = 0
    example: str = ""

    def add(self, pattern: _Pattern, text: str, rows: int) -> str:
        """Count a text that stands in some rows, and return it without what was found."""
        if pattern.form.search(text) is None:
            return text
        tried, example, rest = pattern.found_in(text)
        self.tried += rows * tried
        self.passed += rows * (example != "")
        self.example = self.example or _masked(example)
        return rest

    def is_finding(self, by_chance: float) -> bool:
        if not self.passed or not by_chance:
            return self.passed > 0
        is_most = 2 * self.passed >= self.tried
        return is_most or bdtrc(self.passed - 1, self.tried, by_chance) < CHANCE


_WORTH_READING = re.compile(r"@|::|(?:\d\D*){4}")


def _counted(texts: Iterator[tuple[str, int]]) -> dict[str, _Kind]:
    """Return the rows that hold each kind, bare digits among them only where chance is not it."""
    seen = [_Seen() for _ in _PATTERNS]
    for text, rows in texts:
        if not _WORTH_READING.search(text):
            continue
        rest, held = text, set()
        for pattern, here in zip(_PATTERNS, seen, strict=True):
            before, is_new = rest, pattern.kind not in held
            rest = here.add(pattern, rest, rows if is_new else 0)
            if rest != before:
                held.add(pattern.kind)
    return _by_kind(seen)


def _by_kind(seen: list[_Seen]) -> dict[str, _Kind]:
    kinds: dict[str, _Kind] = {}
    for pattern, here in zip(_PATTERNS, seen, strict=True):
        if here.is_finding(pattern.by_chance):
            kind = kinds.setdefault(pattern.kind, _Kind())
            kind.rows += here.passed
            kind.by_chance += here.tried * pattern.by_chance
            kind.example = kind.example or here.example
    return kinds


def _masked(text: str) -> str:
    """Return the form of a text: digits as 9, and letters as x, three at most in a row."""
    letters = re.sub(r"[^\W\d_]+", lambda match: "x" * min(3, len(match[0])), text)
    return re.sub(r"\d", "9", letters)


def _names_a_birth(name: str) -> bool:
    return re.search(r"nasc|birth|(?:^|_)dob(?:$|_)", name, re.IGNORECASE) is not None


def _holds_dates(column: pd.Series, texts: pd.Series) -> bool:
    if column.dtype.kind == "M":
        return bool(column.notna().any())
    return bool(len(texts)) and all(re.match(rf"{_DATE}", text) for text in texts.index[:100])


# ----------------------------------------------------------------------------------- what is kept


def kept(
    frame: pd.DataFrame,
    *,
    retention_days: float | Mapping[str, float],
    as_of: windows.Moment,
    columns: Sequence[str] | None = None,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return what is kept of each column, since when, and whether it should be gone by now.

    ``frame`` is what a store holds, ``time_column`` when each row came. ``retention_days`` is how
    long a value may stay: one number, or one for each column that has a limit. Columns:
    ``feature``, ``n`` values that are there, the ``oldest`` and the ``newest`` moment among them,
    ``oldest_days`` from the oldest to ``as_of``, the limit ``retention_days`` (``NaN``: none was
    given), and ``n_overdue``, the values older than it (``is_overdue`` where there is one). A
    column without a value has no times.

    It does not tell of copies: backups, exports, logs and the notebook of a colleague keep what a
    table has lost. Nor does it say that what is within its limit is needed.

    Raises ``ValueError`` for a limit below 0, or of a column that is not there.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.to_datetime(["2024-01-01T00Z", "2024-03-01T00Z"]),
    ...     "cpf": ["529.982.247-25", None], "amount": [100.0, 200.0]})
    >>> table = kept(frame, retention_days={"cpf": 30}, as_of="2024-03-02T00Z")
    >>> table[["feature", "n", "oldest_days", "n_overdue"]].values.tolist()
    [['cpf', 1, 61.0, 1], ['amount', 2, 61.0, 0]]
    """
    until = windows.whole_microseconds(windows.moment(as_of, argument="as_of"))
    time = windows.times(frame, time_column, argument="time_column")
    if columns is None:
        columns = [name for name in frame.columns if name != time_column]
    limits = retention_days if isinstance(retention_days, Mapping) else None
    for name in limits or ():
        windows.column(frame, name, argument="retention_days")
    found = []
    for name in columns:
        there = windows.column(frame, name, argument="columns").notna().to_numpy()
        limit = float(retention_days if limits is None else limits.get(name, np.nan))
        if limit < 0:
            raise ValueError(f"retention_days={limit!r} of {name!r}: 0 or more is needed")
        age = (until - time[there]) / _DAY
        overdue = int((age > limit).sum())
        found.append(
            {
                "feature": str(name),
                "n": len(age),
                "oldest": _moment(time[there].min()) if len(age) else pd.NaT,
                "newest": _moment(time[there].max()) if len(age) else pd.NaT,
                "oldest_days": float(age.max()) if len(age) else np.nan,
                "retention_days": limit,
                "n_overdue": overdue,
                "is_overdue": overdue > 0,
            }
        )
    table = pd.DataFrame(found, columns=list(KEPT_COLUMNS))
    for name in ("oldest", "newest"):
        table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
    return table.astype({"feature": "str", "is_overdue": "bool"})


_DAY = 86_400_000_000


def _moment(time: np.int64) -> pd.Timestamp:
    return windows.from_microseconds(int(time))


# ------------------------------------------------------------------------------ names and crowds


def pseudonym(values: pd.Series, *, key: bytes) -> pd.Series:
    """Return a name of 64 hexadecimal digits for each value: HMAC-SHA256 under a secret key.

    Equal values have equal names, under one key, in any table; whole numbers are written alike
    whatever their type. Missing stays missing.

    **It is no anonymity.** Who has the key, or can ask for names of values of his choice, finds
    everyone: all CPFs are tried in minutes. And the name is still one person's, wherever it stands.
    In law (LGPD, GDPR) this is personal data. Keep the key apart from the table, and forget it to
    forget them all.

    Raises ``ValueError`` for a key of fewer than 16 bytes, which could be guessed.

    Source: H. Krawczyk, M. Bellare, R. Canetti (1997), "HMAC: keyed-hashing for message
    authentication", RFC 2104.

    >>> names = pseudonym(pd.Series(["ana", "bia", "ana", None]), key=b"sixteen bytes...")
    >>> names.str[:8].tolist()
    ['12a1c467', '294f77c8', '12a1c467', nan]
    """
    if not isinstance(key, bytes) or len(key) < _SHORTEST_KEY:
        what = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise ValueError(
            f"key is {what}: at least {_SHORTEST_KEY} bytes are needed, such as those of "
            "secrets.token_bytes(32)"
        )

    def named(value: Any) -> str:
        return hmac.new(key, _text(value).encode(), hashlib.sha256).hexdigest()

    there = values.notna()
    names = pd.Series(None, index=values.index, name=values.name, dtype="object")
    names[there.to_numpy()] = [named(value) for value in values[there.to_numpy()]]
    return names.astype("str")


def k_anonymity(frame: pd.DataFrame, *, columns: Sequence[str]) -> int:
    """Return the size of the smallest crowd: how many rows share what the rarest one has.

    ``columns`` are those that somebody may know of a person from elsewhere (age, postal code, sex).
    1 says that somebody is alone in them, and can be told by them; 0 that there are no rows.
    Missing counts as a value.

    It does not tell what the crowd gives away: if all ten of it have the same disease, nobody needs
    to know which one is who. Rows are taken for people; one person with ten rows is a crowd of one.

    Raises ``ValueError`` for no columns, or one that is not there.

    Source: L. Sweeney (2002), "k-anonymity: a model for protecting privacy", International Journal
    of Uncertainty, Fuzziness and Knowledge-based Systems 10.

    >>> k_anonymity(pd.DataFrame({"age": [30, 30, 41], "sex": ["F", "F", "M"]}), columns=["age"])
    1
    """
    if isinstance(columns, str) or not len(columns):
        raise ValueError(f"columns={columns!r}: a list of names is needed, one at least")
    for name in columns:
        windows.column(frame, name, argument="columns")
    sizes = frame.groupby(list(columns), dropna=False, observed=True, sort=False).size()
    return int(sizes.min()) if len(sizes) else 0
