"""The tables of credit: by time, refused when the contract breaks, nobody's sex among them."""

import os

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from utils.course import life
from utils.course.models import (
    cars_model,
    credit_boosting,
    credit_model,
    flights_model,
    prepared,
)
from utils.datasets import cars, credit, files, flights
from utils.datasets.files import ChangedFile, describe, read, write
from utils.monitors.contract import ContractBroken
from utils.serving.models import load, log_model

TABLES = ["judging", "later", "reference", "train"]
TO_PREDICT_FROM = ["train", "later", "reference"]


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collected")
    life.collect_credit(folder, seed=11)
    return folder


@pytest.fixture(scope="module")
def book(collected):
    return read(collected / "credit.parquet")


@pytest.fixture(scope="module")
def folder(collected, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    life.prepare_credit(collected, folder)
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    return {name: read(folder / f"{name}.parquet") for name in TABLES}


# ---------------------------------------------------------------------------------- what is there


def test_four_tables_are_written_and_nothing_else(folder):
    assert sorted(os.listdir(folder)) == [f"{name}.parquet" for name in TABLES]


def test_what_is_returned_is_what_the_files_say(collected, tmp_path):
    written = life.prepare_credit(collected, tmp_path)
    assert written == {name: describe(tmp_path / f"{name}.parquet") for name in written}
    assert sorted(written) == TABLES


def test_the_model_learns_from_loans_of_before_and_is_judged_on_loans_of_after(tables):
    train, later = tables["train"], tables["later"]
    assert (train["applied_at"] < life.JUDGED_FROM).all()
    assert (later["applied_at"] >= life.JUDGED_FROM).all()
    for loans in (train, later):
        assert loans["approved"].all() and loans["repaid"].notna().all()
        assert (loans["known_at"] <= life.TODAY).all()


def test_the_reference_holds_every_applicant_of_the_later_period(tables, book):
    reference = tables["reference"]
    applied = book[book["applied_at"] >= life.JUDGED_FROM].reset_index(drop=True)
    assert_frame_equal(reference, applied.drop(columns=list(life.KEPT_ASIDE)))
    assert not reference["approved"].all()
    assert_series_equal(reference["repaid"].notna(), reference["approved"], check_names=False)


def test_the_tables_join_back_to_the_book_by_id_without_loss(tables, book):
    judging = tables["judging"]
    assert judging["application_id"].is_unique
    for name in TO_PREDICT_FROM:
        table = tables[name]
        joined = table.merge(judging, on="application_id", validate="one_to_one")
        original = book.set_index("application_id").loc[table["application_id"]].reset_index()
        assert_frame_equal(joined[book.columns], original)
    lent = pd.concat([tables["train"], tables["later"]])["application_id"]
    assert set(lent) == set(book.loc[book["approved"], "application_id"])


# ------------------------------------------------------------------------ nobody's sex among them


def test_no_table_to_predict_from_has_a_sensitive_column(tables):
    assert set(life.KEPT_ASIDE) == {"sex", "race", "age_group", "age_years"}
    for name in TO_PREDICT_FROM:
        assert not set(life.KEPT_ASIDE) & set(tables[name])
        assert set(credit.FEATURES) < set(tables[name])
    assert list(tables["judging"]) == ["application_id", *life.KEPT_ASIDE]


@pytest.mark.parametrize("make", [credit_model, credit_boosting])
def test_no_model_takes_a_sensitive_column_even_if_it_is_given_one(tables, tmp_path, make):
    train = tables["train"].head(3000)
    label = train["repaid"].astype("int64")
    inputs = train[list(credit.FEATURES)]
    model = make().fit(inputs, label)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    version = log_model(
        model, name="m", inputs=inputs, predictions=model.predict(inputs), tracking_uri=uri
    )
    assert load(version.model_uri, tracking_uri=uri).schema.names == credit.FEATURES

    everything = train.merge(tables["judging"], on="application_id")
    given_all = make().fit(everything, label)
    np.testing.assert_array_equal(
        given_all.predict_proba(everything), model.predict_proba(inputs), strict=True
    )
    used = {column for _, _, columns in given_all[0].transformers_[:2] for column in columns}
    assert not used & set(life.KEPT_ASIDE)


# --------------------------------------------------------------------------------------- refused


def broken(book, column, change):
    return book.assign(**{column: change(book[column])})


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("income_brl", lambda income: income * 100),
        ("purpose", lambda purpose: purpose.mask(purpose == "home", "travel")),
        ("late_payments_12m", lambda late: late.where(late.index % 3 > 0)),
    ],
    ids=["centavos", "new purpose", "missing"],
)
def test_a_book_that_breaks_its_contract_is_refused_and_nothing_is_written(
    book, tmp_path, column, change
):
    collected, folder = tmp_path / "collected", tmp_path / "prepared"
    write(broken(book, column, change), collected / "credit.parquet", source="a test")
    with pytest.raises(ContractBroken, match=column):
        life.prepare_credit(collected, folder)
    assert not folder.exists()


