"""What is noticed, how late, and at what price in false alarms: ours, the peers and folklore.

``python -m benchmarks.detection [--seeds 10] [--jobs 1] [--no-peers] [--folder F] [--out FILE]``
makes traffic of credit with a model's scores: a logistic regression of 2022, a quiet reference of
26 weeks of 2023, and the same 26 weeks of 2024, some 700 rows each. Into these goes one incident at
a time: eleven kinds of the ledger at three strengths, for 4 to 8 weeks from a week that a seed
draws. Every rule reads the same files, judges the same weeks, and is scored by the same scoreboard,
beside *never alarm* and *always alarm*.

The rules, each as it is set when nothing is set:

- **ours**: ``suite.fitted(reference, roles).run(current)``, four false alarms a year for the whole
  dashboard; and once more with one;
- **evidently**, **nannyml**: see ``benchmarks/peers``, each in an environment of its own;
- **folklore**: the PSI of some column above 0.2; some column's chi-squared p-value below 0.05.

All are asked twice: **before** labels, when a week has inputs, scores and predictions, and
**after**, when it has every label too. Of credit, labels are complete six and a half months later.
That wait is not in the delay, which counts weeks of the incident.

**How to read it.** ``noticed`` is the share of incidents with an alarm in one of their weeks. A
rule that often cries wolf notices a lot by chance; so ``by_chance`` is the same share in the same
weeks *without* the incident, and ``weeks_alarmed_per_100`` stands beside the false alarms in a
hundred quiet weeks. What is harmless is better left alone: a low share is good there.
``accuracy_lost`` is what the incident took from the model, in points, on average.

**What it does not tell.**

- The world is of our own making, one data set of one shape, and its reference is quiet: there is no
  season in it that the reference lacks, nor any trend. With those each rule has more false alarms.
- Nobody keeps the defaults for ever. Thresholds of the peers can be set, and would be better set;
  this is what those get who do not.
- An alarm counts whatever it says. Whether it names the right column is not looked at.
- Quiet weeks of one seed share a reference and a model, and incidents of one seed their traffic.
  Wilson's intervals know nothing of that: those of the summary are too narrow.
- Prices are left out: a year with so many incidents is nobody's year.
- The ratio of processor time is of 26 weeks and their reference with these rules, and of tools that
  do different things in it: ours also measures intervals, evidently makes pictures if asked to.

Not here, for there is nothing to see: ``label_delay_grows`` (a week is judged when no label is
there, or all are), ``latency_burst`` (the traffic has no latency), ``error_burst`` (nor requests
that failed).
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers.exchange import QUIET, Alarms, Family, Roles, judge
from utils.datasets import credit, incidents
from utils.monitors import suite
from utils.monitors.distances import chi_squared_p_value, psi
from utils.monitors.intervals import wilson
from utils.monitors.profile import Binning
from utils.monitors.scoreboard import ALWAYS, NEVER, Prices, matched, scoreboard

ROOT = Path(__file__).parents[1]
PEERS = ("evidently", "nannyml")

KINDS = (
    "concept_drift_sudden",
    "concept_drift_gradual",
    "covariate_drift_harmful",
    "unit_change",
    "missing_values",
    "stuck_sensor",
    "new_category",
    "covariate_drift_harmless",
    "population_cut",
    "duplicates",
    "replays",
)
STRENGTHS = (0.1, 0.3, 1.0)

WEEK = pd.Timedelta("7D")
WEEKS = 26
PER_DAY = 120
TRAINED_ON, TRAINING_DAYS = "2022-01-03", 364
REFERENCE = pd.Timestamp("2023-03-06", tz="UTC")
CURRENT = pd.Timestamp("2024-03-04", tz="UTC")
ROLES = Roles(
    time="applied_at",
    numbers=list(credit.NUMERIC_FEATURES),
    categories=list(credit.CATEGORICAL_FEATURES),
    score="score",
    prediction="prediction",
    label=credit.TARGET,
)

OURS = "ours"
COMPOSED = {
    ("before", "nannyml: drift or CBPE"): ["nannyml: drift", "nannyml: CBPE"],
    ("before", "nannyml: all"): ["nannyml: drift", "nannyml: CBPE", "nannyml: quality"],
    ("after", "nannyml: all"): ["nannyml: drift", "nannyml: performance", "nannyml: quality"],
    ("after", "evidently: any of it"): ["evidently: any column", "evidently: performance"],
}
"""What is known of labels and the rule: the rules of which any alarms."""

FAMILIES = {
    "ours: 4 a year": ["ours, 4 a year"],
    "ours: 1 a year": ["ours, 1 a year"],
    "evidently: half of the columns": ["evidently, drift"],
    "evidently: any column": ["evidently, drift"],
    "evidently: performance": ["evidently, performance"],
    "evidently: any of it": ["evidently, drift", "evidently, performance"],
    "nannyml: drift": ["nannyml, drift"],
    "nannyml: CBPE": ["nannyml, CBPE"],
    "nannyml: performance": ["nannyml, performance"],
    "nannyml: quality": ["nannyml, quality"],
    "nannyml: drift or CBPE": ["nannyml, drift", "nannyml, CBPE"],
    "nannyml: all": ["nannyml, drift", "nannyml, CBPE", "nannyml, performance", "nannyml, quality"],
    "PSI > 0.2": ["folklore"],
    "p < 0.05": ["folklore"],
}
"""The rules in the order of the table, and what is run for each."""


# ------------------------------------------------------------------------------- the streams


def written(folder: Path, seeds: int) -> pd.DataFrame:
    """Write the streams of all seeds into a folder, and return their ledger, a row a stream.

    Beside the columns of a ledger it has ``stream``, ``seed`` and ``accuracy_lost``, in points,
    against the same weeks without the incident. A ledger of as many seeds that is there is read.
    """
    kept = folder / f"ledger-of-{seeds}.parquet"
    if kept.exists():
        return pd.read_parquet(kept)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roles.json").write_text(json.dumps(asdict(ROLES)))
    ledger = pd.concat([_written(folder, seed) for seed in range(seeds)], ignore_index=True)
    listed = [{"stream": f"{seed}-{QUIET}", "seed": seed} for seed in range(seeds)] + ledger[
        ["stream", "seed"]
    ].to_dict("records")
    pd.DataFrame(listed).to_csv(folder / "streams.csv", index=False)
    ledger.to_parquet(kept)
    return ledger


def _written(folder: Path, seed: int) -> pd.DataFrame:
    scored = trained(lent(TRAINED_ON, TRAINING_DAYS, seed=seed))
    scored(lent(REFERENCE, 7 * WEEKS, seed=seed)).to_parquet(folder / f"reference-{seed}.parquet")
    current = lent(CURRENT, 7 * WEEKS, seed=seed)
    quiet = scored(current)
    quiet.to_parquet(folder / f"{seed}-{QUIET}.parquet")
    rows = []
    for kind in KINDS:
        for strength in STRENGTHS:
            rng = np.random.default_rng([seed, KINDS.index(kind), STRENGTHS.index(strength)])
            incident = incidents.example(kind, "credit", strength=strength, **_weeks(rng))
            changed, ledger = incidents.inject(
                current, [incident], rng=rng, time_column=ROLES.time, relabel=credit.relabel
            )
            during = scored(_between(changed, incident.start, incident.end))
            stream = f"{seed}-{kind}-{strength:g}"
            during.to_parquet(folder / f"{stream}.parquet")
            lost = accuracy(_between(quiet, incident.start, incident.end)) - accuracy(during)
            rows.append(ledger.assign(stream=stream, seed=seed, accuracy_lost=100 * lost))
    return pd.concat(rows, ignore_index=True)


def lent(start: pd.Timestamp | str, n_days: int, *, seed: int) -> pd.DataFrame:
    """Return loans with their outcomes: everybody is granted one, so that all have a label."""
    asked = credit.applications(start=start, n_days=n_days, per_day=PER_DAY, seed=seed)
    return credit.outcomes(asked, asked["amount_brl"] > 0, seed=seed)


def trained(loans: pd.DataFrame) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what scores loans by a model of these, and keeps the columns that monitors read."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepared = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ROLES.categories),
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ROLES.numbers),
    )
    model = make_pipeline(prepared, LogisticRegression(max_iter=1000))
    model.fit(loans[ROLES.features], loans[ROLES.label].astype("int64"))

    def scored(frame: pd.DataFrame) -> pd.DataFrame:
        score = model.predict_proba(frame[ROLES.features])[:, 1]
        return frame[[ROLES.time, *ROLES.features]].assign(
            score=score,
            prediction=(score >= 0.5).astype("int64"),
            repaid=frame[ROLES.label].astype("int64"),
        )

    return scored


def accuracy(scored: pd.DataFrame) -> float:
    return float((scored[ROLES.prediction] == scored[ROLES.label]).mean())


def _weeks(rng: np.random.Generator) -> dict[str, pd.Timestamp]:
    """Return the start and end of an incident, on Mondays, two quiet weeks after the beginning."""
    length = int(rng.integers(4, 9))
    first = int(rng.integers(2, WEEKS - length + 1))
    return {"start": CURRENT + first * WEEK, "end": CURRENT + (first + length) * WEEK}


def _between(frame: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    times = frame[ROLES.time]
    return frame[(times >= start) & (times < end)].reset_index(drop=True)


# ------------------------------------------------------------------------------- the rules


def ours(
    reference: pd.DataFrame, roles: Roles, *, budget: float
) -> Callable[[pd.DataFrame], Alarms]:
    """Return our defaults, but for the false alarms a year."""
    monitors = suite.fitted(
        reference,
        suite.Roles(
            time_column=roles.time,
            features=tuple(roles.features),
            task="classification",
            prediction_column=roles.prediction,
            score_column=roles.score,
            label_column=roles.label,
        ),
        rng=np.random.default_rng(0),
        false_alarms_per_year=budget,
    )

    def rules(frame: pd.DataFrame) -> Alarms:
        unknown = pd.array([pd.NA] * len(frame), dtype="Int64")
        until = frame[roles.time].max().normalize()
        until += pd.Timedelta(7 - until.weekday(), "D")
        for labels, seen in (("before", frame.assign(**{roles.label: unknown})), ("after", frame)):
            found = monitors.run(seen, until=until).measurements
            for week, alarm in found.groupby("window_start")["alarm"].any().items():
                yield labels, f"ours: {budget:g} a year", f"{week:%Y-%m-%d}", bool(alarm)

    return rules


def folklore(reference: pd.DataFrame, roles: Roles) -> Callable[[pd.DataFrame], Alarms]:
    """Return the thresholds of the books, on tenths of the reference and on categories."""
    columns = [*roles.features, roles.score, roles.prediction, roles.label]
    binning = Binning.fitted(reference, features=columns)
    of_reference = binning.counts(reference, np.zeros(len(reference), dtype=int), 1)[0]

    def rules(frame: pd.DataFrame) -> Alarms:
        times = frame[roles.time]
        first = times.min().normalize()
        first -= pd.Timedelta(first.weekday(), "D")
        week = ((times - first) // WEEK).to_numpy()
        counts = binning.counts(frame, week, int(week[-1]) + 1)
        far = np.zeros((len(counts), len(columns)), dtype=bool)
        unlikely = far.copy()
        for at, (bins, begin) in enumerate(zip(binning.bins, binning.offsets, strict=True)):
            cells = slice(begin, begin + bins.n_bins)
            far[:, at] = psi(of_reference[cells], counts[:, cells]) > 0.2
            unlikely[:, at] = chi_squared_p_value(of_reference[cells], counts[:, cells]) < 0.05
        for labels, n in (("before", len(columns) - 1), ("after", len(columns))):
            for rule, alarms in (("PSI > 0.2", far), ("p < 0.05", unlikely)):
                for at, alarm in enumerate(alarms[:, :n].any(axis=1)):
                    yield labels, rule, f"{first + at * WEEK:%Y-%m-%d}", bool(alarm)

    return rules


HERE: dict[str, Family] = {
    **{f"ours, {b} a year": functools.partial(ours, budget=float(b)) for b in (4, 1)},
    "folklore": folklore,
}


# ------------------------------------------------------------------------------- the peers


class NotInstalled(Exception):
    """A peer's environment could not be made; the message says why."""


