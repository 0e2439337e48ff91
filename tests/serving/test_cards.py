"""The card: each number in it is one of the run's, in both languages, and no section is missing."""

import re
import sqlite3
from contextlib import closing

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from utils.monitors.contract import DataContract, Field
from utils.monitors.performance import performance
from utils.serving import benchmarks, cards, gates, models, tracking, versions
from utils.serving.contract import Unsigned
from utils.serving.runs import log_data, log_measurements
from utils.text import LANGUAGES, metric_name, number, using

INPUTS = pd.DataFrame({"income_brl": np.linspace(500, 5000, 400)})
FRAME = INPUTS.assign(
    event_time=pd.date_range("2023-01-01", periods=400, freq="6h", tz="UTC"),
    label=(np.random.default_rng(0).random(400) < INPUTS["income_brl"] / 5000).astype(int),
    sex=np.random.default_rng(1).choice(["female", "male"], 400),
)
ROBUSTNESS = pd.DataFrame(
    {
        "incident": ["unit_change"],
        "metric": ["roc_auc"],
        "clean": [0.8123456],
        "broken": [0.5012345],
        "change": [-0.3111111],
        "low": [-0.4],
        "high": [-0.2222222],
        "contract": ["income_brl: typical"],
    }
)
SECTIONS = {
    "en": [
        *("Model", "What it is for", "Limits", "Who is in the data"),
        *("What goes in and what comes out", "Data", "Training", "Performance", "By group"),
        *("Calibration", "Threshold", "Robustness", "Gate", "What monitoring compares with"),
        *("Requirements", "Provenance"),
    ],
    "pt": [
        *("Modelo", "Para que serve", "Limites", "Quem está nos dados"),
        *("O que entra e o que sai", "Dados", "Treino", "Desempenho", "Por grupo"),
        *("Calibração", "Limiar", "Robustez", "Portão de validação"),
        *("Com que o monitoramento compara", "Requisitos", "Proveniência"),
    ],
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make a registry with two versions: the first one knows everything, the second nothing."""
    root = tmp_path_factory.mktemp("cards")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    model = LogisticRegression(max_iter=1000).fit(INPUTS, FRAME["label"])
    with tracking.tracking(uri) as client:
        experiment = tracking.experiment_id_of(client, "models")
        with mlflow.start_run(experiment_id=experiment, run_name="logistic"):
            mlflow.log_params({"C": 0.125, "max_iter": 1000})
            mlflow.set_tags({"card.purpose.pt": "Decidir.", "card.purpose.en": "To decide."})
            log_data(INPUTS, name="train", context="training", source=root / "train.parquet")
            model_uri = models.log_in_run(
                model, name="credit", inputs=INPUTS, predictions=FRAME["label"].to_numpy()
            )
    full = models.register(model_uri, name="credit", tracking_uri=uri)
    models.log_model(
        model,
        name="credit",
        inputs=INPUTS,
        predictions=FRAME["label"].to_numpy(),
        tracking_uri=uri,
        metrics={"roc_auc": 0.7654321},
    )
    scored = benchmarks.answered(
        models.load(full.model_uri, tracking_uri=uri), FRAME, threshold=0.6
    )
    scored["champion_score"] = scored["score"] * 0.9
    settings = {"task": "classification", "rng": np.random.default_rng(0)}
    verdict = gates.judge(
        scored,
        rules=[
            gates.Floor(metric="roc_auc", bound=0.6125),
            gates.NonInferiority(loss="log_loss", bound=0.0125),
            gates.GroupDifference(metric="recall", by="sex", bound=0.0005),
        ],
        tracking_uri=uri,
        **settings,
    )
    gates.record(full, verdict, tracking_uri=uri)
    measured = performance(
        scored,
        window=None,
        group_column="sex",
        metrics=["roc_auc", "recall", "calibration_bias"],
        **settings,
    )
    benchmarks.attach(
        full,
        benchmark=measured,
        reference=scored,
        contract=DataContract(
            name="loans",
            version="1",
            description="Loans.",
            fields=(Field(name="income_brl", kind="number"),),
        ),
        threshold=0.6,
        tables={"robustness": ROBUSTNESS},
        tracking_uri=uri,
    )
    models.set_alias("credit", "challenger", "1", tracking_uri=uri)
    return root / "mlflow.db", measured, verdict


@pytest.fixture
def uri(template, tmp_path):
    """Return the URI of a copy of the registry."""
    target = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(template[0])) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
    return f"sqlite:///{target}"


def sections(card):
    """Return the text of each section of a card, by its title."""
    parts = re.split(r"^## (.+)$", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def table(text):
    """Return the rows of the Markdown table in a text, each by its headers."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    headers, _, *rows = lines
    return [dict(zip(headers, row, strict=True)) for row in rows]


def parsed(text, code):
    """Return the numbers of a text that is written in a language, in their order."""
    text = re.sub(r"`[^`]*`", "", text).replace("−", "-")
    if code == "pt":
        text = text.translate(str.maketrans(".,", ",."))
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text)
    return [float(each.replace(",", "")) for each in found]


