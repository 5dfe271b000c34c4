"""Resources that a computation took: wall time, and peak memory of this process and of its GPU."""

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
    """The resources that a block took; filled when the block ends.

    Attributes:
        seconds: wall time.
        peak_bytes: peak resident memory of the whole process, shared pages and libraries included; None where the
            system does not tell (outside Linux).
        peak_gpu_bytes: peak memory that torch held on the current GPU, with its cache but without CUDA's own few
            hundred MB; None without a GPU.
    """

    seconds: float = 0.0
    peak_bytes: int | None = None
    peak_gpu_bytes: int | None = None


@contextmanager
def measure_usage() -> Iterator[Usage]:
    """Measure a block. A block inside another resets the peak, which then starts at its end for the outer block."""
    usage = Usage()
    resettable = _reset_peak()
    cuda = _cuda()
    if cuda is not None:
        # What earlier work of this process left in torch's cache is none of this block's memory.
        cuda.empty_cache()
        cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    try:
        yield usage
        # If torch was loaded inside the block, it started counting there.
        cuda = cuda or _cuda()
        if cuda is not None:
            # A GPU works on after the last call; without this its time would count for the next block.
            cuda.synchronize()
    finally:
        usage.seconds = time.perf_counter() - started
        # If it cannot be reset, the peak is that of the process's whole life.
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
    """Return ``torch.cuda`` if this process already uses it; measuring must neither import torch nor open a GPU."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
