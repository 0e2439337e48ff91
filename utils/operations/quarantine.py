"""Data that no model may learn from: kept where they are, marked, and left out.

A span is put into quarantine by what was measured in it: values that are missing, of another type
or repeated (a broken sensor), or labels of one source that contradict all others of the same weeks
(poisoned, or just wrong). It stays there until a person releases it: that the present is sound
again does not mend the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from utils.monitors import windows
from utils.monitors.alerts import BROKEN, QUALITY
from utils.operations.steps import in_both
from utils.records import VigiaError
from utils.store import Store
from utils.text import date, metric_name, nearest, tr

LEAST_WEEKS = 5
LEAST_ROWS = 50


class UnknownSpan(VigiaError):
    """Nothing of this name is in quarantine."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Rows of a time that are in quarantine: all of them, or those of one source.

    ``where`` names a column and the value of the source, or is empty. ``why`` is in each language.
    """

    id: str
    start: datetime
    end: datetime
    why: Mapping[str, str]
    columns: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)


def stream_of(deployment: str) -> str:
    return f"quarantine/{deployment}"


def put(store: Store, deployment: str, span: Span, *, at: datetime) -> bool:
    """Put a span into quarantine; return whether it was not there."""
    body = {
        "start": span.start.isoformat(),
        "end": span.end.isoformat(),
        "why": dict(span.why),
        "columns": list(span.columns),
        "where": dict(span.where),
    }
    return store.record(stream_of(deployment), span.id, kind="quarantined", at=at, body=body)


def release(
    store: Store, deployment: str, span: str, *, by: str, reason: str, at: datetime
) -> bool:
    """Take a span out of quarantine, with the reason; return whether it was still there.

    Raises ``UnknownSpan``, and ``ValueError`` for nobody or no reason.
    """
    for name, said in (("by", by), ("reason", reason)):
        if not said.strip():
            raise ValueError(f"{name}={said!r}: must not be empty")
    known = [e.key for e in store.events(stream_of(deployment)) if e.kind == "quarantined"]
    if span not in known:
        near = nearest(span, known) if known else "nothing is"
        raise UnknownSpan(f"span={span!r}: is not in quarantine; {near}")
    body = {"span": span, "by": by, "reason": reason}
    key = f"{span}/released"
    return store.record(stream_of(deployment), key, kind="released", at=at, body=body)


def spans(store: Store, deployment: str) -> list[Span]:
    """Return what is in quarantine, in the order in which it was put there."""
    found: dict[str, Span] = {}
    for event in store.events(stream_of(deployment)):
        if event.kind == "released":
            found.pop(event.body["span"], None)
            continue
        body = event.body
        found[event.key] = Span(
            id=event.key,
            start=datetime.fromisoformat(body["start"]),
            end=datetime.fromisoformat(body["end"]),
            why=body["why"],
            columns=tuple(body["columns"]),
            where=body["where"],
        )
    return list(found.values())


def sound(
    frame: pd.DataFrame, held: Iterable[Span], *, time_column: str = "event_time"
) -> pd.DataFrame:
    """Return the rows that are in no quarantine.

    Where a frame lacks the column of a span's source, nobody knows which rows are its own: all of
    that time go.

    >>> days = pd.date_range("2013-04-01", periods=3, tz="UTC")
    >>> span = Span(id="a", start=days[1], end=days[2], why={}, where={"carrier": "UA"})
    >>> rows = pd.DataFrame({"event_time": days.repeat(2), "carrier": ["UA", "B6"] * 3})
    >>> sound(rows, [span])["carrier"].tolist()
    ['UA', 'B6', 'B6', 'UA', 'B6']
    """
    times = frame[time_column]
    kept = np.ones(len(frame), dtype=bool)
    for span in held:
        hit = ((times >= span.start) & (times < span.end)).to_numpy()
        for column, value in span.where.items():
            if column in frame:
                hit = hit & frame[column].astype("str").eq(value).to_numpy()
        kept &= ~hit
    return frame[kept]


# ------------------------------------------------------------------------------- broken data


def broken(table: pd.DataFrame, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the alarms of measurements that say that the data of a time are broken.

    Fewer defects than usual are an alarm too, and break nothing.
    """
    there = (table["window_start"] < end) & (table["window_end"] > start)
    is_broken = table["monitor"].eq(QUALITY) & table["metric"].isin(BROKEN)
    is_worse = ~(table["value"] < table["threshold_low"])
    return table[there & is_broken & table["alarm"] & is_worse]


