"""What a person reads, in the language in force.

A text is written once, in both languages, where it is used: ``tr(pt=…, en=…)``.
There is no catalogue, so the two cannot drift apart unseen.
"""

import difflib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

LANGUAGES = ("pt", "en")


def _known(code: str, *, argument: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"{argument}={code!r}: the languages are {', '.join(LANGUAGES)}")
    return code


_in_force: str | None = None
_here: ContextVar[str | None] = ContextVar("language", default=None)
"""The language of this thread or task alone, while it stands in ``using``."""


def language() -> str:
    """Return the language in force.

    It is that of ``using``, in its own thread or task; else the one set; else
    ``VIGIA_LANGUAGE``; else that of the system's locale, where the course has it; else Portuguese.
    Raises ``ValueError`` for a ``VIGIA_LANGUAGE`` that is none of ours.

    >>> with using("en"):
    ...     language()
    'en'
    """
    if (own := _here.get() or _in_force) is not None:
        return own
    if named := os.environ.get("VIGIA_LANGUAGE"):
        return _known(named, argument="VIGIA_LANGUAGE")
    locales = (os.environ.get(name, "")[:2] for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next((code for code in locales if code in LANGUAGES), LANGUAGES[0])


def set_language(code: str) -> None:
    """Put a language in force for this process.

    Raises ``ValueError`` when ``code`` is none of ``LANGUAGES``.
    """
    global _in_force
    _in_force = _known(code, argument="language")
    _here.set(None)


@contextmanager
def using(code: str) -> Iterator[None]:
    """Put a language in force for a while, in this thread or task alone; then the one before it.

    >>> with using("pt"):
    ...     tr(pt="limiar", en="threshold")
    'limiar'
    """
    token = _here.set(_known(code, argument="language"))
    try:
        yield
    finally:
        _here.reset(token)


def tr(*, pt: str, en: str) -> str:
    """Return the text in the language in force.

    Both languages are required: a missing one is a ``TypeError`` (not given) or a
    ``ValueError`` (empty), in either language, so it is found by whoever runs the line.

    >>> with using("en"):
    ...     tr(pt="janela", en="window")
    'window'
    """
    texts = {"pt": pt, "en": en}
    for code, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{code}={text!r}: a text is needed in each language")
    return texts[language()]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a refusal: the known name that was probably meant, else all of them.

    >>> nearest("mea", ["mae", "bias"]), nearest("x", ["mae", "bias"])
    ("did you mean 'mae'?", 'known: mae, bias')
    """
    names = [str(each) for each in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def number(value: float, *, digits: int = 6) -> str:
    """Return a number as it is written in the language in force.

    >>> with using("pt"):
    ...     number(-1234.5)
    '−1.234,5'
    """
    text = f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return tr(pt=text.translate(str.maketrans(",.-", ".,−")), en=text.replace("-", "−"))


def percent(share: float) -> str:
    """Return a share of 1 as a percentage.

    >>> with using("pt"):
    ...     percent(0.125)
    '12,5%'
    """
    return f"{number(100 * share, digits=4)}%"


def date(moment: datetime, *, time: bool = False) -> str:
    """Return a moment in UTC as a date, with its time where asked for.

    >>> with using("en"):
    ...     date(datetime(2013, 7, 31, 12, 30), time=True)
    '31 Jul 2013, 12:30 UTC'
    """
    day = f"{moment.day} {months()[moment.month - 1]} {moment.year}"
    return f"{day}, {moment:%H:%M} UTC" if time else day


def metric_name(metric: str) -> str:
    """Return the name of a metric in the language in force; an unknown one as it is.

    >>> with using("en"):
    ...     metric_name("mae"), metric_name("mae_change")
    ('mean absolute error', 'change in mean absolute error')
    """
    if metric.endswith("_change"):
        name = metric_name(metric.removesuffix("_change"))
        return tr(pt=f"mudança em: {name}", en=f"change in {name}")
    if metric.startswith("cost_per_thousand_"):
        currency = metric.removeprefix("cost_per_thousand_").upper()
        return tr(
            pt=f"custo de mil previsões, {currency}",
            en=f"cost of a thousand predictions, {currency}",
        )
    names = {
        "mae": tr(pt="erro absoluto médio", en="mean absolute error"),
        "rmse": tr(pt="raiz do erro quadrático médio", en="root mean squared error"),
        "bias": tr(pt="viés, previsto − observado", en="bias, predicted − observed"),
        "r2": tr(pt="R²", en="R²"),
        "median_absolute_error": tr(pt="erro absoluto mediano", en="median absolute error"),
        "within": tr(pt="parcela dentro da tolerância", en="share within tolerance"),
        "accuracy": tr(pt="acurácia", en="accuracy"),
        "precision": tr(pt="precisão", en="precision"),
        "recall": tr(pt="revocação", en="recall"),
        "specificity": tr(pt="especificidade", en="specificity"),
        "f1": tr(pt="F1", en="F1"),
        "macro_f1": tr(pt="F1 médio das classes", en="F1, mean of the classes"),
        "balanced_accuracy": tr(pt="acurácia balanceada", en="balanced accuracy"),
        "positive_rate": tr(pt="previsões positivas", en="positive predictions"),
        "base_rate": tr(pt="rótulos positivos", en="positive labels"),
        "roc_auc": tr(pt="área sob a curva ROC", en="area under the ROC curve"),
        "average_precision": tr(pt="precisão média", en="average precision"),
        "log_loss": tr(pt="perda logarítmica", en="log loss"),
        "brier": tr(pt="escore de Brier", en="Brier score"),
        "calibration_bias": tr(
            pt="viés de calibração, escore − rótulo", en="calibration bias, score − label"
        ),
        "calibration_intercept": tr(pt="intercepto da calibração", en="calibration intercept"),
        "calibration_slope": tr(pt="inclinação da calibração", en="calibration slope"),
        "calibration_error": tr(pt="erro de calibração", en="calibration error"),
        "expected_calibration_error": tr(
            pt="erro de calibração esperado (ECE)", en="expected calibration error (ECE)"
        ),
        "labelled_share": tr(pt="rótulos conhecidos", en="labels known"),
        "psi": tr(
            pt="índice de estabilidade populacional (PSI)", en="population stability index (PSI)"
        ),
        "jensen_shannon": tr(pt="distância de Jensen–Shannon", en="Jensen–Shannon distance"),
        "hellinger": tr(pt="distância de Hellinger", en="Hellinger distance"),
        "normalized_wasserstein": tr(
            pt="distância de Wasserstein, em desvios-padrão",
            en="Wasserstein distance, in standard deviations",
        ),
        "kolmogorov_smirnov": tr(
            pt="estatística de Kolmogorov–Smirnov", en="Kolmogorov–Smirnov statistic"
        ),
        "ks_p_value": tr(pt="valor-p de Kolmogorov–Smirnov", en="Kolmogorov–Smirnov p-value"),
        "chi_squared": tr(pt="estatística qui-quadrado", en="chi-squared statistic"),
        "chi_squared_p_value": tr(pt="valor-p do qui-quadrado", en="chi-squared p-value"),
        "l_infinity": tr(pt="distância L-infinito", en="L-infinity distance"),
        "l_infinity_robust": tr(pt="distância L-infinito robusta", en="robust L-infinity distance"),
        "chebyshev": tr(pt="distância de Chebyshev", en="Chebyshev distance"),
        "loss": tr(pt="perda média", en="mean loss"),
        "loss_change_by_inputs": tr(
            pt="mudança na perda média pelas entradas", en="change in mean loss by the inputs"
        ),
        "loss_change_by_concept": tr(
            pt="mudança na perda média pelo conceito", en="change in mean loss by the concept"
        ),
        "domain_auc": tr(pt="AUC do classificador de domínio", en="domain classifier's AUC"),
        "domain_auc_drop": tr(
            pt="queda da AUC do classificador de domínio", en="drop of the domain classifier's AUC"
        ),
        "count": tr(pt="linhas", en="rows"),
        "selection_rate": tr(pt="taxa de seleção", en="selection rate"),
        "false_positive_rate": tr(pt="taxa de falsos positivos", en="false positive rate"),
        "selection_rate_difference": tr(
            pt="diferença na taxa de seleção", en="difference in selection rate"
        ),
        "recall_difference": tr(pt="diferença na revocação", en="difference in recall"),
        "false_positive_rate_difference": tr(
            pt="diferença na taxa de falsos positivos", en="difference in false positive rate"
        ),
        "demographic_parity_difference": tr(
            pt="diferença de paridade demográfica", en="demographic parity difference"
        ),
        "demographic_parity_ratio": tr(
            pt="razão de paridade demográfica", en="demographic parity ratio"
        ),
        "equal_opportunity_difference": tr(
            pt="diferença de igualdade de oportunidade", en="equal opportunity difference"
        ),
        "equalized_odds_difference": tr(
            pt="diferença de chances equalizadas", en="equalized odds difference"
        ),
        "importance": tr(pt="importância, |SHAP| médio", en="importance, mean |SHAP|"),
        "importance_share": tr(pt="parcela da importância", en="share of the importance"),
        "ndcg": tr(pt="ordem das importâncias (NDCG)", en="ranking of the importances (NDCG)"),
        "latency_p50_ms": tr(pt="latência mediana, ms", en="median latency, ms"),
        "latency_p90_ms": tr(pt="latência, percentil 90, ms", en="latency, 90th percentile, ms"),
        "latency_p95_ms": tr(pt="latência, percentil 95, ms", en="latency, 95th percentile, ms"),
        "latency_p99_ms": tr(pt="latência, percentil 99, ms", en="latency, 99th percentile, ms"),
        "error_rate": tr(pt="taxa de erros", en="error rate"),
        "refused_rate": tr(pt="requisições recusadas", en="requests refused"),
        "requests_per_second": tr(pt="requisições por segundo", en="requests per second"),
        "peak_requests_per_minute": tr(
            pt="requisições no minuto de pico", en="requests in the busiest minute"
        ),
        "longest_silence_s": tr(pt="maior silêncio, s", en="longest silence, s"),
        "mean_use": tr(pt="uso médio", en="mean use"),
        "p95_use": tr(pt="uso, percentil 95", en="use, 95th percentile"),
        "trend_per_day": tr(pt="tendência por dia", en="trend per day"),
        "days_until_full": tr(pt="dias até encher", en="days until full"),
        "last_use": tr(pt="último uso medido", en="last use measured"),
        "replayed_share": tr(pt="requisições repetidas", en="requests replayed"),
        "probing_share": tr(
            pt="requisições que variam uma só entrada", en="requests that vary one input alone"
        ),
        "even_spread_share": tr(
            pt="entradas espalhadas por igual", en="inputs that are evenly spread"
        ),
        "grid_share": tr(pt="entradas de uma grade", en="inputs from a grid"),
        "boundary_share": tr(pt="escores perto da decisão", en="scores near the decision"),
        "out_of_range_share": tr(
            pt="requisições fora do que se conhece", en="requests beyond what is known"
        ),
        "unknown_client_share": tr(
            pt="requisições de clientes desconhecidos", en="requests of unknown clients"
        ),
        "client_share": tr(pt="parcela do cliente", en="the client's share"),
        "top_client_share": tr(pt="parcela do maior cliente", en="the top client's share"),
        "same_minute_requests": tr(
            pt="outras do mesmo cliente no minuto", en="others of the client in the minute"
        ),
        "null_value_rate": tr(pt="valores ausentes", en="values missing"),
        "completeness": tr(pt="completude", en="completeness"),
        "data_type_error_rate": tr(pt="valores de outro tipo", en="values of another type"),
        "out_of_bounds_rate": tr(pt="valores fora dos limites", en="values out of bounds"),
        "unseen_rate": tr(pt="valores nunca vistos", en="values unseen before"),
        "repeated_share": tr(
            pt="valores iguais ao anterior", en="values that repeat the one before"
        ),
        "stuck_share": tr(
            pt="maior sequência de um só valor", en="longest run of one and the same value"
        ),
        "duplicate_share": tr(pt="linhas duplicadas", en="rows duplicated"),
        "volume": tr(
            pt="volume, múltiplo do da referência", en="volume, as a multiple of the reference's"
        ),
        "new_columns": tr(pt="colunas novas", en="columns new"),
        "missing_columns": tr(pt="colunas que sumiram", en="columns gone"),
        "staleness_hours": tr(pt="idade da linha mais nova, h", en="age of the newest row, h"),
        "longest_gap_hours": tr(pt="maior intervalo sem linhas, h", en="longest gap in rows, h"),
    }
    return names.get(metric, metric.replace("_", " "))


def months() -> list[str]:
    """Return the short names of the months, January first."""
    return tr(
        pt="jan fev mar abr mai jun jul ago set out nov dez",
        en="Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    ).split()
