"""Gradients written out, and a pool whose network learned all labels, for CRAIG and GRAD-MATCH."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from bench import Outputs
from bench.array_source import ArraySource
from bench.methods._gradients import Gradients
from bench.plugins import methods
from bench.selection import method_pool, run_method
from bench.weighted import Kept


@st.composite
def factors(draw: st.DrawFn) -> tuple[Gradients, int]:
    """Whole numbers, so that squared distances are exact in float32."""
    size = draw(st.integers(1, 8))

    def matrix(width: int) -> np.ndarray:
        return np.array([[draw(st.integers(-2, 2)) for _ in range(width)] for _ in range(size)], dtype=np.float32)

    return Gradients(matrix(draw(st.integers(1, 3))), matrix(draw(st.integers(1, 3)))), draw(st.integers(0, size))


def written_out(gradients: Gradients) -> list[list[float]]:
    """The gradient by every weight and bias of the layer, image by image."""
    return [
        [e * f for e in error for f in [*feature, 1.0]]
        for error, feature in zip(gradients.errors.tolist(), gradients.features.tolist(), strict=True)
    ]


def with_network(source: ArraySource) -> ArraySource:
    """Logistic regression on what may be read of the labels."""
    from sklearn.linear_model import LogisticRegression

    def network(embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
        model = LogisticRegression(max_iter=300).fit(embeddings[indices], labels)
        probabilities = np.zeros((len(embeddings), 10), dtype=np.float32)
        probabilities[:, model.classes_] = model.predict_proba(embeddings)
        return Outputs(probabilities, embeddings.copy())

    return replace(source, network=network)


def run(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    return select(name, source, budget, seed, **params).indices


def select(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> Kept:
    entry, size = methods.get(name), len(source.labels())
    pool = method_pool(entry, params, source, size=size, num_classes=10, rate=1 - budget / size)
    return run_method(entry, pool, params, budget, seed)


def off(kept: Kept, source: ArraySource, dense: np.ndarray) -> float:
    """How far the mean gradient of what is kept of a class is from the class's, of its length, on average over classes.

    With weights it is their sum instead, divided by the images of the class, of which each weight is a number.
    """
    labels, shares = source.labels(), []
    for number in range(10):
        mine, target = labels[kept.indices] == number, dense[labels == number].mean(0)
        found = dense[kept.indices[mine]].mean(0)
        if kept.weights is not None:
            found = kept.weights[mine] @ dense[kept.indices[mine]] / np.sum(labels == number)
        shares.append(np.linalg.norm(found - target) / np.linalg.norm(target))
    return float(np.mean(shares))


def learned(source: ArraySource) -> tuple[ArraySource, np.ndarray]:
    """The pool with its network, and the gradients of that network, written out."""
    source = with_network(source)
    pixels, labels = source.embeddings(), source.labels()
    assert source.network is not None
    probabilities, features = source.network(pixels, np.arange(len(labels)), labels)
    errors = probabilities - np.eye(10, dtype=np.float32)[labels]
    return source, np.array(written_out(Gradients(errors, features)))
