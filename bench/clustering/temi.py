"""TEMI: deep clustering of frozen embeddings (Adaloglou et al. 2023, arXiv 2303.17896), all heads in one batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.clustering.assign import default_batch
from bench.data import Arrays
from bench.errors import NotFinite
from bench.to_device import to_device

if TYPE_CHECKING:
    from bench.store.unfinished import Unfinished

TEMPERATURE = 0.1
TEACHER_MOMENTUM = 0.996
SHORT_RUN_WINDOW = 24
"""In a short run the teacher averages over 1 / 24 of the steps; for 6,000 steps that is a momentum of 0.996."""
PRIOR_MOMENTUM = 0.9
LEARNING_RATE, WARM_UP, BETA = 1e-4, 20, 0.6
"""The paper's values: AdamW's learning rate at batch 256, proportional to the batch; epochs of linear warm-up, at most
a tenth of all epochs; and the exponent of ``temi_loss``."""
HIDDEN, BOTTLENECK = 512, 256
Precision = Literal["fp32", "bf16"]
Pair: TypeAlias = tuple[Tensor, Tensor]
"""A tensor of x, and the same of its neighbour x'."""
_CACHED = 1_000_000
"""Numbers of a hidden layer that fit into a CPU's cache together with the weights."""


@dataclass(frozen=True)
class TemiClusters:
    """``labels`` int64 [N] in [0, C); ``losses`` float64 [H], mean training loss of each head in the last epoch."""

    labels: NDArray[np.int64]
    losses: NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """Size of TEMI's training.

    Attributes:
        heads: H, number of heads; the best by training loss is used.
        epochs: passes over the pool.
        batch_size: images per step; None is ``default_batch``.
    """

    heads: int
    epochs: int
    batch_size: int | None = None


