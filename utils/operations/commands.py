"""``python -m utils alerts …``: what people do about alerts, one thin function a command."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from utils.operations import alerting, notifications
from utils.operations.preview import preview, said
from utils.operations.rules import read_rules
from utils.records import LEDGER_COLUMNS, VigiaError, utc_now
from utils.store import Store, open_store
from utils.text import date, language, number, tr


class Unusable(VigiaError):
    """An argument of a command that cannot be used."""


def run(chosen: argparse.Namespace) -> int:
    """Run one command; 1 says that there are open alerts."""
    with open_store(chosen.store) as store:
        return {
            "preview": _preview,
            "evaluate": _evaluate,
            "list": _list,
            "acknowledge": _acknowledge,
            "resolve": _resolve,
            "silence": _silence,
        }[chosen.what](store, chosen)


def _preview(store: Store, chosen: argparse.Namespace) -> int:
    table = store.measurements(chosen.deployment)
    if table.empty:
        raise Unusable(f"deployment {chosen.deployment!r}: nothing was measured of it yet")
    try:
        seen = preview(read_rules(chosen.rules), table, ledger=_ledger(chosen.ledger))
    except ValueError as error:
        raise Unusable(str(error)) from error
    print(said(seen, table))
    return 0


def _ledger(path: Path | None) -> pd.DataFrame | None:
    if path is None:
        return None
    try:
        ledger = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise Unusable(f"ledger={path}: cannot be read ({error})") from error
    missing = [name for name in LEDGER_COLUMNS if name not in ledger]
    if missing:
        raise Unusable(f"ledger={path}: has no column {missing[0]!r}")
    times = {name: pd.to_datetime(ledger[name], utc=True) for name in ("start", "end")}
    return ledger.assign(**times)


def _evaluate(store: Store, chosen: argparse.Namespace) -> int:
    for url in chosen.notify + chosen.escalate_to:
        if not notifications.is_channel(url):
            raise Unusable(f"notify={url!r}: is no address that can be told anything")
    now = utc_now()
    rules = read_rules(chosen.rules)
    table = store.measurements(chosen.deployment)
    new = alerting.evaluate(store, chosen.deployment, rules, table, at=now)
    after = timedelta(hours=chosen.escalate_after_hours)
    alerting.escalate(store, chosen.deployment, after=after, at=now)
    n_new, told = number(len(new)), ""
    if chosen.notify:
        counts = notifications.tell(
            store,
            chosen.deployment,
            chosen.notify,
            language=language(),
            rng=np.random.default_rng(),
            now=now,
            escalate_to=chosen.escalate_to,
            runbooks=chosen.runbooks,
        )
        told = ", ".join(f"{name}: {n}" for name, n in counts.items())
    print(tr(pt=f"Alertas novos: {n_new}", en=f"New alerts: {n_new}"), told)
    return _list(store, chosen)


def _list(store: Store, chosen: argparse.Namespace) -> int:
    found = [e for e in alerting.alerts(store, chosen.deployment, at=utc_now()) if e.is_open]
    for each in found:
        what = notifications.action(each)
        print(f"{each.severity:8} {date(each.since)} {each.state} {each.id}")
        print(f"         {each.evidence} {what}")
    if not found:
        print(tr(pt="Nenhum alerta aberto.", en="No open alert."))
    return 1 if found else 0


def _acknowledge(store: Store, chosen: argparse.Namespace) -> int:
    alerting.acknowledge(store, chosen.deployment, chosen.alert, by=chosen.by, at=utc_now())
    return 0


def _resolve(store: Store, chosen: argparse.Namespace) -> int:
    about = {"by": chosen.by, "reason": chosen.reason, "at": utc_now()}
    alerting.resolve(store, chosen.deployment, chosen.alert, **about)
    return 0


def _silence(store: Store, chosen: argparse.Namespace) -> int:
    now = utc_now()
    try:
        alerting.silence(
            store,
            chosen.deployment,
            dict(_pair(each) for each in chosen.matching),
            start=now,
            end=now + timedelta(hours=chosen.hours),
            by=chosen.by,
            reason=chosen.reason,
            at=now,
        )
    except ValueError as error:
        raise Unusable(str(error)) from error
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not equals:
        raise Unusable(f"matching={text!r}: must read NAME=PATTERN")
    return name, pattern
