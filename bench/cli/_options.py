"""Options that several commands which compute have in common, under the same headings of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import _complete
from bench.cli._output import JSON


def _load(paths: list[Path] | None) -> list[Path] | None:
    """Load plugin files before any name is looked up."""
    from bench.plugin_files import load_plugin

    for path in paths or ():
        load_plugin(path)
    return paths


PLACE, MACHINE = "Where things are", "How to run"

DataRootOption = Annotated[
    Path | None, typer.Option(help="Folder of the data sets.", envvar="BENCH_DATA_ROOT", rich_help_panel=PLACE)
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of shared stages. Default: the user's cache folder.",
        envvar="BENCH_CACHE_DIR",
        rich_help_panel=PLACE,
    ),
]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch missing data and weights.", rich_help_panel=PLACE)
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu or cuda.", autocompletion=_complete.devices, rich_help_panel=MACHINE)
]
PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Python file that registers a method, data set, encoder or model; may be given several times.",
        callback=_load,
        is_eager=True,
        rich_help_panel=PLACE,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=MACHINE)]
SummaryOption = Annotated[
    bool,
    typer.Option(JSON, help="Print the summary as JSON; progress to standard error.", rich_help_panel=MACHINE),
]
