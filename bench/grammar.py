"""The grammar of plugin names with parameters: ``ccs(beta=0.3, keep=hard)``, ``cifar10@corruption=fog:3``."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from bench.errors import SpecError

Modifiers: TypeAlias = Mapping[str, int | float | str]
"""The modifiers of a data set, ``@name=value``: name -> value."""
# A value holds ``@`` and brackets only in quotes. No two alternatives begin alike, so that matching takes linear time.
_MODIFIER = r"""@(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^@()'"])*"""
# ``.*`` goes to the last bracket, so that brackets inside values stay with them.
_CALL = re.compile(
    rf"^\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\((?P<args>.*)\))?\s*(?P<modifiers>(?:{_MODIFIER})*)$", re.DOTALL
)
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_BARE = re.compile(r"[\w./\\~:@%+-]+")
"""Text that needs no quotes, since the grammar gives no meaning to any of its characters."""


class Call(NamedTuple):
    """A plugin's name with the parameters and modifiers (``@noise=0.2``) that the user set, without defaults."""

    name: str
    params: dict[str, Any]
    modifiers: Mapping[str, int | float | str] = {}

    def __str__(self) -> str:
        # Sorted: a call has one spelling, which rows carry and by which tables group them.
        inside = ", ".join(f"{key}={_text(value)}" for key, value in sorted(self.params.items()))
        after = "".join(f"@{key}={_modifier(value)}" for key, value in sorted(self.modifiers.items()))
        return f"{self.name}({inside}){after}" if inside else f"{self.name}{after}"


def split_list(text: str) -> list[str]:
    """Split a comma-separated list; commas inside brackets and quotes do not split it.

    Raises:
        SpecError: brackets do not match, or an element is empty.
    """
    if not text.strip():
        return []
    parts: list[str] = []
    opened: list[str] = []
    quote, escaped, start = "", False, 0
    for position, char in enumerate(text):
        # As in a Python literal: that is how ``_value`` reads quoted text.
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _BRACKETS.values():
            opened.append(char)
        elif char in _BRACKETS:
            if not opened or opened.pop() != _BRACKETS[char]:
                raise SpecError(f"brackets do not match in {text!r}.")
        elif char == "," and not opened:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:].strip())
    if opened or quote:
        raise SpecError(f"brackets or quotes do not match in {text!r}.")
    if not all(parts):
        raise SpecError(f"empty element in the list {text!r}: a comma too many?")
    return parts


def parse_call(given: str | Mapping[str, Any]) -> Call:
    """Return the call written as ``"ccs(beta=0.3)"``, ``"digits@noise=0.2"``, or YAML's ``{"ccs": {"beta": 0.3}}``.

    Values are Python literals; a bare word is a string, except that ``true``, ``false`` and ``none`` are Python's
    constants. The value of a modifier is a number or a string.

    Raises:
        SpecError: the text does not follow the grammar.
    """
    if isinstance(given, Mapping):
        return _from_mapping(given)
    match = _CALL.match(given) if isinstance(given, str) else None
    if match is None:
        quotes = " The value of a modifier that holds brackets or @ needs quotes." if "@" in str(given) else ""
        paths = " For a path: folder(path=PATH), npz(path=FILE) or indices(of=FILE)." if "/" in str(given) else ""
        raise SpecError(f"cannot read {given!r}; write a name, or name(parameter=value, ...).{quotes}{paths}")
    params: dict[str, Any] = {}
    for part in split_list(match["args"] or ""):
        # At the first ``=``: a value, such as a path, may hold more of them.
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier() or not value.strip():
            raise SpecError(f"cannot read {part!r} in {given!r}; write parameter=value.")
        if key in params:
            raise SpecError(f"parameter {key!r} is given twice in {given!r}.")
        params[key] = _value(value.strip())
    return Call(match["name"], params, _modifiers(match["modifiers"], given))


def given_by_rate(call: Call) -> frozenset[str]:
    """Return the parameters whose value is a mapping from rate to value."""
    return frozenset(name for name, value in call.params.items() if isinstance(value, Mapping))


# Called for every row of every table; a large grid has a few hundred distinct calls.
@lru_cache(4096)
def respelled(text: str) -> str:
    """Return a call in the spelling of rows, with sorted parameters; a text that is no call stays as it is."""
    try:
        return str(parse_call(text))
    except SpecError:
        return text


def family(variant: str) -> str:
    """Return the call with every mapping from rate to value emptied, so that adding a rate to a grid keeps it."""
    call = parse_call(variant)
    return str(Call(call.name, call.params | {name: {} for name in given_by_rate(call)}))


def merged(variants: Sequence[str]) -> str:
    """Return one call whose mappings from rate to value hold the rates of all the given calls.

    Args:
        variants: calls of one ``family``, at least one; if several have a rate, the last one's value is taken.
    """
    calls = [parse_call(variant) for variant in dict.fromkeys(variants)]
    if len(calls) == 1:
        return variants[0]
    whole = dict(calls[0].params)
    for name in given_by_rate(calls[0]):
        values = {rate: value for call in calls for rate, value in call.params[name].items()}
        whole[name] = dict(sorted(values.items()))
    return str(Call(calls[0].name, whole))


def _from_mapping(given: Mapping[str, Any]) -> Call:
    if len(given) != 1:
        raise SpecError(f"expected one name with its parameters, got {dict(given)!r}.")
    [(name, params)] = given.items()
    if not isinstance(params, Mapping | None):
        raise SpecError(f"parameters of {name!r} must be a mapping, got {params!r}.")
    call = parse_call(str(name))
    if call.params:
        raise SpecError(f"parameters of {call.name!r} are given twice: in {name!r} and as a mapping.")
    return Call(call.name, {str(key): value for key, value in (params or {}).items()}, call.modifiers)


def _modifiers(text: str, whole: str) -> dict[str, int | float | str]:
    modifiers: dict[str, int | float | str] = {}
    for part in re.findall(_MODIFIER, text, re.DOTALL):
        key, _, written = (item.strip() for item in part[1:].partition("="))
        value = _value(written)
        if not key.isidentifier() or isinstance(value, bool) or not isinstance(value, int | float | str) or value == "":
            raise SpecError(
                f"cannot read {part!r} in {whole!r}; write @modifier=value, such as @noise=0.2 or @labels=FILE."
            )
        if key in modifiers:
            raise SpecError(f"modifier @{key} is given twice in {whole!r}.")
        modifiers[key] = value
    return modifiers


def _value(text: str) -> Any:
    word = {"true": True, "false": False, "none": None}
    if text.lower() in word:
        return word[text.lower()]
    try:
        with warnings.catch_warnings():
            # Python warns about the backslash in 'C:\\data' and about 0x3and; neither concerns the user here.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    # What ``literal_eval`` raises for text that is no literal; the last two for very long or deeply nested text.
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _modifier(value: int | float | str) -> str:
    """Return the value as text; 100 and 100.0 both become ``100``, so that a number has one spelling."""
    if isinstance(value, str):
        return repr(value) if "@" in value else _text(value)
    return repr(value).removesuffix(".0")


def _text(value: Any) -> str:
    # Without quotes only if it is read back as the same text, unlike ``true`` and ``5``.
    return value if isinstance(value, str) and _BARE.fullmatch(value) and _value(value) == value else repr(value)
