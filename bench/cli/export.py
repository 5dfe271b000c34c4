"""``bench export``: the rows of result folders as one flat file."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import _results as results


class Format(str, Enum):
    """What a flat file is written as."""

    parquet = "parquet"
    csv = "csv"


def export(
    folders: results.Folders,
    format_: Annotated[Format, typer.Option("--format", help="Parquet keeps lists; CSV has them as JSON.")] = (
        Format.parquet
    ),
    out: Annotated[Path | None, typer.Option(help="The file; by default FOLDER/rows.FORMAT of the first folder.")] = (
        None
    ),
) -> None:
    """Write every row of the folders as one line of a Parquet or CSV file, one column per field."""
    from bench.errors import BenchError
    from bench.results.export import write_csv, write_parquet
    from bench.results.tables import collect
    from bench.units import counted

    rows = collect(folders)
    path = out or folders[0] / f"rows.{format_.value}"
    try:
        {Format.parquet: write_parquet, Format.csv: write_csv}[format_](rows, path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}.") from error
    typer.echo(f"Written: {path} ({counted(len(rows), 'row')})")
