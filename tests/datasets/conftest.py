"""Real data that these tests read: images in the shared folder, which is not part of the repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("BENCH_SHARED", Path(__file__).parents[2].parent / "shared"))


def shared(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"needs the shared data set {name}; set BENCH_SHARED to the folder that holds data/{name}")
    return path


@pytest.fixture
def cifar10_root() -> Path:
    return shared("cifar-10-batches-py").parent


@pytest.fixture
def cifar100_subset_root() -> Path:
    return shared("cifar-100-subset").parent


@pytest.fixture
def imagenette() -> Path:
    return shared("imagenette-mini")


@pytest.fixture
def photographs(imagenette: Path, tmp_path: Path) -> Path:
    """Two classes of ImageNet photographs, 5 and 4 of them, as one directory of class folders."""
    for name, count in (("n01440764", 5), ("n03028079", 4)):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for file in sorted((imagenette / "train" / name).iterdir())[:count]:
            shutil.copyfile(file, tmp_path / "photographs" / name / file.name)
    return tmp_path / "photographs"
