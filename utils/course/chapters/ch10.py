"""Chapter 10: is it fair, and for the same reasons as before?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# ------------------------------------------------------------------------------ the greatest gap


def _decisions() -> pd.DataFrame:
    """Return decisions of four groups: one of exactly 30 rows, and one that says nothing.

    The lowest rate of the large ones comes first and the highest second, so that no order of the
    groups gives their greatest gap.
    """
    rows = {"a": (30, 12), "b": (60, 45), "c": (50, 25), "d": (4, 0)}
    return pd.concat(
        pd.DataFrame({"group": name, "prediction": [1] * yes + [0] * (n - yes)})
        for name, (n, yes) in rows.items()
    ).reset_index(drop=True)


def _gaps(gap: Callable) -> list[float]:
    frame = _decisions()
    return [float(gap(frame, "group", minimum)) for minimum in (30, 1)]


def _gap(frame: pd.DataFrame, column: str, minimum: int) -> float:
    rates = frame.groupby(column)["prediction"].agg(["mean", "size"])
    rates = rates.loc[rates["size"] >= minimum, "mean"]
    return float(rates.max() - rates.min())


def _first_less_last(frame: pd.DataFrame, column: str, minimum: int) -> float:
    rates = frame.groupby(column)["prediction"].agg(["mean", "size"])
    rates = rates.loc[rates["size"] >= minimum, "mean"]
    return float(rates.iloc[0] - rates.iloc[-1])


GAP = Exercise(
    name="gap",
    sample=lambda: {"np": np, "pd": pd},
    probe=_gaps,
    right=lambda: _gap,
    mistakes=[
        Mistake(
            name="all_groups",
            example=lambda: lambda frame, column, minimum: _gap(frame, column, 1),
            says=both(
                pt="um grupo de quatro pessoas entrou na conta. Com tão poucas, a taxa é quase "
                "sorteio, e a maior diferença é sempre a dos menores grupos.",
                en="a group of four people came into it. With so few the rate is next to a draw, "
                "and the greatest difference is always that of the smallest groups.",
            ),
        ),
        Mistake(
            name="from_overall",
            example=lambda: (
                lambda frame, column, minimum: (
                    (frame.groupby(column)["prediction"].mean() - frame["prediction"].mean())
                    .abs()
                    .max()
                )
            ),
            says=both(
                pt="você mediu a distância até a média de todos. A maior diferença é entre dois "
                "grupos quaisquer.",
                en="you measured the distance from everybody's mean. The greatest difference is "
                "between any two groups.",
            ),
        ),
        Mistake(
            name="by_order",
            example=lambda: _first_less_last,
            when=lambda outcome, _: min(outcome) < 0,
            says=both(
                pt="a sua diferença tem sinal, ou depende da ordem dos grupos. A maior menos a "
                "menor taxa nunca é negativa.",
                en="your difference has a sign, or depends on the order of the groups. The "
                "greatest rate less the least one is never negative.",
            ),
        ),
        Mistake(
            name="more_than_minimum",
            example=lambda: lambda frame, column, minimum: _gap(frame, column, minimum + 1),
            says=both(
                pt="um grupo de exatamente `minimum` linhas ficou de fora. *Pelo menos* o inclui.",
                en="a group of exactly `minimum` rows was left out. *At least* includes it.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Agrupe pela coluna e tire, de `prediction`, a média e o tamanho de cada grupo.",
            en="Group by the column and take, of `prediction`, the mean and the size of each "
            "group.",
        ),
        both(
            pt="Fique com os grupos de pelo menos `minimum` linhas; devolva a maior média menos a "
            "menor.",
            en="Keep the groups of at least `minimum` rows; return the greatest mean less the "
            "least.",
        ),
    ],
)

# --------------------------------------------------------------------- what cannot hold together

_FORCED = ((0.5, 0.8, 0.8), (0.7, 0.8, 0.8), (0.7, 0.9, 0.6))


def _forced(function: Callable) -> list[float]:
    return [float(function(base, precision, recall)) for base, precision, recall in _FORCED]


FORCED = Exercise(
    name="forced",
    probe=_forced,
    right=lambda: (
        lambda base, precision, recall: base / (1 - base) * (1 - precision) / precision * recall
    ),
    mistakes=[
        Mistake(
            name="no_base",
            example=lambda: lambda base, precision, recall: (1 - precision) / precision * recall,
            says=both(
                pt="falta a taxa de base: é ela que difere entre os grupos, e é por ela que as "
                "medidas não podem ser iguais todas ao mesmo tempo.",
                en="the base rate is missing: it is what differs between groups, and the reason "
                "why the measures cannot all be equal at once.",
            ),
        ),
        Mistake(
            name="false_discovery",
            example=lambda: lambda base, precision, recall: 1 - precision,
            says=both(
                pt="essa é a parcela de caloteiros *entre os aprovados*. A taxa de falsos "
                "positivos é a parcela de aprovados entre os caloteiros.",
                en="that is the share of defaulters *among the granted*. The false positive rate "
                "is the share of the granted among the defaulters.",
            ),
        ),
        Mistake(
            name="of_everybody",
            example=lambda: (
                lambda base, precision, recall: base * (1 - precision) / precision * recall
            ),
            says=both(
                pt="você dividiu os caloteiros aprovados por todas as pessoas. Divida só pelos "
                "que não pagam.",
                en="you divided the granted defaulters by everybody. Divide by those who do not "
                "repay alone.",
            ),
        ),
        Mistake(
            name="refused_payers",
            example=lambda: lambda base, precision, recall: 1 - recall,
            says=both(
                pt="essa é a parcela *recusada* entre os que *pagam*. O que se pede é a parcela "
                "aprovada entre os que não pagam.",
                en="that is the share *refused* of those who *repay*. What is asked for is the "
                "share granted of those who do not.",
            ),
        ),
        Mistake(
            name="upside_down",
            example=lambda: (
                lambda base, precision, recall: (
                    (1 - base) / base * (1 - precision) / precision * recall
                )
            ),
            says=both(
                pt="a razão das taxas de base está invertida: quanto mais gente paga, menos "
                "caloteiros há para dividir os mesmos erros.",
                en="the ratio of the base rates is upside down: the more people repay, the fewer "
                "defaulters there are to share the same errors.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Imagine 1000 pessoas. Quantas pagam? Quantas dessas são aprovadas? Quantos "
            "aprovados isso dá ao todo, se a precisão é a dada?",
            en="Imagine 1000 people. How many repay? How many of these are granted? How many "
            "granted does that make in all, if the precision is the one given?",
        ),
        both(
            pt="Aprovados que pagam: base · recall. Aprovados que não pagam: isso vezes "
            "(1 − precisão)/precisão. Divida pelos que não pagam: 1 − base.",
            en="Granted who repay: base · recall. Granted who do not: that times "
            "(1 − precision)/precision. Divide by those who do not repay: 1 − base.",
        ),
    ],
)

# ------------------------------------------------------------------------------------ the lottery


def _drawn() -> pd.DataFrame:
    """Return decisions with a lottery of one in ten of the refused."""
    return pd.DataFrame(
        {
            "prediction": [1] * 80 + [0] * 40,
            "weight": [1.0] * 80 + [10.0] * 4 + [0.0] * 36,
            "label": pd.array([1] * 70 + [0] * 10 + [1] * 3 + [0] + [pd.NA] * 36, dtype="Int64"),
        }
    )


def _recall(rows: pd.DataFrame) -> float:
    payers = rows["label"].eq(1).fillna(False).astype(float) * rows["weight"]
    return float((payers * rows["prediction"]).sum() / payers.sum())


LOTTERY = Exercise(
    name="lottery",
    sample=lambda: {"np": np, "pd": pd},
    probe=lambda function: [float(function(_drawn()))],
    right=lambda: _recall,
    mistakes=[
        Mistake(
            name="unweighted",
            example=lambda: lambda rows: float(rows.loc[rows["label"].eq(1), "prediction"].mean()),
            says=both(
                pt="você contou cada sorteado como uma pessoa. Ele está no lugar de todos os "
                "recusados que o sorteio não escolheu: conte-o com o seu peso.",
                en="you counted each drawn person as one. They stand for all the refused whom the "
                "lottery did not choose: count them with their weight.",
            ),
        ),
        Mistake(
            name="granted_only",
            example=lambda: lambda rows: 1.0,
            says=both(
                pt="entre os aprovados, todo pagante foi aprovado: dá 1 por construção. Os "
                "pagantes que faltam estão entre os sorteados.",
                en="among the granted every payer was granted: that is 1 by construction. The "
                "payers who are missing are among those drawn.",
            ),
        ),
        Mistake(
            name="all_people",
            example=lambda: (
                lambda rows: float(
                    (rows["weight"] * rows["prediction"]).sum() / rows["weight"].sum()
                )
            ),
            says=both(
                pt="essa é a parcela de aprovados entre todos. O recall é só entre os que pagam.",
                en="that is the share of the granted among all. Recall is among those who repay "
                "alone.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Fique com as linhas de rótulo 1. Cada uma vale `weight` pessoas.",
            en="Keep the rows with label 1. Each is worth `weight` people.",
        ),
        both(
            pt="Divida o peso dos que foram aprovados pelo escore (`prediction` 1) pelo peso de "
            "todos eles.",
            en="Divide the weight of those whom the score granted (`prediction` 1) by the weight "
            "of all of them.",
        ),
    ],
)

# ------------------------------------------------------------------------------------ the ranking

_RANKINGS = (([0.1, 0.2, 0.7], [0.7, 0.5, 0.05]), ([3.0, 2.0, 1.0], [0.5, 0.3, 0.2]))


def _rankings(function: Callable) -> list[float]:
    return [float(function(np.array(live), np.array(then))) for live, then in _RANKINGS]


def _ndcg(live: np.ndarray, reference: np.ndarray, *, base: float = 2.0) -> float:
    discount = np.log(base) / np.log(np.arange(len(live)) + 2)
    order = np.argsort(-np.asarray(live))
    ideal = np.sort(reference)[::-1]
    return float((np.asarray(reference)[order] * discount).sum() / (ideal * discount).sum())


def _from_zero(live: np.ndarray, reference: np.ndarray) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        discount = 1 / np.log2(np.arange(len(live)) + 1)
        order = np.argsort(-np.asarray(live))
        ideal = np.sort(reference)[::-1]
        return float((np.asarray(reference)[order] * discount).sum() / (ideal * discount).sum())


def _own_values(live: np.ndarray, reference: np.ndarray) -> float:
    discount = 1 / np.log2(np.arange(len(live)) + 2)
    best = [float((np.sort(each)[::-1] * discount).sum()) for each in (live, reference)]
    return best[0] / best[1]


NDCG = Exercise(
    name="ndcg",
    sample=lambda: {"np": np},
    probe=_rankings,
    right=lambda: _ndcg,
    mistakes=[
        Mistake(
            name="live_gains",
            example=lambda: lambda live, reference: _ndcg(reference, live),
            says=both(
                pt="você somou as importâncias de hoje na ordem da referência. É ao contrário: a "
                "ordem é a de hoje, e o que se soma são as importâncias da referência.",
                en="you added up today's importances in the reference's order. It is the other "
                "way round: the order is today's, and what is added are the reference's.",
            ),
        ),
        Mistake(
            name="not_normalised",
            example=lambda: (
                lambda live, reference: float(
                    (
                        np.asarray(reference)[np.argsort(-np.asarray(live))]
                        / np.log2(np.arange(len(live)) + 2)
                    ).sum()
                )
            ),
            says=both(
                pt="falta dividir pela mesma soma na ordem da própria referência: só assim a "
                "melhor ordem vale 1.",
                en="it is not divided yet by the same sum in the reference's own order: only then "
                "is the best order worth 1.",
            ),
        ),
        Mistake(
            name="least_first",
            example=lambda: lambda live, reference: _ndcg(-np.asarray(live), reference),
            says=both(
                pt="você pôs a menor importância de hoje em primeiro lugar. A maior vem primeiro.",
                en="you put today's smallest importance first. Today's largest comes first.",
            ),
        ),
        Mistake(
            name="places_from_zero",
            example=lambda: _from_zero,
            when=lambda outcome, _: not np.isfinite(outcome).all(),
            says=both(
                pt="você dividiu por zero: log₂(1) é 0. Conte os lugares a partir de 1, e o "
                "primeiro se divide por log₂(2).",
                en="you divided by zero: log₂(1) is 0. Count the places from 1, and the first is "
                "divided by log₂(2).",
            ),
        ),
        Mistake(
            name="own_values",
            example=lambda: _own_values,
            says=both(
                pt="você somou as importâncias de hoje. De hoje é só a ordem; o que se soma são as "
                "da referência, em cima e embaixo.",
                en="you added up today's importances. Only the order is today's; what is added are "
                "the reference's, above and below.",
            ),
        ),
        Mistake(
            name="always_one",
            example=lambda: lambda live, reference: 1.0,
            says=both(
                pt="a sua conta dá 1 para toda ordem: falta o desconto log₂(lugar + 1), ou as "
                "duas somas são das mesmas importâncias na mesma ordem.",
                en="your sum is 1 for every order: the discount log₂(place + 1) is missing, or "
                "both sums are of the same importances in the same order.",
            ),
        ),
    ],
    hints=[
        both(
            pt="`np.argsort(-live)` dá a ordem de hoje. Ponha as importâncias da referência nessa "
            "ordem.",
            en="`np.argsort(-live)` is today's order. Put the reference's importances into it.",
        ),
        both(
            pt="Divida cada uma por log2(lugar + 1), com o primeiro lugar valendo 1, e some; "
            "depois divida pela mesma soma na ordem da própria referência.",
            en="Divide each by log2(place + 1), the first place being 1, and add up; then divide "
            "by the same sum in the reference's own order.",
        ),
    ],
)

# ------------------------------------------------------------------------------------- the quiz

QUIZ = [
    Question(
        name="perfect",
        asks=both(
            pt="O painel mostra, toda semana, recall igual entre homens e mulheres: 100% e 100%. O "
            "que isso prova?",
            en="The dashboard shows, week after week, the same recall for men and women: 100% and "
            "100%. What does that prove?",
        ),
        options=[
            Option(
                text=both(pt="Que o modelo é justo.", en="That the model is fair."),
                why=both(
                    pt="Só os aprovados têm rótulo, e entre eles o recall é 1 por construção.",
                    en="The granted alone have labels, and among them recall is 1 by construction.",
                ),
            ),
            Option(
                text=both(
                    pt="Nada: falta a parcela com rótulo, por grupo, ao lado.",
                    en="Nothing: the share with a label, by group, is missing beside it.",
                ),
                why=both(
                    pt="Onde essa parcela difere entre os grupos, o resto não se compara.",
                    en="Where that share differs between groups, the rest cannot be compared.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Que os rótulos estão errados.",
                    en="That the labels are wrong.",
                ),
                why=both(
                    pt="Cada rótulo está certo; os que faltam é que mentem.",
                    en="Each label is right; it is the missing ones that lie.",
                ),
            ),
        ],
    ),
    Question(
        name="together",
        asks=both(
            pt="Num grupo, 80% pagariam; no outro, 70%. O escore é perfeito: diz a verdadeira "
            "probabilidade de cada um. O que se pode igualar entre os grupos?",
            en="In one group 80% would repay, in the other 70%. The score is perfect: it tells the "
            "true probability of each. What can be made equal between the groups?",
        ),
        options=[
            Option(
                text=both(
                    pt="Tudo ao mesmo tempo, com um modelo melhor.",
                    en="Everything at once, with a better model.",
                ),
                why=both(
                    pt="O modelo já é o melhor possível. É aritmética, e não falta de dados.",
                    en="The model is the best possible already. It is arithmetic, no lack of data.",
                ),
            ),
            Option(
                text=both(
                    pt="Uma medida, à escolha, e as outras pagam por ela.",
                    en="One measure, of one's choice, and the others pay for it.",
                ),
                why=both(
                    pt="Com um limiar por grupo há um só botão em cada um. Qual medida igualar é "
                    "uma decisão de pessoas; a conta mostra o preço.",
                    en="With a threshold for each group there is one knob in each. Which measure "
                    "to make equal is for people to decide; the sums show the price.",
                ),
                right=True,
            ),
            Option(
                text=both(pt="Nada.", en="Nothing."),
                why=both(
                    pt="Com um limiar por grupo iguala-se o que se quiser, uma coisa de cada vez.",
                    en="With a threshold for each group one can make equal what one likes, one "
                    "thing at a time.",
                ),
            ),
        ],
    ),
    Question(
        name="baseline",
        asks=both(
            pt="A regra documentada alarma quando o viés está mais longe de zero do que na linha "
            "de base. Nada mudou. Quantas semanas alarmam, aproximadamente?",
            en="The documented rule alarms where the bias is further from zero than in the "
            "baseline. Nothing has changed. About how many weeks alarm?",
        ),
        options=[
            Option(
                text=both(pt="Nenhuma.", en="None."),
                why=both(
                    pt="Uma semana flutua em torno da linha de base, para os dois lados.",
                    en="A week strays around the baseline, to both sides.",
                ),
            ),
            Option(
                text=both(pt="Uma em vinte.", en="One in twenty."),
                why=both(
                    pt="Isso seria um teste. A regra não sabe quanto uma semana varia.",
                    en="That would be a test. The rule does not know how far a week strays.",
                ),
            ),
            Option(
                text=both(pt="Metade.", en="Half of them."),
                why=both(
                    pt="E quase todas, onde a linha de base era perto de zero.",
                    en="And nearly all, where the baseline was near zero.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="reasons",
        asks=both(
            pt="O NDCG das atribuições está em 0,99, como sempre. Menos gente paga do que antes. "
            "Como pode ser?",
            en="The NDCG of the attributions is at 0.99, as ever. Fewer people repay than before. "
            "How can that be?",
        ),
        options=[
            Option(
                text=both(
                    pt="As atribuições falam do modelo e de quem chega, e não do mundo.",
                    en="Attributions speak of the model and of who comes, and not of the world.",
                ),
                why=both(
                    pt="O modelo pensa como pensava; é o mundo que já não concorda com ele.",
                    en="The model reasons as it did; it is the world that no longer agrees.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="O limiar de 0,90 é alto demais.",
                    en="The threshold of 0.90 is too high.",
                ),
                why=both(
                    pt="Nenhum limiar serve: a deriva de conceito não mexe nas atribuições.",
                    en="No threshold will do: concept drift does not touch the attributions.",
                ),
            ),
            Option(
                text=both(
                    pt="O shap foi calculado com poucas linhas.",
                    en="shap was worked out from too few rows.",
                ),
                why=both(
                    pt="Mais linhas dariam o mesmo número, com mais certeza.",
                    en="More rows would give the same number, more surely.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="10", exercises=[GAP, FORCED, LOTTERY, NDCG], quiz=QUIZ)
