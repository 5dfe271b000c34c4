"""``bench report``: one HTML page with all results."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import _complete
from bench.cli import _results as results
from bench.cli._options import PluginOption, QuietOption

if TYPE_CHECKING:
    from bench.report.page import PagePart
    from bench.results.block import Block
    from bench.results.metric import Metric

BASELINE = "random"


def report(
    folders: results.Folders,
    metric: results.MetricOption = "last",
    compare: results.CompareOption = "none",
    methods: results.MethodsOption = None,
    baseline: Annotated[
        str,
        typer.Option(help="Method to compare the others with.", autocompletion=_complete.one_of("methods")),
    ] = BASELINE,
    data_root: Annotated[
        Path | None,
        typer.Option(help="Folder of the data sets, for contact sheets.", envvar="BENCH_DATA_ROOT"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file to write. Default: report.html, or report-METRIC.html, in the first folder."),
    ] = None,
    plugin: PluginOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write a self-contained HTML page with leaderboard, tables, figures and contact sheets; it needs no network.

    Folders whose rows cannot share a table, such as those of two recipes, each
    get a part of the page. You can also name a folder that contains result
    folders.
    """
    from bench.cli._stages import StageProgress
    from bench.errors import SpecError, UnknownName
    from bench.plots.figures import figures
    from bench.report.gallery import galleries
    from bench.report.page import page
    from bench.results.comparison import find_baseline
    from bench.results.metric import file_name
    from bench.results.rendering import write_bytes

    default = folders[0] / f"{file_name('report', metric)}.html"
    if out is not None and out.suffix != ".html":
        raise SpecError(f"--out {out} is not valid: an .html file is written, such as {out.with_suffix('.html')}.")
    folders = [run for folder in folders for run in _runs(folder)]
    with StageProgress(quiet=quiet) as shown:
        shown.stage("rows")
        parts = _parts(folders, metric, compare, methods, baseline)
        blocks = [block for part in parts for block in part.blocks]
        try:
            baselines = find_baseline(blocks, baseline)
        except UnknownName:
            # Without the default baseline the page is still useful; a baseline that you asked for must exist.
            if baseline != BASELINE:
                raise
            baselines = [None] * len(blocks)
        shown.stage("coresets")
        sheets, missing = galleries(blocks, folders, data_root)
        drawn = list(figures(blocks, folders))
        text = page(parts, baselines, drawn, sheets, shown.stage("figures"))
    for reason in [*(f"{part.title}: {part.note}" for part in parts if part.note), *missing]:
        typer.echo(reason, err=True)
    typer.echo(f"Written: {write_bytes(out or default, text.encode('utf-8'))}")


def _runs(folder: Path) -> list[Path]:
    """Return the folder itself; or, if only folders in it have rows, those."""
    from bench.results.rows import runs_in

    inside = runs_in(folder) if folder.is_dir() else []
    return [folder] if (folder / "rows").is_dir() or not inside else inside


def _parts(
    folders: list[Path], metric: Metric, compare: results.Comparison, methods: str | None, baseline: str
) -> list[PagePart]:
    """Group the folders into parts: each goes to the first part whose rows can share a table with its own.

    A part notes the methods that were asked for and that it lacks; a method that all parts lack is refused.
    """
    from bench.errors import RowError
    from bench.report.page import PagePart
    from bench.results.frame import named
    from bench.results.shown import Shown

    read = partial(results.read_blocks, metric=metric, compare=compare, keep=baseline)
    grouped: list[tuple[list[Path], list[Block]]] = []
    for folder in folders:
        # By itself first: a problem within one folder is an error, not a reason for a part of its own.
        alone = read([folder])
        for number, (others, _) in enumerate(grouped):
            try:
                grouped[number] = ([*others, folder], read([*others, folder]))
            except RowError:
                continue
            break
        else:
            grouped.append(([folder], alone))
    shown = None if methods is None else Shown(methods)
    if shown:
        # Over all parts: refuses a method that no folder has.
        shown.among(cell for _, blocks in grouped for block in blocks for cell in named(block.cells))
    names = [", ".join(folder.resolve().name for folder in group) for group, _ in grouped]
    parts = []
    for name, (group, blocks) in zip(names, grouped, strict=True):
        # Two folders may have the same name, but titles must tell parts apart.
        title = name if names.count(name) == 1 else ", ".join(map(str, group))
        lacking = shown.lacking(cell for block in blocks for cell in named(block.cells)) if shown else []
        rest = shown.without(lacking) if shown else None
        if shown and not rest:
            typer.echo(f"{title} is left out: it has no row of {', '.join(lacking)}.", err=True)
            continue
        note = f"Without {', '.join(lacking)}, which has no row here." if lacking else ""
        parts.append(PagePart(title, read(group, methods=rest) if rest else blocks, note))
    return parts
