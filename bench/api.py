"""The front door: run grids, read their rows, make tables, from Python.

Every function here is importable from ``bench`` itself. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

from bench.errors import DataError, RowError, SpecError, UnknownName

if TYPE_CHECKING:
    from bench.engine.events import Listener
    from bench.engine.start import Job
    from bench.results.block import Block
    from bench.results.rendering import TextTable

PathLike = str | Path
Methods = str | Sequence[str] | Mapping[str, str]
Metric = Literal["last", "best"]


class RunFields(TypedDict, total=False):
    """Keywords of ``run``: the fields of a grid, then where and on what it runs, in the words of ``bench.fields``.

    Attributes:
        methods: ``"elfs,ccs(beta=0.3)"``, or a list; a parameter may be a mapping from rate to value.
        datasets: likewise, with modifiers: ``"cifar100@imbalance=100"`` (``bench.modifiers``).
        encoders: likewise; by default each data set's.
        models: likewise; by default each data set's.
        rates: fractions of the pool to remove, each in [0, 1).
        seeds: how many, or a list of seeds.
        preset: name of a packaged grid to start from.
        config: YAML file of the same fields.
        pool_size: images drawn from the training split as the pool.
        pool_seed: of that draw; another one is another pool.
        proxy_model: network for training dynamics; by default the model that is trained on the coreset.
        recipe: fields of ``bench.Recipe`` that replace the data set's and the model's.
        scale: factor that shortens iterations and proxy epochs; rows are marked.
        out: folder of rows, indices and tables.
        data_root: folder of the data sets.
        cache_dir: folder of shared stages. Default: the user's cache folder.
        download: whether missing data and weights may be fetched.
        device: ``auto``, ``cpu`` or ``cuda``.
        cpus_per_trial: CPUs, and threads, of a stage or cell.
        gpus_per_trial: GPUs of a stage or cell; None is 1 on ``cuda``.
        executor: ``local`` (the default here), or ``ray``.
        workers: worker processes of ``local``; by default the work is done in this process.
        address: address of a running Ray cluster.
        time_limit: seconds, or text such as ``2h``, that one stage or cell may take.
        retries: tries again for what was killed, ran out of memory or could not read or write a file.
        force: start although memory or disk will not do by the estimates.
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
    """What a run left.

    Attributes:
        out: folder of the rows.
        written: ids of the grid's cells that have a row now, this run's or an earlier one's.
        failed: id -> reason, of those that failed.
        seconds: wall time.
    """

    out: Path
    written: tuple[str, ...]
    failed: Mapping[str, str]
    seconds: float

    def rows(self) -> pd.DataFrame:
        """Return the rows of this grid alone, as ``load_rows`` does."""
        frame = load_rows(self.out)
        return frame[frame["cell_id"].isin(self.written)].reset_index(drop=True)


def run(*, quiet: bool = False, listener: Listener | None = None, **fields: Unpack[RunFields]) -> Run:
    """Run every method on every data set at every rate, with every encoder, model and seed.

    The same call again runs only the cells that have no row yet, as ``bench run`` does; both may use one folder.

    Examples:
        >>> done = bench.run(methods="elfs,random", datasets="digits", rates=[0.5, 0.9], seeds=3, out="runs/digits")
        >>> bench.table(done.rows())

    Args:
        quiet: print nothing but failures.
        listener: told what happens, in place of the lines that are printed.
        **fields: see ``RunFields``; any field of a grid, and where and on what it runs.

    Returns:
        What was written and what failed. A cell that fails does not raise: its reason is in ``failed``.

    Raises:
        BenchError: a name, value, folder, data set or weights file is not valid; nothing was started.
        KeyboardInterrupt: the run was interrupted; what is written stays, and the same call resumes it.
    """
    from bench.engine.events import Several
    from bench.engine.resume import valid_row
    from bench.engine.run_log import RunLog
    from bench.engine.start import Job, RunOptions
    from bench.grid.spec import GridSpec, load_spec

    given: dict[str, Any] = dict(fields)
    preset, config = given.pop("preset", None), given.pop("config", None)
    grid = {name: given.pop(name) for name in GridSpec.model_fields if name in given}
    for name in given:
        if name not in RunOptions.__dataclass_fields__:
            raise UnknownName("argument of bench.run:", name, RunFields.__annotations__)
    if not grid and preset is None and config is None:
        raise SpecError('nothing to compare was named: try bench.run(methods="elfs,random", datasets="digits").')
    spec = load_spec(preset=preset, config=None if config is None else Path(config), given=grid)
    job = Job(spec, RunOptions(**{"executor": "local", **given}))
    job.check()
    with _listening(listener, quiet, job) as told:
        for line in job.warnings():
            told.note(line)
        outcome = job.run(Several(told, RunLog(job.session.out)))
    # The run has ended in order; a loop of the caller's around it must end too.
    if outcome.interrupted:
        raise KeyboardInterrupt
    # By the rows on disk, since an earlier run or another process may have written some.
    written = tuple(cell.cell_id for cell in job.plan.cells if valid_row(job.session.out, cell) is not None)
    return Run(job.session.out, written, outcome.failed, outcome.seconds)


