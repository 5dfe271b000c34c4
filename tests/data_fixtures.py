"""Real digits, and a folder for a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import Dataset
from bench.data import take_pool
from bench.loading import load_dataset


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """scikit-learn's digits as the harness reads them."""
    return load_dataset("digits", {}, root=None, download=False, pool_size=None)


@pytest.fixture(scope="session")
def few_digits(digits: Dataset) -> Dataset:
    """A pool of 200 digits."""
    return take_pool(digits, 200)


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"
