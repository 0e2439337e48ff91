"""What goes wrong in traffic, injected on purpose and written to a ledger: the answer key.

``inject(frame, incidents, …)`` returns the traffic with the incidents in it and their ledger. Each
kind (``KINDS``, ``catalogue()``) is one small function. Whatever order incidents are given in, they
happen in the order of the stages: first the **world** changes (who comes, what becomes of them),
then the **pipe** spoils what is sent of it, then the **service** sends, repeats or drops it.
So a label always follows from the true inputs, and never from what a broken pipe made of them.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from utils.datasets._checks import moment, need_columns, need_moments, need_share
from utils.records import LEDGER_COLUMNS, Incident
from utils.text import nearest, tr

STAGES = ("world", "pipe", "service")

UNIT_CHANGES: Mapping[str, tuple[str, float, float]] = {
    "_miles": ("km", 1.609344, 0.0),
    "_mph": ("km/h", 1.609344, 0.0),
    "_min": ("h", 1 / 60, 0.0),
    "_f": ("°C", 5 / 9, -160 / 9),
    "_in": ("mm", 25.4, 0.0),
    "_in3": ("cm³", 16.387064, 0.0),
    "_mb": ("inHg", 0.0295299830714, 0.0),
    "_lb": ("kg", 0.45359237, 0.0),
    "_hp": ("kW", 0.74569987158, 0.0),
    "_brl": ("centavos", 100.0, 0.0),
    "_months": ("years", 1 / 12, 0.0),
    "_years": ("months", 12.0, 0.0),
    "_share": ("%", 100.0, 0.0),
    "_pct": ("share", 0.01, 0.0),
}
"""The unit that a column's name ends in -> the one it is mistaken for, its factor and offset."""

_TILT = 3.0
_SLOWEST_FACTOR = 50.0
_LATEST_FACTOR = 5.0
_RESENT_WITHIN_S = 30.0


class Relabel(Protocol):
    """A data set's mechanism under another concept: ``flights.relabel``, ``credit.relabel``."""

    def __call__(
        self, frame: pd.DataFrame, /, *, strength: np.ndarray, rng: np.random.Generator
    ) -> pd.DataFrame: ...


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one incident finds: the traffic by time, its own rows (``hit``), its randomness."""

    frame: pd.DataFrame
    time_column: str
    hit: np.ndarray
    incident: Incident
    rng: np.random.Generator
    relabel: Relabel | None

    @property
    def times(self) -> pd.Series:
        return self.frame[self.time_column]

    @property
    def progress(self) -> np.ndarray:
        """How far into the window each row is: 0 at the start, 1 at the end."""
        start, end = self.incident.start, self.incident.end
        return np.clip(((self.times - start) / (end - start)).to_numpy(), 0, 1)

    def share(self) -> np.ndarray:
        """Draw as many of the hit rows as the strength says."""
        return self.hit & (self.rng.random(len(self.hit)) < self.incident.strength)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of incident: what it does, which columns it takes, what strength 1 means.

    ``harmful`` says whether the model's answers get worse. That depends on the model where the
    kind leans on a column: it holds for ``example``'s columns, and an incident on others says
    so itself with ``options={"harmful": …}`` when it was found otherwise.
    """

    name: str
    stage: Literal["world", "pipe", "service"]
    takes: Literal["numbers", "categories", "moments", "any", "none"]
    most: int | None = None
    harmful: bool
    apply: Callable[..., tuple[pd.DataFrame, Sequence[str]]]
    text: Callable[[], str]

    @property
    def description(self) -> str:
        """One line in the language in force."""
        return self.text()

    @property
    def options(self) -> tuple[str, ...]:
        """The options of its own; every kind has ``where`` and ``harmful`` too."""
        parameters = inspect.signature(self.apply).parameters.values()
        return tuple(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)


