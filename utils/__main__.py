"""The commands of the course and of the toolkit: ``python -m utils COMMAND``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from utils.records import VigiaError
from utils.text import LANGUAGES, language, tr

_ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; 2 is a name or value that cannot be used."""
    chosen = _parser().parse_args(arguments)
    try:
        return chosen.command(chosen)
    except VigiaError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(chosen: argparse.Namespace) -> int:
    from utils.course import runs
    from utils.runner import run_all, watched

    languages = LANGUAGES if chosen.language == "both" else (chosen.language,)
    out = chosen.out.resolve()
    with runs.workspaces(out) as workspaces:
        plan = runs.planned(
            chosen.notebooks,
            languages=languages,
            parameters=chosen.parameters,
            out=out,
            workspaces=workspaces,
        )
        outcomes = run_all(plan.jobs, workers=chosen.jobs, progress=watched(plan.jobs))
    for error in plan.broken:
        print(error, file=sys.stderr)
    index = runs.write_index(outcomes, out=out)
    print(
        tr(
            pt=f"Notebooks executados e suas páginas: {index}",
            en=f"Executed notebooks and their pages: {index}",
        )
    )
    return 1 if plan.broken or any(outcome.failure for outcome in outcomes) else 0


def _test(chosen: argparse.Namespace) -> int:
    # One process for each core; the cells of a notebook stay together, in order.
    parallel = ["-n", "auto", "--dist", "loadfile"]
    return _python("-m", "pytest", *parallel, *chosen.arguments)


def _lab(chosen: argparse.Namespace) -> int:
    return _python(
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={_ROOT}",
        f"--LabApp.default_url=/lab/tree/labs_{chosen.language}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *chosen.arguments,
    )


def _labs(chosen: argparse.Namespace) -> int:
    from utils.course import figures, labs, runs

    only = {runs.found_notebook(name).stem for name in chosen.notebooks} or None
    if chosen.check:
        stale = labs.stale()
        for path in stale:
            name = path.relative_to(_ROOT)
            print(tr(pt=f"desatualizado: {name}", en=f"stale: {name}"), file=sys.stderr)
        return 1 if stale else 0
    outcomes = labs.rebuild(workers=chosen.jobs, only=only)
    figures.write()
    n_failed = sum(outcome.failure is not None for outcome in outcomes)
    n_built = len(outcomes) - n_failed
    print(
        tr(
            pt=f"Laboratórios reconstruídos: {n_built}; com falha: {n_failed}",
            en=f"Labs rebuilt: {n_built}; failed: {n_failed}",
        )
    )
    return 1 if n_failed else 0


def _serve(chosen: argparse.Namespace) -> int:
    from utils.serving.app import serve

    serve(
        model_uri=chosen.model_uri,
        store_url=chosen.store,
        deployment=chosen.deployment,
        host=chosen.host,
        port=chosen.port,
        tracking_uri=chosen.tracking_uri,
        accept_event_time=chosen.accept_event_time,
        capture=chosen.capture,
        follow=chosen.follow,
        prepare=partial(_prepare, monitoring=chosen.monitoring),
    )
    return 0


def _prepare(app, endpoint, *, monitoring: bool) -> None:
    """Let ``/metrics`` show what was measured of the models, too, and mount ``/monitoring``."""
    from utils.exporters.prometheus import ModelCollector

    app.state.routes.metrics.registry.register(ModelCollector(endpoint.store))
    if monitoring:
        from utils.dashboard.mounting import mount
        from utils.operations import runbooks
        from utils.operations.alerting import alerts
        from utils.records import utc_now

        name = endpoint.deployment.name
        mount(
            app,
            endpoint,
            alerts=lambda: alerts(endpoint.store, name, at=utc_now()),
            runbooks=runbooks.pages(),
        )


def _transform(chosen: argparse.Namespace) -> int:
    from utils.serving.batch import OUTCOMES, transform_with
    from utils.text import number

    files = transform_with(
        model_uri=chosen.model_uri,
        store_url=chosen.store,
        input_folder=chosen.input,
        output_folder=chosen.output,
        deployment=chosen.deployment,
        tracking_uri=chosen.tracking_uri,
        time_column=chosen.time_column,
        keep_columns=chosen.keep_columns,
    )
    for reason in filter(None, files["reason"]):
        print(reason, file=sys.stderr)
    written, unchanged, refused = (int(files["outcome"].eq(each).sum()) for each in OUTCOMES)
    rows = number(int(files.loc[files["outcome"] == "written", "rows"].sum()))
    print(
        tr(
            pt=f"Arquivos escritos: {written} ({rows} linhas); sem mudança: {unchanged}; "
            f"recusados: {refused}",
            en=f"Files written: {written} ({rows} rows); unchanged: {unchanged}; "
            f"refused: {refused}",
        )
    )
    return 1 if refused else 0


