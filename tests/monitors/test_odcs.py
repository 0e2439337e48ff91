"""The contract's file: the standard's own parser and schema take it, and nothing is lost."""

import json
from importlib import resources

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from open_data_contract_standard.model import OpenDataContractStandard

from utils.monitors.contract import DataContract, Field
from utils.monitors.odcs import UnreadableContract, from_yaml, to_yaml

FIELDS = (
    Field(name="loan_id", kind="whole number"),
    Field(name="part", kind="whole number", minimum=1),
    Field(name="applied_at", kind="moment", description="when the form was sent: «ação», 100 %"),
    Field(
        name="income_brl",
        kind="number",
        unit="BRL a month",
        completeness=0.95,
        minimum=0,
        maximum=100_000,
        typical=(1_500.5, 4_000),
        commonest=0.25,
    ),
    Field(name="late", kind="whole number", typical=(0, 0), values=(0, 1, 2), required=False),
    Field(name="purpose", kind="text", values=("no", "1", "2024-01-01", "ção", ""), unique=True),
    Field(name="repaid", kind="truth value", completeness=0.0, values=(True,)),
)
EVERYTHING = DataContract(
    name="loans",
    version="1.10",
    description="Loans: all of them.",
    fields=FIELDS,
    key=("part", "loan_id"),
    time_column="applied_at",
    fresh_hours=36,
    min_rows=0,
    extra_allowed=True,
    status="proposed",
)
BARE = DataContract(name="bare", version="1", fields=[Field(name="x", kind="text")])


@pytest.mark.parametrize("contract", [EVERYTHING, BARE], ids=lambda contract: contract.name)
def test_a_contract_comes_back_as_it_was_written(contract):
    assert from_yaml(to_yaml(contract)) == contract


NUMBERS = st.floats(-1e9, 1e9)
PAIRS = st.tuples(NUMBERS, NUMBERS).map(sorted)


@settings(deadline=None, max_examples=50)
@given(
    st.floats(1e-6, 1),
    PAIRS,
    PAIRS,
    st.none() | st.floats(1e-6, 1),
    st.none() | st.lists(st.text(), min_size=1, max_size=4, unique=True),
    st.text(max_size=20),
)
def test_whatever_a_contract_says_comes_back(share, ends, typical, commonest, values, text):
    number = Field(
        name=f"x{text}",
        kind="number",
        unit=text,
        completeness=round(share, 6),
        minimum=ends[0],
        maximum=ends[1],
        typical=typical,
        commonest=commonest,
    )
    other = Field(name="t", kind="text", values=values, description=text)
    contract = DataContract(name="any", version="1", description=text, fields=(number, other))
    assert from_yaml(to_yaml(contract)) == contract


@pytest.mark.parametrize("contract", [EVERYTHING, BARE], ids=lambda contract: contract.name)
def test_the_standards_own_schema_and_parser_take_it(contract):
    text = to_yaml(contract)
    schema = resources.files("open_data_contract_standard").joinpath("schema.json").read_text()
    jsonschema.validate(yaml.safe_load(text), json.loads(schema))
    parsed = OpenDataContractStandard.from_string(text)
    assert (parsed.apiVersion, parsed.version) == ("v3.1.0", contract.version)
    assert [each.name for each in parsed.schema_[0].properties] == list(contract.names)
    assert from_yaml(parsed.to_yaml()) == contract


