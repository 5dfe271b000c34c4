from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import Dynamics
from bench.array_source import ArraySource

EPOCHS = 12


def observe(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Dynamics:
    """Dynamics of softmax outputs [T, N, C], written from the definitions, without the harness's recorder."""
    epochs, size, _ = probabilities.shape
    rows = np.arange(size)

    def margins(outputs: NDArray[np.float64]) -> NDArray[np.float32]:
        own = outputs[:, rows, labels]
        others = outputs.copy()
        others[:, rows, labels] = -np.inf
        return (own - others.max(2)).sum(0).astype(np.float32)

    correct = probabilities.argmax(2) == labels
    own = probabilities[:, rows, labels]
    windows = np.lib.stride_tricks.sliding_window_view(own, 10, axis=0)
    spread = windows.std(2, ddof=1)
    ranked = np.sort(probabilities, axis=2)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(2)
    uncertain = {
        "least_confidence": 1 - ranked[..., -1],
        "margin": ranked[..., -1] - ranked[..., -2],
        "entropy": entropy,
    }
    errors = np.linalg.norm(probabilities - np.eye(probabilities.shape[2])[labels], axis=2)
    return Dynamics(
        aum=margins(probabilities),
        aum_logits=margins(np.log(np.maximum(probabilities, 1e-300))),
        forgetting=(correct[:-1] & ~correct[1:]).sum(0).astype(np.int32),
        learned=correct.any(0),
        el2n=errors[:10].mean(0).astype(np.float32),
        correctness=correct.mean(0).astype(np.float32),
        confidence=own.mean(0).astype(np.float32),
        variability=own.std(0).astype(np.float32),
        dyn_unc=spread.mean(0).astype(np.float32),
        dual=(spread * (1 - windows.mean(2))).mean(0).astype(np.float32),
        early_confidence=own[:30].mean(0).astype(np.float32),
        **{name: values[-1].astype(np.float32) for name, values in uncertain.items()},
        **{f"mean_{name}": values.mean(0).astype(np.float32) for name, values in uncertain.items()},
        tdds=tdds(probabilities[:30], 10),
        tdds_early=tdds(probabilities[:10], 5),
        epochs=epochs,
    )


def tdds(probabilities: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """Temporal Dual-Depth Scores of softmax outputs [T, N, C] with windows of ``length`` epochs, float32 [N]."""
    logs = np.log(probabilities + 1e-8)
    changes = np.abs(probabilities[1:] * (logs[1:] - logs[:-1])).sum(2)
    score = np.zeros(probabilities.shape[1])
    for window in np.lib.stride_tricks.sliding_window_view(changes, length - 1, axis=0):
        score = 0.1 * score + 0.9 * np.linalg.norm(window - window.mean(1, keepdims=True), axis=1)
    return score.astype(np.float32)


def train(pixels: NDArray[np.float32], labels: NDArray[np.int64]) -> Dynamics:
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((32,), learning_rate_init=0.01, random_state=0)
    outputs = []
    for _ in range(EPOCHS):
        network.partial_fit(pixels, labels, classes=np.arange(10))
        outputs.append(network.predict_proba(pixels))
    return observe(np.stack(outputs), labels)


def remake(source: ArraySource, rows: NDArray[np.int64] | slice) -> ArraySource:
    """The same parts for some of the images only."""

    def cut(dynamics: Dynamics | None) -> Dynamics:
        assert dynamics is not None
        parts: dict[str, Any] = {k: v[rows] for k, v in dynamics.arrays().items() if k != "epochs"}
        return replace(dynamics, **parts)

    arrays = ("embedding_array", "label_array", "pseudo_label_array")
    return ArraySource(
        **{name: getattr(source, name)[rows].copy() for name in arrays},
        dynamics_labels=cut(source.dynamics_labels),
        dynamics_pseudo=cut(source.dynamics_pseudo),
        rehearsal=source.rehearsal,
    )


@pytest.fixture(scope="session")
def digits() -> ArraySource:
    """scikit-learn's digits sorted by class, as many data sets are stored; 1797 images of 10 classes."""
    from sklearn.cluster import KMeans
    from sklearn.linear_model import SGDClassifier

    from tests.digits import load_digits

    data, target = load_digits().data, load_digits().target
    order = np.argsort(target, kind="stable")
    pixels, labels = (data[order] / 16).astype(np.float32), target[order].astype(np.int64)
    pseudo = KMeans(10, n_init=3, random_state=0).fit_predict(pixels).astype(np.int64)
    held_out = np.arange(len(labels)) % 10 == 0

    def rehearse(indices: NDArray[np.int64]) -> float:
        chosen = indices[~held_out[indices]]
        if not len(chosen):
            return 0.0
        network = SGDClassifier(loss="log_loss", random_state=0)
        for _ in range(3):
            network.partial_fit(pixels[chosen], pseudo[chosen], classes=np.arange(10))
        return float((network.predict(pixels[held_out]) == pseudo[held_out]).mean())

    return ArraySource(
        embedding_array=pixels,
        label_array=labels,
        pseudo_label_array=pseudo,
        dynamics_labels=train(pixels, labels),
        dynamics_pseudo=train(pixels, pseudo),
        rehearsal=rehearse,
    )


@pytest.fixture(scope="session")
def some_digits(digits: ArraySource) -> ArraySource:
    """Every sixth digit: 300 images, still sorted by class."""
    return remake(digits, slice(None, None, 6))