def inject(
    frame: pd.DataFrame,
    incidents: Sequence[Incident],
    *,
    rng: np.random.Generator,
    time_column: str,
    relabel: Relabel | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the traffic with the incidents in it, in order of time, and the ledger of them.

    Only rows with ``start <= time < end`` change, and of these, with ``options={"where": {column:
    value or values}}``, only those. Concept drift needs ``relabel``, the data set's mechanism. The
    frame is left as it is; the index of the result is new. An incident's randomness does not
    depend on what the others do.

    The ledger has ``records.LEDGER_COLUMNS``, one row for each incident in the order given,
    ``incident`` counting from 1 and ``columns`` joined by commas. Monitors never read it.

    Raises ``ValueError`` for an unknown kind or option (the nearest is named), a column that is
    missing, of the wrong type or one too many, a strength outside 0..1, an end that is not after
    the start, a moment without a time zone, and a window with no rows.

    >>> from utils.datasets import flights
    >>> march = flights.departures(months=[3])
    >>> swap = example("unit_change", "flights", start="2013-03-11", end="2013-03-18")
    >>> changed, ledger = inject(march, [swap], rng=np.random.default_rng(1),
    ...                          time_column="departed_at")
    >>> ledger[["kind", "columns", "harmful"]].values.tolist()
    [['unit_change', 'departure_delay_min', True]]
    """
    need_moments(frame, time_column, argument="time_column")
    checked = [_checked(i, frame, time_column=time_column, relabel=relabel) for i in incidents]
    changed = frame.sort_values(time_column, kind="stable", ignore_index=True)
    touched: dict[int, Sequence[str]] = {}
    streams = rng.spawn(len(checked))
    for number in sorted(range(len(checked)), key=lambda n: _stage(checked[n])):
        incident = checked[number]
        scene = Scene(
            frame=changed,
            time_column=time_column,
            hit=_hit(changed, incident, time_column=time_column),
            incident=incident,
            rng=streams[number],
            relabel=relabel,
        )
        options = {k: v for k, v in incident.options.items() if k not in ("where", "harmful")}
        changed, touched[number] = KINDS[incident.kind].apply(scene, **options)
    changed = changed.sort_values(time_column, kind="stable", ignore_index=True)
    return changed, _ledger(checked, [touched[n] for n in range(len(checked))])


def catalogue() -> pd.DataFrame:
    """Return the kinds as a table, described in the language in force.

    >>> catalogue().columns.tolist()
    ['kind', 'stage', 'takes', 'options', 'harmful', 'description']
    """
    return pd.DataFrame(
        {
            "kind": kind.name,
            "stage": kind.stage,
            "takes": kind.takes,
            "options": ", ".join(kind.options),
            "harmful": kind.harmful,
            "description": kind.description,
        }
        for kind in KINDS.values()
    )


def example(
    kind: str,
    traffic: Literal["flights", "credit"],
    *,
    start: Any,
    end: Any,
    strength: float = 1.0,
) -> Incident:
    """Return an incident on columns of one of our data sets for which the ledger's word was tested.

    Moments may be texts. Raises ``ValueError`` for a kind or traffic unknown.

    >>> example("population_cut", "credit", start="2024-03-01", end="2024-04-01").options
    {'values': ('Nordeste',)}
    """
    if traffic not in _EXAMPLES:
        raise ValueError(f"traffic={traffic!r}: {nearest(traffic, _EXAMPLES)}")
    _known_kind(kind)
    columns, options = _EXAMPLES[traffic].get(kind, ((), {}))
    return Incident(
        kind=kind,
        columns=columns,
        options=options,
        strength=strength,
        start=moment(start, argument="start"),
        end=moment(end, argument="end"),
    )


# The world --------------------------------------------------------------------------------------


def _concept_drift_sudden(scene: Scene) -> tuple[pd.DataFrame, Sequence[str]]:
    return _relabelled(scene, np.full(len(scene.frame), scene.incident.strength))


def _concept_drift_gradual(scene: Scene) -> tuple[pd.DataFrame, Sequence[str]]:
    return _relabelled(scene, scene.incident.strength * scene.progress)


def _relabelled(scene: Scene, strength: np.ndarray) -> tuple[pd.DataFrame, Sequence[str]]:
    hit, changed = scene.hit, scene.frame.copy(deep=False)
    labels = scene.relabel(scene.frame[hit], strength=strength[hit], rng=scene.rng)
    for column in labels:
        changed.loc[hit, column] = labels[column]
    return changed, tuple(labels)


def _covariate_drift(scene: Scene, *, toward: Any) -> tuple[pd.DataFrame, Sequence[str]]:
    """Thin the rows out, the more the further they are from where the mix drifts to.

    Those that stay are real rows with their own labels, chosen by the inputs alone: the mix
    changes, and P(label | inputs) does not.
    """
    (column,) = scene.incident.columns
    distance = _distance(scene.frame[column], scene.hit, toward)
    kept = np.exp(-_TILT * scene.incident.strength * distance)
    gone = scene.hit.copy()
    gone[scene.hit] = scene.rng.random(len(kept)) >= kept
    return scene.frame[~gone], (column,)


def _distance(values: pd.Series, hit: np.ndarray, toward: Any) -> np.ndarray:
    """Return how far each hit value is from the favoured end or category, in 0..1."""
    if not _is_number(values):
        _need_values(values, [toward], option="toward")
        return (values[hit] != toward).to_numpy(dtype="float64")
    if toward not in ("high", "low"):
        raise ValueError(
            f"options: toward={toward!r}: 'high' or 'low' for the number {values.name!r}"
        )
    rank = values[hit].rank(pct=True).fillna(0.5).to_numpy()
    return 1 - rank if toward == "high" else rank


def _population_cut(scene: Scene, *, values: Sequence[Any]) -> tuple[pd.DataFrame, Sequence[str]]:
    (column,) = scene.incident.columns
    _need_values(scene.frame[column], values, option="values")
    gone = scene.share() & scene.frame[column].isin(values).to_numpy()
    return scene.frame[~gone], (column,)


def _need_values(present: pd.Series, values: Sequence[Any], *, option: str) -> None:
    for value in values:
        if not present.eq(value).any():
            known = sorted(map(str, present.dropna().unique()))
            raise ValueError(
                f"options: {option}: {present.name!r} has no {value!r}; "
                f"{nearest(str(value), known)}"
            )


# The pipe ---------------------------------------------------------------------------------------


def _unit_change(
    scene: Scene, *, factor: float | None = None, offset: float = 0.0
) -> tuple[pd.DataFrame, Sequence[str]]:
    rows, changed = scene.share(), scene.frame.copy(deep=False)
    for column in scene.incident.columns:
        by, plus = _conversion(column) if factor is None else (factor, offset)
        values = changed[column]
        converted = values * by + plus
        if pd.api.types.is_integer_dtype(values):
            converted = converted.round().astype(values.dtype)
        changed[column] = values.mask(rows, converted)
    return changed, scene.incident.columns


def _conversion(column: str) -> tuple[float, float]:
    for unit, (_, factor, offset) in UNIT_CHANGES.items():
        if column.endswith(unit):
            return factor, offset
    raise ValueError(
        f"columns: {column!r} names no unit ({', '.join(UNIT_CHANGES)}); "
        "give options={'factor': …}"
    )


def _missing_values(scene: Scene) -> tuple[pd.DataFrame, Sequence[str]]:
    changed = scene.frame.copy(deep=False)
    rows = scene.share()
    for column in scene.incident.columns:
        changed[column] = changed[column].mask(rows)
    return changed, scene.incident.columns


def _stuck_sensor(scene: Scene) -> tuple[pd.DataFrame, Sequence[str]]:
    """Repeat the last value seen before the window, or the first in it."""
    changed = scene.frame.copy(deep=False)
    rows = scene.share()
    before = (scene.times < scene.incident.start).to_numpy()
    for column in scene.incident.columns:
        seen = changed.loc[before, column].dropna()
        stuck = seen.iloc[-1:] if len(seen) else changed.loc[scene.hit, column].dropna().iloc[:1]
        if len(stuck):
            changed[column] = changed[column].mask(rows, stuck.item())
    return changed, scene.incident.columns


def _new_category(scene: Scene, *, value: str = "unheard-of") -> tuple[pd.DataFrame, Sequence[str]]:
    changed = scene.frame.copy(deep=False)
    rows = scene.share()
    for column in scene.incident.columns:
        changed[column] = changed[column].astype("str").mask(rows, value)
    return changed, scene.incident.columns


# The service ------------------------------------------------------------------------------------


def _duplicates(
    scene: Scene, *, within_s: float = _RESENT_WITHIN_S
) -> tuple[pd.DataFrame, Sequence[str]]:
    again = scene.frame[scene.share()].copy()
    later = pd.to_timedelta((scene.rng.random(len(again)) * within_s * 1e6).round(), unit="us")
    last = scene.incident.end - pd.Timedelta(microseconds=1)
    again[scene.time_column] = (again[scene.time_column] + later).clip(upper=last)
    return _joined(scene, again), ()


def _replays(scene: Scene) -> tuple[pd.DataFrame, Sequence[str]]:
    """Send rows of before the window again in it, every moment of theirs shifted alike."""
    before = (scene.times < scene.incident.start).to_numpy()
    candidates = np.flatnonzero(before & _where(scene.frame, scene.incident))
    if not len(candidates):
        raise ValueError(f"start={scene.incident.start}: no rows before it that could be replayed")
    n = int(scene.share().sum())
    drawn = np.sort(scene.rng.choice(candidates, n, replace=n > len(candidates)))
    old = scene.frame.iloc[drawn].reset_index(drop=True)
    instants = scene.times[scene.hit].sample(n, random_state=scene.rng)
    shift = instants.sort_values(ignore_index=True) - old[scene.time_column]
    moments = [c for c in old if isinstance(old[c].dtype, pd.DatetimeTZDtype)]
    return _joined(scene, old.assign(**{c: old[c] + shift for c in moments})), ()


def _joined(scene: Scene, again: pd.DataFrame) -> pd.DataFrame:
    both = pd.concat([scene.frame, again])
    return both.sort_values(scene.time_column, kind="stable", ignore_index=True)


def _label_delay_grows(
    scene: Scene, *, factor: float = _LATEST_FACTOR
) -> tuple[pd.DataFrame, Sequence[str]]:
    changed = scene.frame.copy(deep=False)
    stretch = pd.Series(scene.incident.strength * scene.progress * (factor - 1), changed.index)
    for column in scene.incident.columns:
        later = ((changed[column] - scene.times) * stretch).dt.round("us")
        changed[column] = changed[column].mask(scene.hit, changed[column] + later)
    return changed, scene.incident.columns


def _latency_burst(
    scene: Scene, *, factor: float = _SLOWEST_FACTOR
) -> tuple[pd.DataFrame, Sequence[str]]:
    changed = scene.frame.copy(deep=False)
    if "latency_ms" not in changed:
        changed["latency_ms"] = 8.0 * np.exp(0.35 * scene.rng.standard_normal(len(changed)))
    slower = changed["latency_ms"] * (1 + (factor - 1) * scene.incident.strength)
    changed["latency_ms"] = changed["latency_ms"].mask(scene.hit, slower)
    return changed, ("latency_ms",)


def _error_burst(scene: Scene) -> tuple[pd.DataFrame, Sequence[str]]:
    changed = scene.frame.copy(deep=False)
    if "error" not in changed:
        changed["error"] = False
    changed["error"] = changed["error"] | scene.share()
    return changed, ("error",)


# The registry -----------------------------------------------------------------------------------

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="concept_drift_sudden",
            stage="world",
            takes="none",
            harmful=True,
            apply=_concept_drift_sudden,
            text=lambda: tr(
                pt="De uma hora para outra, as mesmas entradas passam a ter outros desfechos.",
                en="All at once, the same inputs come to other outcomes.",
            ),
        ),
        Kind(
            name="concept_drift_gradual",
            stage="world",
            takes="none",
            harmful=True,
            apply=_concept_drift_gradual,
            text=lambda: tr(
                pt="Pouco a pouco, ao longo da janela, as mesmas entradas passam a ter outros "
                "desfechos.",
                en="Little by little through the window, the same inputs come to other outcomes.",
            ),
        ),
        Kind(
            name="covariate_drift_harmless",
            stage="world",
            takes="any",
            most=1,
            harmful=False,
            apply=_covariate_drift,
            text=lambda: tr(
                pt="As entradas mudam muito, em direção aos casos em que o modelo acerta.",
                en="The inputs change loudly, toward cases that the model gets right.",
            ),
        ),
        Kind(
            name="covariate_drift_harmful",
            stage="world",
            takes="any",
            most=1,
            harmful=True,
            apply=_covariate_drift,
            text=lambda: tr(
                pt="As entradas mudam em direção aos casos em que o modelo erra mais.",
                en="The inputs change toward cases that the model gets wrong more.",
            ),
        ),
        Kind(
            name="population_cut",
            stage="world",
            takes="any",
            most=1,
            harmful=False,
            apply=_population_cut,
            text=lambda: tr(
                pt="Um grupo deixa de chegar; os outros continuam como antes.",
                en="A group stops coming; the others go on as before.",
            ),
        ),
        Kind(
            name="unit_change",
            stage="pipe",
            takes="numbers",
            harmful=True,
            apply=_unit_change,
            text=lambda: tr(
                pt="Uma parte das requisições envia o número em outra unidade.",
                en="A share of the requests sends the number in another unit.",
            ),
        ),
        Kind(
            name="missing_values",
            stage="pipe",
            takes="any",
            harmful=True,
            apply=_missing_values,
            text=lambda: tr(
                pt="Uma parte dos valores deixa de ser enviada.",
                en="A share of the values is no longer sent.",
            ),
        ),
        Kind(
            name="stuck_sensor",
            stage="pipe",
            takes="any",
            harmful=True,
            apply=_stuck_sensor,
            text=lambda: tr(
                pt="Uma parte das requisições repete o último valor visto antes da janela.",
                en="A share of the requests repeats the last value seen before the window.",
            ),
        ),
        Kind(
            name="new_category",
            stage="pipe",
            takes="categories",
            harmful=True,
            apply=_new_category,
            text=lambda: tr(
                pt="Uma parte das requisições traz uma categoria que o treino nunca viu.",
                en="A share of the requests brings a category that training never saw.",
            ),
        ),
        Kind(
            name="duplicates",
            stage="service",
            takes="none",
            harmful=False,
            apply=_duplicates,
            text=lambda: tr(
                pt="Uma parte das requisições é enviada de novo segundos depois.",
                en="A share of the requests is sent again seconds later.",
            ),
        ),
        Kind(
            name="replays",
            stage="service",
            takes="none",
            harmful=False,
            apply=_replays,
            text=lambda: tr(
                pt="Requisições de antes da janela são enviadas de novo, como se fossem de agora.",
                en="Requests of before the window are sent again as if they were of now.",
            ),
        ),
        Kind(
            name="label_delay_grows",
            stage="service",
            takes="moments",
            harmful=False,
            apply=_label_delay_grows,
            text=lambda: tr(
                pt="Os rótulos demoram cada vez mais: o modelo não piora, mas se vê menos dele.",
                en="Labels take longer and longer: the model is no worse, but less is seen of it.",
            ),
        ),
        Kind(
            name="latency_burst",
            stage="service",
            takes="none",
            harmful=False,
            apply=_latency_burst,
            text=lambda: tr(
                pt="As respostas são as mesmas, e muito mais lentas.",
                en="The answers are the same, and much slower.",
            ),
        ),
        Kind(
            name="error_burst",
            stage="service",
            takes="none",
            harmful=True,
            apply=_error_burst,
            text=lambda: tr(
                pt="Uma parte das requisições recebe um erro no lugar de uma resposta.",
                en="A share of the requests gets an error instead of an answer.",
            ),
        ),
    )
}
"""Every kind by its name."""

_EXAMPLES: Mapping[str, Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]] = {
    "flights": {
        "covariate_drift_harmless": (("distance_miles",), {"toward": "low"}),
        "covariate_drift_harmful": (("distance_miles",), {"toward": "high"}),
        "population_cut": (("carrier",), {"values": ("UA",)}),
        "unit_change": (("departure_delay_min",), {}),
        "missing_values": (("departure_delay_min",), {}),
        "stuck_sensor": (("departure_delay_min",), {}),
        "new_category": (("carrier",), {"value": "ZZ"}),
        "label_delay_grows": (("landed_at",), {}),
    },
    "credit": {
        "covariate_drift_harmless": (("debt_share",), {"toward": "low"}),
        "covariate_drift_harmful": (("debt_share",), {"toward": "high"}),
        "population_cut": (("region",), {"values": ("Nordeste",)}),
        "unit_change": (("income_brl",), {}),
        "missing_values": (("debt_share", "late_payments_12m"), {}),
        "stuck_sensor": (("debt_share", "late_payments_12m"), {}),
        "new_category": (("purpose",), {"value": "travel"}),
        "label_delay_grows": (("known_at",), {}),
    },
}


# What is asked of an incident -------------------------------------------------------------------


def _checked(
    incident: Incident, frame: pd.DataFrame, *, time_column: str, relabel: Relabel | None
) -> Incident:
    """Return the incident with its moments as UTC timestamps, or say what is wrong with it."""
    kind = _known_kind(incident.kind)
    need_share(incident.strength, argument="strength")
    _check_columns(incident, kind, frame)
    _check_options(incident, kind, frame)
    if incident.kind.startswith("concept_drift") and relabel is None:
        raise ValueError(
            f"relabel=None: {incident.kind} needs the data set's mechanism "
            "(flights.relabel or credit.relabel)"
        )
    start = moment(incident.start, argument="start")
    end = moment(incident.end, argument="end")
    if not start < end:
        raise ValueError(f"end={end}: it must come after start={start}")
    placed = Incident(
        kind=incident.kind,
        start=start,
        end=end,
        columns=tuple(incident.columns),
        strength=incident.strength,
        options=dict(incident.options),
    )
    if not _hit(frame, placed, time_column=time_column).any():
        times = frame[time_column]
        raise ValueError(
            f"start={start}, end={end}: no rows of {incident.kind} in this window "
            f"({time_column} runs from {times.min()} to {times.max()})"
        )
    return placed


def _known_kind(name: str) -> Kind:
    if name not in KINDS:
        raise ValueError(f"kind={name!r}: no such kind of incident; {nearest(name, KINDS)}")
    return KINDS[name]


def _check_columns(incident: Incident, kind: Kind, frame: pd.DataFrame) -> None:
    columns = incident.columns
    if kind.takes == "none":
        if columns:
            raise ValueError(f"columns={columns!r}: {kind.name} takes none")
        return
    if not columns or (kind.most is not None and len(columns) > kind.most):
        number = "one column" if kind.most == 1 else "one column or more"
        raise ValueError(f"columns={columns!r}: {kind.name} takes {number}")
    need_columns(frame, columns)
    for column in columns:
        if not _FITS[kind.takes](frame[column]):
            raise ValueError(
                f"columns: {column!r} is {frame[column].dtype}; {kind.name} takes {kind.takes}"
            )


def _check_options(incident: Incident, kind: Kind, frame: pd.DataFrame) -> None:
    known = (*kind.options, "where", "harmful")
    for name in incident.options:
        if name not in known:
            raise ValueError(f"options: {kind.name} has no {name!r}; {nearest(name, known)}")
    for parameter in inspect.signature(kind.apply).parameters.values():
        required = parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
        if required and parameter.name not in incident.options:
            raise ValueError(f"options: {kind.name} needs {parameter.name!r}")
    need_columns(frame, incident.options.get("where", {}))


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


_FITS: Mapping[str, Callable[[pd.Series], bool]] = {
    "any": lambda values: True,
    "numbers": _is_number,
    "categories": lambda values: (
        isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(values)
    ),
    "moments": lambda values: isinstance(values.dtype, pd.DatetimeTZDtype),
}


def _stage(incident: Incident) -> int:
    return STAGES.index(KINDS[incident.kind].stage)


def _hit(frame: pd.DataFrame, incident: Incident, *, time_column: str) -> np.ndarray:
    times = frame[time_column]
    inside = (times >= incident.start) & (times < incident.end)
    return inside.to_numpy() & _where(frame, incident)


def _where(frame: pd.DataFrame, incident: Incident) -> np.ndarray:
    fits = np.ones(len(frame), dtype=bool)
    for column, wanted in incident.options.get("where", {}).items():
        values = [wanted] if pd.api.types.is_scalar(wanted) else list(wanted)
        fits &= frame[column].isin(values).to_numpy()
    return fits


def _ledger(incidents: Sequence[Incident], touched: Sequence[Sequence[str]]) -> pd.DataFrame:
    rows = [
        {
            "incident": number,
            "kind": incident.kind,
            "columns": ", ".join(columns),
            "strength": float(incident.strength),
            "start": incident.start,
            "end": incident.end,
            "harmful": bool(incident.options.get("harmful", KINDS[incident.kind].harmful)),
        }
        for number, (incident, columns) in enumerate(zip(incidents, touched, strict=True), start=1)
    ]
    types = {
        "incident": "int64",
        "kind": "str",
        "columns": "str",
        "strength": "float64",
        "start": "datetime64[us, UTC]",
        "end": "datetime64[us, UTC]",
        "harmful": "bool",
    }
    return pd.DataFrame(rows, columns=list(LEDGER_COLUMNS)).astype(types)
