"""What comes in: every kind of file, a folder, a store; and each refusal in one line."""

import gzip
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.report.builders import captured
from utils.report.sources import Unusable, read, shown, without_password
from utils.store import open_store
from utils.store.example import DEPLOYMENT, PREDICTIONS, SCHEMA
from utils.text import using


@pytest.fixture
def frame():
    return captured("2024-01-01", days=2)


def same(read_frame, frame):
    assert list(read_frame) == list(frame)
    assert len(read_frame) == len(frame)
    np.testing.assert_allclose(read_frame["amount"], frame["amount"])
    assert read_frame["channel"].tolist() == frame["channel"].tolist()
    assert pd.to_datetime(read_frame["at"], utc=True).tolist() == frame["at"].tolist()


def arrow(frame):
    held = io.BytesIO()
    frame.to_parquet(held)
    return pq.read_table(held)


def stream(table, path):
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", lambda f, p: f.to_csv(p, index=False)),
        ("a.csv", lambda f, p: f.to_csv(p)),
        ("a.csv", lambda f, p: f.to_csv(p, sep=";", decimal=",", index=False)),
        ("a.tsv", lambda f, p: f.to_csv(p, sep="\t", index=False)),
        ("a.txt", lambda f, p: f.to_csv(p, sep="|", index=False)),
        ("a.csv.gz", lambda f, p: f.to_csv(p, index=False)),
        ("a.csv", lambda f, p: f.to_csv(p, index=False, encoding="utf-8-sig")),
        ("a.parquet", lambda f, p: f.to_parquet(p)),
        ("no_suffix", lambda f, p: f.to_parquet(p)),
        ("a.parquet", lambda f, p: f.set_index("at").reset_index().to_parquet(p)),
        ("a.feather", lambda f, p: feather.write_feather(arrow(f), p)),
        ("a.arrow", lambda f, p: stream(arrow(f), p)),
    ],
)
def test_a_file_is_read_whatever_its_kind(tmp_path, frame, name, write):
    write(frame, tmp_path / name)
    found, notes = read(str(tmp_path / name))
    same(found, frame)
    assert notes == []


def test_a_file_whose_times_are_the_index_of_pandas_has_them_as_a_column(tmp_path, frame):
    frame.set_index("at").to_parquet(tmp_path / "a.parquet")
    found, _ = read(str(tmp_path / "a.parquet"))
    same(found[list(frame)], frame)


def test_a_file_that_is_not_utf8_is_read_and_said(tmp_path, frame):
    frame.assign(channel="balcão").to_csv(tmp_path / "a.csv", index=False, encoding="cp1252")
    with using("en"):
        found, notes = read(str(tmp_path / "a.csv"))
    assert set(found["channel"]) == {"balcão"}
    assert notes == [f"{tmp_path}/a.csv: is not UTF-8; read as Windows-1252"]


def test_a_folder_of_parquet_is_one_frame_though_files_differ_in_their_columns(tmp_path, frame):
    folder = tmp_path / "days"
    for day, part in frame.groupby(frame["at"].dt.date):
        (folder / f"day={day}").mkdir(parents=True)
        if day.day == 2:
            part = part.assign(new=1.5)
        part.to_parquet(folder / f"day={day}" / "part.parquet")
    (folder / "_SUCCESS").touch()
    found, _ = read(str(folder))
    assert len(found) == len(frame)
    assert found["new"].notna().sum() == 48
    assert sorted(set(found["day"].astype(str))) == ["2024-01-01", "2024-01-02"]


