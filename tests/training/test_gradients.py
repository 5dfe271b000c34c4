"""Gradient norms of a network, against one image at a time by plain autograd."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from bench import Dataset
from bench.parts import Layers
from bench.training import gradients as module
from bench.training.batches import Batches, TensorBatches
from bench.training.gradients import norms_of
from bench.training.outputs import last_linear, read_outputs
from tests.narrowing import in_memory, present
from tests.training.runs import RECIPE, first_images, trained


def by_hand(network: nn.Module, batches: Batches, weights: Iterable[torch.Tensor]) -> list[float]:
    """One backward pass per image."""
    network.eval()
    norms: list[float] = []
    for batch in batches.in_order():
        for image, target in zip(batch.inputs, batch.targets, strict=True):
            network.zero_grad()
            functional.cross_entropy(network(image[None]), target[None]).backward()
            norms.append(torch.cat([present(weight.grad).flatten() for weight in weights]).norm().item())
    return norms


@pytest.mark.parametrize(("name", "size", "steps"), [("small_cnn", 20, 6), ("resnet18", 5, 0)])
def test_norms_are_those_of_one_backward_pass_per_image(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch, name: str, size: int, steps: int
) -> None:
    network, _ = trained(few_digits, name, steps)
    batches, weights = first_images(few_digits, size), list(network.parameters())
    # Chunks of 3 images, which 20 and 5 are no multiple of.
    monkeypatch.setattr(module, "HELD_ON_CPU", 3 * sum(weight.numel() for weight in weights))
    found = norms_of(network, batches, layers="all")
    assert found.shape == (size,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(network, batches, weights), rtol=1e-3, atol=1e-6)
    last = norms_of(network, batches, layers="last")
    np.testing.assert_allclose(last, by_hand(network, batches, [*last_linear(network).parameters()]), rtol=1e-3)
    assert (last <= found).all()
    assert np.std(found) > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(2, 4), st.booleans(), st.integers(0, 2**31))
def test_norms_of_any_small_network(size: int, width: int, classes: int, bias: bool, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    inputs = drawn.normal(size=(size, 3)).astype(np.float32)
    labels = drawn.integers(0, classes, size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, classes, bias=bias))
    batches = TensorBatches(*map(torch.from_numpy, (inputs, labels)), recipe=RECIPE, mean=(0,), std=(1,), device="cpu")
    parts: list[tuple[Layers, Any]] = [("all", network.parameters()), ("last", network[2].parameters())]
    for layers, weights in parts:
        expected = by_hand(network, batches, list(weights))
        np.testing.assert_allclose(norms_of(network, batches, layers=layers), expected, rtol=1e-4, atol=1e-6)


def test_a_probe_has_one_layer(few_digits: Dataset) -> None:
    pixels = in_memory(few_digits.train.images).reshape(200, -1).astype(np.float32) / 255
    network, batches = trained(few_digits, "linear_probe", inputs=pixels)
    every, last = (norms_of(network, batches, layers=layers) for layers in ("all", "last"))
    np.testing.assert_allclose(every, last, rtol=1e-4)
    np.testing.assert_allclose(read_outputs(network, batches).features, network.norm(torch.from_numpy(pixels[:40])))


def test_last_layer_without_bias(few_digits: Dataset) -> None:
    network, batches = trained(few_digits, "small_cnn")
    network.classifier.bias = None
    found = norms_of(network, batches, layers="last")
    np.testing.assert_allclose(found, by_hand(network, batches, [network.classifier.weight]), rtol=1e-3)
