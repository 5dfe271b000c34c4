"""The network of ``speedrun``, in a module of its own because it imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 2
"""Side of a whitened patch, in pixels."""
_FLOOR = 5e-4
"""Added to the variances of patches, so that directions that hardly vary are not amplified."""


class Speedrun(nn.Module):
    """The network of the speed runs, see ``bench.models.speedrun.speedrun``.

    Args:
        channels: channels of an image.
        num_classes: number of outputs.
        widths: channels of the three blocks.
    """

    def __init__(self, channels: int, num_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        first = 2 * channels * PATCH * PATCH
        self.whiten = Whiten(channels)
        sizes = [first, *widths]
        self.blocks = nn.Sequential(*(_block(*pair) for pair in pairwise(sizes)))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.classifier = Ninth(widths[-1], num_classes, bias=False)

    def look_at(self, inputs: Tensor) -> None:
        """Fit the whitening to normalised images, float32 [B, C, H, W]."""
        self.whiten.look_at(inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, num_classes] for float [B, C, H, W]."""
        return self.classifier(self.pool(self.blocks(functional.gelu(self.whiten(inputs)))).flatten(1))


class Whiten(nn.Module):
    """Whitens patches of 2 x 2 pixels, with both signs of each direction: [B, C, H, W] -> [B, 8 C, H - 1, W - 1].

    Only the bias is trained. Before ``look_at``, the directions are the pixels.
    """

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = channels * PATCH * PATCH
        both = torch.cat([torch.eye(size), -torch.eye(size)])
        self.register_buffer("weight", both.reshape(2 * size, channels, PATCH, PATCH))
        self.bias = nn.Parameter(torch.zeros(2 * size))

    @torch.no_grad()
    def look_at(self, inputs: Tensor) -> None:
        """Set the directions to the eigenvectors of the patches' covariance, divided by their standard deviations."""
        channels = inputs.shape[1]
        size = channels * PATCH * PATCH
        second, count = torch.zeros(size, size, dtype=torch.float64), 0
        for part in inputs.split(500):
            # On the CPU in float64, so that eigenvectors of nearly equal variances are the same on every device.
            patches = functional.unfold(part.float(), PATCH).transpose(1, 2).reshape(-1, size).cpu().double()
            second += patches.T @ patches
            count += len(patches)
        variances, directions = torch.linalg.eigh(second / count)
        # Signs of eigenvectors are arbitrary; both are used, so fixing the sign fixes their order.
        directions = directions * directions.sum(0).sign().where(directions.sum(0) != 0, torch.ones(()))
        scaled = (directions / (variances + _FLOOR).sqrt()).T.reshape(size, channels, PATCH, PATCH)
        self.weight.copy_(torch.cat([scaled, -scaled]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [B, 8 C, H - 1, W - 1] of [B, C, H, W]."""
        return functional.conv2d(inputs, self.weight, self.bias)


class Norm(nn.BatchNorm2d):
    """BatchNorm without a scale, whose bias learns 64 times as fast as other parameters.

    The bias is 8 b: the gradient by b is 8 times the gradient by the bias, and a step of b moves the bias 8 times as
    far.
    """

    FASTER = 8.0
    ones: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-12, momentum=0.4, affine=False)
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("ones", torch.ones(channels), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the same shape, [B, C, H, W]."""
        return functional.batch_norm(
            inputs,
            self.running_mean,
            self.running_var,
            # Not None, which gives the same numbers: without a scale, torch's CUDA kernels for channels_last return a
            # gradient of no elements for the bias, which autograd refuses (read in Normalization.cuh, not tried).
            self.ones,
            self.FASTER * self.shift,
            self.training,
            self.momentum or 0.0,
            self.eps,
        )


class Ninth(nn.Linear):
    """A linear layer that gives a ninth of its outputs.

    A layer of its own, so that the network's last layer gives its logits, as ``read_outputs`` needs.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return [B, outputs] for [B, inputs]."""
        # Without the division, the first steps diverge at this learning rate: the pooled features are maxima.
        return super().forward(inputs) / 9


def _block(channels: int, wide: int) -> nn.Module:
    return nn.Sequential(
        _convolution(channels, wide),
        nn.MaxPool2d(2),
        Norm(wide),
        nn.GELU(),
        _convolution(wide, wide),
        Norm(wide),
        nn.GELU(),
    )


def _convolution(channels: int, wide: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
    # The identity on as many channels as possible, so that signal and gradient pass an untrained network.
    nn.init.dirac_(layer.weight[: min(channels, wide)])
    return layer
