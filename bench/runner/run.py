"""Run a plan on Ray: shared stages first, each once, then the missing cells through Ray Tune."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import RowError
from bench.grid.cells import Cell
from bench.grid.stages import in_order
from bench.results.rows import StageUse, read_row
from bench.runner.cell_runs import OnEnd, run_cells
from bench.runner.costs import attributed
from bench.runner.failures import Fault, record_failure
from bench.runner.ledger import Ledger, only_run, unpaid
from bench.runner.preflight import Plan
from bench.runner.ray_session import Resources, Session, ray_session
from bench.runner.reporting import Reporter
from bench.runner.resume import valid_row
from bench.runner.stage_runs import run_stages
from bench.runner.workspace import Workspace


@dataclass
class Outcome:
    """How a run ended, read back from the rows.

    Attributes:
        written: cells of the plan that have a row now.
        failed: cell -> reason.
        interrupted: whether the user stopped the run.
        lost: whether Ray's nodes died and no further try was allowed.
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


def run(plan: Plan, workspace: Workspace, resources: Resources, reporter: Reporter, *, retries: int = 0) -> Outcome:
    """Compute what is missing. Rows are the truth: what Ray says of a trial is progress, not a result.

    Args:
        plan: what to run.
        workspace: where.
        resources: of one trial.
        reporter: told how it goes on.
        retries: how often a stage, a cell or a Ray session on this machine that may go well the next time is tried
            again: one whose process was killed, that ran out of memory, or that could not read or write a file.

    Raises:
        SpecError: the cluster cannot give what one trial asks for.
    """
    started = time.perf_counter()
    with only_run(workspace.out) as alone:
        work = _Run(plan, workspace, resources, reporter, retries, alone)
        work.until_done()
    outcome = work.outcome
    outcome.written = sum(valid_row(workspace.out, cell) is not None for cell in plan.cells)
    outcome.stages_reused = sum(use.reused for use in work.ledger.uses.values())
    outcome.stages_computed = len(work.ledger.uses) - outcome.stages_reused
    outcome.seconds = time.perf_counter() - started
    return outcome


@dataclass
class _Run:
    """What the Ray sessions of one run share.

    Attributes:
        plan: the whole run; a session after a lost one gets what is left of it.
        alone: whether no other run into the folder is at work, whose rows may pay what none has paid yet.
        outcome: filled as the run goes on.
        ledger: how each shared stage came to be, likewise.
        owed: seconds of stages that earlier runs into the folder left unpaid.
        blocked: cells that rest on a stage which failed.
    """

    plan: Plan
    workspace: Workspace
    resources: Resources
    reporter: Reporter
    retries: int
    alone: bool
    outcome: Outcome = field(default_factory=Outcome)
    ledger: Ledger = field(init=False)
    owed: dict[str, float] = field(init=False)
    blocked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.workspace.out)
        self.owed = unpaid(self.ledger.spent, _uses(self.workspace.out)) if self.alone else {}

    def until_done(self) -> None:
        """Start Ray sessions until every cell has ended, the user stops the run, or too many sessions were lost."""
        outcome, finished = self.outcome, set[str]()
        for attempt in range(1, self.retries + 2):
            left = [cell for cell in self.plan.missing if cell.cell_id not in finished]
            if not left:
                break
            session = None
            try:
                with ray_session(self.resources) as session:
                    self.go(replace(self.plan, finished=self.plan.finished | finished), session)
            except KeyboardInterrupt:
                outcome.interrupted = session is None or not session.lost
            finished |= {cell.cell_id for cell in left if valid_row(self.workspace.out, cell)} | outcome.failed.keys()
            outcome.lost = session is not None and session.lost
            if not outcome.lost:
                outcome.interrupted |= any(cell.cell_id not in finished for cell in left)
                break
            self.reporter.session_lost(again=attempt <= self.retries)

    def go(self, plan: Plan, session: Session) -> None:
        """Stages, then cells, in one Ray session."""
        broken = run_stages(
            plan,
            self.workspace,
            self.resources,
            self.reporter,
            self.ledger,
            retries=self.retries,
            memory=session.memory,
        )
        faults = {cell.cell_id: fault for cell in plan.missing if (fault := _fault_below(cell, broken)) is not None}
        self.blocked |= faults.keys()
        self.reporter.cells_begin(len(plan.missing), len(plan.finished))
        for cell in plan.missing:
            if cell.cell_id in faults:
                fault = faults[cell.cell_id]
                self.outcome.failed[cell.cell_id] = fault.reason
                record_failure(cell, fault, self.workspace.out)
                self.reporter.cell_end(cell, None, 0.0, fault.reason)
        # Over the cells of all sessions, so that those of a later one do not pay a second time.
        payers = [cell for cell in self.plan.missing if cell.cell_id not in self.blocked]
        uses = attributed(payers, self.ledger.uses, self.owed)
        self._train([cell for cell in plan.missing if cell.cell_id not in faults], uses, session)

    def _train(self, cells: list[Cell], uses: dict[str, StageUse], session: Session) -> None:
        memory = min(self.plan.memory(*cells), session.memory)
        for attempt in range(1, self.retries + 2):
            if not cells:
                return
            on_end = _listener(self.reporter, self.outcome, last=attempt > self.retries)
            faults = run_cells(cells, uses, self.workspace, self.resources, on_end, attempt=attempt, memory=memory)
            if _stopped(cells, faults, self.workspace):
                return
            # Again when all others are done, and their memory is free.
            cells = [cell for cell in cells if cell.cell_id in faults and faults[cell.cell_id].passing]


def _uses(out: Path) -> Iterator[StageUse]:
    """Of all rows of the folder that are valid, this grid's and others."""
    for path in sorted((out / "rows").glob("*.json")):
        with suppress(RowError):
            yield from read_row(path).stages


def _fault_below(cell: Cell, broken: dict[str, Fault]) -> Fault | None:
    """Why the first of the cell's stages that failed did."""
    return next((broken[stage.key] for stage in in_order(cell.stages()) if stage.key in broken), None)


def _listener(reporter: Reporter, outcome: Outcome, *, last: bool) -> OnEnd:
    """Pass on how cells end; a failure that will be tried again is not an end."""

    def on_end(cell: Cell, result: dict[str, Any]) -> None:
        error = result.get("error")
        if error and result["fault"]["passing"] and not last:
            reporter.retry(cell.cell_id, error)
            return
        if error:
            outcome.failed[cell.cell_id] = error
        reporter.cell_end(cell, result.get("accuracy"), result.get("seconds", 0.0), error)

    return on_end


def _stopped(cells: Iterable[Cell], faults: dict[str, Fault], workspace: Workspace) -> bool:
    """Whether Tune returned before every cell had ended, which it does after Ctrl-C."""
    return any(cell.cell_id not in faults and valid_row(workspace.out, cell) is None for cell in cells)
