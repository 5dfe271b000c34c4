"""How much memory ``bench select`` takes for embeddings in a memory-mapped file; the full size is in benchmarks/."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks._common import ROOT

pytestmark = pytest.mark.integration

WIDTH, SIZE = 256, 120_000
PER_NUMBER = 8
"""Bytes for each number of the matrix: 4 of the method's float32 copy, 2 of the mapped float16 file, 2 while
the copy is checked for NaN. With float32 copies of the whole at every step it was 13 (2026-11-28)."""
PROGRAM = """
import sys
from bench.cli import app
from benchmarks._common import own_peak
def select(name):
    given = f"select --embeddings {name}.npy --method maxherding(subset=300) --classes 10 --budget 40 --threads 1"
    app([*given.split(), "--exclude", f"{name}.txt", "--out", f"{name}.csv", "-q"], standalone_mode=False)
select("small")
before = own_peak()
select("large")
print(own_peak() - before)
"""


def test_of_a_large_file_there_is_one_copy_at_a_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, size in (("small", 2_000), ("large", SIZE)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(size, WIDTH)).astype(np.float16))
        (tmp_path / f"{name}.txt").write_text("0\n5\n")
    search = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": search, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown = int(done.stdout.split()[-1])
    assert grown < PER_NUMBER * SIZE * WIDTH + 40e6, f"{grown / SIZE / WIDTH:.1f} bytes a number"
