"""The live page beside none: what twenty viewers of a million predictions cost the endpoint.

    python -m benchmarks.dashboard [--quick] [--out benchmarks/results/dashboard.csv]

Two servers of the same model stand over copies of one store: one without the page, one with it. The
same load (``benchmarks.load``, single rows, 8 keep-alive clients) is sent in turn to the first, to
the second while nobody looks, and to the second while viewers look. A viewer has opened the page,
keeps its connection and asks for what is new every two seconds; what a browser does with that costs
the viewer's machine and is left out. The column ``messages`` counts the new pages that viewers got.
Absolute figures hang on the machine, and on its two processors being shared by server, load and
viewers; what is compared was measured within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks import serving
from benchmarks.serving import ROOT, Plan, Registry, Server

VIEWERS = 20
STORED = 1_000_000
BATCH = 100_000
COLUMNS = ("what", "round", "viewers", "stored", "requests_per_s", "p50_ms", "p99_ms", "messages")
NO_PAGE, ALONE, WATCHED = "no page", "page, nobody looks", f"page, {VIEWERS} viewers"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the rounds, and print their medians; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--watch", nargs=2, metavar=("PORT", "KEY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.watch:
        asyncio.run(_watch(*chosen.watch))
        return 0
    plan = serving.QUICK if chosen.quick else replace(serving.FULL, seconds=6.0, warm_up_s=2.0)
    stored = STORED // 100 if chosen.quick else STORED
    with tempfile.TemporaryDirectory(prefix="vigia-bench-") as folder:
        rows = measured(Registry(Path(folder)), plan, stored=stored)
    if chosen.out:
        with chosen.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    _print(rows)
    return 0


def measured(registry: Registry, plan: Plan, *, stored: int) -> list[dict[str, object]]:
    """Return one row for each round of each of the three."""
    uri = registry.flights(categories=False)
    features = serving.flight_features(categories=False)
    rows = serving._complete_flights([4])[features]
    first = _filled(registry, uri, rows, stored)
    second = registry.new_store()
    shutil.copy(_path(first), _path(second))
    sent = rows.head(serving.ROWS_SENT)
    with ExitStack() as stack:
        without = stack.enter_context(_server(registry, uri, first, "--no-monitoring"))
        with_page = stack.enter_context(_server(registry, uri, second))
        found = []
        for number in range(plan.rounds):
            order = (NO_PAGE, ALONE, WATCHED)
            for what in order if number % 2 == 0 else order[::-1]:
                server = without if what == NO_PAGE else with_page
                with ExitStack() as looking:
                    if what == WATCHED:
                        seen = looking.enter_context(_watched(server))
                    else:
                        seen = {"messages": 0}
                        time.sleep(3.0)
                    loaded = serving._loaded(server, sent, plan)
                found.append(
                    {
                        "what": what,
                        "round": number + 1,
                        "viewers": VIEWERS if what == WATCHED else 0,
                        "stored": stored,
                        "requests_per_s": round(loaded["requests_per_s"], 1),
                        "p50_ms": round(loaded["p50_ms"], 2),
                        "p99_ms": round(loaded["p99_ms"], 2),
                        "messages": seen["messages"],
                    }
                )
    return found


def _filled(registry: Registry, uri: str, rows: pd.DataFrame, stored: int) -> str:
    """Return the URL of a store with that many predictions of the deployment ``flights``."""
    from utils.serving.models import in_service, load
    from utils.store import open_store

    url = registry.new_store()
    scorer = load(uri, tracking_uri=registry.tracking_uri)
    with open_store(url) as store:
        deployment = in_service(store, scorer, name="flights")
        for start in range(0, stored, BATCH):
            n = min(BATCH, stored - start)
            part = rows.sample(n, replace=True, random_state=start).reset_index(drop=True)
            times = pd.date_range("2013-04-01", periods=n, freq="1s", tz="UTC")
            captured = pd.DataFrame(
                {
                    "prediction_id": [f"p{start + at}" for at in range(n)],
                    "event_time": times + pd.Timedelta(start, "s"),
                    "latency_ms": 2.0,
                    "prediction": part["departure_delay_min"].astype(float),
                }
            )
            store.write_predictions(deployment.name, pd.concat([captured, part], axis=1))
    return url


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


@contextmanager
def _server(registry: Registry, uri: str, store: str, *options: str) -> Iterator[Server]:
    given = ["utils", "serve", "--model-uri", uri, "--store", store, "--deployment", "flights"]
    with serving._serving(
        registry, lambda port: [*given, "--port", str(port), *options], access_key="a-bench-key"
    ) as server:
        yield server


@contextmanager
def _watched(server: Server) -> Iterator[dict[str, int]]:
    """Let viewers look meanwhile, from a process of their own; tell how much they got."""
    seen = {"messages": 0}
    command = [sys.executable, "-m", "benchmarks.dashboard", "--watch", str(server.port)]
    with subprocess.Popen(
        [*command, server.access_key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the viewers could not look")
        time.sleep(3.0)
        yield seen
        output, _ = process.communicate("")
        seen["messages"] = int(output)


async def _watch(port: str, key: str) -> None:
    """Look at the page twenty times until the standard input ends; print the answers taken."""
    import httpx
    from websockets.asyncio.client import connect

    from utils.dashboard.reader import PERIOD_S

    about = {"Authorization": f"Bearer {key}"}
    address = f"http://127.0.0.1:{port}/monitoring"
    taken, opened, tasks = 0, [], []

    async def look(client: httpx.AsyncClient, language: str) -> None:
        nonlocal taken
        version = -1
        while True:
            answer = await client.get(f"{address}/now?language={language}&after={version}")
            answer.raise_for_status()
            if answer.status_code == 200:
                version = answer.json()["version"]
                taken += 1
            await asyncio.sleep(PERIOD_S)

    async with httpx.AsyncClient(headers=about, timeout=60) as client:
        for at in range(VIEWERS):
            language = ("pt", "en")[at % 2]
            page = await client.get(f"{address}?language={language}")
            token = re.search(r'"token":"([^"]+)"', page.text)[1]
            connection = await connect(
                f"ws://127.0.0.1:{port}/monitoring/ws",
                subprotocols=["bokeh", token],
                additional_headers=about,
            )
            opened.append(connection)
            tasks.append(asyncio.create_task(look(client, language)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for connection, task in zip(opened, tasks, strict=True):
            task.cancel()
            await connection.close()
    print(taken)


def _print(rows: Sequence[dict[str, object]]) -> None:
    print(f"{'':24}{'requests/s':>22}{'p50 ms':>9}{'p99 ms':>20}{'messages':>12}")
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        speed, p50, p99 = ([row[n] for row in own] for n in ("requests_per_s", "p50_ms", "p99_ms"))
        print(
            f"{what:<24}{statistics.median(speed):>8.0f} ({min(speed):.0f}–{max(speed):.0f})"
            f"{statistics.median(p50):>12.2f}"
            f"{statistics.median(p99):>10.2f} ({min(p99):.1f}–{max(p99):.1f})"
            f"{statistics.median([row['messages'] for row in own]):>10.0f}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
