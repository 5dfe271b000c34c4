"""The network of ``knn``, in a module of its own because it imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Neighbours(nn.Module):
    """A classifier by nearest neighbours, see ``bench.models.knn.knn``.

    Args:
        num_classes: C.
        k: number of neighbours.
        temperature: temperature of the votes.
    """

    keys: Tensor
    votes: Tensor

    def __init__(self, num_classes: int, k: int, temperature: float) -> None:
        super().__init__()
        self._classes, self._k, self._temperature = num_classes, k, temperature
        self.register_buffer("keys", torch.empty(0, 0))
        self.register_buffer("votes", torch.empty(0))

    def remember(self, inputs: Tensor, targets: Tensor) -> None:
        """Store the items that vote: float32 [n, D], and their classes int64 [n]."""
        self.keys = functional.normalize(inputs, dim=1)
        self.votes = functional.one_hot(targets, self._classes).float()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, C] for float32 [B, D]."""
        cosines, nearest = (functional.normalize(inputs, dim=1) @ self.keys.T).topk(min(self._k, len(self.keys)), dim=1)
        # The largest cosine is subtracted, since exp(1 / 0.01) overflows float32; relative votes stay the same.
        weights = ((cosines - cosines[:, :1]) / self._temperature).exp()
        # Without any vote, the logarithm would be infinite.
        return (weights[:, :, None] * self.votes[nearest]).sum(1).clamp_min(1e-30).log()
