"""Incidents: each does what it declares, only in its window, and the ledger tells the truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from utils.datasets import credit, flights, incidents
from utils.datasets.incidents import KINDS, STAGES, example
from utils.records import LEDGER_COLUMNS, Incident
from utils.text import using

ADDED = {"latency_burst": "latency_ms", "error_burst": "error"}


def injected(traffic, *given, seed=7):
    return incidents.inject(
        traffic.frame,
        given,
        rng=np.random.default_rng(seed),
        time_column=traffic.time_column,
        relabel=traffic.data.relabel,
    )


def of_kind(kind, traffic, *, strength=1.0, **options):
    incident = example(kind, traffic.name, start=traffic.start, end=traffic.end, strength=strength)
    return Incident(**vars(incident) | {"options": dict(incident.options) | options})


def aligned(traffic, changed):
    """Return the rows of before and after that have the same id, side by side in order."""
    before = traffic.frame.set_index(traffic.id_column)
    after = changed.set_index(traffic.id_column)
    return before.loc[after.index], after


# What holds for every kind


@pytest.mark.parametrize("kind", KINDS)
def test_something_moves_inside_the_window_and_nothing_outside(kind, traffic):
    changed, _ = injected(traffic, of_kind(kind, traffic))
    added = ADDED.get(kind)
    columns = list(traffic.frame.columns)
    pd.testing.assert_frame_equal(
        traffic.outside(changed[columns]), traffic.outside(traffic.frame), check_dtype=False
    )
    inside = traffic.inside(changed).reset_index(drop=True)
    if added:
        assert inside[columns].equals(traffic.inside(traffic.frame).reset_index(drop=True))
        assert inside[added].mean() > 3 * traffic.outside(changed)[added].mean()
    else:
        assert not inside.equals(traffic.inside(traffic.frame).reset_index(drop=True))


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_columns_of_the_ledger_change(kind, traffic):
    changed, ledger = injected(traffic, of_kind(kind, traffic))
    told = set(filter(None, ledger["columns"].item().split(", ")))
    if kind in ("duplicates", "replays"):
        assert told == set()
        return
    before, after = aligned(traffic, changed)
    moved = {c for c in before if not before[c].equals(after[c].astype(before[c].dtype))}
    if len(changed) < len(traffic.frame):
        assert moved == set()
        assert len(told) == 1
    else:
        assert moved | (set(after) - set(before)) == told


@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_has_one_true_row(kind, traffic):
    incident = of_kind(kind, traffic, strength=0.75)
    _, ledger = injected(traffic, incident)
    assert tuple(ledger.columns) == LEDGER_COLUMNS
    row = ledger.iloc[0]
    assert (row["incident"], row["kind"], row["strength"]) == (1, kind, 0.75)
    assert (row["start"], row["end"]) == (traffic.start, traffic.end)
    assert row["harmful"] == KINDS[kind].harmful
    assert str(ledger["start"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_is_right_that_it_is_harmful_or_harmless(kind, traffic):
    changed, ledger = injected(traffic, of_kind(kind, traffic))
    before, after = traffic.inside(traffic.frame), traffic.inside(changed)
    harmful = ledger["harmful"].item()
    if kind == "error_burst":  # no answer at all is the worst one
        assert harmful and after["error"].all()
        return
    quiet, noisy = traffic.error(before), traffic.error(after)
    if harmful:
        assert noisy > 1.01 * quiet, f"{kind}: {quiet:.3f} -> {noisy:.3f}"
    else:
        assert noisy < 1.03 * quiet, f"{kind}: {quiet:.3f} -> {noisy:.3f}"


@pytest.mark.parametrize("month", range(5, 13))
def test_the_ledger_is_right_in_every_month_of_flights(month, flight_traffic):
    traffic = replace(
        flight_traffic,
        frame=flights.departures(months=[month]),
        start=pd.Timestamp(2013, month, 8, tz="UTC"),
        end=pd.Timestamp(2013, month, 22, tz="UTC"),
    )
    quiet = traffic.error(traffic.inside(traffic.frame))
    for name, kind in KINDS.items():
        if kind.stage != "service":
            changed, _ = injected(traffic, of_kind(name, traffic))
            ratio = traffic.error(traffic.inside(changed)) / quiet
            assert ratio > 1 if kind.harmful else ratio < 1.03, f"{name}: {ratio:.3f}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_randomness_gives_the_same_traffic(kind, traffic):
    incident = of_kind(kind, traffic, strength=0.5)
    assert injected(traffic, incident, seed=3)[0].equals(injected(traffic, incident, seed=3)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_no_strength_is_no_incident(kind, traffic):
    changed, _ = injected(traffic, of_kind(kind, traffic, strength=0.0))
    pd.testing.assert_frame_equal(
        changed[list(traffic.frame.columns)], traffic.frame, check_dtype=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_given_is_left_as_it_was(kind, traffic):
    before = traffic.frame.copy()
    injected(traffic, of_kind(kind, traffic))
    assert traffic.frame.equals(before)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_out_in_order_of_time_with_a_new_index(kind, traffic):
    changed, _ = injected(traffic, of_kind(kind, traffic))
    assert changed[traffic.time_column].is_monotonic_increasing
    assert changed.index.tolist() == list(range(len(changed)))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"covariate_drift_harmless", "replays"}))
def test_where_limits_an_incident_to_some_rows(kind, flight_traffic):
    traffic = flight_traffic
    options = {"where": {"origin": "JFK"}}
    changed, _ = injected(traffic, of_kind(kind, traffic, **options))
    columns = list(traffic.frame.columns)
    changed = changed[columns]
    before = traffic.frame[traffic.frame["origin"] != "JFK"]
    after = changed[changed["origin"] != "JFK"]
    assert len(before) and before.reset_index(drop=True).equals(after.reset_index(drop=True))
    assert not changed.equals(traffic.frame) or kind in ADDED


@settings(deadline=None, max_examples=30)
@given(strength=st.floats(0, 1), from_day=st.integers(0, 25), n_days=st.integers(1, 10))
def test_windows_are_half_open_and_the_strength_is_the_share(
    small_credit, strength, from_day, n_days
):
    start = pd.Timestamp("2024-03-01", tz="UTC") + pd.Timedelta(days=from_day)
    incident = example(
        "missing_values",
        "credit",
        start=start,
        end=start + pd.Timedelta(days=n_days),
        strength=strength,
    )
    changed, _ = incidents.inject(
        small_credit, [incident], rng=np.random.default_rng(1), time_column="applied_at"
    )
    times = small_credit["applied_at"]
    inside = (times >= incident.start) & (times < incident.end)
    missing = changed["debt_share"].isna()
    assert not missing[~inside].any()
    n = int(inside.sum())
    assert abs(missing.sum() - strength * n) <= 5 * np.sqrt(n * strength * (1 - strength)) + 1e-9


@pytest.fixture(scope="module")
def small_credit():
    return credit.applications(start="2024-03-01", n_days=36, per_day=20, seed=4)


def test_a_row_at_the_end_is_out_and_one_at_the_start_is_in():
    at = pd.to_datetime(["2024-03-01", "2024-03-02", "2024-03-03"], utc=True)
    frame = pd.DataFrame({"at": at, "x": [1.0, 2.0, 3.0]})
    gone = Incident(kind="missing_values", start=at[1], end=at[2], columns=("x",))
    changed, _ = incidents.inject(frame, [gone], rng=np.random.default_rng(0), time_column="at")
    assert changed["x"].isna().tolist() == [False, True, False]


# What each kind declares


def test_units_change_by_the_factor_of_the_unit_in_the_name(flight_traffic):
    changed, _ = injected(flight_traffic, of_kind("unit_change", flight_traffic))
    before, after = aligned(flight_traffic, flight_traffic.inside(changed))
    assert np.allclose(after["departure_delay_min"], before["departure_delay_min"] / 60)


@pytest.mark.parametrize(
    ("column", "value", "becomes"),
    [
        ("temperature_f", 212.0, 100.0),
        ("temperature_f", 32.0, 0.0),
        ("distance_miles", 100.0, 160.9344),
        ("precipitation_in", 1.0, 25.4),
        ("pressure_mb", 1013.25, 29.9213),
        ("income_brl", 12.34, 1234.0),
        ("term_months", 6.0, 0.5),
        ("weight_lb", 1000.0, 453.59237),
        ("displacement_in3", 100.0, 1638.7064),
    ],
)
def test_each_unit_becomes_the_one_it_is_mistaken_for(column, value, becomes):
    assert one_value(column, value) == pytest.approx(becomes, rel=1e-5)


def one_value(column, value, **options):
    at = pd.Timestamp("2024-03-01", tz="UTC")
    frame = pd.DataFrame({"at": [at], column: [value]})
    end = at + pd.Timedelta(days=1)
    swap = Incident(kind="unit_change", start=at, end=end, columns=(column,), options=options)
    changed, _ = incidents.inject(frame, [swap], rng=np.random.default_rng(0), time_column="at")
    return changed[column].item()


def test_a_unit_may_be_given_and_whole_numbers_stay_whole():
    assert one_value("cylinders", 4, factor=1.7, offset=1.0) == 8
    with pytest.raises(ValueError, match="columns: 'cylinders' names no unit"):
        one_value("cylinders", 4)


def test_missing_values_of_a_row_are_missing_together(credit_traffic):
    changed, _ = injected(credit_traffic, of_kind("missing_values", credit_traffic, strength=0.3))
    missing = credit_traffic.inside(changed)[["debt_share", "late_payments_12m"]].isna()
    assert missing["debt_share"].equals(missing["late_payments_12m"])
    assert missing["debt_share"].mean() == pytest.approx(0.3, abs=0.03)


def test_a_stuck_sensor_repeats_the_last_value_seen_before(traffic):
    changed, ledger = injected(traffic, of_kind("stuck_sensor", traffic))
    column = ledger["columns"].item().split(", ")[0]
    before = traffic.frame[traffic.frame[traffic.time_column] < traffic.start]
    stuck = traffic.inside(changed)[column].unique()
    assert stuck.tolist() == [before[column].dropna().iloc[-1]]


def test_a_sensor_stuck_from_the_first_row_repeats_that_row(credit_traffic):
    first = credit_traffic.frame["applied_at"].iloc[0]
    incident = example("stuck_sensor", "credit", start=first, end=first + pd.Timedelta(days=2))
    changed, _ = injected(credit_traffic, incident)
    stuck = changed.loc[changed["applied_at"] < incident.end, "debt_share"].unique()
    assert stuck.tolist() == [credit_traffic.frame["debt_share"].iloc[0]]


def test_a_new_category_was_never_seen_before(traffic):
    changed, ledger = injected(traffic, of_kind("new_category", traffic, strength=0.4))
    for column in ledger["columns"].item().split(", "):
        values = traffic.inside(changed)[column]
        new = ~values.isin(traffic.frame[column].unique())
        assert values[new].nunique() == 1
        assert new.mean() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("kind", ["covariate_drift_harmless", "covariate_drift_harmful"])
def test_covariates_drift_loudly_by_choosing_among_real_rows(kind, traffic):
    changed, ledger = injected(traffic, of_kind(kind, traffic))
    column = ledger["columns"].item()
    before, after = traffic.inside(traffic.frame), traffic.inside(changed)
    assert stats.ks_2samp(before[column], after[column]).statistic > 0.25
    rising = after[column].mean() > before[column].mean()
    assert rising == (kind == "covariate_drift_harmful")
    paired_before, paired_after = aligned(traffic, changed)
    assert paired_before.equals(paired_after)


def test_covariates_may_drift_toward_a_category(credit_traffic):
    drift = Incident(
        kind="covariate_drift_harmless",
        start=credit_traffic.start,
        end=credit_traffic.end,
        columns=("channel",),
        options={"toward": "app"},
    )
    changed, _ = injected(credit_traffic, drift)
    before, after = (credit_traffic.inside(f) for f in (credit_traffic.frame, changed))
    assert (after["channel"] == "app").sum() == (before["channel"] == "app").sum()
    assert (after["channel"] == "app").mean() > 0.9


def test_covariate_drift_keeps_the_label_given_the_inputs(credit_traffic):
    for kind in ("covariate_drift_harmless", "covariate_drift_harmful"):
        changed, _ = injected(credit_traffic, of_kind(kind, credit_traffic))
        rows = credit_traffic.inside(changed)
        truth = credit.repayment_probability(rows)
        z = (rows["repaid"].sum() - truth.sum()) / np.sqrt((truth * (1 - truth)).sum())
        assert abs(z) < 4


def test_a_population_cut_removes_the_group_and_leaves_the_others_alone(traffic):
    incident = of_kind("population_cut", traffic)
    changed, ledger = injected(traffic, incident)
    column, (value,) = ledger["columns"].item(), incident.options["values"]
    before, after = traffic.inside(traffic.frame), traffic.inside(changed)
    assert not (after[column] == value).any()
    assert len(after) == (before[column] != value).sum() < len(before)


def test_a_changed_concept_leaves_the_inputs_as_they_were(traffic):
    for kind in ("concept_drift_sudden", "concept_drift_gradual"):
        changed, _ = injected(traffic, of_kind(kind, traffic))
        inputs = list(traffic.data.FEATURES)
        assert changed[inputs].equals(traffic.frame[inputs])


def test_slower_flights_land_as_many_minutes_later_as_their_delay_grows(flight_traffic):
    changed, _ = injected(flight_traffic, of_kind("concept_drift_sudden", flight_traffic))
    before, after = aligned(flight_traffic, flight_traffic.inside(changed))
    later = after["arrival_delay_min"] - before["arrival_delay_min"]
    assert later.dropna().equals((0.25 * before["air_time_min"]).round().dropna())
    landed = (after["landed_at"] - before["landed_at"]).dropna() / pd.Timedelta(minutes=1)
    assert np.array_equal(landed, later.dropna())
    assert after["arrival_delay_min"].isna().equals(before["arrival_delay_min"].isna())


def test_a_gradual_drift_grows_from_nothing(flight_traffic):
    changed, _ = injected(flight_traffic, of_kind("concept_drift_gradual", flight_traffic))
    before, after = aligned(flight_traffic, flight_traffic.inside(changed))
    ratio = (after["air_time_min"] / before["air_time_min"]).dropna().to_numpy()
    assert ratio[:200].mean() == pytest.approx(1.0, abs=0.01)
    assert ratio[len(ratio) // 2] == pytest.approx(1.125, abs=0.01)
    assert ratio[-200:].mean() == pytest.approx(1.25, abs=0.01)


def test_a_harder_world_follows_the_shifted_mechanism(credit_traffic):
    changed, _ = injected(credit_traffic, of_kind("concept_drift_sudden", credit_traffic))
    rows = credit_traffic.inside(changed)
    p = credit.repayment_probability(rows)
    shifted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) - 2)))
    z = (rows["repaid"].sum() - shifted.sum()) / np.sqrt((shifted * (1 - shifted)).sum())
    assert abs(z) < 4


def test_a_concept_may_change_for_one_group_only(credit_traffic):
    incident = of_kind("concept_drift_sudden", credit_traffic, where={"sex": "female"})
    changed, _ = injected(credit_traffic, incident)
    rows = credit_traffic.inside(changed)
    before = credit_traffic.inside(credit_traffic.frame)
    women = rows["sex"] == "female"
    assert rows.loc[women, "repaid"].mean() < before.loc[women, "repaid"].mean() - 0.1
    assert rows.loc[~women, "repaid"].equals(before.loc[~women, "repaid"])


def test_labels_take_longer_and_longer(traffic):
    changed, _ = injected(traffic, of_kind("label_delay_grows", traffic))
    before, after = aligned(traffic, traffic.inside(changed))
    column, times = traffic.label_known_column, after[traffic.time_column]
    stretched = (after[column] - times) / (before[column] - times)
    progress = (times - traffic.start) / (traffic.end - traffic.start)
    wanted = (1 + 4 * progress)[stretched.notna()]
    assert np.allclose(stretched.dropna(), wanted, atol=1e-3)


def test_duplicates_are_the_same_rows_seconds_later(traffic):
    changed, _ = injected(traffic, of_kind("duplicates", traffic, strength=0.2))
    again = changed[changed.duplicated(traffic.id_column, keep="first")]
    inside = len(traffic.inside(traffic.frame))
    assert abs(len(again) - 0.2 * inside) < 4 * np.sqrt(inside * 0.2 * 0.8)
    assert len(traffic.inside(changed)) == inside + len(again)
    original = traffic.frame.set_index(traffic.id_column).loc[again[traffic.id_column]]
    copy = again.set_index(traffic.id_column)
    waited_s = (copy[traffic.time_column] - original[traffic.time_column]).dt.total_seconds()
    assert waited_s.between(0, 30).all()
    rest = [c for c in original if c != traffic.time_column]
    assert copy[rest].equals(original[rest])


def test_replays_are_rows_of_before_with_all_their_moments_shifted_alike(traffic):
    changed, _ = injected(traffic, of_kind("replays", traffic, strength=0.1))
    again = changed[changed.duplicated(traffic.id_column, keep="first")]
    inside = len(traffic.inside(traffic.frame))
    assert abs(len(again) - 0.1 * inside) < 4 * np.sqrt(inside * 0.1 * 0.9)
    original = traffic.frame.set_index(traffic.id_column).loc[again[traffic.id_column]]
    copy = again.set_index(traffic.id_column)
    assert (original[traffic.time_column] < traffic.start).all()
    assert copy[traffic.time_column].between(traffic.start, traffic.end, inclusive="left").all()
    late, known = traffic.time_column, traffic.label_known_column
    assert (copy[known] - copy[late]).equals(original[known] - original[late])
    inputs = list(traffic.data.FEATURES)
    assert copy[inputs].equals(original[inputs])


def test_nothing_before_the_window_cannot_be_replayed(credit_traffic):
    first = credit_traffic.frame["applied_at"].iloc[0]
    incident = example("replays", "credit", start=first, end=first + pd.Timedelta(days=2))
    with pytest.raises(ValueError, match="start=2024-06-01.*no rows before it that could be"):
        injected(credit_traffic, incident)


def test_latency_rises_fifty_fold_and_the_answers_stay(credit_traffic):
    changed, _ = injected(credit_traffic, of_kind("latency_burst", credit_traffic))
    slow = credit_traffic.inside(changed)["latency_ms"].median()
    usual = credit_traffic.outside(changed)["latency_ms"].median()
    assert usual == pytest.approx(8, rel=0.05)
    assert slow / usual == pytest.approx(50, rel=0.1)


def test_measured_latencies_and_errors_are_kept_and_added_to(credit_traffic):
    frame = credit_traffic.frame.assign(latency_ms=2.0, error=False)
    frame.loc[0, "error"] = True
    given = [of_kind(k, credit_traffic, strength=0.5) for k in ("latency_burst", "error_burst")]
    changed, _ = incidents.inject(
        frame, given, rng=np.random.default_rng(1), time_column="applied_at"
    )
    assert set(changed["latency_ms"]) == {2.0, 2.0 * 25.5}
    assert changed["error"].iloc[0]
    assert credit_traffic.inside(changed)["error"].mean() == pytest.approx(0.5, abs=0.03)


# Several at once


def test_several_incidents_have_a_ledger_row_each_in_the_order_given(traffic):
    given = [of_kind(kind, traffic, strength=0.5) for kind in KINDS]
    changed, ledger = injected(traffic, *given)
    assert ledger["incident"].tolist() == list(range(1, len(KINDS) + 1))
    assert ledger["kind"].tolist() == list(KINDS)
    assert changed[traffic.time_column].is_monotonic_increasing


def test_labels_follow_the_true_inputs_however_the_pipe_spoils_them(credit_traffic):
    pipe, world = (of_kind(k, credit_traffic) for k in ("unit_change", "concept_drift_sudden"))
    # The concept drift is second here and second alone, so it has the same randomness in each.
    alone = of_kind("latency_burst", credit_traffic)
    spoiled, _ = injected(credit_traffic, pipe, world)
    clean, _ = injected(credit_traffic, alone, world)
    assert spoiled["repaid"].equals(clean["repaid"])
    assert not spoiled["income_brl"].equals(clean["income_brl"])


def test_an_incident_does_not_depend_on_the_strength_of_another(credit_traffic):
    drawn = []
    for strength in (0.1, 0.9):
        first = of_kind("error_burst", credit_traffic, strength=strength)
        second = of_kind("missing_values", credit_traffic, strength=0.5)
        drawn.append(injected(credit_traffic, first, second)[0]["debt_share"])
    assert drawn[0].equals(drawn[1])


def test_no_incidents_change_nothing_and_leave_an_empty_ledger(traffic):
    changed, ledger = injected(traffic)
    assert changed.equals(traffic.frame)
    assert len(ledger) == 0
    assert tuple(ledger.columns) == LEDGER_COLUMNS
    assert ledger["harmful"].dtype == bool


def test_an_incident_may_say_itself_whether_it_is_harmful(flight_traffic):
    _, ledger = injected(flight_traffic, of_kind("unit_change", flight_traffic, harmful=False))
    assert not ledger["harmful"].item()


# The registry


def test_there_are_at_least_ten_kinds_and_each_is_described_in_both_languages():
    assert len(KINDS) >= 10
    for kind in KINDS.values():
        with using("pt"):
            portuguese = kind.description
        with using("en"):
            english = kind.description
        assert portuguese != english
        assert kind.stage in STAGES
        assert "\n" not in portuguese + english


def test_the_catalogue_speaks_the_language_in_force():
    with using("pt"):
        described = incidents.catalogue().set_index("kind")["description"]
    assert described["population_cut"].startswith("Um grupo deixa de chegar")
    assert described.index.tolist() == list(KINDS)


# Misuse


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "unit_chnage"}, "kind='unit_chnage': .*did you mean 'unit_change'"),
        ({"columns": ("distance_mile",)}, "no column 'distance_mile'; did you mean 'distance_mil"),
        ({"columns": ()}, r"columns=\(\): unit_change takes one column or more"),
        ({"columns": ("carrier",)}, "columns: 'carrier' is str; unit_change takes numbers"),
        ({"strength": 1.2}, "strength=1.2: a share lies in 0..1"),
        ({"strength": float("nan")}, "strength=nan: a share lies in 0..1"),
        ({"end": "2013-04-01"}, "end=2013-04-01.*: it must come after start=2013-04-08"),
        ({"start": "2014-01-01", "end": "2014-02-01"}, "no rows of unit_change in this window"),
        ({"start": pd.Timestamp("2013-04-08")}, "start=.*: a moment needs a time zone"),
        ({"options": {"factr": 2}}, "options: unit_change has no 'factr'; did you mean 'factor'"),
        ({"options": {"where": {"orign": "JFK"}}}, "no column 'orign'; did you mean 'origin'"),
        ({"options": {"where": {"origin": "BOS"}}}, "no rows of unit_change in this window"),
        ({"kind": "duplicates"}, r"columns=\('distance_miles',\): duplicates takes none"),
        ({"kind": "new_category"}, "'distance_miles' is float64; new_category takes categories"),
        ({"kind": "label_delay_grows"}, "is float64; label_delay_grows takes moments"),
        ({"kind": "covariate_drift_harmful"}, "covariate_drift_harmful needs 'toward'"),
        (
            {"kind": "population_cut", "columns": ("carrier", "origin"), "options": {"values": ()}},
            "population_cut takes one column",
        ),
        (
            {"kind": "population_cut", "columns": ("origin",), "options": {"values": ("JKF",)}},
            "options: values: 'origin' has no 'JKF'; did you mean 'JFK'",
        ),
        (
            {"kind": "covariate_drift_harmless", "options": {"toward": "up"}},
            "options: toward='up': 'high' or 'low' for the number 'distance_miles'",
        ),
        (
            {
                "kind": "covariate_drift_harmless",
                "columns": ("dest",),
                "options": {"toward": "MIAA"},
            },
            "options: toward: 'dest' has no 'MIAA'; did you mean 'MIA'",
        ),
    ],
)
def test_misuse_is_refused_by_name(flight_traffic, changes, said):
    plain = {
        "kind": "unit_change",
        "columns": ("distance_miles",),
        "start": flight_traffic.start,
        "end": flight_traffic.end,
    }
    with pytest.raises(ValueError, match=said):
        injected(flight_traffic, Incident(**plain | changes))


def test_concept_drift_needs_the_mechanism(flight_traffic):
    with pytest.raises(ValueError, match="relabel=None: concept_drift_sudden needs the data set's"):
        incidents.inject(
            flight_traffic.frame,
            [of_kind("concept_drift_sudden", flight_traffic)],
            rng=np.random.default_rng(0),
            time_column="departed_at",
        )


def test_a_time_column_without_moments_is_refused(flight_traffic):
    with pytest.raises(ValueError, match="time_column='month': its type is int64"):
        incidents.inject(
            flight_traffic.frame, [], rng=np.random.default_rng(0), time_column="month"
        )


def test_examples_are_of_known_traffic_and_kinds():
    moments = dict(start="2024-01-01", end="2024-02-01")
    with pytest.raises(ValueError, match="traffic='flight': did you mean 'flights'"):
        example("duplicates", "flight", **moments)
    with pytest.raises(ValueError, match="kind='duplicate': .*did you mean 'duplicates'"):
        example("duplicate", "flights", **moments)
