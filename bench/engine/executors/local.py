"""Executors in this process, or in worker processes on this machine, without Ray."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle

import bench
from bench.engine.machine import this_machine
from bench.engine.scheduler import Scheduler
from bench.engine.work import End, end_of_death, packages_from_outside, perform, perform_as_worker
from bench.plugins import register_again, registered_by_hand
from bench.progress import forget
from bench.stages.base import Stage
from bench.stages.session import Session

_LOOK = 0.5
"""Seconds between two checks for work that another run may have finished."""
_PATIENCE = 5.0
"""Seconds that an idle worker gets to exit after its pipe is closed; a convention."""


@dataclass(frozen=True)
class InProcess:
    """Runs one stage or cell at a time in this process: for notebooks, debuggers and tests.

    A time limit interrupts Python code only. Code that hangs outside Python, or kills its process, does so to this
    process; with ``Workers`` the run survives both.
    """

    def slots(self, session: Session) -> int:
        """See ``Executor.slots``."""
        return 1

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        """See ``Executor.run``."""
        # The watchdog would end the process, which here is the user's own.
        here = session.model_copy(update={"watchdog": False})
        while not scheduler.done:
            work = scheduler.next()
            if work is None:
                time.sleep(_LOOK)
                continue
            scheduler.ended(work, perform(**{**scheduler.job(work), "session": here}))


@dataclass(frozen=True)
class Workers:
    """Runs work in worker processes on this machine; one that dies is replaced, and its work ends with a fault.

    Args:
        count: largest number of workers. They share one GPU, so that on ``cuda`` only one works at a time.
    """

    count: int

    def slots(self, session: Session) -> int:
        """See ``Executor.slots``."""
        # A GPU's memory is not divided between workers, so that two trainings together could exhaust it.
        return self.count if session.device == "cpu" else 1

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        """See ``Executor.run``."""
        pool = _Pool(self.slots(session), session, memory)
        try:
            while not scheduler.done:
                pool.fill(scheduler)
                for work, end in pool.collect():
                    scheduler.ended(work, end)
        finally:
            pool.close()


class _Worker:
    """A worker process and the pipe to it.

    It is started by a command, not by ``multiprocessing``, which would run the user's script again to import it.

    Args:
        threads: number of threads of its work.
        packages: outside packages whose plugins its work may use.
    """

    def __init__(self, threads: int, packages: tuple[str, ...]) -> None:
        self.packages = packages
        ours, theirs = socket.socketpair()
        self.pipe = Connection(ours.detach())
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from importlib.util import module_from_spec, spec_from_file_location as spec_of; "
            # This very package, not something else called bench in the working directory.
            f"spec = spec_of('bench', {bench.__file__!r}); sys.modules['bench'] = module_from_spec(spec); "
            "spec.loader.exec_module(sys.modules['bench']); "
            f"from bench.engine.executors.local import serve; serve({theirs.fileno()})"
        )
        # Set before numpy and torch are imported there, since OpenMP reads it only once.
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=environment)
        # Only the worker keeps its end open: when it dies, this end reads the end of the file at once.
        theirs.close()
        self.pipe.send_bytes(cloudpickle.dumps(registered_by_hand()))

    def end(self) -> int:
        """Wait for the worker to exit, or kill it; return its exit code."""
        self.pipe.close()
        try:
            return self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class _Pool:
    """The workers, and the work of each."""

    def __init__(self, count: int, session: Session, memory: Callable[[Stage], int]) -> None:
        self._count, self._session, self._memory = count, session, memory
        self._available = this_machine().memory
        self._idle: list[_Worker] = []
        self._busy: dict[Any, tuple[_Worker, Stage]] = {}
        self._next_in_line: Stage | None = None

    def fill(self, scheduler: Scheduler) -> None:
        """Give work to every idle worker, as far as memory allows; work that is too large runs alone."""
        while len(self._busy) < self._count:
            # Work that did not fit stays first in line, since smaller work would overtake it for ever.
            work, self._next_in_line = self._next_in_line or scheduler.next(), None
            if work is None:
                return
            used = sum(self._memory(other) for _, other in self._busy.values())
            # If nothing else runs it starts anyway, since waiting would free no more memory.
            if self._busy and used + self._memory(work) > self._available:
                self._next_in_line = work
                return
            worker = self._worker_for(packages_from_outside(work))
            self._busy[worker.pipe] = (worker, work)
            try:
                worker.pipe.send_bytes(cloudpickle.dumps(scheduler.job(work)))
            except OSError:  # it died after its last work, which reading from its pipe will show
                continue

    def _worker_for(self, packages: tuple[str, ...]) -> _Worker:
        """Return an idle worker for these packages, or a new one, which may replace an idle one for others."""
        for worker in self._idle:
            if worker.packages == packages:
                self._idle.remove(worker)
                return worker
        # An idle worker for other packages is replaced: workers do not mix packages, since a plugin may leave traces.
        if self._idle and len(self._idle) + len(self._busy) >= self._count:
            self._idle.pop(0).end()
        return _Worker(self._session.threads, packages)

    def collect(self) -> list[tuple[Stage, End]]:
        """Wait a short time for work to end, and return the work that has ended."""
        if not self._busy:
            time.sleep(_LOOK)
        return [self._end(*self._busy.pop(pipe)) for pipe in wait(list(self._busy), timeout=_LOOK)]

    def _end(self, worker: _Worker, work: Stage) -> tuple[Stage, End]:
        try:
            # The end of the file, even in the middle of a message, means that the worker died.
            end: End = cloudpickle.loads(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            details = f"the worker process ended with exit code {worker.end()}"
            return work, end_of_death(work, self._session, details)
        self._idle.append(worker)
        return work, end

    def close(self) -> None:
        """End all workers; busy ones are killed."""
        for worker, work in self._busy.values():
            # All are killed before waiting for any, which would take seconds each.
            worker.process.kill()
            forget(self._session.underway, work.key)
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.end()


def serve(handle: int) -> None:
    """Do work until the driver closes the pipe, which happens however the driver ends.

    Args:
        handle: file descriptor of the pipe.
    """
    pipe = Connection(handle)
    threading.Thread(target=_end_with_driver, args=(handle,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver too, which ends its workers
    try:
        register_again(cloudpickle.loads(pipe.recv_bytes()))
        while True:
            end = perform_as_worker(**cloudpickle.loads(pipe.recv_bytes()))
            pipe.send_bytes(cloudpickle.dumps(end))
    except (EOFError, OSError):
        # All results are written. Not `return`: threads of torch or a plugin would keep the process and its driver.
        os._exit(0)


def _end_with_driver(handle: int) -> None:
    """End this process as soon as the driver is gone, even after ``kill -9``.

    The work in progress would otherwise run for hours beside the run that resumes, which computes it too. It leaves
    nothing half written: rows and artifacts are renamed when they are complete.
    """
    hangup = select.poll()
    hangup.register(handle, 0)  # no event but the end of the other side, since another thread reads the pipe
    hangup.poll()
    os._exit(0)
