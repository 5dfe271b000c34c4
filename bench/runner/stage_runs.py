"""Compute the shared stages that a run lacks, each as one Ray task that starts when its inputs are there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.errors import TimeLimit
from bench.grid.stages import Stage, in_order
from bench.runner.failures import Fault, fault_of, fault_of_death
from bench.runner.ledger import Ledger
from bench.runner.limits import end_process, limit_gpu_memory, mark_of, time_limit
from bench.runner.notes import collected
from bench.runner.preflight import Plan
from bench.runner.ray_session import Resources
from bench.runner.reporting import Reporter
from bench.runner.workspace import Workspace
from bench.store.cache import Busy, Store
from bench.underway import forget

_PAUSE = 2.0
"""Seconds until a stage that another run is computing is looked at again."""


class StageEnd(NamedTuple):
    """How a stage ended.

    Attributes:
        seconds: what it took to compute, whoever did; until it failed, as far as that is known.
        reused: whether it was there already.
        fault: why it failed, if it did.
        busy: another run is computing it.
        notes: what the user should know besides.
    """

    seconds: float = 0.0
    reused: bool = False
    fault: dict[str, Any] | None = None
    busy: bool = False
    notes: tuple[str, ...] = ()


class _Queue:
    """Stages that are not done, by key: those that wait for inputs, those that run, those that another run computes.

    Args:
        stages: inputs before users.
    """

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = {stage.key: stage for stage in stages}
        self.inputs = {stage.key: [needed.key for needed in stage.inputs()] for stage in stages}
        self.running: dict[Any, str] = {}
        self._missing = {key: {needed for needed in keys if needed in self.stages} for key, keys in self.inputs.items()}
        self._parked: dict[str, float] = {}

    @property
    def done(self) -> bool:
        return not (self._missing or self.running or self._parked)

    @property
    def pause(self) -> float | None:
        """Seconds until there may be something to start; None if only the end of a task can change that."""
        return _PAUSE if self._parked else None

    def startable(self) -> list[str]:
        """Take out what needs nothing more, and what was parked for long enough."""
        now = time.monotonic()
        ready = [key for key, missing in self._missing.items() if not missing]
        due = [key for key, since in self._parked.items() if now - since >= _PAUSE]
        for key in ready:
            del self._missing[key]
        for key in due:
            del self._parked[key]
        return ready + due

    def again(self, key: str) -> None:
        self._missing[key] = set()

    def park(self, key: str) -> None:
        self._parked[key] = time.monotonic()

    def finish(self, key: str) -> None:
        for missing in self._missing.values():
            missing.discard(key)


def run_stages(
    plan: Plan,
    workspace: Workspace,
    resources: Resources,
    reporter: Reporter,
    ledger: Ledger,
    *,
    retries: int,
    memory: int,
) -> dict[str, Fault]:
    """Compute what the store lacks.

    A task gets its CPUs and GPUs only when its inputs are stored, and gives them back at once if another run, with the
    same store, is computing its stage: nothing is held while something is waited for.

    Args:
        plan: whose missing cells need the stages.
        workspace: where.
        resources: of one task.
        reporter: told of every stage.
        ledger: of the run, which is filled as stages end.
        retries: how often a stage is tried again that may go well the next time.
        memory: bytes, the most that Ray hands out to one task.

    Returns:
        Key -> why, of the stages that failed or rest on one that did.
    """
    for title in _discard_damaged(plan, workspace.store):
        reporter.note(f"{title} was damaged in {workspace.cache} and is computed again")
    todo = _todo(plan, workspace.store, reporter, ledger)
    start = _starter(plan, workspace, resources, memory)
    return _Computing(_Queue(todo), start, workspace, reporter, ledger, retries).to_the_end()


@dataclass
class _Computing:
    """The stages of one run on their way, and what is told of them.

    Attributes:
        queue: of the stages.
        start: starts the task of a stage.
        workspace: where.
        reporter: told of every stage.
        ledger: filled as stages end.
        retries: see ``run_stages``.
        broken: key -> why, of what failed or rests on it.
        attempts: key -> how often it was tried.
        announced: keys that the user knows another run to be computing.
    """

    queue: _Queue
    start: Callable[[Stage], Any]
    workspace: Workspace
    reporter: Reporter
    ledger: Ledger
    retries: int
    broken: dict[str, Fault] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    announced: set[str] = field(default_factory=set)

    def to_the_end(self) -> dict[str, Fault]:
        """Until nothing is left to compute; returns ``broken``."""
        import ray

        queue = self.queue
        while not queue.done:
            for key in queue.startable():
                self._begin(key)
            if not queue.running:
                time.sleep(queue.pause or 0)
                continue
            for task in ray.wait(list(queue.running), num_returns=1, timeout=queue.pause)[0]:
                key = queue.running.pop(task)
                self._end(key, _result(task, queue.stages[key], self.workspace))
        return self.broken

    def _begin(self, key: str) -> None:
        upstream = next((self.broken[needed] for needed in self.queue.inputs[key] if needed in self.broken), None)
        if upstream is not None:
            self._fail(key, 0.0, upstream)
            return
        stage = self.queue.stages[key]
        self.ledger.begin(stage)
        self.queue.running[self.start(stage)] = key

    def _end(self, key: str, result: StageEnd) -> None:
        stage = self.queue.stages[key]
        for line in result.notes:
            self.reporter.note(line)
        if result.busy:
            self._park(key)
            return
        self.attempts[key] += 1
        if result.fault is None:
            self.ledger.ended(stage, result.seconds, stored=result.reused)
            self.queue.finish(key)
            self.reporter.stage_end(stage, result.seconds, reused=self.ledger.uses[key].reused)
            return
        fault = Fault(**{**result.fault, "attempts": self.attempts[key]})
        if fault.passing and self.attempts[key] <= self.retries:
            self.reporter.retry(stage.title(), fault.reason)
            self.queue.again(key)
        else:
            self._fail(key, result.seconds, fault)

    def _park(self, key: str) -> None:
        stage = self.queue.stages[key]
        self.ledger.refused(stage)
        self.queue.park(key)
        if key not in self.announced:
            self.announced.add(key)
            self.reporter.waiting(stage.title())

    def _fail(self, key: str, seconds: float, fault: Fault) -> None:
        self.broken[key] = fault
        self.queue.finish(key)
        self.reporter.stage_end(self.queue.stages[key], seconds, error=fault.reason)


def _todo(plan: Plan, store: Store, reporter: Reporter, ledger: Ledger) -> list[Stage]:
    """The stages to compute; ledger and reporter are told of those that the store has already."""
    todo = plan.stages(store)
    new = {stage.key for stage in todo}
    wanted = in_order([stage for cell in plan.missing for stage in cell.stages()])
    present = [stage for stage in wanted if stage.key not in new and stage in store]
    for stage in present:
        ledger.found(stage, store.seconds(stage))
    reporter.stages_begin(todo, present)
    return todo


def _starter(plan: Plan, workspace: Workspace, resources: Resources, memory: int) -> Callable[[Stage], Any]:
    """What starts the task of a stage and returns Ray's reference to its end; arguments as of ``run_stages``."""
    import ray

    # What kills a process once mostly kills it again, so Ray's own three retries are replaced by those of the run.
    # A worker of a task that is declared with a GPU ends with it, and gives the GPU's memory back.
    without_gpu = ray.remote(num_cpus=resources.cpus, max_retries=0)(_stage_task)
    with_gpu = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=0)(_stage_task)
    # A task that asked for no GPU must not open one, for an input that has gone missing, say.
    on_cpu = workspace.model_copy(update={"device": "cpu"})

    def start(stage: Stage) -> Any:
        remote, place = (with_gpu, workspace) if stage.uses_gpu() else (without_gpu, on_cpu)
        # Ray runs no more at once than fit together by the estimates; the largest may run alone.
        return remote.options(memory=min(plan.memory(stage), memory) or None).remote(stage, place)

    return start


