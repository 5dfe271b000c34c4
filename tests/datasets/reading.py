"""What the tests of several readers share: a data set read as the harness reads it, and files to read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import Dataset
from bench.loading import load_dataset


def load(dataset: str, root: Path | None = None, /, *, pool_size: int | None = None, **params: Any) -> Dataset:
    return load_dataset(dataset, params, root=root, download=False, pool_size=pool_size)


def random_images(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
