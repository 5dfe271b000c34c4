"""What Dyn-Unc and DUAL look at and prefer; their numbers are tested in ``test_recorder_oracle.py``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.dynamics import Dynamics
from bench.training.recorder import DynamicsRecorder

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


def test_the_new_fields_survive_storage() -> None:
    dynamics = observe(*outputs(12, 5))
    again = Dynamics.from_arrays(dynamics.arrays())
    np.testing.assert_array_equal(again.dyn_unc, dynamics.dyn_unc)
    np.testing.assert_array_equal(again.dual, dynamics.dual)
