"""Shared by several readers: the data folder, a fixed stratified split, the paper's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import DataError, Recipe
from bench.addresses import local_path
from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.units import part_of

PAPER = Recipe(
    iterations=40_000, proxy_epochs=200, batch_size=256, lr=0.1, lr_min=1e-4, weight_decay=5e-4, evaluations=50
)
"""ELFS (Zheng et al. 2025) and CCS (Zheng et al. 2023) on CIFAR, CINIC-10 and STL-10; test every 800 iterations."""
PHOTOGRAPHS: Mapping[str, Any] = {
    "num_classes": None,
    "image_size": None,
    "mean": IMAGENET_MEAN,
    "std": IMAGENET_STD,
    # 8 of the usual 64 pixels, as 4 of CIFAR's 32.
    "recipe": PAPER.model_copy(update={"crop_padding": 8}),
    "model": "resnet18",
    "encoder": "dino_vitb16",
}
"""Declaration of readers of colour photographs whose classes and sizes are known only from the files."""


def required_root(root: Path | None, holds: str) -> Path:
    """Return ``root``, or refuse it if it is missing, and say what it should hold.

    Raises:
        DataError: ``root`` is None or not a directory.
    """
    if root is None:
        raise DataError(f"no data folder was given. Use --data-root DIR, where DIR holds {holds}.")
    if root.exists() and not root.is_dir():
        raise DataError(f"the data folder {root} is a file. Use --data-root DIR, where DIR holds {holds}.")
    return root


def named_file(root: Path | None, path: str, call: str) -> Path:
    """Return the file that a parameter ``path`` names, either absolute or below ``root``.

    Args:
        root: ``--data-root``, or None.
        path: the parameter as the user typed it.
        call: what to type, for messages: ``npz(path=FILE)``.

    Raises:
        DataError: no path, a relative path without ``root``, or no such file.
    """
    local = local_path(path)
    if not path or (root is None and not local.is_absolute()):
        raise DataError(
            f"path={path!r} names no file. Use {call} with the whole path, or --data-root DIR and a path below it."
        )
    file = local if root is None else root / local
    if not file.is_file():
        raise DataError(f"{file} is {'a folder' if file.is_dir() else 'missing'}. Use {call}.")
    return file


def stratified_split(labels: NDArray[np.int64], test_fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out the same fraction of every class, by a draw with seed 0.

    Args:
        labels: int64 [N].
        test_fraction: in (0, 1).

    Returns:
        Positions int64 of the training and of the test images: disjoint, sorted, together all N. A class with n images
        gives ``part_of(test_fraction, n)`` of them to the test, but at least 1 and at most n - 1; a class with one
        image gives none.
    """
    # The seed is no parameter: all grids must be scored on the same split of a data set.
    rng = np.random.default_rng(0)
    held = np.zeros(len(labels), dtype=bool)
    for number in np.unique(labels):
        members = np.flatnonzero(labels == number)
        # At least one for the test and one for training, if a class has two images.
        count = min(max(1, part_of(test_fraction, len(members))), len(members) - 1)
        held[rng.permutation(members)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
