"""What ``--json`` prints, and colours of single words on a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

JSON = "--json"
JsonOption = Annotated[bool, typer.Option(JSON, help="Print one JSON object instead (docs/command-line.md).")]


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one object that a command with ``--json`` writes to standard output."""
    typer.echo(json.dumps(document, indent=1))


def coloured(text: str, color: str) -> str:
    """The text in a colour, unless the user asked for none (``NO_COLOR``); where it is piped, echo takes it away."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg=color)
