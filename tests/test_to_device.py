"""Copies to a device."""

from __future__ import annotations

import pytest
import torch

from bench.to_device import to_device


def test_on_the_cpu_it_is_the_tensor_itself() -> None:
    tensor = torch.arange(6.0)
    assert to_device(tensor, "cpu") is tensor


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_it_is_an_equal_copy() -> None:
    tensor = torch.arange(6.0)
    copy = to_device(tensor, "cuda")
    assert copy.device.type == "cuda"
    assert torch.equal(copy.cpu(), tensor)
