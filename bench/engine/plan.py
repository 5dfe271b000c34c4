"""The plan of a run: opens every data set, finds every weights file, and says what is missing, before a run starts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from pathlib import Path

import numpy as np

from bench.addresses import local_path, nearest_existing, refuse_address
from bench.data import Dataset, fingerprint
from bench.embedding.encoder import make_encoder
from bench.embedding.supervision import check_file
from bench.engine.contents import Contents, contents
from bench.engine.coresets import CoresetFile, Problems, coresets_of, read_coresets
from bench.engine.machine import Named
from bench.engine.resume import finished_row, row_that_cannot_join, selected_otherwise, set_aside
from bench.engine.suits import check_input, refuse_unsuitable, taken_images
from bench.errors import DataError, OwnFileError, SpecError, WeightsError
from bench.grammar import Call
from bench.grid.cells import WEIGHTS, check_names, encoder_calls, expand, network_calls, network_ref, reads_embeddings
from bench.grid.spec import GridSpec
from bench.identity import DatasetRef, EncoderRef, ModelRef, clean_modifiers
from bench.loading import load_dataset
from bench.modifiers import check_modifiers
from bench.plugins import datasets, encoders, models
from bench.provenance import faster_in_bf16, processor
from bench.recipe import Precision
from bench.stages.base import Stage, in_order
from bench.stages.memory import Estimate, Shape
from bench.stages.published import Coreset
from bench.stages.training import Cell
from bench.store.cache import Store
from bench.store.inventory import closed_kinds, sweep
from bench.weights.locations import DOWNLOAD, locate_weights, weights_digest


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    Attributes:
        cells: all cells of the grid.
        finished: ids of the cells that already have a row.
        weights: encoder's label -> weights file.
        coresets: SHA-256 of a published coreset -> its file.
        problems: problems that would stop the run; only ``--dry-run`` continues with any.
        downloads: files that a run would download first; ``--dry-run`` only lists them.
        damaged: incomplete rows that were set aside; their cells are run again.
        shapes: data set's label -> its size.
        contents: data set's label -> its classes.
        outdated: ids of finished cells whose coreset was selected by other code than the present.
        device: device to train on, ``cpu`` or ``cuda``.
        unidentified: whether data or weights of some cells were not found, so that their rows cannot be recognised.
    """

    cells: list[Cell]
    finished: set[str]
    weights: dict[str, Path] = field(default_factory=dict)
    coresets: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    contents: dict[str, Contents] = field(default_factory=dict)
    outdated: list[str] = field(default_factory=list)
    device: str = "cpu"
    unidentified: bool = False

    @property
    def missing(self) -> list[Cell]:
        """Cells without a row."""
        return [cell for cell in self.cells if cell.cell_id not in self.finished]

    def estimates(self, store: Store) -> tuple[Named, Named]:
        """Return the estimates of the stages to compute and of the missing cells, for data sets that were found."""
        stages = [(stage.title(), self.estimate(stage)) for stage in self.stages(store)]
        cells = [(cell.cell_id, self.estimate(cell)) for cell in self.missing]
        return [(title, needs) for title, needs in stages if needs], [(title, needs) for title, needs in cells if needs]

    def estimate(self, work: Stage) -> Estimate | None:
        """Return the estimate of the resources of a stage or cell; None if its data set was not found."""
        shape = self.shapes.get(work.pool.label)
        return None if shape is None else work.estimate(shape, self.device)

    def memory(self, work: Stage) -> int:
        """Return the estimated memory of a stage or cell in bytes; 0 if it is not known."""
        estimate = self.estimate(work)
        return estimate.memory if estimate else 0

    def stages(self, store: Store) -> list[Stage]:
        """Return the shared stages that the missing cells need and the store lacks, inputs before users."""
        return in_order([stage for cell in self.missing for stage in cell.stages()], lambda stage: stage in store)


