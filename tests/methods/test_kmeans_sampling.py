"""k-means sampling: the image nearest to each centre."""

from __future__ import annotations

import numpy as np

from bench import unit_rows
from bench.array_source import ArraySource
from tests.methods.cases import rng, run


def test_kmeans_sampling_keeps_the_image_nearest_to_each_centre(digits: ArraySource) -> None:
    rows = unit_rows(digits.embeddings())
    kept = run("kmeans-sampling", digits, 40)

    def inertia(picks: np.ndarray) -> float:
        return ((rows[:, None] - rows[picks]) ** 2).sum(2).min(1).sum()

    chance = [inertia(rng(seed).choice(1797, 40, replace=False)) for seed in range(5)]
    assert inertia(kept) < 0.8 * min(chance)
    # Each kept image is the one nearest to the mean of those that it is the nearest kept one of, nearly always.
    owner = ((rows[:, None] - rows[kept]) ** 2).sum(2).argmin(1)
    nearest = [
        int(np.linalg.norm(rows - rows[owner == c].mean(0), axis=1).argmin()) == image for c, image in enumerate(kept)
    ]
    assert np.mean(nearest) > 0.5


def test_kmeans_sampling_finds_every_group() -> None:
    from bench.array_source import ArraySource

    centres = np.eye(12)
    sizes = [3, 50, 7, 20, 90, 5, 5, 40, 11, 4, 60, 2]
    truth = np.repeat(np.arange(12), sizes)
    points = (centres[truth] + 0.02 * rng().normal(size=(len(truth), 12))).astype(np.float32)
    source = ArraySource(embedding_array=points, label_array=truth)
    for name, found in (("kmeans-sampling", 12), ("maxherding", 12), ("typiclust", 9)):
        kept = truth[run(name, source, 12)]
        # TypiClust passes over the three groups of fewer than 5 images, so three others give a second image.
        assert len(set(kept.tolist())) == found, name
