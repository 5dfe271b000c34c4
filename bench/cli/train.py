"""``bench train``: a grid of the method ``indices``, which trains on a published coreset without selecting again."""

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
from bench.cli._options import DeviceOption, QuietOption, SummaryOption
from bench.cli._output import print_json
from bench.fields import FieldText, FolderFields, MachineFields

if TYPE_CHECKING:
    from bench.engine.run import Outcome
    from bench.engine.start import Job
    from bench.results.rows import Row


@dataclass(frozen=True)
class Wanted:
    """The coreset, and what is trained on it."""

    panel: ClassVar[str] = "What to train"

    row: Annotated[
        Path | None,
        typer.Option(help="DIR/rows/CELL.json: train as this row did, on its coreset."),
    ] = None
    indices: Annotated[
        list[Path] | None,
        typer.Option(help=".npy of positions in the full training split; may be given several times."),
    ] = None
    dataset: Annotated[
        str | None,
        typer.Option(help="Name, with parameters and modifiers.", autocompletion=_complete.one_of("datasets")),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(help="Comma-separated. Default: the dataset's.", autocompletion=_complete.several("models")),
    ] = None
    seed: Annotated[int | None, typer.Option(min=0, help="Default: 0.")] = None
    seeds: Annotated[str | None, typer.Option(help="Several: '3' means 0, 1, 2; '4,7' means 4 and 7.")] = None
    recipe: Annotated[str | None, typer.Option(help="Fields of the training recipe: 'iterations=2000'.")] = None
    scale: Annotated[float | None, typer.Option(help="Shorten the recipe.")] = None
    pool_size: Annotated[int | None, typer.Option(help="The pool that the coreset was selected from.")] = None
    pool_seed: Annotated[int | None, typer.Option(min=0, help="Of that pool's draw. Default: 0.")] = None
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Of a model that reads embeddings; NAME(weights=FILE).", autocompletion=_complete.one_of("encoders")
        ),
    ] = None
    supervision: Annotated[
        Literal["none", "pseudo", "coreset", "labels"] | None,
        typer.Option(help="What the selection saw. Default: labels, the cautious one."),
    ] = None
    sha256: Annotated[str | None, typer.Option(help="What the coreset's SHA-256 must be.")] = None
    fingerprint: Annotated[str | None, typer.Option(help="What the data set's fingerprint must be.")] = None

    def settings(self) -> dict[str, Any]:
        """Return what a row says already, by the names of the options."""
        besides = ("row", "indices", "model", "encoder")
        return {name.replace("_", "-"): value for name, value in asdict(self).items() if name not in besides}


@dataclass(frozen=True)
class TrainFolders(FolderFields):
    """As of a run, in another folder."""

    out: Annotated[Path, FieldText("Folder of the new rows.")] = Path("runs/train")


@dataclass(frozen=True)
class How:
    """On what to train."""

    panel: ClassVar[str] = MachineFields.panel

    device: DeviceOption = "auto"
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: the row's, or 1.")] = None
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes, for several cells. Default: none.")] = (
        None
    )
    force: Annotated[bool, option(MachineFields, "force")] = False


@spread
def train(
    *, wanted: Wanted, folders: TrainFolders, how: How, quiet: QuietOption = False, json_output: SummaryOption = False
) -> None:
    """Train on a published coreset without selecting again: a run of the method `indices`, which writes rows.

    Either --row alone, which reproduces that row's accuracy on the same device (--indices says where its coreset lies
    if not beside it), --row with --model, which trains other networks by the row's recipe, or --indices with
    --dataset. The same command again trains only what has no row yet; `bench table` shows the folder. Exit code: 0
    done, 1 a cell failed, or a row was not reproduced although device, threads and packages are the same, 2 bad input,
    130 interrupted.
    """
    from bench.engine.resume import valid_row
    from bench.results.rows import read_row

    _check(wanted)
    origin = None if wanted.row is None else read_row(wanted.row)
    device, threads = how.device, how.threads
    if origin is not None:
        # As the row: another kind of device rounds otherwise, and nothing would be reproduced.
        device = "cpu" if device == "auto" and origin.device.startswith("cpu") else device
        threads = threads or origin.threads
    options = {
        **asdict(folders),
        "device": device,
        "executor": "local",
        "workers": how.workers,
        "cpus_per_trial": threads or 1,
        "force": how.force,
    }
    job = _job(wanted, origin, options)
    outcome = _train(job, quiet=quiet)
    made = [one for cell in job.plan.cells if (one := valid_row(job.session.out, cell)) is not None]
    results = [_result(one, job.session.out, origin) for one in made]
    for cell_id, reason in outcome.failed.items():
        typer.echo(f"failed: {cell_id}: {reason}", err=True)
    if outcome.interrupted:
        typer.echo("Interrupted. The same command goes on.", err=True)
    # Where device, threads or packages differ, another accuracy is no failure: it is told, and the exit code is 0.
    missed = any(result["reproduced"] is False and not result["differences"] for result in results)
    code = 130 if outcome.interrupted else int(missed or len(results) < len(job.plan.cells))
    if json_output:
        failed = [{"cell_id": cell_id, "reason": reason} for cell_id, reason in outcome.failed.items()]
        # One training is what most scripts ask for: they need not look into the list.
        alone = results[0] if len(job.plan.cells) == len(results) == 1 else {}
        print_json({**alone, "rows": results, "failed": failed, "exit_code": code})
    else:
        for one, result in zip(made, results, strict=True):
            _tell(one, result, new=one.cell_id not in job.plan.finished, origin=origin)
        pair = (("--sha256", wanted.sha256), ("--fingerprint", wanted.fingerprint))
        missing = " and ".join(name for name, value in pair if not value)
        if wanted.row is None and missing:
            typer.echo(f"Not checked where the coreset comes from: {missing} was not given.")
    raise typer.Exit(code)