def test_each_promise_stands_where_the_standard_has_it():
    parsed = OpenDataContractStandard.from_string(to_yaml(EVERYTHING))
    (table,) = parsed.schema_
    by_name = {each.name: each for each in table.properties}
    assert [by_name[name].logicalType for name in ("loan_id", "income_brl", "purpose")] == [
        "integer",
        "number",
        "string",
    ]
    assert (by_name["loan_id"].primaryKeyPosition, by_name["part"].primaryKeyPosition) == (2, 1)
    income = by_name["income_brl"]
    assert income.logicalTypeOptions == {"minimum": 0, "maximum": 100_000}
    assert (income.required, by_name["part"].required) == (False, True)
    rules = {rule.metric or rule.name: rule for rule in income.quality}
    assert (rules["nullValues"].mustBeLessOrEqualTo, rules["nullValues"].unit) == (5, "percent")
    assert rules["typical"].mustBeBetween == [1_500.5, 4_000]
    assert "PERCENTILE_CONT(0.5)" in rules["typical"].query
    assert rules["commonest"].mustBeLessOrEqualTo == 0.25
    (unit,) = income.customProperties
    assert (unit.property, unit.value) == ("unit", "BRL a month")
    (domain,) = by_name["purpose"].quality
    assert domain.arguments == {"validValues": ["no", "1", "2024-01-01", "ção", ""]}
    (latency,) = parsed.slaProperties
    assert (latency.value, latency.unit, latency.element) == (36, "h", "loans.applied_at")
    assert by_name["applied_at"].logicalTypeOptions == {"timezone": True}


def changed(change):
    document = yaml.safe_load(to_yaml(EVERYTHING))
    change(document, {each["name"]: each for each in document["schema"][0]["properties"]})
    return yaml.safe_dump(document)


def test_what_is_written_for_people_is_passed_over():
    def for_people(document, fields):
        document["tags"] = ["credit"]
        document["price"] = {"priceAmount": 3}
        fields["part"] |= {"classification": "public", "examples": [1, 2]}
        fields["part"]["quality"] = [{"type": "text", "description": "no gaps in the count"}]

    assert from_yaml(changed(for_people)) == EVERYTHING


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, f: d.pop("kind"), "the text is no data contract"),
        (lambda d, f: d.update(apiVersion="v2.2.2"), "apiVersion='v2.2.2'"),
        (lambda d, f: d.pop("version"), "loans: 'version' is missing"),
        (lambda d, f: d["schema"].append(d["schema"][0]), "schema: 2 objects"),
        (lambda d, f: f["part"].update(logicalType="array"), "part: logicalType='array'"),
        (lambda d, f: f["part"].pop("logicalType"), "part: logicalType=None"),
        (
            lambda d, f: f["purpose"].update(logicalTypeOptions={"pattern": "^a"}),
            "purpose: logicalTypeOptions.pattern is not checked here",
        ),
        (
            lambda d, f: f["part"].update(enum=[{"value": 1}]),
            "part: enum is not checked here",
        ),
        (
            lambda d, f: f["part"].update(quality=[{"metric": "duplicateValues", "mustBe": 0}]),
            "part: the quality rule 'duplicateValues' is not checked here",
        ),
        (
            lambda d, f: f["part"].update(
                quality=[{"type": "sql", "query": "SELECT 1", "mustBe": 1}]
            ),
            "part: the quality rule 'SELECT 1' is not checked here",
        ),
        (
            lambda d, f: d["schema"][0].update(
                quality=[{"metric": "nullValues", "unit": "percent", "mustBeLessOrEqualTo": 1}]
            ),
            "the table: the quality rule 'nullValues'",
        ),
        (
            lambda d, f: d["slaProperties"][0].update(unit="d"),
            "latency: unit='d'; hours (h) are read here",
        ),
        (lambda d, f: f["income_brl"]["logicalTypeOptions"].update(minimum="low"), "minimum='low'"),
        (lambda d, f: f["part"].update(name="loan_id"), "'loan_id' stands twice"),
        (lambda d, f: d.update(schema=7), "loans: "),
    ],
)
def test_what_is_no_contract_or_would_not_be_checked_is_refused_by_name(change, message):
    with pytest.raises(UnreadableContract) as error:
        from_yaml(changed(change))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "- 1\n- 2", "a: [1", "\t", "kind: [DataContract]"])
def test_any_other_text_is_refused(text):
    with pytest.raises(UnreadableContract, match="the text is no"):
        from_yaml(text)
