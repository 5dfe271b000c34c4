"""``bench check``: the conformance suite on registered methods, one line per check."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from bench.cli import _complete
from bench.cli._options import PluginOption
from bench.cli._output import JsonOption, coloured, print_json

COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[METHOD]...",
            help="Methods to check. Default: all.",
            autocompletion=_complete.one_of("methods"),
        ),
    ] = None,
    plugin: PluginOption = None,
    json_output: JsonOption = False,
) -> None:
    """Check that methods keep the rules that the harness relies on; exit code 1 if a check failed.

    The checks find accidents. A method that means to cheat may pass them: read it before you trust it.
    """
    from bench.conformance import check_method
    from bench.plugins import methods
    from bench.units import counted

    # Through the registry, so that a misspelled name is refused before the first check.
    chosen = [methods.get(name).name for name in names or ()] or [entry.name for entry in methods]
    started = time.perf_counter()
    counts = dict.fromkeys(COLOURS, 0)
    findings = []
    for name in chosen:
        for finding in check_method(name):
            counts[finding.outcome] += 1
            # JSON is one object at the end; people get each line at once, since a method may take minutes.
            if json_output:
                findings.append(asdict(finding))
                continue
            outcome = coloured(f"{finding.outcome:<7}", COLOURS[finding.outcome])
            reason = f": {finding.reason}" if finding.reason else ""
            typer.echo(f"{name:<{max(map(len, chosen))}}  {outcome}  {finding.check}{reason}")
    seconds = time.perf_counter() - started
    if json_output:
        print_json({"methods": chosen, "counts": counts, "findings": findings, "seconds": round(seconds, 1)})
    else:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        typer.echo(f"{counted(len(chosen), 'method')}: {outcomes} in {seconds:.1f} s")
    if counts["failed"]:
        raise typer.Exit(1)
