"""Two frames become comparable; what is assumed is said; what is unusable is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.report.builders import ASKED, current, reference
from utils.monitors import suite
from utils.report.inputs import Asked, loaded, prepared
from utils.report.sources import Unusable
from utils.store import open_store
from utils.store.example import DEPLOYMENT, SCHEMA
from utils.text import using


@pytest.fixture(autouse=True)
def english():
    with using("en"):
        yield


def with_column(name, before, now=None):
    """Return the two frames with one column more (or another one of that name)."""
    frames = reference(), current()
    return [
        frame.assign(**{name: values(len(frame))})
        for frame, values in zip(frames, (before, now or before), strict=True)
    ]


def notes(found, name):
    return [note for note in found.notes if note.startswith(name)]


def test_what_is_none_of_the_others_is_a_feature():
    found = prepared(reference(), current(), ASKED)
    assert found.roles == suite.Roles(
        time_column="at",
        features=("amount", "channel"),
        task="classification",
        prediction_column="answer",
        score_column="score",
        label_column="label",
        known_at_column="known_at",
        group_columns=("region",),
        positive="yes",
    )
    assert found.kinds == {"amount": "number", "channel": "category"}
    assert found.notes == ("label: 'yes' counts as the positive class: score grows with it",)
    for frame in (found.reference, found.current):
        assert set(frame) == set(reference())


def test_features_may_be_named():
    found = prepared(reference(), current(), replace(ASKED, feature_columns=("amount",)))
    assert found.roles.features == ("amount",)
    assert "channel" not in found.reference


@pytest.mark.parametrize("dtype", ["double[pyarrow]", "int64[pyarrow]", "Float64", "Int64"])
def test_columns_of_any_backing_are_prepared(dtype):
    frames = with_column("extra", lambda n: pd.array(np.arange(n) % 7, dtype=dtype))
    assert prepared(*frames, ASKED).kinds["extra"] == "number"


def test_nothing_given_is_changed():
    before, now = reference(), current()
    copies = before.copy(deep=True), now.copy(deep=True)
    prepared(before.sample(frac=1, random_state=0), now, ASKED)
    pd.testing.assert_frame_equal(before, copies[0])
    pd.testing.assert_frame_equal(now, copies[1])


def test_rows_in_any_order_are_the_same_inputs():
    shuffled = prepared(reference().sample(frac=1, random_state=0), current(), ASKED)
    pd.testing.assert_frame_equal(
        shuffled.reference, prepared(reference(), current(), ASKED).reference
    )


# ---------------------------------------------------------------------------------------- features


@pytest.mark.parametrize(
    ("before", "now", "note"),
    [
        (lambda n: [f"u{i}" for i in range(n)], None, "looks like an identifier (100% distinct"),
        (lambda n: range(n), None, "looks like an identifier"),
        (lambda n: ["2013-07-31"] * n, None, "dates change by themselves: left out"),
        (lambda n: pd.to_datetime(["2013-07-31"] * n), None, "dates change by themselves"),
        (lambda n: [None] * n, None, "empty: left out"),
        (lambda n: [[1]] * n, None, "its rows hold lists, objects or bytes: left out"),
    ],
)
def test_what_cannot_drift_is_left_out_and_said(before, now, note):
    found = prepared(*with_column("extra", before, now), ASKED)
    assert found.roles.features == ("amount", "channel")
    (said,) = notes(found, "extra")
    assert said.startswith(f"extra: {note}")


def test_a_constant_is_a_feature_and_said():
    found = prepared(*with_column("extra", lambda n: [1] * n), ASKED)
    assert "extra" in found.kinds
    assert notes(found, "extra") == ["extra: constant in the reference"]


def test_a_date_asked_for_is_the_days_from_it_to_the_event():
    frames = with_column("born", lambda n: ["2023-12-31"] * n)
    found = prepared(*frames, replace(ASKED, feature_columns=("born",)))
    assert found.reference["born"].iloc[[0, 48]].tolist() == [1.0, 2.0]


def test_truth_stays_truth_also_with_gaps():
    found = prepared(*with_column("flag", lambda n: [None, *(np.arange(n - 1) % 2 == 0)]), ASKED)
    assert found.kinds["flag"] == "boolean"
    assert str(found.reference["flag"].dtype) == "boolean"
    assert found.reference["flag"].isna().sum() == 1


def test_numbers_with_something_else_among_them_are_numbers_and_the_current_ones_keep_it():
    frames = with_column("dirty", lambda n: ["?", *map(str, np.arange(n - 1) % 7)])
    found = prepared(*frames, ASKED)
    assert found.kinds["dirty"] == "number"
    assert str(found.reference["dirty"].dtype) == "float64"
    assert found.current["dirty"].iloc[:3].tolist() == ["?", 0.0, 1.0]
    said = notes(found, "dirty")
    assert said[0].startswith("dirty (the reference): row 1: '?' is no number; 1 (")
    assert said[1].startswith("dirty (the current data): row 1: '?' is no number; 1 (")


def test_a_column_that_the_current_data_lack_is_missing_there():
    found = prepared(reference(), current().drop(columns="channel"), ASKED)
    assert found.current["channel"].isna().all()
    assert notes(found, "channel") == [
        "channel: the current data lack it, and it counts as missing in every row"
    ]


def test_a_column_that_only_the_current_data_have_is_said():
    found = prepared(reference(), current().assign(new=1, newer=2), ASKED)
    assert "only the current data have, and nothing compares: new, newer" in found.notes
    assert "new" not in found.current


def test_of_many_groups_the_smallest_are_one():
    frames = with_column(
        "region",
        lambda n: np.array([f"r{i:02}" for i in range(30)])[
            np.minimum(np.random.default_rng(0).geometric(0.2, n), 30) - 1
        ],
    )
    found = prepared(*frames, ASKED)
    assert found.reference["region"].nunique() == 13
    assert found.reference["region"].value_counts().index[0] == "r00"
    assert "(the rest)" in set(found.reference["region"])
    (said,) = notes(found, "region")
    assert "the 12 largest each by itself" in said


# ----------------------------------------------------------------------------- answers and labels


def answered(answer, label, **asked):
    """Return what is made of other answers and labels, as functions of the score."""
    frames = [
        frame.assign(answer=answer(frame["score"]), label=label(frame["score"]))
        for frame in (reference(), current())
    ]
    return prepared(*frames, replace(ASKED, **asked))


@pytest.mark.parametrize(
    ("answer", "label", "task", "positive"),
    [
        (lambda s: s > 0.5, lambda s: s > 0.4, "classification", 1),
        (lambda s: (s > 0.5).astype(int), lambda s: (s > 0.4).astype(float), "classification", 1),
        (lambda s: (s > 0.5).astype(int), lambda s: s > 0.4, "classification", 1),
        (lambda s: (s * 3).round(), lambda s: (s * 3.2).round(), "classification", None),
        (lambda s: s.map("{:.0f}".format), lambda s: s.round(), "classification", 1),
        (lambda s: s * 10, lambda s: s * 11, "regression", None),
        (lambda s: s * 10, lambda s: (s * 11).round(), "regression", None),
        (lambda s: (s * 900).round(), lambda s: (s * 990).round(), "regression", None),
    ],
)
def test_the_task_follows_from_the_labels_and_the_answers(answer, label, task, positive):
    found = answered(answer, label)
    assert (found.roles.task, found.roles.positive) == (task, positive)
    kinds = {str(found.reference[name].dtype) for name in ("answer", "label")}
    assert len(kinds) == 1


def test_labels_that_are_missing_stay_missing_and_do_not_change_the_classes():
    found = answered(lambda s: s > 0.5, lambda s: (s > 0.4).where(s > 0.2))
    assert str(found.reference["label"].dtype) == "Int64"
    assert found.reference["label"].isna().any()
    assert set(found.reference["answer"]) == {0, 1}


@pytest.mark.parametrize(
    ("asked", "positive", "note"),
    [
        ({}, "yes", "label: 'yes' counts as the positive class: score grows with it"),
        ({"positive": "no"}, "no", None),
        ({"score_column": None}, "no", "label: 'no' counts as the positive class: it is the rarer"),
    ],
)
def test_the_positive_class_is_the_one_that_the_score_speaks_of(asked, positive, note):
    def often(score):
        return np.where(score > 0.2, "yes", "no")

    found = answered(often, often, **asked)
    assert found.roles.positive == positive
    said = notes(found, "label")
    assert (said == []) if note is None else said[0].startswith(note)


def test_without_labels_in_the_current_data_performance_is_only_estimated():
    found = prepared(reference(), current().drop(columns=["label", "known_at"]), ASKED)
    assert found.current["label"].isna().all()
    assert "label: the current data have no labels: performance is only estimated" in found.notes


def test_a_reference_that_does_not_tell_when_its_labels_came_counts_them_as_known_at_once():
    found = prepared(reference().drop(columns="known_at"), current(), ASKED)
    assert found.reference["known_at"].equals(found.reference["at"])
    assert notes(found, "known_at")


def test_a_label_that_does_not_tell_when_it_was_known_counts_as_known_at_once():
    now = current()
    now["known_at"] = now["known_at"].where(now.index >= 2)
    now["label"] = now["label"].where(now.index >= 1)
    found = prepared(reference(), now, ASKED)
    assert found.current["known_at"].isna().tolist()[:3] == [True, False, False]
    assert found.current["known_at"].iloc[1] == now["at"].iloc[1]
    (said,) = notes(found, "known_at")
    assert said.startswith("known_at (the current data): missing in 1 (")


def test_the_last_that_is_known_is_an_event_or_a_label():
    now = current()
    assert prepared(reference(), now, ASKED).known_as_of == now["known_at"].max()
    none = prepared(reference(), now.drop(columns=["label", "known_at"]), ASKED)
    assert none.known_as_of == now["at"].max()
    assert prepared(reference(), now, replace(ASKED, known_at_column=None)).known_as_of is None


def test_features_alone_are_enough():
    found = prepared(reference(), current(), Asked(time_column="at"))
    assert found.roles.task is None
    assert set(found.roles.features) == {"amount", "channel", "region", "score", "answer", "label"}


def test_answers_alone_are_enough():
    frames = [frame[["at", "answer"]] for frame in (reference(), current())]
    found = prepared(*frames, Asked(time_column="at", prediction_column="answer"))
    assert found.roles.features == ()
    assert found.roles.task == "classification"


@pytest.mark.parametrize(("hours", "window"), [(range(6, 22), "1D"), (range(0, 24), "24h")])
def test_a_day_with_a_silent_night_is_a_day(hours, window):
    now = current(days=1)
    now = now[now["at"].dt.hour.isin(hours)]
    found = prepared(reference(), now, replace(ASKED, window=window))
    assert len(found.current) == len(now)


def test_where_the_end_of_what_was_recorded_is_said_the_current_data_may_be_short():
    now = current(days=5)
    asked = replace(ASKED, until="2024-04-01T00:00Z")
    found = prepared(reference(), now, asked)
    assert found.until == pd.Timestamp("2024-04-01", tz="UTC")
    assert len(found.current) == len(now)
    for nothing in (None, ""):
        assert prepared(reference(), current(), replace(ASKED, until=nothing)).until is None


def test_a_reference_after_the_current_data_is_said():
    found = prepared(current(days=40), reference(days=40), ASKED)
    assert "the reference is later than the current data" in found.notes


# -------------------------------------------------------------------------------------- refusals


def renamed(frame, **names):
    return frame.rename(columns=names)


REFUSALS = {
    "no time column named": (
        {"asked": {"time_column": None}},
        "time_column: say which column holds the time of the event; there are: at, amount,",
        "time_column: diga que coluna tem o momento do evento; as que há: at, amount,",
    ),
    "wrong name": (
        {"asked": {"score_column": "scor"}},
        "score_column='scor' is no column of the reference; did you mean 'score'?",
        "score_column='scor' não é coluna da referência; você quis dizer 'score'?",
    ),
    "wrong name in the current data": (
        {"now": lambda f: renamed(f, answer="Answer")},
        "prediction_column='answer' is no column of the current data; did you mean 'Answer'?",
        "prediction_column='answer' não é coluna dos dados atuais; você quis dizer 'Answer'?",
    ),
    "wrong label": (
        {"asked": {"target_column": "lable"}},
        "target_column='lable' is no column of the reference; did you mean 'label'?",
        "target_column='lable' não é coluna da referência; você quis dizer 'label'?",
    ),
    "wrong group": (
        {"asked": {"group_columns": ("regions",)}},
        "group_columns[0]='regions' is no column of the reference; did you mean 'region'?",
        "group_columns[0]='regions' não é coluna da referência; você quis dizer 'region'?",
    ),
    "wrong feature": (
        {"asked": {"feature_columns": ("amounts",)}},
        "feature_columns='amounts' is no column of the reference; did you mean 'amount'?",
        "feature_columns='amounts' não é coluna da referência; você quis dizer 'amount'?",
    ),
    "known_at nowhere": (
        {"asked": {"known_at_column": "known"}},
        "known_at_column='known' is no column of the reference; did you mean 'known_at'?",
        "known_at_column='known' não é coluna da referência; você quis dizer 'known_at'?",
    ),
    "two parts": (
        {"asked": {"prediction_column": "label"}},
        "prediction_column = target_column = 'label': a column has one part only",
        "prediction_column = target_column = 'label': uma coluna tem um só papel",
    ),
    "a feature that is the label": (
        {"asked": {"feature_columns": ("amount", "label")}},
        "target_column = feature_columns = 'label': a column has one part only",
        "target_column = feature_columns = 'label': uma coluna tem um só papel",
    ),
    "a time that is none": (
        {"now": lambda f: f.assign(at=f["at"].astype(str).where(f.index != 2, "1/4/24"))},
        "at (the current data): row 3: '1/4/24' is no ISO 8601 time",
        "at (os dados atuais): linha 3: '1/4/24' não é um momento ISO 8601",
    ),
    "a label known at no time": (
        {"now": lambda f: f.assign(known_at="soon")},
        "known_at (the current data): row 1: 'soon' is no ISO 8601 time",
        "known_at (os dados atuais): linha 1: 'soon' não é um momento ISO 8601",
    ),
    "overlap": (
        {"now": lambda f: f.assign(at=f["at"] - pd.Timedelta("10D"))},
        "the reference ends on 24 Mar 2024, 23:30 UTC and the current data begin on 22 Mar 2024, "
        "00:00 UTC: they must not overlap in time",
        "a referência termina em 24 mar 2024, 23:30 UTC e os dados atuais começam em 22 mar 2024, "
        "00:00 UTC: não podem ter tempo em comum",
    ),
    "window longer than the current data": (
        {"asked": {"window": "31D"}},
        "window='31D' is longer than the current data: 28 days",
        "window='31D' é mais longa que os dados atuais: 28 dias",
    ),
    "window longer than the reference": (
        {"asked": {"window": "93D", "false_alarms_per_year": 1}},
        "window='93D' is longer than the reference: 84 days",
        "window='93D' é mais longa que a referência: 84 dias",
    ),
    "one window of reference": (
        {"before": lambda f: f[f["at"] < "2024-01-11"], "asked": {"window": "7D"}},
        "window='7D': the reference (10 days) does not make two windows",
        "window='7D': a referência (10 dias) não dá duas janelas",
    ),
    "bad window": (
        {"asked": {"window": "weekly"}},
        "window='weekly': a positive, fixed length of time is needed, such as 7D or 12h",
        "window='weekly': é preciso uma duração fixa e positiva, como 7D ou 12h",
    ),
    "negative window": (
        {"asked": {"window": "-7D"}},
        "window='-7D': a positive, fixed length of time is needed, such as 7D or 12h",
        "window='-7D': é preciso uma duração fixa e positiva, como 7D ou 12h",
    ),
    "an end without a zone": (
        {"asked": {"until": "2024-04-01"}},
        "until='2024-04-01': a time with its zone is needed, such as 2013-04-08T00:00Z",
        "until='2024-04-01': é preciso um momento com fuso, como 2013-04-08T00:00Z",
    ),
    "no budget": (
        {"asked": {"false_alarms_per_year": "few"}},
        "false_alarms_per_year='few': with these windows, a number above 0 and up to 26.1",
        "false_alarms_per_year='few': com estas janelas, é preciso um número acima de 0 e até 26,1",
    ),
    "budget of zero": (
        {"asked": {"false_alarms_per_year": 0}},
        "false_alarms_per_year=0: with these windows, a number above 0",
        "false_alarms_per_year=0: com estas janelas, é preciso um número acima de 0",
    ),
    "budget of nan": (
        {"asked": {"false_alarms_per_year": "nan"}},
        "false_alarms_per_year='nan': with these windows",
        "false_alarms_per_year='nan': com estas janelas",
    ),
    "budget beyond the windows": (
        {"asked": {"false_alarms_per_year": 30}},
        "false_alarms_per_year=30: with these windows, a number above 0 and up to 26.1 is needed",
        "false_alarms_per_year=30: com estas janelas, é preciso um número acima de 0 e até 26,1",
    ),
    "no common columns": (
        {
            "before": lambda f: f[["at", "amount"]],
            "now": lambda f: f[["at", "channel"]],
            "asked": dict.fromkeys(
                ["prediction_column", "score_column", "target_column", "known_at_column"]
            )
            | {"group_columns": ()},
        },
        "no columns in common to compare: the reference has at, amount; the current data have at, "
        "channel",
        "nenhuma coluna em comum para comparar: a referência tem at, amount; os dados atuais têm "
        "at, channel",
    ),
    "probabilities as predictions": (
        {"asked": {"prediction_column": "score", "score_column": None}},
        "prediction_column='score' holds probabilities and not classes: give it as score_column",
        "prediction_column='score' tem probabilidades e não classes: diga-a como score_column",
    ),
    "classes that differ": (
        {
            "before": lambda f: f.assign(answer=f["answer"].eq("yes")),
            "now": lambda f: f.assign(answer=f["answer"].eq("yes")),
        },
        "answer (False, True) and label (no, yes) have no class in common",
        "answer (False, True) e label (no, yes) não têm nenhuma classe em comum",
    ),
    "text as scores": (
        {"now": lambda f: f.assign(score="high")},
        "score (the current data): no value is a number",
        "score (os dados atuais): nenhum valor é um número",
    ),
    "no scores": (
        {"now": lambda f: f.assign(score=np.nan)},
        "score: the current data: the column is empty",
        "score: os dados atuais: a coluna está vazia",
    ),
    "text as regression": (
        {"asked": {"task": "regression"}},
        "answer (the reference): no value is a number",
        "answer (a referência): nenhum valor é um número",
    ),
    "several answers a row": (
        {
            "before": lambda f: f.assign(answer=[[1, 2]] * len(f)),
            "now": lambda f: f.assign(answer=[[1, 2]] * len(f)),
        },
        "prediction_column='answer': one value a row is needed",
        "prediction_column='answer': é preciso um valor por linha",
    ),
    "positive that is no class": (
        {"asked": {"positive": "yess"}},
        "positive='yess' is none of the classes; did you mean 'yes'?",
        "positive='yess' não é nenhuma das classes; você quis dizer 'yes'?",
    ),
    "lists as a feature": (
        {
            "before": lambda f: f.assign(tags=[[1]] * len(f)),
            "asked": {"feature_columns": ("tags",)},
        },
        "feature_columns='tags': its rows hold lists, objects or bytes: left out",
        "feature_columns='tags': cada linha tem uma lista, um objeto ou bytes: fica de fora",
    ),
    "no rows": (
        {"now": lambda f: f.head(0)},
        "the current data: there are no rows",
        "os dados atuais: não há nenhuma linha",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_what_cannot_be_used_is_refused_in_one_line(name, language):
    given, en, pt = REFUSALS[name]
    before = given.get("before", lambda f: f)(reference())
    now = given.get("now", lambda f: f)(current())
    with using(language), pytest.raises(Unusable) as refused:
        prepared(before, now, replace(ASKED, **given.get("asked", {})))
    assert str(refused.value).startswith(en if language == "en" else pt)
    assert "\n" not in str(refused.value)


# ------------------------------------------------------------------------------------------ stores


@pytest.fixture
def store_url(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    rng = np.random.default_rng(0)
    n = 48 * 60
    at = pd.date_range("2013-01-01", periods=n, freq="30min", tz="UTC")
    miles = rng.uniform(100, 2000, n)
    frame = pd.DataFrame(
        {
            "prediction_id": [f"p{i}" for i in range(n)],
            "event_time": at,
            "client": "tower",
            "latency_ms": rng.gamma(4, 2, n),
            "prediction": miles / 100,
            "distance_miles": miles,
            "carrier": rng.choice(["UA", "B6"], n),
        }
    )
    labels = pd.DataFrame(
        {
            "prediction_id": frame["prediction_id"],
            "label": frame["prediction"] + rng.normal(size=n),
            "known_at": at + pd.Timedelta("3h"),
        }
    )
    with open_store(url) as store:
        store.add_deployment(DEPLOYMENT, SCHEMA)
        store.write_predictions("flights", frame)
        store.write_labels(labels)
    return url


def test_a_store_tells_what_its_columns_are(store_url):
    found = loaded(
        f"{store_url}#flights?end=2013-02-01", f"{store_url}#flights?start=2013-02-01", Asked()
    )
    assert found.roles == suite.Roles(
        time_column="event_time",
        features=("distance_miles", "carrier"),
        task="regression",
        prediction_column="prediction",
        label_column="label",
        known_at_column="label_known_at",
        latency_column="latency_ms",
        client_column="client",
    )
    assert len(found.reference) == 48 * 31
    assert len(found.current) == 48 * 29


def test_the_same_store_twice_overlaps_with_itself(store_url):
    with pytest.raises(Unusable, match="must not overlap"):
        loaded(f"{store_url}#flights", f"{store_url}#flights", Asked())
