"""Profiles: a distance beside NumPy's histogram and scipy's tests, windows, memory, start-up.

    python -m benchmarks.profile [--quick] [--only distance|windows|memory|import]

Absolute figures hang on the machine and on what else it does; so what is compared is measured in
turn (ABC, CBA, …) within one run. Each time stands beside the processor's time of the process,
which others on the machine disturb less, and ratios are of the processor's times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from utils.monitors.distances import psi
from utils.monitors.profile import Binning, Profile
from utils.text import tr

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = [f"number_{at}" for at in range(8)]
CATEGORIES = [f"category_{at}" for at in range(4)]
FEATURES = [*NUMBERS, *CATEGORIES]
START_US = 1_704_067_200_000_000  # Monday, 1 January 2024
N_WINDOWS = 100
GROUP_ROWS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table for each part; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=tr(
            pt="um décimo das linhas, poucas rodadas: mostra que funciona, não mede bem",
            en="a tenth of the rows, few rounds: shows that it works, measures little",
        ),
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        help=tr(pt="só esta parte; pode se repetir", en="this part only; may be repeated"),
    )
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vigia-bench-") as folder:
        measure(Path(folder), quick=chosen.quick, only=chosen.only)
    return 0


def measure(folder: Path, *, quick: bool, only: Sequence[str] | None = None) -> None:
    """Run the parts in a folder that is thrown away."""
    for part in only or PARTS:
        PARTS[part](folder, n_rows=100_000 if quick else 1_000_000, rounds=2 if quick else 7)


# ---------------------------------------------------------------------------------- what is read


def rows(n: int, *, seed: int, shift: float = 0.0) -> pa.Table:
    """Return predictions in order of time, over 100 days: 8 numbers and 4 categories."""
    rng = np.random.default_rng(seed)
    step = N_WINDOWS * 86_400_000_000 // n
    times = pa.array(START_US + step * np.arange(n), pa.timestamp("us", "UTC"))
    columns: dict[str, pa.Array] = {"event_time": times}
    columns |= {name: pa.array(rng.normal(shift, 1, n)) for name in NUMBERS}
    for at, name in enumerate(CATEGORIES):
        texts = pa.array([f"value {each}" for each in range(4 + 4 * at)])
        codes = pa.array(rng.integers(0, len(texts), n).astype("int32"))
        columns[name] = pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())
    return pa.table(columns)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return the features as a frame whose categories are categories to pandas too."""
    return table.select(FEATURES).to_pandas(categories=CATEGORIES)


# ------------------------------------------------------------------------------------ a distance


