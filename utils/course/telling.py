"""Who is told, and who still listens: what chapter 12 computes and does not teach line by line.

A reader who is told too often for nothing stops listening for a while. That is a declared
mechanism, with two numbers of its own, and no law of nature.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from utils.monitors.scoreboard import matched, quiet_windows
from utils.operations import alerting
from utils.operations.preview import preview
from utils.operations.rules import BadRules, judged, read_rules
from utils.records import LINE, AlertRule, measurements, utc_now
from utils.store import Store
from utils.text import metric_name

WINDOW = ["window_start", "window_end"]


# ------------------------------------------------------------------------------- never seen


def never_seen(table: pd.DataFrame, *, window: str) -> list[AlertRule]:
    """Return a rule for each line that varies in a table: outside all that it was there.

    It takes for granted that no line is a part of another: an empty feature or group of a rule
    means any.

    >>> table = measurements({
    ...     "monitor": "performance", "metric": "mae", "value": value,
    ...     "window_start": f"2024-01-{day:02}", "window_end": f"2024-01-{day + 7:02}"}
    ...     for day, value in {1: 12.0, 8: 16.0, 15: 17.0}.items())
    >>> [(rule.low, rule.high) for rule in never_seen(table, window="7D")]
    [(12.0, 17.0)]
    """
    seen = table.groupby(list(LINE))["value"].agg(["min", "max"])
    return [
        AlertRule(
            name=f"line-{place}",
            window=window,
            low=float(row["min"]),
            high=float(row["max"]),
            **dict(zip(LINE, line, strict=True)),
        )
        for place, (line, row) in enumerate(seen.iterrows(), 1)
        if row["max"] > row["min"]
    ]


# ------------------------------------------------------------------------------- who listens


def told(table: pd.DataFrame, ledger: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the windows of lines with their ``alarm``, and in which of them somebody is told.

    ``told`` is where the alarm of some line begins: one that goes on is not told anew. With a
    ledger ``incident`` is the place there of the incident that touches the window (of two, the
    later one), and ``harmful`` whether it does harm; -1 and ``False`` where none does.

    >>> table = measurements({
    ...     "monitor": "drift", "metric": "psi", "value": 0.1, "alarm": week != 1,
    ...     "window_start": f"2024-01-{1 + 7 * week:02}",
    ...     "window_end": f"2024-01-{8 + 7 * week:02}"} for week in range(4))
    >>> told(table)["told"].tolist()
    [True, False, True, False]
    """
    rows = table.sort_values([*LINE, "window_start"])
    before = rows.groupby(list(LINE))["alarm"].shift(fill_value=False)
    begins = rows.assign(told=rows["alarm"] & ~before)
    found = begins.groupby(WINDOW, as_index=False)[["alarm", "told"]].any()
    found = found.sort_values("window_start", ignore_index=True).assign(incident=-1, harmful=False)
    for place, each in enumerate(() if ledger is None else ledger.itertuples()):
        during = (found["window_start"] < each.end) & (found["window_end"] > each.start)
        found.loc[during, ["incident", "harmful"]] = place, each.harmful
    return found


def listening(
    told: Sequence[bool], right: Sequence[bool], *, patience: int, muted: int
) -> np.ndarray:
    """Return in which windows somebody listens, in order of time.

    After ``patience`` messages for nothing in a row nobody listens for the next ``muted`` windows,
    and then begins anew; one that is right restores the patience.

    >>> listening([True] * 5, [False] * 5, patience=2, muted=2).tolist()
    [True, True, False, False, True]
    """
    if patience < 1 or muted < 0:
        raise ValueError(f"patience={patience!r}, muted={muted!r}: at least 1, and at least 0")
    listens = np.ones(len(told), dtype=bool)
    for_nothing = 0
    wakes = 0
    for place, (says, is_right) in enumerate(zip(told, right, strict=True)):
        if place < wakes:
            listens[place] = False
        elif says:
            for_nothing = 0 if is_right else for_nothing + 1
            if for_nothing == patience:
                for_nothing, wakes = 0, place + 1 + muted
    return listens


