"""The front door: run grids, read their rows, make tables, from Python.

Every function here is importable from ``bench`` itself. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

from bench.errors import DataError, RowError, SpecError, UnknownName
from bench.results.metric import Metric

if TYPE_CHECKING:
    from bench.engine.events import Listener
    from bench.engine.start import Job
    from bench.results.block import Block
    from bench.results.rendering import TextTable

PathLike = str | Path
Methods = str | Sequence[str] | Mapping[str, str]


class RunFields(TypedDict, total=False):
    """Keywords of ``bench.run``: the fields of a grid, then the folders, the machine and the limits.

    Attributes:
        methods: methods: ``"elfs,ccs(beta=0.3)"``, or a list; a parameter may be a mapping from rate to value.
        datasets: data sets, likewise, with modifiers: ``"cifar100@imbalance=100"`` (``bench.modifiers``).
        encoders: encoders, likewise. Default: each data set's own.
        models: networks to train on the coresets, likewise. Default: each data set's own.
        rates: fractions of the pool to remove, each in [0, 1).
        seeds: number of seeds, or a list of seeds.
        preset: name of a packaged grid to start from.
        config: YAML file with the same fields.
        pool_size: number of training images to draw as the pool; None takes all.
        pool_seed: seed of the pool's draw. Default: 0.
        proxy_model: network for training dynamics; all models then share each coreset. Default: each model itself.
        recipe: fields of ``bench.Recipe`` to override, as a mapping.
        scale: factor that shortens iterations and proxy epochs, such as 0.1; rows are marked.
        out: folder for rows, indices and tables.
        data_root: folder of the data sets.
        cache_dir: folder of shared stages. Default: the user's cache folder.
        download: download missing data and weights.
        device: device to compute on: ``auto``, ``cpu`` or ``cuda``.
        cpus_per_trial: CPUs, and threads, of each stage or cell.
        gpus_per_trial: GPUs of each stage or cell; None is 1 on ``cuda``.
        executor: ``local`` (the default here), or ``ray``.
        workers: worker processes of ``local``; None works in this process.
        address: address of a running Ray cluster.
        time_limit: time limit of each stage or cell: seconds, or text such as ``2h``.
        retries: retries of a stage or cell that was killed, ran out of memory or could not read or write a file.
        force: start even if the estimates say that memory or disk will not suffice.
    """

    methods: str | Sequence[Any]
    datasets: str | Sequence[Any]
    encoders: str | Sequence[Any]
    models: str | Sequence[Any]
    rates: str | Sequence[float]
    seeds: int | str | Sequence[int]
    pool_size: int | None
    pool_seed: int
    proxy_model: str | None
    recipe: Mapping[str, Any]
    scale: float
    preset: str | None
    config: PathLike | None
    out: PathLike
    data_root: PathLike | None
    cache_dir: PathLike | None
    download: bool
    device: str
    executor: Literal["ray", "local"]
    workers: int | None
    address: str | None
    cpus_per_trial: int
    gpus_per_trial: float | None
    time_limit: float | str | None
    retries: int
    force: bool


@dataclass(frozen=True)
class Run:
    """The result of ``bench.run``.

    Attributes:
        out: folder of the rows.
        written: ids of the grid's cells that now have a row, from this run or an earlier one.
        failed: cell id -> reason, for each cell that failed.
        seconds: wall time.
    """

    out: Path
    written: tuple[str, ...]
    failed: Mapping[str, str]
    seconds: float

    def rows(self) -> pd.DataFrame:
        """Return the rows of this grid alone, in the columns of ``load_rows``."""
        frame = load_rows(self.out)
        return frame[frame["cell_id"].isin(self.written)].reset_index(drop=True)


def run(*, quiet: bool = False, listener: Listener | None = None, **fields: Unpack[RunFields]) -> Run:
    """Run every method on every data set at every rate, with every encoder, model and seed.

    Call it again to run only the cells that have no row yet. ``bench run`` does the same, and can share the folder.

    Examples:
        >>> done = bench.run(methods="elfs,random", datasets="digits", rates=[0.5, 0.9], seeds=3, out="runs/digits")
        >>> bench.table(done.rows())

    Args:
        quiet: print nothing but failures.
        listener: receives the run's events instead of the lines that are printed by default.
        **fields: see ``RunFields``: any field of a grid, and the folders, machine and limits.

    Returns:
        The cells that have rows and the cells that failed. A failed cell does not raise: its reason is in ``failed``.

    Raises:
        BenchError: a name, value, folder, data set or weights file is not valid; nothing was started.
        KeyboardInterrupt: the run was interrupted; finished rows stay, and the same call resumes it.
    """
    from pydantic import TypeAdapter, ValidationError

    from bench.engine.events import Several
    from bench.engine.resume import valid_row
    from bench.engine.run_log import RunLog
    from bench.engine.start import Job, RunOptions
    from bench.grid.spec import GridSpec, load_spec
    from bench.valid import first_refused

    options: dict[str, Any] = dict(fields)
    preset, config = options.pop("preset", None), options.pop("config", None)
    grid = {name: options.pop(name) for name in GridSpec.model_fields if name in options}
    for name in options:
        if name not in RunOptions.__dataclass_fields__:
            raise UnknownName("argument of bench.run:", name, RunFields.__annotations__)
    if not grid and preset is None and config is None:
        raise SpecError('nothing to compare was named: try bench.run(methods="elfs,random", datasets="digits").')
    config = None if config is None else Path(config)
    spec = load_spec(preset=preset, config=config, given=grid, source="the arguments")
    try:
        run_options = RunOptions(**{"executor": "local", **options})
    except ValidationError as error:
        name, given, valid = first_refused(error, TypeAdapter(RunOptions).json_schema())
        raise SpecError(f"{name}={given!r} is not valid: {valid}") from None
    job = Job(spec, run_options)
    job.check()
    with _listener_or_printer(listener, quiet, job) as receiver:
        for line in job.warnings():
            receiver.note(line)
        outcome = job.run(Several(receiver, RunLog(job.session.out)))
    # The run has ended in order; a loop of the caller around it must end too.
    if outcome.interrupted:
        raise KeyboardInterrupt
    # By the rows on disk, since an earlier run or another process may have written some.
    written = tuple(cell.cell_id for cell in job.plan.cells if valid_row(job.session.out, cell) is not None)
    return Run(job.session.out, written, outcome.failed, outcome.seconds)


@dataclass(frozen=True)
class Choice:
    """The items to label, as ``bench.select`` chose them.

    Attributes:
        indices: int64 [n], sorted positions of the chosen items.
        order: int64 [n], the same positions in labelling order: if you stop early, what you have labelled is still a
            good choice.
        clusters: int64 [n], cluster of each item of ``order``; None for ``random``.
        scores: float32 [N], high = hard; None if the method has no score.
        chosen: parameters that the method chose itself, such as beta.
        judged: candidate -> score that a label-free judge gave it, high = good; empty if nothing was judged.
        taken: the judged candidate that was chosen, such as ``"beta=0.4"`` or ``"random 2"``, or a method; empty if
            nothing was judged.
        method: the method with all parameters that were set, by you or by the number of items.
        warnings: signs that the choice lacks variety; empty if there are none.
    """

    indices: NDArray[np.int64]
    order: NDArray[np.int64]
    clusters: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    chosen: Mapping[str, float]
    judged: Mapping[str, float]
    taken: str
    method: str
    warnings: tuple[str, ...] = ()


def select(
    X: ArrayLike,  # noqa: N803  (as everywhere in Python)
    *,
    budget: int,
    num_classes: int,
    method: str = "default",
    encoder: str | None = None,
    labelled: ArrayLike | None = None,
    exclude: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    per_group: int | Literal["all"] = 1,
    similarity: float | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
    cache_dir: PathLike | None = None,
) -> Choice:
    """Choose which unlabelled items to label, as ``bench select`` does, without needing any label.

    Examples:
        >>> chosen = bench.select(X, budget=500, num_classes=20, seed=0)
        >>> X[chosen.order[:50]]
        >>> more = bench.select(X, budget=500, num_classes=20, labelled=chosen.order)

    Args:
        X: embeddings [N, D], finite numbers; or images uint8 [N, C, H, W] with ``encoder``.
        budget: n, number of items to choose, 2 to N.
        num_classes: rough number of classes; too high does less harm than too low.
        method: a label-free method with parameters, such as ``"elfs(clustering=kmeans)"``; ``default`` is k-means
            sampling, and MaxHerding for more than 20,000 items (results/labelling).
        encoder: encoder of the images, such as ``"dino_vits16"`` or ``"dino_vits16(weights=FILE)"``.
        labelled: positions of items that are already labelled; the choice complements them.
        exclude: positions of items that are never chosen.
        groups: [N] group of each item, such as the video of a frame; None for no groups. An item whose group is
            missing (None, NaN or empty) is in none.
        per_group: most items to have labelled in a group, counting those that already are; ``"all"`` chooses whole
            groups, of at most n items in total.
        similarity: cosine similarity from which items are near-duplicates, such as 0.98: of these, only the first can
            be chosen, and none if one of them is labelled. None keeps all.
        seed: seed of everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: number of CPU threads.
        cache_dir: folder of intermediate results, which the same call reuses; None for the user's cache folder.

    Raises:
        BenchError: the array, budget, method or encoder is not valid, or the method reads labels.
    """
    from bench.engine.start import pick_device
    from bench.grammar import parse_call
    from bench.labelling.candidates import check_limits, limits_of
    from bench.labelling.choose import check_request
    from bench.labelling.collapse import copies, empty_rows
    from bench.labelling.default import find_method
    from bench.labelling.items import ComputeSettings, embed_images
    from bench.labelling.rows import Rows, RowsAt, contents_of
    from bench.labelling.vectors import as_vectors
    from bench.labelling.whole import choose_to_label
    from bench.store.folder import cache_folder
    from bench.training.precision import prepare_torch

    images = encoder is not None
    array = _embeddings_or_images(X, images)
    # On the command line the options themselves check these.
    budget, num_classes = _whole("budget", budget, 2), _whole("num_classes", num_classes, 2)
    seed, threads = _whole("seed", seed, 0), _whole("threads", threads, 1)
    vectors: Rows | None = None if images else as_vectors(array, "X")
    if similarity is not None and not 0.5 <= similarity <= 1:
        raise SpecError(f"similarity={similarity!r} is not valid: a cosine from 0.5 to 1, or None.")
    limits = replace(limits_of(len(array), labelled, exclude, groups, per_group), similarity=similarity)
    call = find_method(method, items=len(array))
    check_request(call, budget=budget, items=len(array), classes=num_classes)
    check_limits(limits, budget=budget, items=len(array))
    cache = cache_folder(None if cache_dir is None else Path(cache_dir))
    compute_device = pick_device(device)
    prepare_torch(threads)
    if vectors is None:
        vectors = embed_images(array, parse_call(str(encoder)), cache, device=compute_device, threads=threads)
    chosen = choose_to_label(
        vectors,
        call,
        budget=budget,
        classes=num_classes,
        seed=seed,
        machine=ComputeSettings(cache, compute_device, threads, begin=lambda title: lambda done, total: None),
        limits=limits,
    )
    # Of images, the pixels: embeddings of equal images in other batches differ by rounding.
    given: Rows = array.reshape(len(array), -1) if images else vectors
    repeated = copies(*(contents_of(RowsAt(given, positions)) for positions in (chosen.positions, limits.labelled)))
    return Choice(
        indices=np.sort(chosen.positions),
        order=chosen.positions,
        clusters=None if chosen.clusters is None else chosen.clusters[chosen.positions],
        scores=chosen.scores,
        chosen=chosen.chosen,
        judged=chosen.judged,
        taken=chosen.taken,
        method=chosen.variant,
        warnings=(*(() if images else empty_rows(vectors)), *repeated, *chosen.warnings),
    )


def _embeddings_or_images(given: Any, images: bool) -> NDArray[Any]:
    """Return what ``select`` chooses from as an array; refuse a name, and images without an encoder."""
    from bench.labelling.rows import unmasked

    if isinstance(given, str | Path):
        raise DataError(
            f"X is {str(given)!r}, a name; give an array. For a folder of images there is `bench select --images`."
        )
    array = unmasked("X", given)
    if images and (array.ndim != 4 or array.dtype != np.uint8):
        raise DataError(f"with an encoder, X is uint8 images [N, C, H, W], got {array.dtype} {list(array.shape)}.")
    if images and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        raise DataError(f"X {list(array.shape)} has the channels last; give [N, C, H, W]: X.transpose(0, 3, 1, 2).")
    if not images and array.ndim == 4:
        raise DataError(f"X {list(array.shape)} looks like images; give encoder=..., or embeddings [N, D].")
    return array


def _whole(name: str, value: Any, least: int) -> int:
    """Return a whole number, Python's or numpy's; refuse 3.0 and True, as the command line does."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise SpecError(f"{name}={value!r} is not valid: a whole number from {least} on.")
    return number


