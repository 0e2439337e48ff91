"""Chapter 03: which model, and how do we track what we tried?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# ------------------------------------------------------------------------------ the loss, by hand

_LABEL = pd.Series([1, 1, 0, 1, 0])
_SCORE = pd.Series([0.9, 0.6, 0.2, 0.75, 0.7])


def _losses_of(log_loss: Callable) -> float:
    return float(log_loss(_LABEL, _SCORE))


def _given(label: pd.Series, score: pd.Series) -> np.ndarray:
    """Return the probability that was given to what happened."""
    return np.where(label == 1, score, 1 - score)


LOG_LOSS = Exercise(
    name="log_loss",
    sample=lambda: {"np": np, "pd": pd},
    probe=_losses_of,
    right=lambda: lambda label, score: -np.log(_given(label, score)).mean(),
    mistakes=[
        Mistake(
            name="only_repaid",
            example=lambda: lambda label, score: -(label * np.log(score)).mean(),
            says=both(
                pt="quem não pagou não custa nada na sua conta. Um modelo que desse 100% a todos "
                "sairia de graça.",
                en="those who did not repay cost nothing in your sum. A model that gave everybody "
                "100% would get away for free.",
            ),
        ),
        Mistake(
            name="sign",
            example=lambda: lambda label, score: np.log(_given(label, score)).mean(),
            says=both(
                pt="a sua perda é negativa, e fica menor quanto pior o modelo. O logaritmo de uma "
                "probabilidade nunca passa de zero.",
                en="your loss is negative, and gets smaller as the model gets worse. The logarithm "
                "of a probability is never above zero.",
            ),
        ),
        Mistake(
            name="total",
            example=lambda: lambda label, score: -np.log(_given(label, score)).sum(),
            says=both(
                pt="você somou. Com o dobro de empréstimos a perda dobraria, sem que o modelo "
                "mudasse.",
                en="you added up. With twice as many loans the loss would double, and the model "
                "would be the same.",
            ),
        ),
        Mistake(
            name="mean_first",
            example=lambda: lambda label, score: -np.log(_given(label, score).mean()),
            says=both(
                pt="você tirou a média antes do logaritmo. Assim uma certeza errada se dilui entre "
                "as outras; o logaritmo de cada uma é que a faz doer.",
                en="you took the mean before the logarithm. So one wrong certainty is diluted "
                "among the others; it is the logarithm of each that makes it hurt.",
            ),
        ),
        Mistake(
            name="other_base",
            example=lambda: lambda label, score: -np.log2(_given(label, score)).mean(),
            says=both(
                pt="a forma está certa, em bits. A convenção aqui é o logaritmo natural.",
                en="the form is right, in bits. The convention here is the natural logarithm.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Que probabilidade o modelo deu ao que de fato aconteceu? A um bom pagador, o "
            "próprio escore. E a quem não pagou?",
            en="Which probability did the model give to what really happened? For one who repaid, "
            "the score itself. And for one who did not?",
        ),
        both(
            pt="`np.where` escolhe entre as duas probabilidades. Depois vem o logaritmo de cada "
            "uma, e só então a média, com o sinal trocado.",
            en="`np.where` chooses between the two probabilities. Then comes the logarithm of "
            "each, and only then the mean, with its sign turned round.",
        ),
    ],
)

# --------------------------------------------------------------------- runs that may be compared


def _tried() -> dict[str, pd.DataFrame]:
    rows = [
        ("rule", "5d1c", "9a77", 0.416),
        ("forest", "5d1c", "9a77", 0.401),
        ("more-history", "c0de", "9a77", 0.396),
        ("only-app", "5d1c", "41b0", 0.371),
        ("new-month", "c0de", "e3f2", 0.388),
    ]
    return {"tried": pd.DataFrame(rows, columns=["run", "train", "later", "log_loss"])}


def _like_rule(tried: pd.DataFrame, *columns: str) -> list[str]:
    """Return the runs that have the rule's values in some columns, without the rule."""
    rule = tried.set_index("run").loc["rule"]
    alike = (tried[list(columns)] == rule[list(columns)]).all(axis=1)
    return tried.loc[alike & (tried["run"] != "rule"), "run"].tolist()