def distance(folder: Path, *, n_rows: int, rounds: int) -> None:
    """Measure one distance over 12 columns: ours, NumPy's histogram, scipy's tests."""
    reference = frame_of(rows(n_rows // 10, seed=1))
    path = folder / "current.parquet"
    table = rows(n_rows, seed=2, shift=0.05)
    pq.write_table(table, path)
    current = frame_of(table)
    _check_equal(reference, path)
    ours = tr(pt="PSI, nosso, do Parquet", en="PSI, ours, from Parquet")
    results = in_turn(
        {
            ours: lambda: our_psi(reference, path),
            tr(pt="  só a leitura (o piso)", en="  the reading alone (the floor)"): lambda: (
                pq.read_table(path, columns=FEATURES, read_dictionary=CATEGORIES)
            ),
            tr(pt="PSI, np.histogram, do Parquet", en="PSI, np.histogram, from Parquet"): lambda: (
                histogram_psi(reference, pd.read_parquet(path, columns=FEATURES))
            ),
            tr(pt="PSI, nosso, na memória", en="PSI, ours, in memory"): lambda: our_psi(
                reference, current
            ),
            tr(pt="PSI, np.histogram, na memória", en="PSI, np.histogram, in memory"): lambda: (
                histogram_psi(reference, current)
            ),
            tr(pt="KS e qui-quadrado, scipy, na memória", en="KS and chi², scipy, in memory"): (
                lambda: scipy_tests(reference, current)
            ),
        },
        rounds=rounds,
    )
    title = tr(
        pt=f"Uma distância em 12 colunas, {n_rows // 10:,} linhas contra {n_rows:,}",
        en=f"One distance over 12 columns, {n_rows // 10:,} rows against {n_rows:,}",
    )
    show(title, results, beside=ours)


def our_psi(reference: pd.DataFrame, current: Path | pd.DataFrame) -> list[float]:
    """Return the PSI of each column, the bins fitted anew."""
    binning = Binning.fitted(reference)
    before, now = Profile.of(reference, binning), Profile.of(current, binning)
    cells = (binning.cells(name) for name in binning.features)
    return [float(psi(before.counts[0, each], now.counts[0, each])) for each in cells]


def histogram_psi(reference: pd.DataFrame, current: pd.DataFrame) -> list[float]:
    """Return the PSI of each column as one writes it by hand with NumPy and pandas."""
    found = []
    for name in NUMBERS:
        edges = np.quantile(reference[name], np.linspace(0, 1, 11))
        edges[[0, -1]] = -np.inf, np.inf
        pair = (np.histogram(each[name], edges)[0] for each in (reference, current))
        found.append(float(psi(*pair)))
    for name in CATEGORIES:
        before = reference[name].value_counts()
        now = current[name].value_counts().reindex(before.index, fill_value=0)
        found.append(float(psi(before.to_numpy(), now.to_numpy())))
    return found


def scipy_tests(reference: pd.DataFrame, current: pd.DataFrame) -> list[float]:
    """Return the p-value of each column."""
    from scipy import stats

    found = [stats.ks_2samp(reference[name], current[name]).pvalue for name in NUMBERS]
    for name in CATEGORIES:
        pair = pd.concat([each[name].value_counts() for each in (reference, current)], axis=1)
        found.append(stats.chi2_contingency(pair.fillna(0).to_numpy().T).pvalue)
    return found


def _check_equal(reference: pd.DataFrame, path: Path) -> None:
    """Refuse to compare the times of what does not give the same."""
    ours = our_psi(reference, path)
    theirs = histogram_psi(reference, pd.read_parquet(path, columns=FEATURES))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


# --------------------------------------------------------------------------------------- windows


def windows(folder: Path, *, n_rows: int, rounds: int) -> None:
    """Measure 100 windows beside one, from Parquet and in memory, rows in order and shuffled."""
    table = rows(n_rows, seed=3)
    path, shuffled_path = folder / "ordered.parquet", folder / "shuffled.parquet"
    shuffled = table.take(np.random.default_rng(3).permutation(n_rows))
    pq.write_table(table, path)
    pq.write_table(shuffled, shuffled_path)
    binning = Binning.fitted(table.slice(0, n_rows // 10), features=FEATURES)
    ordered = frame_of(table).assign(event_time=_moments(table))
    at_random = frame_of(shuffled).assign(event_time=_moments(shuffled))
    one, hundred = tr(pt="1 janela", en="1 window"), tr(pt="100 janelas", en="100 windows")
    for where, in_order, disordered in (
        (tr(pt="do Parquet", en="from Parquet"), path, shuffled_path),
        (tr(pt="na memória", en="in memory"), ordered, at_random),
    ):
        title = tr(
            pt=f"Perfis de 12 colunas por janela, {n_rows:,} linhas, {where}",
            en=f"Profiles of 12 columns by window, {n_rows:,} rows, {where}",
        )
        for suffix, source in (
            (tr(pt=", em ordem", en=", in order"), in_order),
            (tr(pt=", fora de ordem", en=", shuffled"), disordered),
        ):
            results = in_turn(
                {
                    one: lambda source=source: profiled(source, binning, None),
                    hundred: lambda source=source: profiled(source, binning, "1D"),
                },
                rounds=rounds,
            )
            show(title + suffix, results, beside=one)


def profiled(source: Path | pd.DataFrame, binning: Binning, window: str | None) -> Profile:
    return Profile.of(source, binning, window=window, time_column="event_time")


def _moments(table: pa.Table) -> pd.DatetimeIndex:
    return pd.to_datetime(table["event_time"].cast(pa.int64()).to_numpy(), unit="us", utc=True)


# ---------------------------------------------------------------------------------------- memory


def memory(folder: Path, *, n_rows: int, rounds: int) -> None:
    """Measure how much more memory a profile takes of 1, 10 and 50 times the rows."""
    title = tr(
        pt="Memória de um perfil diário de 4 colunas, lidas do Parquet, em um processo próprio",
        en="Memory of a daily profile of 4 columns, read from Parquet, in a process of its own",
    )
    names = (
        tr(pt="linhas", en="rows"),
        tr(pt="arquivo, MiB", en="file, MiB"),
        tr(pt="em memória seriam, MiB", en="in memory it would be, MiB"),
        tr(pt="a mais no pico, MiB", en="more at the peak, MiB"),
        tr(pt="segundos", en="seconds"),
    )
    print(f"\n{title}")
    print("  ".join(names))
    for times in (1, 10, 50):
        n = n_rows * times
        path = folder / "long.parquet"
        in_memory = write_long(path, n)
        code = "from benchmarks.profile import weigh; weigh()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=str(path),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=ROOT,
        )
        did = json.loads(done.stdout)
        if did["rows"] != n:
            raise RuntimeError(f"{did['rows']:,} of {n:,} rows were counted")
        values = (
            f"{n:,}",
            f"{path.stat().st_size / 2**20:,.0f}",
            f"{in_memory / 2**20:,.0f}",
            f"{did['grew_mib']:,.0f}",
            f"{did['seconds']:,.1f}",
        )
        print("  ".join(value.rjust(len(name)) for name, value in zip(names, values, strict=True)))
        path.unlink()


def write_long(path: Path, n: int) -> int:
    """Write rows in groups, as a stream; return their bytes in memory."""
    group = rows(min(n, GROUP_ROWS), seed=4)
    group = group.select(["event_time", *NUMBERS[:2], *CATEGORIES[:1]])
    step = N_WINDOWS * 86_400_000_000 // n
    with pq.ParquetWriter(path, group.schema, use_dictionary=CATEGORIES) as writer:
        for start in range(0, n, len(group)):
            times = START_US + step * np.arange(start, start + len(group))
            group = group.set_column(
                0, "event_time", pa.array(times, group.schema.field("event_time").type)
            )
            writer.write_table(group)
    return group.nbytes * (n // len(group))


def weigh() -> None:
    """Profile the file named on standard input; print what it took as JSON."""
    path = Path(sys.stdin.read())
    features = [*NUMBERS[:2], *CATEGORIES[:1]]
    binning = Binning.fitted(rows(10_000, seed=5), features=features)
    pq.ParquetFile(path).close()
    before, began = peak_bytes(), time.perf_counter()
    profile = profiled(path, binning, "1D")
    did = {
        "grew_mib": (peak_bytes() - before) / 2**20,
        "seconds": time.perf_counter() - began,
        "rows": int(profile.counts[:, binning.cells(features[0])].sum()),
    }
    json.dump(did, sys.stdout)


def peak_bytes() -> int:
    """Return the most memory that this process ever held.

    Linux lets a process inherit the peak of the one that started it, but for this file.
    """
    from benchmarks.serving import _peak_bytes

    status = Path("/proc/self/status")
    if status.exists():
        [line] = (each for each in status.read_text().splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * 1_024
    return _peak_bytes(psutil.Process())


# -------------------------------------------------------------------------------------- start-up


def start_up(folder: Path, *, n_rows: int, rounds: int) -> None:
    """Measure what importing profiles adds to importing pandas."""
    code = (
        "import pandas, time; began = time.process_time(); import utils.monitors.profile; "
        "print(time.process_time() - began)"
    )
    found = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT))
        for _ in range(rounds)
    ]
    title = tr(
        pt="import utils.monitors.profile, depois do pandas",
        en="import utils.monitors.profile, after pandas",
    )
    print(f"\n{title}: {statistics.median(found) * 1_000:.0f} ms")


# ---------------------------------------------------------------------- how it is measured, shown

Times = tuple[float, float]


def in_turn(works: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[Times]]:
    """Time each once a round, there and back, after one round that does not count."""
    results: dict[str, list[Times]] = {name: [] for name in works}
    order = list(works)
    for at in range(rounds + 1):
        for name in order:
            clock, processor = time.perf_counter(), time.process_time()
            works[name]()
            took = time.perf_counter() - clock, time.process_time() - processor
            if at:
                results[name].append(took)
        order.reverse()
    return results


def show(title: str, results: dict[str, list[Times]], *, beside: str) -> None:
    """Print the median times, the best, and how many times as long as one of them each takes."""
    width = max(len(name) for name in results)
    names = (
        tr(pt="ms, mediana", en="ms, median"),
        tr(pt="ms, melhor", en="ms, best"),
        tr(pt="ms de CPU", en="ms of CPU"),
        tr(pt="vezes", en="times"),
    )
    print(f"\n{title}\n{'':<{width}}" + "".join(f"{name:>13}" for name in names))
    base = [cpu for _, cpu in results[beside]]
    for name, took in results.items():
        clock, cpu = ([each[at] * 1_000 for each in took] for at in (0, 1))
        ratio = statistics.median(one / 1_000 / other for one, other in zip(cpu, base, strict=True))
        values = (statistics.median(clock), min(clock), statistics.median(cpu))
        print(
            f"{name:<{width}}" + "".join(f"{each:>13,.1f}" for each in values) + f"{ratio:>13.2f}"
        )


PARTS = {"distance": distance, "windows": windows, "memory": memory, "import": start_up}

if __name__ == "__main__":
    raise SystemExit(main())
