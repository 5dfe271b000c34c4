"""``bench train``: train on a published coreset without selecting again."""

from __future__ import annotations

import math
from enum import Enum
from functools import partial
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
    QuietOption,
    SummaryOption,
)
from bench.cli._output import print_json

if TYPE_CHECKING:
    from bench.engine.retrain import Retraining
    from bench.results.rows import Row

WHAT = "What to train"


class Seen(str, Enum):
    """What the selection of a published coreset saw."""

    none = "none"
    pseudo = "pseudo"
    coreset = "coreset"
    labels = "labels"


def train(
    row: Annotated[
        Path | None,
        typer.Option(help="DIR/rows/CELL.json: train as this row did, on its coreset.", rich_help_panel=WHAT),
    ] = None,
    indices: Annotated[
        Path | None,
        typer.Option(help=".npy of positions in the full training split.", rich_help_panel=WHAT),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Name, with parameters and modifiers.",
            autocompletion=_complete.one_of("datasets"),
            rich_help_panel=WHAT,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Default: the dataset's.", autocompletion=_complete.one_of("models"), rich_help_panel=WHAT),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Default: 0.", rich_help_panel=WHAT)] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Fields of the training recipe: 'iterations=2000'.", rich_help_panel=WHAT)
    ] = None,
    scale: Annotated[float | None, typer.Option(help="Shorten the recipe.", rich_help_panel=WHAT)] = None,
    pool_size: Annotated[
        int | None, typer.Option(help="The pool that the coreset was selected from.", rich_help_panel=WHAT)
    ] = None,
    pool_seed: Annotated[
        int | None, typer.Option(min=0, help="Of that pool's draw. Default: 0.", rich_help_panel=WHAT)
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Of a model that reads embeddings; NAME(weights=FILE).",
            autocompletion=_complete.one_of("encoders"),
            rich_help_panel=WHAT,
        ),
    ] = None,
    supervision: Annotated[
        Seen | None,
        typer.Option(help="What the selection saw. Default: labels, the cautious one.", rich_help_panel=WHAT),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="What the coreset's SHA-256 must be.", rich_help_panel=WHAT)
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="What the data set's fingerprint must be.", rich_help_panel=WHAT)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the new row.", rich_help_panel=PLACE)] = Path("runs/train"),
    data_root: DataRootOption = None,
    cache_dir: CacheOption = None,
    download: DownloadOption = False,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: the row's, or 1.", rich_help_panel=MACHINE)
    ] = None,
    quiet: QuietOption = False,
    json_output: SummaryOption = False,
) -> None:
    """Train on a published coreset without selecting again, and write a row of method `indices`.

    Either --row alone, which reproduces that row's accuracy on the same device (--indices says where its coreset lies
    if not beside it), --row with --model, which trains another network by the row's recipe, or --indices with
    --dataset. Exit code: 0 done, 1 a row was not reproduced although device, threads and packages are the same, 2 bad
    input.
    """
    from bench.cli._stages import StageProgress
    from bench.engine.plan import check_writable
    from bench.engine.retrain import differences, from_file, from_row, published_beside, train_published
    from bench.engine.start import pick_device
    from bench.results.rows import read_row, write_row
    from bench.stages.session import Session
    from bench.store.folder import cache_folder

    settings: dict[str, Any] = {
        "dataset": dataset,
        "model": model,
        "seed": seed,
        "recipe": recipe,
        "scale": scale,
        "pool-size": pool_size,
        "pool-seed": pool_seed,
        "supervision": supervision,
        "sha256": sha256,
        "fingerprint": fingerprint,
    }
    _check(row, indices, settings)
    check_writable(out)
    places: dict[str, Any] = {"data_root": data_root, "download": download}
    if row is not None:
        origin = read_row(row)
        usual = "cpu" if origin.device.startswith("cpu") else "auto"
        used, threads = pick_device(usual if device == "auto" else device), threads or origin.threads
        coreset = indices or published_beside(row, origin)
        job = from_row(origin, coreset, device=used, encoder=encoder, model=model, **places)
    else:
        assert indices is not None
        used = pick_device(device)
        job = from_file(
            indices,
            _grid(dataset, model, seed, recipe, scale, (pool_size, pool_seed), encoder),
            device=used,
            supervision=supervision.value if supervision else "labels",
            sha256=sha256 or "",
            fingerprint=fingerprint or "",
            **places,
        )
    workspace = Session(
        out=out.resolve(),
        cache=cache_folder(cache_dir),
        data_root=data_root.expanduser().resolve() if data_root else None,
        weights=dict(job.weights),
        device=used,
        threads=threads or 1,
    )
    with StageProgress(quiet=quiet) as shown:
        made = train_published(job, workspace, shown.stage(_title(job)))
    path = write_row(made, workspace.out)
    reproducible = job.origin if job.origin and job.origin.model == made.model else None
    reproduced = _reproduced(made, reproducible)
    reasons = [] if reproducible is None or reproduced else differences(made, reproducible)
    if json_output:
        print_json(
            {
                "row": str(path),
                "accuracy": made.accuracy,
                "best_accuracy": made.best_accuracy,
                "row_accuracy": job.origin and job.origin.accuracy,
                "reproduced": reproduced,
                "differences": reasons,
            }
        )
    else:
        _tell(made, path, reproducible, reasons)
        if row is None and not (sha256 and fingerprint):
            pair = (("--sha256", sha256), ("--fingerprint", fingerprint))
            missing = " and ".join(name for name, value in pair if not value)
            typer.echo(f"Not checked where the coreset comes from: {missing} was not given.")
    if reproduced is False and not reasons:
        raise typer.Exit(1)


