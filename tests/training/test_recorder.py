"""Dynamics while they are recorded, against plain Python on outputs stored in full, and what their scores prefer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import Dataset
from bench.dynamics import Dynamics
from bench.training.fit import LabelledInputs, fit, proxy_iterations
from bench.training.recorder import DynamicsRecorder
from tests.training.runs import CNN, RECIPE, Listening

CLASSES = 4


def outputs(epochs: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drift = torch.linspace(0, 3, epochs)[:, None, None]
    logits = torch.randn(epochs, size, CLASSES, generator=generator) * 2
    targets = torch.randint(CLASSES, (size,), generator=generator)
    return logits + drift * torch.nn.functional.one_hot(targets, CLASSES), targets


def observe(logits: torch.Tensor, targets: torch.Tensor, batch: int = 7) -> Dynamics:
    recorder = DynamicsRecorder(len(targets), "cpu")
    generator = torch.Generator().manual_seed(1)
    for epoch in logits:
        for positions in torch.randperm(len(targets), generator=generator).split(batch):
            recorder.update(positions, epoch[positions], targets[positions])
        recorder.end_epoch()
    return recorder.result()


def test_dual_does_not_look_beyond_epoch_30_and_dyn_unc_does() -> None:
    logits, targets = outputs(45, 23)
    changed = logits.clone()
    changed[30:] = changed[30:].flip(2)
    first, second = observe(logits, targets), observe(changed, targets)
    np.testing.assert_array_equal(first.dual, second.dual)
    assert np.abs(first.dyn_unc - second.dyn_unc).max() > 1e-3


def test_steady_images_are_certain_and_dual_prefers_the_harder_of_two_equal_spreads() -> None:
    # Three images: always right, right one epoch in five, and right four epochs in five.
    wobble = torch.tensor([[3.0, 0, 0, 0] if epoch % 5 == 0 else [0, 3.0, 0, 0] for epoch in range(20)])
    logits = torch.stack([torch.tensor([[3.0, 0, 0, 0]]).expand(20, 4), wobble, wobble[:, [1, 0, 2, 3]]], dim=1)
    dynamics = observe(logits, torch.zeros(3, dtype=torch.int64))
    assert dynamics.dyn_unc[0] == pytest.approx(0, abs=1e-6)
    assert dynamics.dyn_unc[1] == pytest.approx(dynamics.dyn_unc[2], rel=1e-4)
    assert dynamics.dual[1] > 1.5 * dynamics.dual[2] > dynamics.dual[0]
    assert dynamics.difficulty("dual").argmax() == 1
    assert dynamics.difficulty("dyn-unc").argmin() == 0


def test_memory_does_not_grow_with_the_number_of_epochs() -> None:
    def held(epochs: int) -> int:
        logits, targets = outputs(1, 50)
        recorder = DynamicsRecorder(50, "cpu")
        for _ in range(epochs):
            recorder.update(torch.arange(50), logits[0], targets)
            recorder.end_epoch()
        tensors = [value for value in vars(recorder).values() if isinstance(value, torch.Tensor)]
        tensors += vars(recorder)["_sums"].values()
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    assert held(2) == held(40)


Training = tuple[np.ndarray, list[int], int, int]


def softmax(logits: Sequence[float]) -> list[float]:
    exponentials = [math.exp(value - max(logits)) for value in logits]
    return [value / sum(exponentials) for value in exponentials]


def margin(values: Sequence[float], label: int) -> float:
    return values[label] - max(value for c, value in enumerate(values) if c != label)


def windows(values: list[Any], length: int) -> list[list[Any]]:
    length = min(length, len(values))
    return [values[start : start + length] for start in range(len(values) - length + 1)]


def spread(window: Sequence[float]) -> float:
    return statistics.stdev(window) if len(window) > 1 else 0.0


def change(before: Sequence[float], after: Sequence[float]) -> float:
    """TDDS' change of an image between two epochs."""
    return sum(abs(q * (math.log(q + 1e-8) - math.log(p + 1e-8))) for p, q in zip(before, after, strict=True))


def tdds(outputs: list[list[float]], trajectory: int, length: int) -> float:
    """As the released code has it: all windows of the first epochs, and a moving average that starts at 0."""
    outputs = outputs[:trajectory]
    score = 0.0
    for window in windows(outputs, length):
        changes = [change(*pair) for pair in pairwise(window)]
        mean = statistics.fmean(changes) if changes else 0.0
        score = 0.1 * score + 0.9 * math.sqrt(sum((d - mean) ** 2 for d in changes))
    return score


