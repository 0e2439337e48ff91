"""Chapter 05: how a model goes into service, and comes back out."""

import hashlib
from itertools import count
from typing import Any
from uuid import uuid4

import pandas as pd

from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both

REFUSED = ["extra_column", "missing_column", "text_for_number"]
_SENSELESS = {"celsius", "a_million_minutes"}
_MOST_ATTEMPTS = 100


def _asked_of_a_flaky_server(ask_until_answered: Any) -> dict[str, Any]:
    """Return what comes of a server that loses its first two answers, and of one that loses all."""
    return {
        "flaky": _conversation(ask_until_answered, n_lost=2),
        "dead": _conversation(ask_until_answered, n_lost=_MOST_ATTEMPTS),
    }


def _conversation(ask_until_answered: Any, *, n_lost: int) -> dict[str, Any]:
    """Let an answer ask a server that stores each key once, and loses its first answers."""
    stored: list[int] = []
    new_keys = count()
    attempts = count(1)

    def ask(key: Any) -> float:
        attempt = next(attempts)
        if attempt > _MOST_ATTEMPTS:
            raise RecursionError(f"{_MOST_ATTEMPTS} requests, and no end in sight")
        if key not in stored:
            stored.append(key)
        if attempt <= n_lost:
            raise TimeoutError("no answer")
        return 7.5

    try:
        outcome = ask_until_answered(ask, lambda: next(new_keys))
    except TimeoutError:
        outcome = "gave up aloud"
    return {"outcome": outcome, "stored": len(stored), "asked": next(attempts) - 1}


def _ask_until_answered(ask: Any, new_key: Any) -> Any:
    key = new_key()
    for _ in range(4):
        try:
            return ask(key)
        except TimeoutError:
            continue
    return ask(key)


def _ask_with_new_keys(ask: Any, new_key: Any) -> Any:
    for _ in range(4):
        try:
            return ask(new_key())
        except TimeoutError:
            continue
    return ask(new_key())


def _ask_once(ask: Any, new_key: Any) -> Any:
    return ask(new_key())


def _ask_and_fall_silent(ask: Any, new_key: Any) -> Any:
    key = new_key()
    for _ in range(5):
        try:
            return ask(key)
        except TimeoutError:
            continue
    return None


def _tireless(ask: Any, new_key: Any) -> Any:
    key = new_key()
    for _ in range(20):
        try:
            return ask(key)
        except TimeoutError:
            continue
    return ask(key)


def _errors(both: pd.DataFrame, *, third: int | None = 2) -> tuple[pd.Series, pd.Series]:
    """Return the errors (predicted less observed) of both versions in a third, or in all."""
    rows = both if third is None else both[both["third"] == third]
    return rows["version_1"] - rows["label"], rows["version_2"] - rows["label"]


def _cost(both: pd.DataFrame, *, third: int | None = 2) -> float:
    one, two = _errors(both, third=third)
    return (two.abs() - one.abs()).mean()


def _before_and_after(both: pd.DataFrame) -> float:
    before, _ = _errors(both, third=1)
    _, after = _errors(both, third=2)
    return after.abs().mean() - before.abs().mean()


def _signed(both: pd.DataFrame) -> float:
    one, two = _errors(both)
    return (two - one).mean()


def _sample_of_both() -> dict[str, pd.DataFrame]:
    """Return a frame as the chapter has it, of two flights a third."""
    return {
        "both": pd.DataFrame(
            {
                "third": [1, 1, 2, 2, 3, 3],
                "label": [0.0, 10.0, 50.0, -5.0, 20.0, 0.0],
                "version_1": [2.0, 7.0, 40.0, -2.0, 15.0, 1.0],
                "version_2": [5.0, 4.0, 35.0, 2.0, 32.0, -4.0],
            }
        )
    }


class _Content(bytes):
    """The bytes of a file; they remember whether somebody asked for their ``hash``."""

    asked = False

    def __hash__(self) -> int:
        self.asked = True
        return super().__hash__()


_ONE, _OTHER = b"PAR1 the flights of 1 April", b"PAR1 the flights of 2 April"


