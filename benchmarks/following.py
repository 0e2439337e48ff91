"""An endpoint that follows its name beside one that does not: what following costs it.

    python -m benchmarks.following [--quick] [--out benchmarks/results/following.csv]

Three servers of the same model stand over stores of their own: one as it is started without
``--follow``, one that follows and has no canary, and one of which a canary, a second version of the
same, has three requests in ten. The same load (``benchmarks.load``, single rows, 8 keep-alive
clients) is sent to each in turn. Absolute figures hang on the machine and on what else it does;
what is compared was measured within one round: ``ratio`` is that of the requests per second to
those of the fixed one, ``cpu_ratio`` that of the processor time that a request took of the server,
which hangs less on what else runs.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks import serving
from benchmarks.serving import Plan, Registry, Server

SHARE = 0.3
COLUMNS = ("what", "round", "requests_per_s", "p50_ms", "p99_ms", "cpu_us", "ratio", "cpu_ratio")
FIXED, FOLLOWING, CANARY = "fixed", "following", f"following, canary of {SHARE:.0%}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the rounds, and print their medians; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.following")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(argv)
    plan = serving.QUICK if chosen.quick else replace(serving.FULL, seconds=2.0, rounds=15)
    with tempfile.TemporaryDirectory(prefix="vigia-bench-") as folder:
        rows = measured(Registry(Path(folder)), plan)
    if chosen.out:
        with chosen.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    _print(rows)
    return 0


def measured(registry: Registry, plan: Plan) -> list[dict[str, object]]:
    """Return one row for each round of each of the three; ``ratio`` is to the fixed one."""
    first, second = (registry.flights(categories=False) for _ in range(2))
    features = serving.flight_features(categories=False)
    sent = serving._complete_flights([4])[features].head(serving.ROWS_SENT)
    with ExitStack() as stack:
        servers = {
            what: stack.enter_context(_server(registry, first, *options))
            for what, options in ((FIXED, ()), (FOLLOWING, ("--follow",)))
        }
        servers[CANARY] = stack.enter_context(
            _server(registry, first, "--follow", store=_with_canary(registry, first, second))
        )
        quiet = replace(plan, warm_up_s=0.0)
        for server in servers.values():
            serving._loaded(server, sent, plan)
        found = []
        for number in range(plan.rounds):
            order = list(servers) if number % 2 == 0 else list(servers)[::-1]
            loaded = {what: _loaded(servers[what], sent, quiet) for what in order}
            fixed = loaded[FIXED]
            found += [
                {
                    "what": what,
                    "round": number + 1,
                    "requests_per_s": round(own["requests_per_s"], 1),
                    "p50_ms": round(own["p50_ms"], 2),
                    "p99_ms": round(own["p99_ms"], 2),
                    "cpu_us": round(own["cpu_us"]),
                    "ratio": round(own["requests_per_s"] / fixed["requests_per_s"], 3),
                    "cpu_ratio": round(own["cpu_us"] / fixed["cpu_us"], 3),
                }
                for what, own in ((what, loaded[what]) for what in servers)
            ]
    return found


def _loaded(server: Server, rows: pd.DataFrame, plan: Plan) -> dict[str, float]:
    """Load a server; return what that measured, and the processor time of the server a request."""
    before = _cpu_s(server)
    loaded = serving._loaded(server, rows, plan)
    n_requests = loaded["requests_per_s"] * plan.seconds
    return {**loaded, "cpu_us": 1e6 * (_cpu_s(server) - before) / n_requests}


def _cpu_s(server: Server) -> float:
    """Return the processor time that a server of ours has used until now."""
    import psutil

    [process] = [each for each in psutil.Process().children() if str(server.port) in each.cmdline()]
    used = process.cpu_times()
    return used.user + used.system


@contextmanager
def _server(
    registry: Registry, uri: str, *options: str, store: str | None = None
) -> Iterator[Server]:
    given = ["utils", "serve", "--model-uri", uri, "--deployment", "flights", "--no-monitoring"]
    given += ["--store", store or registry.new_store(), *options]
    with serving._serving(
        registry, lambda port: [*given, "--port", str(port)], access_key="a-bench-key"
    ) as server:
        yield server


def _with_canary(registry: Registry, uri: str, canary_uri: str) -> str:
    """Return the URL of a store in which a canary has its share."""
    from utils.serving.models import deploy
    from utils.serving.splits import Split, begin_split
    from utils.store import open_store

    url, about = registry.new_store(), {"tracking_uri": registry.tracking_uri}
    with open_store(url) as store:
        deploy(store, name="flights", model_uri=uri, **about)
        canary = deploy(store, name="flights-canary", model_uri=canary_uri, **about)
        split = Split(deployment=canary.name, share=SHARE, salt=canary.model_version)
        begin_split(store, "flights", split, at=canary.created_at, by="benchmark")
    return url


def _print(rows: Sequence[dict[str, object]]) -> None:
    print(f"{'':28}{'requests/s':>12}{'of the fixed':>20}{'CPU µs':>9}{'of the fixed':>20}")
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        speed, cpu, ratio, cpu_ratio = (
            [row[name] for row in own]
            for name in ("requests_per_s", "cpu_us", "ratio", "cpu_ratio")
        )
        print(
            f"{what:<28}{statistics.median(speed):>12.0f}{_spread(ratio):>20}"
            f"{statistics.median(cpu):>9.0f}{_spread(cpu_ratio):>20}"
        )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


if __name__ == "__main__":
    raise SystemExit(main())