def _report(chosen: argparse.Namespace) -> int:
    from utils.course.reports import report
    from utils.report.inputs import Asked
    from utils.text import using

    asked = Asked(
        time_column=chosen.time_column,
        window=chosen.window,
        prediction_column=chosen.prediction_column,
        score_column=chosen.score_column,
        target_column=chosen.target_column,
        group_columns=tuple(chosen.group_columns),
        known_at_column=chosen.known_at_column,
        feature_columns=tuple(chosen.feature_columns),
        latency_column=chosen.latency_column,
        client_column=chosen.client_column,
        task=chosen.task,
        positive=chosen.positive,
        false_alarms_per_year=chosen.false_alarms_per_year,
    )
    sources = chosen.reference, chosen.current
    alerts = report(
        *sources, asked, language=chosen.language, seed=chosen.seed, out=chosen.out.resolve()
    )
    page, n = chosen.out / "report.html", len(alerts)
    with using(chosen.language):
        print(tr(pt=f"Alertas: {n}; a página: {page}", en=f"Alerts: {n}; the page: {page}"))
    return 1 if alerts else 0


def _monitoring(chosen: argparse.Namespace) -> int:
    from utils.operations.monitoring import stale, write

    if not chosen.check:
        for path in write():
            print(path.relative_to(_ROOT))
        return 0
    found = stale()
    for path in found:
        name = path.relative_to(_ROOT)
        print(tr(pt=f"desatualizado: {name}", en=f"stale: {name}"), file=sys.stderr)
    return 1 if found else 0


def _schedule(chosen: argparse.Namespace) -> int:
    from utils.operations.scheduling import run

    return run(chosen, by_notebook=partial(_by_notebook, out=getattr(chosen, "out", None)))


def _by_notebook(measuring, *, out: Path):
    """Return the monitor that runs the report's notebook, a folder a window."""
    from utils.course.reports import monitor_of

    return monitor_of(measuring, out=out.resolve())


def _bench(chosen: argparse.Namespace) -> int:
    sys.path.insert(0, str(_ROOT))
    from benchmarks.serving import main as bench

    return bench(chosen.arguments) or 0


def _python(*arguments: str) -> int:
    """Run this Python on the clone and return its exit status."""
    on_path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(on_path)}
    return subprocess.call([sys.executable, *arguments], cwd=_ROOT, env=environment)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils",
        description=tr(
            pt="Vigia: o curso de monitoramento de modelos e suas ferramentas.",
            en="Vigia: the course on monitoring models, and its toolkit.",
        ),
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_rest(
        commands,
        "test",
        _test,
        tr(
            pt="tudo o que prova que funciona; o que vier depois de -- vai para o pytest",
            en="everything that proves it works; what follows -- goes to pytest",
        ),
    )
    lab = _add_rest(
        commands,
        "lab",
        _lab,
        tr(
            pt="JupyterLab nos laboratórios; o que vier depois de -- vai para ele",
            en="JupyterLab on the labs; what follows -- goes to it",
        ),
    )
    lab.add_argument(
        "--language",
        choices=LANGUAGES,
        default="pt",
        help=tr(pt="o idioma dos laboratórios (pt)", en="the language of the labs (pt)"),
    )
    _add_labs(commands)
    _add_serve(commands)
    _add_transform(commands)
    _add_report(commands)
    _add_operations(commands)
    _add_monitoring(commands)
    _add_rest(
        commands,
        "bench",
        _bench,
        tr(pt="a comparação, lado a lado com os pares", en="the benchmark, beside the peers"),
    )
    return parser


def _add(commands, name: str, command, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _add_rest(commands, name: str, command, text: str) -> argparse.ArgumentParser:
    parser = _add(commands, name, command, text)
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT")
    return parser


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help=tr(
            pt="quantos idiomas rodam ao mesmo tempo (%(default)s)",
            en="how many languages run side by side (%(default)s)",
        ),
    )


