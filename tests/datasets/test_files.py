"""Tables in files: whole or not at all, equal to what was written, and honest when they are not."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from utils.datasets import credit
from utils.datasets.files import ChangedFile, content_hash, describe, read, write

HOURS = pd.date_range("2022-01-01", periods=4, freq="h", tz="UTC", unit="us")

COLUMNS = {
    "float64": pd.Series([1.5, np.nan, -0.0, np.inf]),
    "int64": pd.Series([1, 2, -3, 2**62]),
    "Int64": pd.array([1, None, 0, 3], dtype="Int64"),
    "bool": pd.Series([True, False, True, False]),
    "boolean": pd.array([True, None, False, True], dtype="boolean"),
    "str": pd.Series(["água", None, "", "x" * 1000], dtype="str"),
    "datetime64[us, UTC]": HOURS.where([True, False, True, True]),
    "datetime64[ns, UTC]": HOURS.as_unit("ns"),
    "timedelta64[us]": pd.to_timedelta([1, None, 3, 4], unit="s").as_unit("us"),
    "category": pd.Categorical(["b", None, "a", "b"], categories=["b", "a", "never"]),
    "ordered category": pd.Categorical(["b", None, "a", "b"], categories=["b", "a"], ordered=True),
}
EVERYTHING = pd.DataFrame(COLUMNS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


def written(frame, path):
    return write(frame, path, source="a test")


# ------------------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_as_it_was(path, name):
    about = written(EVERYTHING[[name]], path)
    pd.testing.assert_frame_equal(read(path), EVERYTHING[[name]])
    assert about.rows == 4


@pytest.mark.parametrize("name", [name for name in COLUMNS if "category" not in name])
def test_a_column_of_no_rows_comes_back_with_its_type(path, name):
    about = written(EVERYTHING[[name]].head(0), path)
    pd.testing.assert_frame_equal(read(path), EVERYTHING[[name]].head(0))
    assert about.rows == 0


def test_the_categories_of_no_rows_would_be_lost_and_are_refused(path):
    with pytest.raises(ValueError, match="'category' is str category .'b', 'a', 'never'"):
        written(EVERYTHING[["category"]].head(0), path)


def test_the_index_does_not_count(path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    about = written(frame[frame["a"] > 1], path)
    assert read(path).index.tolist() == [0, 1]
    assert about.content_hash == content_hash(pd.DataFrame({"a": [2.0, 3.0]}))


def test_a_file_says_where_it_comes_from_and_in_which_units(path):
    about = write(EVERYTHING, path, source="contado à mão", units={"float64": "R$"})
    assert describe(path) == about
    assert (about.source, about.units, about.rows) == ("contado à mão", {"float64": "R$"}, 4)
    assert about.content_hash.startswith(about.digest) and len(about.digest) == 16


def test_the_folder_is_made_and_nothing_else_is_left_in_it(tmp_path):
    about = written(EVERYTHING, tmp_path / "deep" / "er" / "table.parquet")
    assert os.listdir(about.path.parent) == ["table.parquet"]


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path):
    about = written(EVERYTHING, tmp_path / "seed=7" / "table.parquet")
    assert read(about.path).columns.tolist() == EVERYTHING.columns.tolist()


def test_another_reader_needs_nothing_of_ours(path):
    written(EVERYTHING, path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), EVERYTHING)


# ----------------------------------------------------------------------------- what the hash sees


@pytest.mark.parametrize("name", COLUMNS)
def test_one_changed_value_changes_the_hash(name):
    one, other = EVERYTHING[[name]], EVERYTHING[[name]].copy()
    other.loc[2, name] = one.loc[3, name]
    assert content_hash(one) != content_hash(other)


@pytest.mark.parametrize(
    "other",
    [
        pd.DataFrame({"a": [2.0, 1.0], "b": [3.0, 4.0]}),
        pd.DataFrame({"b": [3.0, 4.0], "a": [1.0, 2.0]}),
        pd.DataFrame({"a": [1.0, 2.0], "c": [3.0, 4.0]}),
        pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]}),
        pd.DataFrame({"a": [1.0, 2.0]}),
        pd.DataFrame({"a": [1.0, 2.0, 2.0], "b": [3.0, 4.0, 4.0]}),
    ],
    ids=["rows swapped", "columns swapped", "renamed", "type", "a column less", "a row more"],
)
def test_the_hash_sees_order_names_types_and_shape(other):
    assert content_hash(other) != content_hash(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))


def test_the_hash_is_of_the_values_that_rows_have():
    """Parquet may lose a category that no row has, and the order that they were declared in."""
    values = ["low", "high"]
    one, other = (
        pd.DataFrame({"a": pd.Categorical(values, categories=categories)})
        for categories in (values, ["high", "low", "never"])
    )
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash(one.astype("str"))


def test_what_is_missing_is_missing():
    texts = [pd.DataFrame({"a": pd.Series(["x", gone], dtype=object)}) for gone in (None, np.nan)]
    assert content_hash(texts[0]) == content_hash(texts[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"compression": "snappy"},
        {"compression": "none", "use_dictionary": False},
        {"row_group_size": 1},
        {"version": "2.6", "data_page_size": 64, "write_statistics": False},
    ],
)
def test_the_same_values_in_another_file_have_the_same_hash(path, settings):
    about = written(EVERYTHING, path)
    before = path.read_bytes()
    pq.write_table(pq.read_table(path), path, **settings)
    assert path.read_bytes() != before
    assert describe(path) == about
    assert content_hash(read(path)) == about.content_hash


# --------------------------------------------------------------------------- what is no such file


def test_one_value_changed_behind_its_back_is_found(path):
    about = written(EVERYTHING, path)
    table = pq.read_table(path)
    position = table.column_names.index("float64")
    forged = table.set_column(position, "float64", pa.array([1.5, None, -0.0, 0.1]))
    pq.write_table(forged.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(ChangedFile, match=f"says {about.digest}.*make it anew"):
        read(path)


def test_a_parquet_of_somebody_else_is_refused(path):
    EVERYTHING.to_parquet(path)
    for attempt in (read, describe):
        with pytest.raises(ChangedFile, match=r"no content hash; write it with .*files\.write"):
            attempt(path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PAR1", b"PAR1" + 40 * b"\0" + b"PAR1"])
def test_what_is_no_parquet_is_refused(path, content):
    path.write_bytes(content)
    for attempt in (read, describe):
        with pytest.raises(ChangedFile, match=r"table\.parquet: is no Parquet file, or a broken"):
            attempt(path)


def test_a_file_that_is_not_there_is_said_to_be_so(path):
    for attempt in (read, describe):
        with pytest.raises(FileNotFoundError, match=r"table\.parquet"):
            attempt(path)


def test_a_file_cut_anywhere_is_refused(path):
    written(EVERYTHING, path)
    whole = path.read_bytes()
    for n_bytes in range(0, len(whole), 97):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(ChangedFile, match="make it anew"):
            read(path)


def test_a_byte_changed_anywhere_is_refused_or_changes_nothing(path):
    """Some bytes are Parquet's own (statistics, say): a change there leaves the table as it was."""
    written(EVERYTHING, path)
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 29):
        broken = bytearray(whole)
        broken[position] ^= 0b0101_0101
        path.write_bytes(broken)
        try:
            back = read(path)
        except ChangedFile:
            refused += 1
        else:
            assert content_hash(back) == content_hash(EVERYTHING)
    assert refused > len(whole) / 29 / 3


