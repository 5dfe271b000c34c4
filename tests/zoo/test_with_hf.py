"""Networks of transformers as one vector per image; ``tests/encoders/test_with_hf.py`` reads whole repositories."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bench.zoo.with_hf import Pooled

PIXELS = torch.rand(2, 3, 8, 8)


class Network(nn.Module):
    """Returns what networks of transformers return: given outputs for the pixels."""

    def __init__(self, *, kind: str = "vit", class_token: bool = False, **outputs: Tensor) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type=kind)
        self.outputs = outputs
        if class_token:
            self.cls_token = nn.Parameter(torch.zeros(1))

    def forward(self, pixel_values: Tensor) -> Any:
        assert torch.equal(pixel_values, PIXELS)
        return SimpleNamespace(**self.outputs)


def test_the_class_token_comes_first_and_without_one_it_is_the_mean() -> None:
    tokens = torch.rand(2, 5, 7)
    assert torch.equal(Pooled(Network(class_token=True, last_hidden_state=tokens), True)(PIXELS), tokens[:, 0])
    assert torch.equal(Pooled(Network(last_hidden_state=tokens), True)(PIXELS), tokens.mean(1))


def test_a_pooler_counts_only_with_trained_weights() -> None:
    tokens, pooled = torch.rand(2, 5, 7), torch.rand(2, 7, 1, 1)
    network = Network(last_hidden_state=tokens, pooler_output=pooled)
    assert torch.equal(Pooled(network, True)(PIXELS), pooled.flatten(1))
    assert torch.equal(Pooled(network, False)(PIXELS), tokens.mean(1))


def test_maps_of_a_convolutional_network_are_averaged() -> None:
    maps = torch.rand(2, 7, 3, 3)
    assert torch.equal(Pooled(Network(last_hidden_state=maps), False)(PIXELS), maps.mean((2, 3)))
