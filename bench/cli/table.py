"""``bench table``: the accuracy table of one or more result folders."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli._output import JsonOption, print_json

if TYPE_CHECKING:
    from bench.results.sheets import Sheet
    from bench.results.tables import Block


class MetricName(str, Enum):
    """Which accuracy a table shows."""

    last = "last"
    best = "best"


class Comparison(str, Enum):
    """What our numbers are compared with."""

    paper = "paper"
    none = "none"


Folders = Annotated[list[Path], typer.Argument(help="Output folders of `bench run`.", show_default=False)]
MetricOption = Annotated[
    MetricName, typer.Option(help="Test accuracy after the last iteration, or the best seen during training.")
]


CompareOption = Annotated[
    Comparison, typer.Option(help="Show the numbers that the papers report beside ours, or none.")
]


def table(
    folders: Folders,
    metric: MetricOption = MetricName.last,
    compare: CompareOption = Comparison.none,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default FOLDER/tables of the first folder.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Show mean ± std over seeds, one block per data set, encoder and model; write Markdown, CSV and LaTeX."""
    from bench.cli._screen import show
    from bench.engine.failures import summary

    blocks, sheets, paths = write_tables(folders, metric, compare, out)
    if json_output:
        print_json(_document(folders, blocks, sheets, paths))
        return
    for item in sheets:
        show(item)
    typer.echo(f"Written: {', '.join(map(str, paths))}")
    for folder in folders:
        failed = summary(folder)
        if failed is not None:
            typer.echo(f"{failed}, and no table has them; the reasons are in {folder / 'failed'}.")


def write_tables(
    folders: list[Path],
    metric: MetricName = MetricName.last,
    compare: Comparison = Comparison.none,
    out: Path | None = None,
) -> tuple[list[Block], list[Sheet], list[Path]]:
    """Write the accuracy tables as Markdown, CSV and LaTeX; return their blocks and sheets, and the files."""
    from bench.results.sheets import latex, markdown, write_text
    from bench.results.table_text import sheet, table_csv
    from bench.results.tables import blocks, collect

    with_paper = compare is Comparison.paper
    made = blocks(collect(folders), metric=metric.value, compare=with_paper)
    sheets = [sheet(block, compare=with_paper) for block in made]
    name = "accuracy" if metric is MetricName.last else "best_accuracy"
    contents = {"md": markdown(sheets), "csv": table_csv(made), "tex": latex(sheets)}
    return made, sheets, write_text(out or folders[0] / "tables", name, contents)


def _document(folders: list[Path], made: list[Block], sheets: list[Sheet], paths: list[Path]) -> dict[str, Any]:
    """What the tables show, as plain values."""
    from bench.engine.failures import read_failures
    from bench.results.table_text import table_records

    return {
        "blocks": [
            {
                "dataset": block.dataset,
                "encoder": block.encoder,
                "model": block.model,
                "metric": block.metric,
                "rates": block.rates,
                "seeds": block.seeds,
                "notes": item.notes,
            }
            for block, item in zip(made, sheets, strict=True)
        ],
        "results": table_records(made),
        "tables": [str(path) for path in paths],
        "failed": [
            {"out": str(folder), "cell_id": failure.cell_id, "reason": failure.reason}
            for folder in folders
            for failure in read_failures(folder)
        ],
    }
