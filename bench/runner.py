"""Run a plan on Ray: shared stages first, each once, then the missing cells through Ray Tune."""

from __future__ import annotations

import logging
import os
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bench.cells import Cell
from bench.costs import attributed
from bench.errors import BenchError, RowError, SpecError
from bench.preflight import Plan, finished_cells
from bench.rows import StageUse
from bench.stages import Stage, in_order
from bench.trial import record_failure
from bench.workspace import Workspace

if TYPE_CHECKING:
    from ray.tune import Callback

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_LOST = "the trial's process was lost"


class Reporter(Protocol):
    """Who is told how a run goes on."""

    def stages_begin(self, total: int, reused: int) -> None: ...
    def stage_end(self, title: str, seconds: float, error: str | None) -> None: ...
    def cells_begin(self, total: int, finished: int) -> None: ...
    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None: ...


@dataclass(frozen=True)
class Resources:
    """What one trial gets, and which Ray cluster gives it.

    Attributes:
        cpus: CPUs of a stage or trial, which are also its threads.
        gpus: GPUs of a stage or trial; fractions pack several on one.
        address: of a running cluster, or None for one on this machine.
    """

    cpus: int = 1
    gpus: float = 0.0
    address: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended, read back from the rows.

    Attributes:
        written: cells of the plan that have a row now.
        failed: cell -> reason.
        interrupted: whether the user stopped the run.
        seconds: wall time.
    """

    written: int
    failed: dict[str, str]
    interrupted: bool
    seconds: float


class Failure(NamedTuple):
    """Why a stage failed, in one line and in full."""

    reason: str
    details: str


class StageEnd(NamedTuple):
    """How a stage ended: what it took, whether it was there already, and why it failed if it did."""

    seconds: float
    reused: bool
    failure: Failure | None = None


def run(plan: Plan, workspace: Workspace, resources: Resources, reporter: Reporter) -> Outcome:
    """Compute what is missing. Rows are the truth: what Ray says of a trial is progress, not a result.

    Raises:
        SpecError: the cluster cannot give what one trial asks for.
    """
    started = time.perf_counter()
    failed: dict[str, str] = {}
    interrupted = False
    if plan.missing:
        with _ray(resources):
            try:
                uses, broken = _run_stages(plan, workspace, resources, reporter)
                cells = _runnable(plan.missing, broken, failed, workspace, reporter)
                reporter.cells_begin(len(cells), len(plan.finished))
                uses = attributed(cells, uses)
                interrupted = _run_cells(cells, uses, workspace, resources, reporter, failed)
            except KeyboardInterrupt:
                interrupted = True
    written = sum(_has_row(cell, workspace) for cell in plan.cells)
    return Outcome(written, failed, interrupted, time.perf_counter() - started)


def use_ray_settings() -> None:
    """Set the environment variables that Ray reads when it is imported, except those that the user set."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def _ray(resources: Resources) -> Iterator[None]:
    """A Ray session: the caller's if one is up, else the cluster at the address, else one on this machine."""
    use_ray_settings()
    if resources.address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a session that this process alone uses and ends
    import ray

    if ray.is_initialized():
        _check_capacity(resources)
        yield
        return
    local = resources.address is None
    options: dict[str, Any] = {"include_dashboard": False}
    try:
        ray.init(
            address="local" if local else resources.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(options if local else {}),
        )
    except ConnectionError as error:
        raise SpecError(f"no Ray cluster answers at {resources.address!r}: {error}.") from error
    try:
        _check_capacity(resources)
        yield
    finally:
        ray.shutdown()


