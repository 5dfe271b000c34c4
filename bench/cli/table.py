"""``bench table``: accuracy tables of one or more result folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.cli import _results as results
from bench.cli._fields import spread
from bench.cli._output import JsonOption, print_json

if TYPE_CHECKING:
    from bench.results.block import Block
    from bench.results.rendering import TextTable


@spread
def table(
    folders: results.Folders,
    metric: results.MetricOption = "last",
    compare: results.CompareOption = "none",
    methods: results.MethodsOption = None,
    digits: results.DigitsOption = 1,
    out: results.TablesOption = None,
    latex: results.Latex = results.Latex(),
    json_output: JsonOption = False,
) -> None:
    """Show mean ± std over seeds, one block per data set, encoder and model; write Markdown, CSV and LaTeX."""
    from bench.cli._screen import show
    from bench.engine.failures import summary
    from bench.results.planned import missing_words, read_planned

    target = results.output_folder(out, folders, "tables")
    blocks = results.read_blocks(folders, metric, compare, methods, digits)
    tables, paths = write_tables(blocks, target, latex)
    if json_output:
        print_json(_document(folders, blocks, tables, paths))
        return
    for item in tables:
        show(item)
    typer.echo(f"Written: {', '.join(map(str, paths))}")
    for folder in folders:
        failed = summary(folder)
        if failed is not None:
            typer.echo(f"{failed}, and no table has them; the reasons are in {folder / 'failed'}.")
    planned, shown = read_planned(folders), [*(point for block in blocks for point in block.planned)]
    if methods is None and set(planned) - set(shown):  # a data set, encoder or model has no row at all
        typer.echo(f"Incomplete: {missing_words(planned, set().union(*(block.points for block in blocks)))}.")


def write_tables(
    blocks: list[Block], target: Path, latex: results.Latex = results.Latex()
) -> tuple[list[TextTable], list[Path]]:
    """Write the accuracy tables as Markdown, CSV and LaTeX; return the tables and the files."""
    from bench.results.accuracy_table import accuracy_table, table_records
    from bench.results.metric import file_name

    tables = [accuracy_table(block) for block in blocks]
    name = file_name("accuracy", blocks[0].metric)
    return tables, results.write_rendered(target, name, tables, table_records(blocks), latex)


def _document(folders: list[Path], blocks: list[Block], tables: list[TextTable], paths: list[Path]) -> dict[str, Any]:
    """Return the contents of the tables as plain values."""
    from bench.engine.failures import read_failures
    from bench.results.accuracy_table import table_records
    from bench.results.planned import read_planned

    present = set().union(*(block.points for block in blocks))
    return {
        "blocks": [
            {
                **block.identity,
                "metric": block.metric,
                "rates": block.rates,
                "seeds": block.seeds,
                "notes": item.notes,
            }
            for block, item in zip(blocks, tables, strict=True)
        ],
        "results": table_records(blocks),
        "tables": [str(path) for path in paths],
        "missing": [point._asdict() for point in read_planned(folders) if point not in present],
        "failed": [
            {"out": str(folder), "cell_id": failure.cell_id, "reason": failure.reason}
            for folder in folders
            for failure in read_failures(folder)
        ],
    }