def broken_spans(alarms: pd.DataFrame) -> list[Span]:
    """Return a span for each window in which something was broken, with what it was."""
    found = []
    for (start, end), rows in alarms.groupby(["window_start", "window_end"]):
        columns = tuple(sorted({each for each in rows["feature"] if each}))

        def why(rows=rows, start=start) -> str:
            what = "; ".join(
                f"{metric_name(row.metric)} ({row.feature})"
                if row.feature
                else metric_name(row.metric)
                for row in rows.itertuples()
            )
            return tr(
                pt=f"Na janela de {date(start)} os dados estão quebrados: {what}.",
                en=f"In the window of {date(start)} the data are broken: {what}.",
            )

        found.append(
            Span(
                id=f"broken/{start.isoformat()}/{end.isoformat()}",
                start=start.to_pydatetime(),
                end=end.to_pydatetime(),
                columns=columns,
                why=in_both(why),
            )
        )
    return found


# ------------------------------------------------------------------------------- labels that lie


def contradicted(
    usual: pd.DataFrame,
    current: pd.DataFrame,
    *,
    source_column: str,
    like: Sequence[str] = (),
    chance: float = 0.001,
    window: str = "7D",
    time_column: str = "event_time",
    label_column: str = "label",
    answer_column: str = "prediction",
) -> pd.DataFrame:
    """Return the sources whose labels contradict those of all others in the same time.

    Of each source and window: by how much its labels exceed the model's answers, less what that is
    for the other sources on rows that are like its own: a line through the answer and the numbers
    ``like``, fitted on the others alone. Where the world changes, it changes for the others too,
    and this stays; where one source lies, it moves. It is held against the windows of ``usual``: a
    source is named whose value in ``current`` (one window of that length) has a ``chance`` of at
    most so much, for all sources together, if nothing changed. A source that has fewer labels than
    usual so far may stray further. Columns: ``source``, ``value``, ``usual``, ``low``, ``high``,
    ``n``.

    What it does not tell: labels that are wrong for every source alike, sources with fewer than
    ``LEAST_ROWS`` rows a window or ``LEAST_WEEKS`` windows in ``usual``, and why: a source may have
    had a bad week of its own.

    Raises ``ValueError`` for a column that is missing, and for a chance that is none.

    >>> rng = np.random.default_rng(0)
    >>> def weeks(start, n, lie=0.0):
    ...     times = pd.date_range(start, periods=n * 168, freq="1h", tz="UTC")
    ...     rows = pd.DataFrame({"event_time": times, "prediction": 10.0,
    ...                          "client": np.resize(["a", "b"], len(times))})
    ...     lies = np.where(rows["client"] == "b", lie, 0.0)
    ...     return rows.assign(label=10 + rng.normal(size=len(rows)) + lies)
    >>> def named(lie):
    ...     usual, current = weeks("2024-01-01", 8), weeks("2024-02-26", 1, lie)
    ...     return contradicted(usual, current, source_column="client")["source"].tolist()
    >>> named(0.0), named(-3.0)
    ([], ['a', 'b'])
    """
    if not 0 < chance < 1:
        raise ValueError(f"chance={chance!r}: must lie between 0 and 1")
    roles = _Roles(
        time_column=time_column,
        label_column=label_column,
        answer_column=answer_column,
        source_column=source_column,
        like=tuple(like),
    )
    length = windows.length(window, argument="window")
    before = _by_source(usual, roles, length=length)
    now = _by_source(current, roles, length=None)
    known = (
        before[before["n"] >= LEAST_ROWS]
        .groupby("source")
        .agg(
            mean=("value", "mean"),
            spread=("value", "std"),
            n_windows=("value", "size"),
            rows=("n", "median"),
        )
    )
    known = known[known["n_windows"] >= LEAST_WEEKS]
    now = now[(now["n"] >= LEAST_ROWS) & now["source"].isin(known.index)]
    found = []
    for row in now.itertuples():
        mean, spread, n_windows, n_rows = known.loc[row.source]
        widened = np.sqrt(max(n_rows / row.n, 1.0) + 1 / n_windows)
        reach = stats.t.ppf(1 - chance / 2 / len(now), n_windows - 1) * spread * widened
        if abs(row.value - mean) > reach:
            found.append((row.source, row.value, mean, mean - reach, mean + reach, row.n))
    return pd.DataFrame(found, columns=["source", "value", "usual", "low", "high", "n"])


