"""Pseudo-labels of pools with few images per cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from bench.clustering.assign import assign_clusters, near_enough
from bench.clustering.temi import Effort, temi
from bench.knn import nearest_neighbors
from bench.parts import Clustering


def test_half_of_the_average_cluster_is_near_enough() -> None:
    assert near_enough(50_000, 10) >= 50, "the paper's pools are given the paper's 50"
    assert near_enough(1_000, 10) == 50
    assert near_enough(101, 5) == 10
    assert near_enough(20, 10) == 5


@pytest.mark.integration
@pytest.mark.parametrize("seed", [0, 1])
def test_a_small_pool_does_not_fall_into_one_cluster(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(5), 20)
    centres = np.linalg.qr(rng.normal(size=(64, 64)))[0][:5]
    rows = (centres[classes] + rng.normal(scale=0.1, size=(100, 64))).astype(np.float32)
    near = nearest_neighbors(rows, 50, "cosine", threads=1).indices
    effort = Clustering("temi", heads=3, epochs=100)
    seeded: dict[str, Any] = {"seed": seed, "device": "cpu"}
    found = assign_clusters(rows, lambda: near, clustering=effort, num_clusters=5, **seeded)["labels"]
    assert normalized_mutual_info_score(classes, found) > 0.8
    all_near = temi(rows, near, 5, Effort(3, 100), **seeded).labels
    assert normalized_mutual_info_score(classes, all_near) < 0.5, "as all 50 do"
