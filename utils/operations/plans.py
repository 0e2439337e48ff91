"""A plan of the loop as data: read from a file, refused with a reason.

A plan file is YAML: what is looked at and when, by which rules, and within which limits the loop
may act by itself. Lengths of time are ISO 8601 durations (``P14D``). What is not said is as in
``loop.Plan``, ``decisions.Limits`` and ``canary.Canary``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from utils.exporters import schedules
from utils.monitors import suite, windows
from utils.monitors.paired import LOSSES
from utils.operations import remedies
from utils.operations.canary import Canary
from utils.operations.decisions import Limits
from utils.operations.files import read_yaml
from utils.operations.loop import Plan, Seen
from utils.operations.monitors import InProcess
from utils.operations.rules import read_rules
from utils.operations.schedule import Schedule
from utils.records import VigiaError
from utils.text import LANGUAGES, nearest

REMEDIES: Mapping[str, Callable[[], remedies.Remedy]] = {
    remedies.RETRAIN: remedies.retrain,
    remedies.RECALIBRATE: remedies.recalibrate,
}
"""What a plan file can name. New hyperparameters depend on the model: they are given in Python."""

MONITORS = ("notebook", "process")


class BadPlan(VigiaError, ValueError):
    """A plan file that cannot be used; the message names the file, the field and what to mend."""


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """What the monitors of captured rows have to know, however they are run.

    ``window`` is the length of the windows, as ``"7D"``.
    """

    task: suite.Task
    group_columns: tuple[str, ...]
    window: str
    false_alarms_per_year: float
    language: str
    seed: int

    @property
    def roles(self) -> suite.Roles:
        """The columns of captured rows; the features are those of the model."""
        return suite.Roles(
            task=self.task,
            prediction_column="prediction",
            score_column="score" if self.task == "classification" else None,
            label_column="label",
            known_at_column="label_known_at",
            group_columns=self.group_columns,
        )


Monitor = Callable[[Seen], pd.DataFrame]
ByNotebook = Callable[[Measuring], Monitor]
"""Makes the monitor that runs a notebook; the course has one, and a job of one's own may."""


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """What a plan file says: the plan, and when it runs."""

    plan: Plan
    schedule: Schedule


def read_plan(path: Path | str, *, by_notebook: ByNotebook | None = None) -> PlanFile:
    """Return what a plan file says.

    ``by_notebook`` makes the monitor where ``monitor: notebook`` is asked for, which it is unless
    the file says ``process``; without it, the monitors run in this process.

    Raises ``BadPlan`` naming the file, the field, its value and the rule, and ``BadRules``.

    >>> from tempfile import TemporaryDirectory
    >>> from utils.operations.runbooks import RULES
    >>> text = f'''
    ... deployment: flights
    ... task: regression
    ... loss: mae
    ... schedule: {{cron: "cron(0 12 ? * MON *)", start: -P7DT12H, end: -PT12H}}
    ... rules: {RULES}
    ... canary: {{harm: 0.5}}
    ... judged: P7D
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "plan.yaml"
    ...     _ = path.write_text(text)
    ...     plan = read_plan(path).plan
    >>> plan.canary.share, plan.judged.days
    (0.1, 7)
    """
    given = _mapping(path)
    where = _Fields(path=Path(path), given=given)
    where.need("deployment", "task", "loss", "schedule", "rules", "canary")
    where.only(_FIELDS)
    schedule = where.built("schedule", Schedule)
    with where.complaining("schedule"):
        _need_whole(schedule)
    measuring = Measuring(
        task=where.one_of("task", get_args(suite.Task)),
        group_columns=where.texts("group_columns"),
        window=_window_of(schedule),
        false_alarms_per_year=where.number("false_alarms_per_year", 4.0),
        language=where.one_of("language", LANGUAGES, default="pt"),
        seed=int(where.number("seed", 0)),
    )
    is_notebook = where.one_of("monitor", MONITORS, default=MONITORS[0]) == "notebook"
    if is_notebook and by_notebook is not None:
        monitor = by_notebook(measuring)
    else:
        monitor = InProcess(
            roles=measuring.roles,
            window=measuring.window,
            false_alarms_per_year=measuring.false_alarms_per_year,
            seed=measuring.seed,
        )
    plain = {
        **{name: where.text(name) for name in _TEXTS if name in given},
        **{name: where.duration(name) for name in _DURATIONS if name in given},
        **{name: where.texts(name) for name in ("gated", "channels") if name in given},
    }
    if "margin" in given:
        plain["margin"] = where.number("margin", 0.0)
    if "paired" in given:
        plain["paired"] = where.flag("paired")
    if "limits" in given:
        plain["limits"] = where.built("limits", Limits)
    if "remedies" in given:
        names = where.texts("remedies")
        plain["remedies"] = tuple(
            REMEDIES[where.known(name, REMEDIES, field="remedies")]() for name in names
        )
    with where.complaining():
        plan = Plan(
            task=measuring.task,
            loss=where.one_of("loss", LOSSES),
            deployment=where.text("deployment"),
            monitor=monitor,
            rules=read_rules(Path(path).parent / where.text("rules")),
            canary=where.built("canary", Canary),
            language=measuring.language,
            seed=measuring.seed,
            **plain,
        )
    return PlanFile(plan=plan, schedule=schedule)