@dataclass(frozen=True, kw_only=True)
class _Roles:
    time_column: str
    label_column: str
    answer_column: str
    source_column: str
    like: tuple[str, ...]

    def read(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of the labelled rows; a missing number is the middle one."""
        for argument in ("time_column", "label_column", "answer_column", "source_column"):
            windows.column(frame, getattr(self, argument), argument=argument)
        for name in self.like:
            windows.column(frame, name, argument="like")
        needed = [self.time_column, self.label_column, self.answer_column, self.source_column]
        rows = frame.dropna(subset=needed)
        numbers = rows[list(self.like)].astype("float64")
        return rows[needed].join(numbers.fillna(numbers.median()).fillna(0.0))


def _by_source(frame: pd.DataFrame, roles: _Roles, *, length: pd.Timedelta | None) -> pd.DataFrame:
    """Return by window and source how far its labels lie from what the others' would be."""
    rows = roles.read(frame)
    found: list[tuple[str, float, int]] = []
    if rows.empty:
        return pd.DataFrame(found, columns=["source", "value", "n"])
    columns = [roles.answer_column, *roles.like]
    values = rows[columns].to_numpy(dtype=float)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    inputs = np.column_stack([np.ones(len(rows)), values])
    excess = (rows[roles.label_column].astype(float) - rows[roles.answer_column]).to_numpy(float)
    at = np.zeros(len(rows), dtype=int)
    if length is not None:
        at = ((rows[roles.time_column] - windows.ORIGIN) // length).to_numpy()
    codes, names = pd.factorize(rows[roles.source_column].astype("str"), sort=True)
    for one in np.unique(at):
        here = at == one
        found += _of_window(inputs[here], excess[here], codes[here], names)
    return pd.DataFrame(found, columns=["source", "value", "n"])


def _of_window(
    inputs: np.ndarray, excess: np.ndarray, codes: np.ndarray, names: Sequence[str]
) -> list[tuple[str, float, int]]:
    """Return for each source of a window its mean excess, less that of a line through the others.

    The line comes from sums, from which those of the source are taken away; a little is added to
    its squares, so that a column that does not vary there does no harm.
    """
    squares, products = inputs.T @ inputs, inputs.T @ excess
    found = []
    for code in np.unique(codes):
        own = inputs[codes == code]
        n_others = len(inputs) - len(own)
        if not n_others:
            continue
        left = squares - own.T @ own + 1e-3 * np.eye(inputs.shape[1])
        line = np.linalg.solve(left, products - own.T @ excess[codes == code])
        value = excess[codes == code].mean() - own.mean(axis=0) @ line
        found.append((names[code], float(value), len(own)))
    return found


def lying_spans(found: pd.DataFrame, *, column: str, start: datetime, end: datetime) -> list[Span]:
    """Return the span of the source whose labels contradict the others most, if there is one.

    One that lies makes the others look as if they did, a little and the other way: so it is one at
    a time, and ``liars`` looks again without it.
    """
    if found.empty:
        return []
    away = (found["value"] - found["usual"]).abs() / (found["high"] - found["usual"])
    row = found.loc[away.idxmax()]

    def why() -> str:
        return tr(
            pt=f"Os rótulos de {column}={row['source']} de {date(start)} a {date(end)} contradizem "
            "os de todas as outras fontes do mesmo período.",
            en=f"The labels of {column}={row['source']} from {date(start)} to {date(end)} "
            "contradict those of every other source of the same time.",
        )

    return [
        Span(
            id=f"labels/{column}={row['source']}/{start.isoformat()}",
            start=start,
            end=end,
            where={column: str(row["source"])},
            why=in_both(why),
        )
    ]


def liars(
    usual: pd.DataFrame,
    current: pd.DataFrame,
    *,
    source_column: str,
    start: datetime,
    end: datetime,
    **settings: Any,
) -> list[Span]:
    """Return a span for each source of a time whose labels contradict all others', worst first.

    After each the rest is looked at without it. ``settings`` are those of ``contradicted``, and so
    is what it does not tell.
    """
    found: list[Span] = []
    while True:
        table = contradicted(usual, current, source_column=source_column, **settings)
        new = lying_spans(table, column=source_column, start=start, end=end)
        if not new:
            return found
        found += new
        lies = new[0].where[source_column]
        usual, current = (
            each[each[source_column].astype("str").ne(lies)] for each in (usual, current)
        )


def said(held: Sequence[Span]) -> list[str]:
    """Return why each span is held, in the language in force."""
    return [tr(**span.why) for span in held]
