"""``bench train``: train on a published coreset without selecting again, as a run of the method ``indices``."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from bench.cli import _complete
from bench.cli._fields import option, spread
from bench.cli._options import DeviceOption, PluginOption, QuietOption, SummaryOption
from bench.cli._output import print_json
from bench.fields import FieldText, FolderFields, MachineFields

if TYPE_CHECKING:
    from bench.engine.run import Outcome
    from bench.engine.start import Job
    from bench.results.rows import Row


@dataclass(frozen=True)
class TrainOptions:
    """The coreset, and the networks to train on it."""

    panel: ClassVar[str] = "What to train"

    row: Annotated[
        Path | None,
        typer.Option(help="Row to reproduce, DIR/rows/CELL.json: train as it says, on its coreset."),
    ] = None
    indices: Annotated[
        list[Path] | None,
        typer.Option(help="Coreset: .npy file of positions in the full training split; can be given several times."),
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Data set of the coreset, with parameters and modifiers.",
            autocompletion=_complete.one_of("datasets"),
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            help="Networks to train, comma-separated. Default: the data set's own.",
            autocompletion=_complete.several("models"),
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the training. Default: 0.")] = None
    seeds: Annotated[str | None, typer.Option(help="Several seeds: '3' means 0, 1, 2; '4,7' means 4 and 7.")] = None
    recipe: Annotated[
        str | None, typer.Option(help="Fields of the training recipe to override: 'iterations=2000'.")
    ] = None
    scale: Annotated[
        float | None, typer.Option(help="Factor that shortens the training, such as 0.1; rows are marked.")
    ] = None
    pool_size: Annotated[
        int | None, typer.Option(help="Size of the pool that the coreset was selected from. Default: all images.")
    ] = None
    pool_seed: Annotated[int | None, typer.Option(min=0, help="Seed of the pool's draw. Default: 0.")] = None
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Encoder for a model that reads embeddings; NAME(weights=FILE) takes a local file.",
            autocompletion=_complete.one_of("encoders"),
        ),
    ] = None
    supervision: Annotated[
        Literal["none", "pseudo", "coreset", "labels"] | None,
        typer.Option(help="Labels that the selection could see. Default: labels, the cautious choice."),
    ] = None
    sha256: Annotated[str | None, typer.Option(help="SHA-256 that the coreset must have.")] = None
    fingerprint: Annotated[str | None, typer.Option(help="Fingerprint that the data set must have.")] = None

    def settings(self) -> dict[str, Any]:
        """Return the options that a row already determines, by name."""
        free = ("row", "indices", "model", "encoder")
        return {name.replace("_", "-"): value for name, value in asdict(self).items() if name not in free}


@dataclass(frozen=True)
class TrainFolders(FolderFields):
    """The folders of a training, with another default for the rows."""

    out: Annotated[Path, FieldText("Folder for the new rows.")] = Path("runs/train")


@dataclass(frozen=True)
class MachineOptions:
    """The device, threads and workers to train with."""

    panel: ClassVar[str] = MachineFields.panel

    device: DeviceOption = "auto"
    threads: Annotated[int | None, typer.Option(min=1, help="Number of CPU threads. Default: the row's, or 1.")] = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of worker processes, for several cells. Default: none.")
    ] = None
    force: Annotated[bool, option(MachineFields, "force")] = False


@spread
def train(
    *,
    options: TrainOptions,
    folders: TrainFolders,
    machine: MachineOptions,
    plugin: PluginOption = None,
    quiet: QuietOption = False,
    json_output: SummaryOption = False,
) -> None:
    """Train on a published coreset without selecting again, as a run of the method `indices`, and write rows.

    Give --row alone to reproduce that row's accuracy on the same device (with
    --indices if its coreset does not lie beside it), --row with --model to train
    other networks by the row's recipe, or --indices with --dataset. Run the same
    command again to train only what has no row yet; `bench table` shows the
    folder.

    Exit codes: 0 done, 1 a cell failed, or a row was not reproduced with the
    same device, threads and packages, 2 bad input, 130 interrupted.
    """
    from bench.engine.resume import valid_row
    from bench.results.rows import read_row

    _check(options)
    origin = None if options.row is None else read_row(options.row)
    device, threads = machine.device, machine.threads
    if origin is not None:
        # As the row: another kind of device rounds differently, and nothing would be reproduced.
        device = "cpu" if device == "auto" and origin.device.startswith("cpu") else device
        threads = threads or origin.threads
    run_options = {
        **asdict(folders),
        "device": device,
        "executor": "local",
        "workers": machine.workers,
        "cpus_per_trial": threads or 1,
        "force": machine.force,
    }
    job = _job(options, origin, run_options)
    outcome = _run_job(job, quiet=quiet)
    rows = [row for cell in job.plan.cells if (row := valid_row(job.session.out, cell)) is not None]
    results = [_result(row, job.session.out, origin) for row in rows]
    for cell_id, reason in outcome.failed.items():
        typer.echo(f"failed: {cell_id}: {reason}", err=True)
    if outcome.interrupted:
        typer.echo("Interrupted. The same command resumes.", err=True)
    # If device, threads or packages differ, another accuracy is reported but not a failure: the exit code is 0.
    missed = any(result["reproduced"] is False and not result["differences"] for result in results)
    code = 130 if outcome.interrupted else int(missed or len(results) < len(job.plan.cells))
    if json_output:
        failed = [{"cell_id": cell_id, "reason": reason} for cell_id, reason in outcome.failed.items()]
        # Most scripts ask for one training, and need not search the list.
        alone = results[0] if len(job.plan.cells) == len(results) == 1 else {}
        print_json({**alone, "rows": results, "failed": failed, "exit_code": code})
    else:
        for row, result in zip(rows, results, strict=True):
            _print_result(row, result, new=row.cell_id not in job.plan.finished, origin=origin)
        pair = (("--sha256", options.sha256), ("--fingerprint", options.fingerprint))
        if options.row is None and (missing := [name for name, value in pair if not value]):
            typer.echo(f"The origin of the coreset was not checked: give {' and '.join(missing)} of its row.")
    raise typer.Exit(code)


def _check(options: TrainOptions) -> None:
    from bench.errors import SpecError

    files = options.indices or []
    superfluous = [f"--{name}" for name, value in options.settings().items() if value is not None]
    if options.row is not None and superfluous:
        raise SpecError(
            f"--row sets everything but --model; leave {', '.join(superfluous)} out, or use --indices with --dataset."
        )
    if options.row is None and (not files or options.dataset is None):
        raise SpecError("give --row DIR/rows/CELL.json, or --indices FILE.npy with --dataset NAME.")
    if len(files) > 1 and (options.row is not None or options.sha256):
        name = "row" if options.row else "sha256"
        raise SpecError(f"--{name} is for one coreset; --indices was given {len(files)} times.")
    if options.seed is not None and options.seeds is not None:
        raise SpecError("--seed is one seed, --seeds are several; give one of them.")


def _job(options: TrainOptions, origin: Row | None, run_options: dict[str, Any]) -> Job:
    """Return the grid of a row's coreset, or of files, checked against this machine."""
    from bench.engine.reproduce import as_row, grid_of, published_beside, same_data
    from bench.engine.start import Job, RunOptions
    from bench.errors import SpecError
    from bench.grid.spec import load_spec

    if options.row is not None and origin is not None:
        file = options.indices[0] if options.indices else published_beside(options.row, origin)
        spec = grid_of(origin, file, encoder=options.encoder, models=options.model)
        # Revised after planning: a plan takes versions and data from this machine, but the row has its own.
        return Job(spec, RunOptions(**run_options), revise=partial(as_row, row=origin))
    spec = load_spec(given=_grid(options))
    if len(spec.datasets) > 1:
        raise SpecError(f"--dataset: the positions in a file are for one data set, got {len(spec.datasets)}.")
    # A file holds only positions; with other data it would silently train on other images.
    return Job(spec, RunOptions(**run_options), revise=partial(same_data, fingerprint=options.fingerprint or ""))