def titled(code, english):
    return SECTIONS[code][SECTIONS["en"].index(english)]


# ----------------------------------------------------------------------------------- its numbers


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("section", ["Performance", "By group", "Calibration"])
def test_every_number_is_that_of_the_benchmark(uri, template, code, section):
    _, measured, _ = template
    card = cards.model_card("models:/credit/1", language=code, tracking_uri=uri)
    rows = table(sections(card)[titled(code, section)])
    of_group = measured["group"].ne("")
    calibration = measured["metric"].eq("calibration_bias")
    expected = measured[
        {
            "Performance": ~of_group & ~calibration,
            "By group": of_group,
            "Calibration": ~of_group & calibration,
        }[section]
    ]
    assert len(rows) == len(expected) > 0
    for row, told in zip(rows, expected.to_dict("records"), strict=True):
        words = list(row.values())
        with using(code):
            assert words[0] == metric_name(told["metric"])
        assert (told["group"] in words) == bool(told["group"])
        numbers = [each for word in words[-3:] for each in parsed(word, code)]
        assert numbers == pytest.approx(
            [told["value"], told["low"], told["high"], told["n_current"]], rel=1e-3
        )


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_gate_is_told_rule_by_rule_with_its_numbers(uri, template, code):
    _, _, verdict = template
    card = cards.model_card("models:/credit/1", language=code, tracking_uri=uri)
    _, *lines = [line for line in sections(card)[titled(code, "Gate")].splitlines() if line]
    assert [line[2] for line in lines] == ["✓" if each.passed else "✗" for each in verdict.outcomes]
    for line, outcome in zip(lines, verdict.outcomes, strict=True):
        at = outcome.measured
        assert parsed(line, code)[:4] == pytest.approx(
            [at.value, at.low, at.high, outcome.rule.bound], rel=1e-3
        )
    assert not verdict.passed
    assert verdict.digest in card


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_rest_of_its_numbers_are_what_the_registry_knows(uri, template, code):
    _, measured, _ = template
    card = cards.model_card("models:/credit/1", language=code, tracking_uri=uri)
    there = {title: sections(card)[titled(code, title)] for title in SECTIONS["en"]}
    assert parsed(there["Threshold"], code) == [0.6]
    assert [list(row.values()) for row in table(there["Training"])] == [
        ["`C`", "0.125"],
        ["`max_iter`", "1000"],
    ]
    (data,) = table(there["Data"])
    client = mlflow.MlflowClient(uri)
    version = client.get_model_version("credit", "1")
    (known,) = client.get_run(version.run_id).inputs.dataset_inputs
    assert list(data.values())[1:] == ["train", f"`{known.dataset.digest}`", "400", "train.parquet"]
    assert parsed(there["What monitoring compares with"], code) == [len(measured), 400]
    for what in ("benchmark", "reference", "contract"):
        digest = version.tags[f"vigia.{what}"].rpartition("/")[2].partition(".")[0]
        assert f"`{digest}`" in there["Provenance"]
    (robust,) = table(there["Robustness"])
    numbers = [each for word in list(robust.values())[2:-1] for each in parsed(word, code)]
    assert numbers == pytest.approx(
        ROBUSTNESS.loc[0, ["clean", "broken", "change", "low", "high"]].tolist(), rel=1e-3
    )
    assert "income_brl: typical" in robust.values()
    with tracking.tracking(uri):
        requirements = mlflow.artifacts.load_text("models:/credit/1/requirements.txt").split()
    assert there["Requirements"].split("\n") == [f"- `{each}`" for each in requirements]
    assert f"`{version.run_id}` (logistic)" in there["Provenance"]


