"""Chapter 02: how the data are prepared without leaking the future."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

LEAKY = ["bureau_score", "calls_30d", "defaults_of_2023"]

_AT = pd.Timestamp("2023-01-01", tz="UTC")
_TODAY = pd.Timestamp("2023-06-01", tz="UTC")


def _probed_loans() -> pd.DataFrame:
    """Return loans that tell the usual misunderstandings apart, each by its number."""
    dates = {
        1: ("2022-06-01", "2022-09-01"),  # before, known long before the cut
        2: ("2022-12-01", "2023-03-01"),  # before, known between the cut and today
        3: ("2022-12-31", "2023-06-01"),  # before, known just today
        4: ("2022-12-31", "2023-06-02"),  # before, known too late
        5: ("2022-11-01", None),  # before, never known
        6: ("2023-01-01", "2023-02-01"),  # at the cut
        7: ("2023-02-01", "2023-04-01"),  # after, known
    }
    applied, known = zip(*dates.values(), strict=True)
    return pd.DataFrame(
        {
            "applied_at": pd.to_datetime(applied, utc=True),
            "known_at": pd.to_datetime(known, utc=True),
        },
        index=list(dates),
    )


def _learned(usable: Callable[..., pd.DataFrame]) -> list[int]:
    return sorted(usable(_probed_loans(), _AT, _TODAY).index)


def _usable(loans: pd.DataFrame, at: Any, today: Any) -> pd.DataFrame:
    return loans[(loans["applied_at"] < at) & (loans["known_at"] <= today)]


def _before(loans: pd.DataFrame, at: Any, today: Any) -> pd.DataFrame:
    return loans[loans["applied_at"] < at]


def _all_known(loans: pd.DataFrame, at: Any, today: Any) -> pd.DataFrame:
    return loans[loans["known_at"] <= today]


def _known_at_the_cut(loans: pd.DataFrame, at: Any, today: Any) -> pd.DataFrame:
    return loans[(loans["applied_at"] < at) & (loans["known_at"] <= at)]


def _labelled_before(loans: pd.DataFrame, at: Any, today: Any) -> pd.DataFrame:
    return loans[(loans["applied_at"] < at) & loans["known_at"].notna()]


def _with_the_cut(loans: pd.DataFrame, at: Any, today: Any) -> pd.DataFrame:
    return loans[(loans["applied_at"] <= at) & (loans["known_at"] <= today)]


def _chances(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the probability that each model gave to what happened."""
    scores = frame[["honest", "leaked"]]
    return scores.where(frame["repaid"] == 1, 1 - scores)


def _rise(both: pd.DataFrame) -> float:
    given = -np.log(_chances(both))
    return (given["leaked"] - given["honest"]).mean()


def _only_who_paid(both: pd.DataFrame) -> float:
    given = -np.log(both[["honest", "leaked"]])
    return (given["leaked"] - given["honest"]).mean()


def _of_the_means(both: pd.DataFrame) -> float:
    given = -np.log(_chances(both).mean())
    return given["leaked"] - given["honest"]


def _sample_of_both() -> dict[str, Any]:
    """Return a frame as the chapter has it, and the library that the cell uses."""
    frame = pd.DataFrame(
        {
            "repaid": [1, 1, 0, 1, 0],
            "honest": [0.9, 0.8, 0.6, 0.7, 0.4],
            "leaked": [0.95, 0.6, 0.9, 0.8, 0.7],
        }
    )
    return {"both": frame, "np": np}


def _filled_answers(filled: Callable[[pd.Series, pd.Series], pd.Series]) -> list[list[float]]:
    """Return what an answer makes of three columns: of gaps among others, of gaps only, of none."""
    learned = pd.Series([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])
    columns = ([7.0, np.nan, 9.0, np.nan], [np.nan, np.nan], [5.0, 6.0])
    return [list(filled(pd.Series(values), learned.copy())) for values in columns]


