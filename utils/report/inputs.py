"""What a report is made from: two frames that can be compared, and what each column is.

Nothing here knows where the data come from. What had to be assumed of them is said in ``notes``,
and what cannot be used is refused in one line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.suite import YEAR, Roles
from utils.report import columns
from utils.report.columns import Kind, meant
from utils.report.sources import Unusable, is_store, read
from utils.text import date, number, percent, tr

Task = Literal["classification", "regression"]

MOST_CLASSES = 20
"""Whole numbers with more values than this are a quantity and not classes."""

MOST_GROUPS = 12
"""The largest groups that are looked at each by itself; the rest are one group together."""

OF_A_STORE = {
    "time_column": "event_time",
    "prediction_column": "prediction",
    "score_column": "score",
    "target_column": "label",
    "known_at_column": "label_known_at",
    "latency_column": "latency_ms",
    "client_column": "client",
}
"""What is what in the frame of a store, where nothing else is said."""

_NAMES_OF_A_STORE = ("prediction_id", "model_version", "label_revision")
_DAY = pd.Timedelta(1, "D")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report is asked for: which column is what, in windows of what length.

    Only the frames of a store need no ``time_column``. Without ``feature_columns`` every column
    that is none of the others is a feature. Without ``task`` it follows from the target, or else
    from the prediction; ``positive`` is the class that ``score_column`` speaks of. ``until`` is the
    end of what was recorded (ISO 8601, with its zone), where the last row does not tell it: silence
    before it is a finding, and the current data may be shorter than a window.
    """

    time_column: str | None = None
    window: str = "7D"
    prediction_column: str | None = None
    score_column: str | None = None
    target_column: str | None = None
    group_columns: tuple[str, ...] = ()
    known_at_column: str | None = None
    feature_columns: tuple[str, ...] = ()
    latency_column: str | None = None
    client_column: str | None = None
    task: Task | None = None
    positive: str | None = None
    false_alarms_per_year: float | str = 4.0
    until: str | None = None

    def named(self) -> dict[str, str]:
        """Return the columns that have a part of their own, by the argument that names them."""
        singles = {name: getattr(self, name) for name in OF_A_STORE if getattr(self, name)}
        groups = {f"group_columns[{i}]": name for i, name in enumerate(self.group_columns)}
        return singles | groups


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Two frames in order of time whose columns have the same types, and what each column is.

    ``kinds`` are those of the features. ``known_as_of`` is the last that the current data know of:
    an event or a label; ``until`` where they end, if that was said. ``notes`` say, in the language
    in force, what was assumed and what was left out.
    """

    reference: pd.DataFrame
    current: pd.DataFrame
    roles: Roles
    kinds: Mapping[str, Kind]
    window: str
    false_alarms_per_year: float
    known_as_of: pd.Timestamp | None = None
    until: pd.Timestamp | None = None
    notes: tuple[str, ...] = ()


Pair = dict[str, pd.DataFrame]
"""The two frames, by ``"reference"`` and ``"current"``."""


def loaded(reference: str, current: str, asked: Asked) -> Inputs:
    """Return what a report is made from, read from two sources (see ``sources.read``).

    Raises ``Unusable``, in one line that names the thing and the way out.
    """
    checked_budget(asked.false_alarms_per_year, checked_window(asked.window))
    (before, said), (now, said_now) = read(reference), read(current)
    if is_store(reference) or is_store(current):
        asked = _with_defaults(asked, before, now)
    return prepared(before, now, asked, notes=[*said, *said_now])


def _with_defaults(asked: Asked, reference: pd.DataFrame, current: pd.DataFrame) -> Asked:
    """Return what is asked, and of a store's columns what both frames have and nobody named."""
    taken = {*asked.named().values(), *asked.feature_columns}
    return replace(
        asked,
        **{
            argument: name
            for argument, name in OF_A_STORE.items()
            if not getattr(asked, argument) and name not in taken
            if all(name in frame and frame[name].notna().any() for frame in (reference, current))
        },
    )


