"""Chapter 04: whether a model is good enough, for everyone, and what it will be judged by later."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both


def _covered(loss: Mapping[str, float]) -> float:
    return (loss["constant"] - loss["logistic"]) / (loss["constant"] - loss["oracle"])


_LOSS = {"constant": 0.45, "logistic": 0.41, "oracle": 0.40}


def _tables() -> list[pd.DataFrame]:
    """Return two reliability tables with bins of unequal size, whose gaps have both signs."""
    return [
        pd.DataFrame(
            {"score": [0.2, 0.5, 0.9], "share": [0.3, 0.4, 0.95], "n": [10, 100, 1000]},
        ),
        pd.DataFrame({"score": [0.6, 0.8], "share": [0.6, 0.5], "n": [300, 100]}),
    ]


def _ece(table: pd.DataFrame) -> float:
    return float(np.average((table["score"] - table["share"]).abs(), weights=table["n"]))


_COSTS = [(0.6, 0.2), (0.5, 0.5), (0.3, 0.15), (1.0, 0.1)]


def _threshold(loss: float, gain: float) -> float:
    return loss / (loss + gain)


def _bounds(reference: pd.DataFrame) -> list[float]:
    n, repaid = len(reference), reference["repaid"].sum()
    return [repaid / n, (repaid + (~reference["approved"]).sum()) / n]


def _of_the_book(reference: pd.DataFrame) -> float:
    return reference["repaid"].sum() / reference["approved"].sum()


def _sample_of_reference() -> dict[str, pd.DataFrame]:
    return {
        "reference": pd.DataFrame(
            {
                "approved": [True] * 6 + [False] * 4,
                "repaid": pd.array([1, 1, 1, 1, 0, 1] + [pd.NA] * 4, dtype="Int64"),
            }
        )
    }


_INTERVALS = [
    (-3.0, -1.0, 0.5),
    (-0.2, 0.3, 0.5),
    (-0.2, 0.9, 0.5),
    (-0.2, 1.8, 0.5),
    (0.6, 0.9, 0.5),
    (0.0, 0.0, 0.0),
    (-0.9, 0.4, 0.5),
]


CHAPTER = Chapter(
    number="04",
    exercises=[
        Exercise(
            name="covered",
            right=lambda loss: _covered(loss),
            sample=lambda: {"loss": _LOSS},
            mistakes=[
                Mistake(
                    name="to_zero",
                    example=lambda loss: 1 - loss["logistic"] / loss["constant"],
                    says=both(
                        pt="você mediu a distância até zero. A zero não chega nem quem sabe a "
                        "probabilidade de cada um: o fim da estrada é a perda do oráculo.",
                        en="you measured the way to zero. Not even who knows everybody's "
                        "probability gets to zero: the road ends at the oracle's loss.",
                    ),
                ),
                Mistake(
                    name="left",
                    example=lambda loss: 1 - _covered(loss),
                    says=both(
                        pt="isso é o que *falta* andar. A pergunta é quanto já foi andado.",
                        en="this is what is *left* to go. The question is how much has been done.",
                    ),
                ),
                Mistake(
                    name="difference",
                    example=lambda loss: loss["constant"] - loss["logistic"],
                    says=both(
                        pt="isso é o que a perda caiu. Falta dizer de quanto ela podia cair.",
                        en="this is by how much the loss fell. It does not say by how much it "
                        "could.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="A estrada começa na perda da constante. Onde termina, para quem não pode "
                    "ver o futuro?",
                    en="The road begins at the loss of the constant. Where does it end for "
                    "somebody who cannot see the future?",
                ),
                both(
                    pt="Duas subtrações que começam no mesmo lugar, e uma divisão.",
                    en="Two subtractions that begin at the same place, and a division.",
                ),
            ],
        ),
        Exercise(
            name="ece",
            right=lambda: _ece,
            probe=lambda ece: [ece(table) for table in _tables()],
            mistakes=[
                Mistake(
                    name="unweighted",
                    example=lambda: lambda table: (table["score"] - table["share"]).abs().mean(),
                    says=both(
                        pt="uma faixa de dez linhas pesou tanto quanto uma de mil. Cada linha "
                        "deve contar igual.",
                        en="a bin of ten rows weighed as much as one of a thousand. Each row "
                        "should count the same.",
                    ),
                ),
                Mistake(
                    name="signed",
                    example=lambda: (
                        lambda table: abs(
                            np.average(table["score"] - table["share"], weights=table["n"])
                        )
                    ),
                    says=both(
                        pt="as distâncias para cima cancelaram as para baixo. Isso é o viés de "
                        "calibração, que pode ser zero em um modelo que erra em toda parte.",
                        en="the distances upwards cancelled those downwards. This is the "
                        "calibration bias, which may be zero for a model that is wrong "
                        "everywhere.",
                    ),
                ),
                Mistake(
                    name="squared",
                    example=lambda: (
                        lambda table: np.sqrt(
                            np.average((table["score"] - table["share"]) ** 2, weights=table["n"])
                        )
                    ),
                    says=both(
                        pt="você elevou as distâncias ao quadrado. É outra medida, também usada; "
                        "o ECE toma o valor absoluto.",
                        en="you squared the distances. That is another measure, also in use; the "
                        "ECE takes the absolute value.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Uma distância por faixa, sem sinal. Depois, uma média.",
                    en="One distance a bin, without a sign. Then a mean.",
                ),
                both(
                    pt="É uma média ponderada. Que coluna diz quantas linhas cada faixa tem?",
                    en="It is a weighted mean. Which column says how many rows each bin has?",
                ),
            ],
        ),
        Exercise(
            name="threshold",
            right=lambda: _threshold,
            probe=lambda threshold: [threshold(loss, gain) for loss, gain in _COSTS],
            mistakes=[
                Mistake(
                    name="reversed",
                    example=lambda: lambda loss, gain: gain / (loss + gain),
                    says=both(
                        pt="está ao contrário: com a sua conta, quanto mais se perde em um "
                        "calote, mais se empresta.",
                        en="it is the wrong way round: by your formula, the more a default loses, "
                        "the more is lent.",
                    ),
                ),
                Mistake(
                    name="ratio",
                    example=lambda: lambda loss, gain: gain / loss,
                    says=both(
                        pt="isso é a razão entre o que se ganha e o que se perde. Uma "
                        "probabilidade não passa de 1: experimente um ganho maior que a perda.",
                        en="this is the ratio of what is gained to what is lost. A probability "
                        "does not exceed 1: try a gain larger than the loss.",
                    ),
                ),
                Mistake(
                    name="half",
                    example=lambda: lambda loss, gain: 0.5,
                    says=both(
                        pt="meio a meio só serve quando os dois erros custam o mesmo.",
                        en="even odds only serve when both errors cost the same.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Com probabilidade p de pagar, quanto custa em média um sim? E um não?",
                    en="With probability p of repayment, what does a yes cost on average? A no?",
                ),
                both(
                    pt="Um sim custa (1 − p) vezes a perda; um não, p vezes o ganho que não veio. "
                    "Iguale os dois e isole p.",
                    en="A yes costs (1 − p) times the loss; a no, p times the gain that did not "
                    "come. Set them equal and solve for p.",
                ),
            ],
        ),
        Exercise(
            name="bounds",
            right=lambda reference: _bounds(reference),
            sample=_sample_of_reference,
            mistakes=[
                Mistake(
                    name="book",
                    example=lambda reference: [_of_the_book(reference)] * 2,
                    says=both(
                        pt="essa é a parcela entre os que receberam o empréstimo. Para usá-la "
                        "para todos é preciso *supor* que os recusados pagariam igual.",
                        en="this is the share among those who were granted a loan. To use it for "
                        "everybody one has to *assume* that the refused would repay alike.",
                    ),
                ),
                Mistake(
                    name="pessimist",
                    example=lambda reference: [_bounds(reference)[0]] * 2,
                    says=both(
                        pt="você contou todos os recusados como calotes. Esse é um dos extremos; "
                        "falta o outro.",
                        en="you counted all the refused as defaults. That is one of the extremes; "
                        "the other is missing.",
                    ),
                ),
                Mistake(
                    name="assumed",
                    example=lambda reference: [_bounds(reference)[0], _of_the_book(reference)],
                    says=both(
                        pt="no seu limite de cima, os recusados pagam no máximo como os outros. É "
                        "plausível, mas é uma hipótese, e os dados não a contêm.",
                        en="at your upper bound the refused repay at most as the others do. That "
                        "is plausible, but it is an assumption, and the data do not contain it.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="O desfecho de cada recusado é desconhecido. Qual é o pior que pode ter "
                    "acontecido com todos eles, e o melhor?",
                    en="The outcome of each refused applicant is unknown. What is the worst that "
                    "can have become of all of them, and the best?",
                ),
                both(
                    pt="O denominador são todos os que pediram. No numerador, os que pagaram, e "
                    "depois também todos os recusados.",
                    en="The denominator is everybody who applied. In the numerator are those who "
                    "repaid, and then all of the refused too.",
                ),
            ],
        ),
        Exercise(
            name="not_worse",
            right=lambda: lambda low, high, margin: high <= margin,
            probe=lambda not_worse: [bool(not_worse(*each)) for each in _INTERVALS],
            mistakes=[
                Mistake(
                    name="better",
                    example=lambda: lambda low, high, margin: high < 0,
                    says=both(
                        pt="a sua regra exige um modelo *melhor*. Um modelo igual ao campeão, por "
                        "mais dados que se juntem, nunca passaria.",
                        en="your rule asks for a *better* model. One that equals the champion "
                        "would never pass, however many data are gathered.",
                    ),
                ),
                Mistake(
                    name="point",
                    example=lambda: lambda low, high, margin: (low + high) / 2 <= margin,
                    says=both(
                        pt="a sua regra olha para o meio do intervalo. Com poucos dados, o acaso "
                        "põe o meio onde quiser.",
                        en="your rule looks at the middle of the interval. With few data, chance "
                        "puts the middle where it likes.",
                    ),
                ),
                Mistake(
                    name="maybe",
                    example=lambda: lambda low, high, margin: low <= margin,
                    says=both(
                        pt="a sua regra deixa passar quem *talvez* não seja pior. Quanto menos "
                        "dados, mais fácil seria passar.",
                        en="your rule lets through who *may* be no worse. The fewer the data, the "
                        "easier it would be to pass.",
                    ),
                ),
                Mistake(
                    name="reversed",
                    example=lambda: lambda low, high, margin: low >= -margin,
                    says=both(
                        pt="veja o sinal: a diferença é de perdas, candidato menos campeão. Quem "
                        "fica muito abaixo de zero é muito melhor, e você o recusou.",
                        en="see the sign: the difference is of losses, candidate less champion. "
                        "Who lies far below zero is far better, and you refused it.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Desenhe o intervalo em uma reta e marque a margem. De que lado dela ele "
                    "precisa estar, e inteiro ou só em parte?",
                    en="Draw the interval on a line and mark the margin. On which side of it does "
                    "it have to lie, and all of it or a part?",
                ),
                both(
                    pt="Só uma das pontas decide: a que diz quão *pior* o candidato ainda pode "
                    "ser.",
                    en="Only one of the ends decides: the one that says how much *worse* the "
                    "candidate may still be.",
                ),
            ],
        ),
    ],
    quiz=[
        Question(
            name="same_ranking",
            asks=both(
                pt="Dois modelos têm a mesma área sob a curva ROC. O que se pode trocar sem medo?",
                en="Two models have the same area under the ROC curve. What may be exchanged "
                "without fear?",
            ),
            options=[
                Option(
                    text=both(pt="Um pelo outro, em tudo.", en="One for the other, in everything."),
                    why=both(
                        pt="A área só vê a ordem. Com o mesmo limiar, os dois podem aprovar "
                        "pessoas em número bem diferente.",
                        en="The area only sees the order. With the same threshold the two may "
                        "grant loans to very different numbers of people.",
                    ),
                ),
                Option(
                    text=both(
                        pt="A fila: quem é atendido primeiro, não até onde a fila vai.",
                        en="The queue: who is served first, not how far the queue reaches.",
                    ),
                    why=both(
                        pt="Mesmo assim só em média: a mesma área pode vir de ordens diferentes.",
                        en="And that only on average: the same area may come of different orders.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="O limiar, porque a probabilidade é a mesma.",
                        en="The threshold, because the probability is the same.",
                    ),
                    why=both(
                        pt="Probabilidade é outra coisa: é a calibração que a mede.",
                        en="Probability is another thing: calibration measures it.",
                    ),
                ),
            ],
        ),
        Question(
            name="weekly_ece",
            asks=both(
                pt="No período inteiro o ECE era 0,007. No painel semanal, o do mesmo modelo é "
                "0,03. O que aconteceu?",
                en="Over the whole period the ECE was 0.007. On the weekly dashboard that of the "
                "same model is 0.03. What happened?",
            ),
            options=[
                Option(
                    text=both(
                        pt="O modelo perdeu a calibração.", en="The model lost its calibration."
                    ),
                    why=both(
                        pt="Pode ser, mas o número não mostra: em uma semana há poucas linhas por "
                        "faixa, e o acaso sozinho já o faz crescer.",
                        en="It may have, but the number does not show it: a week has few rows a "
                        "bin, and chance alone makes it grow.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Talvez nada: compare com o que um modelo perfeito daria em uma semana.",
                        en="Perhaps nothing: compare it with what a perfect model would show in a "
                        "week.",
                    ),
                    why=both(
                        pt="Acima desse limite há um achado; abaixo, só tamanho de amostra.",
                        en="Above that bound there is a finding; below it, only sample size.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="O ECE semanal é a soma dos erros da semana.",
                        en="The weekly ECE is the sum of the week's errors.",
                    ),
                    why=both(
                        pt="É uma média, em qualquer janela. O que muda é o acaso dentro dela.",
                        en="It is a mean in any window. What changes is the chance within it.",
                    ),
                ),
            ],
        ),
        Question(
            name="the_refused",
            asks=both(
                pt="O modelo está bem calibrado nos empréstimos do livro. O que isso diz de quem a "
                "regra recusava?",
                en="The model is well calibrated on the loans of the book. What does that say of "
                "those whom the rule refused?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Que o escore deles também se cumpre.",
                        en="That their scores come true as well.",
                    ),
                    why=both(
                        pt="Nenhum deles está na conta: a calibração foi medida só em quem "
                        "recebeu.",
                        en="None of them is in the count: calibration was measured on those who "
                        "got a loan.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Que o escore deles é baixo demais.", en="That their scores are too low."
                    ),
                    why=both(
                        pt="Neste mundo, que é sintético, foi o contrário; no seu, não se sabe.",
                        en="In this world, which is synthetic, it was the other way round; in "
                        "yours nobody knows.",
                    ),
                ),
                Option(
                    text=both(pt="Nada.", en="Nothing."),
                    why=both(
                        pt="Para saber, é preciso emprestar a alguns deles, ao acaso e com "
                        "orçamento.",
                        en="To know, one has to lend to some of them, at random and on a budget.",
                    ),
                    right=True,
                ),
            ],
        ),
        Question(
            name="tiny_group",
            asks=both(
                pt="Em um grupo de 56 pessoas, com 3 calotes, a área sob a curva ROC é 0,40. O que "
                "se escreve no cartão do modelo?",
                en="In a group of 56 people, with 3 defaults, the area under the ROC curve is "
                "0.40. What goes on the model card?",
            ),
            options=[
                Option(
                    text=both(
                        pt="O número, o intervalo, e que não basta para julgar o grupo.",
                        en="The number, its interval, and that it is too little to judge the "
                        "group by.",
                    ),
                    why=both(
                        pt="Não saber é um resultado, e o cartão é o lugar dele.",
                        en="Not to know is a result, and the card is the place for it.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Que o modelo é pior que uma moeda para esse grupo.",
                        en="That the model is worse than a coin for this group.",
                    ),
                    why=both(
                        pt="Três calotes decidem o número; o intervalo vai de péssimo a bom.",
                        en="Three defaults decide the number; the interval goes from awful to "
                        "good.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Nada: grupos pequenos ficam de fora.",
                        en="Nothing: small groups are left out.",
                    ),
                    why=both(
                        pt="Então ninguém saberia que eles não foram julgados.",
                        en="Then nobody would know that they were not judged.",
                    ),
                ),
            ],
        ),
        Question(
            name="not_told_apart",
            asks=both(
                pt="A perda do desafiante menos a do campeão fica entre −0,004 e 0,0005, e a "
                "margem é 0,005. O que se decide?",
                en="The challenger's loss less the champion's lies between −0.004 and 0.0005, and "
                "the margin is 0.005. What is decided?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Promover: o desafiante mostrou ser melhor.",
                        en="Promote it: the challenger has been shown to be better.",
                    ),
                    why=both(
                        pt="O intervalo contém o zero: mostrou não ser pior, o que é outra coisa.",
                        en="The interval holds zero: it has been shown to be no worse, which is "
                        "another thing.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Recusar: o desafiante falhou no portão.",
                        en="Refuse it: the challenger failed the gate.",
                    ),
                    why=both(
                        pt="Passou: mesmo no pior caso do intervalo, perde por menos que a margem.",
                        en="It passed: at the worst end of the interval it still loses by less "
                        "than the margin.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Fica o campeão; o desafiante passou, e responde na sombra.",
                        en="The champion stays; the challenger passed, and answers in the shadow.",
                    ),
                    why=both(
                        pt="Entre os que não se distinguem, decidem a simplicidade e o custo da "
                        "troca, e isso se escreve.",
                        en="Between those that cannot be told apart, simplicity and the cost of "
                        "the change decide, and that is written down.",
                    ),
                    right=True,
                ),
            ],
        ),
    ],
)
