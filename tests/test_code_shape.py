"""Rules on the shape of the code that a reviewer would otherwise have to count by hand."""

from __future__ import annotations

import ast

from tests.sources import Function, functions_and_calls

LONGEST = 100
MOST_PARAMETERS = 10
FRONT = "bench/api.py"
"""Its keyword-only arguments are options that a user types, as those of a command or a plugin are."""


def functions() -> list[tuple[str, Function]]:
    return [(path, node) for path, node in functions_and_calls() if isinstance(node, Function)]


def is_plugin(function: Function) -> bool:
    calls = [item.func for item in function.decorator_list if isinstance(item, ast.Call)]
    return any(isinstance(call, ast.Name) and call.id.startswith("register_") for call in calls)


def parameters(path: str, function: Function) -> int:
    """Count a function's parameters; of the front door and of plugins those that are no option a user types."""
    given = function.args
    positional = [item.arg for item in (*given.posonlyargs, *given.args) if item.arg not in ("self", "cls")]
    options = 0 if path == FRONT or is_plugin(function) else len(given.kwonlyargs)
    return len(positional) + options + (given.vararg is not None) + (given.kwarg is not None)


def test_no_function_is_longer_than_a_reader_can_hold() -> None:
    sizes = {f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions()}
    assert len(sizes) > 1000, "all of the product is looked at"
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}


def test_what_belongs_together_is_passed_as_one_object() -> None:
    # Typer makes the options of a command from its parameters.
    counts = {
        f"{path}:{node.name}": parameters(path, node) for path, node in functions() if not path.startswith("bench/cli/")
    }
    assert {name: count for name, count in counts.items() if count > MOST_PARAMETERS} == {}
