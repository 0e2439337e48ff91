"""The arguments of ``python -m utils alerts …``; what they ask for is imported when it is asked."""

from __future__ import annotations

import argparse
from pathlib import Path

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
    now.add_argument("--runbooks", default="", metavar="URL")
    now.add_argument("--escalate-after-hours", type=float, default=24.0, metavar="H")
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
