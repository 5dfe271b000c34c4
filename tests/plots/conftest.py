from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results.rows import Row, write_row


@pytest.fixture
def run_folder(tmp_path: Path, grid: Callable[..., list[Row]]) -> Path:
    for row in grid({"full": [97.0], "random": [90, 80], "elfs": [91, 85], "ccs": [92, 84]}, [0.5, 0.9]):
        write_row(row, tmp_path / "run")
    return tmp_path / "run"
