"""Checking a row's counts against the labels of its data set, if that is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data import Dataset, fingerprint, take_pool
from bench.errors import BenchError, DataError
from bench.grammar import Call, parse_call
from bench.identity import clean_modifiers
from bench.loading import load_dataset
from bench.modifiers import check_modifiers, modified
from bench.plugins import datasets
from bench.results.claims import Unchecked
from bench.results.published import pool_positions
from bench.results.rows import Row


@dataclass(frozen=True)
class KnownDataset:
    """A pool with its labels.

    Attributes:
        dataset: the row's data set, modified and with its pool drawn.
        fingerprint: fingerprint of its content.
        clean: fingerprint without label noise; empty if there is none.
    """

    dataset: Dataset
    fingerprint: str
    clean: str


@dataclass
class DataAtHand:
    """The built-in data sets that can be read on this machine without downloading; each is read once.

    Args:
        root: directory of data sets on disk (``--data-root``), or None.
    """

    root: Path | None = None
    _known: dict[str, KnownDataset | str] = field(default_factory=dict)

    def of(self, row: Row) -> KnownDataset | str:
        """Return the row's data set, or why it is not read; a row must not make us open a file that it names.

        Raises:
            DataError: the data set has no such version or pool.
        """
        if row.dataset not in self._known:
            self._known[row.dataset] = self._read(row)
        return self._known[row.dataset]

    def _read(self, row: Row) -> KnownDataset | str:
        call = parse_call(row.dataset)
        size, seed = call.params.pop("pool_size", None), call.params.pop("pool_seed", 0)
        entry = next((entry for entry in datasets if entry.name == call.name), None)
        # A row from outside must not make us open a path of its choosing or run a plugin.
        if entry is None or not entry.function.__module__.startswith("bench.datasets.") or call.params:
            return f"{call.name} is not a built-in data set, or reads your own files"
        # Another version of the reader may return other images, which is no problem of the row.
        if row.dataset_version not in (None, entry.info.version):
            return f"{call.name} is here in version {entry.info.version}"
        modifiers = check_modifiers(call.name, call.modifiers)
        if "labels" in modifiers:
            return f"{row.dataset} has labels of a file of your own"
        try:
            # Only corruption is applied while loading; other modifiers change labels, or which images there are.
            corruption = {name: value for name, value in modifiers.items() if name == "corruption"}
            whole = load_dataset(call.name, {}, root=self.root, download=False, pool_size=None, modifiers=corruption)
        except (DataError, ImportError):
            return f"{Call(call.name, {}, corruption)} is not on this machine (--data-root)"
        drawn = take_pool(modified(whole, modifiers), size, seed)
        clean = ""
        if "noise" in modifiers:
            clean = fingerprint(take_pool(modified(whole, clean_modifiers(modifiers)), size, seed))
        return KnownDataset(drawn, fingerprint(drawn), clean)


def label_problems(row: Row, indices: NDArray[np.int64] | None, data: DataAtHand) -> Iterator[str]:
    """Yield differences of fingerprint, sizes and class counts between the row and its data set.

    Args:
        row: a row whose data set can be parsed.
        indices: int64 [n], its published coreset; None if that cannot be read.
        data: data sets on this machine.
    """
    try:
        known = data.of(row)
    except BenchError as error:
        yield f"dataset: {error}"
        return
    if isinstance(known, str):
        yield Unchecked(f"labels: {known}")
        return
    dataset = known.dataset
    # First, and on its own: with other data every count below would differ too.
    if row.fingerprint != known.fingerprint:
        yield f"fingerprint: {row.fingerprint[:12]}..., but {row.dataset} has {known.fingerprint[:12]}... here"
        return
    if row.schema_version >= 4 and row.clean_fingerprint != known.clean:
        yield f"clean_fingerprint: {row.clean_fingerprint[:12]!r}, but {known.clean[:12]!r} here"
    if row.pool_size != len(dataset.train):
        yield f"pool_size: {row.pool_size}, but {row.dataset} has {len(dataset.train)} images"
    tested = np.bincount(dataset.test.labels, minlength=dataset.num_classes).tolist()
    if row.test_class_counts and row.test_class_counts != tested:
        yield f"test_class_counts: {_first(row.test_class_counts, tested)}"
    if indices is None:
        return
    try:
        labels = dataset.train.labels[pool_positions(indices, dataset)]
    except DataError as error:
        yield f"indices: {error}"
        return
    kept = np.bincount(labels, minlength=dataset.num_classes).tolist()
    if row.class_counts != kept:
        yield f"class_counts: {_first(row.class_counts, kept)}"


def _first(claimed: list[int], counted: list[int]) -> str:
    if len(claimed) != len(counted):
        return f"{len(claimed)} classes, but the data set has {len(counted)}"
    number = next(number for number, pair in enumerate(zip(claimed, counted, strict=True)) if pair[0] != pair[1])
    return f"{claimed[number]} images of class {number}, but by the labels it is {counted[number]}"
