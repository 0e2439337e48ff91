"""Chapter 01: where the data come from, who is missing from them, and what will change."""

from typing import Any

import numpy as np
import pandas as pd

from utils.course import life
from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both
from utils.datasets import credit
from utils.monitors.contract import DataContract, Field, violations

LONGEST_DAYS = credit.DAYS_A_MONTH * max(credit.TERMS_MONTHS) + credit.GRACE_DAYS


# The optimism of the book -----------------------------------------------------------------------


def _optimism(book: pd.DataFrame, fate: pd.Series) -> float:
    return book["repaid"].mean() - fate.mean()


def _against_the_refused(book: pd.DataFrame, fate: pd.Series) -> float:
    return book["repaid"].mean() - fate[~book["approved"]].mean()


def _refused_as_unpaid(book: pd.DataFrame, fate: pd.Series) -> float:
    return book["repaid"].mean() - book["repaid"].fillna(0).mean()


def _sample_of_the_book() -> dict[str, Any]:
    return {
        "book": pd.DataFrame(
            {
                "approved": [True, True, True, True, False, False, False],
                "repaid": pd.array([1, 1, 1, 0, None, None, None], dtype="Int64"),
            }
        ),
        "fate": pd.Series([1, 1, 1, 0, 1, 0, 0], dtype="Int64"),
    }


# A rate that does not mislead -------------------------------------------------------------------


def _some_loans() -> pd.DataFrame:
    """Return loans of a year in which nothing changes, each known at its own time."""
    rng = np.random.default_rng(1)
    n = 4_000
    applied_at = life.BOOK_START + pd.to_timedelta(np.sort(rng.uniform(0, 365, n)), unit="D")
    repaid = rng.random(n) < 0.8
    term = rng.choice([1, 3, 6], n)
    missed = np.ceil(term * rng.random(n))
    days = np.where(repaid, 30 * term + 3 * rng.random(n), 30 * missed + credit.GRACE_DAYS)
    return pd.DataFrame(
        {
            "applied_at": applied_at,
            "known_at": applied_at + pd.to_timedelta(days, unit="D"),
            "repaid": pd.array(repaid.astype(int), dtype="Int64"),
        }
    )


_LOANS = _some_loans()
_MOMENTS = [life.BOOK_START + pd.Timedelta(days, "D") for days in (240, 300, 365)]


def _rates(default_rate: Any) -> list[float]:
    return [float(default_rate(_LOANS.copy(), as_of)) for as_of in _MOMENTS]


def _default_rate(loans: pd.DataFrame, as_of: pd.Timestamp) -> float:
    old_enough = loans["applied_at"] <= as_of - pd.Timedelta(LONGEST_DAYS, "D")
    return 1 - loans.loc[old_enough, "repaid"].mean()


def _among_the_known(loans: pd.DataFrame, as_of: pd.Timestamp) -> float:
    return 1 - loans.loc[loans["known_at"] <= as_of, "repaid"].mean()


def _innocent_until_known(loans: pd.DataFrame, as_of: pd.Timestamp) -> float:
    lent = loans[loans["applied_at"] <= as_of]
    return (lent["repaid"].eq(0) & (lent["known_at"] <= as_of)).mean()


def _clairvoyant(loans: pd.DataFrame, as_of: pd.Timestamp) -> float:
    return 1 - loans.loc[loans["applied_at"] <= as_of, "repaid"].mean()


def _share_repaid(loans: pd.DataFrame, as_of: pd.Timestamp) -> float:
    return 1 - _default_rate(loans, as_of)


# A promise --------------------------------------------------------------------------------------


