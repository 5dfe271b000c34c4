"""What ``--json`` prints, and colours of single words on a terminal."""

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
"""Standard output, where it is kept for the one object."""


def reserve_stdout() -> None:
    """Keep standard output for ``print_json`` alone, to the end of the process.

    Whatever else writes there, such as a plugin on import, in a thread, at exit, or from C, writes to standard error.
    """
    own = sys.__stdout__
    if own is None or sys.stdout is not own:
        return  # closed, or this is no process of its own and its caller has put another stream there
    with suppress(OSError):  # one of the two is closed
        own.flush()
        kept = os.dup(1)
        # The descriptor and not only sys.stdout: C libraries and child processes write there too.
        os.dup2(2, 1)
        _RESERVED.set(os.fdopen(kept, "w"))


def drop_stdout() -> None:
    """Write to standard output no more, where it is full: what Python keeps of it is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (_RESERVED.get() or sys.stdout).fileno())


def takes_more() -> bool:
    """Whether standard output takes an empty line more; if so, the disk that is full is another."""
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
    """Return the text on one line, with what cannot be seen written out: a name from outside may command a terminal."""
    return "".join(char if char.isprintable() or category(char) == "Zs" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def coloured(text: str, color: str) -> str:
    """Colour the text, unless the user asked for none (``NO_COLOR``); where it is piped, echo takes it away."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=color)
