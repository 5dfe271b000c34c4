"""Run a plan: one scheduler, on the executor of the user's choice. Rows are the truth."""

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
    """How a run ended, read back from the rows.

    Attributes:
        written: cells of the plan that have a row now.
        failed: cell -> reason.
        interrupted: whether the user stopped the run.
        lost: whether the executor was lost, such as all nodes of a cluster, and no further try was allowed.
        stages_computed: shared stages that this run computed.
        stages_reused: shared stages that it found.
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
    """Compute what is missing.

    Args:
        plan: what to run.
        session: where.
        executor: what runs it.
        listener: told how it goes.
        retries: how often a stage, a cell or a lost executor that may go well the next time is tried again: a process
            that was killed or ran out of memory, a file that could not be read or written.

    Raises:
        SpecError: the executor cannot give what a stage or cell asks for.
        RunError: the executor cannot start.
    """
    started = time.perf_counter()
    outcome = Outcome()
    scheduler = Scheduler(plan, session, listener, retries=retries)
    # A lost executor is started again as often as a stage is tried again; finished work is not repeated.
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
        # Read back and not counted: another run into the same folder may have written rows too, and rows are the truth.
        written=sum(valid_row(session.out, cell) is not None for cell in plan.cells),
        failed=scheduler.failed,
        stages_computed=len(scheduler.computed),
        stages_reused=len(scheduler.reused),
        seconds=time.perf_counter() - started,
    )