def environment(peer: str) -> Path:
    """Return the Python of a peer's environment, made once for each content of its requirements.

    It lies in the folder of temporary files, outside of the project. Raises ``NotInstalled``.
    """
    requirements = ROOT / "benchmarks" / "peers" / f"{peer}.txt"
    content = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / "vigia-peers" / f"{peer}-{content}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / "complete").exists():
        return python
    uv = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if uv is None:
        steps = [
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)],
        ]
    else:
        steps = [
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(requirements)],
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            raise NotInstalled(f"{peer} cannot be installed, and is left out: {said[-1]}")
    (folder / "complete").touch()
    return python


def asked(peer: str, folder: Path, seeds: Sequence[int]) -> None:
    """Let a peer judge the streams of some seeds, with its telemetry off."""
    where = [str(folder.resolve()), *map(str, seeds)]
    quietly = {
        "DO_NOT_TRACK": "1",
        "NML_DISABLE_USAGE_LOGGING": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    subprocess.run(
        [str(environment(peer)), "-m", f"benchmarks.peers.{peer}_alarms", *where],
        cwd=ROOT,
        env={**os.environ, **quietly},
        check=True,
    )


# ------------------------------------------------------------------------------- the score


def table_of(ledger: pd.DataFrame, alarms: pd.DataFrame, seconds: pd.DataFrame) -> pd.DataFrame:
    """Return one table: the summary of each rule (``kind`` "all"), and each kind and strength.

    ``ledger`` is that of ``written``. ``alarms`` are by stream, what is known of labels, rule and
    week; a week of which a rule says nothing has none. ``seconds`` are by seed and rules.
    """
    laid = laid_end_to_end(ledger)
    weeks = weeks_of(laid)
    said = said_of(alarms, weeks)
    each = pd.concat(_noticed(laid, weeks, *rule) for rule in said.items())
    by_kind = shares(each, ["kind", "strength", "labels", "rule", "harmful"])
    summary = shares(each, ["labels", "rule"]).merge(board(laid, weeks, said))
    ratio = summary["rule"].map(ratios(seconds)).round(2)
    summary = summary.drop(columns="accuracy_lost").assign(kind="all", processor_ratio=ratio)
    order = {
        "kind": ["all", *KINDS],
        "labels": ["before", "after"],
        "rule": [*FAMILIES, NEVER, ALWAYS],
    }
    first = ["kind", "strength", "labels", "rule", "harmful"]
    table = pd.concat([by_kind, summary]).sort_values(
        ["kind", "labels", "strength", "rule"],
        key=lambda values: values.map(order[values.name].index) if values.name in order else values,
        ignore_index=True,
    )
    return table[[*first, *table.columns.drop(first)]]


def laid_end_to_end(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger as if the streams had come one after another, the quiet ones first.

    ``shift`` is by how much, ``twin_shift`` by how much the quiet stream of the same seed.
    """
    seeds = sorted(ledger["seed"].unique())
    span = (WEEKS + 2) * WEEK.as_unit("us")
    shift = pd.Series(len(seeds) + np.arange(len(ledger)), ledger.index) * span
    return ledger.assign(
        incident=np.arange(1, len(ledger) + 1),
        start=ledger["start"].dt.as_unit("us") + shift,
        end=ledger["end"].dt.as_unit("us") + shift,
        shift=shift,
        twin_shift=ledger["seed"].map(seeds.index) * span,
    )


def weeks_of(laid: pd.DataFrame) -> pd.DataFrame:
    """Return each week that is judged: its stream, its Monday there, and where it is laid."""
    quiet = laid.drop_duplicates("seed").assign(
        stream=lambda each: each["seed"].astype(str) + f"-{QUIET}",
        start=lambda each: CURRENT + each["twin_shift"],
        end=lambda each: CURRENT + WEEKS * WEEK + each["twin_shift"],
        shift=lambda each: each["twin_shift"],
    )
    found = []
    for each in pd.concat([quiet, laid]).itertuples():
        begins = pd.date_range(each.start, each.end, freq=WEEK, inclusive="left", unit="us")
        found.append(
            pd.DataFrame(
                {
                    "stream": each.stream,
                    "monday": (begins - each.shift).strftime("%Y-%m-%d"),
                    "window_start": begins,
                    "window_end": begins + WEEK,
                }
            )
        )
    weeks = pd.concat(found, ignore_index=True)
    return weeks.assign(is_quiet=weeks["stream"].str.endswith(QUIET))


def said_of(alarms: pd.DataFrame, weeks: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return of each rule, by what is known of labels, whether it alarms in each of the weeks."""
    places = pd.MultiIndex.from_frame(weeks[["stream", "monday"]])
    said = {}
    for key, own in alarms.groupby(["labels", "rule"], sort=False):
        at = pd.MultiIndex.from_frame(own[["stream", "window_start"]])
        told = pd.Series(own["alarm"].to_numpy(dtype=bool), at)
        said[key] = told.reindex(places, fill_value=False).to_numpy()
    for (labels, rule), parts in COMPOSED.items():
        each = [said.get((labels, part), said.get(("before", part))) for part in parts]
        if all(one is not None for one in each):
            said[labels, rule] = np.any(each, axis=0)
    for labels in alarms["labels"].unique():
        said[labels, NEVER] = np.zeros(len(weeks), dtype=bool)
        said[labels, ALWAYS] = np.ones(len(weeks), dtype=bool)
    return said


def _noticed(
    laid: pd.DataFrame, weeks: pd.DataFrame, rule: tuple[str, str], alarm: np.ndarray
) -> pd.DataFrame:
    """Return what a rule made of each incident, and of its weeks in the quiet stream."""
    told = weeks.assign(alarm=alarm)
    twins = laid.assign(
        start=laid["start"] - laid["shift"] + laid["twin_shift"],
        end=laid["end"] - laid["shift"] + laid["twin_shift"],
    )
    alarmed = told.groupby("stream")["alarm"].sum()
    return matched(laid, told).assign(
        labels=rule[0],
        rule=rule[1],
        accuracy_lost=laid["accuracy_lost"].to_numpy(),
        by_chance=matched(twins, told[told["is_quiet"]])["noticed"],
        weeks_alarmed=alarmed[laid["stream"]].to_numpy(),
    )


def shares(each: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return of incidents, grouped, which share was noticed, by chance too, and how late."""
    found = each.groupby(by, sort=False, as_index=False).agg(
        accuracy_lost=("accuracy_lost", "mean"),
        incidents=("noticed", "size"),
        noticed=("noticed", "mean"),
        by_chance=("by_chance", "mean"),
        delay_weeks=("delay_windows", "mean"),
        weeks=("n_windows", "sum"),
        weeks_alarmed=("weeks_alarmed", "sum"),
    )
    low, high = wilson((found["noticed"] * found["incidents"]).round(), found["incidents"])
    found.insert(found.columns.get_loc("noticed") + 1, "noticed_low", low)
    found.insert(found.columns.get_loc("noticed") + 2, "noticed_high", high)
    per_100 = 100 * found["weeks_alarmed"] / found["weeks"]
    return found.assign(weeks_alarmed_per_100=per_100).drop(columns=["weeks", "weeks_alarmed"])


def board(
    laid: pd.DataFrame, weeks: pd.DataFrame, said: dict[tuple[str, str], np.ndarray]
) -> pd.DataFrame:
    """Return the scoreboard of every rule, without prices."""
    found = []
    free = Prices(false_alarm=0, harmful_window=0)
    for labels in {labels for labels, _ in said}:
        rules = {
            rule: weeks.assign(alarm=alarm)
            for (of, rule), alarm in said.items()
            if of == labels and rule not in (NEVER, ALWAYS)
        }
        found.append(scoreboard(laid, rules, prices=free).assign(labels=labels))
    return pd.concat(found).drop(columns=["cost", "cost_low", "cost_high"])


def ratios(seconds: pd.DataFrame) -> dict[str, float]:
    """Return the processor time of each rule over ours: of each the least of the seeds.

    The first seed of a process also pays for what is imported then.
    """
    least = seconds.groupby("rules")["seconds"].min()
    return {
        rule: float(least[families].sum() / least["ours, 4 a year"])
        for rule, families in FAMILIES.items()
        if set(families) <= set(least.index)
    }


# ------------------------------------------------------------------------------- the command


def main(arguments: list[str] | None = None) -> int:
    """Make the streams, let every rule judge them, and print and write one table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="how many processes at a time")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where streams and alarms are kept; those that are there already are not made anew",
    )
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        table = measured(
            chosen.folder or Path(temporary),
            seeds=chosen.seeds,
            jobs=chosen.jobs,
            peers=() if chosen.no_peers else PEERS,
        )
    show(table)
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        table.round(4).to_csv(chosen.out, index=False)
    return 0


def measured(folder: Path, *, seeds: int, jobs: int = 1, peers: Sequence[str] = ()) -> pd.DataFrame:
    """Return the table (``table_of``) of this many seeds, beside those peers that install."""
    names = [OURS]
    for peer in peers:
        try:
            environment(peer)
            names.append(peer)
        except NotInstalled as why:
            print(why, file=sys.stderr)
    ledger = written(folder, seeds)
    parts = [(name, folder, range(at, seeds, jobs)) for name in names for at in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_judged, *part) for part in parts]:
            done.result()
    told = [folder / f"{name}-{seed}" for name in names for seed in range(seeds)]
    alarms = pd.concat([pd.read_csv(f"{each}.csv") for each in told])
    seconds = pd.concat([pd.read_csv(f"{each}-seconds.csv") for each in told])
    return table_of(ledger, alarms, seconds)


