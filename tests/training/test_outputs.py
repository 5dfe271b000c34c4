"""What a trained network says of images, and that reading it leaves the network alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench import Dataset
from bench.errors import TrainingError
from bench.training.gradients import norms_of
from bench.training.outputs import read_outputs
from tests.narrowing import in_memory
from tests.training.runs import first_images, trained


def test_outputs_are_the_softmax_and_what_the_last_layer_takes(few_digits: Dataset) -> None:
    network, batches = trained(few_digits, "small_cnn")
    found = read_outputs(network, batches)
    assert (found.probabilities.shape, found.features.shape) == ((40, 10), (40, 128))
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    images = ((in_memory(few_digits.train.images)[:40] / 255 - few_digits.mean[0]) / few_digits.std[0]).astype(
        np.float32
    )
    with torch.no_grad():
        features = network[:-1](torch.from_numpy(images))
        np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.probabilities, network.classifier(features).softmax(1), rtol=1e-4, atol=1e-5)
    assert not network.classifier._forward_hooks


def test_the_network_is_not_changed(few_digits: Dataset) -> None:
    network, batches = trained(few_digits, "small_cnn")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    read_outputs(network, batches)
    for layers in ("all", "last"):
        norms_of(network, batches, layers=layers)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_without_a_last_linear_layer_is_refused(few_digits: Dataset) -> None:
    batches = first_images(few_digits)
    with pytest.raises(TrainingError, match="a Flatten has no linear layer"):
        read_outputs(nn.Flatten(), batches)
    bent = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU())
    with pytest.raises(TrainingError, match="does not give its logits"):
        read_outputs(bent, batches)
    assert not bent[1]._forward_hooks