COMPARABLE = Exercise(
    name="comparable",
    sample=_tried,
    probe=sorted,
    right=lambda tried: _like_rule(tried, "later"),
    mistakes=[
        Mistake(
            name="same_training",
            example=lambda tried: _like_rule(tried, "train"),
            says=both(
                pt="esses aprenderam com os mesmos dados que a regra. Mas foram julgados em "
                "outros: um pode ter recebido os empréstimos mais fáceis.",
                en="those learned from the same data as the rule. But they were judged by others: "
                "one of them may have been given the easier loans.",
            ),
        ),
        Mistake(
            name="same_both",
            example=lambda tried: _like_rule(tried, "train", "later"),
            says=both(
                pt="você exigiu demais. Com que dados se aprende faz parte da tentativa, e pode "
                "ser justamente o que se quer comparar.",
                en="you asked for too much. Which data one learns from is part of the attempt, and "
                "may be the very thing to compare.",
            ),
        ),
        Mistake(
            name="itself",
            example=lambda tried: ["rule", *_like_rule(tried, "later")],
            says=both(
                pt="a regra está na sua lista: ao lado dela mesma não há o que comparar.",
                en="the rule is in your list: beside itself there is nothing to compare.",
            ),
        ),
        Mistake(
            name="lowest",
            example=lambda tried: tried.loc[tried["log_loss"] < 0.416, "run"].tolist(),
            says=both(
                pt="você escolheu pela perda. A pergunta é anterior: quais perdas são da mesma "
                "prova?",
                en="you chose by the loss. The question comes before that: which losses are of "
                "the same examination?",
            ),
        ),
    ],
    hints=[
        both(
            pt="Duas notas se comparam quando são da mesma prova. Qual das duas colunas de resumos "
            "é a prova?",
            en="Two marks are compared when they are of the same examination. Which of the two "
            "columns of digests is the examination?",
        ),
        both(
            pt="Procure o resumo que a regra tem em `later`, fique com quem tem o mesmo e tire a "
            "própria regra.",
            en="Look up the digest that the rule has in `later`, keep those with the same one and "
            "take the rule itself out.",
        ),
    ],
)

# ------------------------------------------------------------------------------ who beat the rule


def _differences() -> dict[str, pd.DataFrame]:
    rows = [
        ("tree", -0.004, -0.011, 0.003),
        ("ridge", -0.021, -0.026, -0.016),
        ("neighbours", 0.012, 0.004, 0.020),
        ("forest", -0.003, -0.005, -0.001),
        ("stumps", 0.001, -0.002, 0.004),
    ]
    return {"differences": pd.DataFrame(rows, columns=["run", "value", "low", "high"])}


