"""Chapter 00: can a model fail while everything looks green?"""

from types import SimpleNamespace

import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both


def _known(cohort: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    return cohort[cohort["known_at"] <= as_of]


def _share_of_defaults(loans: pd.DataFrame) -> float:
    return float((loans["repaid"] == 0).mean())


def _known_share(*, cohort: pd.DataFrame, as_of: pd.Timestamp) -> float:
    return _share_of_defaults(_known(cohort, as_of))


def _few_loans() -> dict:
    """Return five loans of one day: by ``as_of`` one was repaid and two defaulted, two are open."""
    day = pd.Timestamp("2024-06-17", tz="UTC")
    cohort = pd.DataFrame(
        {
            "applied_at": day,
            "repaid": pd.array([1, 0, 0, 1, 0], dtype="Int64"),
            "known_at": day + pd.to_timedelta([31, 45, 45, 122, 105], unit="D"),
        }
    )
    return {"cohort": cohort, "as_of": pd.Timestamp("2024-09-09", tz="UTC")}


KNOWN_SHARE = Exercise(
    name="known_share",
    right=_known_share,
    sample=_few_loans,
    mistakes=[
        Mistake(
            name="knows the future",
            example=lambda *, cohort, as_of: _share_of_defaults(cohort),
            says=both(
                pt="você usou rótulos que chegaram depois de `as_of`. Naquele dia, ninguém os "
                "tinha.",
                en="you used labels that came after `as_of`. On that day nobody had them.",
            ),
        ),
        Mistake(
            name="takes unknown for repaid",
            example=lambda *, cohort, as_of: (
                _share_of_defaults(_known(cohort, as_of)) * len(_known(cohort, as_of)) / len(cohort)
            ),
            says=both(
                pt="você dividiu por todos os empréstimos. Os que ainda não têm rótulo entraram na "
                "conta como pagos, e isso ninguém sabe.",
                en="you divided by all the loans. Those without a label yet went in as repaid, and "
                "nobody knows that.",
            ),
        ),
        Mistake(
            name="share repaid",
            example=lambda *, cohort, as_of: 1 - _known_share(cohort=cohort, as_of=as_of),
            says=both(
                pt="essa é a parcela dos que pagaram. `repaid` vale 1 para quem pagou e 0 para "
                "quem deu calote.",
                en="that is the share of those who paid. `repaid` is 1 for who paid and 0 for who "
                "defaulted.",
            ),
        ),
        Mistake(
            name="percent",
            example=lambda *, cohort, as_of: 100 * _known_share(cohort=cohort, as_of=as_of),
            says=both(
                pt="uma parcela fica entre 0 e 1; isso parece uma porcentagem ou uma contagem.",
                en="a share lies between 0 and 1; this looks like a percentage or a count.",
            ),
            when=lambda outcome, right: isinstance(outcome, int | float) and outcome > 1,
        ),
    ],
    hints=[
        both(
            pt="Primeiro, fique só com os empréstimos cujo rótulo já tinha chegado em `as_of`.",
            en="First keep only the loans whose label had arrived by `as_of`.",
        ),
        both(
            pt="A coluna `known_at` diz quando cada rótulo chegou. A média de uma condição é uma "
            "parcela.",
            en="The column `known_at` says when each label arrived. The mean of a condition is a "
            "share.",
        ),
    ],
)

COMPLETE_ON = Exercise(
    name="complete_on",
    right=lambda *, cohort: cohort["known_at"].max(),
    sample=_few_loans,
    mistakes=[
        Mistake(
            name="first label",
            example=lambda *, cohort: cohort["known_at"].min(),
            says=both(
                pt="nesse dia chegou o primeiro rótulo; faltavam todos os outros.",
                en="on that day the first label came; all the others were still missing.",
            ),
        ),
        Mistake(
            name="half of the labels",
            example=lambda *, cohort: cohort["known_at"].median(),
            says=both(
                pt="nesse dia ainda faltava metade dos rótulos.",
                en="on that day half of the labels were still missing.",
            ),
        ),
        Mistake(
            name="last loan",
            example=lambda *, cohort: cohort["applied_at"].max(),
            says=both(
                pt="esse é o dia do último pedido, não o do último rótulo.",
                en="that is the day of the last application, not of the last label.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Um grupo está completo quando chega o último dos seus rótulos.",
            en="A group is complete when the last of its labels comes.",
        ),
        both(
            pt="Procure na coluna `known_at`; a resposta é um momento, não um número de dias.",
            en="Look in the column `known_at`; the answer is a moment, not a number of days.",
        ),
    ],
)


VERDICT_WORDS = ("hit", "miss", "false alarm")


def _verdicts(*, screens: pd.DataFrame, ledger: pd.DataFrame) -> dict[str, str]:
    return {
        name: _verdict(rows[rows["alarm"]], ledger[ledger["harmful"]])
        for name, rows in screens.groupby("monitor")
    }


def _verdict(alarms: pd.DataFrame, harmful: pd.DataFrame) -> str:
    """Return what a screen was worth: an alarm is right where it falls into a harmful incident."""
    if alarms.empty:
        return "miss"
    right = any(
        ((alarms["window_start"] < each.end) & (alarms["window_end"] > each.start)).any()
        for each in harmful.itertuples()
    )
    return "hit" if right else "false alarm"


def _with(verdict: str, *, of: str):
    def example(**given) -> dict[str, str]:
        return _verdicts(**given) | {of: verdict}

    return example


def _says(verdict: str, *, of: str):
    return lambda outcome, right: isinstance(outcome, dict) and outcome.get(of) == verdict


def _three_screens() -> dict:
    weeks = pd.date_range("2024-03-04", periods=2, freq="140D", tz="UTC")
    screens = pd.DataFrame(
        {
            "monitor": ["operations"] * 2 + ["inputs"] * 2 + ["performance"] * 2,
            "window_start": [*weeks] * 3,
            "window_end": [*(weeks + pd.Timedelta("7D"))] * 3,
            "alarm": [False, False, True, False, False, True],
        }
    )
    ledger = pd.DataFrame(
        {"start": weeks, "end": weeks + pd.Timedelta("28D"), "harmful": [False, True]}
    )
    return {"screens": screens, "year": SimpleNamespace(ledger=ledger)}


VERDICTS = Exercise(
    name="verdicts",
    right=_verdicts,
    sample=_three_screens,
    mistakes=[
        Mistake(
            name="a loud change is a hit",
            example=_with("hit", of="inputs"),
            when=_says("hit", of="inputs"),
            says=both(
                pt="o alarme das entradas viu uma mudança de verdade, mas o que o gabarito diz de "
                "`harmful` naquelas semanas? E em junho, ele tocou?",
                en="the alarm on the inputs saw a true change; but what does the answer key say of "
                "`harmful` in those weeks? And in June, did it ring?",
            ),
        ),
        Mistake(
            name="silence is right",
            example=_with("hit", of="operations"),
            when=_says("hit", of="operations"),
            says=both(
                pt="uma tela que nunca tocou não acertou o incidente danoso: ela não o viu.",
                en="a screen that never rang did not get the harmful incident right: it did not "
                "see it.",
            ),
        ),
        Mistake(
            name="silence is a false alarm",
            example=_with("false alarm", of="operations"),
            when=_says("false alarm", of="operations"),
            says=both(
                pt="sem alarme não há alarme falso. Que nome tem o contrário dele?",
                en="where there was no alarm there is no false one. What is its opposite called?",
            ),
        ),
        Mistake(
            name="late is a miss",
            example=_with("miss", of="performance"),
            when=_says("miss", of="performance"),
            says=both(
                pt="os calotes aos 45 dias tocaram dentro do incidente danoso. Chegar tarde é "
                "atraso, não falha.",
                en="the defaults at 45 days rang within the harmful incident. To come late is a "
                "delay, not a miss.",
            ),
        ),
        Mistake(
            name="another word",
            example=_with("acerto", of="operations"),
            when=lambda outcome, right: (
                isinstance(outcome, dict)
                and not all(verdict in VERDICT_WORDS for verdict in outcome.values())
            ),
            says=both(
                pt='um dos valores não é `"hit"`, `"miss"` nem `"false alarm"`.',
                en='one of the values is none of `"hit"`, `"miss"` and `"false alarm"`.',
            ),
        ),
    ],
    hints=[
        both(
            pt="Para cada tela, duas perguntas: ela tocou alguma vez? Alguma dessas vezes cai "
            "dentro de um incidente com `harmful` verdadeiro?",
            en="For each screen, two questions: did it ever ring? Does any of those times fall "
            "into an incident with `harmful` true?",
        ),
        both(
            pt="Não tocou, e houve dano: falha de detecção. Tocou, mas só onde não houve dano: "
            "alarme falso.",
            en="It did not ring, and there was harm: a miss. It rang, but only where there was no "
            "harm: a false alarm.",
        ),
    ],
)

SILENCE = Question(
    name="silence",
    asks=both(
        pt="A tela de operação ficou verde o ano inteiro. O que ela provou?",
        en="The operations screen was green all year. What did it prove?",
    ),
    options=[
        Option(
            text=both(pt="Que o modelo acertava.", en="That the model was right."),
            why=both(
                pt="nenhuma das três curvas olha para uma resposta e pergunta se estava certa.",
                en="none of its three curves looks at an answer and asks whether it was right.",
            ),
        ),
        Option(
            text=both(
                pt="Que as respostas chegavam, depressa e sem erro técnico.",
                en="That answers came, fast and without a technical error.",
            ),
            why=both(
                pt="Uma resposta errada leva os mesmos milissegundos que uma certa.",
                en="A wrong answer takes as many milliseconds as a right one.",
            ),
            right=True,
        ),
        Option(
            text=both(pt="Nada: telas assim não servem.", en="Nothing: such screens are no use."),
            why=both(
                pt="ela provou algo útil: se o serviço cai, é ela que avisa primeiro.",
                en="it proved something useful: if the service goes down, it is the first to tell.",
            ),
        ),
    ],
)

QUIET_INPUTS = Question(
    name="quiet_inputs",
    asks=both(
        pt="Por que o painel das entradas não tocou em junho?",
        en="Why did the panel of the inputs not ring in June?",
    ),
    options=[
        Option(
            text=both(pt="O limiar estava alto demais.", en="Its threshold was too high."),
            why=both(
                pt="com outro limiar ele tocaria por acaso, em qualquer mês: não havia mudança "
                "alguma para ver.",
                en="with another threshold it would ring by chance, in any month: there was no "
                "change to see.",
            ),
        ),
        Option(
            text=both(pt="Havia poucos pedidos.", en="There were too few applications."),
            why=both(
                pt="dez vezes mais pedidos mostrariam, com mais precisão, que nada se mexeu.",
                en="ten times as many would show, more precisely, that nothing had moved.",
            ),
        ),
        Option(
            text=both(
                pt="Mudou o desfecho de quem tem os mesmos dados, não os dados.",
                en="What changed is what becomes of people with the same data, not the data.",
            ),
            why=both(
                pt="É a deriva de conceito, e só os rótulos a mostram.",
                en="It is concept drift, and only labels show it.",
            ),
            right=True,
        ),
    ],
)

NEWEST = Question(
    name="newest",
    asks=both(
        pt="Num gráfico de calotes conhecidos até hoje, os empréstimos mais novos são os melhores. "
        "Por quê?",
        en="In a chart of the defaults known today, the newest loans are the best. Why?",
    ),
    options=[
        Option(
            text=both(
                pt="Ainda não houve tempo para que os calotes deles fossem conhecidos.",
                en="There was no time yet for their defaults to become known.",
            ),
            why=both(
                pt="Por isso se comparam empréstimos da mesma idade.",
                en="That is why one compares loans of the same age.",
            ),
            right=True,
        ),
        Option(
            text=both(pt="O modelo aprendeu com o tempo.", en="The model has learned with time."),
            why=both(
                pt="este modelo não mudou desde janeiro, e mesmo assim a curva cai sempre no fim.",
                en="this model has not changed since January, and still the curve always falls at "
                "its end.",
            ),
        ),
        Option(
            text=both(
                pt="Os clientes de agora são melhores.",
                en="The customers of today are better ones.",
            ),
            why=both(
                pt="nas três datas a curva cai no fim, e cada vez são outros clientes.",
                en="on all three dates the curve falls at its end, with other customers each time.",
            ),
        ),
    ],
)

ALWAYS = Question(
    name="always",
    asks=both(
        pt="No placar, por que fica ao lado uma vigia que sempre toca?",
        en="Why does a lookout that always rings stand beside the others on the scoreboard?",
    ),
    options=[
        Option(
            text=both(
                pt="Porque quem não perde incidente nenhum é a melhor vigia.",
                en="Because whoever misses no incident is the best lookout.",
            ),
            why=both(
                pt="ela nota tudo porque toca em tudo; numa semana qualquer, o seu alarme não "
                "informa nada.",
                en="it notices everything because it rings at everything; in any one week its "
                "alarm tells nothing.",
            ),
        ),
        Option(
            text=both(
                pt="Porque uma vigia só merece existir se custa menos do que tocar sempre, ou "
                "nunca.",
                en="Because a lookout is worth having only if it costs less than ringing always, "
                "or never.",
            ),
            why=both(
                pt="Notar todos os incidentes não basta: isso se consegue sem olhar para nada.",
                en="To notice every incident is not enough: that can be had without looking at "
                "anything.",
            ),
            right=True,
        ),
        Option(
            text=both(
                pt="Para mostrar que alarmes à toa não custam nada.",
                en="To show that alarms for nothing cost nothing.",
            ),
            why=both(
                pt="custam: é deles que vem todo o custo dela no placar.",
                en="they do cost: all of its cost on the scoreboard comes from them.",
            ),
        ),
    ],
)

CHAPTER = Chapter(
    number="00",
    exercises=[KNOWN_SHARE, COMPLETE_ON, VERDICTS],
    quiz=[SILENCE, QUIET_INPUTS, NEWEST, ALWAYS],
)
