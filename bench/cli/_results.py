"""Options that the commands on result folders share, and functions from folders to blocks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from bench.results.metric import Metric

if TYPE_CHECKING:
    from bench.results.block import Block
    from bench.results.rendering import TextTable
    from bench.results.shown import Shown

Comparison = Literal["paper", "none"]
Folders = Annotated[list[Path], typer.Argument(help="Output folders of `bench run`.", show_default=False)]
MetricOption = Annotated[
    Metric,
    typer.Option(
        help="Test accuracy to show: after the last iteration, the best during training, or after the last iteration "
        "with mirror images too (flipped, for rows trained with test_flip=true)."
    ),
]
CompareOption = Annotated[Comparison, typer.Option(help="Numbers to show beside these: those of the papers, or none.")]
MethodsOption = Annotated[
    str | None,
    typer.Option(
        help="Methods to show, in this order, with names if you like: 'random,elfs=ELFS (ours)'. Default: all."
    ),
]
DigitsOption = Annotated[
    int, typer.Option(min=0, max=6, help="Number of decimals; numbers equal to that precision rank equal.")
]
TablesOption = Annotated[
    Path | None, typer.Option(help="Folder for the files. Default: FOLDER/tables of the first folder.")
]

_SUFFIXES = (".md", ".csv", ".tex", ".png", ".svg", ".pdf", ".html", ".txt", ".parquet", ".json")
"""Suffixes that a folder hardly has; a folder may be named ``v1.2``."""


@dataclass(frozen=True)
class Latex:
    """Options of tables in LaTeX: the fields of ``bench.results.rendering.Tex``."""

    panel: ClassVar[str] = "LaTeX"

    caption: Annotated[str, typer.Option(help="Caption in LaTeX, used as it is. Default: the table's title.")] = ""
    label: Annotated[str, typer.Option(help=r"Label for \ref.")] = ""
    wide: Annotated[bool, typer.Option("--wide/--narrow", help="Span both columns of the page, or one.")] = False
    notes: Annotated[
        Literal["below", "comments"],
        typer.Option(help="Where to put the facts: below the table, or as comments in the source."),
    ] = "below"


def output_folder(out: Path | None, folders: list[Path], name: str) -> Path:
    """Return the folder to write to: ``out``, or the folder ``name`` in the first result folder.

    Raises:
        SpecError: ``out`` is a file, or looks like the name of one.
    """
    from bench.errors import SpecError

    if out is None:
        return folders[0] / name
    if out.is_file() or (out.suffix.lower() in _SUFFIXES and not out.is_dir()):
        folder = f", such as {out.with_suffix('')}" if out.suffix else ""
        raise SpecError(f"--out {out} is not valid: give a folder{folder}; its files get names of their own.")
    return out


def read_blocks(
    folders: list[Path],
    metric: Metric = "last",
    compare: Comparison = "none",
    methods: str | Shown | None = None,
    digits: int = 1,
    keep: str = "",
) -> list[Block]:
    """Return the blocks of the folders, limited to the chosen methods and the baseline ``keep``."""
    from bench.results.planned import read_planned
    from bench.results.shown import Shown
    from bench.results.tables import blocks, collect

    return blocks(
        collect(folders),
        metric=metric,
        compare=compare == "paper",
        digits=digits,
        shown=Shown(methods) if isinstance(methods, str) else methods,
        keep=keep,
        # From the folders and not from their rows: a table must say what an interrupted grid still lacks.
        planned=read_planned(folders),
    )


def write_rendered(
    target: Path,
    name: str,
    tables: Sequence[TextTable],
    records: Sequence[Mapping[str, Any]],
    latex_options: Latex = Latex(),
) -> list[Path]:
    """Write tables as Markdown and LaTeX, and their records as CSV; return the files."""
    from bench.results.rendering import Tex, latex, markdown, to_csv, write_text

    # All three texts before the first file, so that an error leaves no mixture of old and new ones.
    contents = {"md": markdown(tables), "csv": to_csv(records), "tex": latex(tables, Tex(**asdict(latex_options)))}
    return write_text(target, name, contents)
