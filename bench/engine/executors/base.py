"""The interface of executors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.engine.scheduler import Scheduler
from bench.stages.base import Stage
from bench.stages.session import Session


@dataclass(frozen=True)
class Resources:
    """The resources of one stage or cell.

    Attributes:
        cpus: number of CPUs, and of threads.
        gpus: number of GPUs; fractions pack several stages or cells on one.
    """

    cpus: int = 1
    gpus: float = 0.0


class Executor(Protocol):
    """Runs the work of a scheduler until it is done, the user interrupts, or the executor is lost."""

    def slots(self, session: Session) -> int:
        """Return the number of stages or cells that run at once on this machine, as far as it is known beforehand."""
        ...

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        """Run all work and report every end to the scheduler, also that of a worker that died.

        Args:
            scheduler: hands out work.
            session: the session to compute in.
            memory: estimated bytes of a stage or cell, 0 if unknown.

        Raises:
            ExecutorLost: the executor is gone, with work unfinished.
            KeyboardInterrupt: the user interrupted.
        """
        ...
