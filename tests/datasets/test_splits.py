"""A history cut at a moment: nothing from later, nothing that was not known yet, nothing lost."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.datasets.splits import split

COLUMNS = {"time_column": "applied_at", "known_at_column": "known_at"}
ZERO = pd.Timestamp("2022-01-01", tz="UTC")


def day(number):
    return ZERO + pd.Timedelta(days=number)


def loans(*rows):
    """Return loans of (applied on day, known on day or None)."""
    applied, known = zip(*rows, strict=True) if rows else ((), ())
    moments = [pd.NaT if each is None else day(each) for each in known]
    return pd.DataFrame(
        {
            "loan": range(len(rows)),
            "applied_at": pd.to_datetime([day(each) for each in applied], utc=True),
            "known_at": pd.to_datetime(moments, utc=True),
        }
    )


def cut(frame, *, at=10, learned_at=20, judged_at=30, **columns):
    return split(
        frame,
        at=day(at),
        learned_at=day(learned_at),
        judged_at=day(judged_at),
        **COLUMNS | columns,
    )


@pytest.mark.parametrize(
    ("applied", "known", "part"),
    [
        (9, 19, "train"),
        (9, 20, "train"),
        (9, 21, "unknown"),
        (9, 29, "unknown"),
        (9, None, "unknown"),
        (10, 11, "later"),
        (10, 30, "later"),
        (10, 31, "unknown"),
        (10, None, "unknown"),
        (0, 5, "train"),
    ],
)
def test_a_row_is_in_the_part_that_its_times_say(applied, known, part):
    parts = cut(loans((applied, known)))
    assert {name: len(rows) for name, rows in vars(parts).items()} == {
        "train": 0,
        "later": 0,
        "unknown": 0,
    } | {part: 1}


rows = st.tuples(st.integers(0, 40), st.none() | st.integers(0, 60))


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, max_size=30), st.tuples(*[st.integers(0, 50)] * 3).map(sorted))
def test_each_row_is_in_one_part_and_none_knows_its_future(found, moments):
    at, learned_at, judged_at = moments
    frame = loans(*found)
    parts = cut(frame, at=at, learned_at=learned_at, judged_at=judged_at)
    together = pd.concat([parts.train, parts.later, parts.unknown])
    pd.testing.assert_frame_equal(together.sort_index(), frame, check_index_type=False)
    assert (parts.train["applied_at"] < day(at)).all()
    assert (parts.train["known_at"] <= day(learned_at)).all()
    assert (parts.later["applied_at"] >= day(at)).all()
    assert (parts.later["known_at"] <= day(judged_at)).all()
    for rows_of_part in vars(parts).values():
        assert rows_of_part["loan"].is_monotonic_increasing


def test_what_happens_after_a_moment_does_not_change_what_was_learned_then():
    """A later label, or a row that came later, leaves the training rows as they were."""
    before = cut(loans((1, 12), (2, None), (3, 18))).train
    after = cut(loans((1, 12), (2, 25), (3, 18), (15, 40))).train
    pd.testing.assert_frame_equal(before, after)


def test_the_frame_is_left_as_it_was():
    frame = loans((1, 12), (2, None))
    copy = frame.copy()
    cut(frame)
    pd.testing.assert_frame_equal(frame, copy)


def test_an_empty_history_has_empty_parts_with_its_columns():
    frame = loans((1, 12)).head(0)
    for part in vars(cut(frame)).values():
        pd.testing.assert_frame_equal(part, frame)


def test_moments_of_another_time_zone_are_the_same_moments():
    frame = loans((9, 19), (10, 11))
    elsewhere = frame.assign(applied_at=frame["applied_at"].dt.tz_convert("America/Sao_Paulo"))
    assert cut(elsewhere).train["loan"].tolist() == cut(frame).train["loan"].tolist() == [0]


@pytest.mark.parametrize("moments", [(20, 10, 30), (10, 30, 20)])
def test_moments_out_of_order_are_refused(moments):
    at, learned_at, judged_at = moments
    with pytest.raises(ValueError, match="each is the one before it, or later"):
        cut(loans((1, 2)), at=at, learned_at=learned_at, judged_at=judged_at)


def test_moments_may_be_the_same():
    assert len(cut(loans((1, 2)), at=5, learned_at=5, judged_at=5).train) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"time_column": "aplied_at"}, "no column 'aplied_at'.*'applied_at'"),
        ({"known_at_column": "loan"}, "known_at_column='loan': its type is int64"),
    ],
)
def test_a_column_that_holds_no_moments_is_refused(changed, says):
    with pytest.raises(ValueError, match=says):
        cut(loans((1, 2)), **changed)


def test_a_moment_without_a_time_zone_is_refused_and_a_date_is_one_of_utc():
    naive = {"learned_at": "2022-02-01", "judged_at": "2022-03-01"}
    with pytest.raises(ValueError, match="at=.*needs a time zone"):
        split(loans((1, 2)), at=pd.Timestamp("2022-01-10"), **naive, **COLUMNS)
    assert len(split(loans((1, 2)), at="2022-01-10", **naive, **COLUMNS).train) == 1
