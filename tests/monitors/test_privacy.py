"""Privacy: what is personal is found and never shown, and what only looks like it is not."""

import hashlib
import hmac
import time as clock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.monitors.intervals import wilson
from utils.monitors.privacy import (
    KINDS,
    is_card,
    is_cnpj,
    is_cpf,
    is_iban,
    k_anonymity,
    kept,
    personal_data,
    pseudonym,
)

EXAMPLES = {
    "email": ["ana.silva+2024@mail.example.com.br", "write to Bia@Example.org, please"],
    "cpf": ["529.982.247-25", "CPF: 111.444.777-35.", "cpf 52998224725 ok"],
    "cnpj": ["11.222.333/0001-81", "11222333000181", "12.ABC.345/01DE-35"],
    "phone_br": [
        *("(11) 98765-4321", "+55 11 98765-4321", "(21)3456-7890", "ligue 11 98765-4321 hoje"),
        *("5511987654321", "(011) 98765 4321", "11987654321"),
    ],
    "phone": ["+1 212 555 0100", "+44 20 7946 0958", "call +351 912 345 678."],
    "credit_card": [
        *("4111 1111 1111 1111", "5500-0000-0000-0004", "3782 822463 10005", "6011000990139424"),
        *("4111111111111111", "card 378282246310005, thanks"),
    ],
    "ip_address": ["192.0.2.17", "from 2001:db8::8a2e:370:7334 at noon", "10.1.2.3"],
    "iban": [
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013000",
        "be68 5390 0754 7034 from Ana",
    ],
    "date_of_birth": [
        "nascido em 01/02/1980",
        "Data de nascimento: 1980-02-01",
        "born on 1/2/1980",
    ],
}

HARMLESS = [
    *("", "ok", "no", "R$ 1.234,56", "529.982.247-24", "111.111.111-11", "12:30:45", "@home"),
    *("4111 1111 1111 1112", "1.2.3", "127.0.0.1", "2024-02-01", "01/02/1980", "a@b", "v1.2"),
    *("https://example.com/path?x=1", "0.52998224725", "52998224725.5", "3.14159265358979"),
    *("GB82 WEST 1234 5698 7654 33", "+55", "tel 3456", "std::vector", "999.999.999.999", "::"),
    *("id-52998224725", "x52998224725", "550e8400-e29b-41d4-a716-446655440000", "(11) 1234"),
    *("11222333000182", "loan of 36 months, 2 late", "2024-11-26T03:21:33.123456Z", "1735689600"),
]


def kinds_in(*texts):
    return personal_data(pd.DataFrame({"x": list(texts)}))["kind"].tolist()


# what is found ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, ts in EXAMPLES.items() for t in ts])
def test_each_kind_is_found_in_each_of_its_forms_and_as_nothing_else(kind, text):
    assert kinds_in(text) == [kind]


def test_every_kind_has_an_example():
    assert set(EXAMPLES) == set(KINDS)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_not_found(text):
    assert kinds_in(text) == []


def test_a_text_may_hold_several_kinds_and_each_row_counts_once():
    text = "Ana, CPF 529.982.247-25 and 111.444.777-35, ana@example.com, (11) 98765-4321"
    table = personal_data(pd.DataFrame({"note": [text, text, "nothing", None]}))
    assert table[["kind", "n", "n_rows"]].values.tolist() == [
        ["email", 2, 3],
        ["cpf", 2, 3],
        ["phone_br", 2, 3],
    ]
    low, high = wilson(2, 3)
    np.testing.assert_allclose(table[["share", "low", "high"]], [[2 / 3, low, high]] * 3)


@given(st.lists(st.sampled_from([*sum(EXAMPLES.values(), []), *HARMLESS]), max_size=6))
def test_a_row_counts_once_however_much_it_holds(texts):
    table = personal_data(pd.DataFrame({"x": [" ; ".join(texts), "nothing"]}))
    assert (table["n"] == 1).all() and (table["n_rows"] == 2).all()
    assert table["kind"].is_unique


