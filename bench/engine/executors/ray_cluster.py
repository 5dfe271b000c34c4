"""The Ray session of a run, on this machine or a running cluster, with a watch for its loss."""

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
    # No usage statistics are sent.
    "RAY_USAGE_STATS_ENABLED": "0",
    # The user's relative paths are relative to the directory of the command.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The default of later versions of Ray; earlier ones warn unless it is set.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_COLOR_PREFIX": "0",
    # No CSV, JSON and TensorBoard files for each trial, of which a large grid has tens of thousands.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune writes the state of all trials at each checkpoint, which is never read.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_LOOK = 3.0
"""Seconds between two checks for nodes that are alive."""
REJOINING = 60.0
"""Seconds that a cluster gets to start a node that can run a trial, by autoscaling or a restarted machine."""
NODE_DEATH = 25.0
"""Seconds in which Ray notices the death of a node: it misses workers at once, the node after some heartbeats."""


@dataclass
class RayCluster:
    """A Ray session in use.

    Attributes:
        memory: bytes that Ray offers on the node that has most; no trial may request more.
        slots: number of stages and cells that its nodes can run at once, at the start.
        lost: reason why no node can run a trial any more; None while one can.
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
    """Open a Ray session: the caller's if there is one, else the cluster at the address, else one on this machine.

    The processes of a session on this machine end with this process, however it ends: the kernel kills Ray's servers,
    and workers exit without them. If the nodes die first, Ray would wait for others for ever; the session is then
    marked as lost.

    Raises:
        SpecError: no cluster answers, or none of its nodes has the resources of a trial.
        RunError: this Python drops docstrings, or Ray could not start.
    """
    if STRIPPED:
        raise RunError(
            "Ray does not work in a Python that drops docstrings (-OO, PYTHONOPTIMIZE=2); use -O or PYTHONOPTIMIZE=1."
        )
    use_ray_settings()
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # only this process uses the session, and ends it
    import ray

    # Tune prints a traceback for each lost trial, which the run records and reports itself.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    starts_ray = not ray.is_initialized()
    local = starts_ray and address is None
    with ray_started(address) if starts_ray else nullcontext(), _watched(resources, local=local) as cluster:
        yield cluster


def check_capacity(resources: Resources) -> RayCluster:
    """Refuse resources that no single node has, for which Ray would wait for ever.

    Returns:
        The cluster, with the memory and slots of the nodes that have the resources.

    Raises:
        SpecError: no node has the resources, or a trial requests one and a half GPUs.
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
        f"{_listed(nodes)}. Lower --cpus-per-trial or --gpus-per-trial."
    )


def _alive_nodes() -> list[dict[str, float]]:
    """Return the resources of each node that is alive."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _fitting(nodes: list[dict[str, float]], resources: Resources) -> list[dict[str, float]]:
    return [node for node in nodes if node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus]


def _listed(nodes: list[dict[str, float]]) -> str:
    return "; ".join(f"{node.get('CPU', 0):g} CPU(s) and {node.get('GPU', 0):g} GPU(s)" for node in nodes) or "none"


def _slots(node: dict[str, float], resources: Resources) -> int:
    """Return the number of pieces of work that a node can run at once."""
    by_gpu = [int(node["GPU"] / resources.gpus)] if resources.gpus else []
    # The scarcer of both; at least 1, since rounding must not make a node that fits run nothing.
    return max(1, min([int(node["CPU"] / max(1, resources.cpus)), *by_gpu]))


@contextmanager
def _watched(resources: Resources, *, local: bool) -> Iterator[RayCluster]:
    """Watch the nodes, and mark the cluster as lost once none has been able to run a trial for a while.

    Args:
        resources: resources of a trial.
        local: whether Ray runs for this process alone: then no node comes back, but starting again brings one.
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
        watcher.join(_LOOK)  # without waiting for ever, since Ray may no longer answer


def _loss(alive: list[dict[str, float]], resources: Resources, *, local: bool) -> ExecutorLost:
    if local:
        died = "Ray's processes died (killed, out of memory?)"
        return ExecutorLost(f"{died}; the log of its raylet is below /tmp/ray")
    return ExecutorLost(
        f"for {REJOINING:.0f} s no node of the cluster has had the {resources.cpus} CPU(s) and {resources.gpus:g} "
        f"GPU(s) of a trial; alive: {_listed(alive)}",
        final=True,
    )
