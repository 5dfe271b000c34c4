"""Limits on the time and the GPU memory of a stage or cell; the time limit also ends code that hangs outside Python."""

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
"""Seconds after the limit until a process that does not react is ended, so that it can close files; a convention."""


@contextmanager
def time_limit(seconds: float | None, mark: Path, watchdog: bool = True) -> Iterator[None]:
    """Raise ``TimeLimit`` in the block when its time is up; end the process if that does not help.

    A signal interrupts Python code. Code that hangs outside Python, or that catches the error, is stopped by a watchdog
    thread, which writes the traceback of every thread to ``mark`` and exits; ``read_mark`` reads it.

    Args:
        seconds: the limit; None for no limit.
        mark: file that exists while the block runs under a limit.
        watchdog: whether the process may be ended. A user's own process, such as a notebook, must not be; code that
            does not react to the signal then continues.

    Raises:
        TimeLimit: the time is up.
    """
    with suppress(OSError):
        mark.unlink(missing_ok=True)  # a run that was ended may have left it
    if seconds is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeLimit(f"not done after {seconds:g} s, the time limit (--time-limit).")

    mark.parent.mkdir(parents=True, exist_ok=True)
    # Python runs signal handlers only in the main thread. In others only the watchdog ends a block, without grace.
    in_main_thread = threading.current_thread() is threading.main_thread()
    # Opened before the time is up: the watchdog writes from a thread without Python's lock and cannot open files.
    with mark.open("w") as file:
        if watchdog:
            faulthandler.dump_traceback_later(seconds + GRACE if in_main_thread else seconds, exit=True, file=file)
        before = signal.signal(signal.SIGALRM, ring) if in_main_thread else None
        try:
            if in_main_thread:
                signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            if in_main_thread:
                # The timer before the handler: a signal in between would otherwise reach the old handler, which ends
                # the process.
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            faulthandler.cancel_dump_traceback_later()
            mark.unlink(missing_ok=True)


def limit_gpu_memory(share: float, device: str) -> None:
    """Limit this process to its share of its GPU's memory, since Ray divides a GPU but not its memory.

    CUDA's own few hundred MB, which torch does not count, are subtracted from the share.

    Args:
        share: share of the memory, in (0, 1]; 1 sets no limit.
        device: ``cuda``; for ``cpu`` nothing is done.
    """
    if share == 1 or not device.startswith("cuda"):
        return
    import torch

    from bench.stages.memory import CUDA

    # Device 0 is the only one that this process sees (Ray sets CUDA_VISIBLE_DEVICES).
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(max(0.01, share - CUDA / total))


def mark_of(name: str, out: Path) -> Path:
    """Return the file that marks a stage or cell as running under a limit."""
    return out / "failed" / f".{name}.running"


def end_process(last_words: str, mark: Path) -> NoReturn:
    """End this process as the watchdog does, since the limit may have cut something short, such as an import."""
    with suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(last_words)
    # Not ``sys.exit``: threads that the limit did not stop would keep the process alive.
    os._exit(1)


def read_mark(mark: Path) -> str | None:
    """Return what a process wrote before it was ended at the limit, and delete the file; None if it was not ended.

    The text is a traceback of every thread if the watchdog ended the process, and otherwise that of ``end_process``.
    """
    try:
        # A traceback may contain file names that are not UTF-8.
        text = mark.read_text(errors="replace")
        mark.unlink()
    except OSError:
        return None
    return text or None