def make_plan(
    spec: GridSpec,
    *,
    out: Path | None,
    data_root: Path | None = None,
    download: bool = False,
    tolerant: bool = False,
    device: str = "cpu",
    revise: Callable[[Plan], Plan] = lambda plan: plan,
) -> Plan:
    """Check the grid against this machine and return its plan.

    Args:
        spec: the grid.
        out: folder of the rows, or None to neither read nor write any.
        data_root: folder of the data sets.
        download: whether missing data and weights may be downloaded.
        tolerant: collect what is missing, or would be downloaded, instead of stopping at it (``--dry-run``).
        device: device to train on, ``cpu`` or ``cuda``; it decides the meaning of the precision ``auto``.
        revise: changes the plan in ways that a grid cannot express, before rows are looked for.

    Raises:
        BenchError: the first name, parameter, folder, file, data set or weights file that is not valid.
    """
    check_names(spec)
    problems = Problems(tolerant=tolerant, download=download)
    if out is not None:
        _check_out(out, problems, tolerant)
    files = read_coresets(spec, problems)
    dataset_refs, shapes, class_contents, coresets = _find_datasets(spec, files, data_root, problems)
    encoder_refs, weights, without_weights = _find_encoders(spec, problems)
    network_refs, networks_without_file = _find_networks(spec, problems)
    plan = Plan(
        expand(spec, dataset_refs, encoder_refs, network_refs, precisions_on(device), coresets),
        set(),
        weights,
        {file.sha256: file.path for file in files.values()},
        problems.messages,
        problems.downloads,
        shapes=shapes,
        contents=class_contents,
        device=device,
        unidentified=bool(without_weights or networks_without_file)
        or not all(ref.fingerprint for ref in dataset_refs.values()),
    )
    refuse_unsuitable(plan.cells, shapes)
    _try_networks(plan, networks_without_file, problems)
    plan = revise(plan)
    return plan if out is None else _with_existing_rows(plan, out, problems, tolerant)


def _find_datasets(
    spec: GridSpec,
    files: Mapping[str, CoresetFile],
    root: Path | None,
    problems: Problems,
) -> tuple[dict[str, DatasetRef], dict[str, Shape], dict[str, Contents], dict[tuple[str, str], Coreset]]:
    """Return the data sets by call, the sizes and contents of those that could be opened, by label, and coresets."""
    references: dict[str, DatasetRef] = {}
    shapes: dict[str, Shape] = {}
    class_contents: dict[str, Contents] = {}
    coresets: dict[tuple[str, str], Coreset] = {}
    for call in spec.datasets:
        try:
            reference, shape, summary, dataset = _open_dataset(call, spec, root, problems.fetching)
            label = reference.label
            references[str(call)], shapes[label], class_contents[label] = reference, shape, summary
            # Stages that read no label work on the same images with their own labels.
            shapes[reference.without_noise().label] = shape
        except DataError as error:
            entry = datasets.get(call.name)
            # A download can mend some problems and not others.
            fetchable = root is not None and "download" in signature(entry.function).parameters
            if problems.foreseeing and fetchable and not isinstance(error, OwnFileError):
                problems.downloads.append(f"data set {call.name}: its files that are missing below {root}")
            else:
                problems.take(error)
            # Without a fingerprint: its cells can be listed, but have no final id.
            references[str(call)] = DatasetRef(
                name=call.name,
                version=entry.info.version,
                params=entry.changed(call.params),
                modifiers=check_modifiers(call.name, call.modifiers),
                pool_size=spec.pool_size,
                pool_seed=spec.pool_seed,
                num_classes=entry.info.num_classes or 0,
            )
            continue
        of_files = coresets_of(files, dataset, label, problems)
        coresets |= {(str(call), file): coreset for file, coreset in of_files.items()}
    return references, shapes, class_contents, coresets


