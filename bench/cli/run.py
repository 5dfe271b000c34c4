"""``bench run``: plan a grid, run what is missing, print the tables."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import _complete
from bench.cli._options import (
    MACHINE,
    PLACE,
    CacheOption,
    DataRootOption,
    DeviceOption,
    DownloadOption,
    PluginOption,
    QuietOption,
)
from bench.cli._output import JSON, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from bench.engine.plan import Plan
    from bench.engine.run import Outcome
    from bench.stages.session import Session

GRID, TRACK = "What to compare", "Tracking"


class ExecutorName(str, Enum):
    """What runs the stages and cells."""

    ray = "ray"
    local = "local"


class WandbChoice(str, Enum):
    """Whether wandb sends anything."""

    offline = "offline"
    online = "online"


def run(
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Comma-separated, with parameters: 'elfs,ccs(beta=0.3)'.",
            autocompletion=_complete.several("methods"),
            rich_help_panel=GRID,
        ),
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Comma-separated; NAME@imbalance=100@noise=0.2 is a long-tailed and noisy version.",
            autocompletion=_complete.several("datasets"),
            rich_help_panel=GRID,
        ),
    ] = None,
    encoders: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Comma-separated; NAME(weights=FILE) takes a local file. Default: the dataset's.",
            autocompletion=_complete.several("encoders"),
            rich_help_panel=GRID,
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="Comma-separated, trained on the coresets. Default: the dataset's.",
            autocompletion=_complete.several("models"),
            rich_help_panel=GRID,
        ),
    ] = None,
    rates: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>", help="Fractions removed, in [0, 1): '0.5,0.9'; 0.9 keeps one in ten.", rich_help_panel=GRID
        ),
    ] = None,
    seeds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="'3' means 0, 1, 2; '4,7', or --seeds 4 --seeds 7, means 4 and 7; '4,' means 4.",
            rich_help_panel=GRID,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Packaged grid to start from.", autocompletion=_complete.presets, rich_help_panel=GRID),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the same names.", rich_help_panel=GRID)] = None,
    pool_size: Annotated[
        int | None, typer.Option(help="Draw this many training images as the pool.", rich_help_panel=GRID)
    ] = None,
    pool_seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of that draw; another one is another pool. Default: 0.", rich_help_panel=GRID),
    ] = None,
    proxy_model: Annotated[
        str | None,
        typer.Option(
            help="Network for training dynamics, so that all models share each coreset. Default: each model its own.",
            autocompletion=_complete.one_of("models"),
            rich_help_panel=GRID,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Fields of the training recipe: 'iterations=2000,proxy_epochs=20'.", rich_help_panel=GRID),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Shorten iterations and proxy epochs by this factor.", rich_help_panel=GRID)
    ] = None,
    plugin: PluginOption = None,
    out: Annotated[Path, typer.Option(help="Folder of rows, indices and tables.", rich_help_panel=PLACE)] = Path(
        "runs/default"
    ),
    data_root: DataRootOption = None,
    cache_dir: CacheOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    cpus_per_trial: Annotated[
        int, typer.Option(min=1, help="CPUs, and threads, of each trial.", rich_help_panel=MACHINE)
    ] = 1,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="GPUs of each trial; 0.25 packs four on one. Default: 1 on cuda.",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    executor: Annotated[
        ExecutorName,
        typer.Option(help="ray, or local: this process, without Ray.", rich_help_panel=MACHINE),
    ] = ExecutorName.ray,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes of --executor local. Default: none.", rich_help_panel=MACHINE),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster.", rich_help_panel=MACHINE)
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(
            help="wandb, tensorboard, or both, comma-separated.",
            autocompletion=_complete.trackers,
            rich_help_panel=TRACK,
        ),
    ] = None,
    wandb_mode: Annotated[
        WandbChoice, typer.Option(help="An offline run is sent later, by `wandb sync`.", rich_help_panel=TRACK)
    ] = WandbChoice.offline,
    track_curves: Annotated[
        bool, typer.Option("--track-curves", help="Each cell's learning curve too.", rich_help_panel=TRACK)
    ] = False,
    time_limit: Annotated[
        str | None,
        typer.Option(help="Longest that one shared stage or one cell may take: '90s', '2h'.", rich_help_panel=MACHINE),
    ] = None,
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            help="Tries again for what was killed, ran out of memory or could not read or write a file.",
            rich_help_panel=MACHINE,
        ),
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells and shared stages, run nothing.", rich_help_panel=MACHINE)
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Start although memory or disk will not do by the estimates.", rich_help_panel=MACHINE
        ),
    ] = False,
    quiet: QuietOption = False,
    json_output: Annotated[
        bool,
        typer.Option(
            JSON, help="Print the summary, or the plan, as JSON; progress to standard error.", rich_help_panel=MACHINE
        ),
    ] = False,
) -> None:
    """Run every method on every dataset at every rate, with every encoder, model and seed; then print the tables.

    The same command again runs only the cells that have no row yet. Exit code: 0 all cells have rows, 1 some failed,
    2 bad input (--dry-run: something would stop the run), 130 interrupted.
    """
    from rich.console import Console

    from bench.calls import parse_call
    from bench.engine.events import Several
    from bench.engine.run_log import RunLog
    from bench.engine.start import Job, RunOptions
    from bench.errors import BenchError, SpecError
    from bench.grid.spec import load_spec
    from bench.tracking.trackers import make_trackers, tracked

    given: dict[str, Any] = {
        "methods": _joined(methods),
        "datasets": _joined(datasets),
        "encoders": _joined(encoders),
        "models": _joined(models),
        "rates": _joined(rates),
        "seeds": _joined(seeds),
        "pool_size": pool_size,
        "pool_seed": pool_seed,
        "proxy_model": proxy_model,
        "recipe": parse_call(f"recipe({recipe})").params if recipe is not None else None,
        "scale": scale,
    }
    if preset is None and config is None and not any(value is not None for value in given.values()):
        raise SpecError("nothing to compare was named: try --methods elfs,random, --preset demo, or --config FILE.")
    options = RunOptions(
        out=out,
        data_root=data_root,
        cache_dir=cache_dir,
        download=download,
        device=device,
        executor=executor.value,
        workers=workers,
        address=address,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        time_limit=time_limit,
        retries=retries,
        force=force,
    )
    spec = load_spec(preset=preset, config=config, given=given)
    trackers = make_trackers(track, mode=wandb_mode.value, curves=track_curves)
    job = Job(spec, options, tolerant=dry_run)
    plan, session = job.plan, job.session
    console = Console(stderr=json_output, highlight=False, markup=False)
    if dry_run:
        from bench.cli._forecast import forecast_lines
        from bench.cli._plan import plan_document, show_plan

        forecast = job.forecast()
        document = plan_document(plan, session, forecast)
        if json_output:
            print_json(document)
        else:
            show_plan(document, console, forecast_lines(forecast, plan, datetime.now()))
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
        redirect_stdout(sys.stderr if json_output else sys.stdout),  # Ray prints there that a node has died
        ProgressReporter(console, quiet=quiet, out=session.out, outlook=outlook) as progress,
        tracked(trackers, plan.cells, session.out, warn) as tracking,
    ):
        outcome = job.run(Several(progress, RunLog(session.out), tracking))
    code = _exit_code(plan, outcome)
    try:
        tables = _write_tables(session.out, shown=not json_output) if outcome.written else []
    except BenchError as error:  # of a row that another grid wrote there, for example
        tables, code = [], code or 1
        warn(f"No tables were made: {error}")
    if json_output:
        print_json({**_summary(plan, outcome, session), "tables": tables, "exit_code": code})
    else:
        _tell(plan, outcome, session, console)
    raise typer.Exit(code)


def _joined(given: list[str] | None) -> str | None:
    """An option given several times says what one list would; a list of one seed, ``4,``, may be among them."""
    if not given or len(given) == 1:
        return given[0] if given else None
    return ",".join(item.strip().removesuffix(",") for item in given)


def _exit_code(plan: Plan, outcome: Outcome) -> int:
    if outcome.interrupted:
        return 130
    return int(outcome.written < len(plan.cells))


def _summary(plan: Plan, outcome: Outcome, session: Session) -> dict[str, Any]:
    """How the run ended, as plain values."""
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
    """Write the tables of the folder, and show them on request; return where they are."""
    from bench.cli._results import read_blocks
    from bench.cli.table import table, write_tables

    if shown:
        table([out])
        return []
    return [str(path) for path in write_tables(read_blocks([out]), out / "tables")[1]]


def _tell(plan: Plan, outcome: Outcome, session: Session, console: Console) -> None:
    """Say how the run ended and what is left."""
    from bench.quantities import counted

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
        todo = f"{counted(left, 'cell')} left. The same command goes on." if left else "every cell has its row."
        console.print(f"Interrupted; {todo}")
        return
    if left:
        console.print(f"{counted(left, 'cell')} left. The same command tries again.")
