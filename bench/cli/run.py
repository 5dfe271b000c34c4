"""``bench run``: plan a grid, run what is missing, print the tables."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli._fields import spread
from bench.cli._options import MACHINE, PluginOption, QuietOption
from bench.cli._output import JSON, print_json
from bench.fields import FolderFields, GridFields, MachineFields, TrackFields

if TYPE_CHECKING:
    from rich.console import Console

    from bench.engine.plan import Plan
    from bench.engine.run import Outcome
    from bench.stages.session import Session


@spread
def run(
    *,
    grid: GridFields,
    plugin: PluginOption = None,
    folders: FolderFields,
    machine: MachineFields,
    track: TrackFields,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the cells and shared stages without running anything.", rich_help_panel=MACHINE
        ),
    ] = False,
    quiet: QuietOption = False,
    json_output: Annotated[
        bool,
        typer.Option(
            JSON,
            help="Print the summary, or the plan, as JSON, and progress to standard error.",
            rich_help_panel=MACHINE,
        ),
    ] = False,
) -> None:
    """Run every method on every data set at every rate, with every encoder, model and seed; then print the tables.

    Run the same command again to run only the cells that have no row yet.

    Exit codes: 0 all cells have rows, 1 some failed, 130 interrupted,
    2 bad input (with --dry-run: something would stop the run).
    """
    from rich.console import Console

    from bench.engine.events import Several
    from bench.engine.run_log import RunLog
    from bench.engine.start import Job, RunOptions
    from bench.errors import BenchError, SpecError
    from bench.grid.spec import load_spec
    from bench.tracking.trackers import TrackingReporter, make_trackers

    values = _grid_values(grid)
    if grid.preset is None and grid.config is None and not any(value is not None for value in values.values()):
        raise SpecError("nothing to compare was named: try --methods elfs,random, --preset demo, or --config FILE.")
    options = RunOptions(**asdict(folders), **asdict(machine))
    spec = load_spec(preset=grid.preset, config=grid.config, given=values)
    trackers = make_trackers(track.track, mode=track.wandb_mode, curves=track.track_curves)
    console = Console(stderr=json_output, highlight=False, markup=False)
    # A terminal shows it meanwhile: importing torch and opening the data sets takes seconds.
    with nullcontext() if quiet else console.status("Checking the grid, the data sets and this machine"):
        job = Job(spec, options, tolerant=dry_run)
    plan, session = job.plan, job.session
    if dry_run:
        from bench.cli._forecast import forecast_lines
        from bench.cli._plan import plan_document, show_plan
        from bench.cli.progress import estimate

        forecast = job.forecast() if quiet else estimate(job, console)
        document = plan_document(plan, session, forecast)
        if json_output:
            print_json(document)
        else:
            show_plan(document, console, forecast_lines(forecast, plan, datetime.now()))
        # The exit code of the run itself, so that a script can ask before it submits.
        raise typer.Exit(2 if document["problems"] else 0)
    job.check()
    from bench.cli.progress import ProgressReporter, announce

    def warn(line: str) -> None:
        console.print(line, style="yellow", soft_wrap=True)

    for label, held in plan.contents.items():
        if not quiet:
            console.print(held.line(label), soft_wrap=True)
    for line in job.warnings():
        warn(line)
    outlook = None if quiet else announce(job, console)
    with (
        redirect_stdout(sys.stderr if json_output else sys.stdout),  # Ray prints to stdout that a node has died
        ProgressReporter(console, quiet=quiet, session=session, outlook=outlook) as progress,
        TrackingReporter(trackers, plan.cells, session.out, warn) as tracking,
    ):
        outcome = job.run(Several(progress, RunLog(session.out), tracking))
    code = _exit_code(plan, outcome)
    try:
        # Without a row there is no table to write, and the failures are printed below.
        tables = _write_tables(session.out, shown=not json_output) if outcome.written else []
    except BenchError as error:  # about a row that another grid wrote there, for example
        tables, code = [], code or 1
        warn(f"No tables were written: {error}")
    if json_output:
        print_json({**_summary(plan, outcome, session), "tables": tables, "exit_code": code})
    else:
        _print_summary(plan, outcome, session, console)
    raise typer.Exit(code)


def _grid_values(grid: GridFields) -> dict[str, Any]:
    """Return the fields of ``GridSpec`` from the command line, None for options that were not given."""
    from bench.grammar import parse_call

    values: dict[str, Any] = {
        name: _joined(value) if isinstance(value, list) else value
        for name, value in asdict(grid).items()
        if name not in ("preset", "config")
    }
    # The grammar of calls reads the fields, so that a recipe is written like the parameters of a method.
    recipe = parse_call(f"recipe({grid.recipe})").params if grid.recipe is not None else None
    return {**values, "recipe": recipe}


def _joined(values: list[str] | None) -> str | None:
    """Return the values of a repeated option as one list; among them may be a list of one seed, ``4,``."""
    if not values or len(values) == 1:
        return values[0] if values else None
    return ",".join(item.strip().removesuffix(",") for item in values)


def _exit_code(plan: Plan, outcome: Outcome) -> int:
    if outcome.interrupted:
        return 130
    return int(outcome.written < len(plan.cells))


def _summary(plan: Plan, outcome: Outcome, session: Session) -> dict[str, Any]:
    """Return the outcome of the run as plain values."""
    return {
        "out": str(session.out),
        "cells": len(plan.cells),
        "written": outcome.written,
        "failed": [{"cell_id": cell_id, "reason": reason} for cell_id, reason in outcome.failed.items()],
        "left": len(plan.cells) - outcome.written,
        "interrupted": outcome.interrupted,
        "ray_lost": outcome.lost,
        "stages": {"computed": outcome.stages_computed, "reused": outcome.stages_reused},
        "seconds": round(outcome.seconds, 1),
    }


def _write_tables(out: Path, *, shown: bool) -> list[str]:
    """Write the tables of the folder, and print them on request; return the files."""
    from bench.cli._results import read_blocks
    from bench.cli.table import table, write_tables

    if shown:
        table(folders=[out])
        return []
    return [str(path) for path in write_tables(read_blocks([out]), out / "tables")[1]]


def _print_summary(plan: Plan, outcome: Outcome, session: Session, console: Console) -> None:
    """Print how the run ended and what is left."""
    from bench.units import counted

    left = len(plan.cells) - outcome.written
    console.print(
        f"{outcome.written} of {counted(len(plan.cells), 'cell')} with a row in {session.out} "
        f"({outcome.seconds:.0f} s).",
        soft_wrap=True,
    )
    if plan.missing:
        console.print(f"Shared stages: {outcome.stages_computed} computed, {outcome.stages_reused} reused.")
    for cell_id, reason in outcome.failed.items():
        console.print(f"failed: {cell_id}: {reason}", style="red", soft_wrap=True)
    if outcome.failed:
        console.print(f"Records and tracebacks are in {session.out / 'failed'}.", soft_wrap=True)
    if outcome.interrupted:
        todo = f"{counted(left, 'cell')} left. The same command resumes." if left else "every cell has its row."
        console.print(f"Interrupted; {todo}")
        return
    if left:
        console.print(f"{counted(left, 'cell')} left. The same command tries again.")
