"""Work on Ray: Ray Tune carries every stage and cell, on this machine or a cluster, in actors that are used again."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

import bench
from bench.engine.executors.base import Resources
from bench.engine.executors.ray_cluster import NODE_DEATH, RayCluster, ray_session
from bench.engine.scheduler import Scheduler
from bench.engine.work import End, end_of_death, packages_from_outside
from bench.plugins import registered_by_hand
from bench.stages.base import Stage
from bench.stages.session import Session

if TYPE_CHECKING:
    from ray.tune import Callback, Tuner
    from ray.tune.search import Searcher

_UNKNOWN = "nothing is known of its end"
_FIRST, _STEP = 1_200_000_000, 1.5
"""Bytes of the smallest request for memory, and how many times as much the next one is: conventions, see ``_asks``."""


@dataclass(frozen=True)
class OnRay:
    """Ray Tune on a cluster, or on one machine where no address is given.

    Args:
        resources: of one stage or cell.
        address: of a running cluster, or None for one on this machine.
    """

    resources: Resources = field(default_factory=Resources)
    address: str | None = None

    def slots(self, session: Session) -> int:
        """See ``Executor.slots``; a cluster's nodes are not known before it is asked, and count as one like this."""
        slots = (os.cpu_count() or 1) // self.resources.cpus
        if session.device != "cpu" and self.resources.gpus:
            import torch

            slots = min(slots, int(max(1, torch.cuda.device_count()) / self.resources.gpus))
        return max(1, slots)

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        """See ``Executor.run``; Ray runs no more at once on a node than fit by the estimates.

        Raises:
            SpecError: no cluster answers, or none of its nodes has what a stage or cell asks for.
            RunError: Ray could not start.
        """
        with ray_session(self.resources, self.address) as cluster:
            _Carrier(scheduler, session, memory, self.resources, cluster).run(shared=self.address is not None)
        if not scheduler.done:  # Tune returns without a word after Ctrl-C
            raise KeyboardInterrupt