def prepared(
    reference: pd.DataFrame, current: pd.DataFrame, asked: Asked, *, notes: Sequence[str] = ()
) -> Inputs:
    """Return what a report is made from, out of two frames; nothing in them is changed.

    Raises ``Unusable`` as ``loaded`` does.

    >>> from utils.text import using
    >>> days = pd.date_range("2013-01-01", periods=60, tz="UTC")
    >>> frame = pd.DataFrame({"at": days, "delay": range(60), "id": [f"f{i}" for i in range(60)]})
    >>> with using("en"):
    ...     found = prepared(frame[:40], frame[40:], Asked(time_column="at", window="7D"))
    >>> found.roles.features
    ('delay', 'id')
    """
    blank = {name: None for name, value in vars(asked).items() if value == ""}
    asked = replace(asked, **blank)
    length = checked_window(asked.window)
    budget = checked_budget(asked.false_alarms_per_year, length)
    until = _checked_until(asked.until)
    say = list(notes)
    pair = {"reference": reference, "current": current}
    for side, frame in pair.items():
        if frame.empty:
            have = _the(side)
            raise Unusable(tr(pt=f"{have}: não há nenhuma linha", en=f"{have}: there are no rows"))
    _check_names(pair, asked)
    _check_values(pair, asked)
    pair = {side: _in_order(frame, side, asked, say) for side, frame in pair.items()}
    _check_periods(pair, asked, length, say)
    pair = _with_labels(pair, asked, say)
    task = asked.task or _task(pair["reference"], asked, say)
    pair = _with_answers(pair, asked, task, say)
    kinds = _features(pair, asked, say)
    pair = _with_features(pair, kinds, asked, say)
    pair = _with_groups(pair, asked, say)
    if not kinds and not (asked.prediction_column or asked.score_column or asked.target_column):
        raise _nothing_in_common(reference, current)
    roles = Roles(
        time_column=str(asked.time_column),
        features=tuple(kinds),
        task=task,
        prediction_column=asked.prediction_column,
        score_column=asked.score_column,
        label_column=asked.target_column,
        known_at_column=asked.known_at_column,
        group_columns=asked.group_columns,
        latency_column=asked.latency_column,
        client_column=asked.client_column,
        positive=_positive(pair["reference"], asked, say) if task == "classification" else None,
    )
    used = dict.fromkeys([*asked.named().values(), *kinds])
    return Inputs(
        **{side: frame[[*used]].reset_index(drop=True) for side, frame in pair.items()},
        roles=roles,
        kinds=kinds,
        window=asked.window,
        false_alarms_per_year=budget,
        known_as_of=_last_known(pair["current"], asked),
        until=until,
        notes=tuple(dict.fromkeys(say)),
    )


def _the(side: str) -> str:
    if side == "reference":
        return tr(pt="a referência", en="the reference")
    return tr(pt="os dados atuais", en="the current data")


def _of_the(side: str) -> str:
    if side == "reference":
        return tr(pt="da referência", en="of the reference")
    return tr(pt="dos dados atuais", en="of the current data")


def checked_window(window: str) -> pd.Timedelta:
    """Return a window as a length of time; raise ``Unusable`` for what is none."""
    try:
        return windows.length(window, argument="window")
    except ValueError as error:
        raise Unusable(
            tr(
                pt=f"window={window!r}: é preciso uma duração fixa e positiva, como 7D ou 12h",
                en=f"window={window!r}: a positive, fixed length of time is needed, such as 7D or "
                "12h",
            )
        ) from error


def checked_budget(false_alarms_per_year: float | str, length: pd.Timedelta) -> float:
    """Return a budget of false alarms a year; raise ``Unusable`` for what is none.

    Of the windows of a year at most half may be false alarms.
    """
    try:
        budget = float(false_alarms_per_year)
    except (TypeError, ValueError):
        budget = math.nan
    most = YEAR / length / 2
    if not 0 < budget <= most:
        given, most_said = (
            f"false_alarms_per_year={false_alarms_per_year!r}",
            number(round(most, 1)),
        )
        raise Unusable(
            tr(
                pt=f"{given}: com estas janelas, é preciso um número acima de 0 e até {most_said}",
                en=f"{given}: with these windows, a number above 0 and up to {most_said} is needed",
            )
        )
    return budget


