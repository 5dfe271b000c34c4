"""Published coresets of a grid, ``indices(of=FILE)``: read and checked against its data sets before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.addresses import local_path
from bench.data import Dataset
from bench.errors import BenchError, DataError, SpecError
from bench.grid.cells import FileCall, published
from bench.grid.spec import GridSpec
from bench.parts import Supervision
from bench.results.published import coreset_sha256, pool_positions, read_coreset
from bench.selection import rate_for
from bench.stages.published import Coreset


class Problems:
    """What is wrong with a plan: raised at once, or collected where nothing is started (``--dry-run``).

    Args:
        tolerant: whether it is collected.
        download: whether a run may fetch what is missing.

    Attributes:
        told: what is wrong.
        downloads: what a run would fetch first.
        fetching: whether what is missing is fetched now.
        foreseeing: whether it is listed in ``downloads`` in place of that.
    """

    def __init__(self, *, tolerant: bool, download: bool) -> None:
        self._tolerant = tolerant
        self.told: list[str] = []
        self.downloads: list[str] = []
        self.fetching, self.foreseeing = download and not tolerant, download and tolerant

    def take(self, error: BenchError) -> None:
        """Raise the error, or note what it says."""
        if not self._tolerant:
            raise error
        self.told.append(str(error))


class CoresetFile(NamedTuple):
    """A file of positions: int64 [n], sorted, in the full training split; the SHA-256 is that of weights too."""

    path: Path
    positions: NDArray[np.int64]
    sha256: str
    supervision: Supervision


def read_coresets(spec: GridSpec, problems: Problems) -> dict[str, CoresetFile]:
    """Read the files that a grid names.

    Args:
        spec: the grid, with valid names.
        problems: receives what is wrong.

    Returns:
        Method as text -> file.

    Raises:
        DataError: a file is no coreset, or not the one whose SHA-256 was given.
    """
    by_call: dict[str, CoresetFile] = {}
    for call in published(spec):
        given = FileCall.read(call)
        path = local_path(given.of)
        try:
            kept = read_coreset(path, sha256=given.sha256)
        except DataError as error:
            problems.take(error)
            continue
        # The whole path: a worker may start in another folder.
        by_call[str(call)] = CoresetFile(path.resolve(), kept.indices, coreset_sha256(*kept), given.supervision)
    return by_call


def coresets_of(
    files: Mapping[str, CoresetFile], dataset: Dataset, label: str, problems: Problems
) -> dict[str, Coreset]:
    """Look the positions of each file up in a data set's pool.

    Args:
        files: method as text -> file.
        dataset: whose pool.
        label: what it is called.
        problems: receives what is wrong.

    Returns:
        Method as text -> coreset.

    Raises:
        DataError: an image is not in the pool.
        SpecError: two files have one name and keep as many of the pool, but not the same images with the same weights.
    """
    by_call: dict[str, Coreset] = {}
    lines: dict[tuple[str, int], str] = {}
    for call, file in files.items():
        try:
            budget = len(pool_positions(file.positions, dataset))
        except DataError as error:
            problems.take(DataError(f"{file.path}, on {label}: {error}"))
            continue
        # The name alone: where a file lies differs from machine to machine, and must change no row.
        name = file.path.stem
        if lines.setdefault((name, budget), file.sha256) != file.sha256:
            raise SpecError(
                f"two coresets of {budget:,} images are in files called {name}, after which their rows are named; a "
                "table could not tell them apart: rename one of them."
            )
        rate = rate_for(budget, len(dataset.train))
        by_call[call] = Coreset(of=name, sha256=file.sha256, supervision=file.supervision, budget=budget, rate=rate)
    return by_call
