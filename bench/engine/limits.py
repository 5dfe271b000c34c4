"""A limit on the time that a stage or a cell may take, also where it never comes back to Python."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench.errors import TimeLimit

GRACE = 10.0
"""Seconds after the limit at which a process that does not react is ended: time to close files; a convention."""


@contextmanager
def time_limit(seconds: float | None, mark: Path, watchdog: bool = True) -> Iterator[None]:
    """Raise ``TimeLimit`` in the block when its time is up; end the process if that does not help.

    A signal interrupts Python code. Code that hangs outside Python, or that catches the error, is stopped by a watchdog
    thread, which writes where every thread stood to ``mark`` and exits; ``read_mark`` finds it.

    Args:
        seconds: the limit; None is none, and then nothing is set up.
        mark: file that is there while the block runs under a limit.
        watchdog: whether the process may be ended; a user's own process, such as a notebook, may not, and what does not
            react to the signal then goes on.

    Raises:
        TimeLimit: the time is up.
    """
    with suppress(OSError):
        mark.unlink(missing_ok=True)  # of a run that was ended before it could read it
    if seconds is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeLimit(f"not done after {seconds:g} s, the time limit (--time-limit).")

    mark.parent.mkdir(parents=True, exist_ok=True)
    # Python runs signal handlers in the main thread alone. Elsewhere only the watchdog ends a block, and at once.
    heeds = threading.current_thread() is threading.main_thread()
    # Open before the time is up: the watchdog writes from a thread without Python's lock and can open nothing.
    with mark.open("w") as file:
        if watchdog:
            faulthandler.dump_traceback_later(seconds + GRACE if heeds else seconds, exit=True, file=file)
        before = signal.signal(signal.SIGALRM, ring) if heeds else None
        try:
            if heeds:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            if heeds:
                # The timer before the handler: a signal in between would otherwise find the old handler, which ends the
                # process.
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            faulthandler.cancel_dump_traceback_later()
            mark.unlink(missing_ok=True)


def limit_gpu_memory(share: float, device: str) -> None:
    """Keep this process within its part of the memory of the GPU that it sees; Ray shares a GPU out, not its memory.

    What torch does not hold itself, CUDA's own few hundred MB, is taken off the part.

    Args:
        share: of the memory, in (0, 1]; the whole is not limited.
        device: ``cuda``, or ``cpu``, where nothing is done.
    """
    if share == 1 or not device.startswith("cuda"):
        return
    import torch

    from bench.stages.memory import CUDA

    # Device 0 of those that this process sees, which is its only one (Ray sets CUDA_VISIBLE_DEVICES).
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(max(0.01, share - CUDA / total))


def mark_of(name: str, out: Path) -> Path:
    """Return the file that marks a stage or cell as running under a limit."""
    return out / "failed" / f".{name}.running"


def end_process(last_words: str, mark: Path) -> NoReturn:
    """End this process, as the watchdog does: what the limit cut short, such as an import, may be left half done."""
    with suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(last_words)
    # Not ``sys.exit``: threads that the limit did not stop would keep the process alive.
    os._exit(1)


def read_mark(mark: Path) -> str | None:
    """Read what a process wrote before it was ended at the limit, or None where it was not; the file is deleted.

    It is where every thread stood if the watchdog ended it, else what was given to ``end_process``.
    """
    try:
        # A traceback may name files whose names are no UTF-8.
        text = mark.read_text(errors="replace")
        mark.unlink()
    except OSError:
        return None
    return text or None