def load_rows(*folders: PathLike) -> pd.DataFrame:
    """Return the rows of one or more result folders as a frame: one line per cell, the columns of ``bench export``.

    Examples:
        >>> frame = bench.load_rows("runs/digits")
        >>> frame.groupby("method").accuracy.mean()

    Returns:
        The fields of a row (docs/rows.md). Those of ``recipe`` are columns of their own, ``recipe_iterations`` and so
        on; ``curve`` is the lists ``curve_iterations`` and ``curve_accuracies``. Added are ``stage_seconds``, the sum
        over the row's ``stages``, and ``stage_peak_bytes``, their maximum.

    Raises:
        RowError: a folder is missing or has no rows, a row is not valid, or two rows of one cell disagree.
    """
    from bench.addresses import local_path
    from bench.results.frame import to_frame
    from bench.results.tables import collect

    if not folders:
        raise RowError('no folder was given: bench.load_rows("runs/x").')
    return to_frame(collect([local_path(folder) for folder in folders]))


class ResultTable(pd.DataFrame):
    """A DataFrame that renders itself, notes included, as the command line does; ``pd.DataFrame(table)`` drops both."""

    _metadata: ClassVar[list[str]] = ["_tables"]
    _tables: list[TextTable]

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # a part of a table would need other notes, so it is a plain frame

    def to_markdown(self, buf: Any = None, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """Return the Markdown that the command writes; of the arguments only ``buf``, a file name, has an effect."""
        from bench.results.rendering import markdown

        return _write_if_asked(buf, markdown(self._tables))

    def to_latex(  # type: ignore[override]
        self,
        buf: Any = None,
        *,
        caption: str = "",
        label: str = "",
        wide: bool = False,
        notes: Literal["below", "comments"] = "below",
    ) -> str:
        r"""Return the LaTeX that the command writes, for the packages booktabs and graphicx.

        Examples:
            >>> bench.table(frame).to_latex("table.tex", caption=r"Accuracy on \digits{}.", label="tab:digits")

        Args:
            buf: file name to write to.
            caption: caption in LaTeX, used as it is. Default: the table's title.
            label: label for ``\ref``.
            wide: span both columns of a page.
            notes: where to put the facts: below the table, or as comments in the source.
        """
        from bench.results.rendering import Tex, latex

        return _write_if_asked(buf, latex(self._tables, Tex(caption, label, wide, notes)))


def table(
    frame: pd.DataFrame,
    *,
    metric: Metric = "last",
    compare: Literal["paper"] | None = None,
    methods: Methods | None = None,
    digits: int = 1,
) -> ResultTable:
    """Return the mean accuracy over seeds: a block per data set, encoder and model, with one line per method.

    Examples:
        >>> print(bench.table(bench.load_rows("runs/digits"), methods={"random": "Random", "elfs": "ELFS"}))

    Args:
        frame: from ``load_rows``, or a selection of its lines.
        metric: ``last`` is test accuracy after the last iteration, ``best`` the best seen during training, and
            ``flipped`` that after the last iteration with mirror images too, for rows whose recipe has ``test_flip``.
        compare: ``paper`` adds the papers' numbers to the Markdown and LaTeX.
        methods: methods to show, in this order: ``"random,elfs=ELFS (ours)"``, a list, or a mapping from method to
            name.
        digits: decimals in the Markdown and LaTeX.

    Returns:
        Index (dataset, encoder, model, method as written or named), columns the rates, values the mean in percent;
        NaN where there is no row. ``to_markdown`` and ``to_latex`` add standard deviations and notes.

    Raises:
        RowError: the rows are not comparable in one table, or the frame does not hold rows.
        SpecError: no row has one of the methods.
    """
    from bench.results.accuracy_table import accuracy_table

    if compare not in (None, "paper"):
        raise UnknownName("comparison", compare, ("paper",))
    blocks = _blocks(frame, metric, methods=methods, digits=digits, compare=compare == "paper")
    wide = pd.concat([block.means for block in blocks]).pivot_table(
        index=["dataset", "encoder", "model", "variant" if methods is None else "label"],
        columns="rate",
        values="mean",
        sort=False,
        dropna=False,
    )
    wide.index.names = ["dataset", "encoder", "model", "method"]
    wide = wide[sorted(wide.columns)].dropna(how="all")
    return _with_tables(wide, [accuracy_table(block) for block in blocks])


def compare(
    frame: pd.DataFrame,
    *,
    baseline: str = "random",
    metric: Metric = "last",
    methods: Methods | None = None,
    digits: int = 2,
) -> ResultTable:
    """Return the paired differences from a baseline at the same seeds, with intervals and p-values.

    Examples:
        >>> bench.compare(bench.load_rows("runs/digits"), baseline="random")[["method", "rate", "difference", "p_holm"]]

    Args:
        frame: from ``load_rows``.
        baseline: a method, with parameters if you like: ``ccs(beta=0.1)``.
        metric: see ``table``.
        methods: see ``table``; p-values are adjusted for these.
        digits: see ``table``.

    Returns:
        One line per block, method and rate, in the columns of ``comparison.csv``.

    Raises:
        RowError: see ``table``; or no block has the baseline.
    """
    from bench.results import comparison, comparison_tables

    contests = comparison.compare(_blocks(frame, metric, methods=methods, digits=digits, keep=baseline), baseline)
    records = pd.DataFrame(comparison_tables.contest_records(contests))
    return _with_tables(records, [comparison_tables.contest_table(*contest) for contest in contests])


def leaderboard(
    frames: pd.DataFrame | PathLike | Sequence[pd.DataFrame | PathLike],
    *,
    metric: Metric = "last",
    methods: Methods | None = None,
    digits: int = 1,
) -> ResultTable:
    """Return the methods, ordered by their mean rank over every data set, encoder, model and rate.

    Examples:
        >>> bench.leaderboard(["runs/digits", "runs/mnist"])

    Args:
        frames: from ``load_rows``, or result folders; one or several.
        metric: see ``table``.
        methods: see ``table``; these are ranked among themselves.
        digits: see ``table``.

    Returns:
        One line per method, in the columns of ``leaderboard.csv``.
    """
    from bench.results.leaderboard import leaderboard_records, leaderboard_table, standings

    if isinstance(frames, (pd.DataFrame, str, Path)):
        frames = [frames]
    if not isinstance(frames, Iterable):
        raise RowError(f'expected frames or folders, got {frames!r:.60}: bench.leaderboard(["runs/a", "runs/b"]).')
    loaded = [frame if isinstance(frame, pd.DataFrame) else load_rows(frame) for frame in frames]
    if not loaded:
        raise RowError('nothing to rank: bench.leaderboard(["runs/a", "runs/b"]).')
    blocks = _blocks(pd.concat(loaded, ignore_index=True), metric, methods=methods, digits=digits)
    ranked = standings(blocks)
    return _with_tables(pd.DataFrame(leaderboard_records(ranked)), [leaderboard_table(blocks, ranked)])


def _blocks(frame: pd.DataFrame, metric: Metric, *, methods: Methods | None, **options: Any) -> list[Block]:
    from bench.results.frame import from_frame
    from bench.results.shown import Shown
    from bench.results.tables import blocks, once

    if metric not in get_args(Metric):
        raise UnknownName("metric", metric, get_args(Metric))
    if options["digits"] not in range(7):
        raise SpecError(f"digits={options['digits']!r} is not valid: a whole number from 0 to 6.")
    if not isinstance(frame, pd.DataFrame):
        raise RowError(f"expected a frame of rows, got {frame!r:.60}: give bench.load_rows(FOLDER) or rows() of a run.")
    if frame.empty:
        raise RowError("the frame has no rows.")
    # Grids share cells, random's above all, so frames that were concatenated hold some twice.
    rows = once((f"line {number}", row) for number, row in enumerate(from_frame(frame), start=1))
    return blocks(rows, metric=metric, shown=None if methods is None else Shown(methods), **options)


def _with_tables(frame: pd.DataFrame, tables: list[TextTable]) -> ResultTable:
    result = ResultTable(frame)
    result._tables = tables
    return result


def _write_if_asked(buf: Any, text: str) -> str:
    if buf is not None:
        Path(buf).write_text(text, encoding="utf-8")
    return text


def _listener_or_printer(listener: Listener | None, quiet: bool, job: Job) -> Any:
    """Return a context that gives the caller's listener, or one that prints lines on standard error."""
    from contextlib import nullcontext

    if listener is not None:
        return nullcontext(listener)
    from rich.console import Console

    from bench.cli.progress import ProgressReporter, announce

    console = Console(stderr=True, highlight=False, markup=False)
    outlook = None if quiet else announce(job, console)
    return ProgressReporter(console, quiet=quiet, session=job.session, outlook=outlook)
