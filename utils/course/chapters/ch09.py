"""Chapter 09: did the world change, and does it matter?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

# ------------------------------------------------------------------------------- a distance by hand


def _distances(my_distance: Callable) -> list[float]:
    """Return the distance of small counts: alike but for their number, apart, with an empty bin."""
    pairs = (([50, 50], [300, 300]), ([50, 50], [30, 70]), ([90, 0, 10], [20, 70, 10]))
    return [float(my_distance(np.array(before), np.array(now))) for before, now in pairs]


def _divergence(before: np.ndarray, now: np.ndarray, *, base: float = 2.0) -> float:
    p, q = before / before.sum(), now / now.sum()
    m = (p + q) / 2
    return sum(float(s[s > 0] @ np.log(s[s > 0] / m[s > 0])) for s in (p, q)) / 2 / np.log(base)


def _with_gaps(before: np.ndarray, now: np.ndarray) -> float:
    p, q = before / before.sum(), now / now.sum()
    m = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(sum((s * np.log2(s / m)).sum() for s in (p, q)) / 2))


def _of_counts(before: np.ndarray, now: np.ndarray) -> float:
    p, q = before.astype(float), now.astype(float)
    m = (p + q) / 2
    parts = sum(float(s[s > 0] @ np.log2(s[s > 0] / m[s > 0])) for s in (p, q))
    return float(np.sqrt(abs(parts) / 2))


JENSEN_SHANNON = Exercise(
    name="jensen_shannon",
    sample=lambda: {"np": np},
    probe=_distances,
    right=lambda: lambda before, now: float(np.sqrt(_divergence(before, now))),
    mistakes=[
        Mistake(
            name="divergence",
            example=lambda: _divergence,
            says=both(
                pt="essa é a divergência; a distância é a raiz dela, e só a raiz é uma distância "
                "no sentido da geometria.",
                en="that is the divergence; the distance is its root, and the root alone is a "
                "distance as geometry has it.",
            ),
        ),
        Mistake(
            name="natural",
            example=lambda: lambda before, now: float(np.sqrt(_divergence(before, now, base=np.e))),
            says=both(
                pt="o logaritmo é de base 2: só assim a distância de dois mundos sem nada em comum "
                "vale 1.",
                en="the logarithm is of base 2: only then is the distance of two worlds with "
                "nothing in common 1.",
            ),
        ),
        Mistake(
            name="empty",
            example=lambda: _with_gaps,
            says=both(
                pt="a sua função devolve NaN quando uma faixa é vazia. No limite, 0 vezes o "
                "logaritmo de 0 é 0: essa faixa não soma nada.",
                en="your function returns NaN where a bin is empty. In the limit 0 times the "
                "logarithm of 0 is 0: that bin adds nothing.",
            ),
        ),
        Mistake(
            name="counts",
            example=lambda: _of_counts,
            says=both(
                pt="você comparou contagens. Uma janela com o dobro de linhas não está longe de "
                "nada por isso: compare parcelas.",
                en="you compared counts. A window with twice the rows is not far from anything for "
                "that: compare shares.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Primeiro parcelas: divida cada contagem pela soma das suas. Depois, o meio do "
            "caminho entre as duas.",
            en="Shares first: divide each count by the sum of its own. Then the middle between "
            "the two.",
        ),
        both(
            pt="Para cada uma das duas, some s · log2(s / m) só nas faixas em que s não é zero; "
            "tire a média das duas somas, e a raiz da média.",
            en="For each of the two, add up s · log2(s / m) over the bins where s is not zero; "
            "take the mean of the two sums, and the root of that.",
        ),
    ],
)

# ------------------------------------------------------------------------------------ many columns

_COLUMNS = (1, 10, 40)


def _weeks(quiet_weeks: Callable) -> list[float]:
    return [float(quiet_weeks(n)) for n in _COLUMNS]


MANY_COLUMNS = Exercise(
    name="many_columns",
    probe=_weeks,
    right=lambda: lambda n, weeks=52: weeks * (1 - 0.95**n),
    mistakes=[
        Mistake(
            name="added",
            example=lambda: lambda n, weeks=52: weeks * 0.05 * n,
            says=both(
                pt="você somou as chances. Com 40 colunas daria mais semanas do que o ano tem: a "
                "mesma semana pode alarmar em duas colunas, e conta uma vez.",
                en="you added the chances. With 40 columns that is more weeks than the year has: "
                "one week may alarm on two columns, and counts once.",
            ),
        ),
        Mistake(
            name="one_column",
            example=lambda: lambda n, weeks=52: weeks * 0.05,
            says=both(
                pt="essa é a conta de uma coluna só, sempre a mesma.",
                en="that is the sum for one column alone, always the same.",
            ),
        ),
        Mistake(
            name="share",
            example=lambda: lambda n, weeks=52: 1 - 0.95**n,
            says=both(
                pt="essa é a chance de uma semana alarmar. A pergunta é em quantas das 52.",
                en="that is the chance of one week alarming. The question is in how many of the "
                "52.",
            ),
        ),
        Mistake(
            name="silent",
            example=lambda: lambda n, weeks=52: weeks * 0.95**n,
            says=both(
                pt="essas são as semanas em que *nenhuma* coluna alarma.",
                en="those are the weeks in which *no* column alarms.",
            ),
        ),
    ],
    hints=[
        both(
            pt="É mais fácil contar o contrário: com que chance nenhuma das colunas alarma?",
            en="The opposite is easier to count: with what chance does none of the columns alarm?",
        ),
        both(
            pt="Uma coluna se cala com chance 0,95. Se são independentes, todas se calam com essa "
            "chance elevada ao número delas; o resto das semanas alarma.",
            en="One column is silent with chance 0.95. If they are independent, all are silent "
            "with that chance to the power of their number; the other weeks alarm.",
        ),
    ],
)

# ------------------------------------------------------------------------------ where it comes from


def _parts() -> dict[str, pd.DataFrame]:
    """Return what worlds lost by the inputs and by the concept; one is not sure."""
    metrics = ("loss_change", "loss_change_by_inputs", "loss_change_by_concept")
    bounds = {
        "covariate": ((0.03, 0.01, 0.05), (0.028, 0.01, 0.05), (0.002, -0.02, 0.02)),
        "label": ((0.07, 0.05, 0.09), (0.001, -0.01, 0.01), (0.06, 0.04, 0.08)),
        "concept": ((0.08, 0.06, 0.1), (-0.002, -0.01, 0.005), (0.075, 0.056, 0.095)),
        "unsure": ((0.01, -0.002, 0.02), (0.004, -0.01, 0.02), (0.006, -0.003, 0.015)),
        "better": ((-0.05, -0.07, -0.03), (0.0, -0.01, 0.01), (-0.05, -0.07, -0.03)),
    }
    rows = [
        {"world": world, "metric": metric, "value": value, "low": low, "high": high}
        for world, each in bounds.items()
        for metric, (value, low, high) in zip(metrics, each, strict=True)
    ]
    return {"parts": pd.DataFrame(rows)}


def _worlds(parts: pd.DataFrame, metric: str, rule: Callable) -> list[str]:
    rows = parts[parts["metric"] == metric]
    return sorted(rows.loc[rule(rows), "world"])


def _in_order(worlds: Iterable[str]) -> list[str]:
    """Return worlds in alphabetical order: they are right in any."""
    return [worlds] if isinstance(worlds, str) else sorted(worlds)


_CONCEPT = "loss_change_by_concept"

CONCEPT = Exercise(
    name="concept",
    sample=_parts,
    probe=_in_order,
    right=lambda parts: _worlds(parts, _CONCEPT, lambda rows: rows["low"] > 0),
    mistakes=[
        Mistake(
            name="total",
            example=lambda parts: _worlds(parts, "loss_change", lambda rows: rows["low"] > 0),
            says=both(
                pt="você olhou a mudança inteira da perda. Nela também está o que só se deve a "
                "virem mais casos difíceis.",
                en="you looked at the whole change of the loss. In it is also what is due to more "
                "hard cases coming alone.",
            ),
        ),
        Mistake(
            name="inputs",
            example=lambda parts: _worlds(
                parts, "loss_change_by_inputs", lambda rows: rows["low"] > 0
            ),
            says=both(
                pt="essa é a parte que se deve às entradas. A pergunta é da outra.",
                en="that is the part that is due to the inputs. The question is of the other one.",
            ),
        ),
        Mistake(
            name="points",
            example=lambda parts: _worlds(parts, _CONCEPT, lambda rows: rows["value"] > 0),
            says=both(
                pt="há um mundo a mais: o valor dele é positivo, mas o intervalo ainda deixa "
                "lugar para o zero.",
                en="there is one world too many: its value is positive, but its interval still "
                "has room for zero.",
            ),
        ),
        Mistake(
            name="one_missing",
            example=lambda parts: _worlds(parts, _CONCEPT, lambda rows: rows["low"] > 0)[:1],
            when=lambda outcome, right: 0 < len(outcome) and set(outcome) < set(right),
            says=both(
                pt="falta um mundo: olhe o outro intervalo que fica todo acima de zero, tenha o "
                "mundo o nome que tiver.",
                en="a world is missing: look at the other interval that lies all above zero, "
                "whatever its world is called.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Fique só com as linhas da parte devida ao conceito.",
            en="Keep the rows of the part that is due to the concept alone.",
        ),
        both(
            pt="Para afirmar que piorou, o intervalo inteiro tem de estar de um lado do zero. De "
            "que lado fica uma perda que cresce?",
            en="To say that it got worse, the whole interval must lie on one side of zero. On "
            "which side is a loss that grows?",
        ),
    ],
)

# ------------------------------------------------------------------------- a threshold for a budget


def _rarest() -> dict[str, object]:
    rarest = pd.Series(np.arange(1, 201) / 1000)
    return {"rarest": rarest, "false_alarms_per_year": 4.0, "windows_a_year": 52.0}


THRESHOLD = Exercise(
    name="threshold",
    sample=_rarest,
    right=lambda rarest, budget, windows_a_year: float(rarest.quantile(budget / windows_a_year)),
    mistakes=[
        Mistake(
            name="share",
            example=lambda rarest, budget, windows_a_year: budget / windows_a_year,
            says=both(
                pt="essa é a parcela das janelas que pode alarmar. Como limiar de cada linha, "
                "faz o painel alarmar muito mais; falta ver onde ela cai em `rarest`.",
                en="that is the share of windows that may alarm. As the threshold of each line it "
                "makes the dashboard alarm far more; where does it fall in `rarest`?",
            ),
        ),
        Mistake(
            name="other_end",
            example=lambda rarest, budget, windows_a_year: float(
                rarest.quantile(1 - budget / windows_a_year)
            ),
            says=both(
                pt="é a outra ponta: em `rarest`, o estranho é o *pequeno*. Com esse limiar quase "
                "toda janela alarmaria.",
                en="that is the other end: in `rarest` what is strange is *small*. With this "
                "threshold nearly every window would alarm.",
            ),
        ),
        Mistake(
            name="five_percent",
            example=lambda rarest, budget, windows_a_year: float(rarest.quantile(0.05)),
            says=both(
                pt="os 5% são do costume; o orçamento é `budget` alarmes em `windows_a_year` "
                "janelas.",
                en="the 5% are custom's; the budget is `budget` alarms in `windows_a_year` "
                "windows.",
            ),
        ),
        Mistake(
            name="divided_again",
            example=lambda rarest, budget, windows_a_year: float(
                rarest.quantile(budget / windows_a_year / 10)
            ),
            says=both(
                pt="você dividiu o orçamento pelas linhas, mas `rarest` já é a mais rara de todas "
                "elas: elas contariam duas vezes.",
                en="you divided the budget by the lines, but `rarest` is the rarest of them all "
                "already: they would count twice.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Que parcela das janelas quietas pode alarmar, para que num ano sejam `budget`?",
            en="What share of quiet windows may alarm, for there to be `budget` of them in a year?",
        ),
        both(
            pt="O limiar é o valor que essa parcela das janelas tem ou fica abaixo: um quantil.",
            en="The threshold is the value that this share of the windows has or stays below: a "
            "quantile.",
        ),
    ],
)

# ----------------------------------------------------------------------------- which rule is cheap


def _board() -> dict[str, object]:
    board = pd.DataFrame(
        {
            "rule": ["worse", "calm", "jumpy", "never alarm", "always alarm"],
            "detected": [0.5, 0.5, 1.0, 0.0, 1.0],
            "false_alarms_per_100": [16.0, 0.0, 80.0, 0.0, 100.0],
            "cost": [34.0, 30.0, 23.0, 54.0, 28.0],
        }
    )
    return {"board": board, "harmful_window_price": 3.0, "sighted": pd.Series(name="other")}


def _cost(board: pd.DataFrame, year: dict, *, missed: bool = True, wolf: bool = True) -> str:
    harm = (1 - board["detected"]) * year["n_harmful"] * year["windows_of_one"] * year["price"]
    false_alarms = board["false_alarms_per_100"] / 100 * year["n_quiet"]
    total = (harm if missed else 0 * harm) + (false_alarms if wolf else 0 * false_alarms)
    return str(board.loc[total.idxmin(), "rule"])


def _outdone(board: pd.DataFrame) -> str:
    """Return a rule than which another notices as much, at fewer false alarms; or no name."""
    for one in board.itertuples():
        fewer = board["false_alarms_per_100"] < one.false_alarms_per_100
        if (fewer & (board["detected"] >= one.detected)).any():
            return str(one.rule)
    return ""


CHEAPEST = Exercise(
    name="cheapest",
    sample=_board,
    right=lambda before_labels, year: _cost(before_labels, year),
    mistakes=[
        Mistake(
            name="this_year",
            example=lambda before_labels, year: str(
                before_labels.loc[before_labels["cost"].idxmin(), "rule"]
            ),
            says=both(
                pt="essa é a mais barata no ano dos nove incidentes. Num ano de um só, os alarmes "
                "falsos são quase tudo o que se paga.",
                en="that is the cheapest in the year of nine incidents. In a year of one, false "
                "alarms are nearly all that is paid for.",
            ),
        ),
        Mistake(
            name="most_detected",
            example=lambda before_labels, year: "always alarm",
            says=both(
                pt="quem alarma sempre não perde nada, e paga por isso em cada semana quieta.",
                en="who always alarms misses nothing, and pays for it in each quiet week.",
            ),
        ),
        Mistake(
            name="outdone",
            example=lambda before_labels, year: _outdone(before_labels),
            says=both(
                pt="outra regra nota tanto quanto essa, com menos alarmes falsos: essa não pode "
                "ser a mais barata.",
                en="another rule notices as much as this one, at fewer false alarms: this one "
                "cannot be the cheapest.",
            ),
        ),
        Mistake(
            name="no_false_alarm",
            example=lambda before_labels, year: "never alarm",
            says=both(
                pt="quem nunca alarma não cobra nada nas semanas quietas, mas deixa correr todo "
                "incidente.",
                en="who never alarms costs nothing in quiet weeks, but lets every incident go on.",
            ),
        ),
    ],
    hints=[
        both(
            pt="Dois custos por regra: as janelas nocivas que ela perde, vezes o preço, e os "
            "alarmes falsos que ela dá nas janelas quietas.",
            en="Two costs for each rule: the harmful windows that it misses, times the price, and "
            "the false alarms that it gives in quiet windows.",
        ),
        both(
            pt="A taxa de alarmes falsos é por cem janelas; o que se perde é um menos o que se "
            "nota. `idxmin` diz a linha do menor custo.",
            en="The rate of false alarms is by the hundred windows; what is missed is one less "
            "what is noticed. `idxmin` tells the row of the least cost.",
        ),
    ],
)

# ------------------------------------------------------------------------------------------- quiz

QUIZ = [
    Question(
        name="two_panels",
        asks=both(
            pt="O PSI de todas as variáveis está abaixo de 0,01. O que dá para afirmar do modelo?",
            en="The PSI of all features is below 0.01. What can be said of the model?",
        ),
        options=[
            Option(
                text=both(pt="Que acerta como antes.", en="That it is as right as before."),
                why=both(
                    pt="No mês B era assim, e a acurácia caiu: o conceito mudou, e ele não está "
                    "nas entradas.",
                    en="It was so in month B, and accuracy fell: the concept changed, and it is "
                    "not in the inputs.",
                ),
            ),
            Option(
                text=both(
                    pt="Que recebe casos como os de antes; se acerta, não se sabe.",
                    en="That it is sent cases like those of before; whether it is right, nobody "
                    "knows.",
                ),
                why=both(
                    pt="As entradas são metade da história. A outra metade são os rótulos.",
                    en="Inputs are half of the story. The other half are the labels.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Que os rótulos também não mudaram.",
                    en="That the labels have not changed either.",
                ),
                why=both(
                    pt="O PSI das entradas não vê os rótulos.",
                    en="The PSI of the inputs does not see the labels.",
                ),
            ),
        ],
    ),
    Question(
        name="quiet_psi",
        asks=both(
            pt="Um colega trocou 10 faixas por 50 e o PSI semanal de tudo passou de 0,2. A janela "
            "tem 200 linhas. O que aconteceu?",
            en="A colleague replaced 10 bins by 50, and the weekly PSI of everything went above "
            "0.2. The window has 200 rows. What happened?",
        ),
        options=[
            Option(
                text=both(
                    pt="Talvez nada: com 4 linhas por faixa, o acaso dá isso.",
                    en="Perhaps nothing: with 4 rows a bin, chance alone does that.",
                ),
                why=both(
                    pt="A média de janelas paradas é perto de (faixas − 1)/linhas: aqui, 0,25.",
                    en="The mean of still windows is about (bins − 1)/rows: here, 0.25.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="O mundo mudou, e as 10 faixas escondiam.",
                    en="The world changed, and the 10 bins hid it.",
                ),
                why=both(
                    pt="Pode ser, mas este número não mostra: sem mudança nenhuma ele seria assim.",
                    en="It may have, but this number does not show it: with no change at all it "
                    "would be the same.",
                ),
            ),
            Option(
                text=both(
                    pt="Mais faixas são sempre melhores: agora se vê a verdade.",
                    en="More bins are always better: now the truth is seen.",
                ),
                why=both(
                    pt="Cada faixa a mais é uma parcela a mais estimada com as mesmas linhas.",
                    en="Each bin more is one share more estimated from the same rows.",
                ),
            ),
        ],
    ),
    Question(
        name="which_drift",
        asks=both(
            pt="As mesmas pessoas pedem, pelos mesmos motivos, e menos delas pagam. Que deriva é?",
            en="The same people apply, for the same reasons, and fewer of them repay. Which drift "
            "is it?",
        ),
        options=[
            Option(
                text=both(pt="De covariáveis.", en="Covariate drift."),
                why=both(
                    pt="As entradas são as mesmas; foi o desfecho que mudou.",
                    en="The inputs are the same; it is the outcome that changed.",
                ),
            ),
            Option(
                text=both(
                    pt="Só de rótulos: a parcela de pagantes caiu.",
                    en="Label drift alone: the share of those who repay fell.",
                ),
                why=both(
                    pt="A parcela caiu, sim. Mas se só ela tivesse mudado, viriam menos pessoas "
                    "com cara de pagante; aqui vêm as mesmas.",
                    en="The share fell, yes. But had only that changed, fewer people who look like "
                    "payers would come; here the same ones come.",
                ),
            ),
            Option(
                text=both(
                    pt="De conceito: para as mesmas entradas, outros desfechos.",
                    en="Concept drift: for the same inputs, other outcomes.",
                ),
                why=both(
                    pt="É a que nenhuma medida das entradas vê.",
                    en="It is the one that no measure of the inputs sees.",
                ),
                right=True,
            ),
        ],
    ),
    Question(
        name="winter",
        asks=both(
            pt="A referência são oito semanas de inverno. Em julho, a deriva da temperatura alarma "
            "toda semana. Qual é o primeiro passo?",
            en="The reference is eight weeks of winter. In July the drift of the temperature "
            "alarms each week. What is the first step?",
        ),
        options=[
            Option(
                text=both(pt="Retreinar já.", en="Retrain at once."),
                why=both(
                    pt="Com que prova? O alarme diria o mesmo se o modelo acertasse tudo.",
                    en="What for? Were the model always right, the alarm would say the same.",
                ),
            ),
            Option(
                text=both(
                    pt="Olhar o erro, cujos rótulos chegam em horas.",
                    en="Look at the error, whose labels come within hours.",
                ),
                why=both(
                    pt="E depois trocar a referência por uma que conheça o verão.",
                    en="And then replace the reference by one that knows summer.",
                ),
                right=True,
            ),
            Option(
                text=both(
                    pt="Subir o limiar até o alarme se calar.",
                    en="Raise the threshold until the alarm is silent.",
                ),
                why=both(
                    pt="Ele se calaria também para o que importa.",
                    en="It would be silent for what matters too.",
                ),
            ),
        ],
    ),
    Question(
        name="estimate",
        asks=both(
            pt="O desempenho estimado sem rótulos está onde sempre esteve. O que isso garante?",
            en="The performance estimated without labels is where it always was. What does that "
            "guarantee?",
        ),
        options=[
            Option(
                text=both(pt="Que o modelo não piorou.", en="That the model is no worse."),
                why=both(
                    pt="Só se o conceito não mudou, o que ela supõe em vez de mostrar.",
                    en="Only if the concept did not change, which it assumes and does not show.",
                ),
            ),
            Option(
                text=both(pt="Nada: é melhor desligá-la.", en="Nothing: better switch it off."),
                why=both(
                    pt="Ela acertou quando mudaram só as covariáveis. O defeito é lê-la sozinha.",
                    en="It was right when covariates alone changed. The fault is to read it alone.",
                ),
            ),
            Option(
                text=both(
                    pt="Que as entradas não ficaram mais difíceis; o resto, os rótulos dirão.",
                    en="That the inputs got no harder; the rest the labels will tell.",
                ),
                why=both(
                    pt="E quando chegarem, um valor medido fora do intervalo desmente a hipótese.",
                    en="And when they come, a measured value outside the interval disproves the "
                    "assumption.",
                ),
                right=True,
            ),
        ],
    ),
]

CHAPTER = Chapter(
    number="09",
    exercises=[JENSEN_SHANNON, MANY_COLUMNS, CONCEPT, THRESHOLD, CHEAPEST],
    quiz=QUIZ,
)
