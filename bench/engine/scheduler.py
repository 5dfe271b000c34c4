"""The scheduler of a run, one for every executor: it decides what runs next, and what the end of work means.

The work of a run is one graph of shared stages, with the cells as its last stages. An executor calls ``next`` for work
whenever it has room, and ``ended`` when the work has ended; it decides nothing. A cell starts as soon as its own stages
are stored, while others are still being computed.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from bench.engine.events import Listener
from bench.engine.failures import Fault, record_failure
from bench.engine.plan import Plan
from bench.engine.work import End, end_by_row
from bench.results.planned import write_planned
from bench.stages.base import Stage, in_order
from bench.stages.session import Session
from bench.stages.training import Cell

PAUSE = 2.0
"""Seconds until a stage that another run is computing is tried again."""


class Scheduler:
    """The state of a run: the work that waits for inputs, can start, runs, or has failed.

    Args:
        plan: the plan, whose missing cells are run.
        session: the session to compute in.
        listener: receives the events.
        retries: retries of a stage or cell that may succeed the next time.

    Attributes:
        computed: keys of the stages that this run computed.
        reused: keys of the stages that the store already had.
        failed: cell id -> reason.
    """

    def __init__(self, plan: Plan, session: Session, listener: Listener, *, retries: int = 0) -> None:
        self._session, self._listener, self._retries = session, listener, retries
        self._unwritten: list[Cell] | None = plan.cells
        self.computed: set[str] = set()
        self.reused: set[str] = set()
        self.failed: dict[str, str] = {}
        # Waiting work is in exactly one of ``_missing`` (it lacks inputs), ``_cells`` and ``_stages`` (it can start),
        # ``_again`` (it is to be tried again), ``_parked`` (another run computes it, since this time) and ``_doubtful``
        # (its executor may be gone: until when, the fault, its seconds). Work in none of them and not in ``_running``
        # has ended.
        self._cells: deque[str] = deque()
        self._stages: deque[str] = deque()
        self._again: deque[str] = deque()
        self._parked: dict[str, float] = {}
        self._doubtful: dict[str, tuple[float, Fault, float]] = {}
        self._running: dict[str, Stage] = {}
        self._broken: dict[str, Fault] = {}
        self._attempts: Counter[str] = Counter()
        self._waited: set[str] = set()
        self._work, present = self._graph(plan)
        # Inputs outside ``_work`` are already in the store: ``in_order`` leaves out stored stages.
        self._missing = {
            key: {needed.key for needed in work.inputs() if needed.key in self._work}
            for key, work in self._work.items()
        }
        self._users: dict[str, list[str]] = {key: [] for key in self._work}
        for key, inputs in self._missing.items():
            for needed in inputs:
                self._users[needed].append(key)
        stages = [work for work in self._work.values() if not isinstance(work, Cell)]
        self.reused |= {stage.key for stage in present}
        # A run with nothing to do sends no events, since progress bars would never move.
        if plan.missing:
            listener.stages_begin(stages, present)
            listener.cells_begin(len(plan.missing), len(plan.finished))
        for key in [key for key, inputs in self._missing.items() if not inputs]:
            self._release(key)

    def _graph(self, plan: Plan) -> tuple[dict[str, Stage], list[Stage]]:
        """Return the work by key, inputs before users, and the stages that the store already has.

        A damaged stage that is needed is removed from the store, so that it is computed again.
        """
        store = self._session.store
        present: dict[str, Stage] = {}

        def stored(stage: Stage) -> bool:
            # A cell is never in the store: its row is in the run's folder, and the plan lists cells without one.
            if isinstance(stage, Cell):
                return False
            if store.discard_damaged(stage):
                self._listener.note(f"{stage.title()} was damaged in the store and is computed again")
            if stage not in store:
                return False
            present[stage.key] = stage
            return True

        work = in_order(plan.missing, stored)
        return {item.key: item for item in work}, list(present.values())

    @property
    def done(self) -> bool:
        """Whether all work has ended."""
        waiting = (self._missing, self._running, self._cells, self._stages, self._again, self._parked, self._doubtful)
        return not any(waiting)

    def next(self) -> Stage | None:
        """Return work that can start now, or None if other work must end first or some time must pass.

        Cells come first, since each is a result; then stages in the order of the plan; then retries, when the memory of
        other work is free.
        """
        self._apply_timeouts()
        for ready in (self._cells, self._stages):
            if ready:
                return self._hand_out(ready.popleft())
        # Work that ran out of memory waits until nothing else runs; if it fails alone, it will always fail.
        if self._again and (not self._running or not self._short_of_memory(self._again[0])):
            return self._hand_out(self._again.popleft())
        return None

    def job(self, work: Stage) -> dict[str, Any]:
        """Return the arguments of ``bench.engine.work.perform`` for work that was handed out."""
        computed = frozenset(stage.key for stage in in_order(work.inputs())) & self.computed
        return {
            "work": work,
            "session": self._session,
            "computed": computed,
            "attempt": self._attempts[work.key] + 1,
        }

    def ended(self, work: Stage, end: End) -> None:
        """Take note of the end of a stage or cell that ``next`` handed out."""
        if self._running.pop(work.key, None) is None:
            return  # it was given back meanwhile
        for line in end.notes:
            self._listener.note(line)
        # Not counted as a try, since another run is computing it and nothing failed.
        if end.busy:
            self._park(work)
            return
        # Counted even if it succeeded: a second try that finds the stage stored must be known as one.
        self._attempts[work.key] += 1
        if end.fault is None:
            self._succeeded(work, end)
            return
        fault = end.fault.model_copy(update={"attempts": self._attempts[work.key]})
        if fault.passing and self._attempts[work.key] <= self._retries:
            self._listener.retry(work.key if isinstance(work, Cell) else work.title(), fault.reason)
            self._broken[work.key] = fault
            self._again.append(work.key)
        # Not failed yet: if the executor turns out to be gone, ``give_back`` makes the work ready again.
        elif end.doubt:
            self._doubtful[work.key] = (time.monotonic() + end.doubt, fault, end.seconds)
        else:
            self._fail(work, fault, end.seconds)

    def give_back(self) -> None:
        """Make the work of a lost executor ready again, including work that died with it; neither counts as a try."""
        # Work that was lost with the executor is not to blame.
        died = [key for key in self._again if self._broken[key].status == "lost"]
        for key in [*self._running, *self._doubtful, *died]:
            self._attempts[key] = 0
            self._make_ready(key)
        self._again = deque(key for key in self._again if key not in died)
        self._running.clear()
        self._doubtful.clear()

    def _apply_timeouts(self) -> None:
        now = time.monotonic()
        # Lists, since both loops change the dictionary that they iterate over.
        for key in [key for key, since in self._parked.items() if now - since >= PAUSE]:
            del self._parked[key]
            self._make_ready(key)
        for key in [key for key, (end, *_) in self._doubtful.items() if now >= end]:
            _, fault, seconds = self._doubtful.pop(key)
            self._fail(self._work[key], fault, seconds)

    def _hand_out(self, key: str) -> Stage:
        if self._unwritten is not None:
            # Only now, so that a run that its executor refuses leaves no file behind.
            write_planned(self._session.out, self._unwritten)
            self._unwritten = None
        self._running[key] = self._work[key]
        self._broken.pop(key, None)
        return self._work[key]

    def _release(self, key: str) -> None:
        """Make work ready whose inputs are all stored."""
        del self._missing[key]
        self._make_ready(key)

    def _make_ready(self, key: str) -> None:
        (self._cells if isinstance(self._work[key], Cell) else self._stages).append(key)

    def _short_of_memory(self, key: str) -> bool:
        return self._broken[key].status == "out-of-memory"

    def _park(self, work: Stage) -> None:
        self._parked[work.key] = time.monotonic()
        if work.key not in self._waited:
            self._waited.add(work.key)
            self._listener.waiting(work.title())

    def _succeeded(self, work: Stage, end: End) -> None:
        if isinstance(work, Cell):
            self._listener.cell_end(work, end.accuracy, end.seconds, None)
            return
        # If a worker died after it had stored the stage, the next try finds it.
        reused = end.reused and self._attempts[work.key] == 1
        (self.reused if reused else self.computed).add(work.key)
        self._listener.stage_end(work, end.seconds, reused=reused)
        for user in self._users[work.key]:
            # It is missing if another of its inputs failed, and the user with it.
            if user in self._missing:
                self._missing[user].discard(work.key)
                if not self._missing[user]:
                    self._release(user)

    def _fail(self, work: Stage, fault: Fault, seconds: float) -> None:
        """Record the failure of the work and of everything that depends on it."""
        if isinstance(work, Cell):
            if (end := end_by_row(work, self._session)) is not None:
                self._listener.cell_end(work, end.accuracy, seconds, None)
                return
            self.failed[work.key] = fault.of_cell
            record_failure(work, fault, self._session.out)
            self._listener.cell_end(work, None, seconds, fault.of_cell)
            return
        self._listener.stage_end(work, seconds, error=fault.reason)
        for user in self._users[work.key]:
            # Only once: two failed inputs of a cell are one failure of the cell.
            if self._missing.pop(user, None) is not None:
                self._fail(self._work[user], fault, 0.0)
