"""Errors in the usage of a command, as one line: what was given, what is valid, and the nearest match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer import BadParameter

from bench.errors import BenchError, SpecError, UnknownName, lower_first
from bench.valid import valid_instead

# Typer has a copy of click's exceptions in some releases and uses click's own in others; this is in both.
_Usage: Any = BadParameter.__base__


@contextmanager
def one_line(ctx: Any) -> Iterator[None]:
    """Raise click's usage errors of a command, or of a group of commands, as ``SpecError``.

    Args:
        ctx: click's context of the command.
    """
    try:
        yield
    except _Usage as error:
        # A group without a command shows its help, which is an exception too.
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        raise _plain(error, ctx) from error


def _plain(error: Any, ctx: Any) -> BenchError:
    command = ctx.command_path
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):
        options = {name for param in ctx.command.get_params(ctx) for name in param.opts if name.startswith("-")}
        return UnknownName(f"option of {command}", error.option_name, options)
    if not isinstance(error, BadParameter):
        return SpecError(
            f"{command}: {lower_first(error.format_message()).rstrip('.')}; {command} -h shows what it takes."
        )
    param: Any = error.param
    name = max(param.opts, key=len)  # an argument has only one
    if hasattr(error, "param_type"):
        return SpecError(f"{command} needs {name}; {command} -h shows what it takes.")
    if choice := re.search(r"'([^']*)' is not one of (.*)\.$", error.message):
        return UnknownName(f"{name} of {command}", choice[1], re.findall(r"'([^']*)'", choice[2]))
    cause: Any = error.__cause__
    problems: list[Any] = getattr(cause, "errors", list)()
    if not problems:
        return SpecError(f"{name}: {lower_first(error.message).rstrip('.')}.")
    # Typer names its checks after the type: int or constrained-int.
    kind = "integer" if cause.title.endswith("int") else "number"
    bounds = {"minimum": param.min, "maximum": param.max}
    schema = {"type": kind, **{bound: value for bound, value in bounds.items() if value is not None}}
    return SpecError(f"{name} {problems[0]['input']} is not valid: {valid_instead(problems, schema)}")
