"""The Ray session of a run: one on this machine, or a running cluster; noticing when all of it is gone."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from bench.engine.executors.base import Resources
from bench.engine.executors.ray_start import ray_started
from bench.errors import ExecutorLost, RunError, SpecError
from bench.registry import STRIPPED

_SETTINGS = {
    # Nothing is reported to anybody.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Relative paths of the user's mean the directory of the command.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # What later versions of Ray do anyway; until then it warns where this is not set.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_COLOR_PREFIX": "0",
    # No CSV, JSON and TensorBoard files for each trial: a large grid has tens of thousands of these.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune writes the state of all trials at each checkpoint, which nobody reads.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_LOOK = 3.0
"""Seconds between two looks for nodes that are alive."""
REJOINING = 60.0
"""Seconds that a cluster without a node that can run a trial gets to start one: autoscaling, a restarted machine."""
NODE_DEATH = 25.0
"""Seconds that Ray may take to notice that a node died: its workers are missed at once, the node after heartbeats."""


@dataclass
class RayCluster:
    """A Ray session in use.

    Attributes:
        memory: bytes that Ray hands out on the node that has most of them; more must not be asked for.
        slots: how many stages and cells its nodes can run at once, at the start.
        lost: why no node can run a trial any more; None while one can.
    """

    memory: int
    slots: int
    lost: ExecutorLost | None = None


def use_ray_settings() -> None:
    """Set the environment variables that Ray reads when it is imported, except those that the user set."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def ray_session(resources: Resources, address: str | None) -> Iterator[RayCluster]:
    """Open a Ray session: the caller's if one is up, else the cluster at the address, else one on this machine.

    The processes of a session on this machine end with this process, however it ends: the kernel kills Ray's servers,
    and a worker exits once it misses them. If the nodes die first, Ray would wait for others for ever; then the session
    is marked as lost.

    Raises:
        SpecError: no cluster answers, or none of its nodes has what a trial asks for.
        RunError: this Python drops docstrings, or Ray could not start.
    """
    if STRIPPED:
        raise RunError(
            "Ray does not work in a Python that drops docstrings (-OO, PYTHONOPTIMIZE=2); use -O or PYTHONOPTIMIZE=1."
        )
    use_ray_settings()
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a session that this process alone uses and ends
    import ray

    # Tune prints a traceback for each trial that is lost; the run records and reports it.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    own = not ray.is_initialized()
    with ray_started(address) if own else nullcontext(), _watched(resources, local=own and address is None) as cluster:
        yield cluster


def check_capacity(resources: Resources) -> RayCluster:
    """Refuse what no single node has: Ray would wait for it for ever.

    Returns:
        What the nodes that have as much give.

    Raises:
        SpecError: says what the nodes have, or that a trial asks for one and a half GPUs.
    """
    if resources.gpus > 1 and resources.gpus % 1:
        raise SpecError(f"--gpus-per-trial {resources.gpus:g} is not valid: a fraction of one GPU, or whole ones.")
    nodes = _alive_nodes()
    fitting = _fitting(nodes, resources)
    if fitting:
        slots = sum(_slots(node, resources) for node in fitting)
        return RayCluster(max(int(node.get("memory", 0)) for node in fitting), slots)
    raise SpecError(
        f"a trial asks for {resources.cpus} CPU(s) and {resources.gpus:g} GPU(s), but no node has as many: "
        f"{_found(nodes)}. Lower --cpus-per-trial or --gpus-per-trial."
    )


def _alive_nodes() -> list[dict[str, float]]:
    """Return the resources of each node that is alive."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _fitting(nodes: list[dict[str, float]], resources: Resources) -> list[dict[str, float]]:
    return [node for node in nodes if node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus]


def _found(nodes: list[dict[str, float]]) -> str:
    return "; ".join(f"{node.get('CPU', 0):g} CPU(s) and {node.get('GPU', 0):g} GPU(s)" for node in nodes) or "none"


def _slots(node: dict[str, float], resources: Resources) -> int:
    """Count the pieces of work that a node can run at once."""
    by_gpu = [int(node["GPU"] / resources.gpus)] if resources.gpus else []
    # The scarcer of both; at least 1, as rounding must not make a node that fits run nothing.
    return max(1, min([int(node["CPU"] / max(1, resources.cpus)), *by_gpu]))


@contextmanager
def _watched(resources: Resources, *, local: bool) -> Iterator[RayCluster]:
    """Watch the nodes that are up; they are marked as lost once none has been able to run a trial for a while.

    Args:
        resources: of a trial.
        local: whether Ray runs for this process alone: no node comes back then, but a fresh start brings one.
    """
    cluster, ended = check_capacity(resources), threading.Event()

    def watch() -> None:
        able = time.monotonic()
        while not ended.wait(_LOOK):
            try:
                alive = _alive_nodes()
            except Exception:  # Ray itself ends this process when its control service is gone for a minute
                continue
            now = time.monotonic()
            if _fitting(alive, resources):
                able = now
            elif now - able >= (_LOOK if local else REJOINING):
                cluster.lost = _loss(alive, resources, local=local)
                return

    watcher = threading.Thread(target=watch, name="bench-ray-watch", daemon=True)
    watcher.start()
    try:
        yield cluster
    finally:
        ended.set()
        watcher.join(_LOOK)  # Ray may not answer any more; it is a daemon


def _loss(alive: list[dict[str, float]], resources: Resources, *, local: bool) -> ExecutorLost:
    if local:
        died = "Ray's processes died (killed, out of memory?)"
        return ExecutorLost(f"{died}; the log of its raylet is below /tmp/ray")
    return ExecutorLost(
        f"for {REJOINING:.0f} s no node of the cluster has had the {resources.cpus} CPU(s) and {resources.gpus:g} "
        f"GPU(s) of a trial; alive: {_found(alive)}",
        final=True,
    )
