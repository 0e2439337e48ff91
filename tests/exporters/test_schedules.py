"""When a schedule runs and which window it looks at: what is documented, and what is refused."""

from itertools import islice

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.exporters.schedules import (
    END_STATES,
    LONGEST_ANALYSIS,
    end_state,
    offset,
    runs,
    schedule,
    window,
)


def first(n, expression, after):
    return [f"{run:%d %H:%M}" for run in islice(runs(expression, after=after), n)]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 * ? * * *)", "2022-01-09T13:20Z", ["09 14:00", "09 15:00", "09 16:00"]),
        ("cron(0 12 ? * * *)", "2022-01-09T13:20Z", ["10 12:00", "11 12:00", "12 12:00"]),
        ("cron(0 0 ? * * *)", "2022-01-31T13:20Z", ["01 00:00", "02 00:00", "03 00:00"]),
        ("cron(0 00 ? * * *)", "2022-01-31T13:20Z", ["01 00:00", "02 00:00", "03 00:00"]),
        ("cron(0 17/12 ? * * *)", "2022-01-09T04:59Z", ["09 05:00", "09 17:00", "10 05:00"]),
        ("cron(0 0/2 ? * * *)", "2022-01-09T21:00Z", ["09 22:00", "10 00:00", "10 02:00"]),
        ("cron(0 3/24 ? * * *)", "2022-01-09T03:00Z", ["10 03:00", "11 03:00", "12 03:00"]),
        ("cron(0 0/5 ? * * *)", "2022-01-09T16:00Z", ["09 20:00", "10 00:00", "10 05:00"]),
        ("cron(0 * ? * * *)", "2022-01-09T13:20-02:30", ["09 16:00", "09 17:00", "09 18:00"]),
    ],
)
def test_the_next_runs_are_those_documented(expression, after, expected):
    assert first(3, expression, after) == expected


def test_a_run_at_the_moment_itself_is_over_and_now_is_once():
    assert first(1, "cron(0 * ? * * *)", "2022-01-09T13:00Z") == ["09 14:00"]
    assert list(runs("NOW", after="2022-01-09T13:20Z")) == [pd.Timestamp("2022-01-09T13:20Z")]
    with pytest.raises(ValueError, match="after='2022-01-09': a time with its zone is needed"):
        runs("NOW", after="2022-01-09")


@given(st.integers(0, 23), st.integers(1, 24))
def test_runs_are_n_hours_apart_from_the_hour_on_but_for_the_last_of_a_day(hour, step):
    parsed = schedule(f"cron(0 {hour}/{step} ? * * *)")
    assert hour in parsed.hours
    assert len(parsed.hours) == -(-24 // step)
    since = sorted((each - hour) % 24 for each in parsed.hours)
    assert since == list(range(0, 24, step))


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("rate(1 hour)", "SageMaker takes 'cron(0 * ? * * *)', 'cron(0 12 ? * * *)'"),
        ("0 * ? * * *", "SageMaker takes"),
        ("now", "SageMaker takes"),
        ("cron(0 * * * *)", "it has 5 fields, and must have 6: minutes, hours, day of the month"),
        ("cron(0  * ? * * *)", "it has 7 fields, and must have 6"),
        ("cron(* * ? * * *)", "its minutes are '*', and must be '0'"),
        ("cron(0 * * * ? *)", "its day of the month is '*', and must be '?'"),
        ("cron(0 12 ? * MON *)", "its day of the week is 'MON', and must be '*'"),
        ("cron(0 12 ? 1 * *)", "its month is '1', and must be '*'"),
        ("cron(0 12 ? * * 2022)", "its year is '2022', and must be '*'"),
        ("cron(0 24 ? * * *)", "its hours are '24', and must be '*', an hour of 0 to 23, or"),
        ("cron(0 1,5 ? * * *)", "its hours are '1,5'"),
        ("cron(0 0/25 ? * * *)", "its hours are '0/25'"),
        ("cron(0 0/0 ? * * *)", "its hours are '0/0'"),
        ("cron(0 */2 ? * * *)", "its hours are '*/2'"),
    ],
)
def test_what_sagemaker_refuses_is_refused_with_the_rule(expression, rule):
    with pytest.raises(ValueError) as error:
        schedule(expression)
    assert str(error.value).startswith(f"expression={expression!r}: {rule}")


def test_the_documented_window_is_found():
    start, end = window("2022-01-09T13:00Z", start_offset="-P8D", end_offset="-P1D")
    assert (str(start), str(end)) == ("2022-01-01 13:00:00+00:00", "2022-01-08 13:00:00+00:00")
    start, end = window("2022-01-09T13:00Z", start_offset="-PT1H", end_offset="-PT0H")
    assert (str(start), str(end)) == ("2022-01-09 12:00:00+00:00", "2022-01-09 13:00:00+00:00")


def test_the_windows_of_hourly_runs_tile_time():
    found = [
        window(run, start_offset="-PT3H", end_offset="-PT2H")
        for run in islice(runs("cron(0 * ? * * *)", after="2022-02-28T22:30Z"), 5)
    ]
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]


@settings(max_examples=50)
@given(*[st.integers(0, 30)] * 4)
def test_an_offset_is_the_sum_of_its_parts(days, hours, minutes, seconds):
    length = pd.Timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    assert offset(f"-P{days}DT{hours}H{minutes}M{seconds}S") == -length
    assert offset(f"-P{days}W") == -pd.Timedelta(days=7 * days)


@pytest.mark.parametrize(
    "text", ["", "P", "-P", "PT", "-P1DT", "-P1M", "-P1Y", "-8D", "-P1.5D", "1h"]
)
def test_what_is_no_fixed_duration_is_refused(text):
    with pytest.raises(ValueError) as error:
        offset(text)
    assert str(error.value) == (
        f"offset={text!r}: an ISO 8601 duration of days, hours, minutes or seconds is needed, such "
        "as '-P8D' or '-PT1H'"
    )


@pytest.mark.parametrize(
    ("start", "end", "longest", "message"),
    [
        ("P8D", "-P1D", None, "start_offset='P8D': lies in the future; did you mean '-P8D'?"),
        ("-P1D", "-P8D", None, "start_offset='-P1D': must lie before end_offset='-P8D'"),
        ("-P1D", "-PT24H", None, "start_offset='-P1D': must lie before end_offset='-PT24H'"),
        (
            "-PT25H",
            "-PT0H",
            LONGEST_ANALYSIS,
            "start_offset='-PT25H' lies 1 days 01:00:00 before end_offset='-PT0H'; at most 1 days "
            "00:00:00 may be analysed",
        ),
    ],
)
def test_a_window_that_cannot_be_is_refused(start, end, longest, message):
    with pytest.raises(ValueError) as error:
        window("2022-01-09T13:00Z", start_offset=start, end_offset=end, longest=longest)
    assert str(error.value) == message


def test_a_run_ends_in_one_of_the_documented_states():
    assert tuple(end_state(n) for n in (0, 1, None)) == END_STATES