@dataclass(frozen=True)
class Choice:
    """What to label.

    Attributes:
        indices: int64 [n], sorted positions of the items that are kept.
        order: int64 [n], the same in the order to label: whoever stops early still has a good choice.
        clusters: int64 [n], cluster of each item of ``order``; None for ``random``.
        scores: float32 [N], high = hard; None where the method has no score.
        chosen: parameters that the method chose itself, such as beta.
        judged: candidate -> what a judge without labels said of it, high = good; empty where the method judges none.
        taken: which of them this is, such as ``"beta=0.4"`` or ``"random 2"``, or a method; empty where none was.
        method: the method with all parameters that were set, by you or by the number of items.
        warnings: signs that the choice is not varied; empty for a good one.
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
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
    cache_dir: PathLike | None = None,
) -> Choice:
    """Choose which unlabelled items to label, without a single label, as ``bench select`` does.

    Examples:
        >>> chosen = bench.select(X, budget=500, num_classes=20, seed=0)
        >>> X[chosen.order[:50]]
        >>> more = bench.select(X, budget=500, num_classes=20, labelled=chosen.order)

    Args:
        X: embeddings [N, D], finite numbers; or images uint8 [N, C, H, W] with ``encoder``.
        budget: n, items to keep, 2 to N.
        num_classes: about how many classes there are; too many does less harm than too few.
        method: a label-free method with parameters, such as ``"elfs(clustering=kmeans)"``; ``default`` takes
            k-means sampling, and MaxHerding of more than 20,000 items (results/labelling).
        encoder: of images, such as ``"dino_vits16"`` or ``"dino_vits16(weights=FILE)"``.
        labelled: positions of items that are labelled already; the choice complements them.
        exclude: positions of items that are never chosen.
        groups: [N] group of each item, such as the video of a frame; None where there are none. An item whose own is
            missing (None, NaN or empty) is in no group.
        per_group: most items of a group, labelled ones included; ``"all"`` chooses whole groups, of together at most
            n items.
        seed: of everything random.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads.
        cache_dir: folder of what is computed on the way, which the same call reads again; None for the user's own.

    Raises:
        BenchError: the array, budget, method or encoder is not valid, or the method reads labels.
    """
    from bench.engine.start import pick_device
    from bench.grammar import parse_call
    from bench.labelling.candidates import check_limits, limits_of
    from bench.labelling.choose import check_method
    from bench.labelling.collapse import oddities
    from bench.labelling.default import find_method
    from bench.labelling.items import Machine, embed_images
    from bench.labelling.rows import Rows, unmasked
    from bench.labelling.vectors import as_vectors
    from bench.labelling.whole import choose_to_label
    from bench.store.folder import cache_folder
    from bench.training.precision import prepare_torch

    if isinstance(X, str | Path):
        raise DataError(
            f"X is {str(X)!r}, a name; give an array. For a folder of images there is `bench select --images`."
        )
    array = unmasked("X", X)
    images = encoder is not None
    if images and (array.ndim != 4 or array.dtype != np.uint8):
        raise DataError(f"with an encoder, X is uint8 images [N, C, H, W], got {array.dtype} {list(array.shape)}.")
    if not images and array.ndim == 4:
        raise DataError(f"X {list(array.shape)} looks like images; give encoder=..., or embeddings [N, D].")
    # On the command line the options themselves check these.
    budget, num_classes = _whole("budget", budget, 2), _whole("num_classes", num_classes, 2)
    seed, threads = _whole("seed", seed, 0), _whole("threads", threads, 1)
    vectors: Rows | None = None if images else as_vectors(array, "X")
    limits = limits_of(len(array), labelled, exclude, groups, per_group)
    call = find_method(method, items=len(array))
    check_method(call, budget=budget, items=len(array), classes=num_classes)
    check_limits(limits, budget=budget, items=len(array))
    cache = cache_folder(None if cache_dir is None else Path(cache_dir))
    used = pick_device(device)
    prepare_torch(threads)
    if vectors is None:
        vectors = embed_images(array, parse_call(str(encoder)), cache, device=used, threads=threads)
    chosen = choose_to_label(
        vectors,
        call,
        budget=budget,
        classes=num_classes,
        seed=seed,
        machine=Machine(cache, used, threads, begin=lambda title: lambda done, total: None),
        limits=limits,
    )
    return Choice(
        indices=np.sort(chosen.positions),
        order=chosen.positions,
        clusters=None if chosen.clusters is None else chosen.clusters[chosen.positions],
        scores=chosen.scores,
        chosen=chosen.chosen,
        judged=chosen.judged,
        taken=chosen.taken,
        method=chosen.variant,
        warnings=(*(() if images else oddities(vectors, budget)), *chosen.warnings),
    )


def _whole(name: str, given: Any, least: int) -> int:
    """Return a whole number, also one of numpy's; refuse 3.0 and True, which the command line does not take either."""
    try:
        number = least - 1 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = least - 1
    if number < least:
        raise SpecError(f"{name}={given!r} is not valid: a whole number from {least} on.")
    return number


