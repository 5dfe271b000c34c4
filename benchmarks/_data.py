"""Synthetic inputs of any size: what is measured here depends on sizes, not on what the numbers mean."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import Dataset, Dynamics, Neighbors, make_dataset

CLUSTERS = 10


def embeddings(size: int, features: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Float32 [N, D] in as many loose clusters as CIFAR-10 has classes."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, features), dtype=np.float32)
    return centres[rng.integers(CLUSTERS, size=size)] + rng.standard_normal((size, features), dtype=np.float32)


def scores(size: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Float64 [N] with ties, as forgetting counts and saturated margins have them; high = hard."""
    return np.random.default_rng(seed).gamma(2.0, size=size).round(3)


def spatial_neighbors(size: int, k: int, *, seed: int = 0) -> Neighbors:
    """Exact neighbour lists of N random points in 4 dimensions, numbered in no spatial order."""
    from scipy.spatial import KDTree

    points = np.random.default_rng(seed).random((size, 4), dtype=np.float32)
    distances, indices = KDTree(points).query(points, k + 1)
    return Neighbors(indices[:, 1:].astype(np.int64), distances[:, 1:].astype(np.float32))


def images(size: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 [N, 3, 32, 32]."""
    return np.random.default_rng(seed).integers(0, 256, (size, 3, 32, 32), dtype=np.uint8)


def dataset(size: int, *, test: int = 0, seed: int = 0) -> Dataset:
    """N images, 10 or more, of the shape of CIFAR-10's in 10 classes, and as many test images as asked for."""
    rng = np.random.default_rng(seed)
    splits = [
        (images(count, seed=seed + shift), rng.permutation(np.arange(count) % CLUSTERS))
        for shift, count in enumerate((size, max(test, 1)))
    ]
    return make_dataset(
        *splits,
        class_names=[str(number) for number in range(CLUSTERS)],
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    )


def dynamics(size: int, *, seed: int = 0) -> Dynamics:
    """Dynamics of N images in which nothing is constant."""
    rng = np.random.default_rng(seed)
    values: dict[str, Any] = {field.name: rng.random(size, dtype=np.float32) for field in fields(Dynamics)}
    counts = rng.integers(0, 20, size).astype(np.int32)
    return Dynamics(**{**values, "forgetting": counts, "learned": rng.random(size) < 0.9, "epochs": 30})