def test_the_data_itself_is_never_shown():
    texts = [text for of_kind in EXAMPLES.values() for text in of_kind]
    table = personal_data(pd.DataFrame({kind: pd.Series(t) for kind, t in EXAMPLES.items()}))
    shown = table.drop(columns="feature").to_csv().lower()
    for text in texts:
        for word in text.lower().replace("@", " ").split():
            if len(word) > 4 and any(c.isdigit() for c in word) and "9999" not in word:
                assert word not in shown
    assert set("".join(table["example"])) <= set("x9 @.-/()+:,")


# chance -----------------------------------------------------------------------------------------


def cpf(number):
    """Return the CPF of nine digits, by the definition: weights 10 to 2, then 11 to 2."""
    digits = [int(each) for each in f"{number:09d}"]
    for first in (10, 11):
        rest = sum(d * w for d, w in zip(digits, range(first, 1, -1), strict=True)) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, digits))


def luhn(number):
    total = 0
    for at, each in enumerate(reversed(number + "0")):
        doubled = int(each) * (2 if at % 2 else 1)
        total += doubled if doubled < 10 else doubled - 9
    return number + str(-total % 10)


@given(st.integers(0, 10**9 - 1))
def test_check_digits_of_a_cpf_are_those_of_its_definition(number):
    good = cpf(number)
    assert is_cpf(good) == (len(set(good)) > 1)
    assert not is_cpf(good[:-1] + str((int(good[-1]) + 1) % 10))


@given(st.integers(10**14, 10**15 - 1))
def test_luhns_digit_is_that_of_its_definition(number):
    good = luhn("4" + f"{number}"[1:])
    assert is_card(good)
    assert not is_card(good[:-1] + str((int(good[-1]) + 5) % 10))


def test_a_hundredth_of_all_numbers_pass_as_a_cpf():
    rng = np.random.default_rng(0)
    passed = sum(is_cpf(f"{n:011d}") for n in rng.integers(10**10, 10**11, 20_000))
    low, high = wilson(passed, 20_000, level=0.999)
    assert low < 0.01 < high


@pytest.mark.parametrize("width", [11, 14, 16])
def test_a_column_of_order_numbers_is_no_personal_data(width):
    rng = np.random.default_rng(width)
    drawn = rng.integers(10 ** (width - 1), 10**width, 3000)
    in_a_row = 4 * 10 ** (width - 1) + np.arange(3000)
    for numbers in (drawn, in_a_row):
        for column in (numbers, numbers.astype(str), pd.Series(numbers, dtype="Int64")):
            assert personal_data(pd.DataFrame({"order": column})).empty


def test_a_column_of_cpfs_as_numbers_is_found_without_its_leading_zeros():
    rng = np.random.default_rng(1)
    cpfs = [cpf(n) for n in rng.integers(0, 10**9, 300)]
    assert sum(each[0] == "0" for each in cpfs) > 10
    frame = pd.DataFrame({"a": [int(each) for each in cpfs], "b": [float(each) for each in cpfs]})
    frame.loc[0, "b"] = np.nan
    table = personal_data(frame)
    assert table[["feature", "kind", "n_rows"]].values.tolist() == [
        ["a", "cpf", 300],
        ["b", "cpf", 299],
    ]
    assert (table["share"] > 0.98).all()
    assert table["n_by_chance"].tolist() == pytest.approx([3, 2.99], abs=0.1)


def test_a_few_cpfs_among_many_order_numbers_are_found_by_their_number():
    rng = np.random.default_rng(2)
    orders = [str(n) for n in rng.integers(10**10, 10**11, 1000)]
    cpfs = [cpf(n) for n in rng.integers(10**8, 10**9, 50)]
    table = personal_data(pd.DataFrame({"x": orders + cpfs}))
    assert table["kind"].tolist() == ["cpf"]
    assert 50 <= table["n"].item() <= 80
    assert table["n_by_chance"].item() == pytest.approx(10.5)


# any column -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    ["object", "str", "category", "string[pyarrow]", pd.ArrowDtype(pa.string())],
)
def test_any_type_of_text_is_read(dtype):
    column = pd.Series(["ana@example.com", None, "ok", "ana@example.com"]).astype(dtype)
    table = personal_data(pd.DataFrame({"x": column}))
    assert table[["kind", "n", "n_rows"]].values.tolist() == [["email", 2, 3]]


