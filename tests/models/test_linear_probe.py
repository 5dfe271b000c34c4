"""The linear probe on embeddings of any scale."""

from __future__ import annotations

import torch

from tests.models.networks import build, size


def test_linear_probe_does_not_depend_on_the_scale_of_the_embeddings() -> None:
    module = build("linear_probe", (16,))
    inputs = torch.randn(64, 16)
    torch.testing.assert_close(module(inputs), module(inputs * 1000 + 5), atol=1e-3, rtol=1e-3)
    assert size(module) == 16 * 10 + 10