def _add_run(commands) -> None:
    run = _add(
        commands,
        "run",
        _run,
        tr(
            pt="executa notebooks com o papermill; sem nenhum, o curso inteiro",
            en="runs notebooks through papermill; with none, the whole course",
        ),
    )
    run.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help=tr(
            pt="um caminho, um nome (06_model_simulation) ou um número (06)",
            en="a path, a name (06_model_simulation) or a number (06)",
        ),
    )
    run.add_argument(
        "--language",
        choices=(*LANGUAGES, "both"),
        default="both",
        help=tr(pt="o idioma, ou os dois (both)", en="the language, or both (both)"),
    )
    run.add_argument(
        "-p",
        "--parameter",
        dest="parameters",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "VALUE"),
        help=tr(
            pt="um parâmetro e seu valor; pode se repetir",
            en="a parameter and its value; may be repeated",
        ),
    )
    run.add_argument(
        "--out",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help=tr(pt="a pasta dos resultados (runs)", en="the folder of the results (runs)"),
    )
    _add_jobs(run)


def _add_labs(commands) -> None:
    labs = _add(
        commands,
        "labs",
        _labs,
        tr(
            pt="constrói labs_pt/ e labs_en/ a partir de notebooks/ e os executa",
            en="builds labs_pt/ and labs_en/ from notebooks/ and runs them",
        ),
    )
    labs.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help=tr(
            pt="só estes, por nome ou número; sem nenhum, todos",
            en="only these, by name or number; with none, all of them",
        ),
    )
    labs.add_argument(
        "--check",
        action="store_true",
        help=tr(
            pt="só diz quais estão desatualizados; sai com 1 se houver algum",
            en="only says which are stale; exits with 1 when there is one",
        ),
    )
    _add_jobs(labs)


def _add_model(parser: argparse.ArgumentParser) -> None:
    """Add what says which model answers, under which name, and where its answers are kept."""
    parser.add_argument(
        "--model-uri",
        required=True,
        metavar="URI",
        help=tr(pt="o modelo: models:/nome@apelido, …", en="the model: models:/name@alias, …"),
    )
    parser.add_argument(
        "--store",
        required=True,
        metavar="URL",
        help=tr(
            pt="o repositório de métricas: sqlite:///… ou postgresql://…",
            en="the metrics store: sqlite:///… or postgresql://…",
        ),
    )
    parser.add_argument(
        "--deployment",
        metavar="NAME",
        help=tr(pt="o nome da implantação (o do modelo)", en="the deployment's name (the model's)"),
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help=tr(pt="o registro do MLflow", en="MLflow's registry"),
    )


def _add_transform(commands) -> None:
    transform = _add(
        commands,
        "transform",
        _transform,
        tr(
            pt="responde a uma pasta de Parquet, com captura; sai com 1 se recusar algum arquivo",
            en="answers a folder of Parquet, with capture; exits with 1 when it refuses a file",
        ),
    )
    _add_model(transform)
    transform.add_argument(
        "--input",
        required=True,
        type=Path,
        metavar="DIR",
        help=tr(pt="a pasta dos arquivos *.parquet", en="the folder of the files *.parquet"),
    )
    transform.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help=tr(pt="a pasta das respostas", en="the folder of the answers"),
    )
    transform.add_argument(
        "--time-column",
        metavar="T",
        help=tr(
            pt="a coluna com o momento do evento (agora)",
            en="the column with the time of the event (now)",
        ),
    )
    transform.add_argument(
        "--keep-column",
        dest="keep_columns",
        action="append",
        default=[],
        metavar="K",
        help=tr(
            pt="uma coluna que vai junto com a resposta; pode se repetir",
            en="a column that goes along with the answer; may be repeated",
        ),
    )


