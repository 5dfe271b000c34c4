"""``bench plot``: figures for papers and slides."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import _complete
from bench.cli.table import CompareOption, Comparison, Folders, MetricName, MetricOption


class FigureKind(str, Enum):
    """What a figure shows."""

    accuracy = "accuracy"
    cost = "cost"
    scores = "scores"
    balance = "balance"
    overlap = "overlap"


def plot(
    kind: Annotated[FigureKind, typer.Argument(help="What to show.")],
    folders: Folders,
    rates: Annotated[str | None, typer.Option(help="For figures of one rate: '0.5,0.9'. Default: every rate.")] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated: png, svg, pdf.", autocompletion=_complete.formats)
    ] = "png,svg,pdf",
    metric: MetricOption = MetricName.last,
    compare: CompareOption = Comparison.none,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default FOLDER/figures of the first folder.")
    ] = None,
) -> None:
    """Draw a figure from rows: one file per data set, encoder, model and format; the same rows give the same bytes."""
    from bench.errors import SpecError, UnknownName
    from bench.plots.figures import figures
    from bench.plots.style import FORMATS, save
    from bench.results.sheets import write_bytes
    from bench.results.tables import blocks, collect

    wanted = [name.strip() for name in formats.split(",")]
    for name in wanted:
        if name not in FORMATS:
            raise UnknownName("format", name, FORMATS)
    made = blocks(collect(folders), metric=metric.value, compare=compare is Comparison.paper)
    chosen = _rates(rates)
    target = out or folders[0] / "figures"
    count = 0
    for figure in figures(made, folders, kinds=[kind.value], rates=chosen):
        for name in wanted:
            typer.echo(write_bytes(target / f"{figure.name}.{name}", save(figure.draw, name)))
            count += 1
    if not count:
        drawn = " Scores of a pool that is a part of its split cannot be told apart by what was kept."
        raise SpecError(
            f"the rows allow no {kind.value} figure: the files of scores or indices beside them are missing."
            + (drawn if kind.value == "scores" else "")
        )


def _rates(given: str | None) -> list[float]:
    from bench.errors import SpecError

    try:
        return [float(item) for item in given.split(",")] if given else []
    except ValueError:
        raise SpecError(f"--rates {given!r} is not valid; write fractions removed, such as '0.5,0.9'.") from None
