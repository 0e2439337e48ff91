"""Chapter 11: is the service healthy, affordable, private and unattacked?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# --------------------------------------------------------------------- enough for a percentile

_ASKED = ((0.99, 0.025), (0.95, 0.025), (0.5, 0.1))


def _counts(function: Callable) -> list[int]:
    return [int(function(q, chance)) for q, chance in _ASKED]


NEEDED = Exercise(
    name="needed",
    sample=lambda: {"np": np, "math": math},
    probe=_counts,
    right=lambda: lambda q, chance: math.ceil(math.log(chance) / math.log(q)),
    mistakes=[
        Mistake(
            name="one_beyond",
            example=lambda: lambda q, chance: math.ceil(1 / (1 - q)),
            says=both(
                pt="com esse número espera-se *uma* requisição além do percentil, mas em mais de "
                "um terço das vezes não vem nenhuma. Peça que nenhuma venha só com a chance dada.",
                en="with that many one expects *one* request beyond the percentile, but more than "
                "a third of the time there is none. Ask that there be none with the given chance "
                "alone.",
            ),
        ),
        Mistake(
            name="rounded_down",
            example=lambda: lambda q, chance: math.floor(math.log(chance) / math.log(q)),
            says=both(
                pt="falta uma: com esse número a chance ainda é maior do que a dada. Arredonde "
                "para cima.",
                en="one is missing: with that many the chance is still above the given one. Round "
                "up.",
            ),
        ),
        Mistake(
            name="other_side",
            example=lambda: lambda q, chance: math.ceil(math.log(1 - chance) / math.log(q)),
            says=both(
                pt="você usou a chance do contrário. A de que *todas* as n fiquem aquém do "
                "percentil é q elevado a n; é ela que não pode passar de `chance`.",
                en="you used the chance of the contrary. That *all* n stay short of the percentile "
                "is q to the power n; it is this that may not exceed `chance`.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Uma requisição fica aquém do percentil q com chance q. Qual é a chance de que n "
            "fiquem todas?",
            en="One request stays short of percentile q with the chance q. What is the chance that "
            "all n do?",
        ),
        both(
            pt="O menor n com q**n <= chance; com logaritmos, log(chance)/log(q), para cima.",
            en="The least n with q**n <= chance; by logarithms, log(chance)/log(q), rounded up.",
        ),
    ],
)

# ------------------------------------------------------------------------------- how many workers

_DEMANDS = ((150, 800.0, 0.6), (90, 500.0, 0.7), (3, 50.0, 0.5))


def _workers(function: Callable) -> list[int]:
    return [int(function(peak, service, limit)) for peak, service, limit in _DEMANDS]


WORKERS = Exercise(
    name="workers",
    sample=lambda: {"np": np, "math": math},
    probe=_workers,
    right=lambda: lambda peak, service, limit: math.ceil(peak / 60 * service / 1000 / limit),
    mistakes=[
        Mistake(
            name="all_busy",
            example=lambda: lambda peak, service, limit: math.ceil(peak / 60 * service / 1000),
            says=both(
                pt="com tantos, todos estariam ocupados o tempo todo, e a fila não teria fim. "
                "Deixe a folga que `busy_limit` pede.",
                en="with that many all would be busy all the time, and the queue would have no "
                "end. Leave the room that `busy_limit` asks for.",
            ),
        ),
        Mistake(
            name="rounded",
            example=lambda: lambda peak, service, limit: int(peak / 60 * service / 1000 / limit),
            says=both(
                pt="não há meio trabalhador: arredonde para cima, e nunca para zero.",
                en="there is no half a worker: round up, and never to none.",
            ),
        ),
        Mistake(
            name="units",
            example=lambda: lambda peak, service, limit: math.ceil(peak * service / 1000 / limit),
            says=both(
                pt="o pico está por minuto, e o tempo de serviço em milissegundos: ponha os dois "
                "em segundos.",
                en="the peak is a minute's, and the service time is in milliseconds: put both into "
                "seconds.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Trabalho que chega por segundo = requisições por segundo × segundos de cada uma.",
            en="Work that arrives a second = requests a second × seconds of each.",
        ),
        both(
            pt="Divida esse trabalho por `busy_limit` e arredonde para cima.",
            en="Divide that work by `busy_limit` and round up.",
        ),
    ],
)

# ------------------------------------------------------------------------------------- until full

_TRENDS = ((2.0, 1.2, 0.01, 0.02), (2.0, 1.2, -0.01, 0.02), (2.0, 1.2, -0.02, -0.01))


def _days(function: Callable) -> list[list[float]]:
    return [[float(each) for each in function(*trend)] for trend in _TRENDS]


def _until(limit: float, last: float, slope_low: float, slope_high: float) -> tuple[float, float]:
    def days(slope: float) -> float:
        return (limit - last) / slope if slope > 0 else math.inf

    return days(slope_high), days(slope_low)


UNTIL_FULL = Exercise(
    name="until_full",
    sample=lambda: {"np": np, "math": math},
    probe=_days,
    right=lambda: _until,
    mistakes=[
        Mistake(
            name="swapped",
            example=lambda: lambda *trend: _until(*trend)[::-1],
            says=both(
                pt="a inclinação *maior* enche mais cedo: o primeiro número é o da inclinação de "
                "cima.",
                en="the *greater* slope fills it sooner: the first number is that of the upper "
                "slope.",
            ),
        ),
        Mistake(
            name="negative",
            example=lambda: (
                lambda limit, last, low, high: (
                    (limit - last) / high,
                    (limit - last) / low,
                )
            ),
            says=both(
                pt="uma inclinação que não sobe nunca enche: infinito, e não um número negativo de "
                "dias.",
                en="a slope that does not rise never fills it: infinity, and no negative number of "
                "days.",
            ),
        ),
        Mistake(
            name="from_zero",
            example=lambda: lambda limit, last, low, high: _until(limit, 0.0, low, high),
            says=both(
                pt="a memória não está vazia hoje: conte do último valor até o limite.",
                en="the memory is not empty today: count from the last value to the limit.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Dias = o que falta até o limite, dividido pelo que sobe por dia.",
            en="Days = what is left until the limit, divided by what it rises a day.",
        ),
        both(
            pt="O mais cedo vem de `slope_high`, o mais tarde de `slope_low`; sem subida, "
            "`math.inf`.",
            en="The soonest comes of `slope_high`, the latest of `slope_low`; where it does not "
            "rise, `math.inf`.",
        ),
    ],
)

# -------------------------------------------------------------------------------------- the crowd


def _people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": ["18-24", "18-24", "60+", "60+", "60+", None, "25-39", "25-39"],
            "region": ["Sul", "Sul", "Sul", "Sul", "Sul", "Sul", "Norte", "Norte"],
        }
    )


CROWD = Exercise(
    name="crowd",
    sample=lambda: {"np": np, "pd": pd},
    probe=lambda function: [
        int(function(_people(), ["age", "region"])),
        int(function(_people(), ["region"])),
    ],
    right=lambda: lambda frame, columns: frame.groupby(columns, dropna=False).size().min(),
    mistakes=[
        Mistake(
            name="missing_dropped",
            example=lambda: lambda frame, columns: frame.groupby(columns).size().min(),
            says=both(
                pt="quem não tem a idade sumiu da conta, e está sozinho: `groupby` descarta os "
                "valores ausentes se você não pedir o contrário.",
                en="who has no age dropped out, and is alone: `groupby` drops the missing unless "
                "told not to.",
            ),
        ),
        Mistake(
            name="mean_size",
            example=lambda: (
                lambda frame, columns: round(frame.groupby(columns, dropna=False).size().mean())
            ),
            says=both(
                pt="a média não protege ninguém: quem está sozinho continua sozinho. É a *menor* "
                "multidão que conta.",
                en="the mean protects nobody: who is alone stays alone. It is the *smallest* crowd "
                "that counts.",
            ),
        ),
        Mistake(
            name="number_of_groups",
            example=lambda: lambda frame, columns: frame.groupby(columns, dropna=False).ngroups,
            says=both(
                pt="esse é o número de multidões, e não o tamanho da menor.",
                en="that is the number of crowds, and not the size of the smallest.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Agrupe pelas colunas e conte as linhas de cada grupo.",
            en="Group by the columns and count the rows of each group.",
        ),
        both(
            pt="O menor tamanho; com `dropna=False`, para que os valores ausentes sejam um grupo "
            "também.",
            en="The least size; with `dropna=False`, so that the missing are a group too.",
        ),
    ],
)

# --------------------------------------------------------------------------------------- the quiz

QUIZ = [
    Question(
        name="faster",
        asks=both(
            pt="Desde ontem a latência média e o percentil 99 caíram pela metade. O que você olha "
            "antes de comemorar?",
            en="Since yesterday the mean latency and the 99th percentile are half of what they "
            "were. What do you look at before celebrating?",
        ),
        options=[
            Option(
                text=both(pt="O percentil 99,9.", en="The 99.9th percentile."),
                why=both(
                    pt="Cairia também: o que ficou de fora não está em percentil nenhum.",
                    en="It would fall too: what was left out is in no percentile.",
                ),
            ),
            Option(
                text=both(
                    pt="Quantas requisições foram recusadas ou perdidas.",
                    en="How many requests were refused or lost.",
                ),
                why=both(
                    pt="Quem é recusado na hora é rápido, e não tem resposta.",
                    en="Who is refused at once is quick, and has no answer.",
                ),
                right=True,
            ),
            Option(
                text=both(pt="O uso de CPU.", en="The use of the CPU."),
                why=both(
                    pt="Teria caído também: menos trabalho foi feito.",
                    en="It would have fallen too: less work was done.",
                ),
            ),
        ],
    ),
    Question(
        name="idle",
        asks=both(
            pt="A CPU está em 30% na média do dia, e as requisições das 14h esperam segundos. "
            "Por quê?",
            en="The CPU is at 30% on the day's average, and requests at 14h wait for seconds. Why?",
        ),
        options=[
            Option(
                text=both(
                    pt="A espera cresce com a ocupação do pico, e a média inclui a noite.",
                    en="Waiting grows with how busy the peak is, and the mean includes the night.",
                ),
                why=both(
                    pt="Quando quase todos estão ocupados, a fila cresce sem proporção.",
                    en="When nearly all are busy, the queue grows out of all proportion.",
                ),
                right=True,
            ),
            Option(
                text=both(pt="O modelo é lento.", en="The model is slow."),
                why=both(
                    pt="O tempo de serviço é o mesmo de madrugada, quando ninguém espera.",
                    en="The service time is the same at night, when nobody waits.",
                ),
            ),
            Option(
                text=both(pt="Falta memória.", en="Memory is short."),
                why=both(
                    pt="Nada disso aparece aqui; é a fila.",
                    en="Nothing here says so; it is the queue.",
                ),
            ),
        ],
    ),
    Question(
        name="hash",
        asks=both(
            pt="Para proteger os clientes, a equipe guarda o SHA-256 do CPF em vez do CPF. O que "
            "isso garante?",
            en="To protect the customers the team keeps the SHA-256 of the CPF instead of the CPF. "
            "What does that guarantee?",
        ),
        options=[
            Option(
                text=both(
                    pt="Que ninguém pode voltar ao CPF: o hash não tem inversa.",
                    en="That nobody can get back to the CPF: a hash has no inverse.",
                ),
                why=both(
                    pt="Não é preciso inverter: tenta-se cada CPF, e são poucos.",
                    en="There is no need to invert: one tries each CPF, and there are few.",
                ),
            ),
            Option(
                text=both(
                    pt="Quase nada: todos os CPFs podem ser testados em minutos.",
                    en="Next to nothing: all CPFs can be tried in minutes.",
                ),
                why=both(
                    pt="Com uma chave secreta (HMAC) só quem tem a chave tenta; e continua sendo "
                    "dado pessoal.",
                    en="With a secret key (HMAC) only who has the key can try; and it still is "
                    "personal data.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Que os dados são anônimos perante a lei.",
                    en="That the data are anonymous in the eyes of the law.",
                ),
                why=both(
                    pt="Quem pode ser reidentificado com meios razoáveis não é anônimo.",
                    en="Who can be identified again by reasonable means is not anonymous.",
                ),
            ),
        ],
    ),
    Question(
        name="poison",
        asks=both(
            pt="Um cliente passa a declarar calote de quem pagou. Que vigia pode notar?",
            en="A client begins to report payers as defaulters. Which watch can notice?",
        ),
        options=[
            Option(
                text=both(
                    pt="Os sinais de segurança nas requisições.",
                    en="The signs of security in the requests.",
                ),
                why=both(
                    pt="As requisições são honestas; a mentira vem depois, no rótulo.",
                    en="The requests are honest; the lie comes later, in the label.",
                ),
            ),
            Option(
                text=both(
                    pt="O desempenho medido, por cliente.",
                    en="The performance measured, by client.",
                ),
                why=both(
                    pt="E, até se entender, esses rótulos ficam de quarentena: não se retreina "
                    "com eles.",
                    en="And until it is understood those labels stay in quarantine: nothing is "
                    "retrained on them.",
                ),
                right=True,
            ),
            Option(
                text=both(pt="O limite de requisições.", en="The rate limit."),
                why=both(
                    pt="O volume é o de sempre.",
                    en="The volume is what it always was.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="11", exercises=[NEEDED, WORKERS, UNTIL_FULL, CROWD], quiz=QUIZ)
