"""The session of a process: its folders, weights, device and limits, none of which is part of a result."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from bench.data import Arrays, Dataset, fingerprint
from bench.errors import DataError, WeightsError
from bench.identity import DatasetRef, EncoderRef
from bench.plugins import encoders
from bench.progress import UNDERWAY, Progress, announced
from bench.stages.base import Stage
from bench.store.cache import Artifact, Store
from bench.weights.locations import weights_digest

if TYPE_CHECKING:
    from bench.pool import PoolSource
    from bench.stages.selection import Selection
    from bench.weighted import Kept


class Session(BaseModel):
    """Paths and devices of one run, sent to every worker as JSON.

    Attributes:
        out: folder of rows, indices and failures.
        cache: folder of shared stages.
        data_root: folder of the data sets.
        weights: encoder label -> weights file.
        coresets: SHA-256 of a published coreset -> its file.
        device: ``cpu`` or ``cuda``.
        gpu_share: share of a GPU's memory that a process may take, in (0, 1].
        threads: number of CPU threads of one stage or cell.
        time_limit: seconds that a stage or a cell may take, or None.
        wait: whether to wait for a stage that another process is computing.
        watchdog: whether the time limit may end the process if the work does not react to it.
        run: tells this run from others into the same folder.
    """

    model_config = ConfigDict(frozen=True)

    out: Path
    cache: Path
    data_root: Path | None = None
    weights: dict[str, Path] = {}
    coresets: dict[str, Path] = {}
    device: str = "cpu"
    gpu_share: float = 1.0
    threads: int = 1
    time_limit: float | None = None
    wait: bool = True
    watchdog: bool = True
    run: str = Field(default_factory=lambda: uuid4().hex)

    @property
    def store(self) -> Store:
        """The store of shared stages."""
        return Store(self.cache, self.threads)

    @property
    def underway(self) -> Path:
        """Folder of the reports of what this run computes at the moment."""
        return self.out / UNDERWAY / self.run

    def get(self, stage: Stage) -> Artifact:
        """Return the stage's artifact from the store, or compute and store it, and its inputs likewise.

        Raises:
            Busy: another process is computing it or one of its inputs, and ``wait`` is false.
        """

        def produce() -> Arrays:
            with announced(self.underway, stage.key, stage.title()) as progress:
                return self.compute(stage, progress)

        return self.store.get(stage, produce, wait=self.wait)

    def compute(self, stage: Stage, progress: Progress) -> Arrays:
        """Compute the stage, with torch's settings restored, since a method that requests it may have changed them."""
        from bench.training.precision import prepare_torch

        prepare_torch(self.threads)
        return stage.compute(self, progress)

    def arrays(self, stage: Stage) -> Arrays:
        """Return the arrays of the stage's artifact, see ``get``."""
        return self.get(stage).arrays

    def source(self, selection: Selection) -> PoolSource:
        """Return the source of a method's pool."""
        from bench.stages.source import StageSource

        return StageSource(selection, self)

    def dataset(self, ref: DatasetRef) -> Dataset:
        """Return the data set; the last ones used stay in memory.

        Raises:
            DataError: the data are missing or corrupt, or not those that the run was planned with.
        """
        return _open(ref.model_dump_json(), self.data_root)

    def weights_of(self, ref: EncoderRef) -> Path | None:
        """Return the encoder's weights file, or None if it has none.

        Raises:
            WeightsError: the file is not the one that the run was planned with.
        """
        path = self.weights.get(ref.label)
        if path is not None and weights_digest(encoders.get(ref.name), path) != ref.weights_sha256:
            raise WeightsError(f"{path} is not the file that the run was planned with; start the run again.")
        return path

    def coreset(self, sha256: str) -> Kept:
        """Return a published coreset, as positions in the full training split.

        Raises:
            DataError: its file cannot be read, or is not the one that the run was planned with.
        """
        from bench.results.published import read_coreset

        return read_coreset(self.coresets[sha256], sha256=sha256)


# Two data sets, since with label noise the stages of a cell read two versions of its pool. By JSON, since the
# parameters of a data set are a dict, which cannot be hashed.
@lru_cache(maxsize=2)
def _open(ref_json: str, root: Path | None) -> Dataset:
    from bench.loading import load_dataset

    ref = DatasetRef.model_validate_json(ref_json)
    dataset = load_dataset(
        ref.name,
        ref.params,
        root=root,
        # Missing files were downloaded while the run was planned, once instead of by every worker.
        download=False,
        pool_size=ref.pool_size,
        pool_seed=ref.pool_seed,
        modifiers=ref.modifiers,
    )
    if fingerprint(dataset) != ref.fingerprint:
        raise DataError(
            f"{ref.label} on this machine (--data-root {root}) is not the data that the run was planned with; "
            "every node must read the same files."
        )
    return dataset