def entropy(probabilities: Sequence[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def lead(probabilities: Sequence[float]) -> float:
    first, second = sorted(probabilities, reverse=True)[:2]
    return first - second


def by_hand(logits: list[list[float]], label: int) -> dict[str, float]:
    """The scores of one image whose outputs of all epochs are ``logits`` [T][C]."""
    outputs = [softmax(epoch) for epoch in logits]
    # Of equal outputs the first class is predicted, as argmax has it.
    correct = [epoch.index(max(epoch)) == label for epoch in logits]
    own = [p[label] for p in outputs]
    errors = [math.sqrt(sum((v - (c == label)) ** 2 for c, v in enumerate(p))) for p in outputs[:10]]
    return {
        "aum": sum((margin(p, label) for p in outputs), 0.0),
        "aum_logits": sum((margin(epoch, label) for epoch in logits), 0.0),
        "forgetting": sum(before and not after for before, after in pairwise(correct)),
        "learned": any(correct),
        "el2n": statistics.fmean(errors),
        "correctness": statistics.fmean(map(float, correct)),
        "confidence": statistics.fmean(own),
        "variability": statistics.pstdev(own),
        "dyn_unc": statistics.fmean(map(spread, windows(own, 10))),
        "dual": statistics.fmean(spread(w) * (1 - statistics.fmean(w)) for w in windows(own[:30], 10)),
        "early_confidence": statistics.fmean(own[:30]),
        "least_confidence": 1 - max(outputs[-1]),
        "margin": lead(outputs[-1]),
        "entropy": entropy(outputs[-1]),
        "mean_least_confidence": statistics.fmean(1 - max(p) for p in outputs),
        "mean_margin": statistics.fmean(map(lead, outputs)),
        "mean_entropy": statistics.fmean(map(entropy, outputs)),
        "tdds": tdds(outputs, 30, 10),
        "tdds_early": tdds(outputs, 10, 5),
    }


@st.composite
def trainings(draw: st.DrawFn) -> Training:
    """Logits [T, N, C] on a grid of halves, so that equal outputs occur; labels; batches of any sizes per epoch."""
    # The windows have 5 and 10 epochs; TDDS' trajectories 10 and 30, DUAL's 30.
    epochs = draw(st.sampled_from([1, 2, 4, 5, 6, 9, 10, 11, 29, 30, 31]) | st.integers(1, 45))
    size, classes = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    drawn = np.random.default_rng(draw(st.integers(0, 2**31))).integers(-8, 9, (epochs, size, classes)) / 2
    labels = [draw(st.integers(0, classes - 1)) for _ in range(size)]
    return drawn.astype(np.float32), labels, draw(st.integers(1, size)), draw(st.integers(0, 2**31))


@settings(max_examples=60, deadline=None)
@given(trainings())
def test_online_numbers_are_the_definitions(training: Training) -> None:
    logits, labels, batch, seed = training
    recorder, targets = DynamicsRecorder(len(labels), "cpu"), torch.tensor(labels)
    order = torch.Generator().manual_seed(seed)
    for epoch in torch.from_numpy(logits):
        for part in torch.randperm(len(labels), generator=order).split(batch):
            recorder.update(part, epoch[part], targets[part])
        recorder.end_epoch()
    found = recorder.result().arrays()
    assert int(found.pop("epochs")) == len(logits)
    assert found["dyn_unc"].dtype == found["dual"].dtype == np.float32
    for image, label in enumerate(labels):
        expected = by_hand(logits[:, image].tolist(), label)
        assert set(expected) == set(found)
        for name, value in expected.items():
            assert found[name][image] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("epochs", [1, 3, 12])
def test_recorder_agrees_with_outputs_stored_in_full(few_digits: Dataset, epochs: int) -> None:
    recipe = RECIPE.model_copy(update={"proxy_epochs": epochs})
    labels = few_digits.train.labels.copy()
    labels[::7] = (labels[::7] + 1) % 10  # some wrong ones, so that not everything is learned
    recorder = Listening(200, 10, epochs)
    fit(
        CNN,
        LabelledInputs(few_digits.train.images, labels, 10),
        dataset=few_digits,
        recipe=recipe,
        iterations=proxy_iterations(recipe, 200),
        seed=0,
        device="cpu",
        recorder=recorder,
    )
    found, logits = recorder.result(), recorder.logits
    assert np.isfinite(logits).all()
    assert found.epochs == epochs
    exponentials = np.exp(logits - logits.max(2, keepdims=True))
    probabilities = exponentials / exponentials.sum(2, keepdims=True)
    rows = np.arange(200)

    def margins(outputs: np.ndarray) -> np.ndarray:
        own = outputs[:, rows, labels]
        others = outputs.copy()
        others[:, rows, labels] = -np.inf
        return (own - others.max(2)).sum(0)

    correct = logits.argmax(2) == labels
    own = probabilities[:, rows, labels]
    errors = np.linalg.norm(probabilities - np.eye(10)[labels], axis=2)
    np.testing.assert_allclose(found.aum, margins(probabilities), atol=1e-5)
    np.testing.assert_allclose(found.aum_logits, margins(logits), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found.forgetting, (correct[:-1] & ~correct[1:]).sum(0))
    np.testing.assert_array_equal(found.learned, correct.any(0))
    np.testing.assert_allclose(found.el2n, errors[:10].mean(0), atol=1e-5)
    np.testing.assert_allclose(found.correctness, correct.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.confidence, own.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.variability, own.std(0), atol=1e-5)
    if epochs == 12:
        assert found.forgetting.max() > 0
        assert not found.learned.all()
        assert np.abs(errors.mean(0) - found.el2n).max() > 1e-3, "the window of 10 epochs plays no part in this test"
