"""SimSiam: training a network without labels to give two random views of an image the same output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import NotFinite, TrainingError
from bench.progress import Progress
from bench.to_device import to_device
from bench.training.batches import split_epoch
from bench.training.loop import steps_per_epoch
from bench.training.views import random_view

OUTPUTS, BOTTLENECK = 256, 64
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
LEAST_SPREAD, LEAST_RANK = 0.1, 2.0
"""Outputs count as collapsed below either bound: a tenth of the spread on a sphere, or fewer than two directions."""
MEAN, STD = 0.5, 0.25


class Health(NamedTuple):
    """Measures of whether the outputs tell images apart, which need no label.

    Attributes:
        spread: mean standard deviation of the L2-normalised outputs, times the square root of their width: about 1 on
            the whole sphere, 0 if all images have the same output (Chen and He 2021, section 4.1).
        rank: effective rank of the centred outputs: the exponential of the entropy of the covariance's normalised
            eigenvalues (Roy and Vetterli 2007). It is near 1 if outputs lie on a line, which ``spread`` misses, since
            BatchNorm scales the remaining differences up.
    """

    spread: float
    rank: float

    @property
    def collapsed(self) -> bool:
        """Whether the outputs of different images are too similar to be useful."""
        # Not ``<``: NaN must count as collapsed.
        return not (self.spread >= LEAST_SPREAD and self.rank >= LEAST_RANK)


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of the training.

    Attributes:
        epochs: passes over the images.
        batch_size: images per step; a network sees two views of each.
        lr: learning rate per 256 images, with cosine decay over the whole training.
    """

    epochs: int
    batch_size: int
    lr: float


class SiameseHeads(nn.Module):
    """Projector and predictor, which are discarded after training.

    Source: Chen and He 2021 (arXiv:2011.10566), section 3 and appendix D: a projector of two layers for CIFAR, its
    last BatchNorm without scale and shift, and a predictor with a bottleneck of a quarter. Deviation: 256 outputs in
    place of 2048, for a backbone of 128 features in place of 512.

    Args:
        features: D, number of the backbone's features.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(features, OUTPUTS, bias=False),
            nn.BatchNorm1d(OUTPUTS),
            nn.ReLU(inplace=True),
            nn.Linear(OUTPUTS, OUTPUTS, bias=False),
            nn.BatchNorm1d(OUTPUTS, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(OUTPUTS, BOTTLENECK, bias=False),
            nn.BatchNorm1d(BOTTLENECK),
            nn.ReLU(inplace=True),
            nn.Linear(BOTTLENECK, OUTPUTS),
        )


def train_siamese(
    backbone: nn.Module,
    heads: SiameseHeads,
    images: Tensor,
    *,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> Health:
    """Train backbone and heads in place to predict the output of one view of an image from the other, return health.

    Source: Chen and He 2021, algorithm 1: negative cosine similarity to outputs without gradient, in both directions;
    SGD with momentum 0.9 and weight decay 0.0005; the predictor's learning rate does not decay. Deviation: BatchNorm's
    statistics are measured again at the end, on images without augmentation (``measure_statistics``).

    Args:
        backbone: float32 [B, 3, S, S] -> features [B, D].
        heads: for D features, on the same device.
        images: uint8 [N, C, S, S] on that device, C = 1 or 3, at least 2 images.
        schedule: epochs, batch size, learning rate.
        generator: CPU generator for order and views.
        progress: called with (steps done, steps in all) once per epoch.

    Returns:
        The health of the projector's outputs after training.

    Raises:
        TrainingError: there are fewer than 2 images, or (``NotFinite``) the loss is not finite.
    """
    if len(images) < 2:
        raise TrainingError(f"SimSiam cannot be trained on {len(images)} image(s); 2 or more.")
    steps = schedule.epochs * steps_per_epoch(len(images), schedule.batch_size)
    rate = schedule.lr * min(schedule.batch_size, len(images)) / 256
    decaying = [*backbone.parameters(), *heads.projector.parameters()]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": [*heads.predictor.parameters()]}]
    optimiser = torch.optim.SGD(
        groups,
        lr=rate,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        fused=images.is_cuda,
    )
    decay = [lambda step: (1 + math.cos(math.pi * step / steps)) / 2, lambda step: 1.0]
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, decay)
    step = 0
    backbone.train(), heads.train()
    for _ in range(schedule.epochs):
        # Read once per epoch: reading at every step would make a GPU wait for the host.
        total = torch.zeros((), device=images.device)
        for part in split_epoch(torch.randperm(len(images), generator=generator), schedule.batch_size):
            batch = images[to_device(part, images.device)]
            views = torch.cat([random_view(batch, generator), random_view(batch, generator)])
            loss = similarity_loss(heads, *backbone(normalised(views)).chunk(2))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            rates.step()
            total += loss.detach()
            step += 1
        if not math.isfinite(total.item()):
            raise NotFinite(
                f"SimSiam's loss is not finite by step {step} of {steps}; try a smaller lr than {schedule.lr:g}."
            )
        if progress is not None:
            progress(step, steps)
    measure_statistics(nn.Sequential(backbone, heads.projector), images, schedule.batch_size, generator)
    return health(projections(backbone, heads, images))


def similarity_loss(heads: SiameseHeads, first: Tensor, second: Tensor) -> Tensor:
    """Return the symmetric loss of two views' features [B, D]: between -1 (every pair alike) and 1."""
    first_projected, second_projected = heads.projector(first), heads.projector(second)
    # ``detach`` is the stop-gradient; without it the outputs of all images become the same.
    forth = functional.cosine_similarity(heads.predictor(first_projected), second_projected.detach())
    back = functional.cosine_similarity(heads.predictor(second_projected), first_projected.detach())
    return -(forth.mean() + back.mean()) / 2