def _find_encoders(
    spec: GridSpec, problems: Problems
) -> tuple[dict[str, EncoderRef], dict[str, Path], frozenset[EncoderRef]]:
    """Return the grid's encoders by call, their weights files by label, and encoders whose weights were not found."""
    references: dict[str, EncoderRef] = {}
    weights: dict[str, Path] = {}
    without: set[EncoderRef] = set()
    needed = reads_embeddings(spec)
    for text, call in {str(call): call for dataset in spec.datasets for call in encoder_calls(spec, dataset)}.items():
        try:
            references[text], path = find_encoder(call, problems.fetching, needed=needed)
        except WeightsError as error:
            declared = encoders.get(call.name).info.weights_of(call.params)
            fetchable = WEIGHTS not in call.params and declared is not None and declared.remedy == DOWNLOAD
            if problems.foreseeing and fetchable and declared.find() is None:
                problems.downloads.append(f"weights of {call}: {declared}")
            else:
                problems.take(error)
            # Without its weights, so that the plan can name the cells.
            references[text], path = find_encoder(call, problems.fetching, needed=False)
            without.add(references[text])
        label = references[text].label
        if path is not None and weights.setdefault(label, path) != path:
            raise SpecError(
                f"encoder {label} is given with two weights files, {path} and {weights[label]}; a table could not tell "
                "them apart: use two runs with two --out."
            )
    return references, weights, frozenset(without)


def _find_networks(spec: GridSpec, problems: Problems) -> tuple[dict[str, ModelRef], frozenset[ModelRef]]:
    """Return the grid's networks by call, and networks whose weights were not found."""
    references: dict[str, ModelRef] = {}
    without: set[ModelRef] = set()
    for text, call in {str(call): call for call in network_calls(spec)}.items():
        try:
            references[text] = network_ref(call)
        except WeightsError as error:
            problems.take(WeightsError(f"model {call}: {error}"))
            entry = models.get(call.name)
            references[text] = ModelRef(name=call.name, version=entry.info.version, params=entry.changed(call.params))
            without.add(references[text])
    return references, frozenset(without)


def _try_networks(plan: Plan, without: Collection[ModelRef], problems: Problems) -> None:
    """Refuse networks that cannot take an image of the data set, except those ``without`` their file."""
    for network, image, num_classes in taken_images(plan.cells, plan.shapes):
        if network in without:
            continue
        try:
            check_input(network, image, num_classes)
        except WeightsError as error:
            problems.take(error)


def _with_existing_rows(plan: Plan, out: Path, problems: Problems, tolerant: bool) -> Plan:
    """Return the plan with the rows that its folder already holds; only a tolerant plan does not change the folder."""
    cells, damaged = plan.cells, []
    if foreign := row_that_cannot_join(out, cells):
        problems.take(SpecError(f"{out} holds a row that no table can show beside these cells, {foreign}."))
    if not tolerant:
        check_writable(out)
        damaged = set_aside(out, cells)
        sweep(out)
    rows = {cell.cell_id: row for cell in cells if (row := finished_row(out, cell)) is not None}
    outdated = [cell.cell_id for cell in cells if cell.cell_id in rows and selected_otherwise(rows[cell.cell_id], cell)]
    return replace(plan, finished=set(rows), damaged=damaged, outdated=outdated)


def _check_out(out: Path, problems: Problems, tolerant: bool) -> None:
    """Refuse a folder that rows cannot be written to; only a plan that is not tolerant tries to write."""
    # Not ``out`` itself, since a plan that is refused later must not leave an empty folder.
    nearest = nearest_existing(out)
    try:
        refuse_address(out)
        if tolerant:
            _refuse_file(nearest)
        else:
            check_writable(nearest)
    except SpecError as error:
        problems.take(error)


