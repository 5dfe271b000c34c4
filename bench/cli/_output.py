"""Output of ``--json``, and colours of single words on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Annotated, Any, TextIO
from unicodedata import category

import typer

JSON = "--json"
JsonOption = Annotated[bool, typer.Option(JSON, help="Print one JSON object instead (docs/command-line.md).")]


_RESERVED: ContextVar[TextIO | None] = ContextVar("reserved", default=None)
"""Standard output, if it is reserved for the JSON object."""


def reserve_stdout() -> None:
    """Reserve standard output for ``print_json`` until the process ends.

    Everything else, such as a plugin on import, in a thread, at exit, or from C, then writes to standard error.
    """
    stdout = sys.__stdout__
    if stdout is None or sys.stdout is not stdout:
        return  # closed, or a caller inside this process has put another stream there
    with suppress(OSError):  # one of the two is closed
        stdout.flush()
        copy = os.dup(1)
        # The descriptor, not only sys.stdout, since C libraries and child processes write there too.
        os.dup2(2, 1)
        _RESERVED.set(os.fdopen(copy, "w"))


def drop_stdout() -> None:
    """Discard all further standard output, whose disk is full; otherwise Python would try to flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (_RESERVED.get() or sys.stdout).fileno())


def takes_more() -> bool:
    """Return whether standard output still takes an empty line; if so, another disk is full."""
    stream = _RESERVED.get() or sys.stdout
    try:
        stream.flush()
        os.write(stream.fileno(), b"\n")
    except OSError:
        return False
    return True


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one object that a command with ``--json`` writes to standard output."""
    typer.echo(json.dumps(document, indent=1), file=_RESERVED.get())


def visible(text: str) -> str:
    """Return the text with unprintable characters escaped, since an outside name may hold terminal commands."""
    return "".join(char if char.isprintable() or category(char) == "Zs" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def coloured(text: str, color: str) -> str:
    """Return the text in colour, unless ``NO_COLOR`` is set; ``typer.echo`` removes colours from piped output."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=color)
