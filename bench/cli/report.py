"""``bench report``: one HTML page that shows everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli._results import CompareOption, Comparison, Folders, MetricName, MetricOption


def report(
    folders: Folders,
    metric: MetricOption = MetricName.last,
    compare: CompareOption = Comparison.paper,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Folder of the data sets, for contact sheets.", envvar="BENCH_DATA_ROOT"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write; by default FOLDER/report.html of the first folder.")
    ] = None,
) -> None:
    """Write one self-contained HTML page: leaderboard, tables, figures and contact sheets. It needs no network."""
    from bench.plots.figures import figures
    from bench.report.gallery import galleries
    from bench.report.page import page
    from bench.results.sheets import write_bytes
    from bench.results.tables import blocks, collect

    with_paper = compare is Comparison.paper
    made = blocks(collect(folders), metric=metric.value, compare=with_paper)
    sheets, missing = galleries(made, folders, data_root)
    for reason in missing:
        typer.echo(reason, err=True)
    text = page(made, figures(made, folders), sheets, compare=with_paper)
    typer.echo(f"Written: {write_bytes(out or folders[0] / 'report.html', text.encode('utf-8'))}")
