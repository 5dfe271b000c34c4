"""What every stage is: a computation with an identity, whose result is stored once and shared."""

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

    A subclass is complete in its file: its fields are what the result depends on, ``inputs`` the stages that it reads,
    ``estimate`` what it takes and ``compute`` how it is done, a thin shell around a pure core. Nothing else in a
    session may change the result: ``key`` is made of the fields alone.

    Attributes:
        kind: folder of the store; never renamed, or everything stored below it is computed again.
        version: raise it when the same fields give another result.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    # Cached, since scheduler, store and row all ask for it, and each answer hashes all that the stage rests on.
    @cached_property
    def key(self) -> str:
        """SHA-256 over kind, version of the code, specification, and the keys of all that it rests on.

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
        """Stages that must be there first."""
        return []

    def revisions(self) -> list[str]:
        """Versions of code that is neither this stage's own nor that of its inputs."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return the specification as JSON, stored beside the arrays."""
        return {"kind": self.kind, "version": self.version, **self.model_dump(mode="json")}

    def uses_gpu(self) -> bool:
        """Whether it uses a GPU where the run has one; otherwise none is reserved."""
        return True

    def title(self) -> str:
        """Return a few words for progress and ``--dry-run``."""
        return self.kind

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Memory, disk and GPU memory that it will take, erring upwards.

        Args:
            shape: size of the pool's data set.
            device: ``cpu`` or ``cuda``.
        """
        raise NotImplementedError

    def work(self, shape: Shape) -> list[Work] | None:
        """Say what it does, for an estimate of its time: nothing that takes long, or None where that is not known.

        Args:
            shape: size of the pool's data set.
        """
        return []

    def compute(self, session: Session, progress: Progress) -> Arrays:
        """Return the arrays to store.

        Args:
            session: gives the inputs (``session.arrays``), the data set and the device.
            progress: called with (done, in all).
        """
        raise NotImplementedError


def in_order(stages: Iterable[Stage], present: Callable[[Stage], bool] = lambda stage: False) -> list[Stage]:
    """Return the stages and all that they rest on, each once, inputs before users; what is present needs no inputs."""
    ordered: dict[str, Stage] = {}
    skipped: set[str] = set()

    def visit(stage: Stage) -> None:
        # By key and not by object: cells build their stages anew, and equal ones are one stage.
        if stage.key in ordered or stage.key in skipped:
            return
        if present(stage):
            skipped.add(stage.key)
            return
        for needed in stage.inputs():
            visit(needed)
        # After its inputs, so that whoever computes from the beginning finds them there.
        ordered[stage.key] = stage

    for stage in stages:
        visit(stage)
    return list(ordered.values())
