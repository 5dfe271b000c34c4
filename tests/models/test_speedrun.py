"""The speedrun network: its size, its whitening and its scaled biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench import Dataset
from bench.training.outputs import read_outputs
from tests.models.networks import build, size
from tests.narrowing import in_memory
from tests.training.runs import trained


def test_speedrun_has_the_published_size() -> None:
    # "1.97 million parameters" (Jordan 2024), of which the fixed layer is a buffer here.
    module = build("speedrun", (3, 32, 32))
    assert round((size(module) + module.whiten.weight.numel()) / 1e6, 2) == 1.97
    half = build("speedrun", (3, 32, 32), width=0.5)
    assert [block[0].out_channels for block in half.blocks] == [32, 128, 128]


def test_speedrun_whitens_patches_of_what_it_is_shown() -> None:
    from sklearn.datasets import load_sample_image

    photo = torch.from_numpy(load_sample_image("flower.jpg")[:384, :640].copy()).permute(2, 0, 1).float() / 128 - 1
    tiles = photo.unfold(1, 32, 32).unfold(2, 32, 32).reshape(3, -1, 32, 32).transpose(0, 1)
    module = build("speedrun", (3, 32, 32))
    module.look_at(tiles)
    response = torch.nn.functional.conv2d(tiles, module.whiten.weight).transpose(0, 1).reshape(24, -1)
    torch.testing.assert_close(response[:12], -response[12:])
    second = (response[:12] @ response[:12].T / response.shape[1]).numpy()
    patches = np.lib.stride_tricks.sliding_window_view(tiles.double().numpy(), (2, 2), axis=(2, 3))
    patches = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    variances = np.linalg.eigvalsh(patches.T @ patches / len(patches))
    # Uncorrelated and of unit variance, but for the floor that holds down the flattest directions of a photograph.
    np.testing.assert_allclose(second, np.diag(variances / (variances + 5e-4)), atol=0.01)


def test_the_bias_of_speedruns_norms_moves_64_times_as_far() -> None:
    from bench.models._speedrun import Norm

    ours, plain = Norm(5), torch.nn.BatchNorm2d(5, eps=1e-12, momentum=0.4)
    inputs, slope = torch.randn(16, 5, 4, 4), torch.randn(16, 5, 4, 4)
    for module in (ours, plain):
        (module(inputs) * slope).sum().backward()
        torch.optim.SGD(module.parameters(), lr=1e-3).step()
    torch.testing.assert_close(ours.FASTER * ours.shift, 64 * plain.bias)
    torch.testing.assert_close(ours.running_var, plain.running_var)


class Scales(TorchDispatchMode):
    """Keeps what every batch_norm is given as its scale."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "batch_norm" in func.overloadpacket.__name__:
            self.seen.append(args[1])
        return func(*args, **(kwargs or {}))


def test_speedruns_norms_have_a_scale_without_which_a_gpu_has_no_gradient_of_their_bias() -> None:
    module, inputs = build("speedrun", (3, 32, 32), width=0.125), torch.randn(4, 3, 32, 32)
    with Scales() as scales, torch.no_grad():
        module(inputs)
        module.eval()(inputs)
    assert len(scales.seen) == 2 * 6
    assert all(torch.equal(scale, torch.ones(len(scale))) for scale in scales.seen)


def test_the_outputs_of_speedrun_can_be_read(few_digits: Dataset) -> None:
    images = np.pad(in_memory(few_digits.train.images), ((0, 0), (0, 0), (1, 1), (1, 1)))
    network, batches = trained(few_digits, "speedrun", steps=2, inputs=images)
    found = read_outputs(network, batches)
    # A ninth, as the paper's network scales its outputs.
    logits = torch.from_numpy(found.features) @ network.classifier.weight.detach().T / 9
    np.testing.assert_allclose(found.probabilities, logits.softmax(1), rtol=1e-5)
