"""Options that several computing commands share, under the same headings of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli._fields import option
from bench.cli._output import JSON
from bench.fields import FolderFields, MachineFields


def _load(paths: list[Path] | None) -> list[Path] | None:
    """Load the plugin files, before any name is looked up."""
    from bench.plugin_files import load_plugin

    for path in paths or ():
        load_plugin(path)
    return paths


FOLDERS, MACHINE = FolderFields.panel, MachineFields.panel

DataRootOption = Annotated[Path | None, option(FolderFields, "data_root")]
CacheOption = Annotated[Path | None, option(FolderFields, "cache_dir")]
DeviceOption = Annotated[str, option(MachineFields, "device")]
PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Python file that registers methods, data sets, encoders or models; can be given several times.",
        callback=_load,
        # Before the other options, whose values may name what the file registers.
        is_eager=True,
        rich_help_panel=FOLDERS,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.", rich_help_panel=MACHINE)]
SummaryOption = Annotated[
    bool,
    typer.Option(JSON, help="Print the summary as JSON, and progress to standard error.", rich_help_panel=MACHINE),
]