def _grid(options: TrainOptions) -> dict[str, Any]:
    from bench.grammar import Call, parse_call
    from bench.identity import INDICES

    claims = {"supervision": options.supervision, "sha256": options.sha256}
    claims = {name: value for name, value in claims.items() if value}
    return {
        "methods": [Call(INDICES, {"of": str(path), **claims}) for path in options.indices or ()],
        "datasets": options.dataset,
        "models": options.model,
        "seeds": options.seeds or [options.seed or 0],
        "recipe": parse_call(f"recipe({options.recipe})").params if options.recipe else None,
        "scale": options.scale,
        "pool_size": options.pool_size,
        "pool_seed": options.pool_seed,
        "encoders": options.encoder,
    }


def _run_job(job: Job, *, quiet: bool) -> Outcome:
    from rich.console import Console

    from bench.cli.progress import ProgressReporter
    from bench.engine.events import Several
    from bench.engine.run_log import RunLog

    console = Console(stderr=True, highlight=False, markup=False)
    job.check()
    for line in job.warnings():
        console.print(line, style="yellow", soft_wrap=True)
    with (
        redirect_stdout(sys.stderr),  # output of a model's code is not part of the answer
        ProgressReporter(console, quiet=quiet, session=job.session) as progress,
    ):
        return job.run(Several(progress, RunLog(job.session.out)))


def _result(row: Row, out: Path, origin: Row | None) -> dict[str, Any]:
    """Return the facts of a new row, and whether it reproduces the row that it repeats."""
    from bench.engine.reproduce import differences, is_reproduced

    same = origin if origin is not None and origin.model == row.model else None
    reproduced = None if same is None else is_reproduced(row, same)
    return {
        "row": str(out / "rows" / f"{row.cell_id}.json"),
        "accuracy": row.accuracy,
        "best_accuracy": row.best_accuracy,
        "flipped_accuracy": row.flipped_accuracy,
        "row_accuracy": origin and origin.accuracy,
        "reproduced": reproduced,
        "differences": differences(row, same) if same is not None and reproduced is False else [],
    }


def _print_result(row: Row, result: dict[str, Any], *, new: bool, origin: Row | None) -> None:
    what = f"{row.dataset}, {row.variant}, {row.model}, seed {row.seed}, {row.budget} of {row.pool_size} images"
    what += " with weights" if row.weighted else ""
    where = f"Written: {result['row']}" if new else f"It was there already: {result['row']}"
    flipped = "" if row.flipped_accuracy is None else f", with mirror images {row.flipped_accuracy:.2f} %"
    typer.echo(f"{what}: {row.accuracy:.2f} % (best {row.best_accuracy:.2f} %{flipped}). {where}")
    if origin is None or result["reproduced"] is None:
        return
    if result["reproduced"]:
        typer.echo(f"Reproduced: the row has {origin.accuracy:.2f} % too, and the same learning curve.")
        return
    flipped = ""
    if row.flipped_accuracy is not None and origin.flipped_accuracy is not None:
        change = row.flipped_accuracy - origin.flipped_accuracy
        flipped = f" (with mirror images {origin.flipped_accuracy:.2f} %, {change:+.2f})"
    typer.echo(
        f"Not reproduced: the row has {origin.accuracy:.2f} %, {row.accuracy - origin.accuracy:+.2f} points now"
        f"{flipped}. Different: {'; '.join(result['differences']) or 'nothing that a row records'}."
    )
