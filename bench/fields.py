"""The fields of a run in one place: names, types, defaults and help texts, for command line, YAML, Python and specs.

``bench.cli._fields`` makes options of them, ``bench.engine.start.RunOptions`` checks them, and
``bench.grid.spec.GridSpec`` reads the fields of a grid. ``bench.RunFields`` repeats the texts, which a test compares.
Every ``--help`` reads this module, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from annotated_types import Ge

Positive = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class FieldText:
    """The documentation of a field.

    Attributes:
        help: text of ``--help``.
        python: text for ``bench.run``; empty for the text of ``--help``.
        env: environment variable that sets the field.
    """

    help: str
    python: str = ""
    env: str = ""

    @property
    def doc(self) -> str:
        """The text as a line of a docstring."""
        return self.python or self.help[:1].lower() + self.help[1:]


@dataclass(frozen=True)
class GridFields:
    """The fields of a grid; None leaves a field to the preset, the YAML file or ``GridSpec``."""

    panel: ClassVar[str] = "What to compare"

    methods: Annotated[
        list[str] | None,
        FieldText(
            "Methods, comma-separated, with parameters if you like: 'elfs,ccs(beta=0.3)'.",
            'methods: ``"elfs,ccs(beta=0.3)"``, or a list; a parameter may be a mapping from rate to value.',
        ),
    ] = None
    datasets: Annotated[
        list[str] | None,
        FieldText(
            "Data sets, comma-separated; NAME@imbalance=100@noise=0.2 is a long-tailed and noisy version.",
            'data sets, likewise, with modifiers: ``"cifar100@imbalance=100"`` (``bench.modifiers``).',
        ),
    ] = None
    encoders: Annotated[
        list[str] | None,
        FieldText(
            "Encoders, comma-separated; NAME(weights=FILE) takes a local file. Default: each data set's own.",
            "encoders, likewise. Default: each data set's own.",
        ),
    ] = None
    models: Annotated[
        list[str] | None,
        FieldText(
            "Networks to train on the coresets, comma-separated. Default: each data set's own.",
            "networks to train on the coresets, likewise. Default: each data set's own.",
        ),
    ] = None
    rates: Annotated[
        list[str] | None,
        FieldText(
            "Fractions of the pool to remove, in [0, 1): '0.5,0.9'; 0.9 keeps one image in ten.",
            "fractions of the pool to remove, each in [0, 1).",
        ),
    ] = None
    seeds: Annotated[
        list[str] | None,
        FieldText(
            "Number of seeds, or a list: '3' means 0, 1, 2; '4,7', or --seeds 4 --seeds 7, means 4, 7; '4,' means 4.",
            "number of seeds, or a list of seeds.",
        ),
    ] = None
    preset: Annotated[str | None, FieldText("Name of a packaged grid to start from.")] = None
    config: Annotated[
        Path | None, FieldText("YAML file with these options as fields.", "YAML file with the same fields.")
    ] = None
    pool_size: Annotated[
        int | None,
        FieldText(
            "Number of training images to draw as the pool. Default: all.",
            "number of training images to draw as the pool; None takes all.",
        ),
    ] = None
    pool_seed: Annotated[Whole | None, FieldText("Seed of the pool's draw. Default: 0.")] = None
    proxy_model: Annotated[
        str | None,
        FieldText(
            "Network for training dynamics; all models then share each coreset. Default: each model itself.",
        ),
    ] = None
    recipe: Annotated[
        str | None,
        FieldText(
            "Fields of the training recipe to override: 'iterations=2000,proxy_epochs=20'.",
            "fields of ``bench.Recipe`` to override, as a mapping.",
        ),
    ] = None
    scale: Annotated[
        float | None,
        FieldText(
            "Factor that shortens iterations and proxy epochs, such as 0.1; rows are marked.",
        ),
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

    device: Annotated[
        str,
        FieldText("Device to compute on: auto, cpu or cuda.", "device to compute on: ``auto``, ``cpu`` or ``cuda``."),
    ] = "auto"
    cpus_per_trial: Annotated[
        Positive, FieldText("CPUs, and threads, of each stage or cell.", "CPUs, and threads, of each stage or cell.")
    ] = 1
    gpus_per_trial: Annotated[
        Annotated[float, Ge(0)] | None,
        FieldText(
            "GPUs of each stage or cell; 0.25 packs four on one GPU. Default: 1 on cuda.",
            "GPUs of each stage or cell; None is 1 on ``cuda``.",
        ),
    ] = None
    executor: Annotated[
        Literal["ray", "local"] | None,
        FieldText(
            "ray; or local, which runs in this process without Ray. Default: ray, or local with --workers.",
            "``local`` (the default here), or ``ray``.",
        ),
    ] = None
    workers: Annotated[
        Positive | None,
        FieldText(
            "Worker processes of --executor local, which this option implies. Default: none.",
            "worker processes of ``local``; None works in this process.",
        ),
    ] = None
    address: Annotated[str | None, FieldText("Address of a running Ray cluster.")] = None
    time_limit: Annotated[
        str | float | None,
        FieldText(
            "Time limit of each stage or cell: '90s', '2h'. Default: none.",
            "time limit of each stage or cell: seconds, or text such as ``2h``.",
        ),
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


def field_texts(*groups: Any) -> Iterator[tuple[str, FieldText]]:
    """Yield the name and the documentation of every field of the given dataclasses."""
    for group in groups:
        hints = get_type_hints(group, include_extras=True)
        for field in fields(group):
            yield field.name, next(item for item in get_args(hints[field.name]) if isinstance(item, FieldText))
