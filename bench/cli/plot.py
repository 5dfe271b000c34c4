"""``bench plot``: figures for papers and slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli import _complete
from bench.cli import _results as results

if TYPE_CHECKING:
    from bench.results.block import Block


FigureKind = Literal["accuracy", "cost", "scores", "balance", "overlap"]


def plot(
    kind: Annotated[FigureKind, typer.Argument(help="What to show.")],
    folders: results.Folders,
    rates: Annotated[str | None, typer.Option(help="For figures of one rate: '0.5,0.9'. Default: every rate.")] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated: png, svg, pdf.", autocompletion=_complete.formats)
    ] = "png,svg,pdf",
    metric: results.MetricOption = "last",
    compare: results.CompareOption = "none",
    methods: results.MethodsOption = None,
    title: Annotated[
        str | None, typer.Option(help="Title, or none. Default: data set, encoder, model and what is drawn.")
    ] = None,
    width: Annotated[float | None, typer.Option(min=1, max=40, help="Inches; the height goes with it.")] = None,
    font_size: Annotated[float, typer.Option(min=2, max=40, help="Of text, in points.")] = 9.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default FOLDER/figures of the first folder.")
    ] = None,
) -> None:
    """Draw a figure from rows: one file per data set, encoder, model and format; the same rows give the same bytes."""
    from bench.errors import SpecError, UnknownName
    from bench.plots.figures import figures
    from bench.plots.style import FORMATS, Style, save
    from bench.results.rendering import write_bytes

    wanted = [name.strip() for name in formats.split(",")]
    for name in wanted:
        if name not in FORMATS:
            raise UnknownName("format", name, FORMATS)
    made = results.read_blocks(folders, metric, compare, methods)
    style = Style(title="" if title == "none" else title, width=width, font=font_size)
    chosen = _rates(rates)
    target = out or folders[0] / "figures"
    count = 0
    for figure in figures(made, folders, kinds=[kind], rates=chosen):
        for name in wanted:
            typer.echo(write_bytes(target / f"{figure.name}.{name}", save(figure.draw, name, style)))
            count += 1
    if not count:
        raise SpecError(f"the rows allow no {kind} figure: {_lacking(kind, made)}.")


def _lacking(kind: FigureKind, made: list[Block]) -> str:
    """Why there is no figure of a kind."""
    from bench.results.published import is_whole_split

    pools = list(dict.fromkeys(block.dataset for block in made if block.lines))
    # Of ``full`` alone a block has no lines, and a figure nothing to draw.
    if not pools:
        return "all of them are of the full data set"
    drawn = [name for name in pools if kind == "scores" and not is_whole_split(name)]
    reasons = ["no files of scores or indices lie beside them"] if len(drawn) < len(pools) else []
    if drawn:
        part = "scores are drawn of whole training splits alone"
        reasons.append(f"{part}, and the pool of {', '.join(drawn)} is a part of one")
    return "; ".join(reasons)


def _rates(given: str | None) -> list[float]:
    from bench.errors import SpecError

    try:
        return [float(item) for item in given.split(",")] if given else []
    except ValueError:
        raise SpecError(f"--rates {given!r} is not valid; write fractions removed, such as '0.5,0.9'.") from None
