"""Networks to be looked at."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench.zoo.empty import empty


def test_weights_take_no_memory() -> None:
    assert {value.device.type for value in empty(lambda: nn.Linear(10**6, 10**6)).parameters()} == {"meta"}


def test_a_network_that_computes_with_its_first_weights_gets_them() -> None:
    def scaled() -> nn.Module:
        layer: Any = nn.Linear(3, 2)
        layer.largest = layer.weight.abs().max().item()
        network: nn.Module = layer
        return network

    assert {value.device.type for value in empty(scaled).parameters()} == {"cpu"}
    assert torch.empty(1).device.type == "cpu", "later tensors are as usual"
