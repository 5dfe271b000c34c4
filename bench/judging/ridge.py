"""The ridge judge: how well a ridge regression fitted to a coreset predicts clusterings outside the coreset.

A method of this project. The regression must see the same inputs as the final model: on CIFAR images, a ridge on
embeddings picks wrong coresets even by true labels. The constants are those of the first trial and were not tuned.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Images
from bench.embedding.encoder import batches
from bench.identity import derive_seed

SIDE = 16
"""Side in pixels of averaged images; finer detail takes time, and a ridge cannot use it."""
COMPONENTS = 100
FLOOR = 1e-2
"""Smallest eigenvalue, as a share of the largest: whitening must not amplify components that are mostly noise."""
FEATURES = 512
BIAS = 0.3
PENALTY = {"images": 0.3, "embeddings": 0.1}
_AT_ONCE = 2**24
"""Pixel values read and averaged at once; in float32 they take 67 MB, where thousands of photographs would take GBs."""


def image_features(images: Images, *, seed: int) -> NDArray[np.float32]:
    """Return random Fourier features of whitened, averaged pixels, with the median bandwidth.

    Args:
        images: uint8 [N, C, H, W], or files that are read like such an array.
        seed: seed of the features.

    Returns:
        float32 [N, 513]; the last column is a constant.
    """
    pixels = _averaged(images)
    pixels -= pixels.mean(axis=0)
    # In ascending order, so the components that vary most are last.
    values, vectors = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    kept = slice(-min(COMPONENTS, len(values)), None)
    # ``tiny`` avoids a division by 0 in a pool of equal images.
    scale = np.sqrt(np.maximum(values[kept], FLOOR * max(float(values[-1]), np.finfo(np.float32).tiny)))
    rows = _unit(pixels @ vectors[:, kept] / scale)
    rng = np.random.default_rng(derive_seed(seed, "judge"))
    width = _median_distance(rows, rng)
    directions = rng.normal(size=(rows.shape[1], FEATURES)) / width
    phases = rng.uniform(0, 2 * np.pi, FEATURES)
    # Products of these rows approximate a Gaussian kernel of this width (Rahimi and Recht 2007).
    features = np.sqrt(2 / FEATURES) * np.cos(rows @ directions + phases)
    return _with_bias(features)


def embedding_features(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit rows and a constant column, float32 [N, D + 1], for a final model that is linear on embeddings."""
    return _with_bias(_unit(embeddings.astype(np.float64)))


def quality(
    features: NDArray[np.float32], labelings: NDArray[np.int64], indices: NDArray[np.int64], penalty: float
) -> float:
    """Return the accuracy outside a coreset of a ridge regression fitted to it, averaged over the labelings.

    Args:
        features: float32 [N, F], from ``image_features`` or ``embedding_features``.
        labelings: int64 [L, N], from ``make_labelings``.
        indices: int64 [n], the coreset.
        penalty: penalty of the regression, see ``PENALTY``.

    Returns:
        In [0, 1], high = good; 1 for the whole pool, which leaves nothing to predict.
    """
    outside = np.ones(len(features), dtype=bool)
    outside[indices] = False
    if not outside.any():
        return 1.0
    inside = features[indices].astype(np.float64)
    columns = [np.eye(int(labels.max()) + 1)[labels[indices]] for labels in labelings]
    # Labelings share their inputs, so one system is solved for the one-hot columns of all.
    gram = inside.T @ inside + penalty * np.eye(inside.shape[1])
    weights = np.linalg.solve(gram, inside.T @ np.concatenate(columns, axis=1))
    right = []
    ends = np.cumsum([column.shape[1] for column in columns])
    # float32 is enough for the largest product: only the argmax of each row is used.
    scores = features[outside] @ weights.astype(np.float32)
    for labels, part in zip(labelings, np.split(scores, ends[:-1], axis=1), strict=True):
        right.append(float((part.argmax(axis=1) == labels[outside]).mean()))
    return float(np.mean(right))


def _averaged(images: Images) -> NDArray[np.float64]:
    """Return images averaged over areas to at most 16 x 16, flattened, in [0, 1]."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    height, width = (min(SIDE, length) for length in images.shape[2:])
    rows = []
    # Arrays of positions, which image files support as well as arrays do.
    for index in batches(len(images), max(1, _AT_ONCE // math.prod(images.shape[1:]))):
        chunk: Any = images[index]
        small = adaptive_avg_pool2d(torch.from_numpy(np.array(chunk)).float().div_(255), (height, width))
        rows.append(small.flatten(1).numpy().astype(np.float64))
    return np.concatenate(rows)


def _median_distance(rows: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Return the median distance of 1,000 random pairs; 1 if most images are equal."""
    pairs = rng.integers(len(rows), size=(2, 1000))
    median = float(np.median(np.linalg.norm(rows[pairs[0]] - rows[pairs[1]], axis=1)))
    return median or 1.0


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def _with_bias(features: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.column_stack([features, np.full(len(features), BIAS)]).astype(np.float32)
