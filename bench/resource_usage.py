"""What a computation took: wall time, and peak memory of this process and of its GPU."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): sets the peak resident set size to the current one


@dataclass
class Usage:
    """Filled when the measured block ends.

    Attributes:
        seconds: wall time.
        peak_bytes: most memory that the whole process had resident meanwhile, shared pages and libraries included;
            None where the system does not tell (outside Linux).
        peak_gpu_bytes: most memory that torch held on the current GPU meanwhile, its cache included and CUDA's own
            few hundred MB left out; None without one.
    """

    seconds: float = 0.0
    peak_bytes: int | None = None
    peak_gpu_bytes: int | None = None


@contextmanager
def measured() -> Iterator[Usage]:
    """Measure a block. One inside another resets the peak, so the outer one's then starts where the inner one ends."""
    usage = Usage()
    resettable = _reset_peak()
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    try:
        yield usage
        # What loaded torch inside the block started counting there.
        cuda = cuda or _cuda()
        if cuda is not None:
            # A GPU works on after the last call; without this its time would count for what comes next.
            cuda.synchronize()
    finally:
        usage.seconds = time.perf_counter() - started
        # Not resettable: the peak would be that of the process's whole life.
        usage.peak_bytes = _peak() if resettable else None
        usage.peak_gpu_bytes = cuda.max_memory_reserved() if cuda is not None else None


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _peak() -> int | None:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError):
        return None


def _cuda() -> Any:
    """Return ``torch.cuda`` where this process uses it already: measuring must neither import torch nor open a GPU."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
