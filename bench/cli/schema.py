"""``bench schema``: the documentation of rows."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def schema(
    as_json: Annotated[bool, typer.Option("--json", help="The JSON schema instead of the page.")] = False,
) -> None:
    """Print what a row holds, as Markdown (docs/rows.md) or as JSON schema."""
    from bench.rows import Row
    from bench.rows_page import page

    typer.echo(json.dumps(Row.model_json_schema(mode="serialization"), indent=1) if as_json else page(), nl=as_json)
