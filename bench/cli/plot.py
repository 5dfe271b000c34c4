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
    kind: Annotated[FigureKind, typer.Argument(help="Kind of figure to draw.")],
    folders: results.Folders,
    rates: Annotated[
        str | None, typer.Option(help="Rates to draw, for figures of one rate each: '0.5,0.9'. Default: every rate.")
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Formats, comma-separated: png, svg, pdf.",
            autocompletion=_complete.several("figures"),
        ),
    ] = "png,svg,pdf",
    metric: results.MetricOption = "last",
    compare: results.CompareOption = "none",
    methods: results.MethodsOption = None,
    title: Annotated[
        str | None,
        typer.Option(help="Title, or 'none' for no title. Default: data set, encoder, model and what is drawn."),
    ] = None,
    width: Annotated[
        float | None, typer.Option(min=1, max=40, help="Width in inches; the height changes in proportion.")
    ] = None,
    font_size: Annotated[float, typer.Option(min=2, max=40, help="Font size in points.")] = 9.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files. Default: FOLDER/figures of the first folder.")
    ] = None,
) -> None:
    """Draw a figure from rows: a file per data set, encoder, model and format; the same rows give the same bytes."""
    from bench.errors import SpecError, UnknownName
    from bench.plots.figures import figures
    from bench.plots.style import FORMATS, Style, save
    from bench.results.metric import file_name
    from bench.results.rendering import write_bytes

    file_formats = [name.strip() for name in formats.split(",")]
    for name in file_formats:
        if name not in FORMATS:
            raise UnknownName("format", name, FORMATS)
    target = results.output_folder(out, folders, "figures")
    blocks = results.read_blocks(folders, metric, compare, methods)
    style = Style(title="" if title == "none" else title, width=width, font=font_size)
    chosen = _rates(rates)
    count = 0
    for figure in figures(blocks, folders, kinds=[kind], rates=chosen):
        for name in file_formats:
            typer.echo(write_bytes(target / f"{file_name(figure.name, metric)}.{name}", save(figure.draw, name, style)))
            count += 1
    if not count:
        raise SpecError(f"the rows allow no {kind} figure: {_reason_for_none(kind, blocks)}.")


def _reason_for_none(kind: FigureKind, blocks: list[Block]) -> str:
    """Return why there is no figure of this kind."""
    from bench.results.published import is_whole_split

    pools = list(dict.fromkeys(block.dataset for block in blocks if block.lines))
    # A block of ``full`` alone has no lines, and a figure nothing to draw.
    if not pools:
        return "all of them are rows of the full data set"
    drawn = [name for name in pools if kind == "scores" and not is_whole_split(name)]
    reasons = ["no files of scores or indices lie beside them"] if len(drawn) < len(pools) else []
    if drawn:
        rule = "scores are drawn only for whole training splits"
        reasons.append(f"{rule}, and the pool of {', '.join(drawn)} is a part of one")
    return "; ".join(reasons)


def _rates(text: str | None) -> list[float]:
    from bench.errors import SpecError

    try:
        return [float(item) for item in text.split(",")] if text else []
    except ValueError:
        raise SpecError(f"--rates {text!r} is not valid; write fractions removed, such as '0.5,0.9'.") from None
