"""Chapter 12: who is told what, when, and how often for nothing?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import poisson

from utils.course import telling
from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both, same

# ----------------------------------------------------------------------------------------- m of n

_WINDOWS = (
    [True, False, True, False, False, True],
    [True, None, None, True, False],
    [None, True, True, None, True],
)


def _fires(function: Callable) -> list[list[bool]]:
    asked = ((2, 3), (2, 2), (1, 1))
    return [
        [bool(each) for each in function(list(own), m, n)] for own in _WINDOWS for m, n in asked
    ]


def _persistent(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    last, fires = [], []
    for each in outside:
        if each is not None:
            last = [*last, each][-n:]
        fires.append(each is not None and sum(last) >= m)
    return fires


def _unknown_is_within(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    return _persistent([bool(each) for each in outside], m, n)


def _in_a_row(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    return _persistent(outside, m, m)


def _in_a_row_or_none(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    run, fires = 0, []
    for each in outside:
        run = run + 1 if each else 0
        fires.append(run >= m)
    return fires


def _after_n(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    last, fires = [], []
    for each in outside:
        if each is not None:
            last = [*last, each][-n:]
        fires.append(each is not None and len(last) == n and sum(last) >= m)
    return fires


def _without_itself(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    last, fires = [], []
    for each in outside:
        fires.append(each is not None and sum(last) >= m)
        if each is not None:
            last = [*last, each][-n:]
    return fires


def _unknown_fires(outside: Sequence[bool | None], m: int, n: int) -> list[bool]:
    last, fires = [], []
    for each in outside:
        if each is not None:
            last = [*last, each][-n:]
        fires.append(sum(last) >= m)
    return fires


PERSISTENT = Exercise(
    name="persistent",
    probe=_fires,
    right=lambda: _persistent,
    mistakes=[
        Mistake(
            name="unknown_is_within",
            example=lambda: _unknown_is_within,
            says=both(
                pt="uma janela que nada diz (`None`) apagou o que se sabia: você a contou como "
                "dentro do limite. Passe por cima dela, como se as vizinhas se tocassem.",
                en="a window that says nothing (`None`) cleared what was known: you counted it as "
                "within the bound. Pass over it, as if its neighbours touched.",
            ),
        ),
        Mistake(
            name="in_a_row",
            example=lambda: _in_a_row,
            says=both(
                pt="isso pede janelas *seguidas*. Com 2 de 3, uma janela boa no meio não apaga as "
                "duas ruins.",
                en="this asks for windows *in a row*. With 2 of 3, a good window in the middle "
                "does not clear the two bad ones.",
            ),
            when=lambda outcome, right: same(outcome, _fires(_in_a_row_or_none)),
        ),
        Mistake(
            name="after_n",
            example=lambda: _after_n,
            says=both(
                pt="você esperou haver n janelas: enquanto houver menos, conte as que houver; se "
                "`m` delas já estão fora, dispara.",
                en="you waited for there to be n windows: with fewer so far, count those there "
                "are; if `m` of them are beyond already, it fires.",
            ),
        ),
        Mistake(
            name="without_itself",
            example=lambda: _without_itself,
            says=both(
                pt="você contou só as janelas anteriores, e toca uma tarde demais: a própria "
                "janela entra na conta.",
                en="you counted the windows before alone, and ring one too late: the window itself "
                "is in the count.",
            ),
        ),
        Mistake(
            name="unknown_fires",
            example=lambda: _unknown_fires,
            says=both(
                pt="uma janela que nada diz disparou por conta das anteriores. Ela não conta, não "
                "apaga e não dispara.",
                en="a window that says nothing fired on account of those before. It does not "
                "count, does not clear and does not fire.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Guarde, à medida que anda, só as últimas n janelas que dizem algo.",
            en="As you go along, keep just the last n windows that say something.",
        ),
        both(
            pt="`True` conta como 1: `sum` de uma lista de verdadeiros e falsos é quantos são "
            "verdadeiros. Em `None`, não mexa no que guardou.",
            en="`True` counts as 1: `sum` of a list of trues and falses is how many are true. On "
            "`None`, leave what you have kept as it is.",
        ),
    ],
)

# ------------------------------------------------------------------------------------- the rule


def _right_rule(**changes: Any) -> str:
    fields = {
        "name": "nulls-last",
        "metric": "null_value_rate",
        "feature": "debt_share",
        "high": 0.03,
        "persistence": 2,
    }
    fields |= changes
    told = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "- " + "\n  ".join(told)


def _judgement(answer: str) -> dict[str, Any]:
    """Return what counts of an answer: in time, how many alerts for nothing (0, 1 or more), how."""
    outcome = telling.tried(answer)
    rules = telling.rules_of(answer)
    bounds = [bound for rule in rules for bound in (rule.low, rule.high) if bound is not None]
    return outcome | {
        "false_alerts": min(outcome["false_alerts"], 2),
        "per_cent": any(abs(bound) > 1 for bound in bounds),
        "below": any(rule.low is not None and rule.high is None for rule in rules),
        "budget": any(rule.false_alarms_per_year is not None for rule in rules),
    }


RULE = Exercise(
    name="rule",
    probe=_judgement,
    right=_right_rule,
    mistakes=[
        Mistake(
            name="per_cent",
            example=lambda: _right_rule(high=3),
            says=both(
                pt="a tabela mostra porcentagens, mas os valores medidos são parcelas: 3% é 0.03.",
                en="the table shows per cents, but the values are shares: 3% is 0.03.",
            ),
            when=lambda outcome, right: outcome["per_cent"],
        ),
        Mistake(
            name="below",
            example=lambda: _right_rule(high=None, low=0.03),
            says=both(
                pt="`low` toca *abaixo* do limite; o que se quer aqui é `high`.",
                en="`low` rings *below* the bound; you want `high` here.",
            ),
            when=lambda outcome, right: outcome["below"],
        ),
        Mistake(
            name="budget",
            example=lambda: _right_rule(high=None, false_alarms_per_year=4),
            says=both(
                pt="estas janelas não têm limiar calibrado, e um orçamento não tem com que se "
                "comparar: dê um limite.",
                en="these windows have no calibrated threshold, and a budget has nothing to be "
                "compared with: give a bound.",
            ),
            when=lambda outcome, right: outcome["budget"],
        ),
        Mistake(
            name="one_window",
            example=lambda: _right_rule(persistence=None),
            says=both(
                pt="a regra nota o incidente, e toca uma vez à toa: na semana 7, que durou uma "
                "semana só. O que distingue o incidente dela?",
                en="the rule notices the incident, and rings once for nothing: in week 7, which "
                "lasted for one week alone. What sets the incident apart from it?",
            ),
        ),
        Mistake(
            name="too_much",
            example=lambda: _right_rule(feature=None),
            says=both(
                pt="a regra toca em várias semanas quietas. O limite está perto do usual, ou ela "
                "olha também uma variável em que faltar é normal.",
                en="the rule rings in several quiet weeks. The bound is near what is usual, or it "
                "looks at a feature in which missing is normal, too.",
            ),
            when=lambda outcome, right: outcome["false_alerts"] > 1,
        ),
        Mistake(
            name="never",
            example=lambda: _right_rule(high=0.2),
            says=both(
                pt="ela não toca à toa, e também não nota o incidente a tempo: o limite está alto "
                "demais, ou ela espera por janelas demais.",
                en="it does not ring for nothing, nor does it notice the incident in time: the "
                "bound is too high, or it waits for too many windows.",
            ),
        ),
        Mistake(
            name="the_glitch_alone",
            example=lambda: _right_rule(high=0.065, persistence=None),
            says=both(
                pt="ela toca na semana 7 e dorme no incidente, que é menor e dura mais: desça o "
                "limite e espere.",
                en="it rings in week 7 and sleeps through the incident, which is smaller and lasts "
                "longer: lower the bound, and wait.",
            ),
        ),
    ],
    hints=[
        both(
            pt="A semana 7 é mais alta do que o incidente: não há limite que os separe. A duração "
            "separa.",
            en="Week 7 is higher than the incident: no bound parts them. Duration does.",
        ),
        both(
            pt="Um limite entre o usual de `debt_share` e o incidente, `persistence`, e `feature`, "
            "para que `income_brl` fique fora disso.",
            en="A bound between what is usual of `debt_share` and the incident, `persistence`, and "
            "`feature`, so that `income_brl` stays out of it.",
        ),
    ],
)

# ------------------------------------------------------------------------------------ the budget

_TEAMS = ((2, 8, 0.05), (1, 13, 0.1), (3, 26, 0.05), (1, 4, 0.2), (2, 52, 0.05))
"""The last one bears no budget at all but 0."""


def _budgets(function: Callable) -> list[Any]:
    return [function(*team) for team in _TEAMS]


def _largest(most: int, weeks: float, chance: float, *, beyond: int = 0) -> int:
    fits = [b for b in range(500) if poisson.sf(most + beyond, b * weeks / 52) <= chance]
    return max(fits)


BUDGET = Exercise(
    name="budget",
    sample=lambda: {"poisson": poisson},
    probe=_budgets,
    right=lambda: _largest,
    mistakes=[
        Mistake(
            name="by_the_mean",
            example=lambda: lambda most, weeks, chance: int(most * 52 / weeks),
            says=both(
                pt="com esse orçamento o trecho tem *em média* o que se aguenta, e portanto mais "
                "do que isso em boa parte das vezes. Use a chance, e não a média.",
                en="with this budget the stretch has *on average* what can be borne, and so more "
                "than that a good part of the time. Use the chance, and not the mean.",
            ),
        ),
        Mistake(
            name="at_least",
            example=lambda: lambda most, weeks, chance: _largest(most, weeks, chance, beyond=-1),
            says=both(
                pt="`poisson.sf(k, …)` já é a chance de *mais de* k; com k − 1 você proibiu também "
                "os `most` que a equipe aguenta.",
                en="`poisson.sf(k, …)` is the chance of *more than* k already; with k − 1 you "
                "forbade the `most` that the team can bear, too.",
            ),
        ),
        Mistake(
            name="a_year",
            example=lambda: lambda most, weeks, chance: _largest(most, 52, chance),
            says=both(
                pt="você usou a média do ano inteiro: o trecho tem só `weeks` semanas.",
                en="you used the mean of the whole year: the stretch has `weeks` weeks alone.",
            ),
        ),
        Mistake(
            name="not_whole",
            example=lambda: lambda most, weeks, chance: _largest(most, weeks, chance) + 0.5,
            says=both(
                pt="o orçamento é um número inteiro: o maior inteiro que ainda respeita a chance.",
                en="the budget is a whole number: the largest one that still keeps to the chance.",
            ),
            when=lambda outcome, right: any(each != int(each) for each in outcome),
        ),
        Mistake(
            name="at_least_one",
            example=lambda: lambda *team: max(_largest(*team), 1),
            says=both(
                pt="há equipes para as quais nem um alarme falso por ano cabe: a resposta é 0.",
                en="there are teams for which not even one false alarm a year fits: the answer is "
                "0.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Experimente cada orçamento, 0, 1, 2, …: a chance de mais de `most` só cresce.",
            en="Try each budget, 0, 1, 2, …: the chance of more than `most` only grows.",
        ),
        both(
            pt="Fique com os `b` em que `poisson.sf(most, b * weeks / 52)` não passa de `chance`, "
            "e devolva o maior.",
            en="Keep those `b` for which `poisson.sf(most, b * weeks / 52)` does not exceed "
            "`chance`, and return the largest.",
        ),
    ],
)

# ------------------------------------------------------------------------------------- hear once

_DELIVERIES = (
    ("7f", "loans: 3 alerts"),
    ("2c", "loans: 1 alert"),
    ("7f", "loans: 3 alerts"),
    ("b9", "loans: 1 alert"),
    ("7f", "loans: 3 alerts (again)"),
    ("0a", "loans: 2 alerts"),
)


def _deliveries() -> list[dict[str, str]]:
    return [{"id": id, "title": title} for id, title in _DELIVERIES]


def _titles(deliveries: Sequence[dict[str, str]], key: Callable[[Any], Any]) -> list[str]:
    first: dict[Any, str] = {}
    for place, each in enumerate(deliveries):
        first.setdefault(key((place, each)), each["title"])
    return list(first.values())


def _once(deliveries: Sequence[dict[str, str]]) -> list[str]:
    return _titles(deliveries, lambda each: each[1]["id"])


ONCE = Exercise(
    name="once",
    probe=lambda function: [list(function(_deliveries())), list(function([]))],
    right=lambda: _once,
    mistakes=[
        Mistake(
            name="deliveries",
            example=lambda: list,
            says=both(
                pt="devolva os títulos, e não as entregas inteiras.",
                en="return the titles, and not the deliveries.",
            ),
            when=lambda outcome, right: any(isinstance(each, dict) for each in outcome[0]),
        ),
        Mistake(
            name="ids",
            example=lambda: lambda deliveries: list({each["id"]: None for each in deliveries}),
            says=both(
                pt="o `id` diz qual entrega é qual, mas o que se devolve são os títulos.",
                en="the `id` tells which delivery is which, but what is returned are the titles.",
            ),
            when=lambda outcome, right: bool(set(outcome[0]) & {id for id, _ in _DELIVERIES}),
        ),
        Mistake(
            name="by_title",
            example=lambda: lambda deliveries: _titles(deliveries, lambda each: each[1]["title"]),
            says=both(
                pt="dois alertas diferentes podem ter o mesmo título, e um deles se perdeu; e a "
                "mesma mensagem pode voltar com outro texto. Quem diz qual é qual é o `id`.",
                en="two different alerts may have the same title, and one of them got lost; and "
                "the same message may come back with another text. It is the `id` that tells "
                "which is which.",
            ),
        ),
        Mistake(
            name="neighbours",
            example=lambda: (
                lambda deliveries: [
                    each["title"]
                    for place, each in enumerate(deliveries)
                    if not place or each["id"] != deliveries[place - 1]["id"]
                ]
            ),
            says=both(
                pt="você comparou só com a entrega anterior: uma repetição pode chegar depois de "
                "outras.",
                en="you compared with the delivery before alone: a repetition may come after "
                "others.",
            ),
        ),
        Mistake(
            name="last_text",
            example=lambda: (
                lambda deliveries: list({each["id"]: each["title"] for each in deliveries}.values())
            ),
            says=both(
                pt="um dicionário feito de uma vez fica com o *último* texto de cada `id`; o que "
                "vale é o primeiro, que já foi lido.",
                en="a dictionary made in one go keeps the *last* text of each `id`; what counts is "
                "the first, which was read already.",
            ),
        ),
        Mistake(
            name="out_of_order",
            example=lambda: lambda deliveries: sorted(_once(deliveries)),
            says=both(
                pt="os títulos são os certos, mas fora da ordem em que chegaram.",
                en="the titles are right, but out of the order in which they came.",
            ),
            when=lambda outcome, right: outcome != right and all(map(_same_items, outcome, right)),
        ),
    ],
    hints=[
        both(
            pt="Ande pela lista e lembre-se dos `id` que já ouviu.",
            en="Go through the list and remember the ids that you have heard.",
        ),
        both(
            pt="Um dicionário lembra a ordem em que as chaves entraram; `setdefault` não troca o "
            "que já está lá.",
            en="A dictionary remembers the order in which its keys came in; `setdefault` does not "
            "replace what is there.",
        ),
    ],
)


def _same_items(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return sorted(map(repr, one)) == sorted(map(repr, other))


# --------------------------------------------------------------------------------------- the quiz

QUIZ = [
    Question(
        name="news",
        asks=both(
            pt="Um painel de cem linhas só alarma o que não se viu em nenhuma das 52 semanas do "
            "ano passado. Nada mudou. O que esperar?",
            en="A dashboard of a hundred lines only alarms on what was seen in none of last "
            "year's 52 weeks. Nothing changed. What is to be expected?",
        ),
        options=[
            Option(
                text=both(pt="Um ou dois alarmes no ano.", en="One or two alarms in the year."),
                why=both(
                    pt="Isso é o de uma linha só; são cem, com duas pontas cada uma.",
                    en="That is one line's; there are a hundred, with two ends each.",
                ),
            ),
            Option(
                text=both(
                    pt="Alarmes em boa parte das semanas, se as linhas não andam todas juntas.",
                    en="Alarms in a good part of the weeks, unless the lines all move together.",
                ),
                why=both(
                    pt="Cada ponta é inédita uma vez em 53; com duzentas, quase quatro por semana.",
                    en="Each end is a novelty one time in 53; with two hundred, nearly four a "
                    "week.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Nenhum: o que nunca aconteceu não acontece sem motivo.",
                    en="None: what never happened does not happen without a reason.",
                ),
                why=both(
                    pt="Basta o acaso: alguma semana tem de ser a maior de todas.",
                    en="Chance is enough: some week has to be the largest of all.",
                ),
            ),
        ],
    ),
    Question(
        name="whose_budget",
        asks=both(
            pt="De onde sai o número de alarmes falsos por ano que um painel pode dar?",
            en="Where does the number of false alarms a year that a dashboard may give come from?",
        ),
        options=[
            Option(
                text=both(pt="Do costume: 1% de cada linha.", en="From custom: 1% of each line."),
                why=both(
                    pt="O costume não sabe quantas linhas há, nem quem as lê.",
                    en="Custom knows neither how many lines there are, nor who reads them.",
                ),
            ),
            Option(
                text=both(
                    pt="Do maior número que a ferramenta permite, para nada escapar.",
                    en="From the largest that the tool allows, so that nothing escapes.",
                ),
                why=both(
                    pt="A partir de certo ponto mais avisos fazem saber de menos coisas.",
                    en="From some point on more messages make fewer things known.",
                ),
            ),
            Option(
                text=both(
                    pt="Do que quem recebe aguenta investigar sem parar de ler.",
                    en="From what those who are told can investigate without ceasing to read.",
                ),
                why=both(
                    pt="É a única medida do caminho inteiro, até a pessoa.",
                    en="It is the only measure of the whole way, up to the person.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="twice",
        asks=both(
            pt="O plantonista recebeu a mesma mensagem duas vezes, com o mesmo id. O que houve?",
            en="Who is on call had the same message twice, with the same id. What happened?",
        ),
        options=[
            Option(
                text=both(
                    pt="A entrega foi feita, e o processo morreu antes de anotá-la.",
                    en="It was delivered, and the process died before it noted so.",
                ),
                why=both(
                    pt="Entre repetir e perder, escolhe-se repetir; o id permite ouvir uma vez.",
                    en="Between repeating and losing, repeating is chosen; the id lets one hear "
                    "once.",
                ),
                right=True,
            ),
            Option(
                text=both(pt="São dois incidentes.", en="There are two incidents."),
                why=both(
                    pt="Dois incidentes teriam ids diferentes.",
                    en="Two incidents would have different ids.",
                ),
            ),
            Option(
                text=both(
                    pt="A regra foi avaliada duas vezes.", en="The rule was evaluated twice."
                ),
                why=both(
                    pt="Avaliar de novo não cria nada: o nome do alerta seria o mesmo.",
                    en="To evaluate again makes nothing: the alert's name would be the same.",
                ),
            ),
        ],
    ),
    Question(
        name="no_data",
        asks=both(
            pt="O coletor de dados morre na sexta. No CloudWatch, um alarme sobre valores que "
            "faltam está com `notBreaching`. O que ele diz no sábado?",
            en="The collector of data dies on Friday. In CloudWatch an alarm on missing values has "
            "`notBreaching`. What does it say on Saturday?",
        ),
        options=[
            Option(
                text=both(pt="`ALARM`: faltam dados.", en="`ALARM`: data are missing."),
                why=both(
                    pt="Isso seria `breaching`. E um valor que falta numa linha não é uma janela "
                    "sem dados.",
                    en="That would be `breaching`. And a value that is missing from a row is no "
                    "window without data.",
                ),
            ),
            Option(
                text=both(pt="`INSUFFICIENT_DATA`.", en="`INSUFFICIENT_DATA`."),
                why=both(
                    pt="Isso seria `missing`, que admite não saber.",
                    en="That would be `missing`, which admits that it does not know.",
                ),
            ),
            Option(
                text=both(pt="`OK`: está tudo bem.", en="`OK`: all is well."),
                why=both(
                    pt="O silêncio foi tratado como bom. É preciso outro alarme, sobre o próprio "
                    "coletor.",
                    en="Silence was treated as good. It takes another alarm, on the collector "
                    "itself.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="green",
        asks=both(
            pt="O painel do modelo está verde há três meses, nas mesmas linhas e nos mesmos "
            "valores. O que olhar primeiro?",
            en="The model's dashboard has been green for three months, the same lines at the same "
            "values. What is to be looked at first?",
        ),
        options=[
            Option(
                text=both(pt="Nada: está tudo bem.", en="Nothing: all is well."),
                why=both(
                    pt="Um medidor que parou também não se mexe.",
                    en="A gauge that has stopped does not move either.",
                ),
            ),
            Option(
                text=both(
                    pt="Quando acabou a última janela medida.",
                    en="When the last window that was measured ended.",
                ),
                why=both(
                    pt="Uma medida fica exposta até vir a próxima; se ela não vem, só essa data "
                    "conta.",
                    en="A measurement stays shown until the next one comes; if it does not come, "
                    "that date alone tells.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Se os limiares estão altos demais.",
                    en="Whether the thresholds are too high.",
                ),
                why=both(
                    pt="Talvez, mas valores que não mudam nunca pedem antes outra pergunta.",
                    en="Maybe, but values that never change call for another question first.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="12", exercises=[PERSISTENT, RULE, BUDGET, ONCE], quiz=QUIZ)
