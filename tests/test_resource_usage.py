from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import resource_usage
from bench.resource_usage import measure_usage

MIB = 2**20


PEAKS = """
import numpy as np
from bench.resource_usage import measure_usage
for size in (0, 200, 20):
    with measure_usage() as used:
        np.ones(size * 2**20, dtype=np.uint8)
    print(used.peak_bytes)
"""


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak and lets it be reset")
def test_the_peak_is_that_of_the_block_alone() -> None:
    # In a process of its own: what earlier tests left behind may be freed meanwhile.
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    before, large, after = map(int, done.stdout.split())
    assert 190 * MIB < large - before < 300 * MIB
    assert after < large - 100 * MIB


def test_seconds_are_told_even_of_a_block_that_raises() -> None:
    uses = []

    def fail() -> None:
        with measure_usage() as used:
            uses.append(used)
            time.sleep(0.01)
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert uses[0].seconds >= 0.01


def test_a_system_that_does_not_tell_gives_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resource_usage, "_CLEAR", tmp_path / "nowhere" / "clear_refs")
    with measure_usage() as used:
        pass
    assert used.peak_bytes is None


def test_a_gpu_that_nobody_uses_is_not_opened() -> None:
    import torch

    if torch.cuda.is_initialized():
        pytest.skip("another test uses the GPU")
    with measure_usage() as used:
        pass
    assert used.peak_gpu_bytes is None
    assert not torch.cuda.is_initialized()


@pytest.mark.gpu
def test_the_peak_of_a_gpu_is_that_of_the_block_alone() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    peaks = []
    for size in (400, 20):
        with measure_usage() as used:
            torch.ones(size * MIB, dtype=torch.uint8, device="cuda")
        peaks.append(used.peak_gpu_bytes or 0)
    assert peaks[0] >= 400 * MIB
    assert peaks[1] < peaks[0] - 300 * MIB
