"""``bench export``: the rows of result folders as one flat file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli import _results as results


def export(
    folders: results.Folders,
    format_: Annotated[
        Literal["parquet", "csv"] | None,
        typer.Option(
            "--format",
            help="Format of the file. Parquet keeps lists; CSV holds them as JSON. Default: by the suffix of --out, or "
            "parquet.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write. Default: FOLDER/rows.FORMAT of the first folder.")
    ] = None,
) -> None:
    """Write the rows of the folders to a Parquet or CSV file: one line per row, one column per field."""
    from bench.errors import BenchError, SpecError
    from bench.results.export import write_csv, write_parquet
    from bench.results.tables import collect
    from bench.units import counted

    writers = {".parquet": write_parquet, ".csv": write_csv}
    suffix = out.suffix.lower() if out else ""
    kind = f".{format_}" if format_ else suffix or ".parquet"
    if kind not in writers or suffix not in ("", kind):
        named = f"a {kind} file is written with --format {format_}" if format_ else "a .parquet or .csv file is written"
        raise SpecError(f"--out {out} is not valid: {named}.")
    rows = collect(folders)
    path = out or folders[0] / f"rows{kind}"
    try:
        writers[kind](rows, path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}.") from error
    typer.echo(f"Written: {path} ({counted(len(rows), 'row')})")
