"""Executor on Ray: Ray Tune runs every stage and cell, on this machine or a cluster, in actors that are reused."""

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

_UNKNOWN = "nothing is known about its end"
_FIRST, _STEP = 1_200_000_000, 1.5
"""Bytes of the smallest request for memory, and the factor to the next larger one: conventions, see ``_asks``."""


@dataclass(frozen=True)
class OnRay:
    """Runs work by Ray Tune, on a cluster or on this machine.

    Args:
        resources: resources of one stage or cell.
        address: address of a running cluster, or None for this machine.
    """

    resources: Resources = field(default_factory=Resources)
    address: str | None = None

    def slots(self, session: Session) -> int:
        """See ``Executor.slots``; a cluster, whose nodes are not known yet, counts as one machine like this."""
        slots = (os.cpu_count() or 1) // self.resources.cpus
        if session.device != "cpu" and self.resources.gpus:
            import torch

            slots = min(slots, int(max(1, torch.cuda.device_count()) / self.resources.gpus))
        return max(1, slots)

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        """See ``Executor.run``; on each node, Ray runs only as much at once as fits by the estimates.

        Raises:
            SpecError: no cluster answers, or none of its nodes has the resources of a stage or cell.
            RunError: Ray could not start.
        """
        with ray_session(self.resources, self.address) as cluster:
            _Carrier(scheduler, session, memory, self.resources, cluster).run(shared=self.address is not None)
        if not scheduler.done:  # Tune returns normally after Ctrl-C
            raise KeyboardInterrupt


class _Carrier:
    """One run of Tune, in which every piece of work is a trial.

    Args:
        scheduler: hands out work and receives its ends.
        session: the session of the workers.
        memory: estimated bytes of a piece of work.
        resources: resources of one piece of work.
        cluster: the cluster that Tune runs on.
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
        # Trials by name instead of key, since restarted work is another trial for Tune.
        self._starts: Counter[str] = Counter()
        self._trials: dict[str, Stage] = {}
        self._outside: dict[tuple[str, ...], int] = {(): 0}
        self._plugins = cloudpickle.dumps(registered_by_hand())

    def run(self, *, shared: bool) -> None:
        """Run trials until the scheduler is done, or the user stops them.

        Args:
            shared: whether other machines take part, so that Tune's files must be in the run's folder.
        """
        # As many trials may wait for an actor as can run at once; more would be chosen before cells are ready.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(self._cluster.slots)
        with tempfile.TemporaryDirectory(prefix="bench-tune-") as scratch:
            storage = self._session.out / ".tune" if shared else Path(scratch)
            storage.mkdir(parents=True, exist_ok=True)
            results = _tuner(self, storage).fit()
            for result in (results[number] for number in range(len(results))):
                if result.error is not None:
                    self.died(Path(result.path).name, str(result.error))  # no actor started, so no callback was called

    def check_alive(self) -> None:
        """Stop a run if no node can continue it; Tune would wait for ever.

        Raises:
            ExecutorLost: no node can run a trial; the message says why.
        """
        if self._cluster.lost and not self._scheduler.done:
            raise self._cluster.lost

    @property
    def done(self) -> bool:
        """Whether no trial will follow."""
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
        # In the configuration instead of Ray's object store, whose objects are lost with their node, which ends Tune.
        job = cloudpickle.dumps(self._scheduler.job(work))
        return {"name": name, "asks": self._asks(work), "job": job, "plugins": self._plugins}

    def ended(self, name: str, end: str) -> None:
        """Pass on the end that a trial reported."""
        self._scheduler.ended(self._trials.pop(name), End.model_validate_json(end))

    def died(self, name: str, details: str) -> None:
        """Pass on the death of a trial's process; ``details`` is Ray's message."""
        # None if it is known already: Tune may report a death in a callback and again in its results.
        work = self._trials.pop(name, None)
        if work is not None:
            end = end_of_death(work, self._session, details)
            # If lost, its node may have died with it, which Ray knows only after some missed heartbeats.
            lost = end.fault is not None and end.fault.status == "lost"
            self._scheduler.ended(work, end.model_copy(update={"doubt": NODE_DEATH if lost else 0.0}))

    def _asks(self, work: Stage) -> dict[str, float]:
        """Return the resources that a trial requests.

        Memory rises in steps, since Tune reuses an actor for any trial with equal resources. Work that uses outside
        packages requests a byte less for each set of packages, so that it gets an actor of its own. A custom resource
        for each set would have to be declared on every node of a running cluster; a byte of memory changes no schedule.
        """
        gpus = self._resources.gpus if work.uses_gpu() else 0.0
        needed, memory = self._memory(work), 0.0
        if needed:
            memory = _FIRST
            while memory < needed:
                memory *= _STEP
            # A request for more than any node has would wait for ever; work that does not fit runs alone on a node.
            memory = min(memory, self._cluster.memory)
        number = self._outside.setdefault(packages_from_outside(work), len(self._outside))
        request = {"CPU": self._resources.cpus, "GPU": gpus, "memory": float(abs(int(memory) - number))}
        return {name: amount for name, amount in request.items() if amount}


def _tuner(carrier: _Carrier, storage: Path) -> Tuner:
    """Return the tuner that runs the carrier's trials."""
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
            # The scheduler handles retries, since it knows what may succeed the next time.
            failure_config=tune.FailureConfig(max_failures=0),
            # Nothing is ever restored from Tune's files, since the rows hold the results.
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _trial_name(trial: Any) -> str:
    return str(trial.config["name"])