def test_both_languages_have_the_same_numbers_in_the_same_order(uri):
    numbers = {}
    for code in LANGUAGES:
        card = cards.model_card(
            "models:/credit/1", language=code, provenance=False, tracking_uri=uri
        )
        found = sections(card)
        del found[titled(code, "Gate")], found[titled(code, "Performance")]  # they hold dates
        del found[titled(code, "Training")]  # parameters are as they were logged
        numbers[code] = [parsed(text, code) for text in found.values()]
        assert any(numbers[code])
    assert numbers["pt"] == numbers["en"]


def test_a_number_that_is_changed_in_the_registry_changes_in_the_card(uri, template):
    _, measured, _ = template
    before = cards.model_card("models:/credit/1", language="en", tracking_uri=uri)
    changed = measured.assign(value=measured["value"].where(measured.index != 0, 0.123456))
    benchmarks.attach(
        "models:/credit/1",
        benchmark=changed,
        reference=FRAME.assign(prediction=1),
        tracking_uri=uri,
    )
    after = cards.model_card("models:/credit/1", language="en", tracking_uri=uri)
    assert "0.1235" in after
    assert "0.1235" not in before


# --------------------------------------------------------------------------------- its sections


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("version", ["1", "2"])
def test_no_section_is_missing_whatever_is_known(uri, code, version):
    card = cards.model_card(f"models:/credit/{version}", language=code, tracking_uri=uri)
    assert list(sections(card)) == SECTIONS[code]
    assert all(sections(card).values())
    assert not re.search(r"\bnan\b|\bNone\b|NaT", card)


def test_what_nobody_knows_is_said(uri):
    card = sections(cards.model_card("models:/credit/2", language="en", tracking_uri=uri))
    assert card["What it is for"].startswith("Nobody has said so yet")
    assert card["Gate"] == "It was never judged."
    assert card["Data"] == "The run logged none of its data."
    assert card["By group"] == "Nothing was measured by group."
    assert card["What monitoring compares with"].count("does not come with the model") == 3
    (row,) = table(card["Performance"])
    assert row == {
        "metric": "area under the ROC curve",
        "value": "0.7654",
        "interval": "—",
        "n": "—",
    }


def test_without_a_benchmark_it_has_the_measurements_of_the_run(uri, template):
    _, measured, _ = template
    client = mlflow.MlflowClient(uri)
    run_id = client.get_model_version("credit", "2").run_id
    with tracking.tracking(uri), mlflow.start_run(run_id=run_id):
        log_measurements(measured[measured["group"].eq("")])
    card = sections(cards.model_card("models:/credit/2", language="en", tracking_uri=uri))
    assert card["Performance"].startswith("As the run logged it, 1 Jan 2023")
    assert table(card["Performance"])[0]["n"] == number(400)


def test_what_a_person_says_of_a_version_outdoes_what_the_run_says(uri):
    assert "To decide." in cards.model_card("models:/credit/1", language="en", tracking_uri=uri)
    cards.state(
        "models:/credit/1", "purpose", pt="Decidir bem.", en="To decide well.", tracking_uri=uri
    )
    card = cards.model_card("models:/credit/1", language="pt", tracking_uri=uri)
    assert sections(card)["Para que serve"] == "Decidir bem."


