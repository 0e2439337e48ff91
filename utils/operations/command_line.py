"""The arguments of ``alerts`` and ``schedule``; what they ask for is imported when it is asked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from utils.records import Action
from utils.text import tr


def _run(chosen: argparse.Namespace) -> int:
    from utils.operations.commands import run

    return run(chosen)


def add(commands) -> None:
    """Add ``alerts`` and its commands to those of ``python -m utils``."""
    text = tr(
        pt="alertas: quanto custariam as regras, o que disparou, quem cuida",
        en="alerts: what rules would cost, what fired, who takes care",
    )
    alerts = commands.add_parser("alerts", help=text, description=text)
    alerts.set_defaults(command=_run)
    whats = alerts.add_subparsers(dest="what", metavar="WHAT", required=True)
    rules = tr(pt="o arquivo de regras (YAML)", en="the file of rules (YAML)")

    def one(name: str, text: str) -> argparse.ArgumentParser:
        parser = whats.add_parser(name, help=text, description=text)
        parser.add_argument("--store", required=True, metavar="URL")
        parser.add_argument("--deployment", required=True, metavar="NAME")
        return parser

    before = one(
        "preview",
        tr(
            pt="quanto as regras teriam custado, antes de valerem",
            en="what the rules would have cost, before they go live",
        ),
    )
    before.add_argument("--rules", required=True, type=Path, metavar="FILE", help=rules)
    before.add_argument(
        "--ledger",
        type=Path,
        metavar="CSV",
        help=tr(pt="o gabarito, se houver", en="the answer key, if there is one"),
    )
    now = one(
        "evaluate",
        tr(
            pt="confere as regras, avisa quem é de avisar; sai com 1 se há alertas abertos",
            en="checks the rules, tells who is to be told; exits with 1 when alerts are open",
        ),
    )
    now.add_argument("--rules", required=True, type=Path, metavar="FILE", help=rules)
    now.add_argument(
        "--notify",
        action="append",
        default=[],
        metavar="URL",
        help=tr(
            pt="um endereço: json://…, file:///…, outro do apprise; pode se repetir",
            en="an address: json://…, file:///…, another of apprise; may be repeated",
        ),
    )
    now.add_argument(
        "--escalate-to",
        action="append",
        default=[],
        metavar="URL",
        help=tr(
            pt="quem é avisado quando ninguém responde; repetido, o próximo da fila",
            en="who is told when nobody answers; repeated, the next in line",
        ),
    )
    now.add_argument(
        "--runbooks",
        default="",
        metavar="URL",
        help=tr(
            pt="onde estão as páginas dos runbooks, para o link de cada mensagem",
            en="where the pages of the runbooks are, for the link in each message",
        ),
    )
    now.add_argument(
        "--escalate-after-hours",
        type=float,
        default=24.0,
        metavar="H",
        help=tr(
            pt="depois de quantas horas sem resposta (%(default)s)",
            en="after how many hours without an answer (%(default)s)",
        ),
    )
    one("list", tr(pt="os alertas abertos", en="the open alerts"))
    taken = one("acknowledge", tr(pt="alguém cuida de um alerta", en="somebody takes an alert"))
    closed = one("resolve", tr(pt="encerra um alerta", en="closes an alert"))
    muted = one("silence", tr(pt="cala alertas por um tempo", en="silences alerts for a while"))
    for parser in (taken, closed):
        parser.add_argument("alert", metavar="ID")
    for parser in (taken, closed, muted):
        parser.add_argument("--by", required=True, metavar="WHO")
    for parser in (closed, muted):
        parser.add_argument("--reason", required=True, metavar="WHY")
    muted.add_argument("--hours", type=float, required=True, metavar="H")
    muted.add_argument(
        "--matching", action="append", required=True, metavar="NAME=PATTERN", help="rule=drift*"
    )


# ------------------------------------------------------------------------------- the schedule


def add_schedule(commands, command: Callable[[argparse.Namespace], int]) -> None:
    """Add ``schedule`` and its commands to those of ``python -m utils``."""
    text = tr(
        pt="o ciclo: coleta, monitora, alerta e age, janela após janela",
        en="the loop: collects, monitors, alerts and acts, window after window",
    )
    schedule = commands.add_parser("schedule", help=text, description=text)
    schedule.set_defaults(command=command)
    whats = schedule.add_subparsers(dest="what", metavar="WHAT", required=True)

    def one(name: str, text: str) -> argparse.ArgumentParser:
        parser = whats.add_parser(name, help=text, description=text)
        parser.add_argument("--store", required=True, metavar="URL")
        return parser

    live = one(
        "run",
        tr(
            pt="roda pelo relógio, até ser parado; com --from, antes faz o que passou",
            en="runs by the clock until it is stopped; with --from makes up for the past first",
        ),
    )
    once = one(
        "once",
        tr(
            pt="faz o que está na hora e sai: 0 sem violações, 1 com, 2 se falhou",
            en="does what is due and exits: 0 without violations, 1 with, 2 when it failed",
        ),
    )
    for parser in (live, once):
        parser.add_argument(
            "plan", type=Path, metavar="PLAN", help=tr(pt="o plano (YAML)", en="the plan (YAML)")
        )
        parser.add_argument("--tracking-uri", metavar="URI")
        parser.add_argument(
            "--out",
            type=Path,
            default=Path("runs/schedule"),
            metavar="DIR",
            help=tr(
                pt="a pasta dos notebooks executados (%(default)s)",
                en="the folder of the executed notebooks (%(default)s)",
            ),
        )
        parser.add_argument(
            "--from",
            dest="since",
            type=_moment,
            metavar="TIME",
            help=tr(
                pt="desde quando há execuções a fazer (ISO 8601)",
                en="since when there are runs to do (ISO 8601)",
            ),
        )
    live.add_argument(
        "--until",
        type=_moment,
        metavar="TIME",
        help=tr(pt="faz o passado até aí, e sai", en="makes up for the past until then, and exits"),
    )
    live.add_argument("--poll-seconds", type=_seconds, default=60.0, metavar="S")
    listed = one(
        "list",
        tr(
            pt="as execuções, o que aguarda e o que está em quarentena; de uma, cada passo",
            en="the runs, what waits and what is in quarantine; of one, each step",
        ),
    )
    listed.add_argument("run", nargs="?", default="", metavar="RUN")
    asked = one("ask", tr(pt="pede uma ação à próxima execução", en="asks the next run to act"))
    asked.add_argument("action", choices=get_args(Action), metavar="ACTION")
    asked.add_argument(
        "--id",
        default="",
        metavar="ID",
        help=tr(pt="o mesmo pedido, uma vez só", en="the same request, once only"),
    )
    approved = one("approve", tr(pt="aprova um passo que aguarda", en="approves a step that waits"))
    declined = one("decline", tr(pt="recusa um passo que aguarda", en="declines a step that waits"))
    freed = one("release", tr(pt="tira dados da quarentena", en="takes data out of quarantine"))
    for parser in (approved, declined):
        parser.add_argument("run", metavar="RUN")
    freed.add_argument("span", metavar="SPAN")
    for parser in (listed, asked, approved, declined, freed):
        parser.add_argument("--deployment", required=True, metavar="NAME")
    for parser in (asked, approved, declined, freed):
        parser.add_argument("--by", required=True, metavar="WHO")
        is_needed = parser in (asked, freed)
        parser.add_argument("--reason", required=is_needed, default="", metavar="WHY")


def _moment(text: str) -> datetime:
    """Return a moment; without a zone it is in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a time as in ISO 8601") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number of seconds below a day")
    return found
