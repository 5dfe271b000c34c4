"""Options that several commands which compute have in common, under the same headings of ``--help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import _complete
from bench.cli._output import JSON

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
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=MACHINE)]
SummaryOption = Annotated[
    bool,
    typer.Option(JSON, help="Print the summary as JSON; progress to standard error.", rich_help_panel=MACHINE),
]
