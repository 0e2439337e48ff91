"""Chapter 13: how does the loop close by itself, and when must it not?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# ------------------------------------------------------------------------------------- the offset

_DELAYS = (
    np.array([1.0, 2.0, 3.0, 4.2, 5.0, 6.0, 7.0, 8.0, 30.0, 400.0]),
    np.array([0.5, 0.5, 0.6, 20.0]),
)
_SHARES = (0.5, 0.9)


def _hours(function: Callable) -> list[float]:
    return [float(function(delays, share)) for delays in _DELAYS for share in _SHARES]


def _offset(delays_hours: np.ndarray, share: float) -> int:
    needed = np.quantile(delays_hours, share, method="inverted_cdf")
    return int(np.ceil(needed))


OFFSET = Exercise(
    name="offset",
    sample=lambda: {"np": np},
    probe=_hours,
    right=lambda: _offset,
    mistakes=[
        Mistake(
            name="mean",
            example=lambda: lambda delays_hours, share: int(np.ceil(np.mean(delays_hours))),
            says=both(
                pt="você esperou o atraso médio. A média não diz que parcela já chegou: um só "
                "rótulo de semanas a empurra, e a parcela pedida nem entra na conta.",
                en="you waited for the mean delay. A mean does not say which share has come: one "
                "label of weeks pushes it, and the share that is asked for does not come into it.",
            ),
        ),
        Mistake(
            name="all_of_them",
            example=lambda: lambda delays_hours, share: int(np.ceil(np.max(delays_hours))),
            says=both(
                pt="você esperou o último rótulo. Pediu-se uma parcela: pelo último se espera "
                "semanas, ou para sempre.",
                en="you waited for the last label. A share was asked for: the last one takes "
                "weeks, or never comes.",
            ),
        ),
        Mistake(
            name="rounded_down",
            example=lambda: (
                lambda delays_hours, share: int(
                    np.floor(np.quantile(delays_hours, share, method="inverted_cdf"))
                )
            ),
            says=both(
                pt="arredondou para baixo: na hora inteira de antes, a parcela ainda não tinha "
                "chegado.",
                en="you rounded down: at the whole hour before, the share had not come yet.",
            ),
        ),
        Mistake(
            name="between_two",
            example=lambda: (
                lambda delays_hours, share: int(np.ceil(np.quantile(delays_hours, share)))
            ),
            says=both(
                pt="o quantil padrão do NumPy fica *entre* dois rótulos. Aqui é preciso que a "
                "parcela já tenha chegado: veja `method` em `np.quantile`.",
                en="NumPy's usual quantile lies *between* two labels. Here the share must have "
                "come: look at `method` of `np.quantile`.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Ordene os atrasos. Em que posição a parcela pedida já chegou?",
            en="Sort the delays. At which place has the share that is asked for come?",
        ),
        both(
            pt="`np.quantile(..., method='inverted_cdf')` devolve um atraso que existe; "
            "arredonde-o para cima com `np.ceil`.",
            en="`np.quantile(..., method='inverted_cdf')` returns a delay that is there; round it "
            "up by `np.ceil`.",
        ),
    ],
)

# ---------------------------------------------------------------------------------- ripe or not


def _rows() -> pd.DataFrame:
    """Return ten rows of one day, an hour apart; some labels come late, just in time, or never."""
    made = pd.date_range("2013-04-01T00:00Z", periods=10, freq="1h")
    late = pd.to_timedelta([10, 1, 2, 30, None, 4, 1, 2, 1, 1], unit="h")
    return pd.DataFrame({"event_time": made, "label_known_at": made + late})


_NOW = pd.Timestamp("2013-04-01T10:00Z")


def _ripe(rows: pd.DataFrame, now: pd.Timestamp, settled_hours: float) -> float:
    due = rows[rows["event_time"] < now - pd.Timedelta(hours=settled_hours)]
    return float((due["label_known_at"] <= now).mean())


def _shares(function: Callable) -> list[float]:
    return [float(function(_rows(), _NOW, hours)) for hours in (3, 6)]


RIPE = Exercise(
    name="ripe",
    sample=lambda: {"np": np, "pd": pd},
    probe=_shares,
    right=lambda: _ripe,
    mistakes=[
        Mistake(
            name="every_row",
            example=lambda: (
                lambda rows, now, settled_hours: float((rows["label_known_at"] <= now).mean())
            ),
            says=both(
                pt="você contou também as linhas novas demais para ter rótulo. Elas estão sempre "
                "em falta, e nada dizem sobre quem devia ter chegado.",
                en="you counted the rows that are too new to have a label as well. They are always "
                "missing, and say nothing of those that should be here.",
            ),
        ),
        Mistake(
            name="ever",
            example=lambda: (
                lambda rows, now, settled_hours: float(
                    rows.loc[
                        rows["event_time"] < now - pd.Timedelta(hours=settled_hours),
                        "label_known_at",
                    ]
                    .notna()
                    .mean()
                )
            ),
            says=both(
                pt="você contou rótulos que só chegam **depois** de `now`. Num registro completo "
                "eles estão lá; naquele momento ninguém os conhecia.",
                en="you counted labels that come **after** `now`. In a complete record they are "
                "there; at that moment nobody knew them.",
            ),
        ),
        Mistake(
            name="known_long_ago",
            example=lambda: (
                lambda rows, now, settled_hours: float(
                    (
                        rows.loc[
                            rows["event_time"] < now - pd.Timedelta(hours=settled_hours),
                            "label_known_at",
                        ]
                        <= now - pd.Timedelta(hours=settled_hours)
                    ).mean()
                )
            ),
            says=both(
                pt="você exigiu que o rótulo já fosse conhecido `settled_hours` atrás. A espera "
                "vale para a linha; o rótulo basta ter chegado até `now`.",
                en="you asked that the label was known `settled_hours` ago. The wait is for the "
                "row; its label need only have come by `now`.",
            ),
        ),
        Mistake(
            name="missing_share",
            example=lambda: lambda rows, now, hours: 1 - _ripe(rows, now, hours),
            says=both(
                pt="essa é a parcela que falta.",
                en="that is the share that is missing.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Primeiro, que linhas são velhas o bastante? `event_time` antes de `now` menos "
            "`settled_hours`.",
            en="First, which rows are old enough? `event_time` before `now` less `settled_hours`.",
        ),
        both(
            pt="Delas, que parcela tem `label_known_at` até `now`? Um `NaT` nunca é menor que "
            "nada, então já conta como falta.",
            en="Of those, which share has `label_known_at` by `now`? A `NaT` is never below "
            "anything, so it counts as missing by itself.",
        ),
    ],
)

# ---------------------------------------------------------------------------------- the evidence

_LOOKS = (
    (np.array([0.1, 0.4, -0.2]), 0.5, 0.3),
    (np.array([2.0, 1.0]), 1.0, 2.0),
    (np.array([0.25]), 0.5, 1.0),
)


def _looks(function: Callable) -> list[float]:
    return [float(function(*look)) for look in _LOOKS]


def _evidence(differences: np.ndarray, harm: float, spread: float) -> float:
    return float(harm / spread**2 * np.sum(differences - harm / 2))


EVIDENCE = Exercise(
    name="evidence",
    sample=lambda: {"np": np},
    probe=_looks,
    right=lambda: _evidence,
    mistakes=[
        Mistake(
            name="against_zero",
            example=lambda: lambda d, harm, spread: float(harm / spread**2 * np.sum(d)),
            says=both(
                pt="falta descontar `harm / 2`. O ponto neutro fica a meio caminho entre as duas "
                "hipóteses, e não em zero: uma diferença de zero já fala contra o dano.",
                en="`harm / 2` is not taken off. The neutral point lies half way between the two "
                "hypotheses, not at zero: a difference of zero speaks against harm already.",
            ),
        ),
        Mistake(
            name="mean",
            example=lambda: lambda d, harm, spread: float(harm / spread**2 * np.mean(d - harm / 2)),
            says=both(
                pt="você tirou a média. Cada dia soma a sua evidência: dez dias iguais dizem dez "
                "vezes mais que um.",
                en="you took the mean. Each day adds its evidence: ten days alike say ten times as "
                "much as one.",
            ),
        ),
        Mistake(
            name="upside_down",
            example=lambda: lambda d, harm, spread: float(harm / spread**2 * np.sum(harm / 2 - d)),
            says=both(
                pt="o sinal está invertido: evidência positiva tem de falar a favor do dano.",
                en="the sign is upside down: positive evidence must speak for harm.",
            ),
        ),
        Mistake(
            name="not_squared",
            example=lambda: lambda d, harm, spread: float(harm / spread * np.sum(d - harm / 2)),
            says=both(
                pt="o desvio-padrão entra ao quadrado: é a variância que divide, na densidade da "
                "normal.",
                en="the standard deviation enters squared: it is the variance that divides, in the "
                "normal density.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Escreva o logaritmo da densidade normal nas duas médias, `harm` e 0, e subtraia. "
            "Os termos em `d²` se cancelam.",
            en="Write the logarithm of the normal density at both means, `harm` and 0, and "
            "subtract. The terms in `d²` cancel.",
        ),
        both(
            pt="Sobra, por dia, `harm / spread**2 * (d - harm / 2)`. Some sobre os dias.",
            en="What is left of each day is `harm / spread**2 * (d - harm / 2)`. Add up the days.",
        ),
    ],
)

# -------------------------------------------------------------------------------------- once only


def _once(done: dict[str, Any], name: str, do: Callable[[], Any]) -> Any:
    if name not in done:
        done[name] = do()
    return done[name]


def _kept(function: Callable) -> list[float]:
    """Return how often steps were done, what came back and was kept, and what a failure left."""
    done: dict[str, Any] = {}
    calls: list[int] = []

    def counts() -> int:
        calls.append(1)
        return 7

    back = [float(function(done, "train", counts) or 0) for _ in range(2)]
    nothing: list[int] = []
    for name, value in (("n_alerts", 0), ("note", None)):
        for _ in range(2):
            function(done, name, lambda value=value: nothing.append(1) or value)
    tries: list[int] = []

    def fails_once() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the disk is full")
        return 5

    later, n_raised = -1.0, 0
    for _ in range(2):
        try:
            later = float(function(done, "promote", fails_once) or 0)
        except OSError:
            n_raised += 1
    kept = [float(done.get(name) == value) for name, value in (("train", 7), ("promote", 5))]
    return [
        float(len(calls)),
        *back,
        float(len(nothing)),
        float(len(tries)),
        later,
        n_raised,
        *kept,
    ]


def _records_first(done: dict[str, Any], name: str, do: Callable[[], Any]) -> Any:
    if name in done:
        return done[name]
    done[name] = None
    done[name] = do()
    return done[name]


def _marks_done(done: dict[str, Any], name: str, do: Callable[[], Any]) -> Any:
    if name in done:
        return done[name]
    value = do()
    done[name] = True
    return value


def _swallows(done: dict[str, Any], name: str, do: Callable[[], Any]) -> Any:
    if name not in done:
        try:
            done[name] = do()
        except Exception:
            return None
    return done[name]


def _asks_for_truth(done: Mapping[str, Any], name: str, do: Callable[[], Any]) -> Any:
    if not done.get(name):
        done[name] = do()  # type: ignore[index]
    return done[name]


ONCE = Exercise(
    name="once",
    probe=_kept,
    right=lambda: _once,
    mistakes=[
        Mistake(
            name="does_again",
            example=lambda: lambda done, name, do: do(),
            says=both(
                pt="o passo foi feito duas vezes, e nada ficou anotado em `done`: quem retoma a "
                "execução não tem como saber que ele já foi feito.",
                en="the step was done twice, and nothing was written in `done`: who takes the run "
                "up again cannot know that it was done.",
            ),
        ),
        Mistake(
            name="eager",
            example=lambda: lambda done, name, do: done.setdefault(name, do()),
            says=both(
                pt="`do()` foi chamado antes de olhar em `done`: o passo se faz de novo, e só o "
                "resultado novo é jogado fora.",
                en="`do()` was called before looking into `done`: the step is done again, and only "
                "its new result is thrown away.",
            ),
        ),
        Mistake(
            name="marks_done",
            example=lambda: _marks_done,
            says=both(
                pt="você anotou que foi feito, e não o que o passo devolveu: na segunda vez, o "
                "resultado se perdeu.",
                en="you wrote down that it was done, and not what the step returned: the second "
                "time the result is lost.",
            ),
        ),
        Mistake(
            name="swallows",
            example=lambda: _swallows,
            says=both(
                pt="a exceção de `do()` foi engolida. Quem chama tem de saber que o passo falhou.",
                en="the exception of `do()` was swallowed. The caller must know that it failed.",
            ),
        ),
        Mistake(
            name="records_first",
            example=lambda: _records_first,
            says=both(
                pt="você anotou antes de fazer. O passo que falhou ficou marcado como feito, e "
                "ninguém o fará mais: um trabalho perdido em silêncio.",
                en="you wrote it down before it was done. The step that failed stands as done, and "
                "nobody will do it any more: work lost in silence.",
            ),
        ),
        Mistake(
            name="falsy",
            example=lambda: _asks_for_truth,
            says=both(
                pt="um passo que devolveu 0 ou `None` foi feito outra vez. “Está feito” é estar em "
                "`done`, seja qual for o valor.",
                en="a step that returned 0 or `None` was done again. “Is done” means that it is in "
                "`done`, whatever its value.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Três linhas bastam: se o nome não está em `done`, faça e anote; devolva o anotado.",
            en="Three lines will do: if the name is not in `done`, do it and write it down; return "
            "what is written.",
        ),
        both(
            pt="Pergunte com `name not in done`, e só anote depois que `do()` voltou.",
            en="Ask by `name not in done`, and write only after `do()` came back.",
        ),
    ],
)

# --------------------------------------------------------------------------------------- the quiz

QUIZ = [
    Question(
        name="first",
        asks=both(
            pt="O erro dobrou, e na mesma semana a parcela de valores ausentes de uma entrada foi "
            "de 2% para 50%. O que vem primeiro?",
            en="The error doubled, and in the same week the share of missing values of an input "
            "went from 2% to 50%. What comes first?",
        ),
        options=[
            Option(
                text=both(
                    pt="Retreinar com a última semana, que é como o mundo está agora.",
                    en="Retrain on the last week, which is how the world is now.",
                ),
                why=both(
                    pt="O modelo aprenderia a viver sem a entrada, e sofreria quando ela voltasse.",
                    en="The model would learn to live without the input, and suffer when it is "
                    "back.",
                ),
            ),
            Option(
                text=both(
                    pt="Pôr a janela em quarentena e consertar a entrada.",
                    en="Put the window into quarantine and mend the input.",
                ),
                why=both(
                    pt="O mundo não mudou: mudou a medida dele. Nada daí se deve aprender.",
                    en="The world did not change: the way it is measured did. Nothing is to be "
                    "learned from that.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Voltar à versão anterior do modelo.",
                    en="Go back to the version before.",
                ),
                why=both(
                    pt="A anterior recebe a mesma entrada quebrada.",
                    en="The one before gets the same broken input.",
                ),
            ),
        ],
    ),
    Question(
        name="undecided",
        asks=both(
            pt="Depois de 42 dias, a evidência de um canário ainda está entre os dois limites. O "
            "que se faz com ele?",
            en="After 42 days the evidence of a canary still lies between the two bounds. What is "
            "done with it?",
        ),
        options=[
            Option(
                text=both(
                    pt="Promove-se: em 42 dias nenhum dano apareceu.",
                    en="It is promoted: in 42 days no harm was seen.",
                ),
                why=both(
                    pt="Não ter visto não é ter mostrado que não há. Com poucas requisições, quase "
                    "nada se vê.",
                    en="Not to have seen it is not to have shown that there is none. With few "
                    "requests next to nothing is seen.",
                ),
            ),
            Option(
                text=both(
                    pt="Sai: cabe ao novo mostrar que não causa dano.",
                    en="It is withdrawn: it is for the new one to show that it does no harm.",
                ),
                why=both(
                    pt="O campeão já serve. Trocar sem saber é pôr o risco em quem usa.",
                    en="The champion serves already. To change without knowing puts the risk on "
                    "those who use it.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Continua até decidir.",
                    en="It goes on until it is decided.",
                ),
                why=both(
                    pt="Uma diferença minúscula pode não decidir nunca, e enquanto isso nenhum "
                    "outro candidato entra.",
                    en="A tiny difference may never be decided, and meanwhile no other candidate "
                    "gets in.",
                ),
            ),
        ],
    ),
    Question(
        name="between",
        asks=both(
            pt="O processo morre depois de registrar a versão nova do modelo e antes de anotar que "
            "o passo foi feito. Quando a execução é retomada, o que ela tem de fazer?",
            en="The process dies after it registered the new version of the model, and before it "
            "wrote down that the step is done. The run is taken up again: what must it do?",
        ),
        options=[
            Option(
                text=both(
                    pt="Treinar outra vez: uma versão a mais não faz mal.",
                    en="Train again: one more version does no harm.",
                ),
                why=both(
                    pt="Ninguém saberia qual das duas o portão julgou.",
                    en="Nobody would know which of the two the gate judged.",
                ),
            ),
            Option(
                text=both(
                    pt="Achar a versão que ela mesma já fez, pelo nome da execução que a versão "
                    "carrega.",
                    en="Find the version that it made already, by the run's name that the version "
                    "carries.",
                ),
                why=both(
                    pt="Entre fazer e anotar sempre há um instante. O passo tem de reconhecer o "
                    "próprio rastro.",
                    en="Between doing and writing there is always an instant. The step must know "
                    "its own trace.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Pular o passo: com certeza já foi feito.",
                    en="Skip the step: it was surely done.",
                ),
                why=both(
                    pt="Ele pode ter morrido um instante antes, e então não há versão nenhuma.",
                    en="It may have died an instant before, and then there is no version.",
                ),
            ),
        ],
    ),
    Question(
        name="gain",
        asks=both(
            pt="Retreinar todo mês dá, no ano, quase o mesmo erro que o ciclo. O que o portão e o "
            "canário compram, então?",
            en="Retraining every month gives nearly the same error over the year as the loop. What "
            "do the gate and the canary buy, then?",
        ),
        options=[
            Option(
                text=both(pt="Nada: retreine todo mês.", en="Nothing: retrain every month."),
                why=both(
                    pt="Na média do ano. Olhe os meses: há os que o retreinamento piorou, e "
                    "ninguém teria visto.",
                    en="On average over the year. Look at the months: there are some that the "
                    "retraining made worse, and nobody would have seen it.",
                ),
            ),
            Option(
                text=both(
                    pt="Poucas trocas, e nenhuma para pior sem que se veja.",
                    en="Few changes, and none for the worse unseen.",
                ),
                why=both(
                    pt="Cada troca custa trabalho e risco. O ciclo só troca quando o novo mostra "
                    "que cura; e isso leva semanas.",
                    en="Each change costs work and risk. The loop changes only where the new one "
                    "shows that it cures; and that takes weeks.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Um modelo melhor a cada troca, garantido.",
                    en="A better model with each change, guaranteed.",
                ),
                why=both(
                    pt="O portão olha para trás. Um candidato pode passar e o mundo mudar depois.",
                    en="The gate looks back. A candidate may pass, and the world may change later.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="13", exercises=[OFFSET, RIPE, EVIDENCE, ONCE], quiz=QUIZ)