def _deliveries() -> dict[str, pd.Series]:
    """Return the amounts as they may be sent: the first three well, the others not."""
    rng = np.random.default_rng(2)
    amounts = pd.Series((1_420 * np.exp(0.85 * rng.standard_normal(2_000))).clip(150, 9_000))
    return {
        "usual": amounts,
        "one_of_15_000": amounts.where(amounts.index != 3, 15_000.0),
        "a_lower_week": (amounts * 0.88).clip(lower=150),
        "negative": amounts.where(amounts.index != 3, -200.0),
        "missing": amounts.where(amounts.index % 10 != 0),
        "dollars": amounts / 5,
    }


_DELIVERIES = _deliveries()


def _reported(promise: Any) -> dict[str, bool]:
    """Return which deliveries a field reports."""
    if not isinstance(promise, Field):
        raise TypeError(f"a Field is asked for, not a {type(promise).__name__}")
    contract = DataContract(name="exercise", version="1", fields=(promise,))
    return {
        name: not violations(values.to_frame("amount_brl"), contract).empty
        for name, values in _DELIVERIES.items()
    }


def _amount(**changes: Any) -> Field:
    rules = {"minimum": 0, "maximum": 20_000, "typical": (1_000, 1_900)} | changes
    return Field(name="amount_brl", kind="number", unit="BRL", **rules)


# Rows that are left -----------------------------------------------------------------------------


def _left_wrong(year: pd.DataFrame) -> float:
    return 1 - _share(year, "range")


def _share(year: pd.DataFrame, check: str) -> float:
    return year.loc[year["check"] == check, "share"].item()


def _sample_of_violations() -> dict[str, pd.DataFrame]:
    return {
        "year": pd.DataFrame(
            {
                "feature": "income_brl",
                "check": ["range", "typical"],
                "share": [0.03, 1.0],
                "n": [3, 100],
                "n_rows": 100,
            }
        )
    }