def _refuse_file(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise SpecError(f"cannot write to {folder}: it is a file, not a folder.")


def check_writable(folder: Path) -> None:
    """Create ``folder`` and write to it once.

    Raises:
        SpecError: it is an address, or cannot be created or written to, for example because no space is left.
    """
    refuse_address(folder)
    try:
        _refuse_file(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # Written and flushed, since on a full disk an empty file can still be created.
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SpecError(f"cannot write to {folder}: {error.strerror or error}.") from error


def check_cache(folder: Path) -> None:
    """Create the cache's folder and write to it once; refuse one whose stages this user may not read or add to.

    Raises:
        SpecError: the cache cannot be used; the message says what to do.
    """
    try:
        check_writable(folder)
    except SpecError as error:
        raise SpecError(f"{error} It is the cache of shared stages; --cache-dir names another.") from error
    if problem := cache_problem(folder):
        raise SpecError(problem)


def cache_problem(folder: Path) -> str:
    """Return why this user cannot use the cache, without writing to it; empty if the cache is usable."""
    try:
        closed = closed_kinds(folder, to_add=True)
    except OSError as error:
        return f"cannot read the cache {folder}: {error.strerror}. --cache-dir names another."
    if not closed:
        return ""
    return (
        f"another user's stages in the cache {folder} are closed to this one, who may not read them or add to them: "
        f"{', '.join(closed)}. Give a --cache-dir of your own, or share the folder by a group (docs/long-runs.md)."
    )


def _open_dataset(
    call: Call, spec: GridSpec, root: Path | None, download: bool
) -> tuple[DatasetRef, Shape, Contents, Dataset]:
    entry = datasets.get(call.name)
    params = entry.changed(call.params)
    modifiers = check_modifiers(call.name, call.modifiers)
    load = partial(
        load_dataset,
        call.name,
        params,
        root=root,
        download=download,
        pool_size=spec.pool_size,
        pool_seed=spec.pool_seed,
    )
    dataset = load(modifiers=modifiers)
    clean = clean_modifiers(modifiers)
    images = dataset.train.images
    shape = Shape(len(dataset.train), len(dataset.test), tuple(images.shape[1:]), isinstance(images, np.ndarray))
    reference = DatasetRef(
        name=call.name,
        version=entry.info.version,
        params=params,
        modifiers=modifiers,
        pool_size=spec.pool_size,
        pool_seed=spec.pool_seed,
        fingerprint=fingerprint(dataset),
        # Read a second time, since a pool with noise has lost its own labels.
        clean_fingerprint=fingerprint(load(modifiers=clean)) if clean != modifiers else "",
        num_classes=dataset.num_classes,
        size=len(dataset.train),
    )
    return reference, shape, contents(dataset), dataset


def precisions_on(device: str) -> tuple[Precision, ...]:
    """Return the precisions that ``cpu`` or ``cuda`` offers; the first is what ``auto`` means there.

    A CPU without AMX, or a GPU that emulates bf16, trains in it too, but slower than in fp32.
    """
    if device == "cpu":
        return ("bf16", "fp32") if faster_in_bf16(processor()) else ("fp32", "bf16")
    import torch

    # A driver without a GPU plans for workers that have one, and current GPUs compute in bf16.
    emulated = torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False)
    return ("fp32", "bf16") if emulated else ("bf16", "tf32", "fp32")


def find_encoder(call: Call, download: bool, *, needed: bool) -> tuple[EncoderRef, Path | None]:
    """Find the encoder's weights file and load it once; ``needed=False`` names the encoder without its weights.

    Raises:
        UnknownName: no such encoder or parameter.
        SpecError: the parameters do not say what the encoder, or the given weights file, was trained with.
        WeightsError: there is no weights file, or it is damaged or does not fit.
    """
    entry = encoders.get(call.name)
    params = entry.changed({name: value for name, value in call.params.items() if name != WEIGHTS})
    if not needed:
        return EncoderRef(name=call.name, version=entry.info.version, params=params), None
    entry.info.trained_with(params)
    local = call.params.get(WEIGHTS)
    local_file = None if local is None else local_path(str(local))
    path = locate_weights(entry, params, local=local_file, download=download)
    if local_file is not None and path is not None:
        check_file(entry, params, path)
    digest = "" if path is None else weights_digest(entry, path)
    ref = EncoderRef(name=call.name, version=entry.info.version, params=params, weights_sha256=digest)
    make_encoder(ref, path)  # a file that is damaged or does not fit is better reported now than by a worker
    return ref, None if path is None else path.resolve()
