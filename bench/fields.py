"""The fields of a run, once: names, types, defaults and what they mean, for command line, YAML, Python and the specs.

``bench.cli._fields`` makes options of them, ``bench.engine.start.RunOptions`` checks them, ``bench.grid.spec.GridSpec``
reads the grid among them, and ``bench.RunFields`` lists them in the same words, which a test compares. Every ``--help``
reads this module, so it imports nothing heavy.
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
class Says:
    """What a field means.

    Attributes:
        help: for ``--help``.
        python: for ``bench.run``, where that says it otherwise.
        env: environment variable that sets it.
    """

    help: str
    python: str = ""
    env: str = ""

    @property
    def doc(self) -> str:
        """For a docstring."""
        return self.python or self.help[:1].lower() + self.help[1:]


@dataclass(frozen=True)
class GridFields:
    """What is compared; None is what the preset, the YAML file or ``GridSpec`` says."""

    panel: ClassVar[str] = "What to compare"

    methods: Annotated[
        list[str] | None,
        Says(
            "Comma-separated, with parameters: 'elfs,ccs(beta=0.3)'.",
            '``"elfs,ccs(beta=0.3)"``, or a list; a parameter may be a mapping from rate to value.',
        ),
    ] = None
    datasets: Annotated[
        list[str] | None,
        Says(
            "Comma-separated; NAME@imbalance=100@noise=0.2 is a long-tailed and noisy version.",
            'likewise, with modifiers: ``"cifar100@imbalance=100"`` (``bench.modifiers``).',
        ),
    ] = None
    encoders: Annotated[
        list[str] | None,
        Says(
            "Comma-separated; NAME(weights=FILE) takes a local file. Default: the dataset's.",
            "likewise; by default each data set's.",
        ),
    ] = None
    models: Annotated[
        list[str] | None,
        Says(
            "Comma-separated, trained on the coresets. Default: the dataset's.", "likewise; by default each data set's."
        ),
    ] = None
    rates: Annotated[
        list[str] | None,
        Says(
            "Fractions removed, in [0, 1): '0.5,0.9'; 0.9 keeps one in ten.",
            "fractions of the pool to remove, each in [0, 1).",
        ),
    ] = None
    seeds: Annotated[
        list[str] | None,
        Says(
            "'3' means 0, 1, 2; '4,7', or --seeds 4 --seeds 7, means 4 and 7; '4,' means 4.",
            "how many, or a list of seeds.",
        ),
    ] = None
    preset: Annotated[str | None, Says("Packaged grid to start from.", "name of a packaged grid to start from.")] = None
    config: Annotated[Path | None, Says("YAML file of the same names.", "YAML file of the same fields.")] = None
    pool_size: Annotated[
        int | None,
        Says("Draw this many training images as the pool.", "images drawn from the training split as the pool."),
    ] = None
    pool_seed: Annotated[
        Whole | None,
        Says("Of that draw; another one is another pool. Default: 0.", "of that draw; another one is another pool."),
    ] = None
    proxy_model: Annotated[
        str | None,
        Says(
            "Network for training dynamics, so that all models share each coreset. Default: each model its own.",
            "network for training dynamics; by default the model that is trained on the coreset.",
        ),
    ] = None
    recipe: Annotated[
        str | None,
        Says(
            "Fields of the training recipe: 'iterations=2000,proxy_epochs=20'.",
            "fields of ``bench.Recipe`` that replace the data set's and the model's.",
        ),
    ] = None
    scale: Annotated[
        float | None,
        Says(
            "Shorten iterations and proxy epochs by this factor.",
            "factor that shortens iterations and proxy epochs; rows are marked.",
        ),
    ] = None


@dataclass(frozen=True)
class FolderFields:
    """Where data, results and shared stages are."""

    panel: ClassVar[str] = "Where things are"

    out: Annotated[Path, Says("Folder of rows, indices and tables.")] = Path("runs/default")
    data_root: Annotated[Path | None, Says("Folder of the data sets.", env="BENCH_DATA_ROOT")] = None
    cache_dir: Annotated[
        Path | None, Says("Folder of shared stages. Default: the user's cache folder.", env="BENCH_CACHE_DIR")
    ] = None
    download: Annotated[
        bool, Says("Fetch missing data and weights.", "whether missing data and weights may be fetched.")
    ] = False


@dataclass(frozen=True)
class MachineFields:
    """On what it runs, and for how long."""

    panel: ClassVar[str] = "How to run"

    device: Annotated[str, Says("auto, cpu or cuda.", "``auto``, ``cpu`` or ``cuda``.")] = "auto"
    cpus_per_trial: Annotated[
        Positive, Says("CPUs, and threads, of each trial.", "CPUs, and threads, of a stage or cell.")
    ] = 1
    gpus_per_trial: Annotated[
        Annotated[float, Ge(0)] | None,
        Says(
            "GPUs of each trial; 0.25 packs four on one. Default: 1 on cuda.",
            "GPUs of a stage or cell; None is 1 on ``cuda``.",
        ),
    ] = None
    executor: Annotated[
        Literal["ray", "local"] | None,
        Says(
            "ray, or local: this process, without Ray. Default: ray; local with --workers.",
            "``local`` (the default here), or ``ray``.",
        ),
    ] = None
    workers: Annotated[
        Positive | None,
        Says(
            "Worker processes of --executor local, which this implies. Default: none.",
            "worker processes of ``local``; by default the work is done in this process.",
        ),
    ] = None
    address: Annotated[str | None, Says("Address of a running Ray cluster.")] = None
    time_limit: Annotated[
        str | float | None,
        Says(
            "Longest that one shared stage or one cell may take: '90s', '2h'.",
            "seconds, or text such as ``2h``, that one stage or cell may take.",
        ),
    ] = None
    retries: Annotated[
        Whole, Says("Tries again for what was killed, ran out of memory or could not read or write a file.")
    ] = 1
    force: Annotated[bool, Says("Start although memory or disk will not do by the estimates.")] = False


@dataclass(frozen=True)
class TrackFields:
    """Who else is told of the run."""

    panel: ClassVar[str] = "Tracking"

    track: Annotated[str | None, Says("wandb, tensorboard, or both, comma-separated.")] = None
    wandb_mode: Annotated[Literal["offline", "online"], Says("An offline run is sent later, by `wandb sync`.")] = (
        "offline"
    )
    track_curves: Annotated[bool, Says("Each cell's learning curve too.")] = False


def said(*groups: Any) -> Iterator[tuple[str, Says]]:
    """Name and meaning of every field of some groups."""
    for group in groups:
        hints = get_type_hints(group, include_extras=True)
        for field in fields(group):
            yield field.name, next(item for item in get_args(hints[field.name]) if isinstance(item, Says))
