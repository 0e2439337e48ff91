"""The data contract: what it finds, what it leaves alone, and what it says."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.monitors.contract import (
    VIOLATION_COLUMNS,
    WAYS_OUT,
    ContractBroken,
    DataContract,
    Field,
    need,
    suggested,
    violations,
)

DAY = pd.Timestamp("2024-03-04", tz="UTC")


def contract(*fields, **settings):
    return DataContract(name="loans", version="1.0.0", fields=fields, **settings)


def number(name="x", **rules):
    return Field(name=name, kind="number", **rules)


def found(frame, *fields, as_of=None, **settings):
    """Return (feature, check, n) of each violation."""
    table = violations(frame, contract(*fields, **settings), as_of=as_of)
    return list(table[["feature", "check", "n"]].itertuples(index=False, name=None))


def loans(n=200):
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "loan_id": np.arange(n),
            "applied_at": DAY + pd.to_timedelta(np.arange(n), unit="min"),
            "income_brl": rng.lognormal(8, 0.5, n).round(),
            "term_months": rng.choice([1.0, 3.0, 6.0], n),
            "purpose": pd.Series(rng.choice(["home", "school"], n), dtype="str"),
            "approved": rng.random(n) < 0.8,
        }
    )


LOANS = contract(
    Field(name="loan_id", kind="whole number"),
    Field(name="applied_at", kind="moment"),
    number("income_brl", unit="BRL a month", minimum=0, maximum=100_000, typical=(2_000, 4_500)),
    number("term_months", unit="months", values=(1, 3, 6)),
    Field(name="purpose", kind="text", values=("home", "school"), completeness=0.95, commonest=0.9),
    Field(name="approved", kind="truth value"),
    key=("loan_id",),
    time_column="applied_at",
    fresh_hours=24,
)


def broken(frame, **settings):
    table = violations(frame, LOANS, **settings)
    return list(table[["feature", "check", "n"]].itertuples(index=False, name=None))


# ------------------------------------------------------------------------------ what is found


def test_a_table_that_keeps_its_contract_breaks_nothing():
    table = violations(loans(), LOANS, as_of=DAY + pd.Timedelta("1D"))
    assert table.empty
    assert tuple(table.columns) == VIOLATION_COLUMNS
    need(loans(), LOANS)


def test_a_violation_says_what_was_promised_what_was_seen_and_in_how_many_rows():
    frame = loans().assign(income_brl=lambda f: f["income_brl"].where(f.index != 7, -5))
    (row,) = violations(frame, LOANS).to_dict("records")
    assert row == {
        "feature": "income_brl",
        "check": "range",
        "rule": "0 <= each <= 100000",
        "observed": "min = -5",
        "share": 1 / 200,
        "n": 1,
        "n_rows": 200,
    }


def test_both_ends_of_a_range_are_in_it_and_both_sides_are_told():
    ends = pd.DataFrame({"x": [0.0, 10.0]})
    assert found(ends, number(minimum=0, maximum=10)) == []
    beyond = pd.DataFrame({"x": [-1.0, 3.0, 11.0]})
    (row,) = violations(beyond, contract(number(minimum=0, maximum=10))).to_dict("records")
    assert (row["observed"], row["n"]) == ("min = -1, max = 11", 2)
    assert violations(beyond, contract(number(minimum=0)))["rule"].item() == "0 <= each"
    assert violations(beyond, contract(number(maximum=10)))["rule"].item() == "each <= 10"


def test_a_unit_that_changed_is_found_by_the_median_where_each_value_is_possible():
    a_year = loans().assign(income_brl=lambda f: f["income_brl"] * 12)
    assert a_year["income_brl"].max() < 200_000
    wide = contract(number("income_brl", minimum=0, maximum=1e6, typical=(2_000, 4_500)))
    (row,) = violations(a_year[["income_brl"]], wide).to_dict("records")
    assert (row["check"], row["n"]) == ("typical", 200)
    assert row["observed"] == f"median = {a_year['income_brl'].median():.0f}"


def test_the_median_of_a_few_rows_proves_nothing():
    rule = number(typical=(10, 20))
    assert found(pd.DataFrame({"x": [99.0] * 9}), rule) == []
    assert found(pd.DataFrame({"x": [99.0] * 10}), rule) == [("x", "typical", 10)]
    # 52 of 100 beyond it are no evidence that the median is
    near = pd.DataFrame({"x": [99.0] * 52 + [15.0] * 48})
    assert near["x"].median() == 99
    assert found(near, rule) == []


def test_a_median_within_its_bounds_is_hardly_ever_said_to_be_out():
    rng = np.random.default_rng(11)
    rule = contract(number(typical=(0, 1)))
    cried = sum(
        len(violations(pd.DataFrame({"x": rng.standard_normal(int(n))}), rule))
        for n in rng.integers(1, 300, size=500)
    )
    assert cried <= 2


def test_a_stuck_value_is_found_and_a_common_one_is_not():
    rule = number(commonest=0.5)
    assert found(pd.DataFrame({"x": [4.0] * 30}), rule) == [("x", "commonest", 30)]
    assert found(pd.DataFrame({"x": [4.0] * 50 + list(range(100, 150))}), rule) == []
    assert found(pd.DataFrame({"x": [4.0]}), rule) == []


def test_a_column_that_is_missing_is_named_with_its_nearest():
    table = violations(pd.DataFrame({"incomes": [1.0]}), contract(number("income")))
    assert table[["feature", "check", "observed"]].values.tolist() == [
        ["incomes", "extra", "a column of float64"],
        ["income", "column", "did you mean 'incomes'?"],
    ]
    assert found(pd.DataFrame({"y": [1.0]}), number("x", required=False), number("y")) == []


def test_a_column_nobody_asked_for_is_extra_unless_it_is_allowed():
    frame = pd.DataFrame({"x": [1.0], "y": ["a"]})
    assert found(frame, number()) == [("y", "extra", 1)]
    assert found(frame, number(), extra_allowed=True) == []


def test_two_columns_of_one_name_are_found():
    frame = pd.DataFrame([[1.0, 2.0]], columns=["x", "x"])
    assert found(frame, number(), key=("x",)) == [("x", "column", 1)]


def test_gaps_count_by_their_share_to_the_letter():
    rule = number(completeness=0.1)
    assert found(pd.DataFrame({"x": [1.0] + [np.nan] * 9}), rule) == []
    assert found(pd.DataFrame({"x": [1.0] + [np.nan] * 10}), rule) == [("x", "completeness", 10)]
    assert found(pd.DataFrame({"x": [1.0, None]}), number()) == [("x", "completeness", 1)]


@pytest.mark.parametrize("kind", ["number", "whole number", "text", "moment", "truth value"])
@pytest.mark.parametrize("nothing", [None, np.nan, pd.NaT, pd.NA])
def test_a_missing_value_is_of_every_kind(kind, nothing):
    frame = pd.DataFrame({"x": pd.Series([nothing] * 3, dtype="object")})
    assert found(frame, Field(name="x", kind=kind)) == [("x", "completeness", 3)]
    assert (
        found(frame, Field(name="x", kind=kind, completeness=0, unique=True, commonest=0.5)) == []
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("number", [1, 2]),
        ("number", [1.5, None]),
        ("number", pd.array([1, None], dtype="Int64")),
        ("number", pd.array([1.5, None], dtype="Float64")),
        ("number", pd.array([1.5, None], dtype="double[pyarrow]")),
        ("number", pd.Series([Decimal("1.50"), 2, 2.5, None], dtype="object")),
        ("number", pd.Categorical([1.5, 2.5, None])),
        ("whole number", [1, 2]),
        ("whole number", [1.0, np.nan]),
        ("whole number", pd.array([1, None], dtype="Int64")),
        ("whole number", pd.array([1.0, None], dtype="Float64")),
        ("whole number", pd.Series([1, 2.0, Decimal(3), None], dtype="object")),
        ("text", ["a", None]),
        ("text", pd.Series(["a", None], dtype="object")),
        ("text", pd.array(["a", None], dtype="string[pyarrow]")),
        ("text", pd.Categorical(["a", None])),
        ("moment", [DAY, None]),
        ("moment", pd.Series([datetime(2024, 1, 1, tzinfo=UTC), None], dtype="object")),
        ("moment", pd.Series([DAY, None]).dt.tz_convert("America/Sao_Paulo")),
        ("moment", pd.Series([DAY, None], dtype="timestamp[us, tz=UTC][pyarrow]")),
        ("truth value", [True, False]),
        ("truth value", pd.array([True, None], dtype="boolean")),
        ("truth value", pd.Series([True, np.False_, None], dtype="object")),
    ],
)
def test_a_kind_is_told_by_the_values_and_not_by_how_they_are_kept(kind, values):
    frame = pd.DataFrame({"x": values})
    assert found(frame, Field(name="x", kind=kind, completeness=0.1)) == []


@pytest.mark.parametrize(
    ("kind", "values", "n", "told"),
    [
        ("number", ["2.540,00", "1.000,00"], 2, "'2.540,00' (str)"),
        ("number", pd.Series([1.0, "two", None, 3], dtype="object"), 1, "'two' (str)"),
        ("number", [True, False], 2, "True (bool)"),
        ("number", pd.Series([1j]), 1, "1j (complex"),
        ("number", pd.Series([pd.Timedelta("1h")]), 1, "Timedelta('0 days 01:00:00') (Timedelta)"),
        ("number", pd.Categorical(["a", "b", None]), 2, "'a' (str)"),
        ("whole number", [1.0, 2.5], 1, "2.5 (float64)"),
        ("whole number", pd.Series([Decimal("2.5"), True], dtype="object"), 2, "Decimal('2.5')"),
        ("text", [1, 2], 2, "1 (int64)"),
        ("text", pd.Series([["a"], "b"], dtype="object"), 1, "['a'] (list)"),
        ("moment", pd.to_datetime(["2024-01-01"]), 1, "2024-01-01 00:00:00 without a time zone"),
        ("moment", ["2024-01-01T00:00Z"], 1, "'2024-01-01T00:00Z' (str)"),
        (
            "moment",
            pd.Series([datetime(2024, 1, 1)], dtype="object"),
            1,
            "2024-01-01 00:00:00 without a time zone",
        ),
        ("truth value", [0, 1], 2, "0 (int64)"),
        ("truth value", ["yes"], 1, "'yes' (str)"),
    ],
)
def test_what_is_of_another_kind_is_counted_and_shown(kind, values, n, told):
    frame = pd.DataFrame({"x": values})
    rules = {"completeness": 0.1, "unique": True, "commonest": 0.5}
    table = violations(frame, contract(Field(name="x", kind=kind, **rules)))
    assert table[["check", "n"]].values.tolist() == [["kind", n]]
    assert table["observed"].item().startswith(told)
    assert table["rule"].item() == f"each a {kind}"


def test_a_value_of_another_kind_is_found_once_and_the_others_are_still_held_to_their_rules():
    frame = pd.DataFrame({"x": pd.Series([1, "many", 500, None, 10**400], dtype="object")})
    rule = number(completeness=0.5, maximum=100)
    assert found(frame, rule) == [("x", "kind", 1), ("x", "finite", 1), ("x", "range", 1)]


def test_infinity_is_no_number_to_reckon_with():
    frame = pd.DataFrame({"x": [1.0, np.inf, -np.inf]})
    rule = number(minimum=0, maximum=10, typical=(0, 5), values=(1,), unique=True)
    assert found(frame, rule) == [("x", "finite", 2)]
    assert violations(frame, contract(rule))["observed"].item() == "inf"


def test_a_value_outside_its_domain_is_told_the_commonest_first():
    frame = pd.DataFrame({"x": ["home"] * 9 + ["boat"] * 2 + ["travel"] * 5})
    for column in (frame["x"], frame["x"].astype("category"), frame["x"].astype("object")):
        rule = Field(name="x", kind="text", values=("home", "school"))
        (row,) = violations(pd.DataFrame({"x": column}), contract(rule)).to_dict("records")
        assert (row["check"], row["n"]) == ("domain", 7)
        assert row["rule"] == "one of 'home', 'school'"
        assert row["observed"] == "'travel', 'boat'"


def test_numbers_have_domains_too_and_one_is_one_in_any_type():
    rule = number(values=(1, 3, 6))
    for dtype in ("int64", "float64", "Int64", "object", "category"):
        frame = pd.DataFrame({"x": pd.Series([1, 3, 3, 4], dtype=dtype)})
        assert found(frame, rule) == [("x", "domain", 1)]


def test_rows_sent_twice_are_found_by_the_key():
    frame = pd.concat([loans(), loans().head(3)])
    assert broken(frame) == [("loan_id", "key", 3)]
    rule = (number("x"), Field(name="y", kind="text"))
    pairs = pd.DataFrame({"x": [1.0, 1.0, 2.0], "y": ["a", "b", "a"]})
    assert found(pairs, *rule, key=("x", "y")) == []
    assert found(pd.concat([pairs, pairs]), *rule, key=("x", "y")) == [("x, y", "key", 3)]


def test_a_key_that_is_missing_is_found_and_two_missing_ones_are_no_pair():
    frame = pd.DataFrame({"x": [1.0, None, None]})
    assert found(frame, number(), key=("x",)) == [("x", "completeness", 2)]


def test_a_unique_column_has_no_value_twice():
    frame = pd.DataFrame({"x": [1.0, 1.0, None, None, 2.0]})
    assert found(frame, number(completeness=0.1, unique=True)) == [("x", "unique", 1)]


def test_time_is_checked_only_against_a_moment_that_is_given():
    frame = loans()
    newest = frame["applied_at"].max()
    assert broken(frame) == []
    assert broken(frame, as_of=newest + pd.Timedelta("24h")) == []
    assert broken(frame, as_of=newest + pd.Timedelta("25h")) == [("applied_at", "freshness", 200)]
    assert broken(frame, as_of=newest - pd.Timedelta("2min")) == [("applied_at", "future", 2)]
    with pytest.raises(ValueError, match="as_of="):
        violations(frame, LOANS, as_of="2024-03-05")


def test_time_that_cannot_be_read_is_found_by_its_kind_alone():
    naive = loans().assign(applied_at=lambda f: f["applied_at"].dt.tz_localize(None))
    assert broken(naive, as_of=DAY) == [("applied_at", "kind", 200)]
    none = loans().assign(applied_at=pd.NaT)
    assert broken(none, as_of=DAY) == [("applied_at", "completeness", 200)]
    assert broken(loans().drop(columns="applied_at"), as_of=DAY) == [("applied_at", "column", 200)]


def test_an_empty_frame_has_too_few_rows_and_nothing_else_is_said_of_it():
    table = violations(loans().head(0), LOANS, as_of=DAY)
    assert table[["check", "n", "n_rows"]].values.tolist() == [["rows", 0, 0]]
    assert np.isnan(table["share"].item())
    assert found(pd.DataFrame(), number()) == [("", "rows", 0), ("x", "column", 0)]
    assert found(pd.DataFrame({"x": []}), number(), min_rows=0) == []


def test_what_is_no_frame_is_refused():
    for wrong in (None, {"x": [1]}, pd.Series([1.0])):
        with pytest.raises(TypeError, match="a pandas DataFrame is needed"):
            violations(wrong, LOANS)


@pytest.mark.parametrize(
    "index", [[7] * 200, pd.date_range("2024", periods=200), range(200, 0, -1)]
)
def test_the_index_does_not_count(index):
    frame = loans().assign(income_brl=-1.0).set_axis(index)
    assert broken(frame) == [("income_brl", "range", 200), ("income_brl", "typical", 200)]


def test_odd_names_of_columns_do_no_harm():
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["x", 5, float("nan")])
    assert found(frame, number()) == [("5", "extra", 1), ("nan", "extra", 1)]
    nested = pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("x", "y")]))
    assert [check for _, check, _ in found(nested, number())] == ["extra", "column"]


def test_nothing_changes_its_inputs():
    frame = loans().assign(purpose=lambda f: f["purpose"].astype("object"))
    frame.loc[3, "purpose"] = None
    before = frame.copy(deep=True)
    violations(frame, LOANS, as_of=DAY)
    suggested(frame, name="loans", key=["loan_id"])
    pd.testing.assert_frame_equal(frame, before)


def test_a_million_rows_take_a_moment():
    frame = loans(1_000_000)
    wide = LOANS.only(LOANS.names)
    before = time.process_time()
    violations(frame, wide)
    assert time.process_time() - before < 3


# ------------------------------------------------------------------------------- what is said


def test_a_broken_contract_is_one_error_that_names_the_thing_and_the_way_out():
    frame = loans().assign(income_brl=lambda f: f["income_brl"] * 100, purpose="travel")
    with pytest.raises(ContractBroken) as error:
        need(frame, LOANS)
    message = str(error.value)
    assert message.startswith("income_brl: range: promised 0 <= each <= 100000, seen max = ")
    assert "of 200 rows (loans 1.0.0)." in message
    others = "income_brl (typical), purpose (domain), purpose (commonest)"
    assert f"Also broken: {others}." in message
    assert "Look for a unit that changed" in message
    assert message.endswith("Nothing was changed.")
    assert error.value.violations.equals(violations(frame, LOANS))


def test_every_check_has_a_way_out():
    frame = loans().drop(columns="approved").assign(more=1)
    frame["income_brl"] = np.where(frame.index < 150, 1e6, np.inf)
    frame["term_months"] = [7.0] * 199 + [None]
    frame["purpose"] = "home"
    frame["loan_id"] = [0.5] * 2 + [1] * 198
    fields = [*LOANS.fields[:-1], Field(name="more", kind="whole number", unique=True)]
    fields.append(Field(name="approved", kind="truth value"))
    settings = {"key": ("loan_id",), "time_column": "applied_at", "fresh_hours": 1}
    seen = set(violations(frame, LOANS)["check"])
    for as_of in (DAY, DAY + pd.Timedelta("9D")):
        demanding = contract(*fields, **settings, min_rows=900)
        seen |= set(violations(frame, demanding, as_of=as_of)["check"])
    assert seen == set(WAYS_OUT)


def test_a_proposal_says_that_nobody_agreed_to_it():
    proposal = suggested(loans(), name="loans", key=["loan_id"], time_column="applied_at")
    assert proposal.status == "proposed"
    assert "to be read by a person" in proposal.description
    with pytest.raises(ContractBroken, match=r"loans 0\.1\.0, proposed and not agreed yet"):
        need(loans().assign(approved="yes"), proposal)


# --------------------------------------------------------------------------- what is suggested


def test_a_proposal_is_read_off_the_reference():
    frame = loans().assign(purpose=lambda f: f["purpose"].mask(f.index < 20))
    proposal = suggested(
        frame, name="loans", units={"income_brl": "BRL"}, key=["loan_id"], time_column="applied_at"
    )
    assert proposal.key == ("loan_id",)
    assert {field.name: field.kind for field in proposal.fields} == {
        "loan_id": "whole number",
        "applied_at": "moment",
        "income_brl": "number",
        "term_months": "number",
        "purpose": "text",
        "approved": "truth value",
    }
    income = proposal.field("income_brl")
    assert (income.unit, income.minimum, income.completeness) == ("BRL", 0, 1.0)
    assert income.maximum >= 2 * frame["income_brl"].max()
    assert income.typical[0] < frame["income_brl"].median() < income.typical[1]
    assert proposal.field("purpose").values == ("home", "school")
    assert proposal.field("purpose").completeness == 0.85
    assert proposal.field("loan_id").commonest is None


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.integers(-(2**53), 2**53),
            st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ç"])),
            st.booleans(),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_a_reference_keeps_what_is_proposed_from_it(rows):
    frame = pd.DataFrame(rows, columns=["x", "n", "t", "b"])
    frame = frame.loc[:, frame.notna().any()]
    need(frame, suggested(frame, name="rows"))


def test_a_proposal_finds_what_goes_wrong_with_any_column():
    proposal = suggested(loans(2_000), name="loans", key=["loan_id"])
    spoiled = {
        "income_brl": lambda x: x * 12,
        "term_months": lambda x: x / 12,
        "purpose": lambda x: x.where(x.index > 50, "travel"),
        "approved": lambda x: x.astype("int64"),
        "loan_id": lambda x: x // 2,
    }
    for column, spoil in spoiled.items():
        frame = loans(2_000).assign(**{column: lambda f, c=column, s=spoil: s(f[c])})
        assert column in set(violations(frame, proposal)["feature"])


def test_a_reference_without_rows_or_without_a_kind_is_refused():
    with pytest.raises(ValueError, match="has no rows"):
        suggested(loans().head(0), name="loans")
    with pytest.raises(ValueError, match="'x' has no value"):
        suggested(pd.DataFrame({"x": [None, None]}), name="rows")
    with pytest.raises(ValueError, match="'x' .* of no kind, or of several"):
        suggested(pd.DataFrame({"x": [1, "two"]}), name="rows")
    for names in (["x", "x"], ["x", 5]):
        with pytest.raises(ValueError, match="its name must be a text, and stand once"):
            suggested(pd.DataFrame([[1, 2]], columns=names), name="rows")
    with pytest.raises(ValueError, match="units: 'y' is no column"):
        suggested(pd.DataFrame({"x": [1]}), name="rows", units={"y": "m"})


# ----------------------------------------------------------------- what a contract may not say


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"kind": "float"}, "kind='float'"),
        ({"completeness": 1.5}, "x: completeness=1.5: a share lies in 0..1"),
        ({"completeness": "all"}, "completeness='all'"),
        ({"completeness": float("nan")}, "completeness=nan"),
        ({"commonest": 0}, "commonest=0"),
        ({"minimum": 2, "maximum": 1}, "minimum=2: is above maximum=1"),
        ({"minimum": float("nan")}, "minimum=nan: a finite number is needed"),
        ({"maximum": float("inf")}, "maximum=inf"),
        ({"maximum": "ten"}, "maximum='ten'"),
        ({"typical": (3, 2)}, "typical="),
        ({"typical": (3,)}, "typical="),
        ({"values": ()}, "values="),
        ({"values": ("a",)}, "each must be a number"),
        ({"kind": "text", "minimum": 1}, "a text has none"),
        ({"kind": "moment", "values": (1,)}, "a moment has none"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rules, message):
    with pytest.raises(ValueError) as error:
        Field(**{"name": "x", "kind": "number"} | rules)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fields": [number("x"), number("x")]}, "fields: 'x' stands twice"),
        ({"key": ["z"]}, "'z' is no field of loans; known: x"),
        ({"fields": [number("x", completeness=0.9)], "key": ["x"]}, "key: 'x' may be missing"),
        ({"fields": [number("x", required=False)], "key": ["x"]}, "key: 'x' may be missing"),
        ({"time_column": "x"}, "time_column='x': is no moment"),
        ({"fresh_hours": 3}, "fresh_hours=3"),
        ({"status": "signed"}, "status='signed'"),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError) as error:
        DataContract(**{"name": "loans", "version": "1.0.0", "fields": [number("x")]} | settings)
    assert message in str(error.value)


def test_numpy_scalars_and_lists_are_kept_as_pythons_own():
    rule = number(
        minimum=np.float32(1), values=list(np.array([1.0, 2.0])), typical=np.array([1, 2])
    )
    assert (type(rule.minimum), type(rule.values), rule.typical) == (float, tuple, (1, 2))
    assert hash(rule) == hash(number(minimum=1.0, values=(1.0, 2.0), typical=(1, 2)))


def test_the_contract_of_some_columns_is_that_of_a_models_inputs():
    part = LOANS.only(["purpose", "income_brl"], extra_allowed=True)
    assert part.names == ("purpose", "income_brl")
    assert (part.key, part.time_column, part.fresh_hours) == ((), None, None)
    need(loans(), part)
    whole = LOANS.only(LOANS.names)
    assert whole == LOANS
    with pytest.raises(ValueError, match="'incomes' is no field"):
        LOANS.only(["incomes"])


def test_importing_it_loads_nothing_heavy():
    unwanted = "sqlalchemy mlflow matplotlib sklearn fastapi yaml pydantic scipy.stats"
    code = (
        "import sys, utils.monitors.contract, utils.monitors.odcs; "
        f"print(*(n for n in {unwanted.split()!r} if n in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("", "")
