"""From alarms to alerts: what somebody is told, with its evidence and one action.

An alarm is a line over its threshold in one window. An alert is told once: when a line that was
quiet is not any more. It says what moved, from what to what, how sure that is, and what to do
first. What to do hangs on what else was seen: drift that moves no estimate of the performance is
no reason to act, and no model is retrained on data that are broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.records import LINE, Action, Severity
from utils.text import date, metric_name, number, tr

QUALITY, DRIFT = "quality", "drift"
PREDICTION_DRIFT, LABEL_DRIFT = "prediction_drift", "label_drift"
ESTIMATED, REALISED, CALIBRATION = "estimated_performance", "performance", "calibration"
BROKEN = ("null_value_rate", "data_type_error_rate", "repeated_share", "duplicate_share")
_OUTSIDE = ("out_of_bounds_rate", "unseen_rate")
"""Quality that says the data are broken; and what may as well be a world that has grown."""

_OF_DRIFT = (DRIFT, PREDICTION_DRIFT, LABEL_DRIFT)
_OF_ANSWERS = (REALISED, ESTIMATED, CALIBRATION)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What is told once of a line that left its quiet range in the window from start to end."""

    monitor: str
    metric: str
    feature: str
    group: str
    window_start: pd.Timestamp
    window_end: pd.Timestamp
    value: float
    threshold: float
    severity: Severity
    action: Action
    evidence: str
    reason: str


