"""Chapter 07: is it still right, and how sure are we?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# ---------------------------------------------------------------------- weeks above the reference


def _changes() -> dict[str, pd.DataFrame]:
    """Return seven weeks: one that says nothing, two above, one below, three that may be any."""
    return {
        "changes": pd.DataFrame(
            {
                "metric": "mae_change",
                "value": [np.nan, 4.0, 3.0, -2.0, 1.0, -0.5, 0.5],
                "low": [np.nan, 1.0, 0.2, -3.0, -1.0, -2.0, -0.2],
                "high": [np.nan, 7.0, 6.0, -0.5, 3.0, 1.0, 1.2],
            }
        )
    }


ABOVE = Exercise(
    name="above",
    sample=_changes,
    right=lambda changes: int((changes["low"] > 0).sum()),
    mistakes=[
        Mistake(
            name="points",
            example=lambda changes: int((changes["value"] > 0).sum()),
            says=both(
                pt="você contou as semanas cujo ponto está acima de zero. Com o mundo parado, "
                "cerca de metade delas estaria: falta olhar a incerteza de cada uma.",
                en="you counted the weeks whose point lies above zero. In a world that stands "
                "still about half of them would: each one's uncertainty is not looked at yet.",
            ),
        ),
        Mistake(
            name="perhaps",
            example=lambda changes: int((changes["high"] > 0).sum()),
            says=both(
                pt="essas são as semanas que *podem* ter piorado: o intervalo delas ainda deixa "
                "lugar para o zero. A pergunta é de quais dá para afirmar.",
                en="those are the weeks that *may* be worse: their interval still has room for "
                "zero. The question is of which one can say so.",
            ),
        ),
        Mistake(
            name="either_side",
            example=lambda changes: int(((changes["low"] > 0) | (changes["high"] < 0)).sum()),
            says=both(
                pt="você contou toda semana diferente da referência, também as que melhoraram.",
                en="you counted every week that differs from the reference, also the better ones.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Cada linha traz uma diferença e o seu intervalo. O que diz de uma semana um "
            "intervalo que contém o zero?",
            en="Each row has a difference and its interval. What does an interval that holds zero "
            "say of a week?",
        ),
        both(
            pt="Para afirmar que piorou, o intervalo inteiro tem de estar acima de zero. Qual das "
            "suas duas pontas basta olhar?",
            en="To say that it got worse, the whole interval must lie above zero. Which of its "
            "two ends is enough to look at?",
        ),
    ],
)

# ------------------------------------------------------------------------------ minutes to be added


def _july() -> dict[str, pd.DataFrame]:
    return {
        "july": pd.DataFrame(
            {
                "origin": ["JFK", "JFK", "EWR", "JFK", "LGA"],
                "prediction": [10.0, 0.0, 5.0, 8.0, 1.0],
                "label": [30.0, -4.13, 6.0, np.nan, 4.0],
            }
        )
    }


def _missed_by(rows: pd.DataFrame) -> pd.Series:
    return rows["label"] - rows["prediction"]


def _of_jfk(july: pd.DataFrame) -> pd.DataFrame:
    return july[july["origin"] == "JFK"]


CORRECTION = Exercise(
    name="correction",
    sample=_july,
    right=lambda july: float(_missed_by(_of_jfk(july)).mean()),
    mistakes=[
        Mistake(
            name="sign",
            example=lambda july: -float(_missed_by(_of_jfk(july)).mean()),
            says=both(
                pt="o sinal está trocado: com essa correção as previsões ficariam duas vezes mais "
                "longe. Viés é previsto menos observado; você quer desfazê-lo.",
                en="the sign is turned round: with this correction the predictions would be twice "
                "as far off. Bias is predicted less observed; you want to undo it.",
            ),
        ),
        Mistake(
            name="everyone",
            example=lambda july: float(_missed_by(july).mean()),
            says=both(
                pt="essa é a correção de todos os aeroportos juntos; no JFK o viés é outro.",
                en="that is the correction for all airports together; JFK has a bias of its own.",
            ),
        ),
        Mistake(
            name="rounded",
            example=lambda july: round(float(_missed_by(_of_jfk(july)).mean()), 1),
            when=lambda outcome, right: (
                isinstance(outcome, (int, float)) and 0 < abs(outcome - right) < 0.06
            ),
            says=both(
                pt="o número está certo, arredondado. Em vez de copiá-lo da figura, calcule-o de "
                "`july`: assim ele acompanha os dados.",
                en="the number is right, and rounded. Instead of copying it from the picture, "
                "work it out from `july`: then it follows the data.",
            ),
        ),
        Mistake(
            name="size",
            example=lambda july: float(_missed_by(_of_jfk(july)).abs().mean()),
            says=both(
                pt="essa é a média do *tamanho* dos erros. Erros para um lado e para o outro "
                "somam no MAE, mas se cancelam no viés.",
                en="that is the mean *size* of the errors. Errors to either side add up in the "
                "MAE, but cancel out in the bias.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Fique só com as linhas do JFK. Uma previsão corrigida é a previsão mais um número "
            "fixo; a média do erro corrigido deve ser zero.",
            en="Keep the rows of JFK alone. A corrected prediction is the prediction plus a fixed "
            "number; the mean corrected error must be zero.",
        ),
        both(
            pt="Se o modelo promete pouco atraso, é preciso somar minutos: o número é positivo "
            "quando o observado fica, em média, acima do previsto.",
            en="Where the model promises too little delay, minutes must be added: the number is "
            "positive when what is observed lies, on average, above what is predicted.",
        ),
    ],
)

# ------------------------------------------------------------------------- old enough to be judged

_NOW = pd.Timestamp("2013-07-28T20:00Z")


def _waiting() -> pd.DataFrame:
    """Return five predictions; by noon-to-noon age, label known early, late, later and never."""
    made = [20, 10, 9, 4, 1]  # hours before
    known_after = [3.0, 12.0, np.nan, 2.0, 3.0]
    event_time = _NOW - pd.to_timedelta(made, unit="h")
    return pd.DataFrame(
        {
            "event_time": event_time,
            "prediction": 0.0,
            "label": [5.0, 90.0, np.nan, 2.0, 30.0],
            "label_known_at": event_time + pd.to_timedelta(known_after, unit="h"),
        },
        index=list("abcde"),
    )


def _rows_taken(mature: Callable) -> list[str]:
    return list(mature(_waiting(), _NOW, 8).index)


def _known(rows, now, hours):
    return rows[rows["label_known_at"] <= now]


def _old_and_known(rows, now, hours):
    old = rows["event_time"] <= now - pd.Timedelta(hours, "h")
    return rows[old & (rows["label_known_at"] <= now)]


def _newest(rows, now, hours):
    return rows[rows["event_time"] >= now - pd.Timedelta(hours, "h")]


def _labelled(rows, now, hours):
    return rows[rows["label"].notna()]


MATURE = Exercise(
    name="mature",
    sample=lambda: {"pd": pd},
    probe=_rows_taken,
    right=lambda: (
        lambda rows, now, hours: rows[now - rows["event_time"] >= pd.Timedelta(hours, "h")]
    ),
    mistakes=[
        Mistake(
            name="known",
            example=lambda: _known,
            says=both(
                pt="você escolheu pelas respostas que já chegaram. É o que o painel fazia: quem "
                "chega cedo entra na conta, quem atrasa fica de fora.",
                en="you chose by the answers that have come. That is what the dashboard did: who "
                "arrives early is counted, who is late is left out.",
            ),
        ),
        Mistake(
            name="old_and_known",
            example=lambda: _old_and_known,
            says=both(
                pt="a idade está certa, mas você ainda deixa de fora as previsões antigas sem "
                "rótulo. Elas têm de ficar: são elas que mostram quantas nunca vão ter um.",
                en="the age is right, but you still drop old predictions without a label. They "
                "must stay: they are what shows how many never get one.",
            ),
        ),
        Mistake(
            name="newest",
            example=lambda: _newest,
            says=both(
                pt="você ficou com as previsões mais novas, justamente as que ainda não têm "
                "rótulo. É o outro lado do corte.",
                en="you kept the newest predictions, the very ones without a label yet. It is the "
                "other side of the cut.",
            ),
        ),
        Mistake(
            name="labelled",
            example=lambda: _labelled,
            says=both(
                pt="o rótulo está no quadro, mas pode ter chegado depois de `now`: naquele "
                "momento ninguém o conhecia.",
                en="the label is in the frame, but it may have come after `now`: at that moment "
                "nobody knew it.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Pense em duas previsões feitas à mesma hora, uma que pousou no horário e uma que "
            "ainda voa. A regra deve tratar as duas do mesmo jeito.",
            en="Think of two predictions made at the same hour, one that landed on time and one "
            "still in the air. The rule must treat both alike.",
        ),
        both(
            pt="Então a regra não pode olhar nada do rótulo: nem o valor, nem a hora em que "
            "chegou. O que sobra é a hora em que a previsão foi feita.",
            en="So the rule must look at nothing of the label: neither its value nor when it "
            "came. What is left is when the prediction was made.",
        ),
        both(
            pt="Subtraia a espera de `now` com `pd.Timedelta` e compare com `event_time`.",
            en="Take the wait from `now` with `pd.Timedelta` and compare with `event_time`.",
        ),
    ],
)

# --------------------------------------------------------------------- better than a fixed answer


def _gains(gain: Callable) -> list[float]:
    few = pd.Series([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    many = pd.Series([1, 1, 1, 1, 1, 1, 1, 0, 0, 0])
    answered = pd.Series([1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    return [float(gain(few, answered)), float(gain(many, many)), float(gain(few, 0 * few))]


def _accuracy(label: pd.Series, prediction: pd.Series) -> float:
    return float((label == prediction).mean())


GAIN = Exercise(
    name="gain",
    probe=_gains,
    right=lambda: (
        lambda label, prediction: _accuracy(label, prediction) - max(label.mean(), 1 - label.mean())
    ),
    mistakes=[
        Mistake(
            name="accuracy",
            example=lambda: _accuracy,
            says=both(
                pt="essa é a acurácia inteira; falta descontar o que se acerta sem modelo nenhum.",
                en="that is the whole accuracy; what is right without any model is not taken off.",
            ),
        ),
        Mistake(
            name="base_rate",
            example=lambda: lambda label, prediction: _accuracy(label, prediction) - label.mean(),
            says=both(
                pt="você descontou a parcela de atrasos: é o acerto de quem diz “atrasado” "
                "sempre. Quando os atrasos são raros, outra resposta fixa acerta mais.",
                en="you took off the share of late flights: that is how often “late” is right. "
                "Where late flights are rare, another fixed answer does better.",
            ),
        ),
        Mistake(
            name="always_on_time",
            example=lambda: (
                lambda label, prediction: _accuracy(label, prediction) - (1 - label.mean())
            ),
            says=both(
                pt="você supôs que a melhor resposta fixa é “no horário”. Num dia em que a "
                "maioria atrasa, não é.",
                en="you took “on time” for the best fixed answer. On a day when most are late, "
                "it is not.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Quem responde sempre a mesma coisa tem duas respostas possíveis. Quanto acerta "
            "cada uma, em função da parcela de atrasos?",
            en="Who always answers the same has two answers to choose from. How often is each "
            "right, given the share of late flights?",
        ),
        both(
            pt="A acurácia é a média de `label == prediction`. Dela se tira o acerto da melhor "
            "das duas respostas fixas.",
            en="The accuracy is the mean of `label == prediction`. From it goes what the better "
            "of the two fixed answers gets right.",
        ),
    ],
)

# ------------------------------------------------------------------------------------------- quiz

QUIZ = [
    Question(
        name="interval",
        asks=both(
            pt="Uma semana tem seis mil voos. Por que o intervalo do MAE não fica minúsculo?",
            en="A week has six thousand flights. Why is the interval of the MAE not tiny?",
        ),
        options=[
            Option(
                text=both(
                    pt="Porque o MAE não tem distribuição normal.",
                    en="Because the MAE is not normally distributed.",
                ),
                why=both(
                    pt="Com milhares de linhas independentes a média seria quase normal, e o "
                    "intervalo, minúsculo. O que falta é a independência.",
                    en="With thousands of independent rows the mean would be nearly normal and "
                    "its interval tiny. What is missing is the independence.",
                ),
            ),
            Option(
                text=both(
                    pt="Porque os voos de um dia compartilham o clima: são sete dias, não seis "
                    "mil testemunhas.",
                    en="Because the flights of a day share its weather: there are seven days, not "
                    "six thousand witnesses.",
                ),
                why=both(
                    pt="Os erros de um dia andam juntos. O que se repete de forma quase "
                    "independente é o dia.",
                    en="The errors of a day move together. What repeats almost independently is "
                    "the day.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Porque faltam os rótulos dos voos desviados.",
                    en="Because the labels of diverted flights are missing.",
                ),
                why=both(
                    pt="Eles são menos de um em cem. Fazem falta por outro motivo: não é à toa "
                    "que não têm rótulo.",
                    en="They are fewer than one in a hundred. They matter for another reason: "
                    "that they have no label is no accident.",
                ),
            ),
        ],
    ),
    Question(
        name="sunday",
        asks=both(
            pt="São 16h. O erro das previsões de hoje está abaixo da referência, com intervalo "
            "estreito e 70% dos rótulos conhecidos. O que você relata?",
            en="It is 16:00. The error of today's predictions is below the reference, with a "
            "narrow interval and 70% of the labels known. What do you report?",
        ),
        options=[
            Option(
                text=both(
                    pt="Que hoje está melhor do que a referência: o intervalo diz isso.",
                    en="That today is better than the reference: the interval says so.",
                ),
                why=both(
                    pt="O intervalo fala do acaso de uma amostra. Os 30% que faltam não faltam "
                    "por acaso: são os que ainda não chegaram.",
                    en="The interval speaks of the chance in a sample. The missing 30% are not "
                    "missing by chance: they are those that have not arrived.",
                ),
            ),
            Option(
                text=both(
                    pt="O mesmo erro com um intervalo mais largo, para compensar os 30%.",
                    en="The same error with a wider interval, to make up for the 30%.",
                ),
                why=both(
                    pt="Alargar não desloca: o número está enviesado para baixo, e o centro "
                    "continua no lugar errado.",
                    en="Widening does not move it: the number is biased downwards, and its middle "
                    "stays in the wrong place.",
                ),
            ),
            Option(
                text=both(
                    pt="O erro das previsões com mais de oito horas, e que de hoje ainda não se "
                    "sabe.",
                    en="The error of the predictions more than eight hours old, and that today is "
                    "not known yet.",
                ),
                why=both(
                    pt="Escolher pela idade da previsão trata igual quem pousou e quem ainda voa.",
                    en="Choosing by the age of the prediction treats alike who has landed and who "
                    "is still in the air.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Nada, até que 100% dos rótulos tenham chegado.",
                    en="Nothing, until 100% of the labels have come.",
                ),
                why=both(
                    pt="Esse dia não chega: voos desviados nunca dão rótulo. Espere até que os "
                    "rótulos que vêm tenham vindo.",
                    en="That day never comes: diverted flights give no label. Wait until the "
                    "labels that will come have come.",
                ),
            ),
        ],
    ),
    Question(
        name="september",
        asks=both(
            pt="De julho para setembro a acurácia de “atrasado” subiu bastante e a acurácia "
            "balanceada não mudou. O que aconteceu?",
            en="From July to September the accuracy of “late” rose a good deal and the balanced "
            "accuracy did not change. What happened?",
        ),
        options=[
            Option(
                text=both(
                    pt="Menos voos atrasaram: ficou mais fácil acertar dizendo “no horário”.",
                    en="Fewer flights were late: saying “on time” became right more often.",
                ),
                why=both(
                    pt="A acurácia balanceada dá o mesmo peso às duas classes, e por isso não se "
                    "move com a parcela de atrasos.",
                    en="Balanced accuracy gives both classes the same weight, so it does not move "
                    "with the share of late flights.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="O modelo aprendeu com os dados novos.",
                    en="The model learned from the new data.",
                ),
                why=both(
                    pt="Ele é o mesmo desde abril: a versão que respondeu está em cada linha do "
                    "repositório.",
                    en="It is the same since April: the version that answered stands in each row "
                    "of the store.",
                ),
            ),
            Option(
                text=both(
                    pt="O modelo passou a encontrar mais atrasos.",
                    en="The model began to find more of the late flights.",
                ),
                why=both(
                    pt="Se fosse isso, a acurácia balanceada, que traz dentro de si a revocação, "
                    "teria subido também.",
                    en="If it had, balanced accuracy, which has the recall within it, would have "
                    "risen too.",
                ),
            ),
        ],
    ),
    Question(
        name="harder",
        asks=both(
            pt="O MAE do modelo foi de 12 para 16 min; o da regra de uma linha, de 12,5 para 15. "
            "O que dá para afirmar?",
            en="The model's MAE went from 12 to 16 min; that of the one-line rule from 12.5 to "
            "15. What can one say?",
        ),
        options=[
            Option(
                text=both(
                    pt="Só o modelo piorou: é preciso treiná-lo de novo.",
                    en="Only the model got worse: it must be trained again.",
                ),
                why=both(
                    pt="A regra não aprende nem esquece, e também piorou: parte da queda é do "
                    "mundo, e treinar de novo não a desfaz.",
                    en="The rule neither learns nor forgets, and it got worse too: part of the "
                    "loss is the world's, and no training takes that back.",
                ),
            ),
            Option(
                text=both(
                    pt="Só o mundo ficou mais difícil: o modelo não tem culpa.",
                    en="Only the world got harder: the model is not to blame.",
                ),
                why=both(
                    pt="Então a vantagem dele sobre a regra teria ficado. Ela virou desvantagem.",
                    en="Then its advantage over the rule would have stayed. It turned into a "
                    "disadvantage.",
                ),
            ),
            Option(
                text=both(
                    pt="As duas coisas: tudo ficou mais difícil, e o modelo perdeu a vantagem "
                    "que tinha.",
                    en="Both: everything got harder, and the model lost the advantage it had.",
                ),
                why=both(
                    pt="A regra mede a dificuldade; a diferença entre os dois, o que o modelo "
                    "acrescenta. As duas mudaram.",
                    en="The rule measures the difficulty; the difference of the two, what the "
                    "model adds. Both changed.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="foretold",
        asks=both(
            pt="A estimativa sem rótulos dizia 11 min, de 8 a 16. Chegaram todos os rótulos, e a "
            "medida é 18. O que você conclui?",
            en="The estimate without labels said 11 min, from 8 to 16. All labels have come, and "
            "the measurement is 18. What do you conclude?",
        ),
        options=[
            Option(
                text=both(
                    pt="Mudou o conceito: é a única coisa que a estimativa não vê.",
                    en="The concept changed: it is the only thing that the estimate does not see.",
                ),
                why=both(
                    pt="Há outra: entradas que a referência nunca mostrou. Ali a estimativa "
                    "também fala sem saber.",
                    en="There is another: inputs that the reference never showed. There, too, the "
                    "estimate speaks without knowing.",
                ),
            ),
            Option(
                text=both(
                    pt="Ou foi o acaso, ou a hipótese falhou: olho primeiro se as entradas saíram "
                    "do que a referência mostrou.",
                    en="Either that was chance, or the assumption failed: I look first whether the "
                    "inputs left what the reference has shown.",
                ),
                why=both(
                    pt="Uma semana em vinte sai por acaso; e a parte das entradas se confere sem "
                    "esperar por mais nada.",
                    en="One week in twenty leaves by chance; and the part of the inputs can be "
                    "checked without waiting for anything more.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="O modelo está como antes: a estimativa não acusou nada.",
                    en="The model is as before: the estimate brought nothing up.",
                ),
                why=both(
                    pt="Com os rótulos na mão, vale a medida. A estimativa só servia enquanto eles "
                    "faltavam.",
                    en="With the labels at hand it is the measurement that counts. The estimate "
                    "served only while they were missing.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="07", exercises=[ABOVE, CORRECTION, MATURE, GAIN], quiz=QUIZ)