def test_objects_bytes_and_nested_values_are_read():
    column = pd.Series(
        [{"mail": "ana@example.com"}, b"bia@example.com", ["c@example.com"], 7, None]
    )
    table = personal_data(pd.DataFrame({"x": column}))
    assert table[["kind", "n", "n_rows"]].values.tolist() == [["email", 3, 4]]


def test_odd_columns_do_no_harm():
    frame = pd.DataFrame(
        {
            "flag": [True, False],
            "when": pd.to_datetime(["2024-01-01", None]),
            "for": pd.to_timedelta([1, 2], unit="s"),
            "empty": [None, None],
            "infinite": [np.inf, -np.inf],
            "huge": [10**400, -(10**30)],
            "not_utf8": [b"\xff\xfe", b""],
        }
    )
    table = personal_data(frame)
    assert table.empty and table["n"].dtype == "int64" and table["share"].dtype == "float64"
    assert personal_data(pd.DataFrame()).empty
    assert personal_data(frame.head(0)).empty
    twice = pd.DataFrame([["ana@example.com", "bia@example.com"]], columns=["x", "x"])
    assert personal_data(twice)["kind"].tolist() == ["email", "email"]


def test_a_column_of_dates_named_as_a_birth_is_one():
    dates = pd.to_datetime(["1980-02-01", "1990-03-02", None])
    frame = pd.DataFrame({"birth_date": dates, "dt_nascimento": ["01/02/1980", None, None]})
    table = personal_data(frame.assign(paid_at=dates, dob_known=[True, False, True]))
    assert table[["feature", "kind", "n"]].values.tolist() == [
        ["birth_date", "date_of_birth", 2],
        ["dt_nascimento", "date_of_birth", 1],
    ]
    assert set(table["example"]) == {"9999-99-99"}


def test_only_the_columns_asked_for_are_read():
    frame = pd.DataFrame({"a": ["ana@example.com"], "b": ["bia@example.com"]})
    assert personal_data(frame, columns=["b"])["feature"].tolist() == ["b"]
    with pytest.raises(ValueError, match="columns='c' is no column of the frame"):
        personal_data(frame, columns=["c"])
    with pytest.raises(ValueError, match="level=95"):
        personal_data(frame, level=95)


def test_a_hundred_thousand_texts_take_seconds():
    rng = np.random.default_rng(0)
    texts = [f"loan {n} of {n % 97} months for {'abcdef'[n % 6] * 9}" for n in range(100_000)]
    frame = pd.DataFrame({"x": rng.permutation(texts)})
    before = clock.process_time()
    assert personal_data(frame).empty
    assert clock.process_time() - before < 5


@pytest.mark.parametrize("text", ["a." * 50_000, "1" * 100_000, ":" * 100_000, "%" * 100_000])
def test_no_text_makes_the_search_hang(text):
    before = clock.process_time()
    personal_data(pd.DataFrame({"x": [text, text + "@", "+1" + text, "ab12 " + text]}))
    assert clock.process_time() - before < 3


def test_nothing_changes_its_inputs():
    frame = pd.DataFrame({"x": ["ana@example.com", None]})
    before = frame.copy(deep=True)
    personal_data(frame)
    pseudonym(frame["x"], key=bytes(16))
    pd.testing.assert_frame_equal(frame, before)


# check digits of others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "good", "wrong"),
    [
        (
            is_cpf,
            ["52998224725", "11144477735"],
            ["52998224725 ", "5299822472", "00000000000", "٥" * 11],
        ),
        (
            is_cnpj,
            ["11222333000181", "12ABC34501DE35"],
            ["11222333000180", "12ABC34501DE3A", "0" * 14],
        ),
        (
            is_card,
            ["378282246310005", "3530111333300000"],
            ["1234567812345670", "0" * 16, "4" * 16],
        ),
        (
            is_iban,
            ["DE89370400440532013000", "BR1800360305000010009795493C1"],
            ["DE8937040044053201300"],
        ),
    ],
)
def test_published_numbers_pass_and_others_do_not(check, good, wrong):
    assert all(check(each) for each in good)
    assert not any(check(each) for each in wrong)


# what is kept -----------------------------------------------------------------------------------


