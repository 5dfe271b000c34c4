"""Every score of the recorder against the definitions in plain Python, from outputs that are stored in full."""

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

from bench.dynamics import Dynamics
from bench.training.recorder import DynamicsRecorder

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


def test_outputs_held_in_half_precision_move_tdds_little(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(31, 50, 7, generator=torch.Generator().manual_seed(0)) * 2
    found = []
    for cells in (2**26, 0):
        monkeypatch.setattr("bench.training.tdds.EXACT_CELLS", cells)
        recorder, targets = DynamicsRecorder(50, "cpu"), torch.zeros(50, dtype=torch.int64)
        for epoch in logits:
            recorder.update(torch.arange(50), epoch, targets)
            recorder.end_epoch()
        found.append(recorder.result())
    assert np.abs(found[0].tdds - found[1].tdds).max() < 2e-3 < found[0].tdds.min()
    assert np.abs(found[0].tdds - found[1].tdds).max() > 0


def test_dynamics_without_the_newer_scores_are_not_read_as_if_they_had_them() -> None:
    recorder = DynamicsRecorder(3, "cpu")
    recorder.update(torch.arange(3), torch.eye(3), torch.arange(3))
    recorder.end_epoch()
    stored = recorder.result().arrays()
    del stored["tdds"]
    with pytest.raises(TypeError, match="tdds"):
        Dynamics.from_arrays(stored)
