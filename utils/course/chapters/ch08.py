"""Chapter 08: whether the inputs are still what the model was promised."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from utils.course import inputs
from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both
from utils.datasets import credit
from utils.monitors.constraints import (
    Constraints,
    constraint_violations,
    suggested_constraints,
)

_SIZES = [(100, 17_000, 0.1), (700, 17_000, 0.1), (5_000, 4_000, 0.2)]


def _least(n: int, m: int, threshold: float) -> float:
    return threshold + 1.8 * np.sqrt((n + m) / (n * m))


def _whole(red: pd.DataFrame) -> float:
    return float((red["income_brl"].dropna() % 1 == 0).mean())


def _sample_of_red() -> dict[str, pd.DataFrame]:
    return {"red": pd.DataFrame({"income_brl": [1500.0, 1500.37, 2210.0, np.nan, 980.0, 1204.5]})}


def _applied() -> pd.DataFrame:
    applied = credit.applications(start="2023-03-06", n_days=3, per_day=60, seed=1)
    return applied[list(credit.FEATURES)]


def _sample_of_suggested() -> dict[str, Any]:
    return {"replace": replace, "suggested": suggested_constraints(_applied())}


def _what_is_found(constraints: Constraints) -> dict[str, list[str]]:
    """Return the columns that constraints find wrong in a few tables, by what is wrong there."""
    rows = _applied()
    tables = {
        "cents": rows.assign(income_brl=rows["income_brl"] + 0.37),
        "text": rows.assign(income_brl="2000"),
        "negative": rows.assign(income_brl=-rows["income_brl"]),
        "missing": rows.assign(income_brl=rows["income_brl"].mask(rows.index < 9)),
        "half a term": rows.assign(term_months=rows["term_months"] + 0.5),
        "purpose": rows.assign(purpose="travel"),
    }
    return {
        name: sorted(each.feature_name for each in constraint_violations(table, constraints))
        for name, table in tables.items()
    }


def _with_income(suggested: Constraints, **changes: Any) -> Constraints:
    features = [
        replace(each, **changes) if each.name == "income_brl" else each
        for each in suggested.features
    ]
    return replace(suggested, features=tuple(features))


def _bears_all_types(suggested: Constraints) -> Constraints:
    config = replace(suggested.monitoring_config, datatype_check_threshold=0.0)
    return replace(suggested, monitoring_config=config)


_CHANNELS = ["app", "app", "app", "branch", "branch", "branch"]


def _by_channel(ratio: Callable[[pd.DataFrame, pd.DataFrame], Any]) -> list[Any]:
    """Return what a function says of two pairs of tables, one with an outlier and a gap."""
    usual = pd.DataFrame(
        {"channel": _CHANNELS, "income_brl": [1000.0, 2000.0, 9000.0, 3000.0, 4000.0, 4500.0]}
    )
    now = pd.DataFrame(
        {
            "channel": _CHANNELS[::-1],
            "income_brl": [3000.0, 4000.0, 90_000.0, 500.0, 1000.0, np.nan],
        }
    )
    return [ratio(now, usual), ratio(usual, now)]


def _medians(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby("channel")["income_brl"].median()


def _means(rows: pd.DataFrame) -> pd.Series:
    return rows.groupby("channel")["income_brl"].mean()


CHAPTER = Chapter(
    number="08",
    exercises=[
        Exercise(
            name="least",
            right=lambda: _least,
            probe=lambda least: [float(least(*size)) for size in _SIZES],
            sample=lambda: {"np": np},
            mistakes=[
                Mistake(
                    name="chance_alone",
                    example=lambda: lambda n, m, threshold: _least(n, m, 0.0),
                    says=both(
                        pt="isso é só o desconto do acaso. Uma distância desse tamanho, depois do "
                        "desconto, é zero, e zero não passa do limiar.",
                        en="that is the discount for chance alone. A distance of that size is zero "
                        "after the discount, and zero does not exceed the threshold.",
                    ),
                ),
                Mistake(
                    name="taken_off",
                    example=lambda: (
                        lambda n, m, threshold: threshold - 1.8 * np.sqrt((n + m) / (n * m))
                    ),
                    says=both(
                        pt="você tirou o desconto do limiar. O monitor o tira da *distância*: quem "
                        "quer passar do limiar depois disso precisa começar mais alto.",
                        en="you took the discount off the threshold. The monitor takes it off the "
                        "*distance*: what is to exceed the threshold after that has to start "
                        "higher.",
                    ),
                ),
                Mistake(
                    name="one_sample",
                    example=lambda: lambda n, m, threshold: threshold + 1.8 / np.sqrt(n),
                    says=both(
                        pt="você contou o acaso da janela, e não o da referência, que também é "
                        "uma amostra.",
                        en="you counted the chance of the window, and not that of the reference, "
                        "which is a sample too.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="O monitor compara com o limiar *o que sobra* da distância. Escreva essa "
                    "desigualdade.",
                    en="The monitor compares with the threshold *what is left* of the distance. "
                    "Write that inequality down.",
                ),
                both(
                    pt="Passe o desconto para o outro lado: são duas parcelas.",
                    en="Take the discount to the other side: there are two terms.",
                ),
            ],
        ),
        Exercise(
            name="whole",
            right=_whole,
            sample=_sample_of_red,
            mistakes=[
                Mistake(
                    name="the_others",
                    example=lambda red: 1 - _whole(red),
                    says=both(
                        pt="essa é a parcela que *não* é inteira.",
                        en="that is the share that is *not* whole.",
                    ),
                ),
                Mistake(
                    name="by_type",
                    example=lambda red: float(red["income_brl"].map(type).eq(int).mean()),
                    says=both(
                        pt="você olhou o tipo em que o valor está guardado. Uma coluna `float64` "
                        "guarda 1500.0, e 1500.0 é inteiro.",
                        en="you looked at the type that holds the value. A `float64` column holds "
                        "1500.0, and 1500.0 is whole.",
                    ),
                    when=lambda outcome, right: outcome == 0,
                ),
                Mistake(
                    name="percent",
                    example=lambda red: 100 * _whole(red),
                    says=both(
                        pt="isso é uma porcentagem; a resposta vai de 0 a 1.",
                        en="that is a percentage; the answer goes from 0 to 1.",
                    ),
                    when=lambda outcome, right: outcome > 1,
                ),
            ],
            hints=[
                both(
                    pt="O que sobra de um inteiro quando se divide por um?",
                    en="What is left of a whole number when it is divided by one?",
                ),
                both(
                    pt="Tire os que faltam, teste o resto da divisão por 1, e faça a média.",
                    en="Drop what is missing, test the remainder of a division by 1, and take the "
                    "mean.",
                ),
            ],
        ),
        Exercise(
            name="repair",
            right=inputs.repaired,
            probe=_what_is_found,
            sample=_sample_of_suggested,
            mistakes=[
                Mistake(
                    name="switched_off",
                    example=lambda suggested: _with_income(
                        suggested, overrides={"evaluate_constraints": "Disabled"}
                    ),
                    says=both(
                        pt="a renda deixou de ser conferida: agora também passam o texto, a renda "
                        "negativa e a que falta.",
                        en="the income is no longer checked: text, negative incomes and missing "
                        "ones now pass as well.",
                    ),
                ),
                Mistake(
                    name="any_type",
                    example=_bears_all_types,
                    says=both(
                        pt="com esse limiar nenhum tipo é conferido em coluna *nenhuma*: passa "
                        "texto no lugar da renda, e um prazo de um mês e meio.",
                        en="with that threshold no type is checked in *any* column: text passes in "
                        "place of the income, and a term of a month and a half.",
                    ),
                ),
                Mistake(
                    name="unknown",
                    example=lambda suggested: _with_income(suggested, inferred_type="Unknown"),
                    says=both(
                        pt="um tipo desconhecido aceita qualquer coisa, e texto também. Que tipo "
                        "tem um número com centavos?",
                        en="an unknown type takes anything, and text too. Which type has a number "
                        "with cents?",
                    ),
                ),
                Mistake(
                    name="dropped",
                    example=lambda suggested: replace(
                        suggested,
                        features=tuple(f for f in suggested.features if f.name != "income_brl"),
                    ),
                    says=both(
                        pt="sem restrição, a renda virou uma coluna a mais, e é violação em toda "
                        "janela.",
                        en="without a constraint the income is an extra column, and a violation in "
                        "every window.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Só uma coisa está errada: o que a máquina concluiu de uma coluna.",
                    en="Only one thing is wrong: what the machine concluded about one column.",
                ),
                both(
                    pt="Troque o `inferred_type` da renda, e ponha a restrição nova no lugar da "
                    "velha em `features`.",
                    en="Change the `inferred_type` of the income, and put the new constraint in "
                    "place of the old one in `features`.",
                ),
            ],
        ),
        Exercise(
            name="channels",
            right=lambda: lambda rows, usual: inputs.income_by_channel(rows, usual).to_dict(),
            probe=_by_channel,
            mistakes=[
                Mistake(
                    name="mean",
                    example=lambda: lambda rows, usual: (_means(rows) / _means(usual)).to_dict(),
                    says=both(
                        pt="isso são médias: uma só renda enorme muda a do canal inteiro. Peça o "
                        "valor do meio.",
                        en="those are means: a single huge income changes that of the whole "
                        "channel. Ask for the value in the middle.",
                    ),
                ),
                Mistake(
                    name="upside_down",
                    example=lambda: (
                        lambda rows, usual: (_medians(usual) / _medians(rows)).to_dict()
                    ),
                    says=both(
                        pt="a razão está invertida: metade da renda tem de dar 0,5, e não 2.",
                        en="the ratio is upside down: half the income has to give 0.5, and not 2.",
                    ),
                ),
                Mistake(
                    name="pooled",
                    example=lambda: (
                        lambda rows, usual: (
                            _medians(rows) / usual["income_brl"].median()
                        ).to_dict()
                    ),
                    says=both(
                        pt="você comparou cada canal com todos juntos. Quem sempre teve clientes "
                        "mais pobres alarmaria sempre: compare cada canal com ele mesmo.",
                        en="you compared each channel with all of them together. One that always "
                        "had poorer customers would always alarm: compare each with itself.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Duas tabelas pequenas, uma por quadro, com uma linha por canal.",
                    en="Two small tables, one for each frame, with a row for each channel.",
                ),
                both(
                    pt="`groupby`, `median`, uma divisão, `to_dict`.",
                    en="`groupby`, `median`, one division, `to_dict`.",
                ),
            ],
        ),
    ],
    quiz=[
        Question(
            name="constraint",
            asks=both(
                pt="A referência não tem nenhum valor ausente, e a máquina sugere completude 1,0. "
                "O que isso diz?",
                en="The reference has no missing value, and the machine suggests a completeness of "
                "1.0. What does that say?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Que o modelo não funciona com valores ausentes.",
                        en="That the model does not work with missing values.",
                    ),
                    why=both(
                        pt="A máquina não conhece o modelo; só viu uma tabela.",
                        en="The machine does not know the model; it has only seen a table.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Que na referência não faltou nada. Se pode faltar, uma pessoa decide.",
                        en="That nothing was missing in the reference. Whether it may be, a person "
                        "decides.",
                    ),
                    why=both(
                        pt="Uma sugestão descreve o passado; uma exigência é um acordo.",
                        en="A suggestion describes the past; a demand is an agreement.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Que faltar um valor em dez mil é grave.",
                        en="That one missing value in ten thousand is grave.",
                    ),
                    why=both(
                        pt="É uma violação. Se é grave, o arquivo não tem como saber.",
                        en="It is a violation. Whether it is grave the file has no way to know.",
                    ),
                ),
            ],
        ),
        Question(
            name="full",
            asks=both(
                pt="O disco passou de 75 % às 10h e foi esvaziado às 18h. Na semana seguinte "
                "chegam os rótulos daquele dia. O que acontece?",
                en="The disk went above 75 % at 10:00 and was emptied at 18:00. A week later the "
                "labels of that day come in. What happens?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Nada: as previsões ficaram na memória e foram gravadas às 18h.",
                        en="Nothing: the predictions waited in memory and were stored at 18:00.",
                    ),
                    why=both(
                        pt="Guardar o dia na memória só mudaria o que se enche. Elas se foram.",
                        en="To keep the day in memory would only change what fills up. They are "
                        "gone.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Os clientes das 10h às 18h ficaram sem resposta, e não têm rótulo.",
                        en="The customers of 10:00 to 18:00 got no answer, and have no label.",
                    ),
                    why=both(
                        pt="Todos foram respondidos: é para isso que a captura para.",
                        en="All were answered: that is what capture stops for.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Os rótulos das 10h às 18h são recusados: ninguém conhece a previsão.",
                        en="The labels of 10:00 to 18:00 are refused: nobody knows the prediction.",
                    ),
                    why=both(
                        pt="E o desempenho daquele dia será medido só no resto dele.",
                        en="And the performance of that day will be measured on the rest of it.",
                    ),
                    right=True,
                ),
            ],
        ),
        Question(
            name="always",
            asks=both(
                pt="Uma regra detectou todos os incidentes danosos do ano. O que mais você "
                "pergunta?",
                en="A rule detected every harmful incident of the year. What else do you ask?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Em quantas janelas quietas ela alarmou.",
                        en="In how many quiet windows it alarmed.",
                    ),
                    why=both(
                        pt="*Sempre alarmar* também detecta todos.",
                        en="*Always alarm* detects them all as well.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Nada: detectar tudo é o que se queria.",
                        en="Nothing: to detect everything is what was wanted.",
                    ),
                    why=both(
                        pt="Um alarme que soa toda semana deixa de ser atendido.",
                        en="An alarm that rings every week is no longer answered.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Quantas verificações ela faz.", en="How many checks it consists of."
                    ),
                    why=both(
                        pt="O que importa é o que elas disseram em janelas que se conhecem.",
                        en="What matters is what they said in windows that are known.",
                    ),
                ),
            ],
        ),
        Question(
            name="middle",
            asks=both(
                pt="O modelo é um pipeline: preenche o que falta, codifica, calcula. O "
                "preenchimento passou a pôr zero onde punha a mediana. Onde isso aparece?",
                en="The model is a pipeline: it fills in what is missing, encodes, computes. The "
                "filling began to put zero where it used to put the median. Where does that show?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Na qualidade das entradas capturadas.",
                        en="In the quality of the captured inputs.",
                    ),
                    why=both(
                        pt="O que é capturado é o que entra no primeiro passo, e isso não mudou.",
                        en="What is captured is what goes into the first step, and that is as it "
                        "was.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Quando muito, na distribuição das respostas.",
                        en="If anywhere, in the distribution of the answers.",
                    ),
                    why=both(
                        pt="Do pipeline só se veem as pontas. Para ver o meio, guarde-o você.",
                        en="Of a pipeline only the ends are seen. To see the middle, keep it "
                        "yourself.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Na captura do segundo passo.", en="In the capture of the second step."
                    ),
                    why=both(
                        pt="Não há captura entre os passos.",
                        en="There is no capture between the steps.",
                    ),
                ),
            ],
        ),
    ],
)
