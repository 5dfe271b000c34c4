"""``bench doctor``: check the set-up of this machine, with advice on how to fix it."""

from __future__ import annotations

import typer

from bench.cli._output import JsonOption, coloured, print_json
from bench.cli.cache import Folder
from bench.store.folder import cache_folder

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(cache_dir: Folder = None, json_output: JsonOption = False) -> None:
    """Check versions, devices, threads, disk space and known bad combinations; exit code 1 if something fails."""
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
    # A warning is not a failure.
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