EXERCISES = [
    Exercise(
        name="optimism",
        right=_optimism,
        sample=_sample_of_the_book,
        mistakes=[
            Mistake(
                name="against_the_refused",
                example=_against_the_refused,
                says=both(
                    pt="você comparou os aprovados com os recusados. A pergunta é quanto o livro "
                    "exagera sobre *todos*, e quatro em cada cinco deles estão no livro.",
                    en="you compared the granted with the refused. The question is how far the "
                    "book exaggerates about *everybody*, and four in five of them are in it.",
                ),
            ),
            Mistake(
                name="refused_as_unpaid",
                example=_refused_as_unpaid,
                says=both(
                    pt="você contou os recusados como quem não pagou. O rótulo deles falta; "
                    "trocá-lo por zero é inventar um desfecho.",
                    en="you counted the refused as people who did not repay. Their label is "
                    "missing; to replace it by zero is to invent an end.",
                ),
            ),
            Mistake(
                name="reversed",
                example=lambda book, fate: -_optimism(book, fate),
                says=both(
                    pt="o sinal está trocado: o livro é o mais otimista dos dois.",
                    en="the sign is the wrong way round: the book is the more optimistic one.",
                ),
            ),
        ],
        hints=[
            both(
                pt="São duas médias: uma da coluna do livro, onde os recusados faltam, e outra "
                "do que cada um faria.",
                en="It is two means: one of the book's column, from which the refused are "
                "missing, and one of what everybody would do.",
            ),
            both(
                pt="`mean()` deixa de fora o que falta. Na coluna do livro isso é o problema; "
                "em `fate` nada falta.",
                en="`mean()` leaves out what is missing. In the book's column that is the "
                "problem; in `fate` nothing is missing.",
            ),
        ],
    ),
    Exercise(
        name="mature",
        right=lambda: _default_rate,
        probe=_rates,
        sample=lambda: {"pd": pd, "longest_days": LONGEST_DAYS},
        mistakes=[
            Mistake(
                name="among_the_known",
                example=lambda: _among_the_known,
                says=both(
                    pt="você escolheu as linhas pelo fato de já se conhecer o fim. É a linha azul "
                    "da figura: entre as conhecidas cedo há inadimplentes demais.",
                    en="you chose the rows by their end being known. That is the blue line of the "
                    "picture: among those known early there are too many defaults.",
                ),
            ),
            Mistake(
                name="innocent_until_known",
                example=lambda: _innocent_until_known,
                says=both(
                    pt="você dividiu pelas que ainda não acabaram como se fossem pagas. Isso erra "
                    "para o outro lado: a taxa sai baixa demais.",
                    en="you divided by those that have not ended as if they were repaid. That errs "
                    "to the other side: the rate comes out too low.",
                ),
            ),
            Mistake(
                name="clairvoyant",
                example=lambda: _clairvoyant,
                says=both(
                    pt="você usou rótulos que só vieram depois de `as_of`. Nessa noite ninguém os "
                    "conhecia.",
                    en="you used labels that came only after `as_of`. That evening nobody knew "
                    "them.",
                ),
            ),
            Mistake(
                name="share_repaid",
                example=lambda: _share_repaid,
                says=both(
                    pt="as linhas estão certas, e a taxa é a de quem pagou.",
                    en="the rows are right, and the rate is that of those who repaid.",
                ),
            ),
        ],
        hints=[
            both(
                pt="Que colunas existiam no dia do pedido? Só por elas se pode escolher sem "
                "saber como acabou.",
                en="Which columns were there on the day of the application? Only by these can one "
                "choose without knowing how it ended.",
            ),
            both(
                pt="Um `Timedelta` de `longest_days` dias, contado para trás a partir de "
                "`as_of`, separa os bastante velhos. A idade exata conta.",
                en="A `Timedelta` of `longest_days` days, counted backwards from `as_of`, tells "
                "which are old enough. The exact age counts.",
            ),
        ],
    ),
    Exercise(
        name="left_wrong",
        right=_left_wrong,
        sample=_sample_of_violations,
        mistakes=[
            Mistake(
                name="deleted",
                example=lambda year: _share(year, "range"),
                says=both(
                    pt="essa é a parcela que o colega *apaga*. Pergunta-se pelo que fica.",
                    en="that is the share which the colleague *deletes*. The question is what is "
                    "left.",
                ),
            ),
            Mistake(
                name="nothing_left",
                example=lambda year: 1 - _share(year, "typical"),
                says=both(
                    pt="você usou a linha da mediana. Ela fala da coluna inteira e não nomeia "
                    "linha nenhuma que se possa apagar.",
                    en="you used the row of the median. It speaks of the whole column and names "
                    "no row that one could delete.",
                ),
            ),
            Mistake(
                name="all",
                example=lambda year: _share(year, "typical"),
                says=both(
                    pt="todas estavam erradas *antes* da limpeza. Algumas foram apagadas.",
                    en="all were wrong *before* the cleaning. Some were deleted.",
                ),
            ),
        ],
        hints=[
            both(
                pt="Qual das duas regras nomeia linhas uma a uma, e em que parcela da entrega?",
                en="Which of the two rules names rows one by one, and in what share of the "
                "delivery?",
            ),
            both(
                pt="Todas as linhas da entrega estão erradas; o colega apaga só as da coluna "
                "`share` de uma das regras.",
                en="All rows of the delivery are wrong; the colleague deletes only those in the "
                "column `share` of one of the rules.",
            ),
        ],
    ),
    Exercise(
        name="field",
        right=_amount,
        probe=_reported,
        sample=lambda: {"Field": Field},
        mistakes=[
            Mistake(
                name="no_median",
                example=lambda: _amount(typical=None),
                when=lambda reported, right: reported == right | {"dollars": False},
                says=both(
                    pt="um envio em dólares passaria: um quinto de um valor possível quase sempre "
                    "ainda é possível. Falta a promessa que olha para o meio da coluna, ou ela é "
                    "larga demais.",
                    en="a delivery in dollars would pass: a fifth of a possible amount is nearly "
                    "always possible too. The promise that looks at the middle of the column is "
                    "missing, or too wide.",
                ),
            ),
            Mistake(
                name="too_narrow",
                example=lambda: _amount(maximum=10_000),
                when=lambda reported, _: reported["one_of_15_000"] and not reported["usual"],
                says=both(
                    pt="um empréstimo de R$ 15.000 seria acusado. Ser raro não é ser impossível: "
                    "o intervalo diz o que um valor *pode* ser.",
                    en="a loan of R$ 15,000 would be reported. To be rare is not to be impossible: "
                    "the range says what a value *can* be.",
                ),
            ),
            Mistake(
                name="cries_wolf",
                example=lambda: _amount(typical=(1_400, 1_450)),
                when=lambda reported, _: reported["usual"] or reported["a_lower_week"],
                says=both(
                    pt="uma semana comum seria acusada. Deixe à mediana mais espaço do que ela "
                    "usou até hoje.",
                    en="an ordinary week would be reported. Leave the median more room than it "
                    "has used so far.",
                ),
            ),
            Mistake(
                name="gaps_allowed",
                example=lambda: _amount(completeness=0.8),
                when=lambda reported, _: not reported["missing"],
                says=both(
                    pt="valores que faltam passariam, e a coluna foi prometida inteira.",
                    en="values that are missing would pass, and the column was promised whole.",
                ),
            ),
            Mistake(
                name="no_floor",
                example=lambda: _amount(minimum=None),
                when=lambda reported, _: not reported["negative"],
                says=both(
                    pt="um valor negativo passaria. Para o contrato, o que não está escrito pode.",
                    en="a negative amount would pass. To the contract, what is not written may be.",
                ),
            ),
        ],
        hints=[
            both(
                pt="Três perguntas: o que um valor pode ser, quanto pode faltar, onde fica o meio "
                "da coluna. O campo da renda, na seção 5, responde às três.",
                en="Three questions: what a value can be, how much may be missing, where the "
                "middle of the column lies. The field of the income, in section 5, answers all "
                "three.",
            ),
            both(
                pt="`minimum` e `maximum` para o possível, com folga; `typical` um pouco mais "
                "largo que a faixa das medianas que se viu; `completeness` já vem em 1.",
                en="`minimum` and `maximum` for what is possible, with room; `typical` somewhat "
                "wider than the medians seen; `completeness` is 1 as it comes.",
            ),
        ],
    ),
]


