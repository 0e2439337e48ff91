"""The clock of labels: late, out of order, partial, revised, and known as of a moment."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.datasets import credit, flights, labels
from utils.datasets.labels import Clock
from utils.records import LABEL_COLUMNS

N = 4_000


def history(label=None) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "prediction_id": [f"p{i:05}" for i in range(N)],
            "label": rng.integers(0, 2, N) if label is None else label,
            "known_at": pd.Timestamp("2024-03-01", tz="UTC")
            + pd.to_timedelta(np.arange(N), unit="min"),
        }
    )


def arrivals(frame=None, *, seed=1, **clock) -> pd.DataFrame:
    return labels.reports(
        history() if frame is None else frame,
        label_column="label",
        known_at_column="known_at",
        clock=Clock(**clock),
        rng=np.random.default_rng(seed),
    )


def test_a_clock_that_adds_nothing_reports_the_truth_at_its_moment():
    assert arrivals().equals(history().astype(arrivals().dtypes))
    assert tuple(arrivals().columns) == LABEL_COLUMNS


def test_the_same_seed_gives_the_same_reports():
    clock = dict(delay_hours=5, spread=1, missing=0.2, revised=0.1)
    assert arrivals(seed=4, **clock).equals(arrivals(seed=4, **clock))
    assert not arrivals(seed=4, **clock).equals(arrivals(seed=5, **clock))


def test_late_labels_are_late_by_the_declared_median():
    late = arrivals(delay_hours=10).set_index("prediction_id")["known_at"]
    waited = late - history().set_index("prediction_id")["known_at"]
    assert (waited == pd.Timedelta(hours=10)).all()
    late = arrivals(delay_hours=10, spread=0.5).set_index("prediction_id")["known_at"]
    waited = (late - history().set_index("prediction_id")["known_at"]) / pd.Timedelta(hours=1)
    assert np.median(waited) == pytest.approx(10, rel=0.05)
    assert np.log(waited).std() == pytest.approx(0.5, rel=0.05)


def test_spread_makes_labels_overtake_each_other():
    assert arrivals(delay_hours=10)["prediction_id"].is_monotonic_increasing
    jumbled = arrivals(delay_hours=10, spread=0.5)
    assert not jumbled["prediction_id"].is_monotonic_increasing
    assert jumbled["known_at"].is_monotonic_increasing


def test_partial_labels_miss_the_declared_share():
    came = arrivals(missing=0.3)
    assert abs(len(came) - 0.7 * N) < 4 * np.sqrt(N * 0.3 * 0.7)
    assert came["prediction_id"].is_unique


def test_a_revised_label_is_wrong_first_and_right_at_last():
    came = arrivals(revised=0.25, revision_hours=48)
    twice = came[came.duplicated("prediction_id", keep=False)]
    n = twice["prediction_id"].nunique()
    assert abs(n - 0.25 * N) < 4 * np.sqrt(N * 0.25 * 0.75)
    true = history().set_index("prediction_id")["label"]
    first, last = (twice.drop_duplicates("prediction_id", keep=k) for k in ("first", "last"))
    assert (first["label"].to_numpy() == 1 - true[first["prediction_id"]].to_numpy()).all()
    assert (last["label"].to_numpy() == true[last["prediction_id"]].to_numpy()).all()
    waited = (
        last.set_index("prediction_id")["known_at"] - first.set_index("prediction_id")["known_at"]
    )
    assert (waited == pd.Timedelta(hours=48)).all()


def test_a_wrong_first_number_is_off_by_the_declared_error():
    true = pd.Series(np.linspace(-30, 300, N))
    came = arrivals(history(true), revised=1, revision_error=5.0)
    first = came.drop_duplicates("prediction_id").sort_values("prediction_id")["label"]
    assert (first.to_numpy() - true.to_numpy()).std() == pytest.approx(5, rel=0.05)
    known = labels.known(came, as_of="2100-01-01").sort_values("prediction_id")
    assert np.array_equal(known["label"], true)


def test_whole_numbers_stay_whole_when_revised():
    came = arrivals(history(np.arange(N)), revised=0.5, revision_error=3.0)
    assert came["label"].dtype == "int64"


def test_text_labels_cannot_be_revised():
    with pytest.raises(ValueError, match="label_column: its type is str; only numbers"):
        arrivals(history(["yes"] * N), revised=0.5)


@settings(deadline=None, max_examples=25)
@given(
    minute=st.integers(-10, N + 10_000),
    spread=st.floats(0, 2),
    revised=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_what_is_known_is_the_newest_report_that_had_arrived(minute, spread, revised, seed):
    came = arrivals(history().head(200), delay_hours=9, spread=spread, revised=revised, seed=seed)
    as_of = pd.Timestamp("2024-03-01", tz="UTC") + pd.Timedelta(minutes=minute)
    expected = {}
    for row in came.itertuples():
        if row.known_at <= as_of:
            expected[row.prediction_id] = row.label
    known = labels.known(came, as_of=as_of)
    assert dict(zip(known["prediction_id"], known["label"], strict=True)) == expected
    assert known["prediction_id"].is_unique


def test_of_two_reports_of_one_instant_the_later_row_counts():
    at = pd.to_datetime(["2024-03-01", "2024-03-01"], utc=True)
    came = pd.DataFrame({"prediction_id": ["a", "a"], "label": [0, 1], "known_at": at})
    assert labels.known(came, as_of="2024-03-01")["label"].tolist() == [1]


def test_refused_applicants_are_never_reported():
    frame = credit.applications(start="2024-03-04", n_days=5, per_day=100, seed=2)
    lent = credit.outcomes(frame, frame["amount_brl"] < 1000, seed=2)
    came = labels.reports(
        lent,
        label_column="repaid",
        known_at_column="known_at",
        id_column="application_id",
        clock=Clock(delay_hours=24, spread=1, revised=0.2),
        rng=np.random.default_rng(0),
    )
    assert set(came["prediction_id"]) == set(lent.loc[lent["approved"], "application_id"])
    assert came["label"].dtype == "int64"


def test_diverted_flights_are_never_reported():
    frame = flights.departures(months=[6])
    came = labels.reports(
        frame,
        label_column="arrival_delay_min",
        known_at_column="landed_at",
        id_column="flight_id",
        clock=Clock(),
        rng=np.random.default_rng(0),
    )
    assert set(came["prediction_id"]) == set(frame.loc[~frame["diverted"], "flight_id"])


def test_the_frame_is_left_as_it_was():
    frame = history()
    arrivals(frame, delay_hours=3, spread=1, revised=0.5, missing=0.5)
    assert frame.equals(history())


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"missing": 1.5}, "missing=1.5: a share lies in 0..1"),
        ({"revised": -0.1}, "revised=-0.1: a share lies in 0..1"),
        ({"delay_hours": -1}, "delay_hours=-1: zero or more, and finite"),
        ({"spread": float("nan")}, "spread=nan: zero or more, and finite"),
    ],
)
def test_an_impossible_clock_is_refused(settings_, said):
    with pytest.raises(ValueError, match=said):
        Clock(**settings_)


def test_a_column_that_is_missing_or_holds_no_moments_is_named():
    with pytest.raises(ValueError, match="it has no column 'label'; did you mean 'labels'"):
        arrivals(history().rename(columns={"label": "labels"}))
    with pytest.raises(ValueError, match="known_at_column='known_at': its type is int64"):
        arrivals(history().assign(known_at=1))


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="as_of=.*: a moment needs a time zone"):
        labels.known(arrivals(), as_of=pd.Timestamp("2024-03-01"))
    with pytest.raises(ValueError, match="as_of='soon': no moment"):
        labels.known(arrivals(), as_of="soon")