def load_rows(*folders: PathLike) -> pd.DataFrame:
    """Return the rows of one or more result folders, one line a cell, columns as those of ``bench export``.

    Examples:
        >>> frame = bench.load_rows("runs/digits")
        >>> frame.groupby("method").accuracy.mean()

    Raises:
        RowError: a folder is missing or without rows, a row is not valid, or two rows of one cell disagree.
    """
    from bench.addresses import local_path
    from bench.results.frame import to_frame
    from bench.results.tables import collect

    if not folders:
        raise RowError('no folder was given: bench.load_rows("runs/x").')
    return to_frame(collect([local_path(folder) for folder in folders]))


class ResultTable(pd.DataFrame):
    """A DataFrame that renders itself as the command line does, with its notes; ``pd.DataFrame(table)`` is plain."""

    _metadata: ClassVar[list[str]] = ["_tables"]
    _tables: list[TextTable]

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame  # a part of a table has other notes: it is a plain frame

    def to_markdown(self, buf: Any = None, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """Return the Markdown that the command writes; arguments are ignored but for a file name to write to."""
        from bench.results.rendering import markdown

        return _to(buf, markdown(self._tables))

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
            caption: LaTeX, taken as it is; by default the table's title.
            label: for ``\ref``.
            wide: over both columns of a page.
            notes: whether facts stand below the table, or as comments in the source.
        """
        from bench.results.rendering import Tex, latex

        return _to(buf, latex(self._tables, Tex(caption, label, wide, notes)))


def table(
    frame: pd.DataFrame,
    *,
    metric: Metric = "last",
    compare: Literal["paper"] | None = None,
    methods: Methods | None = None,
    digits: int = 1,
) -> ResultTable:
    """Return the mean accuracy over seeds, one line a method in each block of data set, encoder and model.

    Examples:
        >>> print(bench.table(bench.load_rows("runs/digits"), methods={"random": "Random", "elfs": "ELFS"}))

    Args:
        frame: from ``load_rows``, or a selection of its lines.
        metric: ``last`` is test accuracy after the last iteration, ``best`` the best seen during training.
        compare: ``paper`` puts the papers' numbers into the Markdown and LaTeX.
        methods: to show, in this order: ``"random,elfs=ELFS (ours)"``, a list, or a mapping from method to name.
        digits: decimals of the Markdown and LaTeX.

    Returns:
        Index (dataset, encoder, model, method as written, or as named), columns the rates, values the mean in percent;
        NaN where no row is. ``to_markdown`` and ``to_latex`` add standard deviations and notes.

    Raises:
        RowError: rows that are not comparable would meet in one table, or the frame is not one of rows.
        SpecError: a method that no row has.
    """
    from bench.results.accuracy_table import accuracy_table

    made = _blocks(frame, metric, methods=methods, digits=digits, compare=compare == "paper")
    wide = pd.concat([block.means for block in made]).pivot_table(
        index=["dataset", "encoder", "model", "variant" if methods is None else "label"],
        columns="rate",
        values="mean",
        sort=False,
        dropna=False,
    )
    wide.index.names = ["dataset", "encoder", "model", "method"]
    wide = wide[sorted(wide.columns)].dropna(how="all")
    return _rendered(wide, [accuracy_table(block) for block in made])


def compare(
    frame: pd.DataFrame,
    *,
    baseline: str = "random",
    metric: Metric = "last",
    methods: Methods | None = None,
    digits: int = 2,
) -> ResultTable:
    """Return paired differences to a baseline at the same seeds, with intervals and p-values.

    Examples:
        >>> bench.compare(bench.load_rows("runs/digits"), baseline="random")[["method", "rate", "difference", "p_holm"]]

    Args:
        frame: from ``load_rows``.
        baseline: method, or variant such as ``ccs(beta=0.1)``.
        metric: see ``table``.
        methods: see ``table``; p-values are adjusted for these.
        digits: see ``table``.

    Returns:
        One line per block, method and rate; columns as those of ``comparison.csv``.

    Raises:
        RowError: see ``table``; or no block has the baseline.
    """
    from bench.results import comparison, comparison_tables

    made = comparison.compare(_blocks(frame, metric, methods=methods, digits=digits, keep=baseline), baseline)
    records = pd.DataFrame(comparison_tables.contest_records(made))
    return _rendered(records, [comparison_tables.contest_table(*one) for one in made])


def leaderboard(
    frames: Sequence[pd.DataFrame | PathLike],
    *,
    metric: Metric = "last",
    methods: Methods | None = None,
    digits: int = 1,
) -> ResultTable:
    """Return methods ranked by mean rank over every data set, encoder, model and rate.

    Examples:
        >>> bench.leaderboard(["runs/digits", "runs/mnist"])

    Args:
        frames: from ``load_rows``, or result folders.
        metric: see ``table``.
        methods: see ``table``; ranked among themselves.
        digits: see ``table``.

    Returns:
        One line per method; columns as those of ``leaderboard.csv``.
    """
    from bench.results.leaderboard import leaderboard_records, leaderboard_table, standings

    if isinstance(frames, (pd.DataFrame, str, Path)):
        frames = [frames]
    loaded = [frame if isinstance(frame, pd.DataFrame) else load_rows(frame) for frame in frames]
    if not loaded:
        raise RowError('nothing to rank: bench.leaderboard(["runs/a", "runs/b"]).')
    made = _blocks(pd.concat(loaded, ignore_index=True), metric, methods=methods, digits=digits)
    ranked = standings(made)
    return _rendered(pd.DataFrame(leaderboard_records(ranked)), [leaderboard_table(made, ranked)])


def _blocks(frame: pd.DataFrame, metric: Metric, *, methods: Methods | None, **options: Any) -> list[Block]:
    from bench.results.frame import from_frame
    from bench.results.shown import Shown
    from bench.results.tables import blocks, once

    if metric not in ("last", "best"):
        raise UnknownName("metric", metric, ("last", "best"))
    if frame.empty:
        raise RowError("the frame has no rows.")
    # Grids share cells, random's above all, so frames that are put together hold some twice.
    rows = once((f"line {number}", row) for number, row in enumerate(from_frame(frame), start=1))
    return blocks(rows, metric=metric, shown=None if methods is None else Shown(methods), **options)


def _rendered(frame: pd.DataFrame, tables: list[TextTable]) -> ResultTable:
    made = ResultTable(frame)
    made._tables = tables
    return made


def _to(buf: Any, text: str) -> str:
    if buf is not None:
        Path(buf).write_text(text, encoding="utf-8")
    return text


def _listening(listener: Listener | None, quiet: bool, job: Job) -> Any:
    """Context of the listener: the caller's, or lines on standard error."""
    from contextlib import nullcontext

    if listener is not None:
        return nullcontext(listener)
    from rich.console import Console

    from bench.cli.progress import ProgressReporter, announce

    console = Console(stderr=True, highlight=False, markup=False)
    outlook = None if quiet else announce(job, console)
    return ProgressReporter(console, quiet=quiet, out=job.session.out, outlook=outlook)