def _trainable() -> type:
    """Return the class of Ray's workers, sent by value; it uses nothing of this package before ``find_package``."""
    from ray import tune

    home = bench.__file__

    def find_package() -> None:
        """Import the very package that the driver runs.

        Ray puts the driver's working directory first on the path, where a user's own bench.py or bench/ may lie.
        """
        import sys
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("bench", home)
        # On another node it may be elsewhere; there the usual import must find it.
        if "bench" not in sys.modules and Path(home).exists() and spec is not None and spec.loader is not None:
            sys.modules["bench"] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules["bench"])

    class Worker(tune.Trainable):
        """Does one piece of work per trial; the actor, its imports and its data set are reused for the next."""

        def setup(self, config: dict[str, Any]) -> None:
            find_package()
            from bench.plugins import register_again

            register_again(cloudpickle.loads(config["plugins"]))
            self._job = config["job"]

        def step(self) -> dict[str, Any]:
            from bench.engine.work import perform_as_worker

            end = perform_as_worker(**cloudpickle.loads(self._job))
            return {"done": True, "end": end.model_dump_json()}

        # Tune reuses the actor, with its imports and its data set, if this returns True.
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._job = new_config["job"]
            return True

    return Worker


def _searcher(carrier: _Carrier) -> Searcher:
    from ray.tune.search import Searcher

    class Feed(Searcher):
        """Suggests the next trial when Tune has room for one. Tune stores a copy of it, which needs no carrier."""

        carrier: Any = None

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def suggest(self, trial_id: str) -> Any:
            return Searcher.FINISHED if self.carrier.done else self.carrier.next()

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """Do nothing: the callback informs the carrier, with the error."""

        def save(self, checkpoint_path: str) -> None:
            """Do nothing: no run is restored from Tune's files."""

        def restore(self, checkpoint_path: str) -> None:
            """Do nothing, see ``save``."""

    feed = Feed()
    feed.carrier = carrier
    return feed


def _callback(carrier: _Carrier) -> Callback:
    from ray import tune

    class EndCallback(tune.Callback):
        """Passes on the end of a trial. Tune stores a copy of it, which needs no carrier."""

        carrier: Any = None

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
            self.carrier.check_alive()

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.carrier.ended(trial.config["name"], trial.last_result["end"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.carrier.died(trial.config["name"], _last_words(trial))

    callback = EndCallback()
    callback.carrier = carrier
    return callback


def _last_words(trial: Any) -> str:
    """Return Ray's message about a trial's end; it is in a local file before it is among the results."""
    with suppress(OSError, TypeError):
        return Path(trial.error_file).read_text()
    return trial.get_error() or _UNKNOWN
