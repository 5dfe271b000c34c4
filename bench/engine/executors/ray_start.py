"""Starting Ray, or connecting to a cluster, in a way that a signal can interrupt at any moment."""

from __future__ import annotations

import logging
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from bench.errors import BenchError, RunError, SpecError
from bench.interruption import interrupt

STARTING = 1_500_000_000
"""Bytes of address space that Ray takes in this process: measured 1.39 GB (n = 2, 2 CPUs, 2026-11-28)."""
SMALL_STORE = 200_000_000
"""Bytes of Ray's object store, which holds no data set, if address space is limited: every process maps the store, and
Ray's default is a third of all memory."""
_LOOK = 0.01
"""Seconds between two checks whether Ray has started, each of which takes SIGTERM back from Ray's C++ code."""
_THREAD = "bench-ray"
_PATIENCE = 10.0
"""Seconds that a Ray which did not start gets to shut down."""


@contextmanager
def ray_started(address: str | None) -> Iterator[None]:
    """Run Ray on this machine, or use the cluster at the address, during the block.

    Ray gets a thread of its own, since it waits for its servers in C++ code, during which Python handles no signal. The
    kernel ends Ray's servers with the thread that started them, so that thread lives as long as they do.

    Raises:
        SpecError: no cluster answers.
        RunError: Ray could not start.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    limited = limit != resource.RLIM_INFINITY
    if limited:
        _check_address_space(limit)
    options: dict[str, Any] = {"address": address or "local", "log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": SMALL_STORE if limited else None}
    up, over, failures = threading.Event(), threading.Event(), list[BaseException]()

    def live() -> None:
        import ray

        try:
            ray.init(**options)
        # SystemExit too: an error that ends only this thread would leave the driver waiting for ever.
        except BaseException as error:
            failures.append(error)
        up.set()
        # The thread must stay: the kernel ends Ray's servers with the thread that started them.
        over.wait()
        ray.shutdown()

    thread = threading.Thread(target=live, name=_THREAD, daemon=True)
    with _sigterm_interrupts() as keep:
        try:
            thread.start()
            while not up.wait(_LOOK):
                keep()
            keep()
            if failures:
                raise _refusal(failures[0], address, limit if limited else None) from failures[0]
            yield
        finally:
            over.set()
            # A Ray that has started gets the time that it needs to shut down; one that hangs in its start does not.
            thread.join(None if up.is_set() and not failures else _PATIENCE)


def _refusal(error: BaseException, address: str | None, limit: int | None) -> BenchError:
    """Return an error for the user; if its servers do not start, Ray raises exceptions, some without a message."""
    reason = " ".join(str(error).split()).removesuffix(".") or type(error).__name__
    if isinstance(error, ConnectionError):
        return SpecError(f"no Ray cluster answers at {address!r}: {reason}.")
    limited = "" if limit is None else f", its address space too small (ulimit -v {limit // 1024})"
    return RunError(
        f"Ray could not start ({reason}). Is the machine overloaded, its disk full{limited}? Rows that are written "
        "stay; the same command runs what is missing. --executor local needs no Ray."
    )


def _check_address_space(limit: int) -> None:
    """Refuse a limit (``ulimit -v``, ``h_vmem`` of a batch system) at which Ray's C++ code would crash or hang.

    Raises:
        RunError: the limit is too low.
    """
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    if limit - used < STARTING:
        raise RunError(
            f"Ray needs {STARTING / 1e9:.1f} GB of address space besides the {used / 1e9:.1f} GB that this process "
            f"has, but is allowed {limit / 1e9:.1f} GB in all (ulimit -v {limit // 1024}). Raise the limit, or use "
            "--executor local, which needs no Ray."
        )


@contextmanager
def _sigterm_interrupts() -> Iterator[Callable[[], None]]:
    """Make SIGTERM interrupt the block, unless the user's own program handles it; afterwards restore the handlers.

    The handler of SIGINT is restored too, since Tune leaves one behind. While it starts, Ray's C++ code replaces the
    handler of SIGTERM: it prints a stack, calls the former handler, and aborts by an alarm three seconds later.

    Yields:
        A function to call while Ray starts and once it has started, to take SIGTERM back.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; in others the caller's program handles signals.
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    users_handler = before[signal.SIGTERM]

    def handle(number: int, frame: FrameType | None) -> None:
        # Cancels the alarm by which Ray's handler would abort this process.
        signal.alarm(0)
        (users_handler if callable(users_handler) else interrupt)(number, frame)

    def keep() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if users_handler is signal.SIG_IGN else handle)

    keep()
    try:
        yield keep
    finally:
        for number, handler in before.items():
            # None means a handler that was not set from Python, which cannot be restored.
            signal.signal(number, handler or signal.SIG_DFL)


def _leave_the_group() -> None:
    """Take a server of Ray, just forked, out of this process's group.

    A signal to the whole group (``timeout``, a closing terminal) then reaches only this process, which shuts Ray down;
    otherwise it would wait a minute for dead servers.
    """
    if threading.current_thread().name == _THREAD:
        os.setpgid(0, 0)


os.register_at_fork(after_in_child=_leave_the_group)
