from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """uint8 [1797, 1, 8, 8]."""
    from tests.digits import load_digits

    return (load_digits().images / 16 * 255).round().astype(np.uint8)[:, None]


@pytest.fixture(scope="session")
def cifar() -> tuple[np.ndarray, np.ndarray]:
    """The first 10,000 training images of CIFAR-10, uint8 [10000, 3, 32, 32], and their labels; for slow tests."""
    shared = Path(os.environ.get("BENCH_SHARED", Path(__file__).parents[2].parent / "shared"))
    file = shared / "data" / "cifar-10-batches-py" / "data_batch_1"
    if not file.is_file():
        pytest.skip("needs CIFAR-10, see CONTRIBUTING.md; BENCH_SHARED names the folder")
    batch = pickle.loads(file.read_bytes(), encoding="latin1")
    return batch["data"].reshape(-1, 3, 32, 32), np.array(batch["labels"])


@pytest.fixture(scope="module")
def pictures(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return patches[:6] // 2 + 64