def store():
    return pd.DataFrame(
        {
            "event_time": pd.to_datetime(["2024-01-01T00Z", "2024-02-01T00Z", "2024-03-01T00Z"]),
            "cpf": ["a", "b", None],
            "income": [1.0, None, 3.0],
            "empty": [None, None, None],
        }
    )


def test_what_is_kept_by_hand():
    table = kept(store(), retention_days={"cpf": 29, "income": 60}, as_of="2024-03-01T00Z")
    assert table["feature"].tolist() == ["cpf", "income", "empty"]
    assert table["n"].tolist() == [2, 2, 0]
    assert table["oldest_days"].tolist()[:2] == [60.0, 60.0]
    assert table["n_overdue"].tolist() == [1, 0, 0]  # 60 days are not more than 60
    assert table["is_overdue"].tolist() == [True, False, False]
    assert table["newest"].tolist()[0] == pd.Timestamp("2024-02-01", tz="UTC")
    assert table.loc[2, ["oldest", "oldest_days", "retention_days"]].isna().all()
    for_all = kept(store(), retention_days=0.5, as_of="2024-03-01T12:00Z", columns=["income"])
    assert for_all[["n_overdue", "retention_days"]].values.tolist() == [[1, 0.5]]
    assert kept(store().head(0), retention_days=1, as_of="2024-03-01T00Z")["n"].tolist() == [0] * 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retention_days": -1}, "retention_days=-1.0 of 'cpf': 0 or more"),
        ({"retention_days": {"cpff": 1}}, "retention_days='cpff' is no column of the frame; did"),
        ({"columns": ["x"]}, "columns='x'"),
        ({"as_of": "2024-03-01"}, "as_of='2024-03-01': a time with its zone"),
        ({"time_column": "at"}, "time_column='at'"),
    ],
)
def test_a_misuse_of_kept_is_named(settings, message):
    given = {"retention_days": 30, "as_of": "2024-03-01T00Z"}
    with pytest.raises(ValueError) as error:
        kept(store(), **given | settings)
    assert message in str(error.value)


# pseudonyms and crowds --------------------------------------------------------------------------


def test_a_pseudonym_is_the_hmac_of_the_text():
    key = b"a key that nobody knows"
    values = pd.Series(["ana", None, "bia", "ana"], index=[5, 6, 7, 7], name="client")
    names = pseudonym(values, key=key)
    oracle = hmac.new(key, b"ana", hashlib.sha256).hexdigest()
    assert names.iloc[0] == names.iloc[3] == oracle != names.iloc[2]
    assert names.isna().tolist() == [False, True, False, False]
    assert (names.index.tolist(), names.name) == ([5, 6, 7, 7], "client")
    assert pseudonym(values, key=b"another key, as secret").iloc[0] != oracle
    whole = [pseudonym(pd.Series(each), key=key).iloc[0] for each in ([7], [7.0, None], ["7"])]
    assert len(set(whole)) == 1
    assert pseudonym(values.head(0), key=key).empty


@pytest.mark.parametrize(("key", "what"), [(b"secret", "6 bytes"), ("a long secret text", "str")])
def test_a_key_that_could_be_guessed_is_refused_and_not_told(key, what):
    with pytest.raises(ValueError, match=f"key is {what}: at least 16 bytes") as error:
        pseudonym(pd.Series(["a"]), key=key)
    assert "secret text" not in str(error.value)


def test_k_anonymity_is_the_smallest_crowd():
    frame = pd.DataFrame(
        {"age": [30, 30, 30, 41, 41, None, None], "sex": ["F", "F", "M", "M", "M", None, None]}
    )
    assert k_anonymity(frame, columns=["age"]) == 2
    assert k_anonymity(frame, columns=["age", "sex"]) == 1
    assert k_anonymity(frame.astype({"sex": "category"}), columns=["sex"]) == 2
    assert k_anonymity(frame.head(0), columns=["age"]) == 0
    for wrong in ("age", []):
        with pytest.raises(ValueError, match="a list of names is needed"):
            k_anonymity(frame, columns=wrong)
    with pytest.raises(ValueError, match="columns='agee' is no column"):
        k_anonymity(frame, columns=["agee"])
