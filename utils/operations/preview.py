"""What a rule would have cost, printed before it goes live.

The rules are run over measurements that were kept, as they would have been. With a ledger of what
happened they are scored beside *never* and *always alarm*; without one, nobody knows which of the
alerts would have been false, and the preview says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils.monitors.scoreboard import ALWAYS, NEVER, Prices, scoreboard
from utils.operations.rules import by_line, judged
from utils.records import LINE, AlertRule
from utils.text import date, number, percent, tr


def preview(
    rules: Sequence[AlertRule],
    table: pd.DataFrame,
    *,
    ledger: pd.DataFrame | None = None,
    prices: Prices | None = None,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Return what each rule would have done over a measurements table: one row a rule.

    ``alerts`` (how often somebody would have been told), ``windows_alarmed`` of ``windows``, and
    ``lines`` looked at. With a ledger also the columns of ``scoreboard``, of each rule and of all
    together, with *never* and *always alarm* at the end; rules whose windows have another length
    are scored by themselves and have no share in ``all``.

    Raises ``ValueError`` for a rule that looks at nothing in the table.
    """
    found = judged(rules, table)
    rows = []
    for rule in rules:
        own = found[found["rule"] == rule.name]
        if own.empty:
            raise ValueError(
                f"rule {rule.name!r}: looks at nothing here; no line has metric={rule.metric!r}, "
                f"monitor={rule.monitor!r}, feature={rule.feature!r}, group={rule.group!r} in "
                f"windows of {rule.window}"
            )
        by_window = own.groupby(["window_start", "window_end"])["alarm"].any()
        rows.append(
            {
                "rule": rule.name,
                "alerts": sum(_beginnings(part) for _, _, part in by_line(own)),
                "windows_alarmed": int(by_window.sum()),
                "windows": len(by_window),
                "lines": own.groupby(list(LINE)).ngroups,
            }
        )
    counted = pd.DataFrame(rows)
    if ledger is None:
        return counted
    return counted.merge(
        _scored(rules, found, ledger, prices=prices, rng=rng), on="rule", how="outer", sort=False
    )


def _beginnings(rows: pd.DataFrame) -> int:
    """Return how many alerts begin in the windows of one line."""
    told = rows[rows["known"]]
    alarm, outside = told["alarm"].to_numpy(), told["outside"].to_numpy()
    count, is_open = 0, False
    for fires, still in zip(alarm, outside, strict=True):
        if not is_open and fires:
            count, is_open = count + 1, True
        elif is_open and not still:
            is_open = False
    return count


def _scored(
    rules: Sequence[AlertRule],
    found: pd.DataFrame,
    ledger: pd.DataFrame,
    *,
    prices: Prices | None,
    rng: np.random.Generator | None,
) -> pd.DataFrame:
    prices = Prices(false_alarm=1, harmful_window=10) if prices is None else prices
    settings = {"prices": prices, "rng": rng}
    by_window = {
        rule.window: found[found["rule"].isin(r.name for r in rules if r.window == rule.window)]
        for rule in rules
    }
    parts = []
    for own in by_window.values():
        names = list(dict.fromkeys(own["rule"]))
        every = own.assign(alarm=False)
        tables = {
            name: pd.concat([every, own[own["rule"] == name]], ignore_index=True) for name in names
        }
        if len(names) > 1:
            tables[tr(pt="todas juntas", en="all together")] = own
        parts.append(scoreboard(ledger, tables, **settings))
    ends = parts[0][parts[0]["rule"].isin([NEVER, ALWAYS])]
    own = pd.concat([each[~each["rule"].isin([NEVER, ALWAYS])] for each in parts])
    return pd.concat([own, ends], ignore_index=True)


def said(previewed: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return a preview as text, in the language in force.

    >>> from utils.text import using
    >>> seen = pd.DataFrame({"rule": ["error-rose"], "alerts": [2], "windows_alarmed": [3],
    ...                      "windows": [8], "lines": [1]})
    >>> windows = pd.DataFrame({"window_start": pd.to_datetime(["2024-01-01"], utc=True),
    ...                         "window_end": pd.to_datetime(["2024-02-26"], utc=True)})
    >>> with using("en"):
    ...     print(said(seen, windows).splitlines()[1])
    error-rose: 2 alerts, in 3 of 8 windows (lines: 1)
    """
    first, last = date(table["window_start"].min()), date(table["window_end"].max())
    lines = [tr(pt=f"De {first} a {last}:", en=f"From {first} to {last}:")]
    for row in previewed.itertuples():
        lines.append(_row(row))
    if "detected" not in previewed:
        lines.append(
            tr(
                pt="Sem gabarito, ninguém sabe quais destes alertas seriam falsos.",
                en="Without an answer key nobody knows which of these alerts would be false.",
            )
        )
    return "\n".join(lines)


def _row(row) -> str:
    parts = []
    if not np.isnan(row.alerts):
        n, of = number(row.windows_alarmed), number(row.windows)
        alerts, looked = number(row.alerts), number(row.lines)
        many = "" if row.alerts == 1 else "s"
        parts.append(
            tr(
                pt=f"{alerts} alerta{many}, em {n} de {of} janelas (linhas: {looked})",
                en=f"{alerts} alert{many}, in {n} of {of} windows (lines: {looked})",
            )
        )
    if hasattr(row, "detected"):
        noticed = percent(round(row.detected, 3))
        low, high = percent(round(row.detected_low, 3)), percent(round(row.detected_high, 3))
        false = number(round(row.false_alarms_per_100, 1))
        late = (
            tr(pt="nunca", en="never")
            if np.isnan(row.delay_windows)
            else number(round(row.delay_windows, 1))
        )
        parts.append(
            tr(
                pt=f"notaria {noticed} dos incidentes nocivos [{low}; {high}], atraso {late} "
                f"(janelas), {false} alarmes falsos em cem janelas quietas, custo "
                f"{number(round(row.cost, 1))}",
                en=f"would notice {noticed} of harmful incidents [{low}; {high}], delay {late} "
                f"(windows), {false} false alarms in a hundred quiet windows, cost "
                f"{number(round(row.cost, 1))}",
            )
        )
    return f"{row.rule}: " + "; ".join(parts)
