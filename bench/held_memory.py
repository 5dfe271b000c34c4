"""Memory that the C library keeps for a computation's next arrays."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST_THRESHOLD = 32 * 2**20


@contextmanager
def held_memory() -> Iterator[None]:
    """Keep what is freed inside the block for its next arrays, and give it back to the system at the end.

    glibc maps every array of more than 32 MB anew, and the system clears its pages each time. That took a fifth of a
    step of ``speedrun`` on a CPU, see ``held_memory`` in benchmarks/README.md. Results are the same bits. Nothing
    changes for other C libraries (macOS, Windows, musl), nor for arrays on a GPU.

    The setting is the process's. Afterwards, its thresholds are those that glibc itself comes to with large arrays.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
        libc.mallopt(_MMAP_MAX, 65_536)
        libc.malloc_trim(0)