class ClusterHeads(nn.Module):
    """H independent cluster heads: D -> 512 -> GELU -> 256, L2-normalised, then weight-normalised linear to C."""

    def __init__(self, heads: int, features: int, clusters: int, generator: torch.Generator) -> None:
        super().__init__()

        def normal(*shape: int) -> nn.Parameter:
            weight = torch.empty(shape)
            return nn.Parameter(nn.init.trunc_normal_(weight, std=0.02, generator=generator))

        self.first = normal(heads, features, HIDDEN)
        self.first_bias = nn.Parameter(torch.zeros(heads, 1, HIDDEN))
        self.second = normal(heads, HIDDEN, BOTTLENECK)
        self.second_bias = nn.Parameter(torch.zeros(heads, 1, BOTTLENECK))
        self.direction = normal(heads, BOTTLENECK, clusters)
        self.gain = nn.Parameter(torch.ones(heads, 1, clusters))

    def split(self, size: int) -> list[ClusterHeads]:
        """Return copies of the heads in modules of at most ``size`` heads."""
        parts = []
        for start in range(0, len(self.first), size):
            # Split after all weights are drawn, so that initial weights do not depend on the size of the groups.
            part = copy.deepcopy(self)
            for name, weight in self.named_parameters():
                copied = weight.detach()[start : start + size].clone()
                setattr(part, name, nn.Parameter(copied, requires_grad=weight.requires_grad))
            parts.append(part)
        return parts

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the logits [H, B, C] of embeddings [B, D]."""
        # Expanded, not copied: concatenating the weights of all heads for one product took longer than it saved.
        inputs = embeddings.expand(len(self.first), *embeddings.shape)
        hidden = torch.baddbmm(self.first_bias, inputs, self.first)
        bottleneck = torch.baddbmm(self.second_bias, nn.functional.gelu(hidden), self.second)
        # Weight normalisation by hand: torch's has one length per row and no axis of heads.
        weight = self.gain * nn.functional.normalize(self.direction, dim=1)
        # Dividing C logits by the length, not 256 features, gives the same cosine with a cheaper backward pass.
        length = torch.linalg.vector_norm(bottleneck, dim=2, keepdim=True, dtype=torch.float32)
        return torch.bmm(bottleneck, weight.to(bottleneck.dtype)).float() / length.clamp_min(1e-12)


def temi_loss(
    student: Pair, teacher: Pair, prior: Tensor, *, beta: float = BETA, agreement: Tensor | None = None
) -> Tensor:
    """Return every head's loss: weighted pointwise mutual information of an image and its neighbour, both directions.

    For probabilities q_s of the student and q_t of the teacher: -w log sum_c (q_s(c|x) q_t(c|x'))^beta / pk(c),
    where w, the mean over heads of sum_c q_t(c|x) q_t(c|x'), carries no gradient. Computed from logarithms: a product
    of probabilities underflows once the gains have grown, and its power has an infinite derivative at 0.

    Args:
        student: log-probabilities of x and of x', each [H, B, C].
        teacher: the same of the teacher, without gradient.
        prior: pk, [H, C].
        beta: 1 is plain pointwise mutual information.
        agreement: w, [B], if ``teacher`` has only some of the heads; None computes it from ``teacher``.

    Returns:
        [H].
    """
    if agreement is None:
        agreement = same_cluster(teacher).mean(0)
    # A cluster that has been empty for long may have a mean of exactly 0.
    scale = prior.clamp_min(torch.finfo(prior.dtype).tiny).log()[:, None, :]
    # Each image's student is compared with the other's teacher, so that a head cannot copy itself.
    total = torch.zeros(len(prior), device=prior.device)
    for learner, target in ((student[0], teacher[1]), (student[1], teacher[0])):
        information = (beta * (learner + target) - scale).logsumexp(2)
        total = total - (agreement * information).mean(1)
    return total / 2


def same_cluster(teacher: Pair) -> Tensor:
    """Return each teacher head's probability that x and x' share a cluster: sum_c q_t(c|x) q_t(c|x'), [H, B]."""
    return (teacher[0] + teacher[1]).exp().sum(2)


def temi(
    embeddings: NDArray[np.float32],
    neighbors: NDArray[np.int64],
    num_clusters: int,
    effort: Effort,
    *,
    seed: int = 0,
    device: str = "cpu",
    precision: Precision = "fp32",
    progress: Callable[[int, int], None] | None = None,
    unfinished: Unfinished | None = None,
) -> TemiClusters:
    """Return clusters of N images by their embeddings; no label is read.

    The head with the lowest mean training loss in the last epoch labels the pool, by the argmax of its teacher. (The
    released code of ELFS takes the checkpoint with the best test accuracy against true labels instead, which leaks
    labels.) Deviations: embeddings are scaled so that their mean squared length is D, so that one learning rate suits
    encoders of any scale; a small pool gets smaller batches; and in a run of fewer than 6,000 steps the teacher
    averages over 1/24 of the run, since with momentum 0.996 it would stay near its random start. Only the first changes
    the paper's setting of 50,000 images and 200 epochs.

    Args:
        embeddings: float32 [N, D], finite.
        neighbors: int64 [N, k], the images that may be drawn as x' for each x.
        num_clusters: C, 1 to N.
        effort: heads, epochs and batch.
        seed: seed of initial weights, order and neighbours.
        device: ``cpu`` or ``cuda``.
        precision: precision of the heads' products; weights, probabilities and losses are always fp32.
        progress: called with (epochs done, epochs in all).
        unfinished: stores the state after some epochs, and returns that of an interrupted run.

    Raises:
        NotFinite: a loss is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    size = len(embeddings)
    heads, epochs = effort.heads, effort.epochs
    batch_size = min(size, effort.batch_size or default_batch(size))
    warm_up = min(WARM_UP, max(1, epochs // 10))
    points = torch.from_numpy(_scaled(embeddings)).to(device)
    # Rounded once here, as the products would do for every head in every step.
    inputs = points.bfloat16() if precision == "bf16" else points
    # A copy, since torch warns about the store's read-only arrays.
    near = torch.from_numpy(np.array(neighbors)).to(device)
    all_heads = ClusterHeads(heads, points.shape[1], num_clusters, generator).to(device)
    students = all_heads.split(_heads_at_once(heads, batch_size, device))
    teachers = [copy.deepcopy(student).requires_grad_(False) for student in students]
    weights: list[Tensor] = [weight for student in students for weight in student.parameters()]
    slow: list[Tensor] = [weight for teacher in teachers for weight in teacher.parameters()]
    rate = LEARNING_RATE * batch_size / 256
    # One optimiser for all heads: AdamW works number by number, so heads do not affect each other.
    # Fused except on ``meta``, for which torch has no such kernel, and on which a test counts synchronisations.
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4, fused=not points.is_meta)
    steps = math.ceil(size / batch_size)
    # At least 0.5; otherwise the teacher of a run of a few steps would be the student itself.
    momentum = min(TEACHER_MOMENTUM, max(0.5, 1 - SHORT_RUN_WINDOW / (steps * epochs)))
    priors = [torch.full((len(part.first), num_clusters), 1 / num_clusters, device=device) for part in students]
    losses = torch.zeros(heads, device=device)
    state = State(weights, slow, priors, optimiser, generator)
    saved = unfinished and unfinished.load()
    begin = state.restore(saved, steps) if saved else 0
    done = begin * steps
    for epoch in range(begin, epochs):
        losses = torch.zeros(heads, device=device)
        for part in torch.randperm(size, generator=generator).split(batch_size):
            # Drawn on the CPU, so that every device sees the same order and neighbours.
            drawn = to_device(torch.randint(near.shape[1], (len(part),), generator=generator), device)
            indices = to_device(part, device)
            pair = (inputs[indices], inputs[near[indices, drawn]])
            # By hand, since a scheduler's state would have to be saved and restored too.
            optimiser.param_groups[0]["lr"] = rate * min(1.0, (done + 1) / (warm_up * steps))
            optimiser.zero_grad(set_to_none=True)
            step_losses = _backward(students, teachers, priors, pair, precision)
            optimiser.step()
            done += 1
            with torch.no_grad():
                torch._foreach_lerp_(slow, weights, 1 - momentum)
            # Weighted by the batch's images, since the last batch may be small. The mean of the last epoch decides.
            losses += step_losses * len(part) / size
        # Read once per epoch: reading at every step would make a GPU wait for the host.
        if not torch.isfinite(losses).all():
            raise NotFinite(f"the clustering's loss is not finite in epoch {epoch + 1} of {epochs}.")
        if progress is not None:
            progress(epoch + 1, epochs)
        if unfinished is not None and epoch + 1 < epochs:
            unfinished.save(partial(state.arrays, epoch + 1))
    # By training loss, which knows no label; ties go to the first head.
    best = int(losses.argmin())
    group = len(teachers[0].first)
    with torch.no_grad():
        labels = torch.cat([teachers[best // group](part)[best % group].argmax(1) for part in points.split(4096)])
    return TemiClusters(labels.cpu().numpy(), losses.double().cpu().numpy())


def _backward(
    students: list[ClusterHeads],
    teachers: list[ClusterHeads],
    priors: list[Tensor],
    pair: Pair,
    precision: Precision,
) -> Tensor:
    """Compute the students' gradients, update the priors in place, and return the loss of every head, [H].

    Args:
        students: groups of heads.
        teachers: teachers of the same groups.
        priors: one for each group, [heads of the group, C].
        pair: embeddings of x and x', each [B, D].
        precision: see ``temi``.
    """
    with torch.no_grad():
        targets = [_pair(teacher, pair, precision) for teacher in teachers]
        agreement = torch.cat([same_cluster(target) for target in targets]).mean(0)
        for prior, target in zip(priors, targets, strict=True):
            # Before the loss, which divides by the prior: a cluster that fills up is penalised in the same step.
            prior.lerp_((target[0].exp().mean(1) + target[1].exp().mean(1)) / 2, 1 - PRIOR_MOMENTUM)
    losses = []
    for student, target, prior in zip(students, targets, priors, strict=True):
        loss = temi_loss(_pair(student, pair, precision), target, prior, agreement=agreement)
        # The sum over heads gives each head the gradient it would have alone.
        loss.sum().backward()
        losses.append(loss.detach())
    return torch.cat(losses)


class State(NamedTuple):
    """State of an unfinished clustering, by reference.

    Attributes:
        weights: weights of the students.
        slow: weights of the teachers, in the same order.
        priors: one for each group of heads.
        optimiser: optimiser of the students.
        generator: generator of order and neighbours.
    """

    weights: list[Tensor]
    slow: list[Tensor]
    priors: list[Tensor]
    optimiser: torch.optim.Optimizer
    generator: torch.Generator

    def arrays(self, epoch: int) -> Arrays:
        """Return the state after ``epoch`` epochs; on a CPU the arrays are the tensors' own memory."""
        moments = [self.optimiser.state[weight] for weight in self.weights]
        groups = {
            "student": self.weights,
            "teacher": self.slow,
            "prior": self.priors,
            "mean": [moment["exp_avg"] for moment in moments],
            "square": [moment["exp_avg_sq"] for moment in moments],
        }
        named = {
            f"{name}{number}": tensor.detach().cpu().numpy()
            for name, tensors in groups.items()
            for number, tensor in enumerate(tensors)
        }
        return {**named, "generator": self.generator.get_state().numpy(), "epoch": np.array(epoch)}

    def restore(self, saved: Arrays, steps: int) -> int:
        """Restore a saved state, and return its number of epochs.

        Args:
            saved: a state from ``arrays``.
            steps: steps of an epoch.

        Returns:
            The finished epochs; 0, and nothing is restored, if the heads were grouped differently, as on another kind
            of device.
        """
        shapes = [
            tuple(saved[f"student{number}"].shape) if f"student{number}" in saved else ()
            for number in range(len(self.weights))
        ]
        if shapes != [tuple(weight.shape) for weight in self.weights] or f"student{len(shapes)}" in saved:
            return 0
        # AdamW's step count, which the correction of the moments' bias needs, follows from the epoch.
        done = torch.tensor(float(int(saved["epoch"]) * steps))
        moments = {
            number: {
                "step": done.clone(),
                "exp_avg": torch.from_numpy(saved[f"mean{number}"]),
                "exp_avg_sq": torch.from_numpy(saved[f"square{number}"]),
            }
            for number in range(len(self.weights))
        }
        self.optimiser.load_state_dict({"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]})
        with torch.no_grad():
            for name, tensors in (("student", self.weights), ("teacher", self.slow), ("prior", self.priors)):
                for number, tensor in enumerate(tensors):
                    tensor.copy_(torch.from_numpy(saved[f"{name}{number}"]))
        self.generator.set_state(torch.from_numpy(saved["generator"]))
        return int(saved["epoch"])


def _heads_at_once(heads: int, batch: int, device: str) -> int:
    """Return the heads per group: all on a GPU, and on a CPU as many as have hidden layers that fit into the cache."""
    return heads if device != "cpu" else max(1, min(heads, _CACHED // (batch * HIDDEN)))


def _pair(module: ClusterHeads, pair: Pair, precision: Precision) -> Pair:
    """Return the log-probabilities of x and of x' in fp32, each [H, B, C], from one pass."""
    # No context in fp32: autocast refuses some devices, such as ``meta``, even if it is switched off.
    with torch.autocast(pair[0].device.type, torch.bfloat16) if precision == "bf16" else nullcontext():
        logits = module(torch.cat(pair))
    image, neighbor = (logits / TEMPERATURE).log_softmax(2).split(len(pair[0]), 1)
    return image, neighbor


def _scaled(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all rows scaled by one number, so that their mean squared length is D; see ``temi``."""
    # float64: the sum of squares over a large pool would lose digits in float32.
    length = float(np.sqrt(np.mean(np.sum(embeddings.astype(np.float64) ** 2, axis=1))))
    return np.asarray(embeddings * (math.sqrt(embeddings.shape[1]) / (length or 1.0)), dtype=np.float32)