# ------------------------------------------------------------------- what is refused on the way in


@pytest.mark.parametrize(
    ("frame", "error", "says"),
    [
        ({"a": pd.Series(["x", None], dtype=object)}, ValueError, "'a' is object.*back as str"),
        ({"a": pd.Categorical([3, 1])}, ValueError, "'a' is int64 category.*back as int64"),
        ({"a": pd.to_datetime(["2022-01-01"]).as_unit("s")}, ValueError, r"\[s\].*\[ms\]"),
        ({"a": [[1], [2]]}, TypeError, "'a' holds lists or several types"),
        ({"a": pd.Series([1, "1"], dtype=object)}, TypeError, "'a' holds lists or several types"),
        ({0: [1.0]}, ValueError, "the name of column 0 is no text"),
    ],
)
def test_what_would_not_come_back_is_refused_and_leaves_what_was_there(path, frame, error, says):
    before = written(EVERYTHING, path)
    with pytest.raises(error, match=says):
        written(pd.DataFrame(frame), path)
    assert describe(path) == before
    assert os.listdir(path.parent) == [path.name]


def test_columns_that_share_a_name_and_rows_without_columns_are_refused(path):
    twice = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    with pytest.raises(ValueError, match="two columns are called 'a'"):
        written(twice, path)
    with pytest.raises(ValueError, match="3 rows without a column"):
        written(pd.DataFrame(index=range(3)), path)


def test_the_unit_of_no_column_is_refused(path):
    with pytest.raises(ValueError, match="units: 'income' is no column"):
        write(EVERYTHING, path, source="a test", units={"income": "R$"})
    assert not path.exists()


# ------------------------------------------------------------------------ killed, at the same time


def test_a_writer_killed_in_the_middle_leaves_the_file_as_it_was(path):
    """The process dies with half of the new file on the disk, before it is moved into place."""
    before = written(EVERYTHING, path)
    killed = textwrap.dedent(
        f"""
        import os, signal
        import pandas as pd, pyarrow.parquet as pq
        from utils.datasets import files

        def half(table, where, **settings):
            whole(table, where, **settings)
            os.truncate(where, os.path.getsize(where) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

        whole, pq.write_table = pq.write_table, half
        files.write(pd.DataFrame({{"a": [2.0]}}), {str(path)!r}, source="a test")
        """
    )
    run = subprocess.run([sys.executable, "-c", killed], check=False)
    assert run.returncode == -signal.SIGKILL
    assert len(os.listdir(path.parent)) == 2, "the half of a file is beside it, under another name"
    assert list(path.parent.glob("*.parquet")) == [path]
    assert describe(path) == before
    pd.testing.assert_frame_equal(read(path), EVERYTHING)


def write_often(path, value, times):
    frame = pd.DataFrame({"a": np.full(20_000, value)})
    for _ in range(times):
        written(frame, path)


def test_of_two_writers_at_once_each_reader_sees_the_whole_file_of_one(path):
    context = multiprocessing.get_context("spawn")
    written(pd.DataFrame({"a": np.full(20_000, 1.0)}), path)
    writers = [context.Process(target=write_often, args=(path, v, 20)) for v in (1.0, 2.0)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        (value,) = read(path)["a"].unique()
        seen.add(value)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen == {1.0, 2.0}
    assert os.listdir(path.parent) == [path.name]


# --------------------------------------------------------------------------------- as it is used


def test_a_day_of_applications_and_outcomes_comes_back(path):
    applied = credit.applications(start="2022-01-01", n_days=1, per_day=100, seed=1)
    book = credit.outcomes(applied, applied["amount_brl"] < 1000, seed=1)
    written(book, path)
    pd.testing.assert_frame_equal(read(path), book)