def _checked_until(until: str | None) -> pd.Timestamp | None:
    try:
        return windows.moment(until, argument="until")
    except ValueError as error:
        raise Unusable(
            tr(
                pt=f"until={until!r}: é preciso um momento com fuso, como 2013-04-08T00:00Z",
                en=f"until={until!r}: a time with its zone is needed, such as 2013-04-08T00:00Z",
            )
        ) from error


# ----------------------------------------------------------------------------- names and times


def _check_names(pair: Pair, asked: Asked) -> None:
    """Refuse a column that is not there, and one that is given two parts."""
    if not asked.time_column:
        there = list(pair["reference"].columns)
        raise Unusable(
            tr(
                pt=f"time_column: diga que coluna tem o momento do evento; {meant('time', there)}",
                en=f"time_column: say which column holds the time of the event; "
                f"{meant('time', there)}",
            )
        )
    named = asked.named()
    for argument, name in named.items():
        may_lack = {
            "target_column": ("current",),
            "known_at_column": ("reference", "current"),
            "latency_column": ("reference", "current"),
            "client_column": ("reference", "current"),
        }.get(argument, ())
        lacking = [side for side, frame in pair.items() if name not in frame]
        if set(lacking) <= set(may_lack) and len(lacking) < 2:
            continue
        raise _no_column(argument, name, lacking[0], pair)
    for name in asked.feature_columns:
        if name not in pair["reference"]:
            raise _no_column("feature_columns", name, "reference", pair)
    singles = [name for argument, name in named.items() if argument in OF_A_STORE]
    singles += [name for name in asked.feature_columns if name in singles]
    twice = next((name for name in singles if singles.count(name) > 1), None)
    if twice is not None:
        parts = " = ".join(
            [argument for argument, name in named.items() if name == twice]
            + ["feature_columns"] * (twice in asked.feature_columns)
        )
        raise Unusable(
            tr(
                pt=f"{parts} = {twice!r}: uma coluna tem um só papel",
                en=f"{parts} = {twice!r}: a column has one part only",
            )
        )


def _check_values(pair: Pair, asked: Asked) -> None:
    """Refuse a column with a part of its own that holds lists, objects or bytes."""
    times = ("time_column", "known_at_column")
    for argument, name in asked.named().items():
        for frame in pair.values():
            if argument in times or name not in frame or columns.kind_of(frame[name]) != "other":
                continue
            raise Unusable(
                tr(
                    pt=f"{argument}={name!r}: é preciso um valor por linha",
                    en=f"{argument}={name!r}: one value a row is needed",
                )
            )


def _no_column(argument: str, name: str, side: str, pair: Pair) -> Unusable:
    near = meant(name, pair[side].columns)
    return Unusable(
        tr(
            pt=f"{argument}={name!r} não é coluna {_of_the(side)}; {near}",
            en=f"{argument}={name!r} is no column {_of_the(side)}; {near}",
        )
    )


def _in_order(frame: pd.DataFrame, side: str, asked: Asked, say: list[str]) -> pd.DataFrame:
    """Return a frame in order of time, its times in UTC; the index is the place in the source."""
    frame = frame.reset_index(drop=True)
    read_times = {}
    for name, required in ((asked.time_column, True), (asked.known_at_column, False)):
        if name in frame:
            what = tr(pt=f"{name} ({_the(side)})", en=f"{name} ({_the(side)})")
            read_times[name], note = columns.moments(frame[name], what=what, required=required)
            say += filter(None, [note])
    frame = frame.assign(**read_times)
    return frame.sort_values(asked.time_column, kind="stable")