def _discard_damaged(plan: Plan, store: Store) -> list[str]:
    """Take stages that are needed and damaged out of the store, so that none is left to a trial to compute.

    Returns:
        Their titles.
    """
    checked: dict[Stage, bool] = {}
    damaged = []

    def whole(stage: Stage) -> bool:
        if stage not in checked:
            discarded = store.discard_damaged(stage)
            damaged.extend([stage.title()] if discarded else [])
            checked[stage] = stage in store
        return checked[stage]

    in_order([stage for cell in plan.missing for stage in cell.stages()], whole)
    return damaged


def _result(task: Any, stage: Stage, workspace: Workspace) -> StageEnd:
    """The task's own report, or what can be told of one whose process died."""
    import ray

    try:
        return StageEnd(*ray.get(task))
    except ray.exceptions.RayError as error:
        forget(workspace.out, stage.key)
        mark = mark_of(stage.key, workspace.out)
        fault = fault_of_death(mark, str(error), limit=workspace.time_limit, stage=stage.title())
        return StageEnd(fault.seconds, fault=fault.model_dump())


def _stage_task(stage: Stage, workspace: Workspace) -> StageEnd:
    """Body of a Ray task."""
    from bench.runner.compute import run_stage
    from bench.training.precision import prepare_torch

    prepare_torch(workspace.threads)
    mark = mark_of(stage.key, workspace.out)
    try:
        limit_gpu_memory(workspace.gpu_share, workspace.device)
        with collected() as notes, time_limit(workspace.time_limit, mark):
            artifact = run_stage(stage, workspace.model_copy(update={"wait": False}))
    except Busy:
        return StageEnd(busy=True)
    except TimeLimit as error:
        end_process(fault_of(error, stage.title()).model_dump_json(), mark)
    except Exception as error:
        return StageEnd(fault=fault_of(error, stage.title()).model_dump())
    return StageEnd(artifact.seconds, artifact.reused, notes=tuple(notes))
