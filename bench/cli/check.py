"""``bench check``: the conformance suite on registered methods, one line per check."""

from __future__ import annotations

import time
from typing import Annotated

import typer

COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[METHOD]...", help="Methods to check; all if none is named.")
    ] = None,
) -> None:
    """Check that methods do what the harness relies on; exit code 1 if a check failed."""
    from bench.conformance import check_method
    from bench.plugins import methods

    chosen = [methods.get(name).name for name in names or ()] or [entry.name for entry in methods]
    started = time.perf_counter()
    counts = dict.fromkeys(COLOURS, 0)
    for name in chosen:
        for finding in check_method(name):
            counts[finding.outcome] += 1
            outcome = typer.style(f"{finding.outcome:<7}", fg=COLOURS[finding.outcome])
            reason = f": {finding.reason}" if finding.reason else ""
            typer.echo(f"{name:<{max(map(len, chosen))}}  {outcome}  {finding.check}{reason}")
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    typer.echo(f"{len(chosen)} methods: {told} in {time.perf_counter() - started:.1f} s")
    if counts["failed"]:
        raise typer.Exit(1)
