"""``bench leaderboard``: methods ranked over all columns of one or more result folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.table import Folders, MetricName, MetricOption

if TYPE_CHECKING:
    from bench.results.tables import Block


def leaderboard(
    folders: Folders,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default FOLDER/tables of the first folder.")
    ] = None,
    metric: MetricOption = MetricName.last,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw accuracy against rate and cost too, as SVG in OUT/figures.")
    ] = False,
) -> None:
    """Rank methods by mean rank over every data set, encoder, model and rate; write Markdown, CSV and LaTeX.

    Every data set with its model counts the same, however many encoders and rates it has. The same rows give the same
    bytes, of the figures with the same version of matplotlib.
    """
    from bench.cli._screen import show
    from bench.results.leaderboard import leaderboard_csv, leaderboard_sheet, standings
    from bench.results.sheets import latex, markdown, write_text
    from bench.results.tables import blocks, collect

    made = blocks(collect(folders), metric=metric.value)
    table = standings(made)
    board = leaderboard_sheet(made, table)
    show(board)
    contents = {"md": markdown([board]), "csv": leaderboard_csv(made, table), "tex": latex([board])}
    target = out or folders[0] / "tables"
    paths = write_text(target, "leaderboard", contents)
    if figures:
        paths += _draw(made, folders, target / "figures")
    typer.echo(f"Written: {', '.join(map(str, paths))}")


def _draw(made: list[Block], folders: list[Path], target: Path) -> list[Path]:
    from bench.plots.figures import figures
    from bench.plots.style import save
    from bench.results.sheets import write_bytes

    drawn = figures(made, folders, kinds=("accuracy", "cost"))
    return [write_bytes(target / f"{figure.name}.svg", save(figure.draw, "svg")) for figure in drawn]
