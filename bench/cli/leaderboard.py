"""``bench leaderboard``: methods ranked over all columns of one or more result folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.table import Folders, MetricName, MetricOption


def leaderboard(
    folders: Folders,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default FOLDER/tables of the first folder.")
    ] = None,
    metric: MetricOption = MetricName.last,
) -> None:
    """Rank methods by mean rank over every data set, encoder, model and rate; write Markdown, CSV and LaTeX."""
    from bench.cli._screen import show
    from bench.leaderboard import leaderboard_csv, leaderboard_sheet
    from bench.sheets import latex, markdown, write_text
    from bench.tables import blocks, collect

    made = blocks(collect(folders), metric=metric.value)
    board = leaderboard_sheet(made)
    show(board)
    contents = {"md": markdown([board]), "csv": leaderboard_csv(made), "tex": latex([board])}
    paths = write_text(out or folders[0] / "tables", "leaderboard", contents)
    typer.echo(f"Written: {', '.join(map(str, paths))}")
