"""``bench table``: the accuracy table of one or more result folders."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.sheets import Sheet


class MetricName(str, Enum):
    """Which accuracy a table shows."""

    last = "last"
    best = "best"


class Comparison(str, Enum):
    """What a table is compared with."""

    paper = "paper"


Folders = Annotated[list[Path], typer.Argument(help="Output folders of `bench run`.", show_default=False)]
MetricOption = Annotated[
    MetricName, typer.Option(help="Test accuracy after the last iteration, or the best seen during training.")
]


def table(
    folders: Folders,
    metric: MetricOption = MetricName.last,
    compare: Annotated[
        Comparison | None, typer.Option(help="Put the numbers that the papers report below ours.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default FOLDER/tables of the first folder.")
    ] = None,
) -> None:
    """Show mean ± std over seeds, one block per data set, encoder and model; write Markdown, CSV and LaTeX."""
    from bench.cli._screen import show
    from bench.failures import summary

    sheets, paths = write_tables(folders, metric, compare is not None, out)
    for item in sheets:
        show(item)
    typer.echo(f"Written: {', '.join(map(str, paths))}")
    for folder in folders:
        failed = summary(folder)
        if failed is not None:
            typer.echo(f"{failed} and stand in no table; the reasons are in {folder / 'failed'}.")


def write_tables(
    folders: list[Path], metric: MetricName = MetricName.last, compare: bool = False, out: Path | None = None
) -> tuple[list[Sheet], list[Path]]:
    """Write the accuracy tables as Markdown, CSV and LaTeX; return them and where they are."""
    from bench.sheets import latex, markdown, write_text
    from bench.table_text import sheet, table_csv
    from bench.tables import blocks, collect

    made = blocks(collect(folders), metric=metric.value, compare=compare)
    sheets = [sheet(block, compare=compare) for block in made]
    name = "accuracy" if metric is MetricName.last else "best_accuracy"
    contents = {"md": markdown(sheets), "csv": table_csv(made), "tex": latex(sheets)}
    return sheets, write_text(out or folders[0] / "tables", name, contents)