def years(
    windows: pd.DataFrame,
    *,
    quiet: int,
    patience: int | None,
    muted: int = 0,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return for many made-up stretches of time which share of harmful incidents was heard of.

    ``windows`` is what ``told`` returns. Each stretch has as many harmful and harmless incidents as
    there are, drawn with replacement with all their windows, and ``quiet`` quiet windows drawn
    likewise, in an order of chance. With ``patience=None`` somebody always listens.

    **What it does not tell.** What is drawn anew is what happened: an incident that none of these
    is like is in none of the stretches.
    """
    calm = windows.loc[windows["incident"] < 0, "told"].to_numpy()
    blocks = {True: [], False: []}
    for _, rows in windows[windows["incident"] >= 0].groupby("incident"):
        blocks[bool(rows["harmful"].iloc[0])].append(rows["told"].to_numpy())
    if not blocks[True]:
        raise ValueError("windows: no harmful incident is there to be heard of")
    shares = np.empty(draws)
    for place in range(draws):
        parts = [(one, False) for one in rng.choice(calm, (quiet, 1))]
        for is_harmful, own in blocks.items():
            drawn = rng.integers(0, len(own), len(own)) if own else ()
            parts += [(own[each], is_harmful) for each in drawn]
        order = [parts[each] for each in rng.permutation(len(parts))]
        shares[place] = _heard(order, patience=patience, muted=muted)
    return shares


def _heard(order: Sequence[tuple[np.ndarray, bool]], *, patience: int | None, muted: int) -> float:
    says = np.concatenate([own for own, _ in order])
    lengths = [len(own) for own, _ in order]
    harmful = np.array([is_harmful for _, is_harmful in order])
    if patience is not None:
        right = np.repeat(harmful, lengths)
        says = says & listening(says, right, patience=patience, muted=muted)
    heard = np.logical_or.reduceat(says, np.cumsum([0, *lengths[:-1]]))
    return float(heard[harmful].mean())


def with_band(shares: np.ndarray, *, level: float = 0.9) -> dict[str, float]:
    """Return the mean of drawn shares, and where the middle of them lies.

    >>> with_band(np.array([0.0, 0.5, 1.0]))["value"]
    0.5
    """
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return {"value": float(shares.mean()), "low": float(low), "high": float(high)}


# ------------------------------------------------------------------------------- persistence


def in_a_row(outside: np.ndarray, persistence: int) -> np.ndarray:
    """Return where so many windows in a row are outside, along the last axis.

    >>> in_a_row(np.array([True, True, False, True]), 2).tolist()
    [False, True, False, False]
    """
    fires = outside.copy()
    for ago in range(1, persistence):
        fires[..., ago:] &= outside[..., :-ago]
        fires[..., :ago] = False
    return fires


def first_told(fires: np.ndarray) -> np.ndarray:
    """Return after how many windows each row fires first; ``NaN`` where it never does.

    >>> first_told(np.array([[False, True], [False, False]])).tolist()
    [1.0, nan]
    """
    return np.where(fires.any(axis=1), fires.argmax(axis=1).astype(float), np.nan)


def waiting(
    quiet: np.ndarray,
    ill: Mapping[str, np.ndarray],
    *,
    bounds: Mapping[int, float],
    windows_a_year: float,
) -> pd.DataFrame:
    """Return what each persistence costs and brings, one row for each and each size of incident.

    ``quiet`` are values of quiet windows, ``ill`` those of incidents by their size from their first
    window on (rows × windows); ``bounds`` has the bound above which a window is outside, for each
    persistence. ``false_alerts`` is how many alerts begin in a quiet year, ``noticed`` the share of
    incidents that is noticed before it ends, and ``delay`` the mean delay of those, in windows;
    each with an interval of 95 %.

    >>> rows = waiting(np.array([[1.0, 3.0, 3.0, 1.0]]), {"large": np.array([[3.0, 3.0]])},
    ...                bounds={1: 2.0, 2: 2.0}, windows_a_year=4.0)
    >>> rows[["persistence", "false_alerts", "delay"]].values.tolist()
    [[1.0, 1.0, 0.0], [2.0, 1.0, 1.0]]
    """
    found = []
    for persistence, bound in bounds.items():
        fires = in_a_row(quiet > bound, persistence)
        begins = fires.copy()
        begins[:, 1:] &= ~fires[:, :-1]
        false = begins.sum(axis=1) / quiet.shape[1] * windows_a_year
        for size, values in ill.items():
            delay = first_told(in_a_row(values > bound, persistence))
            row = {"persistence": persistence, "bound": bound, "size": size}
            for name, sample in (
                ("false_alerts", false),
                ("noticed", ~np.isnan(delay)),
                ("delay", delay[~np.isnan(delay)]),
            ):
                row |= _mean(name, sample.astype(float))
            found.append(row)
    return pd.DataFrame(found)


def _mean(name: str, sample: np.ndarray) -> dict[str, float]:
    if not len(sample):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), np.nan)
    mean = float(sample.mean())
    error = 1.96 * float(sample.std(ddof=1)) / np.sqrt(len(sample)) if len(sample) > 1 else 0.0
    return {name: mean, f"{name}_low": mean - error, f"{name}_high": mean + error}


def same_budget(
    quiet: np.ndarray, *, a_year: float, windows_a_year: float, most: int
) -> dict[int, float]:
    """Return for each persistence the bound that gives so many windows with an alarm a quiet year.

    >>> quiet = np.random.default_rng(0).normal(size=(500, 52))
    >>> bounds = same_budget(quiet, a_year=4, windows_a_year=52, most=3)
    >>> bounds[1] > bounds[2] > bounds[3]
    True
    """
    found = {}
    for persistence in range(1, most + 1):
        least = quiet[:, persistence - 1 :].copy()
        for ago in range(1, persistence):
            least = np.minimum(least, quiet[:, persistence - 1 - ago : quiet.shape[1] - ago])
        found[persistence] = float(np.quantile(least, 1 - a_year / windows_a_year))
    return found


# ------------------------------------------------------------------------------- the exercise


PAST_FROM = pd.Timestamp("2024-01-01", tz="UTC")
PAST_WEEKS = 26
MOST_DELAY = 1
"""An incident of the past is caught in time if it is noticed no later than in its second week."""


def past() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return half a year of missing values by week, and the ledger of what happened in it.

    In ``debt_share`` they are rare; in week 7 a form was broken for some days, which is no incident
    (it was mended before anybody could act); from week 17 on a partner stopped sending it, for
    three weeks. In ``income_brl`` they are usual, and mean nothing.

    >>> table, ledger = past()
    >>> len(table), len(ledger)
    (52, 1)
    """
    rng = np.random.default_rng(12)
    n = rng.poisson(840, PAST_WEEKS)
    shares = {"debt_share": np.full(PAST_WEEKS, 0.008), "income_brl": np.full(PAST_WEEKS, 0.06)}
    shares["debt_share"][6] = 0.075
    shares["debt_share"][16:19] = 0.05
    starts = PAST_FROM + pd.to_timedelta(7 * np.arange(PAST_WEEKS), unit="D")
    rows = [
        {
            "monitor": "quality",
            "metric": "null_value_rate",
            "feature": feature,
            "window_start": start,
            "window_end": start + pd.Timedelta("7D"),
            "value": rng.binomial(rows, share) / rows,
            "n_current": rows,
        }
        for feature, own in shares.items()
        for start, rows, share in zip(starts, n, own, strict=True)
    ]
    ledger = pd.DataFrame(
        {
            "incident": [1],
            "kind": ["missing_values"],
            "columns": ["debt_share"],
            "strength": [0.05],
            "start": [starts[16]],
            "end": [starts[19]],
            "harmful": [True],
        }
    )
    return measurements(rows), ledger


def rules_of(text: str) -> tuple[AlertRule, ...]:
    """Return the rules of a YAML text. Raises ``BadRules`` as ``read_rules`` does, without a path.

    >>> [rule.high for rule in rules_of("- {name: nulls, metric: null_value_rate, high: 0.1}")]
    [0.1]
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return read_rules(path)
        except BadRules as error:
            raise BadRules(str(error).replace(str(path), path.name)) from None


def tried(text: str) -> dict[str, Any]:
    """Return what the rules of a YAML text would have done in ``past()``.

    ``in_time`` says whether the incident was noticed soon enough, ``false_alerts`` how many alerts
    began in quiet weeks. Raises ``BadRules`` as ``read_rules`` does, and ``ValueError`` for a rule
    that looks at nothing.

    >>> tried("- {name: nulls, metric: null_value_rate, high: 0.0}")["false_alerts"] > 20
    True
    """
    table, ledger = past()
    rules = rules_of(text)
    preview(rules, table)
    found = judged(rules, table)
    (caught,) = matched(ledger, found).itertuples()
    by_window = found.groupby(WINDOW, as_index=False)["alarm"].any()
    false = by_window["alarm"].to_numpy() & quiet_windows(ledger, by_window)
    return {
        "in_time": bool(caught.noticed) and caught.delay_windows <= MOST_DELAY,
        "false_alerts": int(false.sum()),
    }


# ------------------------------------------------------------------------------- receivers


@dataclass
class Receiver:
    """A webhook of this machine: it answers with each of ``codes`` once, and then with 200.

    ``heard`` has what came: the status that it was answered with, the title and the body.
    """

    codes: list[int]
    heard: list[tuple[int, str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def receiver(*codes: int) -> Iterator[Receiver]:
    """Run a webhook until the block ends; ``url`` is its address as apprise writes it.

    >>> from utils.operations.notifications import through_apprise
    >>> with receiver(500) as webhook:
    ...     through_apprise(webhook.url, "a", "b"), through_apprise(webhook.url, "a", "b")
    (False, True)
    """
    kept = Receiver(codes=list(codes))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["content-length"])))
            code = kept.codes.pop(0) if kept.codes else 200
            kept.heard.append((code, told["title"], told["message"]))
            self.send_response(code)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *about: Any) -> None:
            """Say nothing: the caller has what was heard."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.url = f"json://127.0.0.1:{server.server_port}/alerts"
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def local_aws(service: str, *, region: str = "us-east-1") -> Iterator[Any]:
    """Give boto3's own client of a service, and a server of this machine that stands for AWS.

    Nothing stands in it at first, whatever was put into another one of this process before.
    Against AWS the same client is made without ``endpoint_url`` and without made-up credentials.
    """
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()
    client = boto3.client(
        service,
        endpoint_url=f"http://{host}:{port}",
        region_name=region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    try:
        yield client
    finally:
        client.close()
        server.stop()


# ------------------------------------------------------------------------------- what is read


def lives(store: Store, deployment: str) -> pd.DataFrame:
    """Return a row for each alert of the book, with when what happened to it.

    Its ``rule``, ``what`` it is of, ``n_windows``, ``since`` and ``last_seen`` (of its windows),
    and the moments ``fired``, ``escalated``, ``acknowledged`` and ``resolved``, where there are.
    """
    happened: dict[str, dict[str, Any]] = {}
    for event in store.events(alerting.stream_of(deployment)):
        alert = event.key if event.kind == "fired" else event.body.get("alert")
        kind = "resolved" if event.kind == "quiet" else event.kind
        if alert and kind != "seen":
            happened.setdefault(alert, {}).setdefault(kind, event.at)
    rows = []
    for each in alerting.alerts(store, deployment, at=utc_now()):
        monitor, metric, feature, group = each.line
        moments = ("fired", "escalated", "acknowledged", "resolved")
        rows.append(
            {
                "rule": each.rule,
                "what": feature or group or metric_name(metric),
                "n_windows": each.n_windows,
                "since": each.since,
                "last_seen": each.last_seen,
                **{name: happened[each.id].get(name) for name in moments},
            }
        )
    table = pd.DataFrame(rows)
    for name in ("since", "last_seen", "fired", "escalated", "acknowledged", "resolved"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table.sort_values(["since", "fired", "rule", "what"], ignore_index=True)


def fetched(url: str) -> str:
    """Return the text at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def families(text: str) -> pd.DataFrame:
    r"""Return each ``family`` of metrics in a text of Prometheus, its type and how many samples.

    >>> families("# TYPE up gauge\nup 1\n").values.tolist()
    [['up', 'gauge', 1]]
    """
    from prometheus_client.parser import text_string_to_metric_families

    return pd.DataFrame(
        {"family": each.name, "type": each.type, "samples": len(each.samples)}
        for each in text_string_to_metric_families(text)
    )


def status_of(url: str) -> int:
    """Return the status with which an address answers who has no key."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def plain(html: str) -> str:
    """Return the words of a piece of HTML.

    >>> plain("<p>Two <b>features</b></p>")
    'Two features'
    """
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