def test_a_book_without_a_column_is_refused_by_its_name(book, tmp_path):
    write(book.drop(columns="region"), tmp_path / "credit.parquet", source="a test")
    with pytest.raises(ContractBroken, match="region"):
        life.prepare_credit(tmp_path, tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


def test_a_refused_book_leaves_the_tables_of_before(book, folder, tmp_path):
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    write(broken(book, "income_brl", lambda x: -x), tmp_path / "credit.parquet", source="a test")
    with pytest.raises(ContractBroken):
        life.prepare_credit(tmp_path, folder)
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


def test_a_book_changed_behind_its_back_is_refused(collected, tmp_path):
    whole = bytearray((collected / "credit.parquet").read_bytes())
    whole[1000] ^= 0xFF
    (tmp_path / "credit.parquet").write_bytes(whole)
    with pytest.raises(ChangedFile, match="make it anew"):
        life.prepare_credit(tmp_path, tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


def test_a_disk_that_fills_up_leaves_no_half_of_the_tables(collected, folder, monkeypatch):
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}

    def full(table, where, **settings):
        if "reference" in str(where):
            raise OSError(28, "No space left on device")
        return whole(table, where, **settings)

    whole = files.pq.write_table
    monkeypatch.setattr(files.pq, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        life.prepare_credit(collected, folder, n_days=30)
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


@pytest.mark.parametrize("n_days", [0, -1])
def test_less_than_a_day_of_history_is_refused(collected, tmp_path, n_days):
    with pytest.raises(ValueError, match=f"n_days={n_days}: at least one day"):
        life.prepare_credit(collected, tmp_path / "prepared", n_days=n_days)
    assert not (tmp_path / "prepared").exists()


# ------------------------------------------------------------------------- what n_days and seed do


def test_n_days_shortens_the_history_to_learn_from_and_nothing_else(collected, tables, tmp_path):
    life.prepare_credit(collected, tmp_path, n_days=90)
    short = {name: read(tmp_path / f"{name}.parquet") for name in TABLES}
    for name in set(TABLES) - {"train"}:
        assert_frame_equal(short[name], tables[name])
    since = life.JUDGED_FROM - pd.Timedelta(days=90)
    train = tables["train"]
    assert_frame_equal(short["train"], train[train["applied_at"] >= since].reset_index(drop=True))
    assert 0 < len(short["train"]) < len(train)


def test_the_same_book_gives_the_same_tables_and_another_seed_gives_others(collected, tmp_path):
    one = life.prepare_credit(collected, tmp_path / "one")
    two = life.prepare_credit(collected, tmp_path / "two")
    life.collect_credit(tmp_path / "other", seed=12)
    other = life.prepare_credit(tmp_path / "other", tmp_path / "three")
    for name in TABLES:
        assert one[name].content_hash == two[name].content_hash != other[name].content_hash


# ------------------------------------------------------------- the preparation that travels along

MODELS = {
    "credit_model": (credit_model, credit, "purpose"),
    "credit_boosting": (credit_boosting, credit, "purpose"),
    "flights_model": (flights_model, flights, "carrier"),
    "cars_model": (cars_model, cars, "origin"),
}


def some_rows(data, tables):
    if data is credit:
        return tables["train"].head(4000)
    if data is cars:
        return cars.load().dropna(subset=[cars.TARGET])
    return flights.departures(months=[1]).dropna(subset=[flights.TARGET]).head(3000)


def answers(model, rows):
    return (
        model.predict_proba(rows)[:, 1] if hasattr(model, "predict_proba") else model.predict(rows)
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_to_gaps_and_to_categories_it_has_never_seen(tables, name):
    make, data, category = MODELS[name]
    rows = some_rows(data, tables)
    target = rows[data.TARGET].astype("int64" if data is credit else "float64")
    inputs = rows[list(data.FEATURES)]
    model = make().fit(inputs, target)
    first = inputs.head(20)
    gaps = [first.assign(**{column: np.nan}) for column in data.NUMERIC_FEATURES]
    for odd in [*gaps, first.assign(**{category: "never seen"})]:
        assert np.isfinite(answers(model, odd)).all()
    assert not np.allclose(answers(model, gaps[0]), answers(model, first))
    assert len({type(step) for _, step in model.steps}) == len(model.steps) == 2


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_from_the_registry_with_its_preparation(tables, tmp_path, name):
    make, data, _ = MODELS[name]
    rows = some_rows(data, tables)
    target = rows[data.TARGET].astype("int64" if data is credit else "float64")
    inputs = rows[list(data.FEATURES)]
    model = make().fit(inputs, target)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    told = model.predict(inputs)
    version = log_model(model, name=name, inputs=inputs, predictions=told, tracking_uri=uri)
    back, _ = load(version.model_uri, tracking_uri=uri).predict(inputs)
    np.testing.assert_array_equal(back, told)


def test_the_preparation_learns_from_what_it_is_fitted_on_and_from_nothing_it_answers(tables):
    train, later = (tables[name][list(credit.FEATURES)] for name in ("train", "later"))
    model = credit_model().fit(train, tables["train"]["repaid"].astype("int64"))
    scaler = model[0].named_transformers_["pipeline"][-1]
    np.testing.assert_allclose(scaler.mean_, train[list(credit.NUMERIC_FEATURES)].mean())
    before = scaler.mean_.copy()
    model.predict(later)
    np.testing.assert_array_equal(scaler.mean_, before)
    one = model.predict_proba(later.head(1))
    np.testing.assert_allclose(one, model.predict_proba(later)[:1])


def test_boosted_trees_are_the_same_on_each_fit_and_take_settings(tables):
    train = tables["train"].head(4000)
    inputs, label = train[list(credit.FEATURES)], train["repaid"].astype("int64")
    one, two = (credit_boosting(max_iter=20).fit(inputs, label) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(inputs), two.predict_proba(inputs))
    assert one[-1].n_iter_ == 20 and not one[-1].early_stopping
    other = credit_boosting(max_iter=5, random_state=1)[-1]
    assert (other.max_iter, other.random_state) == (5, 1)


def test_an_indicator_adds_a_column_for_each_number_that_was_missing():
    rows = flights.departures(months=[1]).dropna(subset=[flights.TARGET])
    inputs, label = rows[list(flights.FEATURES)], rows[flights.TARGET]
    n_gaps = inputs[list(flights.NUMERIC_FEATURES)].isna().any().sum()
    assert n_gaps > 0
    plain, marked = (
        flights_model(indicator=on).fit(inputs, label)[0].transform(inputs).shape[1]
        for on in (False, True)
    )
    assert marked == plain + n_gaps


def test_rare_categories_share_a_column_and_the_others_have_their_own():
    purposes = ["common"] * 30 + ["frequent"] * 20 + ["rare"] * 19 + ["rarer"] * 2
    rows = pd.DataFrame({"purpose": purposes})
    fitted = prepared([], ["purpose"]).fit(rows)
    names = ["common", "frequent", "rare", "rarer", "never seen"]
    codes = fitted.transform(pd.DataFrame({"purpose": names}))
    codes = codes.toarray() if hasattr(codes, "toarray") else codes
    assert codes.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_the_file_of_today_adds_a_late_payment_to_each_default_and_nothing_else(tables):
    later = tables["later"]
    today = life.bureau_read_today(later)
    added = today["late_payments_12m"] - later["late_payments_12m"]
    assert_series_equal(added, (1 - later["repaid"].astype("float64")), check_names=False)
    assert_frame_equal(
        today.drop(columns="late_payments_12m"), later.drop(columns="late_payments_12m")
    )
