"""``bench compare``: methods against a baseline at the same seeds, and how far their coresets and scores agree."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import _complete
from bench.cli import _results as results


def compare(
    folders: results.Folders,
    baseline: Annotated[
        str,
        typer.Option(
            help="Method, or variant such as 'ccs(beta=0.1)', that the others are compared with.",
            autocompletion=_complete.one_of("methods"),
        ),
    ] = "random",
    metric: results.MetricOption = results.MetricName.last,
    methods: results.MethodsOption = None,
    digits: results.DigitsOption = 2,
    overlap: Annotated[bool, typer.Option(help="Compare coresets and scores too.")] = True,
    out: results.TablesOption = None,
    caption: results.CaptionOption = "",
    label: results.LabelOption = "",
    wide: results.WideOption = False,
    notes: results.NotesOption = results.Notes.below,
) -> None:
    """Show paired differences with intervals, p-values and ranks, and overlaps; write Markdown, CSV and LaTeX."""
    from bench.cli._screen import show
    from bench.errors import RowError
    from bench.results import comparison, comparison_text
    from bench.results.sheets import write_text

    read = results.read_blocks(folders, metric, methods=methods, digits=digits, keep=baseline)
    made = [block for block in read if block.lines]
    if not made:
        raise RowError("nothing to compare: all rows are of the full data set.")
    baselines = comparison.find_baseline(made, baseline)
    rows = [(block, line, comparison.contests(block, line)) for block, line in zip(made, baselines, strict=True)]
    sheets = [comparison_text.contest_sheet(block, found, line) for block, line, found in rows]
    paths = []
    target = out or folders[0] / "tables"
    if overlap:
        agreeing = [(block, {rate: comparison.overlap(block, rate, folders) for rate in block.rates}) for block in made]
        encoders = comparison.between_encoders(made, folders)
        sheets += [sheet for block, found in agreeing for sheet in comparison_text.overlap_sheets(block, found)]
        sheets += comparison_text.encoder_sheets(encoders)
        paths += write_text(target, "overlap", {"csv": comparison_text.overlaps_csv(agreeing, encoders)})
    for sheet in sheets:
        show(sheet)
    tex = results.tex_of(caption, label, wide, notes)
    paths = results.write_sheets(target, "comparison", sheets, comparison_text.contests_csv(rows), tex) + paths
    typer.echo(f"Written: {', '.join(map(str, paths))}")