class _Carrier:
    """One run of Tune, in which every piece of work is a trial.

    Args:
        scheduler: hands out work and is told of ends.
        session: where the workers find everything.
        memory: estimated bytes of a piece of work.
        resources: of one piece of work.
        cluster: on which Tune runs.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        session: Session,
        memory: Callable[[Stage], int],
        resources: Resources,
        cluster: RayCluster,
    ) -> None:
        self._scheduler, self._session, self._memory = scheduler, session, memory
        self._resources, self._cluster = resources, cluster
        # Trials by name and not by key: work that is started again is another trial for Tune.
        self._starts: Counter[str] = Counter()
        self._trials: dict[str, Stage] = {}
        self._outside: dict[tuple[str, ...], int] = {(): 0}
        self._plugins = cloudpickle.dumps(registered_by_hand())

    def run(self, *, shared: bool) -> None:
        """Run trials until the scheduler is done, or the user stops them.

        Args:
            shared: whether other machines take part, so that Tune's files must lie in the run's folder.
        """
        # As many trials may wait for an actor as can run at once: more would be chosen before cells are ready.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self._cluster.slots)
        with tempfile.TemporaryDirectory(prefix="bench-tune-") as scratch:
            storage = self._session.out / ".tune" if shared else Path(scratch)
            storage.mkdir(parents=True, exist_ok=True)
            results = _tuner(self, storage).fit()
            for result in (results[number] for number in range(len(results))):
                if result.error is not None:
                    self.died(Path(result.path).name, str(result.error))  # no actor started, which no callback tells

    def check_alive(self) -> None:
        """Stop a run that no node can go on with; Tune would wait for ever.

        Raises:
            ExecutorLost: says why.
        """
        if self._cluster.lost and not self._scheduler.done:
            raise self._cluster.lost

    @property
    def done(self) -> bool:
        """Say whether no trial will follow."""
        return self._scheduler.done

    def next(self) -> dict[str, Any] | None:
        """Return the configuration of the next trial, or None if there is none now."""
        work = self._scheduler.next()
        if work is None:
            return None
        self._starts[work.key] += 1
        again = self._starts[work.key]
        name = work.key if again == 1 else f"{work.key}-{again}"
        self._trials[name] = work
        # In the configuration, not in Ray's object store: what lies there is lost with its node, and takes Tune along.
        job = cloudpickle.dumps(self._scheduler.job(work))
        return {"name": name, "asks": self._asks(work), "job": job, "plugins": self._plugins}

    def ended(self, name: str, end: str) -> None:
        """Take the end that a trial reported."""
        self._scheduler.ended(self._trials.pop(name), End.model_validate_json(end))

    def died(self, name: str, details: str) -> None:
        """Take note that a trial's process died; ``details`` are Ray's."""
        # None where it was told already: Tune may name a death in a callback and again in its results.
        work = self._trials.pop(name, None)
        if work is not None:
            end = end_of_death(work, self._session, details)
            # Without a word: whether its node died with it is known only after Ray has missed some heartbeats.
            lost = end.fault is not None and end.fault.status == "lost"
            self._scheduler.ended(work, end.model_copy(update={"doubt": NODE_DEATH if lost else 0.0}))

    def _asks(self, work: Stage) -> dict[str, float]:
        """Return a trial's resources. Memory goes up in steps, since an actor is used again for what asks for the same.

        What other packages from outside take part in asks for a byte less, so that it gets an actor of its own: Tune
        uses an actor again for any trial whose resources are equal, and looks at nothing else. A custom resource of a
        name for each set of packages would have to be declared on every node of a cluster that is already up; a byte
        of memory is on all of them, and no schedule changes by it.
        """
        gpus = self._resources.gpus if work.uses_gpu() else 0.0
        needed, memory = self._memory(work), 0.0
        if needed:
            memory = _FIRST
            while memory < needed:
                memory *= _STEP
            # More than any node has would wait for ever; what does not fit runs alone on a node instead.
            memory = min(memory, self._cluster.memory)
        number = self._outside.setdefault(packages_from_outside(work), len(self._outside))
        asked = {"CPU": self._resources.cpus, "GPU": gpus, "memory": float(abs(int(memory) - number))}
        return {name: amount for name, amount in asked.items() if amount}


def _tuner(carrier: _Carrier, storage: Path) -> Tuner:
    """Build what runs the trials that the carrier names."""
    from ray import tune

    return tune.Tuner(
        tune.with_resources(_trainable(), lambda config: tune.PlacementGroupFactory([config["asks"]])),
        tune_config=tune.TuneConfig(
            search_alg=_searcher(carrier),
            num_samples=-1,  # as many as the searcher names
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="grid",
            storage_path=str(storage.resolve()),
            verbose=0,
            callbacks=[_callback(carrier)],
            # Retries are the scheduler's, which knows what may go well the next time.
            failure_config=tune.FailureConfig(max_failures=0),
            # Rows are the truth: nothing is ever restored from Tune's files.
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _trial_name(trial: Any) -> str:
    return str(trial.config["name"])


def _trainable() -> type:
    """Build the class of Ray's workers, sent by value: it names nothing of this package before ``find_package``."""
    from ray import tune

    home = bench.__file__

    def find_package() -> None:
        """Import the very package that the driver runs.

        Ray puts the driver's working directory first on the path, where a user's own bench.py or bench/ may lie.
        """
        import sys
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("bench", home)
        # Another node may have it elsewhere; there the path must do.
        if "bench" not in sys.modules and Path(home).exists() and spec is not None and spec.loader is not None:
            sys.modules["bench"] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules["bench"])

    class Worker(tune.Trainable):
        """One piece of work per trial; the actor, its imports and its data set are used again for the next."""

        def setup(self, config: dict[str, Any]) -> None:
            find_package()
            from bench.plugins import register_again

            register_again(cloudpickle.loads(config["plugins"]))
            self._job = config["job"]

        def step(self) -> dict[str, Any]:
            from bench.engine.work import perform_as_worker

            end = perform_as_worker(**cloudpickle.loads(self._job))
            return {"done": True, "end": end.model_dump_json()}

        # True: Tune then uses the actor, with its imports and its data set, for the next trial.
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._job = new_config["job"]
            return True

    return Worker


def _searcher(carrier: _Carrier) -> Searcher:
    from ray.tune.search import Searcher

    class Feed(Searcher):
        """Names the next trial when Tune has room for one. Tune stores a copy of it, which needs no carrier."""

        carrier: Any = None

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def suggest(self, trial_id: str) -> Any:
            return Searcher.FINISHED if self.carrier.done else self.carrier.next()

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """Do nothing: the callback tells the carrier, with the error."""

        def save(self, checkpoint_path: str) -> None:
            """Do nothing: rows are the truth, and no run is restored from Tune's files."""

        def restore(self, checkpoint_path: str) -> None:
            """Do nothing, see ``save``."""

    feed = Feed()
    feed.carrier = carrier
    return feed


def _callback(carrier: _Carrier) -> Callback:
    from ray import tune

    class Ends(tune.Callback):
        """Passes the end of a trial on. Tune stores a copy of it, which needs no carrier."""

        carrier: Any = None

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
            self.carrier.check_alive()

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.carrier.ended(trial.config["name"], trial.last_result["end"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.carrier.died(trial.config["name"], _last_words(trial))

    callback = Ends()
    callback.carrier = carrier
    return callback


def _last_words(trial: Any) -> str:
    """Read Ray's account of a trial's end. Tune has it in a file on this machine before it is where the results go."""
    with suppress(OSError, TypeError):
        return Path(trial.error_file).read_text()
    return trial.get_error() or _UNKNOWN