def _check_periods(pair: Pair, asked: Asked, length: pd.Timedelta, say: list[str]) -> None:
    times = {side: frame[asked.time_column] for side, frame in pair.items()}
    first = {side: each.iloc[0] for side, each in times.items()}
    last = {side: each.iloc[-1] for side, each in times.items()}
    if first["current"] <= last["reference"] and first["reference"] <= last["current"]:
        ends, begins = (date(each, time=True) for each in (last["reference"], first["current"]))
        raise Unusable(
            tr(
                pt=f"a referência termina em {ends} e os dados atuais começam em {begins}: não "
                "podem ter tempo em comum",
                en=f"the reference ends on {ends} and the current data begin on {begins}: they "
                "must not overlap in time",
            )
        )
    if last["current"] < first["reference"]:
        say.append(
            tr(
                pt="a referência é posterior aos dados atuais",
                en="the reference is later than the current data",
            )
        )
    for side in pair:
        span = _covered(first[side], last[side], length)
        days = number(round(span / _DAY, 2))
        if length > span and not (side == "current" and asked.until):
            raise Unusable(
                tr(
                    pt=f"window={asked.window!r} é mais longa que {_the(side)}: {days} dias",
                    en=f"window={asked.window!r} is longer than {_the(side)}: {days} days",
                )
            )
        if side == "reference" and 2 * length > span:
            raise Unusable(
                tr(
                    pt=f"window={asked.window!r}: a referência ({days} dias) não dá duas janelas",
                    en=f"window={asked.window!r}: the reference ({days} days) does not make two "
                    "windows",
                )
            )


