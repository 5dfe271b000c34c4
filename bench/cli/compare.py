"""``bench compare``: methods against a baseline at the same seeds, and the agreement of coresets and scores."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import _complete
from bench.cli import _results as results
from bench.cli._fields import spread


@spread
def compare(
    folders: results.Folders,
    baseline: Annotated[
        str,
        typer.Option(
            help="Method to compare the others with, with parameters if you like: 'ccs(beta=0.1)'.",
            autocompletion=_complete.one_of("methods"),
        ),
    ] = "random",
    metric: results.MetricOption = "last",
    methods: results.MethodsOption = None,
    digits: results.DigitsOption = 2,
    overlap: Annotated[bool, typer.Option(help="Also compare coresets and scores.")] = True,
    out: results.TablesOption = None,
    latex: results.Latex = results.Latex(),
) -> None:
    """Show paired differences with intervals, p-values and ranks, and overlaps; write Markdown, CSV and LaTeX."""
    from bench.cli._screen import show
    from bench.results import comparison, comparison_tables
    from bench.results.metric import file_name
    from bench.results.rendering import to_csv, write_text

    target = results.output_folder(out, folders, "tables")
    # The baseline is kept whatever --methods says, since the others are compared with it.
    blocks = results.read_blocks(folders, metric, methods=methods, digits=digits, keep=baseline)
    compared = comparison.compare(blocks, baseline)
    compared_blocks = [contest.block for contest in compared]
    tables = [comparison_tables.contest_table(*contest) for contest in compared]
    paths = []
    if overlap:
        agreeing = [comparison.method_agreements(block, folders) for block in compared_blocks]
        encoders = comparison.between_encoders(compared_blocks, folders)
        for block, pairs in zip(compared_blocks, agreeing, strict=True):
            tables += comparison_tables.overlap_tables(block, pairs)
        tables += comparison_tables.encoder_tables(encoders)
        records = comparison_tables.overlap_records([*agreeing, encoders])
        paths += write_text(target, "overlap", {"csv": to_csv(records)})
    for table in tables:
        show(table)
    records = comparison_tables.contest_records(compared)
    paths = results.write_rendered(target, file_name("comparison", metric), tables, records, latex) + paths
    typer.echo(f"Written: {', '.join(map(str, paths))}")
