"""The fields of a run in one place: names, types, defaults and help texts, for command line, YAML, Python and specs.

``bench.cli._fields`` makes options of them, ``bench.engine.start.RunOptions`` checks them, and
``bench.grid.spec.GridSpec`` reads the fields of a grid. ``bench.RunFields`` has the texts for Python.
Every ``--help`` reads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

Positive = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class FieldText:
    """The documentation of a field.

    Attributes:
        help: text of ``--help``.
        env: environment variable that sets the field.
    """

    help: str
    env: str = ""


@dataclass(frozen=True)
class GridFields:
    """The fields of a grid; None leaves a field to the preset, the YAML file or ``GridSpec``."""

    panel: ClassVar[str] = "What to compare"

    methods: Annotated[
        list[str] | None, FieldText("Methods, comma-separated, with parameters if you like: 'elfs,ccs(beta=0.3)'.")
    ] = None
    datasets: Annotated[
        list[str] | None,
        FieldText("Data sets, comma-separated; NAME@imbalance=100@noise=0.2 is a long-tailed and noisy version."),
    ] = None
    encoders: Annotated[
        list[str] | None,
        FieldText("Encoders, comma-separated; NAME(weights=FILE) takes a local file. Default: each data set's own."),
    ] = None
    models: Annotated[
        list[str] | None, FieldText("Networks to train on the coresets, comma-separated. Default: each data set's own.")
    ] = None
    rates: Annotated[
        list[str] | None,
        FieldText("Fractions of the pool to remove, in [0, 1): '0.5,0.9'; 0.9 keeps one image in ten."),
    ] = None
    seeds: Annotated[
        list[str] | None,
        FieldText(
            "Number of seeds, or a list: '3' means 0, 1, 2; '4,7', or --seeds 4 --seeds 7, means 4, 7; '4,' means 4."
        ),
    ] = None
    preset: Annotated[str | None, FieldText("Name of a packaged grid to start from.")] = None
    config: Annotated[Path | None, FieldText("YAML file with these options as fields.")] = None
    pool_size: Annotated[int | None, FieldText("Number of training images to draw as the pool. Default: all.")] = None
    pool_seed: Annotated[Whole | None, FieldText("Seed of the pool's draw. Default: 0.")] = None
    proxy_model: Annotated[
        str | None,
        FieldText("Network for training dynamics; all models then share each coreset. Default: each model itself."),
    ] = None
    recipe: Annotated[
        str | None, FieldText("Fields of the training recipe to override: 'iterations=2000,proxy_epochs=20'.")
    ] = None
    scale: Annotated[
        float | None, FieldText("Factor that shortens iterations and proxy epochs, such as 0.1; rows are marked.")
    ] = None


@dataclass(frozen=True)
class FolderFields:
    """The folders of data, results and shared stages."""

    panel: ClassVar[str] = "Folders"

    out: Annotated[Path, FieldText("Folder for rows, indices and tables.")] = Path("runs/default")
    data_root: Annotated[Path | None, FieldText("Folder of the data sets.", env="BENCH_DATA_ROOT")] = None
    cache_dir: Annotated[
        Path | None, FieldText("Folder of shared stages. Default: the user's cache folder.", env="BENCH_CACHE_DIR")
    ] = None
    download: Annotated[bool, FieldText("Download missing data and weights.")] = False


@dataclass(frozen=True)
class MachineFields:
    """The device, workers and limits of a run."""

    panel: ClassVar[str] = "How to run"

    device: Annotated[str, FieldText("Device to compute on: auto, cpu or cuda.")] = "auto"
    cpus_per_trial: Annotated[Positive, FieldText("CPUs, and threads, of each stage or cell.")] = 1
    gpus_per_trial: Annotated[
        Annotated[float, Ge(0)] | None,
        FieldText("GPUs of each stage or cell; 0.25 packs four on one GPU. Default: 1 on cuda."),
    ] = None
    executor: Annotated[
        Literal["ray", "local"] | None,
        FieldText("ray; or local, which runs in this process without Ray. Default: ray, or local with --workers."),
    ] = None
    workers: Annotated[
        Positive | None, FieldText("Worker processes of --executor local, which this option implies. Default: none.")
    ] = None
    address: Annotated[str | None, FieldText("Address of a running Ray cluster.")] = None
    time_limit: Annotated[
        str | float | None, FieldText("Time limit of each stage or cell: '90s', '2h'. Default: none.")
    ] = None
    retries: Annotated[
        Whole,
        FieldText("Retries of a stage or cell that was killed, ran out of memory or could not read or write a file."),
    ] = 1
    force: Annotated[bool, FieldText("Start even if the estimates say that memory or disk will not suffice.")] = False


@dataclass(frozen=True)
class TrackFields:
    """The experiment trackers that receive the run's events."""

    panel: ClassVar[str] = "Tracking"

    track: Annotated[
        str | None, FieldText("Experiment trackers, comma-separated: wandb, tensorboard. Default: none.")
    ] = None
    wandb_mode: Annotated[
        Literal["offline", "online"], FieldText("Mode of wandb; `wandb sync` sends an offline run later.")
    ] = "offline"
    track_curves: Annotated[bool, FieldText("Track each cell's learning curve too.")] = False