def _title(job: Retraining) -> str:
    cell = job.cell
    return f"{cell.model.label} on {len(job.indices):,} images of {cell.dataset.label}, seed {cell.seed}"


def _check(row: Path | None, indices: Path | None, settings: dict[str, Any]) -> None:
    from bench.errors import SpecError

    given = [f"--{name}" for name, value in settings.items() if value is not None and name != "model"]
    if row is not None and given:
        raise SpecError(f"--row says all but --model; leave {', '.join(given)} out, or use --indices with --dataset.")
    if row is None and (indices is None or settings["dataset"] is None):
        raise SpecError("give --row DIR/rows/CELL.json, or --indices FILE.npy with --dataset NAME.")


def _grid(
    dataset: str | None,
    model: str | None,
    seed: int | None,
    recipe: str | None,
    scale: float | None,
    pool: tuple[int | None, int | None],
    encoder: str | None,
) -> dict[str, Any]:
    from bench.calls import parse_call

    return {
        "datasets": dataset,
        "models": model,
        "seeds": [seed or 0],
        "recipe": parse_call(f"recipe({recipe})").params if recipe else None,
        "scale": scale,
        "pool_size": pool[0],
        "pool_seed": pool[1],
        "encoders": encoder,
    }


def _reproduced(made: Row, origin: Row | None) -> bool | None:
    """Whether accuracy and learning curve are the row's; None where there is no row to reproduce."""
    if origin is None:
        return None
    from bench.results.stats import TIE

    steps, accuracies = zip(*made.curve, (0, made.accuracy), strict=True)
    their_steps, theirs = zip(*origin.curve, (0, origin.accuracy), strict=True)
    return steps == their_steps and all(map(partial(math.isclose, abs_tol=TIE), accuracies, theirs))


def _tell(made: Row, path: Path, origin: Row | None, reasons: list[str]) -> None:
    typer.echo(
        f"{made.dataset}, {made.model}, seed {made.seed}, {made.budget} of {made.pool_size} images: "
        f"{made.accuracy:.2f} % (best {made.best_accuracy:.2f} %). Written: {path}"
    )
    if origin is None:
        return
    if _reproduced(made, origin):
        typer.echo(f"Reproduced: the row has {origin.accuracy:.2f} % too, and the same learning curve.")
        return
    typer.echo(
        f"Not reproduced: the row has {origin.accuracy:.2f} %, {made.accuracy - origin.accuracy:+.2f} points now. "
        f"Different: {'; '.join(reasons) or 'nothing that a row records'}."
    )