def alerts_of(
    table: pd.DataFrame,
    *,
    n_lines: int,
    per_year: np.ndarray,
    is_critical: np.ndarray,
    usual: np.ndarray,
    moved: Callable[[int], str],
) -> list[Alert]:
    """Return the alerts of measurements: the most severe first, then by time.

    ``table`` holds the same ``n_lines`` lines for one window after another. An alert stands where a
    line alarms that did not in the window before; its severity is the worst until it is quiet
    again. By row of the table: how many windows of a quiet year have a line that strays as far
    (``per_year``), whether that is critical, the line's value in the reference, and what moved.
    """
    shape = (len(table) // n_lines, n_lines)
    alarm = table["alarm"].to_numpy().reshape(shape)
    begins = alarm & ~np.vstack([np.zeros((1, n_lines), dtype=bool), alarm[:-1]])
    found = []
    for window, line in np.argwhere(begins):
        lasts = _lasts(alarm[window:, line])
        rows = window * n_lines + line + n_lines * np.arange(lasts)
        here = table.iloc[window * n_lines : (window + 1) * n_lines]
        row = table.iloc[rows[0]]
        severity = "critical" if is_critical[rows].any() else "warning"
        action, reason = _action(row, here, severity=severity)
        found.append(
            Alert(
                **{name: row[name] for name in LINE},
                window_start=row["window_start"],
                window_end=row["window_end"],
                value=float(row["value"]),
                threshold=_threshold(row),
                severity=severity,
                action=action,
                evidence=_evidence(
                    row,
                    usual=usual[rows[0]],
                    per_year=per_year[rows[0]],
                    lasts=lasts,
                    moved=moved(rows[0]),
                ),
                reason=reason,
            )
        )
    order = {"critical": 0, "warning": 1}
    return sorted(found, key=lambda each: (order[each.severity], each.window_start))


def _lasts(alarm: np.ndarray) -> int:
    """Return how many windows in a row alarm from the first one on."""
    return len(alarm) if alarm.all() else int(np.argmin(alarm))


def _threshold(row: pd.Series) -> float:
    above = row["value"] > row["threshold_high"]
    return float(row["threshold_high"] if above else row["threshold_low"])


# ------------------------------------------------------------------------------- what to do first


def _action(row: pd.Series, here: pd.DataFrame, *, severity: Severity) -> tuple[Action, str]:
    """Return what to do first, and why, from what else the window shows."""
    alarmed = here[here["alarm"]]
    is_broken = alarmed["metric"].isin(BROKEN).any()
    monitor, metric = row["monitor"], row["metric"]
    if metric in BROKEN:
        return "quarantine", tr(
            pt="Os dados não são o que eram: separe-os antes que um modelo aprenda com eles.",
            en="The data are not what they were: keep them apart before a model learns from them.",
        )
    if monitor in _OF_ANSWERS:
        return _action_on_answers(monitor, is_broken=is_broken, severity=severity)
    if monitor in _OF_DRIFT or metric in _OUTSIDE:
        return _action_on_drift(here, alarmed, is_broken=is_broken)
    return "investigate", tr(
        pt="O alarme diz que mudou, e não por quê: pergunte a quem opera o serviço.",
        en="The alarm says that it changed, and not why: ask whoever runs the service.",
    )


def _action_on_answers(monitor: str, *, is_broken: bool, severity: Severity) -> tuple[Action, str]:
    if is_broken:
        return "investigate", tr(
            pt="Na mesma janela os dados estão quebrados: conserte-os primeiro; retreinar com eles "
            "ensinaria o defeito.",
            en="The data of the same window are broken: mend them first; retraining on them would "
            "teach the defect.",
        )
    if monitor == ESTIMATED:
        return "investigate", tr(
            pt="É uma estimativa, feita sem rótulos: obtenha alguns antes de agir.",
            en="It is an estimate, made without labels: get some before acting.",
        )
    if severity == "critical":
        return "roll back", tr(
            pt="O modelo erra bem mais do que uma janela quieta explica, com dados sãos: volte à "
            "versão anterior enquanto se retreina.",
            en="The model is far more wrong than a quiet window explains, on sound data: go back "
            "to the version before while it is retrained.",
        )
    return "retrain", tr(
        pt="O modelo erra mais do que antes, com dados sãos: retreine, e julgue no portão.",
        en="The model is more wrong than before, on sound data: retrain, and judge it at the gate.",
    )


def _action_on_drift(
    here: pd.DataFrame, alarmed: pd.DataFrame, *, is_broken: bool
) -> tuple[Action, str]:
    if is_broken:
        return "quarantine", tr(
            pt="Na mesma janela a qualidade dos dados também acusa: a deriva pode ser o defeito.",
            en="The data's quality alarms in the same window too: the drift may be the defect.",
        )
    if alarmed["monitor"].isin(_OF_ANSWERS).any():
        return "retrain", tr(
            pt="O desempenho caiu na mesma janela: o mundo mudou para este modelo.",
            en="The performance fell in the same window: the world has changed for this model.",
        )
    judged = here[here["monitor"].isin((REALISED, ESTIMATED)) & here["value"].notna()]
    if judged["threshold_low"].notna().any() or judged["threshold_high"].notna().any():
        realised = judged["monitor"].eq(REALISED).any()
        return "dismiss", (
            tr(
                pt="O desempenho medido com rótulos está na faixa quieta: a deriva não o feriu.",
                en="The performance measured on labels is in its quiet range: the drift did not "
                "harm it.",
            )
            if realised
            else tr(
                pt="O desempenho estimado está na faixa quieta. A estimativa supõe que o conceito "
                "não mudou: confira quando vierem os rótulos.",
                en="The estimated performance is in its quiet range. The estimate assumes that the "
                "concept did not change: check when the labels come.",
            )
        )
    return "investigate", tr(
        pt="Sem rótulos nem escores, não se sabe se a deriva importa.",
        en="Without labels or scores nobody knows whether the drift matters.",
    )


# ------------------------------------------------------------------------------- what was seen


def _evidence(row: pd.Series, *, usual: float, per_year: float, lasts: int, moved: str) -> str:
    """Return what moved, from what to what, and how sure that is, as one paragraph."""
    what = ", ".join(
        part for part in (row["feature"], row["group"], metric_name(row["metric"])) if part
    )
    value, threshold = _told(row["value"]), _told(_threshold(row))
    interval = ""
    if np.isfinite(row["low"]) and np.isfinite(row["high"]):
        interval = tr(
            pt=f" (de {_told(row['low'])} a {_told(row['high'])})",
            en=f" ({_told(row['low'])} to {_told(row['high'])})",
        )
    from_usual = ""
    if np.isfinite(usual) and row["monitor"] not in _OF_DRIFT:
        from_usual = tr(
            pt=f", na referência {_told(usual)}", en=f", {_told(usual)} in the reference"
        )
    start = date(row["window_start"])
    seen = tr(
        pt=f"{what}: {value}{interval}{from_usual}, além do limiar {threshold}, na janela desde "
        f"{start}, com {number(row['n_current'], digits=12)} linhas.",
        en=f"{what}: {value}{interval}{from_usual}, beyond the threshold {threshold}, in the "
        f"window from {start}, on {number(row['n_current'], digits=12)} rows.",
    )
    parts = [seen, moved, _how_sure(per_year), _for_how_long(lasts)]
    return " ".join(part for part in parts if part)


def _told(value: float) -> str:
    return number(value, digits=3)


def _how_sure(per_year: float) -> str:
    if per_year >= 1:
        times = number(per_year, digits=2)
        return tr(
            pt=f"Um ano quieto tem cerca de {times} janelas tão estranhas.",
            en=f"A quiet year has about {times} windows as strange.",
        )
    years = 1 / max(per_year, 1e-300)
    if years > 1000:
        return tr(
            pt="Em mil anos quietos, nenhuma janela tão estranha.",
            en="A thousand quiet years have no window as strange.",
        )
    told = number(years, digits=2)
    return tr(
        pt=f"Uma janela quieta é tão estranha uma vez em {told} anos.",
        en=f"A quiet window is as strange once in {told} years.",
    )


def _for_how_long(lasts: int) -> str:
    if lasts < 2:
        return ""
    return tr(
        pt=f"Dura {lasts} janelas seguidas.",
        en=f"It lasts for {lasts} windows in a row.",
    )
