"""``bench schema``: the documentation of rows."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli._output import JSON, print_json


def schema(
    as_json: Annotated[bool, typer.Option(JSON, help="Print the JSON schema instead of the page.")] = False,
) -> None:
    """Print the fields of a row, as Markdown (docs/rows.md) or as JSON schema."""
    from bench.reference.rows import rows_page
    from bench.results.rows import Row

    if as_json:
        print_json(Row.model_json_schema(mode="serialization"))
    else:
        typer.echo(rows_page(), nl=False)
