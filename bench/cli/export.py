"""``bench export``: the rows of result folders as one flat file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli import _results as results


def export(
    folders: results.Folders,
    format_: Annotated[
        Literal["parquet", "csv"],
        typer.Option("--format", help="Format of the file. Parquet keeps lists; CSV holds them as JSON."),
    ] = ("parquet"),
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: FOLDER/rows.FORMAT of the first folder.")
    ] = None,
) -> None:
    """Write the rows of the folders to a Parquet or CSV file: one line per row, one column per field."""
    from bench.errors import BenchError
    from bench.results.export import write_csv, write_parquet
    from bench.results.tables import collect
    from bench.units import counted

    rows = collect(folders)
    path = out or folders[0] / f"rows.{format_}"
    try:
        {"parquet": write_parquet, "csv": write_csv}[format_](rows, path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}.") from error
    typer.echo(f"Written: {path} ({counted(len(rows), 'row')})")