def _check_capacity(resources: Resources) -> None:
    """Refuse what no single node has: Ray would wait for it for ever."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus for node in nodes):
        return
    found = "; ".join(f"{node.get('CPU', 0):g} CPU(s) and {node.get('GPU', 0):g} GPU(s)" for node in nodes) or "none"
    raise SpecError(
        f"a trial asks for {resources.cpus} CPU(s) and {resources.gpus:g} GPU(s), but no node has as many: {found}. "
        "Lower --cpus-per-trial or --gpus-per-trial."
    )


def _run_stages(
    plan: Plan, workspace: Workspace, resources: Resources, reporter: Reporter
) -> tuple[dict[str, StageUse], dict[str, Failure]]:
    """Compute the stages that the store lacks; return how each came to be, and key -> why of those that failed."""
    import ray

    wanted = in_order([stage for cell in plan.missing for stage in cell.stages()])
    todo = plan.stages(workspace.store)
    new = {stage.key for stage in todo}
    uses = {
        stage.key: StageUse(kind=stage.kind, key=stage.key, seconds=workspace.store.seconds(stage), reused=True)
        for stage in wanted
        if stage.key not in new and stage in workspace.store
    }
    reporter.stages_begin(len(todo), len(uses))
    # No retries: what kills a process once (memory, a broken kernel) mostly kills it again.
    remote = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=0)(_stage_task)
    tasks: dict[str, Any] = {}
    waiting: dict[Any, Stage] = {}
    for stage in todo:
        inputs = [tasks[needed.key] for needed in stage.inputs() if needed.key in tasks]
        tasks[stage.key] = remote.remote(stage, workspace, *inputs)
        waiting[tasks[stage.key]] = stage
    broken: dict[str, Failure] = {}
    while waiting:
        for done in ray.wait(list(waiting), num_returns=1)[0]:
            stage = waiting.pop(done)
            try:
                end = StageEnd(*ray.get(done))
            except ray.exceptions.RayError as lost:
                end = StageEnd(0.0, False, Failure(f"{stage.title()}: the worker was lost", str(lost)))
            if end.failure is None:
                uses[stage.key] = StageUse(kind=stage.kind, key=stage.key, seconds=end.seconds, reused=end.reused)
            else:
                broken[stage.key] = end.failure
            reporter.stage_end(stage.title(), end.seconds, end.failure.reason if end.failure else None)
    return uses, broken


def _stage_task(stage: Stage, workspace: Workspace, *inputs: StageEnd) -> StageEnd:
    """Body of a Ray task."""
    upstream = next((end.failure for end in inputs if end.failure is not None), None)
    if upstream is not None:
        return StageEnd(0.0, False, upstream)
    from bench.compute import run_stage
    from bench.training.loop import prepare_torch

    prepare_torch(workspace.threads)
    try:
        artifact = run_stage(stage, workspace)
    except Exception as error:
        reason = f"{stage.title()}: {_one_line(error)}"
        return StageEnd(0.0, False, Failure(reason, traceback.format_exc()))
    return StageEnd(artifact.seconds, artifact.reused)


def _runnable(
    cells: list[Cell],
    broken: dict[str, Failure],
    failed: dict[str, str],
    workspace: Workspace,
    reporter: Reporter,
) -> list[Cell]:
    """The cells all of whose stages are there; the others are recorded and reported as failed."""
    runnable = []
    for cell in cells:
        failure = next((broken[stage.key] for stage in in_order(cell.stages()) if stage.key in broken), None)
        if failure is None:
            runnable.append(cell)
            continue
        failed[cell.cell_id] = failure.reason
        record_failure(cell, failure.reason, failure.details, workspace)
        reporter.cell_end(cell, None, 0.0, failure.reason)
    return runnable


def _run_cells(
    cells: list[Cell],
    uses: dict[str, StageUse],
    workspace: Workspace,
    resources: Resources,
    reporter: Reporter,
    failed: dict[str, str],
) -> bool:
    """Fan the cells out; return whether the user interrupted."""
    if not cells:
        return False
    from ray import tune

    by_id = {cell.cell_id: cell for cell in cells}
    ended: set[str] = set()

    def on_end(cell_id: str, result: dict[str, Any]) -> None:
        ended.add(cell_id)
        if result.get("error"):
            failed[cell_id] = result["error"]
        reporter.cell_end(by_id[cell_id], result.get("accuracy"), result.get("seconds", 0.0), result.get("error"))

    configs = []
    for cell in cells:
        rests_on = [uses[stage.key].model_dump() for stage in in_order(cell.stages()) if stage.key in uses]
        configs.append({"id": cell.cell_id, "cell": cell.model_dump_json(), "stages": rests_on})
    with tempfile.TemporaryDirectory(prefix="bench-tune-") as scratch:
        storage = workspace.out / ".tune" if resources.address else Path(scratch)
        storage.mkdir(parents=True, exist_ok=True)
        tuner = tune.Tuner(
            tune.with_resources(_trainable(), {"cpu": resources.cpus, "gpu": resources.gpus}),
            param_space={"trial": tune.grid_search(configs), "workspace": workspace.model_dump_json()},
            tune_config=tune.TuneConfig(
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                name="grid",
                storage_path=str(storage.resolve()),
                verbose=0,
                callbacks=[_callback(on_end)],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )
        results = tuner.fit()
        for result in (results[number] for number in range(len(results))):
            if result.error is not None:
                record_failure(by_id[Path(result.path).name], _LOST, str(result.error), workspace)
    for cell in cells:
        if cell.cell_id not in ended and _has_row(cell, workspace):
            ended.add(cell.cell_id)
    return len(ended) < len(cells)


def _trial_name(trial: Any) -> str:
    return str(trial.config["trial"]["id"])


def _trainable() -> type:
    from ray import tune

    class CellTrainable(tune.Trainable):
        """One cell per trial; the actor, its imports and its data set are used again for the next."""

        def setup(self, config: dict[str, Any]) -> None:
            self._config = config

        def step(self) -> dict[str, Any]:
            from bench.trial import attempt_cell

            trial = self._config["trial"]
            workspace = Workspace.model_validate_json(self._config["workspace"])
            uses = {item["key"]: StageUse(**item) for item in trial["stages"]}
            return {"done": True, **attempt_cell(Cell.model_validate_json(trial["cell"]), workspace, uses)}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._config = new_config
            return True

    return CellTrainable


def _callback(on_end: Any) -> Callback:
    from ray import tune

    class Ended(tune.Callback):
        """Passes the end of a trial on. Tune stores a copy of it, which needs no listener."""

        listener: Any = None

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.listener(trial.config["trial"]["id"], trial.last_result)

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.listener(trial.config["trial"]["id"], {"error": _LOST, "seconds": 0.0})

    callback = Ended()
    callback.listener = on_end
    return callback


def _has_row(cell: Cell, workspace: Workspace) -> bool:
    """A damaged row counts as none, and so does one by another version of the method."""
    with suppress(RowError):
        return bool(finished_cells(workspace.out, [cell]))
    return False


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if text and isinstance(error, BenchError) else f"{type(error).__name__}: {text}"
