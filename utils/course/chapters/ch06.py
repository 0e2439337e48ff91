"""What chapter 06 asks: values never seen, latency, labels known on a date, who may testify."""

import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# Exercise 1: values never seen ------------------------------------------------------------------

_REQUESTS = pd.DataFrame(
    {
        "hour": [6.0, 30.0, 12.0, None, 8.0, 5.0],
        "temperature_f": [40.0, 90.0, 99.0, 3.0, None, 64.0],
        "visibility_miles": [10.0, 10.0, 3.0, 2.0, 9.0, 0.0],
    }
)
_LOWEST = pd.Series({"hour": 5.0, "temperature_f": 11.0, "visibility_miles": 0.0})
_HIGHEST = pd.Series({"hour": 23.0, "temperature_f": 64.0, "visibility_miles": 10.0})


def _outside(requests, lowest, highest):
    return requests.lt(lowest) | requests.gt(highest)


def _outside_share(requests, lowest, highest):
    return _outside(requests, lowest, highest).any(axis=1).mean()


def _probe_outside(answer):
    return [answer(_REQUESTS, _LOWEST, _HIGHEST), answer(_REQUESTS.head(1), _LOWEST, _HIGHEST)]


_OUTSIDE_SHARE = Exercise(
    name="outside_share",
    right=lambda: _outside_share,
    probe=_probe_outside,
    mistakes=[
        Mistake(
            name="counts values",
            example=lambda: lambda r, low, high: _outside(r, low, high).to_numpy().mean(),
            says=both(
                pt="essa é a parcela dos *valores*, e não das requisições. Uma requisição com um "
                "valor ruim entre sete conta inteira, não um sétimo.",
                en="that is the share of the *values*, not of the requests. A request with one "
                "bad value in seven counts as a whole, not as a seventh.",
            ),
        ),
        Mistake(
            name="counts missing values",
            example=lambda: lambda r, low, high: (~(r.ge(low) & r.le(high))).any(axis=1).mean(),
            says=both(
                pt="um valor ausente entrou na conta. Comparar com `NaN` dá sempre falso, de modo "
                "que negar «está dentro» não é o mesmo que «está fora».",
                en="a missing value was counted. A comparison with `NaN` is always false, so the "
                "negation of “is inside” is not the same as “is outside”.",
            ),
        ),
        Mistake(
            name="needs every value",
            example=lambda: lambda r, low, high: _outside(r, low, high).all(axis=1).mean(),
            says=both(
                pt="você pede que *todos* os valores estejam fora. Para extrapolar basta um.",
                en="you ask for *all* values to be outside. One is enough to extrapolate.",
            ),
        ),
        Mistake(
            name="counts the edge",
            example=lambda: lambda r, low, high: (r.le(low) | r.ge(high)).any(axis=1).mean(),
            says=both(
                pt="um valor igual ao menor ou ao maior foi visto: ele define a faixa.",
                en="a value equal to the least or the greatest was seen: it defines the range.",
            ),
        ),
        Mistake(
            name="one side",
            example=lambda: lambda r, low, high: r.gt(high).any(axis=1).mean(),
            when=lambda outcome, right: (
                outcome == _probe_outside(lambda r, low, high: r.lt(low).any(axis=1).mean())
            ),
            says=both(
                pt="você olhou para um lado só da faixa; ela tem dois.",
                en="you looked at one side of the range only; it has two.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Primeiro decida valor por valor; depois, linha por linha.",
            en="First decide value by value; then row by row.",
        ),
        both(
            pt="Um DataFrame se compara coluna a coluna com uma Series: veja `DataFrame.lt` e "
            "`DataFrame.gt`. Diante de `NaN`, ambos dizem falso.",
            en="A DataFrame is compared with a Series column by column: see `DataFrame.lt` and "
            "`DataFrame.gt`. Faced with `NaN`, both say false.",
        ),
        both(
            pt="De uma tabela de verdadeiros e falsos, `any(axis=1)` faz um por linha; a média de "
            "verdadeiros e falsos é uma parcela.",
            en="Of a table of true and false, `any(axis=1)` makes one a row; the mean of true and "
            "false is a share.",
        ),
    ],
)

# Exercise 2: latency ----------------------------------------------------------------------------

_START = pd.Series(pd.to_datetime(["2013-04-01T23:59:59.5Z"] * 4))
_END = _START + pd.to_timedelta([250, 1_010, 2_050.5, 86_461_000], unit="ms")


def _probe_latency(answer):
    return answer(_START, _END)


_LATENCY_MS = Exercise(
    name="latency_ms",
    right=lambda: lambda start, end: (end - start).dt.total_seconds() * 1_000,
    probe=_probe_latency,
    mistakes=[
        Mistake(
            name="microseconds part",
            example=lambda: lambda start, end: (end - start).dt.microseconds / 1_000,
            says=both(
                pt="é a armadilha da tabela acima: `microseconds` guarda só a fração que sobra "
                "depois dos segundos.",
                en="that is the trap of the table above: `microseconds` holds only the fraction "
                "that is left over after the seconds.",
            ),
        ),
        Mistake(
            name="whole seconds",
            example=lambda: lambda start, end: (end - start).dt.seconds * 1_000,
            says=both(
                pt="`seconds` é outra parte, e não o todo: perde as frações e recomeça do zero a "
                "cada dia.",
                en="`seconds` is another part, and not the whole: it loses the fractions, and "
                "starts again from zero with each day.",
            ),
        ),
        Mistake(
            name="two parts",
            example=lambda: (
                lambda start, end: (
                    (end - start).dt.seconds * 1_000 + (end - start).dt.microseconds / 1_000
                )
            ),
            says=both(
                pt="quase: somar segundos e microssegundos ainda esquece os dias inteiros. Há um "
                "método que dá o todo.",
                en="nearly: seconds and microseconds added up still forget whole days. There is a "
                "method that gives the whole.",
            ),
        ),
        Mistake(
            name="seconds",
            example=lambda: lambda start, end: (end - start).dt.total_seconds(),
            says=both(
                pt="isso está em segundos. A unidade está no nome da função.",
                en="that is in seconds. The unit is in the function's name.",
            ),
        ),
        Mistake(
            name="negative",
            example=lambda: lambda start, end: (start - end).dt.total_seconds() * 1_000,
            says=both(
                pt="latências negativas: a resposta vem depois do pedido.",
                en="negative latencies: the answer comes after the request.",
            ),
        ),
    ],
    hints=[
        both(
            pt="A diferença de duas séries de horários é uma série de durações. Veja o que o seu "
            "acessor `.dt` oferece.",
            en="The difference of two series of times is a series of durations. See what its "
            "accessor `.dt` offers.",
        ),
        both(
            pt="`days`, `seconds` e `microseconds` são as *partes* de uma duração. Procure um "
            "método que dê a duração inteira em um número só, e confira a unidade.",
            en="`days`, `seconds` and `microseconds` are the *parts* of a duration. Look for a "
            "method that gives the whole duration as one number, and check the unit.",
        ),
    ],
)

# Exercise 3: what is known on a date ------------------------------------------------------------

_CAPTURED = pd.DataFrame(
    {
        "event_time": pd.to_datetime(
            [f"2013-07-01T{hour:02}:00Z" for hour in (8, 9, 10, 11, 12, 13, 14)]
        ),
        "label_known_at": pd.to_datetime(
            ["2013-07-01T12:00Z", "2013-07-01T10:30Z", None, "2013-07-01T13:30Z"]
            + ["2013-07-01T16:00Z", "2013-07-01T14:30Z", "2013-07-01T15:00Z"]
        ),
    }
)
_MOMENTS = pd.to_datetime(["2013-07-01T12:00Z", "2013-07-01T13:30Z"])


def _share_known(captured, as_of):
    made = captured[captured["event_time"] <= as_of]
    return (made["label_known_at"] <= as_of).mean()


def _among_all(captured, as_of):
    return (captured["label_known_at"] <= as_of).mean()


def _ever_known(captured, as_of):
    made = captured[captured["event_time"] <= as_of]
    return made["label_known_at"].notna().mean()


def _among_those_that_come(captured, as_of):
    return _share_known(captured.dropna(), as_of)


def _strictly_before(captured, as_of):
    made = captured[captured["event_time"] < as_of]
    return (made["label_known_at"] < as_of).mean()


_SHARE_KNOWN = Exercise(
    name="share_known",
    right=lambda: _share_known,
    probe=lambda answer: [answer(_CAPTURED, moment) for moment in _MOMENTS],
    mistakes=[
        Mistake(
            name="counts the future",
            example=lambda: _among_all,
            says=both(
                pt="você divide por previsões que naquele momento ainda não existiam. O gráfico "
                "de ontem não pode depender das partidas de hoje.",
                en="you divide by predictions that did not exist yet at that moment. Yesterday's "
                "chart cannot depend on today's departures.",
            ),
        ),
        Mistake(
            name="knows the future",
            example=lambda: _ever_known,
            says=both(
                pt="esses rótulos chegaram, mas alguns só depois do momento pedido.",
                en="those labels did come, but some only after the moment that was asked for.",
            ),
        ),
        Mistake(
            name="forgets those that never come",
            example=lambda: _among_those_that_come,
            says=both(
                pt="sumiram as previsões sem rótulo. No momento pedido ninguém sabia quais nunca "
                "teriam um: para quem espera, são previsões como as outras.",
                en="the predictions without a label are gone. At that moment nobody knew which "
                "would never have one: to those who wait, they are predictions like the rest.",
            ),
        ),
        Mistake(
            name="the very moment",
            example=lambda: _strictly_before,
            says=both(
                pt="o que acontece no próprio momento já aconteceu: «até ele» o inclui.",
                en="what happens at the very moment has happened: “by” it includes it.",
            ),
        ),
    ],
    hints=[
        both(
            pt="São duas perguntas com o mesmo momento: quais previsões já existiam? E, destas, de "
            "quais o rótulo já tinha chegado?",
            en="These are two questions with the same moment: which predictions existed? And, of "
            "these, of which had the label come?",
        ),
        both(
            pt="A primeira pergunta escolhe linhas, a segunda conta. Uma comparação com um horário "
            "ausente (`NaT`) dá falso, que é o que se quer aqui.",
            en="The first question chooses rows, the second counts. A comparison with a missing "
            "time (`NaT`) is false, which is what is wanted here.",
        ),
    ],
)

# Exercise 4: who may testify --------------------------------------------------------------------

_LOANS = pd.DataFrame(
    {
        "applied_at": pd.to_datetime(
            ["2023-12-10", "2024-01-10", "2024-01-20", "2024-02-01", "2024-02-19", "2024-02-20"]
            + ["2024-05-01", "2024-06-01", "2024-07-15", "2024-08-10"],
            utc=True,
        ),
        "known_at": pd.to_datetime(
            ["2024-01-11", "2024-07-09", "2024-03-05", "2024-08-01", "2024-08-17", "2024-08-20"]
            + ["2024-06-15", "2024-12-03", "2024-08-29", "2024-09-24"],
            utc=True,
        ),
        "repaid": [1, 1, 0, 1, 1, 1, 0, 1, 0, 0],
    }
)
_AS_OF = pd.Timestamp("2024-09-01", tz="UTC")
_LONGEST = pd.Timedelta("195D")


def _default_rate(loans, as_of, longest):
    old_enough = loans["applied_at"] + longest <= as_of
    return float((loans.loc[old_enough, "repaid"] == 0).mean())


def _of_known(loans, as_of, longest):
    return float((loans.loc[loans["known_at"] <= as_of, "repaid"] == 0).mean())


def _unknown_as_repaid(loans, as_of, longest):
    granted = loans[loans["applied_at"] <= as_of]
    return float(((granted["repaid"] == 0) & (granted["known_at"] <= as_of)).mean())


def _old_and_known_lately(loans, as_of, longest):
    return float((loans.loc[loans["known_at"] + longest <= as_of, "repaid"] == 0).mean())


def _with_hindsight(loans, as_of, longest):
    return float((loans.loc[loans["applied_at"] <= as_of, "repaid"] == 0).mean())


_DEFAULT_RATE = Exercise(
    name="default_rate",
    right=lambda: _default_rate,
    probe=lambda answer: answer(_LOANS, _AS_OF, _LONGEST),
    mistakes=[
        Mistake(
            name="among the known",
            example=lambda: _of_known,
            says=both(
                pt="você ouviu todos os rótulos conhecidos. Entre os empréstimos novos só os "
                "desfechos rápidos são conhecidos, e a figura mostrou o que isso faz.",
                en="you heard all the labels that are known. Among the new loans only the quick "
                "outcomes are, and the figure showed what that does.",
            ),
        ),
        Mistake(
            name="unknown counts as repaid",
            example=lambda: _unknown_as_repaid,
            says=both(
                pt="quem ainda está pagando entrou como quem pagou. Silêncio não é pagamento.",
                en="those who are still paying were counted as having repaid. Silence is not a "
                "repayment.",
            ),
        ),
        Mistake(
            name="age of the label",
            example=lambda: _old_and_known_lately,
            says=both(
                pt="você contou a espera a partir do rótulo. O que precisa ter idade é o "
                "empréstimo.",
                en="you counted the wait from the label. What has to be of age is the loan.",
            ),
        ),
        Mistake(
            name="hindsight",
            example=lambda: _with_hindsight,
            says=both(
                pt="você usou desfechos que em `as_of` ninguém conhecia.",
                en="you used outcomes that nobody knew at `as_of`.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Escolha os empréstimos por algo que já se sabia no dia em que nasceram, e nunca "
            "pelo próprio desfecho.",
            en="Choose the loans by something that was known on the day they were born, and never "
            "by the outcome itself.",
        ),
        both(
            pt="Que idade precisa ter um empréstimo para que o seu desfecho, qualquer que seja, "
            "seja conhecido com certeza em `as_of`?",
            en="How old must a loan be for its outcome, whichever it is, to be known for certain "
            "at `as_of`?",
        ),
    ],
)

# The quiz ---------------------------------------------------------------------------------------

_QUIZ = [
    Question(
        name="shuffle",
        asks=both(
            pt="Você embaralha os rótulos de uma semana, e a acurácia não muda. O que se segue?",
            en="You shuffle the labels of a week, and the accuracy does not change. What follows?",
        ),
        options=[
            Option(
                text=both(pt="O modelo é robusto a ruído.", en="The model is robust to noise."),
                why=both(
                    pt="robusto seria acertar apesar do ruído; aqui, trocar toda a verdade não fez "
                    "diferença alguma.",
                    en="robust would be to be right in spite of noise; here a swap of the whole "
                    "truth made no difference at all.",
                ),
            ),
            Option(
                text=both(
                    pt="Essa acurácia não mede a relação entre resposta e verdade.",
                    en="That accuracy does not measure how answers relate to the truth.",
                ),
                why=both(
                    pt="Pode faltar a relação no modelo, nos rótulos ou na junção entre os dois: é "
                    "por aí que se continua a procurar.",
                    en="The relation may be missing in the model, in the labels, or in the join of "
                    "the two: that is where to go on looking.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Os rótulos com certeza são inventados.", en="The labels are surely made up."
                ),
                why=both(
                    pt="rótulos verdadeiros, juntados às previsões erradas, dariam o mesmo sinal; "
                    "e um modelo que responde sempre igual, também.",
                    en="true labels, joined to the wrong predictions, would give the same sign; so "
                    "would a model that always answers alike.",
                ),
            ),
        ],
    ),
    Question(
        name="diverted",
        asks=both(
            pt="Como um painel de desempenho deve contar um voo desviado?",
            en="How should a panel of performance count a flight that was diverted?",
        ),
        options=[
            Option(
                text=both(pt="Como atraso zero.", en="As a delay of zero."),
                why=both(
                    pt="o desempenho pareceria melhor justamente nos dias de mau tempo.",
                    en="performance would look better precisely on the days of bad weather.",
                ),
            ),
            Option(
                text=both(
                    pt="Como rótulo atrasado, a esperar para sempre.",
                    en="As a late label, to be waited for for ever.",
                ),
                why=both(
                    pt="a janela nunca ficaria completa, e ninguém a julgaria.",
                    en="the window would never be complete, and nobody would judge it.",
                ),
            ),
            Option(
                text=both(
                    pt="Fora da medida do erro, mas dentro da parcela sem rótulo, à vista.",
                    en="Outside the measure of error, but inside the share without a label, in "
                    "sight.",
                ),
                why=both(
                    pt="Assim o número diz sobre quem fala, e um salto nessa parcela também é "
                    "notícia.",
                    en="So the number says of whom it speaks, and a leap in that share is news "
                    "too.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="evening",
        asks=both(
            pt="São 18 h. O erro das três últimas horas, com o que já se sabe, está bem abaixo do "
            "usual. O que você pensa primeiro?",
            en="It is 6 p.m. The error of the last three hours, with what is known, is well below "
            "the usual. What do you think of first?",
        ),
        options=[
            Option(
                text=both(
                    pt="Que só pousaram os voos curtos.", en="That only short flights have landed."
                ),
                why=both(
                    pt="Compare com as três últimas horas de outros dias, vistas também às 18 h, e "
                    "a pergunta se resolve.",
                    en="Compare with the last three hours of other days, seen at 6 p.m. as well, "
                    "and the question is settled.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Que o modelo melhorou à tarde.",
                    en="That the model got better in the afternoon.",
                ),
                why=both(
                    pt="pode ser; mas o mesmo quadro aparece todas as tardes, com qualquer modelo.",
                    en="it may be; but the same picture appears every afternoon, with any model.",
                ),
            ),
            Option(
                text=both(
                    pt="Que o intervalo de confiança resolve.",
                    en="That the confidence interval takes care of it.",
                ),
                why=both(
                    pt="um intervalo conta o acaso de quem entrou na amostra, e não quem não podia "
                    "entrar.",
                    en="an interval accounts for the chance of who came into the sample, and not "
                    "for who could not come in.",
                ),
            ),
        ],
    ),
    Question(
        name="again",
        asks=both(
            pt="A reprodução caiu no meio, e ninguém sabe se o último lote foi gravado. O que se "
            "faz?",
            en="The replay broke off half-way, and nobody knows whether the last batch was stored. "
            "What is to be done?",
        ),
        options=[
            Option(
                text=both(
                    pt="Apagar tudo e começar de novo, por segurança.",
                    en="Delete everything and start again, to be safe.",
                ),
                why=both(
                    pt="apagar história de produção não é seguro nem preciso.",
                    en="to delete the history of production is neither safe nor necessary.",
                ),
            ),
            Option(
                text=both(
                    pt="Repetir a mesma chamada, com a mesma semente.",
                    en="Make the same call again, with the same seed.",
                ),
                why=both(
                    pt="Cada linha tem o mesmo identificador de antes; o que já foi gravado é "
                    "reconhecido, e o resto entra.",
                    en="Each row has the same identifier as before; what is stored already is "
                    "recognised, and the rest goes in.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Repetir com outra semente, para não colidir.",
                    en="Make it again with another seed, so as not to collide.",
                ),
                why=both(
                    pt="outra semente faz outros identificadores: a primeira metade ficaria em "
                    "dobro.",
                    en="another seed makes other identifiers: the first half would be there twice.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(
    number="06",
    exercises=[_OUTSIDE_SHARE, _LATENCY_MS, _SHARE_KNOWN, _DEFAULT_RATE],
    quiz=_QUIZ,
)
