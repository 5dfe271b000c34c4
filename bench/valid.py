"""What a value may be, in words, from the JSON schema of its check: ``a whole number from 1 on``, ``hard or easy``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import lower_first, nearest

if TYPE_CHECKING:
    from pydantic import ValidationError

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}


class Refused(NamedTuple):
    """The first field of a model that was refused.

    Attributes:
        field: its name; empty if a rule on several fields was broken.
        given: its value.
        valid: see ``valid_instead``.
    """

    field: str
    given: Any
    valid: str


def first_refused(error: ValidationError, schema: Mapping[str, Any]) -> Refused:
    """Return the first field that was refused.

    Args:
        error: pydantic's refusal of a model.
        schema: JSON schema of the model.
    """
    first = error.errors()[0]
    path, given = first["loc"], first["input"]
    if not path or path[0] not in schema["properties"]:
        return Refused("", given, _own_words([first]))
    field = schema["properties"][path[0]]
    for step in path[1:]:
        if step == "[key]":
            field = {"type": "string"}
        elif isinstance(step, int):
            field = field.get("items", field)
    problems = [problem for problem in error.errors() if problem["loc"][0] == path[0]]
    return Refused(str(path[0]), given, valid_instead(problems, field))


def valid_instead(problems: list[Any], schema: Mapping[str, Any]) -> str:
    """Return what is valid instead of a refused value, and the nearest name: the end of a message.

    Args:
        problems: what pydantic found wrong with the value.
        schema: JSON schema of the value.
    """
    kinds, names = list(_kinds(schema)), list(_names(schema))
    # A schema does not tell the rules of validators, whose messages are in plain English already.
    if any(problem["type"] == "value_error" for problem in problems) or not (kinds or names):
        return _own_words(problems)
    given = problems[0]["input"]
    if any(problem["type"] == "finite_number" for problem in problems):
        kinds = [kind.replace("a number", "a finite number") for kind in kinds]
    if kinds == ["a text"] and isinstance(given, int | float):
        kinds = [f"a text, such as {str(given)!r}"]
    choice = " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
    near = nearest(str(given), names)
    return f"{', or '.join(filter(None, [*kinds, choice]))}.{f' Did you mean {near[0]}?' if near else ''}"


def _own_words(problems: list[Any]) -> str:
    return "; or ".join(dict.fromkeys(lower_first(problem["msg"]).rstrip(".") for problem in problems)) + "."


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the kinds of values that are valid, with their bounds."""
    for one in schema.get("anyOf", [schema]):
        if "enum" not in one and "const" not in one and one.get("type") in _KINDS:
            yield _KINDS[one["type"]] + _within(one)


def _names(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the single values that are valid."""
    for one in schema.get("anyOf", [schema]):
        constant = [one["const"]] if "const" in one else []
        yield from ["true", "false"] if one.get("type") == "boolean" else map(str, one.get("enum", constant))


def _within(schema: Mapping[str, Any]) -> str:
    bounds = {name: f"{words} {schema[name]}" for name, words in _BOUNDS.items() if name in schema}
    if list(bounds) == ["minimum"]:
        return f" from {schema['minimum']} on"
    if list(bounds) == ["minimum", "maximum"]:
        return f" from {schema['minimum']} to {schema['maximum']}"
    return f", {' and '.join(bounds.values())}" if bounds else ""