def _ids_of_files(row_ids: Any) -> dict[str, bool]:
    """Return what holds of the ids of two files, one of them read twice."""
    content = _Content(_ONE)
    first, again, other = row_ids(content, 3), row_ids(_Content(_ONE), 3), row_ids(_OTHER, 3)
    return {
        "one a row": len(first) == 3 and len(row_ids(_OTHER, 5)) == 5,
        "the same again": list(first) == list(again),
        "rows differ": len(set(first)) == 3,
        "files differ": not set(first) & set(other),
        "tomorrow too": not content.asked,
    }


def _ids_from_content(content: bytes, n_rows: int) -> list[str]:
    digest = hashlib.sha256(content).hexdigest()
    return [f"{digest}-{row}" for row in range(n_rows)]


CHAPTER = Chapter(
    number="05",
    exercises=[
        Exercise(
            name="refused",
            right=lambda: REFUSED,
            probe=lambda names: sorted(names),
            mistakes=[
                Mistake(
                    name="sense",
                    example=lambda: [*REFUSED, "celsius"],
                    when=lambda names, _: bool(_SENSELESS & set(names)),
                    says=both(
                        pt="você contou com o bom senso do endpoint. Um número absurdo, ou em "
                        "outra unidade, ainda é um número, e a assinatura só conhece tipos.",
                        en="you counted on the endpoint's sense. An absurd number, or one in "
                        "another unit, is still a number, and the signature knows types only.",
                    ),
                ),
                Mistake(
                    name="missing_value",
                    example=lambda: [*REFUSED, "null"],
                    when=lambda names, _: "null" in names,
                    says=both(
                        pt="faltar uma coluna não é o mesmo que faltar um valor. `required` fala "
                        "da coluna.",
                        en="a column that is missing is not a value that is missing. `required` "
                        "speaks of the column.",
                    ),
                ),
                Mistake(
                    name="cast",
                    example=lambda: ["extra_column", "missing_column"],
                    when=lambda names, _: "text_for_number" not in names,
                    says=both(
                        pt="você supôs uma conversão gentil. Um tipo errado é um sinal de que algo "
                        "mudou em quem pergunta; convertê-lo esconde o sinal.",
                        en="you supposed a kind conversion. A wrong type is a sign that something "
                        "changed on the asking side; converting it hides the sign.",
                    ),
                ),
                Mistake(
                    name="ignored",
                    example=lambda: ["missing_column", "text_for_number"],
                    when=lambda names, _: "extra_column" not in names,
                    says=both(
                        pt="você supôs que o que sobra é ignorado. Uma coluna desconhecida pode "
                        "ser uma conhecida com o nome trocado, e ignorá-la a faria sumir calada.",
                        en="you supposed that what is too much is ignored. An unknown column may "
                        "be a known one under another name, and ignoring it would lose it in "
                        "silence.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Volte à tabela da assinatura, na seção 1: nome, tipo, obrigatória. Não há "
                    "outra coluna nela.",
                    en="Go back to the table of the signature, in section 1: name, kind, "
                    "required. It has no other column.",
                ),
                both(
                    pt="Para cada corpo, pergunte: dá para ver o defeito sabendo só os nomes e os "
                    "tipos das colunas?",
                    en="For each body, ask: can the flaw be seen knowing only the names and the "
                    "types of the columns?",
                ),
            ],
        ),
        Exercise(
            name="ask",
            right=lambda: _ask_until_answered,
            probe=_asked_of_a_flaky_server,
            mistakes=[
                Mistake(
                    name="new_key_each_time",
                    example=lambda: _ask_with_new_keys,
                    when=lambda outcome, _: outcome["flaky"]["stored"] > 1,
                    says=both(
                        pt="cada tentativa levou uma chave nova, então para o servidor foram "
                        "perguntas diferentes, e o voo ficou guardado mais de uma vez. A chave é "
                        "da pergunta, não da tentativa.",
                        en="each attempt took a new key, so to the server they were different "
                        "questions, and the flight was stored more than once. The key belongs to "
                        "the question, not to the attempt.",
                    ),
                ),
                Mistake(
                    name="once",
                    example=lambda: _ask_once,
                    when=lambda outcome, _: outcome["flaky"]["outcome"] == "gave up aloud",
                    says=both(
                        pt="você desistiu cedo: o servidor responderia na terceira vez.",
                        en="you gave up early: the server would have answered the third time.",
                    ),
                ),
                Mistake(
                    name="silent",
                    example=lambda: _ask_and_fall_silent,
                    when=lambda outcome, _: outcome["dead"]["outcome"] != "gave up aloud",
                    says=both(
                        pt="quando nenhuma tentativa tem resposta, a sua função termina em "
                        "silêncio. Quem chamou toma isso por uma previsão.",
                        en="when no attempt gets an answer, your function ends in silence. The "
                        "caller takes that for a prediction.",
                    ),
                ),
                Mistake(
                    name="too_often",
                    example=lambda: _tireless,
                    when=lambda outcome, _: outcome["dead"]["asked"] != 5,
                    says=both(
                        pt="conte as tentativas quando o servidor nunca responde: são no máximo "
                        "cinco, contando a primeira.",
                        en="count the attempts when the server never answers: they are five at "
                        "most, the first one included.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="De quantas chaves uma pergunta precisa? Faça-as antes de começar a "
                    "repetir.",
                    en="How many keys does one question need? Make them before you begin to "
                    "repeat.",
                ),
                both(
                    pt="Um laço com `try` e `except TimeoutError` cobre as tentativas que ainda "
                    "podem ser repetidas; na última, não segure o erro.",
                    en="A loop with `try` and `except TimeoutError` covers the attempts that can "
                    "still be repeated; in the last one, do not hold the error back.",
                ),
            ],
        ),
        Exercise(
            name="cost",
            right=_cost,
            sample=_sample_of_both,
            mistakes=[
                Mistake(
                    name="before_and_after",
                    example=_before_and_after,
                    says=both(
                        pt="você comparou o segundo terço com o primeiro. São outras partidas, em "
                        "outros dias: a conta mistura a versão com a sorte dos dias.",
                        en="you compared the second third with the first. These are other "
                        "departures, on other days: the sum mixes the version with the luck of "
                        "the days.",
                    ),
                ),
                Mistake(
                    name="everybody",
                    example=lambda both: _cost(both, third=None),
                    says=both(
                        pt="você usou os três terços. Em dois deles ninguém ouviu a versão 2.",
                        en="you used all three thirds. In two of them nobody heard version 2.",
                    ),
                ),
                Mistake(
                    name="signed",
                    example=_signed,
                    says=both(
                        pt="você subtraiu erros com sinal. Errar 20 minutos para cima e 20 para "
                        "baixo daria zero, e os dois passageiros foram mal informados.",
                        en="you subtracted signed errors. Twenty minutes too many and twenty too "
                        "few would make zero, and both passengers were misinformed.",
                    ),
                ),
                Mistake(
                    name="reversed",
                    example=lambda both: -_cost(both),
                    says=both(
                        pt="o sinal está trocado: um custo é positivo quando a versão 2 erra mais.",
                        en="the sign is the wrong way round: a cost is positive when version 2 "
                        "errs more.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="Quem ouviu a versão 2? Fique só com essas partidas.",
                    en="Who heard version 2? Keep those departures only.",
                ),
                both(
                    pt="Em cada partida há dois erros absolutos, um por versão. O custo é a média "
                    "de uma subtração.",
                    en="Each departure has two absolute errors, one for each version. The cost is "
                    "the mean of a subtraction.",
                ),
            ],
        ),
        Exercise(
            name="rerun",
            right=lambda: _ids_from_content,
            probe=_ids_of_files,
            sample=lambda: {"hashlib": hashlib},
            mistakes=[
                Mistake(
                    name="random",
                    example=lambda: lambda content, n_rows: [str(uuid4()) for _ in range(n_rows)],
                    when=lambda found, _: not found["the same again"],
                    says=both(
                        pt="os textos mudam a cada chamada. Quem roda de novo, depois de uma "
                        "queda, guardaria a primeira metade do arquivo em dobro.",
                        en="the texts change with each call. Whoever runs it again after a crash "
                        "would store the first half of the file twice.",
                    ),
                ),
                Mistake(
                    name="place",
                    example=lambda: lambda content, n_rows: [str(row) for row in range(n_rows)],
                    when=lambda found, _: not found["files differ"],
                    says=both(
                        pt="dois arquivos diferentes recebem os mesmos textos. As linhas do "
                        "segundo seriam tomadas por repetições das do primeiro.",
                        en="two different files get the same texts. The rows of the second would "
                        "be taken for repetitions of those of the first.",
                    ),
                ),
                Mistake(
                    name="file",
                    example=lambda: (
                        lambda content, n_rows: [hashlib.sha256(content).hexdigest()] * n_rows
                    ),
                    when=lambda found, _: not found["rows differ"],
                    says=both(
                        pt="todas as linhas do arquivo recebem o mesmo texto, e só a primeira "
                        "seria guardada.",
                        en="all rows of the file get the same text, and only the first would be "
                        "stored.",
                    ),
                ),
                Mistake(
                    name="hash",
                    example=lambda: (
                        lambda content, n_rows: [f"{hash(content)}-{row}" for row in range(n_rows)]
                    ),
                    when=lambda found, _: not found["tomorrow too"],
                    says=both(
                        pt="o `hash` do Python muda de processo para processo (é temperado com um "
                        "número sorteado no início). Amanhã os textos seriam outros.",
                        en="Python's `hash` changes from process to process (it is salted with a "
                        "number drawn at the start). Tomorrow the texts would be others.",
                    ),
                ),
            ],
            hints=[
                both(
                    pt="O que distingue um arquivo de outro é o conteúdo; o que distingue duas "
                    "linhas do mesmo arquivo é o lugar. O texto precisa dos dois.",
                    en="What tells one file from another is its content; what tells two rows of "
                    "one file apart is their place. The text needs both.",
                ),
                both(
                    pt="Um conteúdo longo cabe em um resumo curto: `hashlib.sha256` dá o mesmo "
                    "para os mesmos bytes, em qualquer máquina, e tem um método `hexdigest`.",
                    en="A long content fits in a short digest: `hashlib.sha256` gives the same for "
                    "the same bytes, on any machine, and has a method `hexdigest`.",
                ),
            ],
        ),
    ],
    quiz=[
        Question(
            name="timeout",
            asks=both(
                pt="Um cliente esperou 10 segundos e não teve resposta. A previsão está no "
                "repositório?",
                en="A client waited for 10 seconds and got no answer. Is the prediction in the "
                "store?",
            ),
            options=[
                Option(
                    text=both(
                        pt="Não: sem resposta, nada foi gravado.",
                        en="No: without an answer nothing was stored.",
                    ),
                    why=both(
                        pt="O endpoint grava antes de responder; a resposta pode ter se perdido "
                        "depois.",
                        en="The endpoint stores before it answers; the answer may have been lost "
                        "after that.",
                    ),
                ),
                Option(
                    text=both(
                        pt="Não há como saber, mas repetir com a mesma chave é seguro.",
                        en="There is no telling, but repeating with the same key is safe.",
                    ),
                    why=both(
                        pt="Se estava guardada, volta a resposta guardada; se não, é feita agora.",
                        en="If it was stored, the stored answer comes back; if not, it is made "
                        "now.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Sim: o endpoint sempre grava o que recebe.",
                        en="Yes: the endpoint always stores what it receives.",
                    ),
                    why=both(
                        pt="A requisição pode nem ter chegado.",
                        en="The request may not even have arrived.",
                    ),
                ),
            ],
        ),
        Question(
            name="moved_alias",
            asks=both(
                pt="O apelido `champion` passa da versão 1 para a 3. O que responde, no minuto "
                "seguinte, um servidor iniciado com `models:/flights@champion`?",
                en="The alias `champion` moves from version 1 to 3. A minute later, what does a "
                "server answer with that was started with `models:/flights@champion`?",
            ),
            options=[
                Option(
                    text=both(pt="A versão 3, a partir de agora.", en="Version 3, from now on."),
                    why=both(
                        pt="O servidor não olha de novo para o apelido: seguiu-o ao carregar.",
                        en="The server does not look at the alias again: it followed it on "
                        "loading.",
                    ),
                ),
                Option(
                    text=both(pt="A versão 1, até reiniciar.", en="Version 1, until it restarts."),
                    why=both(
                        pt="E ao reiniciar, a 3: um reinício vira um lançamento que ninguém fez.",
                        en="And on restarting, version 3: a restart becomes a release that nobody "
                        "made.",
                    ),
                    right=True,
                ),
                Option(
                    text=both(
                        pt="Um erro, porque o apelido mudou.",
                        en="An error, because the alias changed.",
                    ),
                    why=both(
                        pt="A versão 1 continua no registro e na memória do servidor; nada "
                        "falha, e é por isso que ninguém nota.",
                        en="Version 1 is still in the registry and in the server's memory; "
                        "nothing fails, and that is why nobody notices.",
                    ),
                ),
            ],
        ),
        Question(
            name="same_departures",
            asks=both(
                pt="O erro subiu depois de um lançamento. Qual evidência separa a versão do resto?",
                en="The error rose after a release. Which evidence tells the version from the "
                "rest?",
            ),
            options=[
                Option(
                    text=both(
                        pt="O erro do mês anterior, com o seu intervalo.",
                        en="The error of the month before, with its interval.",
                    ),
                    why=both(
                        pt="O intervalo é do mês anterior, e o mês anterior teve outras partidas.",
                        en="The interval is that of the month before, and the month before had "
                        "other departures.",
                    ),
                ),
                Option(
                    text=both(
                        pt="O erro no treino que o registro guarda de cada versão.",
                        en="The training error that the registry keeps of each version.",
                    ),
                    why=both(
                        pt="Cada versão foi medida nas partidas com que aprendeu; quem decora "
                        "ganha sempre.",
                        en="Each version was measured on the departures it learnt from; who "
                        "learns by heart always wins.",
                    ),
                ),
                Option(
                    text=both(
                        pt="As duas versões nas mesmas partidas capturadas, aos pares.",
                        en="Both versions on the same captured departures, in pairs.",
                    ),
                    why=both(
                        pt="O que as partidas têm de difícil pesa nas duas e se cancela.",
                        en="What is hard about the departures weighs on both and cancels.",
                    ),
                    right=True,
                ),
            ],
        ),
        Question(
            name="after_rollback",
            asks=both(
                pt="Depois da reversão, o que muda nas previsões que a versão 2 tinha feito?",
                en="After the rollback, what changes in the predictions that version 2 had made?",
            ),
            options=[
                Option(
                    text=both(
                        pt="São refeitas pela versão 1.",
                        en="They are made again by version 1.",
                    ),
                    why=both(
                        pt="O passageiro ouviu a versão 2; o registro diz o que ele ouviu. Em "
                        "outra tabela, a versão 1 pode responder como sombra.",
                        en="The passenger heard version 2; the record says what they heard. In "
                        "another table version 1 may answer as a shadow.",
                    ),
                ),
                Option(
                    text=both(
                        pt="São apagadas, com os seus rótulos.",
                        en="They are erased, with their labels.",
                    ),
                    why=both(
                        pt="Sem elas não se saberia quanto a versão 2 custou, nem a quem.",
                        en="Without them nobody would know what version 2 cost, or whom.",
                    ),
                ),
                Option(
                    text=both(pt="Nada.", en="Nothing."),
                    why=both(
                        pt="Cada linha guarda a versão e a implantação que a deram; a reversão "
                        "só acrescenta uma implantação.",
                        en="Each row keeps the version and the deployment that made it; the "
                        "rollback only adds a deployment.",
                    ),
                    right=True,
                ),
            ],
        ),
    ],
)
