"""A run of two methods, which several commands read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results.rows import Row, write_row
from tests.cli.two_methods import MEANS, RATES


@pytest.fixture
def two_methods(tmp_path: Path, grid: Callable[..., list[Row]]) -> Path:
    for row in grid(MEANS, RATES):
        write_row(row, tmp_path / "run")
    return tmp_path / "run"
