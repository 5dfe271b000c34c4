"""``bench doctor``: whether this machine is set up, and what to do where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli._output import JsonOption, coloured, print_json
from bench.store.folder import cache_folder

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(
    cache_dir: Annotated[Path | None, typer.Option(help="Folder of shared stages.", envvar="BENCH_CACHE_DIR")] = None,
    json_output: JsonOption = False,
) -> None:
    """Report versions, devices, threads, space and known bad combinations; exit code 1 if something does not work."""
    from bench.doctor import examine

    findings = examine(cache_folder(cache_dir))
    if json_output:
        print_json({"findings": [finding._asdict() for finding in findings]})
    else:
        width = max(len(finding.topic) for finding in findings)
        for finding in findings:
            level = coloured(f"{finding.level:<7}", COLOURS[finding.level])
            typer.echo(f"{level}  {finding.topic:<{width}}  {finding.found}")
            if finding.advice:
                typer.echo(f"{'':<{width + 11}}{finding.advice}")
    # A warning is no failure: what it names works.
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