CHAPTER = Chapter(
    number="02",
    exercises=[
        Exercise(
            name="usable",
            right=lambda: _usable,
            probe=_learned,
            sample=lambda: {"pd": pd},
            mistakes=[
                Mistake(
                    name="labels_forgotten",
                    example=lambda: _before,
                    says=both(
                        pt="você só olhou o primeiro relógio. Há linhas antigas cujo rótulo ainda "
                        "não tinha chegado, ou nunca chega.",
                        en="you looked at the first clock only. There are old rows whose label had "
                        "not come yet, or never comes.",
                    ),
                ),
                Mistake(
                    name="future_rows",
                    example=lambda: _all_known,
                    says=both(
                        pt="entre as suas linhas há pedidos do período em que o modelo será "
                        "julgado. O rótulo deles já se conhece, e é isso que os torna uma cola.",
                        en="among your rows are applications of the period on which the model will "
                        "be judged. Their labels are known, and that is what makes them a crib.",
                    ),
                ),
                Mistake(
                    name="known_at_the_cut",
                    example=lambda: _known_at_the_cut,
                    says=both(
                        pt="você exige o rótulo já na data do corte. O modelo é feito depois dela, "
                        "e o que chegou no meio tempo é honesto.",
                        en="you want the label to be there on the date of the cut already. The "
                        "model is made after it, and what came in between is honest.",
                    ),
                ),
                Mistake(
                    name="any_label",
                    example=lambda: _labelled_before,
                    says=both(
                        pt="ter um rótulo na tabela não diz quando ele chegou. Um que chega "
                        "amanhã não ensina hoje.",
                        en="having a label in the table does not say when it came. One that comes "
                        "tomorrow teaches nothing today.",
                    ),
                ),
                Mistake(
                    name="the_cut_itself",
                    example=lambda: _with_the_cut,
                    says=both(
                        pt="quem é feito no próprio instante do corte já pertence ao julgamento: "
                        "é de “em diante”.",
                        en="what is made at the very instant of the cut belongs to the judging "
                        "already: it says “from … on”.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="São duas condições, uma para cada relógio, e as duas têm de valer.",
                    en="There are two conditions, one for each clock, and both have to hold.",
                ),
                both(
                    pt="Uma data vazia comparada com qualquer momento dá falso: a linha sem rótulo "
                    "cai sozinha. Decida, em cada condição, se o próprio limite entra.",
                    en="An empty date compared with any moment is false: the row without a label "
                    "drops out by itself. Decide, for each condition, whether the limit itself is "
                    "in.",
                ),
            ],
        ),
        Exercise(
            name="leaky",
            right=lambda: LEAKY,
            probe=lambda names: sorted(set(names)),
            mistakes=[
                Mistake(
                    name="refreshed",
                    example=lambda: ["calls_30d", "defaults_of_2023"],
                    when=lambda names, _: "bureau_score" not in names,
                    says=both(
                        pt="uma das suas colunas é reescrita depois do pedido, sem mudar de nome. "
                        "Para um pedido do ano passado, o que está lá é o valor de hoje.",
                        en="one of the columns that you let through is written anew after the "
                        "application, under the same name. For one of last year it holds today's "
                        "value.",
                    ),
                ),
                Mistake(
                    name="aggregate",
                    example=lambda: ["calls_30d", "bureau_score"],
                    when=lambda names, _: "defaults_of_2023" not in names,
                    says=both(
                        pt="uma média do grupo também pode vir do futuro: o total de um ano só "
                        "existe quando o ano acaba, e contém o próprio resultado da linha.",
                        en="an aggregate can come from the future, too: the total of a year exists "
                        "only when the year is over, and contains the row's own outcome.",
                    ),
                ),
                Mistake(
                    name="afterwards",
                    example=lambda: ["bureau_score", "defaults_of_2023"],
                    when=lambda names, _: "calls_30d" not in names,
                    says=both(
                        pt="há uma coluna que conta o que acontece depois do empréstimo. Na hora "
                        "do pedido ela está vazia.",
                        en="there is a column that counts what happens after the loan. At the time "
                        "of the application it is empty.",
                    ),
                ),
                Mistake(
                    name="too_strict",
                    example=lambda: [*LEAKY, "points"],
                    when=lambda names, _: bool(
                        {"points", "weekday", "defaults_of_2022"} & set(names)
                    ),
                    says=both(
                        pt="você jogou fora uma coluna que já existe na hora do pedido. Forte ou "
                        "fraca, ela não vaza.",
                        en="you threw away a column that exists at the time of the application "
                        "already. Strong or weak, it does not leak.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Para cada linha do dicionário: em que dia o valor foi escrito, e em que "
                    "dia o modelo tem de responder?",
                    en="For each line of the dictionary: on which day was the value written, and "
                    "on which day must the model answer?",
                ),
                both(
                    pt="São três. Uma delas leva o mesmo nome desde sempre; outra é um total.",
                    en="There are three. One of them has always had the same name; another is a "
                    "total.",
                ),
            ],
        ),
        Exercise(
            name="cost",
            right=_rise,
            sample=_sample_of_both,
            mistakes=[
                Mistake(
                    name="reversed",
                    example=lambda both: -_rise(both),
                    says=both(
                        pt="o sinal está trocado: se o modelo vazado perde mais, a subida é "
                        "positiva.",
                        en="the sign is the wrong way round: if the leaked model loses more, the "
                        "rise is positive.",
                    ),
                ),
                Mistake(
                    name="only_who_paid",
                    example=_only_who_paid,
                    says=both(
                        pt="você usou a probabilidade de pagar também para quem não pagou. Conta a "
                        "probabilidade dada ao que aconteceu.",
                        en="you used the probability of paying for those who did not pay, too. "
                        "What counts is the probability given to what happened.",
                    ),
                ),
                Mistake(
                    name="log_of_the_mean",
                    example=_of_the_means,
                    says=both(
                        pt="o logaritmo da média não é a média dos logaritmos. Uma certeza errada "
                        "custa caro, e a média a esconde antes que o logaritmo a veja.",
                        en="the logarithm of the mean is not the mean of the logarithms. A wrong "
                        "certainty is expensive, and the mean hides it before the logarithm sees "
                        "it.",
                    ),
                ),
                Mistake(
                    name="ratio",
                    example=lambda both: (
                        np.log(_chances(both)["leaked"]).mean()
                        / np.log(_chances(both)["honest"]).mean()
                    ),
                    says=both(
                        pt="isso é uma razão. “Quanto sobe” é uma diferença, na unidade da perda.",
                        en="that is a ratio. “By how much it rises” is a difference, in the unit "
                        "of the loss.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Para cada linha, que probabilidade cada modelo deu ao que aconteceu? Para "
                    "quem não pagou, é o que falta para 1.",
                    en="For each row, which probability did each model give to what happened? For "
                    "who did not pay it is what is missing to 1.",
                ),
                both(
                    pt="`where` mantém um valor onde a condição vale e põe outro onde não vale. "
                    "Depois, a média de uma subtração.",
                    en="`where` keeps a value where the condition holds and puts another where it "
                    "does not. Then the mean of a subtraction.",
                ),
            ],
        ),
        Exercise(
            name="filled",
            right=lambda: lambda values, learned: values.fillna(learned.median()),
            probe=_filled_answers,
            mistakes=[
                Mistake(
                    name="own_median",
                    example=lambda: lambda values, learned: values.fillna(values.median()),
                    says=both(
                        pt="você usou a mediana do que acabou de chegar. Cada lote teria a sua, e "
                        "um lote só de lacunas não teria nenhuma. O Pipeline lembra a do treino.",
                        en="you used the median of what has just arrived. Each batch would have "
                        "its own, and a batch of gaps only would have none. The Pipeline remembers "
                        "that of training.",
                    ),
                ),
                Mistake(
                    name="both_together",
                    example=lambda: (
                        lambda values, learned: values.fillna(pd.concat([values, learned]).median())
                    ),
                    says=both(
                        pt="a sua mediana mistura o que se aprendeu com o que chegou depois: a "
                        "mesma linha receberia respostas diferentes conforme os seus vizinhos.",
                        en="your median mixes what was learned with what came later: the same row "
                        "would get different answers depending on its neighbours.",
                    ),
                ),
                Mistake(
                    name="mean",
                    example=lambda: lambda values, learned: values.fillna(learned.mean()),
                    says=both(
                        pt="isso é a média. Um único valor enorme no treino a arrasta; a mediana "
                        "não sai do lugar.",
                        en="that is the mean. A single huge value in training drags it along; the "
                        "median does not move.",
                    ),
                ),
                Mistake(
                    name="zero",
                    example=lambda: lambda values, learned: values.fillna(0),
                    says=both(
                        pt="zero é um valor como outro qualquer, e quase nunca o do meio.",
                        en="zero is a value like any other, and hardly ever that of the middle.",
                    ),
                ),
                Mistake(
                    name="dropped",
                    example=lambda: lambda values, learned: values.dropna(),
                    says=both(
                        pt="você jogou linhas fora. Em serviço cada requisição espera resposta.",
                        en="you threw rows away. In service each request waits for an answer.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="De qual das duas colunas o Pipeline ainda se lembra quando está em "
                    "serviço?",
                    en="Which of the two columns does the Pipeline still remember when it is in "
                    "service?",
                ),
                both(
                    pt="`fillna` recebe o número que entra no lugar das lacunas.",
                    en="`fillna` takes the number that goes where the gaps are.",
                ),
            ],
        ),
    ],
    quiz=[
        Question(
            name="too_good",
            asks=both(
                pt="Um modelo julgado em empréstimos posteriores ao treino acerta quase tudo. O "
                "que isso mostra?",
                en="A model judged on loans later than its training gets nearly everything right. "
                "What does that show?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Que não há vazamento: o corte foi no tempo.",
                        en="That there is no leak: the cut was by time.",
                    ),
                    why=both(
                        pt="o corte separa linhas. Uma coluna reescrita depois atravessa o corte "
                        "dentro da própria linha.",
                        en="the cut separates rows. A column that is written anew afterwards "
                        "crosses the cut within its own row.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Nada ainda: falta saber quando cada coluna foi escrita.",
                        en="Nothing yet: it remains to know when each column was written.",
                    ),
                    why=both(
                        pt="O número vale se as colunas forem as que existiam na hora do pedido.",
                        en="The number holds if the columns are those that existed at the time of "
                        "the application.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Que o modelo decorou o treino.",
                        en="That the model learned its training by heart.",
                    ),
                    why=both(
                        pt="quem decora vai bem no treino e mal depois; aqui ele foi bem depois.",
                        en="who learns by heart does well in training and badly afterwards; here "
                        "it did well afterwards.",
                    ),
                ),
            ],
        ),
        Question(
            name="shuffled",
            asks=both(
                pt="Quando uma divisão ao acaso promete o mesmo que uma pelo tempo?",
                en="When does a random split promise the same as one by time?",
            ),
            options=[
                Option(
                    text=both(pt="Quando há linhas suficientes.", en="When there are enough rows."),
                    why=both(
                        pt="mais linhas estreitam o intervalo em torno da resposta à pergunta "
                        "errada.",
                        en="more rows narrow the interval around the answer to the wrong question.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Quando o modelo é simples demais para decorar.",
                        en="When the model is too simple to learn by heart.",
                    ),
                    why=both(
                        pt="o modelo dos carros é uma regressão linear, e a promessa foi quebrada.",
                        en="the model of the cars is a linear regression, and its promise was "
                        "broken.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Quando o mundo não muda e uma linha não sabe nada das vizinhas.",
                        en="When the world does not change and a row knows nothing of its "
                        "neighbours.",
                    ),
                    why=both(
                        pt="Foi o caso do crédito. Não foi o dos carros, nem o dos voos.",
                        en="That was the case of credit. It was not that of cars, nor of flights.",
                    ),
                    right=True,
                ),
            ],
        ),
        Question(
            name="gap",
            asks=both(
                pt="No treino nunca faltou `late_payments_12m`. Em serviço ela começa a chegar "
                "vazia. O que faz um Pipeline com `add_indicator=True`?",
                en="In training `late_payments_12m` was never missing. In service it begins to "
                "arrive empty. What does a Pipeline with `add_indicator=True` do?",
            ),
            options=[
                Option(
                    text=both(pt="Põe a mediana, calado.", en="It puts in the median, in silence."),
                    why=both(
                        pt="O indicador só existe para colunas que tinham lacunas no ajuste. Quem "
                        "avisa é o contrato.",
                        en="There is an indicator only for columns that had gaps when it was "
                        "fitted. What gives notice is the contract.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Usa o indicador e corrige a nota.",
                        en="It uses the indicator and corrects the score.",
                    ),
                    why=both(
                        pt="um peso se aprende com exemplos, e não houve nenhum.",
                        en="a weight is learned from examples, and there was none.",
                    ),
                ),
                Option(
                    text=both(pt="Levanta um erro.", en="It raises an error."),
                    why=both(
                        pt="o imputador existe justamente para que não haja erro, e por isso "
                        "também não há aviso.",
                        en="the imputer is there just so that there is no error, which is why "
                        "there is no notice either.",
                    ),
                ),
            ],
        ),
        Question(
            name="reference",
            asks=both(
                pt="Por que a referência guarda todos os pedidos, e não só os empréstimos?",
                en="Why does the reference hold all applications, and not only the loans?",
            ),
            options=[
                Option(
                    text=both(pt="Para ter mais linhas.", en="To have more rows."),
                    why=both(
                        pt="mais linhas da população errada só tornam o engano mais preciso.",
                        en="more rows of the wrong population only make the mistake more precise.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Porque os recusados têm rótulo.",
                        en="Because the refused have a label.",
                    ),
                    why=both(
                        pt="são os únicos que nunca têm.",
                        en="they are the only ones that never have one.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Porque ao endpoint chegam pedidos, antes de qualquer escolha.",
                        en="Because to the endpoint come applications, before any choice.",
                    ),
                    why=both(
                        pt="Compara-se o que chega com o que chegava, não com o que foi escolhido.",
                        en="What arrives is compared with what used to arrive, not with what was "
                        "chosen.",
                    ),
                    right=True,
                ),
            ],
        ),
    ],
)