QUIZ = [
    Question(
        name="more_data",
        asks=both(
            pt="O intervalo da taxa de pagamento do livro é estreito. O que o deixaria mais perto "
            "da taxa de *todos* os que pedem?",
            en="The interval of the book's rate of repayment is narrow. What would bring it nearer "
            "to the rate of *all* who apply?",
        ),
        options=[
            Option(
                text=both(
                    pt="Dez vezes mais anos do mesmo livro.", en="Ten times more years of the book."
                ),
                why=both(
                    pt="O intervalo encolheria em torno do mesmo número errado: mais dados não "
                    "trazem quem a regra barra.",
                    en="The interval would shrink around the same wrong number: more data do not "
                    "bring those whom the rule keeps out.",
                ),
            ),
            Option(
                text=both(
                    pt="Aprovar, ao acaso, uma pequena parte dos recusados.",
                    en="Granting, at random, a small part of the refused.",
                ),
                why=both(
                    pt="É o único jeito de ver o que eles fazem. Tem um custo, que se pode medir "
                    "antes de decidir.",
                    en="It is the only way to see what they do. It has a cost, which can be "
                    "measured before deciding.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Preencher os rótulos que faltam com a média.",
                    en="Filling the missing labels with the mean.",
                ),
                why=both(
                    pt="A média é a dos aprovados: a conta daria o mesmo número, agora com cara "
                    "de completa.",
                    en="The mean is that of the granted: the sum would give the same number, now "
                    "looking complete.",
                ),
            ),
        ],
    ),
    Question(
        name="rising",
        asks=both(
            pt="O painel mostra a inadimplência dos empréstimos já encerrados, por mês do pedido, "
            "e ela dobra nos dois últimos meses. O que se pode afirmar?",
            en="The dashboard shows the default rate of the loans that have ended, by month of "
            "application, and it doubles in the last two months. What can one say?",
        ),
        options=[
            Option(
                text=both(
                    pt="Que os clientes novos são piores.", en="That the new clients are worse."
                ),
                why=both(
                    pt="Pode até ser, mas a figura não mostra: dobraria também se nada tivesse "
                    "mudado.",
                    en="They may be, but the picture does not show it: it would double too if "
                    "nothing had changed.",
                ),
            ),
            Option(
                text=both(
                    pt="Que a inadimplência real é menor do que nos meses antigos.",
                    en="That the true rate is lower than in the older months.",
                ),
                why=both(
                    pt="O viés é para cima, mas de quanto não se sabe: a taxa real pode ter "
                    "subido, caído ou ficado.",
                    en="The bias is upwards, but how far is not known: the true rate may have "
                    "risen, fallen or stayed.",
                ),
            ),
            Option(
                text=both(
                    pt="Nada ainda: nesses meses, quem falha se encerra antes de quem paga.",
                    en="Nothing yet: in those months, those that fail end before those that repay.",
                ),
                why=both(
                    pt="Compare meses com a mesma idade, ou espere o rótulo mais lento.",
                    en="Compare months at the same age, or wait for the slowest label.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="median",
        asks=both(
            pt="Uma coluna de temperaturas em °F passa a vir em °C. Todos os valores estão entre "
            "o mínimo e o máximo combinados. Que promessa acusa a mudança?",
            en="A column of temperatures in °F begins to come in °C. All values lie between the "
            "minimum and the maximum agreed on. Which promise reports the change?",
        ),
        options=[
            Option(
                text=both(pt="O tipo da coluna.", en="The kind of the column."),
                why=both(
                    pt="Continua um número: a unidade não faz parte do tipo.",
                    en="It is still a number: the unit is no part of the kind.",
                ),
            ),
            Option(
                text=both(pt="A faixa da mediana.", en="The bounds of the median."),
                why=both(
                    pt="Nenhum dia é impossível; que quase todos sejam frios é.",
                    en="No day is impossible; that nearly all of them are cold is.",
                ),
                right=True,
            ),
            Option(
                text=both(pt="A completude.", en="The completeness."),
                why=both(
                    pt="Nada falta: os valores vêm, só que em outra escala.",
                    en="Nothing is missing: the values come, only on another scale.",
                ),
            ),
        ],
    ),
    Question(
        name="hash",
        asks=both(
            pt="Dois arquivos Parquet têm o mesmo resumo do conteúdo e tamanhos diferentes. O que "
            "isso quer dizer?",
            en="Two Parquet files have the same hash of their content and different sizes. What "
            "does that mean?",
        ),
        options=[
            Option(
                text=both(pt="Um deles foi adulterado.", en="One of them has been tampered with."),
                why=both(
                    pt="Então os valores seriam outros, e o resumo também.",
                    en="Then the values would differ, and so would the hash.",
                ),
            ),
            Option(
                text=both(
                    pt="Guardam as mesmas linhas de modos diferentes.",
                    en="They keep the same rows in different ways.",
                ),
                why=both(
                    pt="Compressão e páginas mudam os bytes; o resumo é dos valores.",
                    en="Compression and pages change the bytes; the hash is of the values.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="As linhas cumprem o contrato nos dois.",
                    en="The rows keep the contract in both.",
                ),
                why=both(
                    pt="O resumo diz que são iguais, não que estão certas: podem quebrá-lo as "
                    "duas.",
                    en="The hash says that they are equal, not that they are right: both may "
                    "break it.",
                ),
            ),
        ],
    ),
]

CHAPTER = Chapter(number="01", exercises=EXERCISES, quiz=QUIZ)