def _covered(first: pd.Timestamp, last: pd.Timestamp, window: pd.Timedelta) -> pd.Timedelta:
    """Return how long a period is, in whole days: a night without a row belongs to its day.

    Where windows are shorter than a day it is in eighths of a window.
    """
    step = _DAY if window >= _DAY else window / 8
    begins, ends = (each - windows.ORIGIN for each in (first, last))
    return (ends // step + 1 - begins // step) * step


# -------------------------------------------------------------------------- labels and answers


def _with_labels(pair: Pair, asked: Asked, say: list[str]) -> Pair:
    """Return the frames, each with the columns that only the other one has."""
    target, known_at, time = asked.target_column, asked.known_at_column, asked.time_column
    filled = dict(pair)
    for side, frame in pair.items():
        if target and target not in frame:
            frame = frame.assign(**{target: np.nan})
            say.append(
                tr(
                    pt=f"{target}: {_the(side)} não têm rótulos: o desempenho só se estima",
                    en=f"{target}: {_the(side)} have no labels: performance is only estimated",
                )
            )
        if known_at and known_at not in frame:
            frame = frame.assign(**{known_at: frame[time]})
            say.append(
                tr(
                    pt=f"{known_at}: {_the(side)} não a têm: cada rótulo conta como conhecido no "
                    "momento do evento",
                    en=f"{known_at}: not {_of_the(side)}: each label counts as known at the time "
                    "of the event",
                )
            )
        for name in filter(None, (asked.latency_column, asked.client_column)):
            if name not in frame:
                frame = frame.assign(**{name: np.nan})
        filled[side] = _late_labels(frame, side, asked, say) if target and known_at else frame
    return filled


def _late_labels(frame: pd.DataFrame, side: str, asked: Asked, say: list[str]) -> pd.DataFrame:
    """Return a frame in which each label that is there has the moment at which it was known."""
    label, known_at = frame[asked.target_column], frame[asked.known_at_column]
    untold = label.notna() & known_at.isna()
    if not untold.any():
        return frame
    n, name = columns.share_of(int(untold.sum()), len(frame)), asked.known_at_column
    say.append(
        tr(
            pt=f"{name} ({_the(side)}): falta em {n} das linhas com rótulo, que conta como "
            "conhecido no momento do evento",
            en=f"{name} ({_the(side)}): missing in {n} of the rows with a label, which counts as "
            "known at the time of the event",
        )
    )
    return frame.assign(**{name: known_at.where(~untold, frame[asked.time_column])})


def _last_known(current: pd.DataFrame, asked: Asked) -> pd.Timestamp | None:
    if not (asked.target_column and asked.known_at_column):
        return None
    return current[[asked.time_column, asked.known_at_column]].max().max()


def _task(reference: pd.DataFrame, asked: Asked, say: list[str]) -> Task | None:
    """Return the task that the target tells, or else the prediction; none where both are absent."""
    names = [name for name in (asked.target_column, asked.prediction_column) if name]
    if not names:
        return None
    of_words = columns.kind_of(reference[names[0]]) != "number"
    are_classes = of_words or all(_are_classes(reference[name]) for name in names)
    task: Task = "classification" if are_classes else "regression"
    values = reference[names[0]].dropna().nunique()
    if values > 2 or task == "regression":
        what = _task_name(task)
        say.append(
            tr(
                pt=f"{names[0]}: {number(values)} valores: é {what}, se task não diz outra coisa",
                en=f"{names[0]}: {number(values)} values: it is {what}, unless task says otherwise",
            )
        )
    return task


def _task_name(task: Task) -> str:
    if task == "classification":
        return tr(pt="classificação", en="classification")
    return tr(pt="regressão", en="regression")


def _are_classes(column: pd.Series) -> bool:
    kind = columns.kind_of(column)
    if kind != "number":
        return True
    values = columns.numbers(column, what="")[0].dropna()
    return bool(values.mod(1).eq(0).all()) and values.nunique() <= MOST_CLASSES


def _with_answers(pair: Pair, asked: Asked, task: Task | None, say: list[str]) -> Pair:
    """Return the frames with predictions and labels written alike, and scores as numbers."""
    answers = [name for name in (asked.prediction_column, asked.target_column) if name]
    as_numbers = [name for name in (asked.score_column, asked.latency_column) if name]
    if task == "regression":
        as_numbers += answers
    elif answers:
        _check_classes(pair["reference"], asked)
        pair = _written_alike(pair, answers)
        _check_alike(pair["reference"], asked)
    typed = {}
    for side, frame in pair.items():
        typed[side] = frame.assign(
            **{name: _as_numbers(frame[name], side, say) for name in as_numbers}
        )
        for name in filter(None, (asked.prediction_column, asked.score_column)):
            if typed[side][name].isna().all():
                raise Unusable(
                    tr(
                        pt=f"{name}: {_the(side)}: a coluna está vazia",
                        en=f"{name}: {_the(side)}: the column is empty",
                    )
                )
    return typed


def _as_numbers(column: pd.Series, side: str, say: list[str]) -> pd.Series:
    what = f"{column.name} ({_the(side)})"
    values, notes = columns.numbers(column, what=what)
    if column.notna().any() and values.isna().all():
        raise Unusable(
            tr(pt=f"{what}: nenhum valor é um número", en=f"{what}: no value is a number")
        )
    say += notes
    return values


def _written_alike(pair: Pair, names: Sequence[str]) -> Pair:
    """Return the frames with classes as whole numbers where all of them are, else as text."""
    held = [frame[name] for frame in pair.values() for name in names]
    kinds = {columns.kind_of(each) for each in held if each.notna().any()}
    write = columns.texts
    if kinds <= {"number", "boolean"}:
        values = pd.concat([columns.numbers(_as_01(each), what="")[0] for each in held])
        if values.dropna().mod(1).eq(0).all():
            write = _whole
    return {
        side: frame.assign(**{name: write(frame[name]) for name in names})
        for side, frame in pair.items()
    }


def _whole(column: pd.Series) -> pd.Series:
    return columns.numbers(_as_01(column), what="")[0].astype("Int64")


def _as_01(column: pd.Series) -> pd.Series:
    if columns.kind_of(column) != "boolean":
        return column
    return columns.booleans(column).astype("Float64")


def _check_classes(reference: pd.DataFrame, asked: Asked) -> None:
    """Refuse probabilities as classes."""
    name = asked.prediction_column
    if name and not _are_classes(reference[name]):
        values = columns.numbers(reference[name], what="")[0].dropna()
        if values.mod(1).ne(0).any() and values.between(0, 1).all():
            raise Unusable(
                tr(
                    pt=f"prediction_column={name!r} tem probabilidades e não classes: diga-a como "
                    "score_column",
                    en=f"prediction_column={name!r} holds probabilities and not classes: give it "
                    "as score_column",
                )
            )


def _check_alike(reference: pd.DataFrame, asked: Asked) -> None:
    prediction, target = asked.prediction_column, asked.target_column
    if not (prediction and target):
        return
    predicted, true = (set(reference[name].dropna().unique()) for name in (prediction, target))
    if predicted and true and not predicted & true:
        some, others = (", ".join(map(str, sorted(each)[:4])) for each in (predicted, true))
        raise Unusable(
            tr(
                pt=f"{prediction} ({some}) e {target} ({others}) não têm nenhuma classe em comum",
                en=f"{prediction} ({some}) and {target} ({others}) have no class in common",
            )
        )


def _positive(reference: pd.DataFrame, asked: Asked, say: list[str]) -> object:
    """Return the class that counts as positive; none where there are more than two."""
    names = [name for name in (asked.target_column, asked.prediction_column) if name]
    classes = sorted(set().union(*(reference[name].dropna().unique() for name in names)))
    if asked.positive is not None:
        for each in classes:
            if str(each) == str(asked.positive):
                return each
        near = meant(str(asked.positive), map(str, classes))
        raise Unusable(
            tr(
                pt=f"positive={asked.positive!r} não é nenhuma das classes; {near}",
                en=f"positive={asked.positive!r} is none of the classes; {near}",
            )
        )
    if set(classes) <= {0, 1}:
        return 1
    if len(classes) != 2:
        return None
    column, score = reference[names[0]], asked.score_column
    if score:
        positive = reference.groupby(column)[score].mean().idxmax()
        why = tr(pt=f"é com ela que {score} cresce", en=f"{score} grows with it")
    else:
        positive = column.value_counts().idxmin()
        why = tr(pt="é a mais rara", en="it is the rarer one")
    say.append(
        tr(
            pt=f"{names[0]}: {positive!r} conta como a classe positiva: {why}",
            en=f"{names[0]}: {positive!r} counts as the positive class: {why}",
        )
    )
    return positive


# ------------------------------------------------------------------------- features and groups


def _features(pair: Pair, asked: Asked, say: list[str]) -> dict[str, Kind]:
    """Return the features and their kinds, and say what is none and why."""
    reference, current = pair["reference"], pair["current"]
    others = set(asked.named().values())
    candidates = [name for name in reference if name not in others | set(_NAMES_OF_A_STORE)]
    new = [name for name in current if name not in {*reference, *others, *_NAMES_OF_A_STORE}]
    if new:
        listed = ", ".join(map(str, new))
        say.append(
            tr(
                pt=f"só os dados atuais têm, e ninguém compara: {listed}",
                en=f"only the current data have, and nothing compares: {listed}",
            )
        )
    kinds: dict[str, Kind] = {}
    for name in asked.feature_columns or candidates:
        kind = columns.kind_of(
            reference[name] if reference[name].notna().any() else current.get(name, reference[name])
        )
        why = _why_not(name, kind, pair, explicit=bool(asked.feature_columns))
        if not why:
            kinds[name] = kind
        elif name in asked.feature_columns:
            raise Unusable(f"feature_columns={name!r}: {why}")
        else:
            say.append(f"{name}: {why}")
    if kinds and not any(name in current for name in kinds):
        if not (asked.prediction_column or asked.score_column or asked.target_column):
            raise _nothing_in_common(reference, current)
    for name in kinds:
        if name not in current:
            say.append(
                tr(
                    pt=f"{name}: falta nos dados atuais, e conta como ausente em toda linha",
                    en=f"{name}: the current data lack it, and it counts as missing in every row",
                )
            )
        if reference[name].nunique() == 1:
            say.append(
                tr(pt=f"{name}: constante na referência", en=f"{name}: constant in the reference")
            )
    return kinds


def _why_not(name: str, kind: Kind, pair: Pair, *, explicit: bool) -> str:
    """Return why a column is no feature; an empty text where it is one."""
    reference, current = pair["reference"], pair["current"]
    if kind == "other":
        return tr(
            pt="cada linha tem uma lista, um objeto ou bytes: fica de fora",
            en="its rows hold lists, objects or bytes: left out",
        )
    if explicit:
        return ""
    if kind == "moment":
        return tr(
            pt="datas mudam por si: fica de fora; diga-a como feature_columns para olhar os dias "
            "que faltavam até o evento",
            en="dates change by themselves: left out; name it in feature_columns to watch the "
            "days from it to the event",
        )
    if reference[name].isna().all() and (name not in current or current[name].isna().all()):
        return tr(pt="vazia: fica de fora", en="empty: left out")
    if columns.is_identifier(reference[name], kind):
        n = percent(round(reference[name].nunique() / reference[name].notna().sum(), 3))
        return tr(
            pt=f"parece um identificador ({n} de valores distintos): fica de fora",
            en=f"looks like an identifier ({n} distinct values): left out",
        )
    return ""


def _with_features(pair: Pair, kinds: Mapping[str, Kind], asked: Asked, say: list[str]) -> Pair:
    """Return the frames with the features as the monitors read them.

    The reference has numbers where it is mostly numbers; the current data keep what is none, for
    the monitors of quality to count.
    """
    typed = {}
    for side, frame in pair.items():
        new = {}
        for name, kind in kinds.items():
            if name not in frame:
                new[name] = pd.Series(np.nan, index=frame.index)
                continue
            what = f"{name} ({_the(side)})"
            if kind == "moment":
                dates, _ = columns.moments(frame[name], what=what, required=False)
                new[name] = (frame[asked.time_column] - dates) / pd.Timedelta("1D")
            elif kind == "number":
                values, notes = columns.numbers(frame[name], what=what)
                say += notes
                new[name] = values if side == "reference" else columns.with_numbers(frame[name])
            elif kind == "boolean":
                truth = columns.booleans(frame[name])
                new[name] = truth if truth.isna().equals(frame[name].isna()) else frame[name]
        typed[side] = frame.assign(**new)
    return typed


def _with_groups(pair: Pair, asked: Asked, say: list[str]) -> Pair:
    """Return the frames with groups as text, the smallest of too many put together."""
    for name in asked.group_columns:
        texts = {side: columns.texts(frame[name]) for side, frame in pair.items()}
        sizes = texts["reference"].value_counts()
        if len(sizes) > MOST_GROUPS:
            kept = set(sizes.index[:MOST_GROUPS])
            rest = tr(pt="(os demais)", en="(the rest)")
            texts = {
                side: each.where(each.isin(kept) | each.isna(), rest)
                for side, each in texts.items()
            }
            say.append(
                tr(
                    pt=f"{name}: {number(len(sizes))} grupos; os {MOST_GROUPS} maiores um a um, os "
                    "demais juntos",
                    en=f"{name}: {number(len(sizes))} groups; the {MOST_GROUPS} largest each by "
                    "itself, the rest together",
                )
            )
        pair = {side: frame.assign(**{name: texts[side]}) for side, frame in pair.items()}
    return pair


def _nothing_in_common(reference: pd.DataFrame, current: pd.DataFrame) -> Unusable:
    before, now = (", ".join(map(str, list(frame)[:8])) for frame in (reference, current))
    return Unusable(
        tr(
            pt=f"nenhuma coluna em comum para comparar: a referência tem {before}; os dados atuais "
            f"têm {now}",
            en=f"no columns in common to compare: the reference has {before}; the current data "
            f"have {now}",
        )
    )