def _add_serve(commands) -> None:
    serve = _add(
        commands,
        "serve",
        _serve,
        tr(
            pt="serve por HTTP um modelo MLflow que tem assinatura",
            en="serves an MLflow model that has a signature over HTTP",
        ),
    )
    _add_model(serve)
    serve.add_argument("--host", default="127.0.0.1", help="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000, help="8000")
    serve.add_argument(
        "--accept-event-time",
        action="store_true",
        help=tr(
            pt="aceita das requisições o momento do evento (para tráfego simulado)",
            en="takes the event time from the requests (for simulated traffic)",
        ),
    )
    serve.add_argument(
        "--follow",
        action="store_true",
        help=tr(
            pt="serve o que está implantado sob o nome, e o que vier a estar: promoções, "
            "reversões e canários valem em segundos, sem reiniciar",
            en="serves what is deployed under the name, and what comes to be: promotions, "
            "rollbacks and canaries count within seconds, without a restart",
        ),
    )
    serve.add_argument(
        "--no-capture",
        dest="capture",
        action="store_false",
        help=tr(pt="não guarda as previsões", en="does not store the predictions"),
    )
    serve.add_argument(
        "--no-monitoring",
        dest="monitoring",
        action="store_false",
        help=tr(
            pt="sem a página viva de monitoramento, /monitoring",
            en="without the live page of monitoring, /monitoring",
        ),
    )


def _add_report(commands) -> None:
    report = _add(
        commands,
        "report",
        _report,
        tr(
            pt="o relatório de monitoramento de dados quaisquer; sai com 1 se houver alertas",
            en="the monitoring report on any data; exits with 1 when there are alerts",
        ),
    )
    report.error = lambda message: report.exit(2, f"{report.prog}: {message}\n")
    source = tr(
        pt="um CSV, Parquet ou Arrow, uma pasta de Parquet, ou URL_DO_REPOSITÓRIO#implantação",
        en="a CSV, Parquet or Arrow file, a folder of Parquet, or STORE_URL#deployment",
    )
    report.add_argument("--reference", required=True, metavar="REF", help=source)
    report.add_argument("--current", required=True, metavar="CUR", help=source)
    for option, metavar, text in (
        ("time", "T", tr(pt="o momento do evento", en="the time of the event")),
        ("prediction", "P", tr(pt="a resposta do modelo", en="the model's answer")),
        ("score", "S", tr(pt="o escore da classe positiva", en="the positive class's score")),
        ("target", "Y", tr(pt="o rótulo", en="the label")),
        ("known-at", "K", tr(pt="quando o rótulo se soube", en="when the label was known")),
        ("latency", "L", tr(pt="a latência, em ms", en="the latency, in ms")),
        ("client", "C", tr(pt="quem fez a requisição", en="who sent the request")),
    ):
        of_column = tr(pt=f"a coluna com: {text}", en=f"the column with: {text}")
        report.add_argument(f"--{option}-column", metavar=metavar, help=of_column)
    for option, metavar, text in (
        ("group", "G", tr(pt="grupos a comparar", en="groups to compare")),
        ("feature", "F", tr(pt="uma variável (todas as outras)", en="a feature (all others)")),
    ):
        of_columns = tr(
            pt=f"colunas com: {text}; pode se repetir",
            en=f"columns with: {text}; may be repeated",
        )
        report.add_argument(
            f"--{option}-column",
            dest=f"{option}_columns",
            action="extend",
            nargs="+",
            default=[],
            metavar=metavar,
            help=of_columns,
        )
    report.add_argument(
        "--window",
        default="7D",
        metavar="LENGTH",
        help=tr(pt="o tamanho das janelas, como 7D ou 12h", en="of the windows: 7D, 12h, …"),
    )
    report.add_argument(
        "--task",
        choices=("classification", "regression"),
        help=tr(pt="a tarefa (a que o rótulo disser)", en="the task (what the label tells)"),
    )
    report.add_argument(
        "--positive",
        metavar="CLASS",
        help=tr(pt="a classe positiva", en="the positive class"),
    )
    report.add_argument(
        "--false-alarms-per-year",
        default="4",
        metavar="N",
        help=tr(
            pt="quantos alarmes falsos por ano são toleráveis, no painel inteiro (4)",
            en="how many false alarms a year are bearable, on the whole dashboard (4)",
        ),
    )
    report.add_argument(
        "--language",
        choices=LANGUAGES,
        default=language(),
        help=tr(pt="o idioma do relatório", en="the language of the report"),
    )
    report.add_argument("--seed", type=int, default=7, metavar="N", help="7")
    report.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help=tr(pt="a pasta do relatório", en="the folder of the report"),
    )


def _add_monitoring(commands) -> None:
    monitoring = _add(
        commands,
        "monitoring",
        _monitoring,
        tr(
            pt="escreve em monitoring/ o que Prometheus e Alertmanager leem, a partir das regras",
            en="writes what Prometheus and Alertmanager read to monitoring/, from the rules",
        ),
    )
    monitoring.add_argument(
        "--check",
        action="store_true",
        help=tr(
            pt="só diz o que está desatualizado; sai com 1 se houver algo",
            en="only says what is stale; exits with 1 when something is",
        ),
    )


def _add_operations(commands) -> None:
    from utils.operations.command_line import add, add_schedule

    add(commands)
    add_schedule(commands, _schedule)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} < 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
