"""Run a plan by one scheduler, on the executor that the user chose. Its results are read back from the rows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench.engine.events import Listener
from bench.engine.plan import Plan
from bench.engine.resume import valid_row
from bench.engine.scheduler import Scheduler
from bench.errors import ExecutorLost
from bench.stages.session import Session

if TYPE_CHECKING:
    from bench.engine.executors.base import Executor


@dataclass
class Outcome:
    """The outcome of a run, read back from the rows.

    Attributes:
        written: number of cells of the plan that now have a row.
        failed: cell id -> reason.
        interrupted: whether the user stopped the run.
        lost: whether the executor was lost, such as all nodes of a cluster, with no retries left.
        stages_computed: number of shared stages that this run computed.
        stages_reused: number of shared stages that the store already had.
        seconds: wall time.
    """

    written: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    lost: bool = False
    stages_computed: int = 0
    stages_reused: int = 0
    seconds: float = 0.0


def run(plan: Plan, session: Session, executor: Executor, listener: Listener, *, retries: int = 0) -> Outcome:
    """Compute the missing stages and cells of a plan.

    Args:
        plan: the plan.
        session: the session to compute in.
        executor: the executor.
        listener: receives the events.
        retries: retries of a lost executor, and of a stage or cell that may succeed the next time: its process was
            killed or ran out of memory, or a file could not be read or written.

    Raises:
        SpecError: the executor cannot give what a stage or cell asks for.
        RunError: the executor cannot start.
    """
    started = time.perf_counter()
    outcome = Outcome()
    scheduler = Scheduler(plan, session, listener, retries=retries)
    # A lost executor has as many retries as a stage; finished work is not repeated.
    for attempt in range(1, retries + 2):
        if scheduler.done:
            break
        try:
            executor.run(scheduler, session, plan.memory)
        except KeyboardInterrupt:
            outcome.interrupted = True
        except ExecutorLost as loss:
            outcome.lost = loss.final or attempt > retries
            listener.session_lost(str(loss), again=not outcome.lost)
            scheduler.give_back()
        if outcome.interrupted or outcome.lost:
            break
    return replace(
        outcome,
        # Read back instead of counted, since another run into the same folder may have written rows too.
        written=sum(valid_row(session.out, cell) is not None for cell in plan.cells),
        failed=scheduler.failed,
        stages_computed=len(scheduler.computed),
        stages_reused=len(scheduler.reused),
        seconds=time.perf_counter() - started,
    )
