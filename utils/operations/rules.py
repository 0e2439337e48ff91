"""Alert rules as data: read from a file, refused with a reason, held against measurements.

A rules file is YAML: a list of rules, each with the fields of ``records.AlertRule``. A rule looks
at each line that it names by itself: one that is outside in ``persistence`` windows in a row fires.
A window that says nothing (no value, or fewer rows than ``minimum``) neither counts nor clears: the
windows around it are taken as neighbours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.operations.files import read_yaml
from utils.records import LINE, AlertRule, VigiaError
from utils.text import nearest

FIELDS = {each.name: each for each in dataclasses.fields(AlertRule)}
_NUMBERS = ("low", "high", "false_alarms_per_year")
_WHOLE = ("persistence", "minimum")


class BadRules(VigiaError, ValueError):
    """A rules file that cannot be used; the message names the file, the rule and what to mend."""


def read_rules(path: Path | str) -> tuple[AlertRule, ...]:
    """Return the rules of a YAML file.

    Raises ``BadRules`` naming the file, the rule, the field, its value and the rule it breaks.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "rules.yaml"
    ...     _ = path.write_text("- {name: error-rose, metric: mae, high: 15}")
    ...     read_rules(path)[0].high
    15.0
    """
    found = read_yaml(path, bad=BadRules)
    if not isinstance(found, list):
        raise BadRules(f"{path}: must be a list of rules, not {type(found).__name__}")
    rules = tuple(_rule(each, place, path) for place, each in enumerate(found, 1))
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise BadRules(f"{path}: rule {rule.name!r} stands there twice")
        seen.add(rule.name)
    return rules


def _rule(given: Any, place: int, path: Path | str) -> AlertRule:
    if not isinstance(given, Mapping):
        raise BadRules(f"{path}: rule {place} must be a mapping, not {type(given).__name__}")
    name = given.get("name", place)
    where = f"{path}: rule {name!r}"
    for field in given:
        if field not in FIELDS:
            raise BadRules(f"{where}: {field!r} is no field; {nearest(str(field), FIELDS)}")
    for field in ("name", "metric"):
        if field not in given:
            raise BadRules(f"{where}: {field} is missing")
    values = {field: _value(field, value, where) for field, value in given.items()}
    try:
        rule = AlertRule(**values)
        windows.length(rule.window, argument="window")
    except ValueError as error:
        raise BadRules(f"{where}: {error}") from error
    return rule


def _value(field: str, value: Any, where: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if field in _NUMBERS:
        if value is None:
            return None
        if not is_number or not np.isfinite(value):
            raise BadRules(f"{where}: {field}={value!r}: must be a number")
        return float(value)
    if field in _WHOLE:
        if not is_number or value != int(value):
            raise BadRules(f"{where}: {field}={value!r}: must be a whole number")
        return int(value)
    if not isinstance(value, str):
        raise BadRules(f"{where}: {field}={value!r}: must be a text")
    return value


def judged(rules: Sequence[AlertRule], table: pd.DataFrame) -> pd.DataFrame:
    """Return what each rule says of each window of each line that it looks at, in order of time.

    Beside the columns of a line: ``rule``, ``window_start``, ``window_end``, ``value``, ``low`` and
    ``high`` (the bounds), ``outside`` (``False`` where the window says nothing), ``known`` (whether
    it says something) and ``alarm``: outside, in so many windows in a row.

    A budget's rule takes the thresholds that were measured with each value: they keep the budget
    only if the monitors were fitted with it.

    >>> from utils.records import measurements
    >>> table = measurements({
    ...     "monitor": "performance", "metric": "mae", "value": value, "n_current": 50,
    ...     "window_start": f"2024-01-{day:02}", "window_end": f"2024-01-{day + 7:02}"}
    ...     for day, value in {1: 12.0, 8: 16.0, 15: 17.0}.items())
    >>> rule = AlertRule(name="error-rose", metric="mae", high=15.0, persistence=2)
    >>> judged([rule], table)["alarm"].tolist()
    [False, False, True]
    """
    table = table.sort_values([*LINE, "window_start"])
    of_metric = dict(iter(table.groupby("metric", sort=False)))
    parts = [_judged(rule, of_metric[rule.metric]) for rule in rules if rule.metric in of_metric]
    columns = ["rule", *LINE, "window_start", "window_end", "value", "low", "high"]
    columns += ["known", "outside", "alarm"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _judged(rule: AlertRule, table: pd.DataFrame) -> pd.DataFrame:
    """Return what a rule says of the rows of its metric, which are in order of line and time."""
    length = windows.length(rule.window, argument="window")
    there = table["window_end"] - table["window_start"] == length
    for name in ("monitor", "feature", "group"):
        if getattr(rule, name):
            there &= table[name] == getattr(rule, name)
    rows = table[there].reset_index(drop=True)
    if rule.false_alarms_per_year is None:
        low = np.full(len(rows), np.nan if rule.low is None else rule.low)
        high = np.full(len(rows), np.nan if rule.high is None else rule.high)
    else:
        low, high = rows["threshold_low"].to_numpy(), rows["threshold_high"].to_numpy()
    value = rows["value"].to_numpy()
    known = ~np.isnan(value) & (rows["n_current"].to_numpy() >= rule.minimum)
    outside = known & ((value < low) | (value > high))
    rows = rows.assign(rule=rule.name, low=low, high=high, known=known, outside=outside)
    rows["alarm"] = _persistent(rows, rule.persistence)
    return rows


def _persistent(rows: pd.DataFrame, persistence: int) -> np.ndarray:
    """Return where a line is outside in so many known windows in a row, this one included.

    The rows are in order of line and time.
    """
    known = rows["known"].to_numpy()
    told = rows[known]
    outside, place = told["outside"].to_numpy(), np.arange(len(told))
    begins = np.zeros(len(told), dtype=bool)
    for name in LINE:
        values = told[name].to_numpy()
        begins[1:] |= values[1:] != values[:-1]
    # The last place before the windows in a row: one that is quiet, or the one before the line.
    before = np.maximum.accumulate(np.where(outside, np.where(begins, place - 1, -1), place))
    alarm = np.zeros(len(rows), dtype=bool)
    alarm[known] = place - before >= persistence
    return alarm


def by_line(found: pd.DataFrame) -> Iterator[tuple[str, tuple[str, ...], pd.DataFrame]]:
    """Yield each rule's name, the line, and what was judged of it, in the order of ``found``."""
    for (rule, *line), rows in found.groupby(["rule", *LINE], sort=False):
        yield rule, tuple(line), rows


def named(rules: Iterable[AlertRule]) -> dict[str, AlertRule]:
    return {rule.name: rule for rule in rules}