def _check(wanted: Wanted) -> None:
    from bench.errors import SpecError

    files = wanted.indices or []
    given = [f"--{name}" for name, value in wanted.settings().items() if value is not None]
    if wanted.row is not None and given:
        raise SpecError(f"--row says all but --model; leave {', '.join(given)} out, or use --indices with --dataset.")
    if wanted.row is None and (not files or wanted.dataset is None):
        raise SpecError("give --row DIR/rows/CELL.json, or --indices FILE.npy with --dataset NAME.")
    if len(files) > 1 and (wanted.row is not None or wanted.sha256):
        one = "row" if wanted.row else "sha256"
        raise SpecError(f"--{one} is of one coreset; --indices was given {len(files)} times.")
    if wanted.seed is not None and wanted.seeds is not None:
        raise SpecError("--seed is one seed, --seeds are several; give one of them.")


def _job(wanted: Wanted, origin: Row | None, options: dict[str, Any]) -> Job:
    """Return the grid of a row's coreset, or of files, checked against this machine."""
    from bench.engine.reproduce import as_row, grid_of, published_beside, same_data
    from bench.engine.start import Job, RunOptions
    from bench.errors import SpecError
    from bench.grid.spec import load_spec

    if wanted.row is not None and origin is not None:
        file = wanted.indices[0] if wanted.indices else published_beside(wanted.row, origin)
        spec = grid_of(origin, file, encoder=wanted.encoder, models=wanted.model)
        # Revised after planning, as the row tells what it rested on and a plan would take it from this machine.
        return Job(spec, RunOptions(**options), revise=partial(as_row, row=origin))
    spec = load_spec(given=_grid(wanted))
    if len(spec.datasets) > 1:
        raise SpecError(f"--dataset: the positions in a file are of one data set, got {len(spec.datasets)}.")
    # A file names positions only, so that of other data it would train on other images without a word.
    return Job(spec, RunOptions(**options), revise=partial(same_data, fingerprint=wanted.fingerprint or ""))


def _grid(wanted: Wanted) -> dict[str, Any]:
    from bench.grammar import Call, parse_call
    from bench.identity import INDICES

    said = {"supervision": wanted.supervision, "sha256": wanted.sha256}
    said = {name: value for name, value in said.items() if value}
    return {
        "methods": [Call(INDICES, {"of": str(path), **said}) for path in wanted.indices or ()],
        "datasets": wanted.dataset,
        "models": wanted.model,
        "seeds": wanted.seeds or [wanted.seed or 0],
        "recipe": parse_call(f"recipe({wanted.recipe})").params if wanted.recipe else None,
        "scale": wanted.scale,
        "pool_size": wanted.pool_size,
        "pool_seed": wanted.pool_seed,
        "encoders": wanted.encoder,
    }


def _train(job: Job, *, quiet: bool) -> Outcome:
    from rich.console import Console

    from bench.cli.progress import ProgressReporter
    from bench.engine.events import Several
    from bench.engine.run_log import RunLog

    console = Console(stderr=True, highlight=False, markup=False)
    job.check()
    for line in job.warnings():
        console.print(line, style="yellow", soft_wrap=True)
    with (
        redirect_stdout(sys.stderr),  # what a model's code prints is no part of the answer
        ProgressReporter(console, quiet=quiet, out=job.session.out) as progress,
    ):
        return job.run(Several(progress, RunLog(job.session.out)))


def _result(made: Row, out: Path, origin: Row | None) -> dict[str, Any]:
    """Return what a row says, beside the row that it trained again."""
    from bench.engine.reproduce import differences, is_reproduced

    same = origin if origin is not None and origin.model == made.model else None
    reproduced = None if same is None else is_reproduced(made, same)
    return {
        "row": str(out / "rows" / f"{made.cell_id}.json"),
        "accuracy": made.accuracy,
        "best_accuracy": made.best_accuracy,
        "row_accuracy": origin and origin.accuracy,
        "reproduced": reproduced,
        "differences": differences(made, same) if same is not None and reproduced is False else [],
    }


def _tell(made: Row, result: dict[str, Any], *, new: bool, origin: Row | None) -> None:
    what = f"{made.dataset}, {made.variant}, {made.model}, seed {made.seed}, {made.budget} of {made.pool_size} images"
    what += " with weights" if made.weighted else ""
    where = f"Written: {result['row']}" if new else f"It was there already: {result['row']}"
    typer.echo(f"{what}: {made.accuracy:.2f} % (best {made.best_accuracy:.2f} %). {where}")
    if origin is None or result["reproduced"] is None:
        return
    if result["reproduced"]:
        typer.echo(f"Reproduced: the row has {origin.accuracy:.2f} % too, and the same learning curve.")
        return
    typer.echo(
        f"Not reproduced: the row has {origin.accuracy:.2f} %, {made.accuracy - origin.accuracy:+.2f} points now. "
        f"Different: {'; '.join(result['differences']) or 'nothing that a row records'}."
    )