def test_what_pandas_would_make_objects_of_are_numbers_and_times(tmp_path):
    table = pa.table(
        {
            "price": pa.array([1, 2], pa.decimal128(10, 2)),
            "born": pa.array([0, 1], pa.date32()),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found, _ = read(str(tmp_path / "a.parquet"))
    assert [str(found[name].dtype) for name in found] == [
        "float64",
        "datetime64[ms]",
        "category",
    ]


def empty_csv(path):
    path.write_text("")


def only_names(path):
    path.write_text("a,b\n")


def half_a_parquet(path):
    path.write_bytes(b"PAR1 and no more")


def picture(path):
    path.write_bytes(b"\x89PNG....")


def half_a_gzip(path):
    path.write_bytes(gzip.compress(b"a,b\n1,2\n")[:12])


def two_of_a_name(path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, path)


@pytest.mark.parametrize(
    ("name", "write", "en", "pt"),
    [
        ("a.csv", None, "no such file or folder", "não há tal arquivo nem pasta"),
        ("a.csv", empty_csv, "the file is empty", "o arquivo está vazio"),
        ("a.csv", only_names, "has no rows", "não tem linhas"),
        ("a.parquet", half_a_parquet, "cannot be read: ", "não se deixa ler: "),
        ("a.csv.gz", half_a_gzip, "cannot be read: ", "não se deixa ler: "),
        ("a.png", picture, "is no CSV, Parquet or Arrow file", "não é CSV, Parquet nem Arrow"),
        ("a.parquet", two_of_a_name, "two columns are called 'a'", "duas colunas se chamam 'a'"),
        ("folder", lambda p: p.mkdir(), "no *.parquet in the folder", "não há *.parquet na pasta"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, name, write, en, pt):
    path = tmp_path / name
    if write is not None:
        write(path)
    for language, message in (("en", en), ("pt", pt)):
        with using(language), pytest.raises(Unusable) as refused:
            read(str(path))
        assert str(refused.value).startswith(f"{path}: {message}")
        assert "\n" not in str(refused.value)


def test_a_broken_file_of_a_folder_is_named(tmp_path, frame):
    frame.to_parquet(tmp_path / "a.parquet")
    half_a_parquet(tmp_path / "b.parquet")
    with using("en"), pytest.raises(Unusable, match="b.parquet: cannot be read"):
        read(str(tmp_path))


# ------------------------------------------------------------------------------------------ stores


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        opened.add_deployment(DEPLOYMENT, SCHEMA)
        opened.write_predictions("flights", PREDICTIONS)
        landed = pd.to_datetime(["2013-04-01T15Z"])
        opened.write_labels(
            pd.DataFrame({"prediction_id": ["a"], "label": [20.0], "known_at": landed})
        )
    return store_url


def test_a_deployment_of_a_store_is_read_with_its_labels(store):
    found, notes = read(f"{store}#flights")
    assert found["prediction_id"].tolist() == ["a", "b"]
    assert found["label"].tolist()[0] == 20.0
    assert notes == []


def test_a_period_of_a_deployment_is_half_open(store):
    one = "2013-04-01T13:00"
    assert read(f"{store}#flights?end={one}")[0]["prediction_id"].tolist() == ["a"]
    assert read(f"{store}#flights?start={one}Z")[0]["prediction_id"].tolist() == ["b"]
    zoned = read(f"{store}#flights?start=2013-04-01T10:00-03:00")[0]
    assert zoned["prediction_id"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("asked", "en"),
    [
        ("", "the deployment is missing: URL#deployment"),
        ("#", "the deployment is missing: URL#deployment"),
        ("#flight", "no deployment is called 'flight'; the nearest is 'flights'"),
        ("#flights?start=2014-01-01", "has no predictions"),
        ("#flights?since=2014-01-01", "'since' is neither start nor end"),
        ("#flights?start=soon", "start='soon' is no time"),
    ],
)
def test_what_a_store_does_not_hold_is_refused_in_one_line(store, asked, en):
    with using("en"), pytest.raises(Unusable) as refused:
        read(f"{store}{asked}")
    assert en in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    path = tmp_path / "typo.db"
    with using("en"), pytest.raises(Unusable, match="typo.db#flights: no such file"):
        read(f"sqlite:///{path}#flights")
    assert not path.exists()


def test_a_password_comes_from_the_environment_and_is_in_no_text(monkeypatch):
    url = "postgresql://ana:s%40cret@127.0.0.1:1/db?sslpassword=hush#flights"
    hidden, secrets = without_password(url, variable="PASSWORD")
    assert hidden == "postgresql://ana:${PASSWORD}@127.0.0.1:1/db?sslpassword=${PASSWORD_2}#flights"
    assert secrets == {"PASSWORD": "s%40cret", "PASSWORD_2": "hush"}
    assert without_password(hidden, variable="PASSWORD") == (hidden, {})
    assert shown(url) == "postgresql://ana:***@127.0.0.1:1/db?sslpassword=***#flights"
    monkeypatch.delenv("PASSWORD", raising=False)
    with using("en"), pytest.raises(Unusable, match="the environment lacks the variable PASSWORD$"):
        read(hidden)
    for name, secret in secrets.items():
        monkeypatch.setenv(name, secret)
    with pytest.raises(Unusable) as refused:
        read(hidden)
    assert "cret" not in str(refused.value) and "hush" not in str(refused.value)


def test_a_file_has_no_password():
    assert without_password("odd://a:b@c.csv", variable="X") == ("odd://a:b@c.csv", {})
    assert shown("a:b@c.csv") == "a:b@c.csv"
