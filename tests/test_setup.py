"""What a newcomer meets first: the lock, the environment file, the commands, the two READMEs."""

import csv
import re
import shlex
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from utils.__main__ import _parser

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement).group()
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> set[str]:
    return {canonical(line) for line in read("requirements.txt").splitlines() if "==" in line[:80]}


def test_the_lock_names_no_index_and_hashes_every_package():
    lock = read("requirements.txt")
    assert not re.search(r"https?://|file:|--index-url|--find-links|--extra-index", lock)
    packages = re.split(r"\n(?=\S)", lock.strip())
    unhashed = [p.splitlines()[0] for p in packages if "==" in p and "--hash=sha256:" not in p]
    assert len(packages) > 50 and unhashed == []


def test_every_declared_dependency_is_locked():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["test"]
    assert {canonical(d) for d in declared} - locked() == set()


def test_conda_users_get_the_same_lock():
    environment = read("environment.yml")
    assert "--requirement requirements.txt" in environment
    assert re.findall(r"- ([a-z]+)[=\n]", environment.split("dependencies:")[1]) == [
        "python",
        "pip",
    ]


@pytest.mark.parametrize(
    "package",
    [
        "jupyterlab",
        "pandas",
        "seaborn",
        "matplotlib",
        "scikit-learn",
        "mlflow",
        "papermill",
        "nbval",
    ],
)
def test_the_packages_that_the_course_promises_are_there(package):
    assert package in locked()


def test_make_and_python_offer_the_same_commands():
    (targets,) = re.findall(r"^(run[a-z ]+): \$\(READY\)$", read("Makefile"), flags=re.M)
    said = subprocess.run(
        [sys.executable, "-m", "utils", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    for command in targets.split():
        assert re.search(rf"\b{command}\b", said.stdout), f"{command} is not in the help"


def shape(page: str) -> list[str]:
    """What must be equal in both languages: levels of headings, code, links, table rows."""
    kept = []
    code = False
    for line in page.splitlines():
        if line.startswith("```"):
            code = not code
        if code and not line.startswith("#"):
            kept.append(line.split("  #")[0].rstrip())
        elif line.startswith("#"):
            kept.append(re.match("#+", line).group())
        elif line.startswith("|"):
            kept.append("|" * line.count("|"))
        kept += sorted(re.findall(r"\]\(([^)]*\.ipynb)\)", line))
    return kept


def test_the_readme_is_the_same_page_in_both_languages():
    assert shape(read("README.md")) == shape(read("README.pt.md"))


@pytest.mark.parametrize("name", ["README.md", "README.pt.md"])
def test_every_link_of_the_readme_leads_somewhere(name):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", read(name))
    missing = [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()]
    assert targets and missing == []


@pytest.mark.parametrize("name", ["README.md", "README.pt.md"])
def test_every_notebook_is_in_the_readme_in_both_languages(name):
    page = read(name)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for folder in ("labs_pt", "labs_en"):
            assert f"]({folder}/{notebook.name})" in page


@pytest.mark.parametrize("name", ["README.md", "README.pt.md"])
def test_the_readme_gives_the_minutes_that_each_chapter_gives(name):
    """Chapter 00 says its ten minutes in words."""
    rows = re.findall(r"^\| (\d\d) \|[^|]*\| (\d+) \|", read(name), re.MULTILINE)
    assert len(rows) >= 8
    for number, minutes in rows[1:]:
        (notebook,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        title = "".join(nbformat.read(notebook, as_version=4).cells[1].source)
        assert f"{minutes} minutes" in title, notebook.name


@pytest.mark.parametrize("name", ["README.md", "README.pt.md"])
def test_every_command_of_the_readme_is_one_that_python_takes(name):
    commands = re.findall(r"^python -m utils (.+)$", read(name), flags=re.MULTILINE)
    assert any("--no-monitoring" in each for each in commands)
    for command in commands:
        chosen = _parser().parse_args(shlex.split(command, comments=True))
        assert callable(chosen.command), command


@pytest.mark.parametrize("name", ["README.md", "README.pt.md"])
def test_what_the_readme_says_that_the_monitoring_tab_costs_is_what_was_measured(name):
    """Each with the page by the one without it, in the same round: the median, and the ends."""
    with (ROOT / "benchmarks/results/dashboard.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    speed = {(row["what"], row["round"]): float(row["requests_per_s"]) for row in rows}
    rounds = sorted({row["round"] for row in rows})
    told = []
    for what in ("page, nobody looks", "page, 20 viewers"):
        ways = [100 * speed[what, each] / speed["no page", each] for each in rounds]
        told += [f"{each:.0f}%" for each in (statistics.median(ways), min(ways), max(ways))]
    (said,) = [line for line in read(name).splitlines() if "benchmarks.dashboard" in line]
    assert re.findall(r"\d+%", said) == told
    assert {row["stored"] for row in rows} == {"1000000"}
    assert re.search(r"1[.,]000[.,]000", said)


@pytest.mark.parametrize(("name", "point"), [("README.md", "."), ("README.pt.md", ",")])
def test_what_the_readme_says_that_the_loop_came_to_is_what_was_measured(name, point):
    with (ROOT / "benchmarks/results/loop_year.csv").open(encoding="utf-8") as file:
        rows = {row["policy"]: row for row in csv.DictReader(file)}
    head = re.search(r"^.*benchmarks\.loop_year.*$", read(name), flags=re.MULTILINE)
    assert re.search(r"247[.,]798", head[0]) and {row["n"] for row in rows.values()} == {"247798"}
    table = read(name)[head.end() :].strip().splitlines()[2:6]
    for line, policy in zip(table, ("never", "alarm", "monthly", "loop"), strict=True):
        row = rows[policy]
        names = ("mae",) if policy == "never" else ("mae", "change", "low", "high")
        told = [f"{float(row[each]):.2f}".replace("-", "−").replace(".", point) for each in names]
        cells = [each.strip() for each in line.strip("|").split("|")]
        assert cells[1:3] == [row["n_trained"], row["n_in_service"]]
        assert re.findall(r"−?\d+[.,]\d+", " ".join(cells[3:])) == told
