"""Published coresets of a grid, ``indices(of=FILE)``: they are read and checked against its data sets before a run."""

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
from bench.plugins import models
from bench.results.published import coreset_sha256, pool_positions, read_coreset
from bench.selection import rate_for
from bench.stages.published import Coreset


class Problems:
    """The problems of a plan: raised at once, or collected for a plan that is not run (``--dry-run``).

    Args:
        tolerant: whether to collect them.
        download: whether a run may download missing files.

    Attributes:
        messages: the collected problems.
        downloads: files that a run would download first.
        fetching: whether missing files are downloaded now.
        foreseeing: whether missing files are listed in ``downloads`` instead.
    """

    def __init__(self, *, tolerant: bool, download: bool) -> None:
        self._tolerant = tolerant
        self.messages: list[str] = []
        self.downloads: list[str] = []
        self.fetching, self.foreseeing = download and not tolerant, download and tolerant

    def take(self, error: BenchError) -> None:
        """Raise the error, or collect its message."""
        if not self._tolerant:
            raise error
        self.messages.append(str(error))


class CoresetFile(NamedTuple):
    """A coreset from a file: sorted positions in the full training split, int64 [n]; the SHA-256 covers weights too."""

    path: Path
    positions: NDArray[np.int64]
    sha256: str
    supervision: Supervision


def read_coresets(spec: GridSpec, problems: Problems) -> dict[str, CoresetFile]:
    """Read the coreset files that a grid names.

    Args:
        spec: the grid, with valid names.
        problems: receives the problems.

    Returns:
        Method as text -> file.

    Raises:
        DataError: a file is not a coreset, has another SHA-256 than the call names, or has weights for a model that
            learns by no loss.
    """
    unable = next((str(model) for model in spec.models if not models.get(model.name).info.learns), None)
    by_call: dict[str, CoresetFile] = {}
    for call in published(spec):
        arguments = FileCall.read(call)
        path = local_path(arguments.of)
        try:
            coreset = read_coreset(path, sha256=arguments.sha256)
        except DataError as error:
            problems.take(error)
            continue
        # Before anything is embedded for it. Methods declare it (``weighted``), and ``bench.grid.cells`` refuses them.
        if coreset.weights is not None and unable is not None:
            problems.take(
                DataError(
                    f"{path} holds weights, and model {unable} has no loss that they could weight; train another, "
                    "or take a file of positions alone."
                )
            )
            continue
        # The absolute path, since a worker may start in another folder.
        sha256 = coreset_sha256(*coreset)
        by_call[str(call)] = CoresetFile(path.resolve(), coreset.indices, sha256, arguments.supervision)
    return by_call


def coresets_of(
    files: Mapping[str, CoresetFile], dataset: Dataset, label: str, problems: Problems
) -> dict[str, Coreset]:
    """Return the coresets of the files within a data set's pool.

    Args:
        files: method as text -> file.
        dataset: the data set.
        label: its label.
        problems: receives the problems.

    Returns:
        Method as text -> coreset.

    Raises:
        DataError: an image is not in the pool.
        SpecError: two files have the same name and the same number of images, but not the same images and weights.
    """
    by_call: dict[str, Coreset] = {}
    lines: dict[tuple[str, int], str] = {}
    for call, file in files.items():
        try:
            budget = len(pool_positions(file.positions, dataset))
        except DataError as error:
            problems.take(DataError(f"{file.path}, on {label}: {error}"))
            continue
        # Without the folder, which differs between machines and must not change a row.
        name = file.path.stem
        if lines.setdefault((name, budget), file.sha256) != file.sha256:
            raise SpecError(
                f"two coresets of {budget:,} images are in files called {name}, after which their rows are named; a "
                "table could not tell them apart: rename one of them."
            )
        rate = rate_for(budget, len(dataset.train))
        by_call[call] = Coreset(of=name, sha256=file.sha256, supervision=file.supervision, budget=budget, rate=rate)
    return by_call