@torch.no_grad()
def measure_statistics(network: nn.Module, images: Tensor, batch_size: int, generator: torch.Generator) -> None:
    """Replace BatchNorm's running statistics by their mean over batches of the images without augmentation.

    Source: "precise BN", Wu and Johnson 2021 (arXiv:2105.07576), section 3. The statistics of training belong to
    augmented views, and after a few steps still contain their initial values.

    Args:
        network: changed in place, and in training mode afterwards.
        images: uint8 [N, C, S, S].
        batch_size: at least 2.
        generator: shuffles the images, since a folder is sorted by class.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_running_stats()
            # None is a cumulative mean over all batches in place of a moving average.
            layer.momentum = None
    network.train()
    for part in split_epoch(torch.randperm(len(images), generator=generator).to(images.device), batch_size):
        network(normalised(images[part].float().div_(255)))


@torch.no_grad()
def projections(backbone: nn.Module, heads: SiameseHeads, images: Tensor) -> Tensor:
    """Return the projector's outputs float32 [N, 256] in evaluation mode, without augmentation."""
    backbone.eval(), heads.eval()
    parts = [heads.projector(backbone(normalised(part.float().div_(255)))) for part in images.split(512)]
    return torch.cat(parts)


def health(outputs: Tensor) -> Health:
    """Return the health of outputs.

    Args:
        outputs: float [N, D], finite.
    """
    # float64: collapsed outputs differ by little more than float32's rounding.
    unit = functional.normalize(outputs.double(), dim=1)
    centred = unit - unit.mean(0)
    variances = torch.linalg.eigvalsh(centred.T @ centred / len(unit)).clamp_min(0)
    shares = variances / variances.sum().clamp_min(torch.finfo(torch.float64).tiny)
    entropy = torch.special.entr(shares).sum()
    return Health(float(centred.std(0, correction=0).mean() * outputs.shape[1] ** 0.5), float(entropy.exp()))


def normalised(images: Tensor) -> Tensor:
    """Return images, float32 [B, C, H, W] in [0, 1], with three channels and about zero mean and unit deviation."""
    scaled = (images.expand(-1, 3, -1, -1) - MEAN) / STD
    return scaled.contiguous(memory_format=torch.channels_last)
