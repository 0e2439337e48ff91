"""The report as a command, and as a monitor of the loop: its notebook run on somebody's data."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from utils.course import builder
from utils.course.runs import environment, found_notebook
from utils.report.inputs import Asked, loaded
from utils.report.sources import Unusable, without_password
from utils.runner import Bars, Job, Outcome, run_all
from utils.text import tr, using

if TYPE_CHECKING:
    from utils.operations.monitors import ByNotebook
    from utils.operations.plans import Measuring

NOTEBOOK = "monitoring_report"


def report(
    reference: str, current: str, asked: Asked, *, language: str, seed: int, out: Path
) -> list[dict]:
    """Write the report on two sources into a folder, and return its alerts.

    The data are read and checked before anything is written, and what is written comes to stand in
    the folder when all of it is there. Raises ``Unusable``, in the language of the report.
    """
    with using(language):
        _need_folder(out)
        loaded(reference, current, asked)
        with _staged(out) as folder:
            _run(reference, current, asked, language=language, seed=seed, folder=folder, out=out)
    return json.loads((out / "alerts.json").read_text(encoding="utf-8"))


def monitor_of(measuring: Measuring, *, out: Path) -> ByNotebook:
    """Return the monitor of the loop that writes this report on each window, in a folder each.

    It measures as ``InProcess`` does with the same roles, window, budget and seed, and leaves the
    page, the alerts and the executed notebook beside the measurements. What differs: the report
    wants a reference that has no time in common with the window and makes two windows of it, and
    refuses one that does not (``Unusable``); and it reads numbers written as text as numbers.
    """
    from utils.operations.monitors import ByNotebook

    roles = measuring.roles
    asked = Asked(
        time_column=roles.time_column,
        window=measuring.window,
        prediction_column=roles.prediction_column,
        score_column=roles.score_column,
        target_column=roles.label_column,
        known_at_column=roles.known_at_column,
        group_columns=roles.group_columns,
        task=roles.task,
        false_alarms_per_year=measuring.false_alarms_per_year,
    )

    def written(
        reference: str, current: str, *, out: Path, features: Sequence[str], until: datetime
    ) -> None:
        about = replace(asked, feature_columns=tuple(features), until=until.isoformat())
        settings = {"language": measuring.language, "seed": measuring.seed}
        report(reference, current, about, out=out, **settings)

    return ByNotebook(report=written, out=out)


def _run(
    reference: str,
    current: str,
    asked: Asked,
    *,
    language: str,
    seed: int,
    folder: Path,
    out: Path,
) -> None:
    """Run the notebook into a folder; what it says of the folder is said of ``out``."""
    reference, secret = without_password(reference, variable="VIGIA_REFERENCE_PASSWORD")
    current, other_secret = without_password(current, variable="VIGIA_CURRENT_PASSWORD")
    given = {name: value for name, value in asdict(asked).items() if value}
    path = found_notebook(NOTEBOOK)
    source = builder.read(path)
    job = Job(
        name=NOTEBOOK,
        notebook=builder.edition(source, language, solutions=True, name=path.name),
        output=folder / path.name,
        folder=Path.cwd(),
        language=language,
        lane=language,
        parameters={
            **{name: list(value) if name.endswith("s") else value for name, value in given.items()},
            "reference": reference,
            "current": current,
            "false_alarms_per_year": float(asked.false_alarms_per_year),
            "seed": seed,
            "out": str(folder),
        },
        environment=environment(folder / "workspace") | secret | other_secret,
        numbers={cell.get("id"): number for number, cell in enumerate(source.cells, start=1)},
    )
    [outcome] = run_all([job], workers=1, progress=_progress(job))
    if outcome.failure:
        raise Unusable(" ".join(outcome.failure.split()))
    outcome.page.unlink()
    shutil.rmtree(folder / "workspace", ignore_errors=True)
    text = job.output.read_text(encoding="utf-8")
    job.output.write_text(
        text.replace(json.dumps(str(folder))[1:-1], json.dumps(str(out))[1:-1]), encoding="utf-8"
    )


def _progress(job: Job) -> Bars | _Silent:
    return Bars([job]) if sys.stderr.isatty() else _Silent()


class _Silent:
    """Says nothing: standard error is for what cannot be used."""

    def cell_done(self, job: Job) -> None:
        pass

    def job_done(self, outcome: Outcome) -> None:
        pass


def _need_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise Unusable(
            tr(pt=f"--out {out}: é um arquivo, e não uma pasta", en=f"--out {out}: is a file")
        )


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """Yield a new folder beside ``out``; at the end, and only if all went well, its files move."""
    folder = out.parent / f".{out.name}-{uuid4().hex}"
    try:
        folder.mkdir(parents=True)
        yield folder
        out.mkdir(exist_ok=True)
        for path in sorted(folder.iterdir()):
            os.replace(path, out / path.name)
    except OSError as error:
        raise Unusable(
            tr(
                pt=f"--out {out}: não se deixa escrever: {error}",
                en=f"--out {out}: cannot be written: {error}",
            )
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
