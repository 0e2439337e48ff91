"""Serving: ours beside ``mlflow models serve``, with capture beside without, and a year of traffic.

    python -m utils bench [-- --quick]

Absolute figures hang on the machine and on what else it does; so what is compared is measured in
turn (ABC, CBA, …) within one run, and the spread over the rounds stands beside each median.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from utils.text import tr

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = 8
ROWS_SENT = 256
READY_WITHIN_S = 120


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured. 3,010 loans on an ordinary day are a million in a year."""

    rounds: int
    seconds: float
    warm_up_s: float
    batch_rows: int
    rows_in_process: int
    loans_a_day: float


FULL = Plan(
    rounds=5,
    seconds=3.0,
    warm_up_s=1.0,
    batch_rows=1_000,
    rows_in_process=60_000,
    loans_a_day=3_010,
)
QUICK = Plan(
    rounds=2,
    seconds=1.0,
    warm_up_s=0.5,
    batch_rows=1_000,
    rows_in_process=10_000,
    loans_a_day=150,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print what it measured; return 0."""
    chosen = _parser().parse_args(argv)
    plan = QUICK if chosen.quick else FULL
    with tempfile.TemporaryDirectory(prefix="vigia-bench-") as folder:
        registry = Registry(Path(folder))
        for part in chosen.only or PARTS:
            PARTS[part](registry, plan)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m utils bench --")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=tr(
            pt="poucas rodadas curtas: mostra que funciona, não mede bem",
            en="a few short rounds: shows that it works, measures little",
        ),
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        help=tr(pt="só esta parte; pode se repetir", en="this part only; may be repeated"),
    )
    return parser


# What is served


class Registry:
    """The models of the benchmark, made when asked for, in a folder that is thrown away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracking_uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"

    def new_store(self) -> str:
        return f"sqlite:///{(self.folder / f'{secrets.token_hex(6)}.db').as_posix()}"

    def flights(self, *, categories: bool) -> str:
        """Log a ridge of the arrival delay on January to March; return its URI."""
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        from utils.datasets import flights

        numbers = list(flights.NUMERIC_FEATURES)
        steps = [(StandardScaler(), numbers)]
        if categories:
            encoder = OneHotEncoder(handle_unknown="ignore")
            steps.append((encoder, list(flights.CATEGORICAL_FEATURES)))
        model = make_pipeline(make_column_transformer(*steps), Ridge()) if categories else Ridge()
        features = flight_features(categories=categories)
        train = _complete_flights(range(1, 4))
        model.fit(train[features], train[flights.TARGET])
        return self._logged(
            model, "flights" if categories else "numbers", train[features].head(100)
        )

    def credit(self) -> str:
        """Log a logistic regression of repayment on the applicants of a quarter; return its URI."""
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        from utils.datasets import credit

        [train] = list(lent(start="2023-10-01", n_days=90, per_day=100, batch_rows=10**6))
        features = list(credit.FEATURES)
        model = make_pipeline(
            make_column_transformer(
                (StandardScaler(), list(credit.NUMERIC_FEATURES)),
                (OneHotEncoder(handle_unknown="ignore"), list(credit.CATEGORICAL_FEATURES)),
            ),
            LogisticRegression(max_iter=1_000),
        )
        model.fit(train[features], train[credit.TARGET].astype("int64"))
        return self._logged(model, "credit", train[features].head(100))

    def _logged(self, model, name: str, inputs: pd.DataFrame) -> str:
        from utils.serving.models import log_model

        logged = log_model(
            model,
            name=name,
            inputs=inputs,
            predictions=model.predict(inputs),
            tracking_uri=self.tracking_uri,
        )
        return logged.model_uri


def flight_features(*, categories: bool) -> list[str]:
    from utils.datasets import flights

    return list(flights.FEATURES if categories else flights.NUMERIC_FEATURES)


def _complete_flights(months: Sequence[int]) -> pd.DataFrame:
    """Return departures with their weather and their label."""
    from utils.datasets import flights

    return flights.departures(months=months).dropna(
        subset=[*flights.FEATURES, flights.TARGET, "landed_at"], ignore_index=True
    )


def lent(*, start: str, n_days: int, per_day: float, batch_rows: int) -> Iterator[pd.DataFrame]:
    """Yield applications for credit with their outcomes: all were approved."""
    from utils.datasets import credit

    for frame in credit.stream(
        start=start, n_days=n_days, per_day=per_day, seed=1, batch_rows=batch_rows
    ):
        yield credit.outcomes(frame, pd.Series(True, frame.index), seed=1)


# Single rows over HTTP


def single_rows(registry: Registry, plan: Plan) -> None:
    """Measure requests of one row each, in turn, against three servers of the same model."""
    for categories, shown in (
        (False, tr(pt="modelo numérico", en="numeric model")),
        (True, tr(pt="modelo com categorias", en="model with categories")),
    ):
        _single_rows(registry, plan, categories=categories, shown=shown)


def _single_rows(registry: Registry, plan: Plan, *, categories: bool, shown: str) -> None:
    uri = registry.flights(categories=categories)
    rows = _complete_flights([4])[flight_features(categories=categories)].head(ROWS_SENT)
    peer = "mlflow models serve"
    on, off = tr(pt="com captura", en="with capture"), tr(pt="sem captura", en="without capture")
    with ExitStack() as stack:
        servers = {
            peer: stack.enter_context(_peer(registry, uri)),
            on: stack.enter_context(_ours(registry, uri)),
            off: stack.enter_context(_ours(registry, uri, "--no-capture")),
        }
        results = _in_turn(
            {
                name: lambda server=server: _loaded(server, rows, plan)
                for name, server in servers.items()
            },
            rounds=plan.rounds,
        )
    title = tr(
        pt=f"Linhas avulsas por HTTP, {CLIENTS} clientes keep-alive: {shown}",
        en=f"Single rows over HTTP, {CLIENTS} keep-alive clients: {shown}",
    )
    print(f"\n{title}\n{'':24}{'req/s':>8}{'':>16}{'p50 ms':>9}{'p99 ms':>9}")
    for name, rounds in results.items():
        p50, p99 = (statistics.median(each[p] for each in rounds) for p in ("p50_ms", "p99_ms"))
        speed = _spread([each["requests_per_s"] for each in rounds])
        print(f"{name:<24}{speed}{p50:>9.1f}{p99:>9.1f}")
    speeds = {name: [each["requests_per_s"] for each in rounds] for name, rounds in results.items()}
    costs = [
        1e6 / with_ - 1e6 / without for with_, without in zip(speeds[on], speeds[off], strict=True)
    ]
    ratios = [ours / theirs for ours, theirs in zip(speeds[on], speeds[peer], strict=True)]
    busiest = max(each["busy"] for rounds in results.values() for each in rounds)
    print(f"{tr(pt='custo da captura, µs', en='cost of capture, µs'):<24}{_spread(costs)}")
    print(f"{tr(pt='vezes o mlflow', en='times mlflow'):<24}{_spread(ratios, digits=1)}")
    print(
        tr(
            pt=f"(o gerador de carga ocupou no máximo {busiest:.0%} de um processador)",
            en=f"(the load generator was busy for at most {busiest:.0%} of one processor)",
        )
    )


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers on a port of loopback, and the key that it wants."""

    port: int
    access_key: str = ""


def _loaded(server: Server, rows: pd.DataFrame, plan: Plan) -> dict[str, float]:
    """Load a server from another process; return what that measured."""
    job = {
        "port": server.port,
        "requests": [_request(server, rows.iloc[[at]]) for at in range(len(rows))],
        "clients": CLIENTS,
        "seconds": plan.seconds,
        "warm_up_s": plan.warm_up_s,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(done.stdout)


def _request(server: Server, row: pd.DataFrame) -> str:
    split = row.to_dict("split")
    body = json.dumps({"dataframe_split": {key: split[key] for key in ("columns", "data")}})
    lines = (
        "POST /invocations HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Authorization: Bearer {server.access_key}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines) + "\r\n\r\n" + body


def _ours(registry: Registry, uri: str, *options: str):
    key = secrets.token_urlsafe(16)
    return _serving(
        registry,
        lambda port: [
            *("utils", "serve", "--model-uri", uri, "--store", registry.new_store()),
            *("--port", str(port), *options),
        ],
        access_key=key,
    )


def _peer(registry: Registry, uri: str):
    return _serving(
        registry,
        lambda port: [
            *("mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
    )


@contextmanager
def _serving(
    registry: Registry, command: Callable[[int], list[str]], *, access_key: str = ""
) -> Iterator[Server]:
    """Run a server of its own process meanwhile; stop it, and what it started, by their ids."""
    import psutil

    port = _free_port()
    log = registry.folder / f"server-{port}.log"
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "MLFLOW_TRACKING_URI": registry.tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "VIGIA_ACCESS_KEY": access_key,
    }
    with log.open("wb") as said:
        process = psutil.Popen(
            [sys.executable, "-m", *command(port)],
            stdout=said,
            stderr=said,
            env=environment,
            cwd=ROOT,
        )
        try:
            _wait_until_ready(port, process, command(port), log)
            yield Server(port=port, access_key=access_key)
        finally:
            _stop(process)


def _stop(process) -> None:
    """Stop a process of ours and those that it started, by their ids."""
    import psutil

    if process.poll() is not None:
        return
    everyone = [process, *process.children(recursive=True)]
    for each in everyone:
        each.terminate()
    _, stubborn = psutil.wait_procs(everyone, timeout=10)
    for each in stubborn:
        each.kill()


def _wait_until_ready(port: int, process, command: Sequence[str], log: Path) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"{' '.join(command)}: does not serve\n{log.read_text()[-2_000:]}")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Batches in process


def in_process(registry: Registry, plan: Plan) -> None:
    """Measure a replay of flights in batches, with capture and without."""
    from utils.serving.models import load

    scorer = load(registry.flights(categories=True), tracking_uri=registry.tracking_uri)
    frame = _complete_flights(range(4, 13)).head(plan.rows_in_process)
    results = _in_turn(
        {
            tr(pt="com captura", en="with capture"): lambda: _replayed(
                registry, scorer, frame, plan
            ),
            tr(pt="e com rótulos", en="and with labels"): lambda: _replayed(
                registry, scorer, frame, plan, labelled=True
            ),
            tr(pt="sem captura", en="without capture"): lambda: _replayed(
                registry, scorer, frame, plan, capture=False
            ),
        },
        rounds=plan.rounds,
    )
    title = tr(
        pt=f"No processo, {len(frame):,} voos em lotes de {plan.batch_rows:,}, para o SQLite",
        en=f"In process, {len(frame):,} flights in batches of {plan.batch_rows:,}, into SQLite",
    )
    print(f"\n{title}\n{'':24}{tr(pt='linhas/s', en='rows/s'):>8}")
    for name, speeds in results.items():
        print(f"{name:<24}{_spread(speeds)}")


def _replayed(
    registry: Registry,
    scorer,
    frame: pd.DataFrame,
    plan: Plan,
    *,
    capture: bool = True,
    labelled: bool = False,
) -> float:
    """Return the rows a second of one replay into a new store."""
    from utils.datasets import flights
    from utils.serving.client import Client
    from utils.serving.endpoint import Endpoint
    from utils.serving.models import deploy_scorer
    from utils.serving.traffic import replay
    from utils.store import open_store

    truth = {"label_column": flights.TARGET, "known_at_column": "landed_at"} if labelled else {}
    with open_store(registry.new_store()) as store:
        deployment = deploy_scorer(store, scorer, name="flights")
        client = Client(Endpoint(scorer, store, deployment, capture=capture))
        began = time.perf_counter()
        replay(
            client,
            frame,
            features=flights.FEATURES,
            time_column="departed_at",
            batch_rows=plan.batch_rows,
            **truth,
        )
        return len(frame) / (time.perf_counter() - began)


# A year


def a_year(registry: Registry, plan: Plan) -> None:
    """Simulate a year of credit with all its labels in a process of its own, and weigh that."""
    job = {
        "store_url": registry.new_store(),
        "model_uri": registry.credit(),
        "tracking_uri": registry.tracking_uri,
        "loans_a_day": plan.loans_a_day,
        "batch_rows": plan.batch_rows,
    }
    done = subprocess.run(
        [sys.executable, "-c", "from benchmarks.serving import simulate; simulate()"],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    did = json.loads(done.stdout)
    size_mb = Path(job["store_url"].removeprefix("sqlite:///")).stat().st_size / 2**20
    title = tr(
        pt=f"Um ano: {did['sent']:,} pedidos de crédito, simulados, previstos e guardados",
        en=f"A year: {did['sent']:,} applications for credit, simulated, scored and stored",
    )
    print(f"\n{title}")
    for name, value in (
        (tr(pt="rótulos", en="labels"), f"{did['labelled']:,}"),
        (tr(pt="segundos", en="seconds"), f"{did['seconds']:.1f}"),
        (tr(pt="  de processador", en="  of processor"), f"{did['busy_s']:.1f}"),
        (tr(pt="linhas/s", en="rows/s"), f"{did['sent'] / did['seconds']:,.0f}"),
        (tr(pt="pico de memória, MiB", en="peak memory, MiB"), f"{did['peak_mib']:,.0f}"),
        (tr(pt="repositório, MiB", en="store, MiB"), f"{size_mb:,.0f}"),
    ):
        print(f"{name:<24}{value:>8}")


def simulate() -> None:
    """Do the work of ``a_year``: read a job from standard input, print what was done as JSON."""
    import psutil

    from utils.datasets import credit
    from utils.serving.client import Client
    from utils.serving.endpoint import Endpoint
    from utils.serving.models import deploy_scorer, load
    from utils.serving.traffic import replay
    from utils.store import open_store

    job = json.load(sys.stdin)
    scorer = load(job["model_uri"], tracking_uri=job["tracking_uri"])
    with open_store(job["store_url"]) as store:
        deployment = deploy_scorer(store, scorer, name="credit")
        began, busy_before = time.perf_counter(), time.process_time()
        done = replay(
            Client(Endpoint(scorer, store, deployment)),
            lent(start="2024-01-01", n_days=366, per_day=job["loans_a_day"], batch_rows=10_000),
            features=credit.FEATURES,
            time_column="applied_at",
            label_column=credit.TARGET,
            known_at_column="known_at",
            batch_rows=job["batch_rows"],
        )
        did = {
            "sent": done.sent,
            "labelled": done.labelled,
            "seconds": time.perf_counter() - began,
            "busy_s": time.process_time() - busy_before,
            "peak_mib": _peak_bytes(psutil.Process()) / 2**20,
        }
    json.dump(did, sys.stdout)


def _peak_bytes(process) -> int:
    """Return the most memory that this process ever held."""
    if os.name == "nt":
        return process.memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


# Profiles


def profiles(registry: Registry, plan: Plan) -> None:
    """Measure profiles, as ``python -m benchmarks.profile`` does."""
    from benchmarks.profile import measure

    measure(registry.folder, quick=plan is QUICK)


# How it is measured and shown


def _in_turn(measures: dict[str, Callable], *, rounds: int) -> dict[str, list]:
    """Measure each once a round, there and back (ABC, CBA, …), so that a drift hits all alike."""
    results = {name: [] for name in measures}
    order = list(measures)
    for _ in range(rounds):
        for name in order:
            results[name].append(measures[name]())
        order.reverse()
    return results


def _spread(values: Sequence[float], *, digits: int = 0) -> str:
    """Return the median and, in brackets, the lowest and the highest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    between = f"({low:,.{digits}f} – {high:,.{digits}f})"
    return f"{middle:>8,.{digits}f} {between:<15}"


PARTS = {"single": single_rows, "batches": in_process, "year": a_year, "profiles": profiles}

if __name__ == "__main__":
    sys.exit(main())