_TEXTS = ("source_column", "fallback", "runbooks")
_DURATIONS = ("learned", "judged", "watched", "shadowed", "referred")
_FIELDS = (
    *("deployment", "task", "loss", "schedule", "rules", "canary", "monitor", "group_columns"),
    *("false_alarms_per_year", "language", "seed", "gated", "channels", "margin", "paired"),
    *("limits", "remedies", *_TEXTS, *_DURATIONS),
)


def _need_whole(schedule: Schedule) -> None:
    """Refuse a schedule whose windows are not those that the monitors cut.

    Raises ``ValueError`` naming the first window that is none.
    """
    length = pd.Timedelta(_window_of(schedule))
    for window in islice(schedule.windows(after=datetime(2024, 1, 1, tzinfo=UTC)), 3):
        if (pd.Timestamp(window.start) - windows.ORIGIN) % length:
            raise ValueError(
                f"the windows of {length.to_pytimedelta()} are counted from "
                f"{windows.ORIGIN:%Y-%m-%d %H:%M} UTC, and none begins at "
                f"{window.start.isoformat()}; change start, end or cron"
            )


def _window_of(schedule: Schedule) -> str:
    start, end = (schedules.offset(each) for each in (schedule.start, schedule.end))
    return f"{(end - start) // pd.Timedelta('1s')}s"


def _mapping(path: Path | str) -> Mapping[str, Any]:
    found = read_yaml(path, bad=BadPlan)
    if not isinstance(found, Mapping):
        raise BadPlan(f"{path}: must be a mapping of fields, not {type(found).__name__}")
    return found


_KINDS = {
    "str": (str, "must be a text"),
    "int": (int, "must be a whole number"),
    "float": (int | float, "must be a number"),
}


@dataclass(frozen=True, kw_only=True)
class _Fields:
    """The fields of a file, each read as what it must be."""

    path: Path
    given: Mapping[str, Any]

    @contextmanager
    def complaining(self, field: str = "") -> Iterator[None]:
        """Turn what a dataclass says of its fields into what is wrong with the file."""
        try:
            yield
        except VigiaError:
            raise
        except (ValueError, TypeError) as error:
            prefix = f"{self.path}: {field}: " if field else f"{self.path}: "
            raise BadPlan(f"{prefix}{error}") from error

    def _bad(self, name: str, rule: str) -> BadPlan:
        return BadPlan(f"{self.path}: {name}={self.given[name]!r}: {rule}")

    def need(self, *names: str) -> None:
        for name in names:
            if name not in self.given:
                raise BadPlan(f"{self.path}: {name} is missing")

    def only(self, known: Sequence[str], *, within: str = "") -> None:
        for name in self.given:
            if name not in known:
                place = f"{within}: " if within else ""
                raise BadPlan(
                    f"{self.path}: {place}{name!r} is no field; {nearest(str(name), known)}"
                )

    def text(self, name: str) -> str:
        if not isinstance(self.given[name], str) or not self.given[name].strip():
            raise self._bad(name, "must be a text")
        return self.given[name]

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.given.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self._bad(name, "must be a list of texts")
        return tuple(found)

    def known(self, value: str, known: Sequence[str] | Mapping[str, Any], *, field: str) -> str:
        if value not in known:
            raise BadPlan(f"{self.path}: {field}: {value!r} is none; {nearest(value, list(known))}")
        return value

    def one_of(self, name: str, known: Sequence[str], *, default: str | None = None) -> str:
        if name not in self.given and default is not None:
            return default
        if self.given[name] not in known:
            raise self._bad(name, f"must be one of {', '.join(known)}")
        return self.given[name]

    def number(self, name: str, default: float) -> float:
        found = self.given.get(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self._bad(name, "must be a number")
        return float(found)

    def flag(self, name: str) -> bool:
        if not isinstance(self.given[name], bool):
            raise self._bad(name, "must be true or false")
        return self.given[name]

    def duration(self, name: str) -> timedelta:
        found = self.given[name]
        try:
            return -schedules.offset(f"-{found}", argument=name).to_pytimedelta()
        except ValueError:
            raise self._bad(name, "must be an ISO 8601 duration, such as P14D") from None

    def built(self, name: str, kind: type) -> Any:
        """Return a dataclass made of the mapping at a field, whose lengths are durations."""
        if not isinstance(self.given[name], Mapping):
            raise self._bad(name, "must be a mapping of fields")
        inner = _Fields(path=self.path, given=self.given[name])
        fields = {each.name: each for each in dataclasses.fields(kind)}
        inner.only(list(fields), within=name)
        values = {}
        for key, value in self.given[name].items():
            kind_of = fields[key].type
            if kind_of == "timedelta":
                values[key] = inner.duration(key)
                continue
            holds, rule = _KINDS[kind_of]
            if isinstance(value, bool) or not isinstance(value, holds):
                raise BadPlan(f"{self.path}: {name}: {key}={value!r}: {rule}")
            values[key] = value
        missing = [
            key
            for key, each in fields.items()
            if each.default is dataclasses.MISSING
            and each.default_factory is dataclasses.MISSING
            and key not in values
        ]
        if missing:
            raise BadPlan(f"{self.path}: {name}: {missing[0]} is missing")
        with self.complaining(name):
            return kind(**values)