def _judged(name: str, folder: Path, seeds: Sequence[int]) -> None:
    left = [seed for seed in seeds if not (folder / f"{name}-{seed}-seconds.csv").exists()]
    if name == OURS:
        judge(folder, OURS, HERE, seeds=left)
    elif left:
        asked(name, folder, left)


def show(table: pd.DataFrame) -> None:
    """Print the summary of each rule, and the share of each kind that was noticed."""
    for labels in ("before", "after"):
        own = table[table["labels"] == labels]
        summary = own[own["kind"] == "all"].set_index("rule")
        print(f"\n{labels} labels, all incidents: share, with Wilson's interval")
        print(
            pd.DataFrame(
                {
                    "harmful noticed": _with_interval(summary, "detected"),
                    "by chance": summary["by_chance"].round(2),
                    "delay, weeks": summary["delay_windows"].round(1),
                    "harmless alarmed": _with_interval(summary, "harmless_alarmed"),
                    "false alarms per 100": _with_interval(summary, "false_alarms_per_100"),
                    "processor": summary["processor_ratio"].round(1),
                }
            ).to_string(na_rep="")
        )
        each = own[own["kind"] != "all"]
        print(f"\n{labels} labels, share noticed of {each['incidents'].iloc[0]} each")
        index = ["kind", "strength", "harmful", "accuracy_lost"]
        wide = each.round({"accuracy_lost": 1}).pivot(index=index, columns="rule", values="noticed")
        kept = [rule for rule in FAMILIES if rule in wide]
        wide = wide[kept].reindex(KINDS, level="kind").round(2)
        wide.columns = range(1, len(kept) + 1)
        print("\n".join(f"{at:>3} {rule}" for at, rule in enumerate(kept, 1)))
        print(wide.to_string())


def _with_interval(summary: pd.DataFrame, name: str) -> pd.Series:
    digits = 1 if "per_100" in name else 2
    return summary.apply(
        lambda row: (
            f"{row[name]:.{digits}f} "
            f"({row[f'{name}_low']:.{digits}f} – {row[f'{name}_high']:.{digits}f})"
        ),
        axis=1,
    )


if __name__ == "__main__":
    raise SystemExit(main())
