"""The Ray session of a run: one on this machine, or a running cluster; noticing when all of it is gone."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.engine.executors.base import Resources
from bench.errors import RunError, SpecError
from bench.registry import STRIPPED

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_COLOR_PREFIX": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_LOOK = 3.0
"""Seconds between two looks for nodes that are alive."""
NODE_DEATH = 25.0
"""Seconds that Ray may take to notice that a node died: its workers are missed at once, the node after heartbeats."""


@dataclass
class RayCluster:
    """A Ray session in use.

    Attributes:
        memory: bytes that Ray hands out on the node that has most of them; more must not be asked for.
        slots: how many stages and cells its nodes can run at once, at the start.
        lost: whether no node is alive any more.
    """

    memory: int
    slots: int
    lost: bool = False


def use_ray_settings() -> None:
    """Set the environment variables that Ray reads when it is imported, except those that the user set."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def ray_session(resources: Resources, address: str | None) -> Iterator[RayCluster]:
    """A Ray session: the caller's if one is up, else the cluster at the address, else one on this machine.

    The processes of a session on this machine end with this process, however it ends: the kernel kills Ray's servers,
    and a worker exits once it misses them. If the nodes die first, Ray would wait for others for ever; then the block
    is interrupted (``KeyboardInterrupt``) and the session marked as lost.

    Raises:
        SpecError: no cluster answers, or none of its nodes has what a trial asks for.
        RunError: this Python drops docstrings.
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
    if ray.is_initialized():
        with _watched(check_capacity(resources)) as session:
            yield session
        return
    local = address is None
    options: dict[str, Any] = {"include_dashboard": False}
    try:
        ray.init(
            address="local" if local else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(options if local else {}),
        )
    except ConnectionError as error:
        raise SpecError(f"no Ray cluster answers at {address!r}: {error}.") from error
    except Exception as error:  # Ray raises plain exceptions where its servers do not come up in time
        reason = " ".join(str(error).split())
        raise RunError(
            f"Ray could not start ({reason}). Is the machine overloaded, or its disk full? Rows that are written stay; "
            "the same command runs what is missing."
        ) from error
    try:
        with _stoppable(), _watched(check_capacity(resources)) as session:
            yield session
    finally:
        ray.shutdown()


def check_capacity(resources: Resources) -> RayCluster:
    """Refuse what no single node has: Ray would wait for it for ever.

    Returns:
        What the nodes that have as much give.

    Raises:
        SpecError: says what the nodes have, or that a trial asks for one and a half GPUs.
    """
    import ray

    if resources.gpus > 1 and resources.gpus % 1:
        raise SpecError(f"--gpus-per-trial {resources.gpus:g} is not valid: a fraction of one GPU, or whole ones.")
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fitting = [node for node in nodes if node.get("CPU", 0) >= resources.cpus and node.get("GPU", 0) >= resources.gpus]
    if fitting:
        slots = sum(_slots(node, resources) for node in fitting)
        return RayCluster(max(int(node.get("memory", 0)) for node in fitting), slots)
    found = "; ".join(f"{node.get('CPU', 0):g} CPU(s) and {node.get('GPU', 0):g} GPU(s)" for node in nodes) or "none"
    raise SpecError(
        f"a trial asks for {resources.cpus} CPU(s) and {resources.gpus:g} GPU(s), but no node has as many: {found}. "
        "Lower --cpus-per-trial or --gpus-per-trial."
    )


def _slots(node: dict[str, float], resources: Resources) -> int:
    """How many pieces of work a node can run at once."""
    by_gpu = [int(node["GPU"] / resources.gpus)] if resources.gpus else []
    return max(1, min([int(node["CPU"] / max(1, resources.cpus)), *by_gpu]))


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGINT interrupt the block, and SIGTERM, which a batch system sends before it kills, do the same.

    A script that starts a command in the background makes it ignore SIGINT; then neither SIGTERM nor a lost session
    could end it. Ray's own handler of SIGTERM would just exit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGINT] is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watched(session: RayCluster) -> Iterator[RayCluster]:
    import ray

    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK):
            try:
                alive = any(node["Alive"] for node in ray.nodes())
            except Exception:  # Ray itself ends this process when its control service is gone for a minute
                continue
            if not alive and not ended.is_set():
                session.lost = True
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=watch, name="bench-ray-watch", daemon=True)
    watcher.start()
    try:
        yield session
    finally:
        ended.set()
        watcher.join(_LOOK)  # Ray may not answer any more; it is a daemon
