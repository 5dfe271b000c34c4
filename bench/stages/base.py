"""The base class of stages: a computation with an identity, whose result is stored once and shared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from bench.identity import DatasetRef, Frozen
from bench.stages.memory import Estimate, Shape

if TYPE_CHECKING:
    from bench.data import Arrays
    from bench.progress import Progress
    from bench.stages.session import Session
    from bench.stages.work import Work


class Stage(Frozen):
    """One computation whose result is stored by content and shared by cells, grids and runs.

    A subclass is complete in its file: its fields determine the result, ``inputs`` returns the stages that it reads,
    ``estimate`` the resources that it needs, and ``compute`` the result, as a thin shell around a pure core. Nothing
    else in a session may change the result, since ``key`` is made of the fields alone.

    Attributes:
        kind: folder in the store; it must never be renamed, or everything stored in it is computed again.
        version: raise it when the same fields give another result.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    # Cached, since scheduler, store and row all read it, and computing it hashes all that the stage depends on.
    @cached_property
    def key(self) -> str:
        """SHA-256 of the kind, the version of the code, the specification, and the keys of all inputs.

        A specification names its inputs but not the versions of their code.
        """
        inputs = (needed.key for needed in self.inputs())
        parts = (self.kind, str(self.version), self.digest(), *self.revisions(), *inputs)
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    @property
    def pool(self) -> DatasetRef:
        """The data set that the stage works on."""
        raise NotImplementedError

    def inputs(self) -> list[Stage]:
        """Return the stages that must be stored first."""
        return []

    def revisions(self) -> list[str]:
        """Return versions of code that belongs neither to this stage nor to its inputs."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return the specification as plain values, which are stored beside the arrays."""
        return {"kind": self.kind, "version": self.version, **self.model_dump(mode="json")}

    def uses_gpu(self) -> bool:
        """Return whether it uses a GPU if the run has one; otherwise none is reserved."""
        return True

    def title(self) -> str:
        """Return a few words for progress and ``--dry-run``."""
        return self.kind

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Return the memory, disk and GPU memory that it needs, rather too high than too low.

        Args:
            shape: size of the pool's data set.
            device: ``cpu`` or ``cuda``.
        """
        raise NotImplementedError

    def work(self, shape: Shape) -> list[Work] | None:
        """Return its work for an estimate of its time: empty for a quick stage, None if the work is not known.

        Args:
            shape: size of the pool's data set.
        """
        return []

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return the arrays to store.

        Args:
            session: gives the inputs (``session.arrays``), the data set and the device.
            progress: called with (number done, total number).
        """
        raise NotImplementedError


class OnDataset(Stage):
    """A stage that works on the data set that it names."""

    dataset: DatasetRef

    @property
    def pool(self) -> DatasetRef:
        return self.dataset


def in_order(stages: Iterable[Stage], present: Callable[[Stage], bool] = lambda stage: False) -> list[Stage]:
    """Return the stages and their inputs, each once, inputs before users; leave out ``present`` stages and theirs."""
    ordered: dict[str, Stage] = {}
    skipped: set[str] = set()

    def visit(stage: Stage) -> None:
        # By key instead of object: cells build their stages anew, and equal ones are one stage.
        if stage.key in ordered or stage.key in skipped:
            return
        if present(stage):
            skipped.add(stage.key)
            return
        for needed in stage.inputs():
            visit(needed)
        # After its inputs, so that computing in this order finds them stored.
        ordered[stage.key] = stage

    for stage in stages:
        visit(stage)
    return list(ordered.values())
