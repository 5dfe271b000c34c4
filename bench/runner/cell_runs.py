"""Fan cells out over Ray Tune: one trial per cell, in actors that are used again for the next."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.grid.cells import Cell
from bench.grid.stages import in_order
from bench.results.rows import StageUse
from bench.runner.failures import Fault, fault_of_death, record_failure
from bench.runner.limits import end_process, mark_of
from bench.runner.ray_session import Resources
from bench.runner.resume import valid_row
from bench.runner.workspace import Workspace
from bench.underway import forget

if TYPE_CHECKING:
    from ray.tune import Callback, Tuner

_UNKNOWN = "nothing is known of its end"
OnEnd = Callable[[Cell, dict[str, Any]], None]


def run_cells(
    cells: list[Cell],
    uses: dict[str, StageUse],
    workspace: Workspace,
    resources: Resources,
    on_end: OnEnd,
    *,
    attempt: int = 1,
    memory: int = 0,
) -> dict[str, Fault]:
    """Run every cell once; return why those failed that did. After Ctrl-C, Tune returns early without a word.

    Args:
        cells: at least one.
        uses: key -> how the shared stages came to be.
        workspace: where.
        resources: of one trial.
        on_end: told of every cell that ended, with what ``attempt_cell`` returns.
        attempt: which try this is.
        memory: bytes of a trial; Ray runs no more trials at once than fit on a node.
    """
    ends = _Ends({cell.cell_id: cell for cell in cells}, workspace, on_end, attempt)
    with tempfile.TemporaryDirectory(prefix="bench-tune-") as scratch:
        storage = workspace.out / ".tune" if resources.address else Path(scratch)
        storage.mkdir(parents=True, exist_ok=True)
        asked = {"cpu": resources.cpus, "gpu": resources.gpus, "memory": memory}
        space = {"trial": _trials(cells, uses, attempt), "workspace": workspace.model_dump_json()}
        results = _tuner(space, asked, storage, _callback(ends.ended, ends.died)).fit()
        for result in (results[number] for number in range(len(results))):
            cell_id = Path(result.path).name
            if result.error is not None and cell_id not in ends.faults:
                ends.died(cell_id, str(result.error))  # no actor could be started for it, which no callback tells
    return ends.faults


class _Ends:
    """How cells end.

    Args:
        cells: by identity.
        workspace: where.
        on_end: see ``run_cells``.
        attempt: see ``run_cells``.

    Attributes:
        faults: identity -> why, of the cells that failed.
    """

    def __init__(self, cells: dict[str, Cell], workspace: Workspace, on_end: OnEnd, attempt: int) -> None:
        self._cells, self._workspace, self._on_end, self._attempt = cells, workspace, on_end, attempt
        self.faults: dict[str, Fault] = {}

    def ended(self, cell_id: str, result: dict[str, Any]) -> None:
        """A trial reported ``result``, what ``attempt_cell`` returns."""
        if result.get("error"):
            self.faults[cell_id] = Fault.model_validate(result["fault"])
        self._on_end(self._cells[cell_id], result)

    def died(self, cell_id: str, details: str) -> None:
        """A trial's process died; ``details`` are Ray's."""
        cell, out = self._cells[cell_id], self._workspace.out
        forget(out, cell_id, cell.selection().key)
        row = valid_row(out, cell)
        if row is not None:  # it had done all but report it
            self.ended(cell_id, {"accuracy": row.accuracy, "seconds": 0.0})
            return
        fault = fault_of_death(mark_of(cell_id, out), details, limit=self._workspace.time_limit)
        fault = fault.model_copy(update={"attempts": self._attempt})
        record_failure(cell, fault, out)
        self.ended(cell_id, {"error": fault.reason, "fault": fault.model_dump(), "seconds": fault.seconds})


def _trials(cells: list[Cell], uses: dict[str, StageUse], attempt: int) -> dict[str, Any]:
    """One trial for each cell, as Tune has it."""
    from ray import tune

    configs = []
    for cell in cells:
        rests_on = [uses[stage.key].model_dump() for stage in in_order(cell.stages()) if stage.key in uses]
        configs.append({"id": cell.cell_id, "cell": cell.model_dump_json(), "stages": rests_on, "attempt": attempt})
    return tune.grid_search(configs)


def _tuner(space: dict[str, Any], asked: dict[str, float], storage: Path, callback: Callback) -> Tuner:
    """What runs the trials.

    Args:
        space: Tune's parameters of the trials.
        asked: resources of one trial; what is 0 is not asked for.
        storage: folder for what Tune writes.
        callback: told of ends.
    """
    from ray import tune

    return tune.Tuner(
        tune.with_resources(_trainable(), {name: amount for name, amount in asked.items() if amount}),
        param_space=space,
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="grid",
            storage_path=str(storage.resolve()),
            verbose=0,
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _trial_name(trial: Any) -> str:
    return str(trial.config["trial"]["id"])


def _trainable() -> type:
    from ray import tune

    class CellTrainable(tune.Trainable):
        """One cell per trial; the actor, its imports and its data set are used again for the next."""

        def setup(self, config: dict[str, Any]) -> None:
            self._config = config

        def step(self) -> dict[str, Any]:
            from bench.runner.trial import attempt_cell

            trial = self._config["trial"]
            workspace = Workspace.model_validate_json(self._config["workspace"])
            uses = {item["key"]: StageUse(**item) for item in trial["stages"]}
            cell = Cell.model_validate_json(trial["cell"])
            result = attempt_cell(cell, workspace, uses, attempt=trial["attempt"])
            broken = workspace.device != "cpu" and not _release_gpu()
            fault = result.get("fault", {})
            if broken or fault.get("status") == "time-limit":
                words = json.dumps({**fault, "seconds": result["seconds"]})
                end_process(words, mark_of(cell.cell_id, workspace.out))
            return {"done": True, **result}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._config = new_config
            return True

    return CellTrainable


def _callback(ended: Callable[[str, dict[str, Any]], None], died: Callable[[str, str], None]) -> Callback:
    from ray import tune

    class Listener(tune.Callback):
        """Passes the end of a trial on. Tune stores a copy of it, which needs no listeners."""

        ended: Any = None
        died: Any = None

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.ended(trial.config["trial"]["id"], trial.last_result)

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.died(trial.config["trial"]["id"], _last_words(trial))

    callback = Listener()
    callback.ended, callback.died = ended, died
    return callback


def _last_words(trial: Any) -> str:
    """Ray's account of a trial's end. Tune has it in a file on this machine before it is where the results go."""
    with suppress(OSError, TypeError):
        return Path(trial.error_file).read_text()
    return trial.get_error() or _UNKNOWN


def _release_gpu() -> bool:
    """Give back what torch keeps of the GPU's memory: a neighbour on the same GPU may need it.

    Returns:
        Whether the GPU answers: after some errors it never does in this process, and every later cell would fail.
    """
    import torch

    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except (RuntimeError, AssertionError):  # the latter is what a torch without CUDA says
        return False
    return True
