"""``bench leaderboard``: methods ranked over all columns of one or more result folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import _results as results
from bench.cli._fields import spread

if TYPE_CHECKING:
    from bench.results.block import Block
    from bench.results.metric import Metric


@spread
def leaderboard(
    folders: results.Folders,
    out: results.TablesOption = None,
    metric: results.MetricOption = "last",
    methods: results.MethodsOption = None,
    digits: results.DigitsOption = 1,
    figures: Annotated[
        bool, typer.Option("--figures", help="Also draw accuracy against rate and cost, as SVG in OUT/figures.")
    ] = False,
    latex: results.Latex = results.Latex(),
) -> None:
    """Rank methods by mean rank over every data set, encoder, model and rate; write Markdown, CSV and LaTeX.

    Every pair of data set and model has the same weight, however many encoders
    and rates it has. The same rows give the same bytes; figures do so with the
    same version of matplotlib.
    """
    from bench.cli._screen import show
    from bench.results.leaderboard import leaderboard_records, leaderboard_table, standings
    from bench.results.metric import file_name

    target = results.output_folder(out, folders, "tables")
    blocks = results.read_blocks(folders, metric, methods=methods, digits=digits)
    table = standings(blocks)
    board = leaderboard_table(blocks, table)
    show(board)
    paths = results.write_rendered(target, file_name("leaderboard", metric), [board], leaderboard_records(table), latex)
    if figures:
        paths += _draw(blocks, folders, target / "figures", metric)
    typer.echo(f"Written: {', '.join(map(str, paths))}")


def _draw(blocks: list[Block], folders: list[Path], target: Path, metric: Metric) -> list[Path]:
    from bench.plots.figures import figures
    from bench.plots.style import save
    from bench.results.metric import file_name
    from bench.results.rendering import write_bytes

    drawn = figures(blocks, folders, kinds=("accuracy", "cost"))
    return [write_bytes(target / f"{file_name(figure.name, metric)}.svg", save(figure.draw, "svg")) for figure in drawn]
