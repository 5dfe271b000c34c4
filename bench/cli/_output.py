"""What ``--json`` prints, and colours of single words on a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any
from unicodedata import category

import typer

JSON = "--json"
JsonOption = Annotated[bool, typer.Option(JSON, help="Print one JSON object instead (docs/command-line.md).")]


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one object that a command with ``--json`` writes to standard output."""
    typer.echo(json.dumps(document, indent=1))


def visible(text: str) -> str:
    """The text on one line, with what cannot be seen written out: a name from outside may command a terminal."""
    return "".join(char if char.isprintable() or category(char) == "Zs" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def coloured(text: str, color: str) -> str:
    """The text in a colour, unless the user asked for none (``NO_COLOR``); where it is piped, echo takes it away."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=color)