BEATING = Exercise(
    name="beating",
    sample=_differences,
    probe=sorted,
    right=lambda differences: differences.loc[differences["high"] < 0, "run"].tolist(),
    mistakes=[
        Mistake(
            name="points",
            example=lambda differences: differences.loc[differences["value"] < 0, "run"].tolist(),
            says=both(
                pt="entrou um run cujo intervalo atravessa o zero: o ponto está do lado bom, e o "
                "acaso basta para explicá-lo.",
                en="a run is in whose interval crosses zero: its point is on the good side, and "
                "chance is enough to explain it.",
            ),
        ),
        Mistake(
            name="perhaps",
            example=lambda differences: differences.loc[differences["low"] < 0, "run"].tolist(),
            says=both(
                pt="esses são os que *talvez* sejam melhores. Quanto menos dados, mais largo o "
                "intervalo, e mais gente entraria na sua lista.",
                en="those are the ones that *may* be better. The fewer the data, the wider the "
                "interval, and the more would get into your list.",
            ),
        ),
        Mistake(
            name="reversed",
            example=lambda differences: differences.loc[differences["low"] > 0, "run"].tolist(),
            says=both(
                pt="o sinal está trocado: o que se mede é perda, e a mudança é o run menos a "
                "regra. Você listou quem mostrou ser pior.",
                en="the sign is the wrong way round: what is measured is loss, and the change is "
                "the run less the rule. You listed what was shown to be worse.",
            ),
        ),
        Mistake(
            name="biggest",
            example=lambda differences: [differences.loc[differences["value"].idxmin(), "run"]],
            says=both(
                pt="você listou só o de maior ganho. Um ganho pequeno também pode ser certo: olhe "
                "a ponta do intervalo, não o tamanho.",
                en="you listed the greatest gain only. A small gain may be certain too: look at "
                "the end of the interval, not at the size.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Perda menor é melhor. De que lado do zero tem de estar o intervalo *inteiro* de um "
            "run que superou a regra?",
            en="Less loss is better. On which side of zero must the *whole* interval of a run lie "
            "that beat the rule?",
        ),
        both(
            pt="Basta olhar uma das duas pontas: a que está mais perto de ser ruim.",
            en="It is enough to look at one of the two ends: the one nearer to being bad.",
        ),
    ],
)

# ------------------------------------------------------------------------------ the winner's curse


def _arrays() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return losses of three and of five trials; fresh ones are dearer, and have another best."""
    rng = np.random.default_rng(8)
    return [(rng.gamma(2.0, 0.2, (n, 30)), 0.1 + rng.gamma(2.0, 0.2, (n, 50))) for n in (3, 5)]


def _optimisms(optimism: Callable) -> list[float]:
    return [float(optimism(chosen_by.copy(), fresh.copy())) for chosen_by, fresh in _arrays()]


def _advantage(losses: np.ndarray, winner: int) -> float:
    means = losses.mean(axis=1)
    return means.mean() - means[winner]


def _winner(losses: np.ndarray) -> int:
    return int(losses.mean(axis=1).argmin())


def _optimism(chosen_by: np.ndarray, fresh: np.ndarray) -> float:
    winner = _winner(chosen_by)
    return _advantage(chosen_by, winner) - _advantage(fresh, winner)


def _each_its_own(chosen_by: np.ndarray, fresh: np.ndarray) -> float:
    return _advantage(chosen_by, _winner(chosen_by)) - _advantage(fresh, _winner(fresh))


def _raw(chosen_by: np.ndarray, fresh: np.ndarray) -> float:
    winner = _winner(chosen_by)
    return fresh[winner].mean() - chosen_by[winner].mean()


OPTIMISM = Exercise(
    name="optimism",
    sample=lambda: {"np": np},
    probe=_optimisms,
    right=lambda: _optimism,
    mistakes=[
        Mistake(
            name="promised",
            example=lambda: lambda chosen_by, fresh: _advantage(chosen_by, _winner(chosen_by)),
            says=both(
                pt="essa é a vantagem prometida. Falta descontar a que a mesma vencedora teve onde "
                "não foi escolhida.",
                en="that is the advantage promised. What the same winner had where it was not "
                "chosen is still to be taken off.",
            ),
        ),
        Mistake(
            name="two_winners",
            example=lambda: _each_its_own,
            says=both(
                pt="você deixou que `fresh` escolhesse a sua própria vencedora. Quem vai para o "
                "serviço é a que `chosen_by` escolheu.",
                en="you let `fresh` choose a winner of its own. What goes into service is the one "
                "that `chosen_by` chose.",
            ),
        ),
        Mistake(
            name="levels",
            example=lambda: _raw,
            says=both(
                pt="você subtraiu as perdas da vencedora. Se 2023 foi mais difícil para todas, "
                "isso entrou na conta; compare cada vez com a média das tentativas.",
                en="you subtracted the winner's losses. If 2023 was harder for all of them, that "
                "went into the sum; compare each time with the mean of the attempts.",
            ),
        ),
        Mistake(
            name="loser",
            example=lambda: (
                lambda chosen_by, fresh: (
                    _advantage(chosen_by, int(chosen_by.mean(axis=1).argmax()))
                    - _advantage(fresh, int(chosen_by.mean(axis=1).argmax()))
                )
            ),
            says=both(
                pt="você tomou a de *maior* perda por vencedora.",
                en="you took the one with the *greatest* loss for the winner.",
            ),
        ),
    ],
    hints=[
        both(
            pt="São duas médias por tentativa, uma em cada conjunto. A vencedora se decide só com "
            "o primeiro.",
            en="There are two means for each attempt, one in each set. The winner is decided by "
            "the first alone.",
        ),
        both(
            pt="Vantagem é a média de todas as tentativas menos a perda da vencedora. Calcule-a "
            "nos dois conjuntos, para a mesma tentativa, e subtraia.",
            en="An advantage is the mean of all attempts less the winner's loss. Work it out in "
            "both sets, for the same attempt, and subtract.",
        ),
    ],
)

# ------------------------------------------------------------------------------------------- quiz

QUIZ = [
    Question(
        name="accuracy",
        asks=both(
            pt="Um modelo de crédito chega com 84% de acurácia. O que você pergunta primeiro?",
            en="A credit model comes with an accuracy of 84%. What do you ask first?",
        ),
        options=[
            Option(
                text=both(
                    pt="Quantos parâmetros ele tem.",
                    en="How many parameters it has.",
                ),
                why=both(
                    pt="Isso diz quanto ele pode decorar, não quanto acrescenta a uma resposta "
                    "fixa.",
                    en="That says how much it can learn by heart, not what it adds to a fixed "
                    "answer.",
                ),
            ),
            Option(
                text=both(
                    pt="Quantos por cento pagaram, entre os que o julgaram.",
                    en="How many per cent repaid, of those who judged it.",
                ),
                why=both(
                    pt="Se foram 84%, uma constante acerta o mesmo, e o modelo não mostrou nada.",
                    en="If it was 84%, a constant is right as often, and the model has shown "
                    "nothing.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Com que semente foi treinado.",
                    en="With which seed it was trained.",
                ),
                why=both(
                    pt="É preciso anotá-la para repetir o treino. O número pode ser vazio com "
                    "qualquer semente.",
                    en="It has to be noted to repeat the training. The number may be empty with "
                    "any seed.",
                ),
            ),
        ],
    ),
    Question(
        name="overlap",
        asks=both(
            pt="Os intervalos da perda de dois modelos, nos mesmos empréstimos, se sobrepõem. O "
            "que se pode afirmar?",
            en="The intervals of two models' loss, on the same loans, overlap. What can one say?",
        ),
        options=[
            Option(
                text=both(
                    pt="Que os dois são iguais.",
                    en="That the two are alike.",
                ),
                why=both(
                    pt="Ausência de prova não é prova de ausência: até um modelo pior em toda "
                    "semana pode ter um intervalo que se sobrepõe.",
                    en="Absence of proof is no proof of absence: even a model that is worse in "
                    "every week may have an interval that overlaps.",
                ),
            ),
            Option(
                text=both(
                    pt="Que o de menor perda é melhor, por pouco.",
                    en="That the one with less loss is better, by a little.",
                ),
                why=both(
                    pt="Talvez. Com estes dois intervalos não se sabe.",
                    en="Perhaps. From these two intervals one does not know.",
                ),
            ),
            Option(
                text=both(
                    pt="Nada ainda: falta a diferença, empréstimo por empréstimo.",
                    en="Nothing yet: the difference, loan by loan, is missing.",
                ),
                why=both(
                    pt="O que torna um empréstimo difícil pesa sobre os dois e se cancela na "
                    "diferença, que tem o seu próprio intervalo, mais estreito.",
                    en="What makes a loan hard weighs on both and cancels in the difference, "
                    "which has an interval of its own, a narrower one.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="winner",
        asks=both(
            pt="Cem configurações foram tentadas e julgadas nos mesmos 500 empréstimos. A melhor "
            "será anunciada. Qual número vai no anúncio?",
            en="A hundred configurations were tried and judged by the same 500 loans. The best "
            "will be announced. Which number goes into the announcement?",
        ),
        options=[
            Option(
                text=both(
                    pt="O que ela fizer em empréstimos que não escolheram nada.",
                    en="What it does on loans that chose nothing.",
                ),
                why=both(
                    pt="Só ali a sorte da escolha não conta a favor dela.",
                    en="Only there does the luck of the choice not count in its favour.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="O dos 500 empréstimos, com o seu intervalo de 95%.",
                    en="That of the 500 loans, with its 95% interval.",
                ),
                why=both(
                    pt="O intervalo vale para uma configuração escolhida antes de olhar. Esta foi "
                    "escolhida por ter tido sorte, também.",
                    en="The interval holds for a configuration chosen before looking. This one was "
                    "chosen for having been lucky, too.",
                ),
            ),
            Option(
                text=both(
                    pt="A média das cem, para ser modesto.",
                    en="The mean of the hundred, to be modest.",
                ),
                why=both(
                    pt="Isso descreve o espaço da busca, não o modelo que será usado.",
                    en="That describes the space of the search, not the model that will be used.",
                ),
            ),
        ],
    ),
    Question(
        name="digest",
        asks=both(
            pt="Dois runs têm parâmetros iguais e o resumo de `later` diferente. A perda caiu. O "
            "que aconteceu?",
            en="Two runs have equal parameters and a different digest of `later`. The loss fell. "
            "What happened?",
        ),
        options=[
            Option(
                text=both(
                    pt="O modelo melhorou.",
                    en="The model got better.",
                ),
                why=both(
                    pt="Pode ser que só a prova tenha ficado mais fácil.",
                    en="It may be that only the examination got easier.",
                ),
            ),
            Option(
                text=both(
                    pt="Não se sabe: foram julgados em dados diferentes.",
                    en="There is no telling: they were judged by different data.",
                ),
                why=both(
                    pt="Julgue os dois nos mesmos empréstimos, aos pares; o resumo diz quando isso "
                    "já é o caso.",
                    en="Judge both by the same loans, in pairs; the digest says when that is the "
                    "case already.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="O acaso do treino: a semente foi outra.",
                    en="Chance in the training: the seed was another one.",
                ),
                why=both(
                    pt="A semente é um parâmetro, e os parâmetros são iguais.",
                    en="The seed is a parameter, and the parameters are equal.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="03", exercises=[LOG_LOSS, COMPARABLE, BEATING, OPTIMISM], quiz=QUIZ)
