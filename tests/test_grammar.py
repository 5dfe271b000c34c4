from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.errors import SpecError
from bench.grammar import Call, parse_call, split_list
from tests.texts import CHARACTERS

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True, alphabet=CHARACTERS)
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True, alphabet=CHARACTERS)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(CHARACTERS, max_size=20)
SETTINGS = NUMBERS | st.text(CHARACTERS, min_size=1, max_size=20)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.floats(0, 1), SCALARS, max_size=3)
CALLS = st.builds(Call, NAMES, st.dictionaries(KEYS, VALUES, max_size=3), st.dictionaries(KEYS, SETTINGS, max_size=3))


@given(CALLS)
@example(Call("folder", {"path": 'it\'s "here", (or not'}))
@example(Call("folder", {"path": "a)b(c"}))
@example(Call("folder", {"path": "ends in \\"}))
@example(Call("folder", {"path": " blank "}))
@example(Call("folder", {"path": ""}))
@example(Call("folder", {"path": "None"}))
@example(Call("ccs", {"beta": {0.9: 0.3, 0.5: 0.0}}))
@example(Call("folder", {"path": "a)@noise=0.2"}))
@example(Call("folder", {"path": "a)@noise=0.2"}, {"noise": 1e-30}))
@example(Call("digits", {}, {"imbalance": 100.0, "noise": -0.2, "seed": 3}))
@example(Call("digits", {}, {"labels": 'a(1)@b\'s "c".npy', "noise": 0.2}))
@example(Call("folder", {"path": "x)@labels='y"}, {"labels": "a)@noise=0.2"}))
@example(Call("digits", {}, {"labels": "ends in \\"}))
@example(Call("digits", {}, {"labels": "0.2"}))
def test_the_text_of_a_call_reads_back_as_the_same_call(call: Call) -> None:
    assert parse_call(str(call)) == call


@given(st.lists(CALLS, min_size=1, max_size=4))
def test_a_list_of_calls_splits_at_the_commas_between_them(calls: list[Call]) -> None:
    assert [parse_call(part) for part in split_list(", ".join(map(str, calls)))] == calls


@given(st.text(alphabet=st.sampled_from("abc01=,.@()[]{}'\"\\ \n\0-é٣")) | st.text(CHARACTERS))
@example("ccs(" + "(" * 5000 + ")" * 5000 + ")")
@example("ccs(beta=" + "[" * 5000 + "]" * 5000 + ")")
@example("ccs(beta=" + "-" * 50_000 + "1)")
@example("ccs(beta=" + "9" * 5000 + ")")
@example("folder(path='C:\\data')")
@example("ccs(beta=1if 2else 3)")
def test_any_text_is_read_or_refused_with_a_spec_error(text: str) -> None:
    for read in (parse_call, split_list):
        with suppress(SpecError):
            read(text)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("ccs", {}),
        ("ccs()", {}),
        (" ccs ( beta = 0.3 , keep = hard ) ", {"beta": 0.3, "keep": "hard"}),
        ("ccs(on=true, off=False, nothing=none)", {"on": True, "off": False, "nothing": None}),
        ("ccs(beta={0.9: 0.3, 0.5: 0})", {"beta": {0.9: 0.3, 0.5: 0}}),
        ("ccs(path=/data/my-photos_1/~x)", {"path": "/data/my-photos_1/~x"}),
        ("ccs(path='a,b)')", {"path": "a,b)"}),
        ("ccs(expression=a=b)", {"expression": "a=b"}),
    ],
)
def test_values_are_literals_and_bare_words_are_strings(text: str, params: dict[str, Any]) -> None:
    assert parse_call(text) == Call("ccs", params)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits@noise=0.2", Call("digits", {}, {"noise": 0.2})),
        ("digits @ noise = 0.2 @ imbalance = 1e2 ", Call("digits", {}, {"noise": 0.2, "imbalance": 100})),
        ("folder(path=a@b, size=8)@noise=0.2", Call("folder", {"path": "a@b", "size": 8}, {"noise": 0.2})),
        ("folder()@noise=0.2", Call("folder", {}, {"noise": 0.2})),
        ("cifar10@corruption=fog:3", Call("cifar10", {}, {"corruption": "fog:3"})),
        (
            "digits@labels=my labels/y.npz:worse@imbalance=2",
            Call("digits", {}, {"labels": "my labels/y.npz:worse", "imbalance": 2}),
        ),
        ("digits@labels='a(1)@b.npy'@seed=1", Call("digits", {}, {"labels": "a(1)@b.npy", "seed": 1})),
    ],
)
def test_modifiers_follow_the_call(text: str, expected: Call) -> None:
    assert parse_call(text) == expected


