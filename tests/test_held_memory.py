"""Memory that is kept for the next arrays: how often the system has to give pages, and whether it gets them back."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.held_memory import held_memory
from benchmarks._common import alone

if sys.platform == "win32":
    pytest.skip("Windows does not count page faults", allow_module_level=True)

import resource

LARGE = 64 * 2**20
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the options are glibc's")


def faults(repeats: int = 5) -> int:
    """How many pages the system gave while a large array was made and freed several times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(repeats):
        np.empty(LARGE, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * resource.getpagesize()


def faults_without_and_with() -> tuple[int, ...]:
    without = faults()
    with held_memory():
        faults(1)
        return without, faults()


@needs_glibc
@pytest.mark.integration
def test_pages_are_kept_inside_the_block() -> None:
    # In a process of its own: here, earlier tests have left free memory of any size.
    (without, kept), _ = alone(faults_without_and_with)
    # numpy asks for huge pages, of which a page fault gives 2 MB.
    assert without >= 5 * LARGE // (2 * 2**20)
    assert kept < without // 10


def residents() -> tuple[int, ...]:
    before = resident()
    with held_memory():
        np.empty(4 * LARGE, np.uint8).fill(1)
        inside = resident()
    return before, inside, resident()


@needs_glibc
@pytest.mark.integration
def test_memory_is_given_back_at_the_end() -> None:
    (before, inside, after), _ = alone(residents)
    assert inside > before + 3 * LARGE
    assert after < before + LARGE


def test_an_error_passes_through() -> None:
    with pytest.raises(ValueError, match="inside"), held_memory():
        raise ValueError("inside")