def test_what_cannot_be_said_is_refused(uri):
    with pytest.raises(ValueError, match="statement='purpos': one of purpose, limits, people"):
        cards.state("models:/credit/1", "purpos", pt="a", en="a", tracking_uri=uri)
    with pytest.raises(ValueError, match="en=' ': a text is needed in each language"):
        cards.state("models:/credit/1", "purpose", pt="a", en=" ", tracking_uri=uri)


def test_the_card_is_in_the_language_in_force_and_can_leave_out_whose_run_it_was(uri):
    with using("pt"):
        card = cards.model_card("models:/credit@challenger", tracking_uri=uri)
    assert card.startswith("# Cartão do modelo: credit, versão 1\n")
    assert "- **Apelidos (*aliases*)**: challenger" in card
    run_id = mlflow.MlflowClient(uri).get_model_version("credit", "1").run_id
    bare = cards.model_card("models:/credit/1", provenance=False, tracking_uri=uri)
    assert run_id in card
    assert run_id not in bare
    assert "/" + "tmp" not in bare


def test_the_card_is_made_from_what_is_there_now(uri):
    models.set_alias("credit", "champion", "1", tracking_uri=uri)
    card = cards.model_card("models:/credit/1", language="en", tracking_uri=uri)
    assert "- **Aliases**: challenger, champion" in card


# ------------------------------------------------------------------------------- kept with it


def test_both_cards_are_kept_with_the_version_and_it_is_described_by_them(uri, template):
    cards.attach_card("models:/credit/1", tracking_uri=uri)
    for code in LANGUAGES:
        kept = cards.kept_card("models:/credit/1", language=code, tracking_uri=uri)
        assert kept == cards.model_card("models:/credit/1", language=code, tracking_uri=uri)
    described = mlflow.MlflowClient(uri).get_model_version("credit", "1").description
    for words in ("**Cartão do modelo: credit, versão 1**", "Decidir.", "To decide.", "Refused"):
        assert words in described
    assert len(described) <= 5000


def test_a_description_is_never_longer_than_a_registry_takes(uri):
    cards.state("models:/credit/1", "purpose", pt="a" * 4000, en="b" * 4000, tracking_uri=uri)
    cards.attach_card("models:/credit/1", tracking_uri=uri)
    described = mlflow.MlflowClient(uri).get_model_version("credit", "1").description
    assert len(described) == 5000
    assert described.endswith("…")


def test_a_card_of_what_is_not_there_is_refused_by_name(uri):
    with pytest.raises(versions.UnknownVersion, match="models:/credit/7"):
        cards.model_card("models:/credit/7", tracking_uri=uri)
    with pytest.raises(versions.NotCarried, match="model_card.en"):
        cards.kept_card("models:/credit/2", language="en", tracking_uri=uri)


def test_a_model_without_a_signature_has_no_card(uri):
    with tracking.tracking(uri) as client:
        experiment = tracking.experiment_id_of(client, "models")
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                LinearRegression().fit(INPUTS, FRAME["label"]),
                name="bare",
                registered_model_name="bare",
                pip_requirements=["mlflow"],
            )
    with pytest.raises(Unsigned, match="signature"):
        cards.model_card("models:/bare/1", tracking_uri=uri)
    with pytest.raises(Unsigned, match="signature"):
        cards.attach_card("models:/bare/1", tracking_uri=uri)
    assert mlflow.MlflowClient(uri).get_model_version("bare", "1").tags == {}


def test_a_regression_has_a_card_too(uri):
    model = LinearRegression().fit(INPUTS, FRAME["label"])
    version = models.log_model(
        model, name="line", inputs=INPUTS, predictions=model.predict(INPUTS), tracking_uri=uri
    )
    card = sections(cards.model_card(version.model_uri, language="en", tracking_uri=uri))
    assert card["What goes in and what comes out"].endswith("It answers: double.")
    assert card["Threshold"] == "No threshold comes with the model: its own answer counts."