def test_a_modifier_has_one_spelling() -> None:
    written = ["digits@noise=0.20@imbalance=100", "digits@imbalance=1e2@noise=.2", "digits@imbalance=100.0@noise=0.2"]
    assert {str(parse_call(text)) for text in written} == {"digits@imbalance=100@noise=0.2"}


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ({"folder@noise=0.2": {"path": "photos"}}, Call("folder", {"path": "photos"}, {"noise": 0.2})),
        ({"ccs": {"beta": 0.3}}, Call("ccs", {"beta": 0.3})),
        ({"ccs": None}, Call("ccs", {})),
        ({"ccs": {"beta": {0.9: 0.3}}}, Call("ccs", {"beta": {0.9: 0.3}})),
    ],
)
def test_yaml_mappings(given_value: dict[str, Any], expected: Call) -> None:
    assert parse_call(given_value) == expected


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("", "write a name"),
        ("ccs beta", "write a name"),
        ("my/photos", "For a path: folder(path=PATH), npz(path=FILE) or indices(of=FILE)."),
        (3, "cannot read 3"),
        (None, "cannot read None"),
        ("ccs(0.3)", "write parameter=value"),
        ("ccs(beta=)", "write parameter=value"),
        ("ccs(2x=1)", "write parameter=value"),
        ("ccs(beta=1, beta=2)", "'beta' is given twice"),
        ("ccs(beta=1,,x=2)", "empty element"),
        ("digits@", "cannot read '@' in 'digits@'; write @modifier=value, such as @noise=0.2 or"),
        ("digits@noise", "cannot read '@noise' in 'digits@noise'"),
        ("digits@noise=", "cannot read '@noise=' in"),
        ("digits@noise=true", "cannot read '@noise=true' in"),
        ("digits@noise=none", "cannot read '@noise=none' in"),
        ("digits@noise=[1]", "cannot read '@noise=[1]' in"),
        ("digits@labels=''", "cannot read \"@labels=''\" in"),
        ("digits@labels=a(1).npy", "The value of a modifier that holds brackets or @ needs quotes."),
        ("digits@labels=it's.npy", "needs quotes."),
        ("digits@0.2", "cannot read '@0.2' in"),
        ("digits@noise=0.1@noise=0.2", "modifier @noise is given twice"),
        ("folder@noise=0.2(path=x)", "write a name"),
        ("@noise=0.2", "write a name"),
        ("ccs(beta=(1])", "brackets do not match"),
        ("ccs(beta=[1)", "brackets or quotes do not match"),
        ("ccs(path='x)", "brackets or quotes do not match"),
        ({"ccs": {}, "aum": {}}, "expected one name"),
        ({}, "expected one name"),
        ({"ccs": [0.3]}, "must be a mapping"),
        ({"ccs(beta=0.3)": {"strata": 20}}, "given twice"),
    ],
)
def test_errors_say_what_to_write(wrong: Any, says: str) -> None:
    with pytest.raises(SpecError, match=r"^[^\n]+$") as caught:
        parse_call(wrong)
    assert says in str(caught.value)


def test_a_closing_bracket_without_an_opening_one_is_refused() -> None:
    with pytest.raises(SpecError, match="brackets do not match"):
        split_list("ccs)")
