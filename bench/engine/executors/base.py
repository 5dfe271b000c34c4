"""What every executor is given, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.engine.scheduler import Scheduler
from bench.stages.base import Stage
from bench.stages.session import Session


@dataclass(frozen=True)
class Resources:
    """What one stage or cell gets.

    Attributes:
        cpus: CPUs, which are also its threads.
        gpus: GPUs; fractions pack several on one.
    """

    cpus: int = 1
    gpus: float = 0.0


class Executor(Protocol):
    """Runs what a scheduler hands out until it is done, the user interrupts, or the executor is lost."""

    def slots(self, session: Session) -> int:
        """How many stages or cells it runs at once on this machine, as far as it is known beforehand."""
        ...

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        """Run everything; every end is told to the scheduler, a worker that died included.

        Args:
            scheduler: hands out work.
            session: where.
            memory: estimated bytes of a stage or cell, 0 where nothing is known.

        Raises:
            ExecutorLost: with work unfinished.
            KeyboardInterrupt: the user interrupted.
        """
        ...
