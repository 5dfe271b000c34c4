"""The installed ``bench`` command in a process of its own, and commands in this one on a wide terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

BENCH = shutil.which("bench", path=str(Path(sys.executable).parent)) or shutil.which("bench")
OF_THE_USER = ("BENCH_", "TORCH_HOME", "HF_")
"""Beginnings of the names of variables that say where a user's data and weights are."""
WIDE = CliRunner(env={"COLUMNS": "250", "NO_COLOR": "1"})
"""Commands in this process, where a process of their own would show nothing more."""


def run(folder: Path, *arguments: str, columns: int = 250) -> subprocess.CompletedProcess[str]:
    """Run ``bench`` in ``folder`` without the settings of this machine's user."""
    if BENCH is None:
        pytest.skip("the bench command is not installed in this environment")
    own = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), "COLUMNS": str(columns), "NO_COLOR": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OF_THE_USER)}
    return subprocess.run(
        [BENCH, *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=folder,
        env=kept | own | {"OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(folder / "ray")},
    )


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True).stdout
