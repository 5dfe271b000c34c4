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
"""In a short run the teacher averages over a share of 1 / 24 of the steps: 0.996 is that of 6,000 steps."""
PRIOR_MOMENTUM = 0.9
LEARNING_RATE, WARM_UP, BETA = 1e-4, 20, 0.6
"""Of AdamW at batch 256, growing in proportion to the batch; epochs of linear warm-up, cut to a tenth of all; and the
exponent of ``temi_loss``: the paper's, at which all results were computed."""
HIDDEN, BOTTLENECK = 512, 256
Precision = Literal["fp32", "bf16"]
Pair: TypeAlias = tuple[Tensor, Tensor]
"""Something of x, and the same of its neighbour x'."""
_CACHED = 1_000_000
"""Numbers of a hidden layer that a CPU's cache holds beside the weights."""


@dataclass(frozen=True)
class Clustering:
    """``labels`` int64 [N] in [0, C); ``losses`` float64 [H], mean training loss of each head in the last epoch."""

    labels: NDArray[np.int64]
    losses: NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """How much TEMI does.

    Attributes:
        heads: H, of which the best by training loss counts.
        epochs: passes over the pool.
        batch_size: None is ``default_batch``.
    """

    heads: int
    epochs: int
    batch_size: int | None = None


class Heads(nn.Module):
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

    def split(self, size: int) -> list[Heads]:
        """Return the same heads in modules of at most ``size``, with weights of their own."""
        parts = []
        for start in range(0, len(self.first), size):
            # Cut after all weights are drawn: the same seed starts the same heads however many a device takes at once.
            part = copy.deepcopy(self)
            for name, weight in self.named_parameters():
                copied = weight.detach()[start : start + size].clone()
                setattr(part, name, nn.Parameter(copied, requires_grad=weight.requires_grad))
            parts.append(part)
        return parts

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the logits [H, B, C] of embeddings [B, D]."""
        # Expanded, not copied: laying the weights of all heads side by side for one product took longer than it saved.
        inputs = embeddings.expand(len(self.first), *embeddings.shape)
        hidden = torch.baddbmm(self.first_bias, inputs, self.first)
        bottleneck = torch.baddbmm(self.second_bias, nn.functional.gelu(hidden), self.second)
        # Weight normalisation by hand: torch's own keeps one length per row and knows no axis of heads.
        weight = self.gain * nn.functional.normalize(self.direction, dim=1)
        # The length is divided out of C logits, not of 256 features: the same cosine, and less to go back through.
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
        agreement: w, [B], where these are not all the heads; None computes it from ``teacher``.

    Returns:
        [H].
    """
    if agreement is None:
        agreement = agreements(teacher).mean(0)
    # A cluster that no image has had for long may have a mean of exactly 0.
    scale = prior.clamp_min(torch.finfo(prior.dtype).tiny).log()[:, None, :]
    # Each image's student is held against the other's teacher, so that no head can just copy itself.
    total = torch.zeros(len(prior), device=prior.device)
    for own, other in ((student[0], teacher[1]), (student[1], teacher[0])):
        information = (beta * (own + other) - scale).logsumexp(2)
        total = total - (agreement * information).mean(1)
    return total / 2


def agreements(teacher: Pair) -> Tensor:
    """Return how far each head's teacher puts x and x' into one cluster: sum_c q_t(c|x) q_t(c|x'), [H, B]."""
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
) -> Clustering:
    """Cluster N images by their embeddings; no label is seen, and nothing is chosen by one.

    The head with the lowest mean training loss in the last epoch labels the pool by the argmax of its teacher. (The
    released code of ELFS takes the checkpoint with the best test accuracy against true labels instead, a leak.)
    Deviations, none of which changes the paper's setting of 50,000 images and 200 epochs but the first: embeddings
    are scaled so that their mean squared length is D, which makes one learning rate fit encoders of any scale; a small
    pool gets smaller batches; and in a run of fewer than 6,000 steps the teacher follows faster, averaging over
    1/24 of the run, since at momentum 0.996 it would still be near its random start at the end.

    Args:
        embeddings: float32 [N, D], finite.
        neighbors: int64 [N, k], the images that may be drawn as x' for each x.
        num_clusters: C, 1 to N.
        effort: heads, epochs and batch.
        seed: of initial weights, order and neighbours.
        device: ``cpu`` or ``cuda``.
        precision: of the heads' products; weights, probabilities and losses are fp32 in either.
        progress: called with (epochs done, epochs in all).
        unfinished: keeps the state after an epoch now and then, and gives that of a run that was stopped.

    Raises:
        NotFinite: a loss that is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    size = len(embeddings)
    heads, epochs = effort.heads, effort.epochs
    batch_size = min(size, effort.batch_size or default_batch(size))
    warm_up = min(WARM_UP, max(1, epochs // 10))
    points = torch.from_numpy(_scaled(embeddings)).to(device)
    # Rounded here as the products would round them: once, and not for every head of every step.
    read = points.bfloat16() if precision == "bf16" else points
    # A copy: what comes from the store is read-only, of which torch warns.
    near = torch.from_numpy(np.array(neighbors)).to(device)
    whole = Heads(heads, points.shape[1], num_clusters, generator).to(device)
    students = whole.split(_heads_at_once(heads, batch_size, device))
    teachers = [copy.deepcopy(student).requires_grad_(False) for student in students]
    weights: list[Tensor] = [weight for student in students for weight in student.parameters()]
    slow: list[Tensor] = [weight for teacher in teachers for weight in teacher.parameters()]
    rate = LEARNING_RATE * batch_size / 256
    # One optimiser for all heads. AdamW works number by number, so no head feels the others.
    # Fused wherever there is something to compute: torch has no such kernel for ``meta``, on which a test counts waits.
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4, fused=not points.is_meta)
    steps = math.ceil(size / batch_size)
    # At least 0.5, or in a run of a few steps the teacher would be the student itself.
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
            pair = (read[indices], read[near[indices, drawn]])
            # By hand, since a scheduler's state would have to be saved and restored with an unfinished clustering.
            optimiser.param_groups[0]["lr"] = rate * min(1.0, (done + 1) / (warm_up * steps))
            optimiser.zero_grad(set_to_none=True)
            step = _go_back(students, teachers, priors, pair, precision)
            optimiser.step()
            done += 1
            with torch.no_grad():
                torch._foreach_lerp_(slow, weights, 1 - momentum)
            # Weighted by its images: the last batch may be small. Started anew in each epoch, as the last one's mean
            # decides.
            losses += step * len(part) / size
        # Looked at once per epoch: a look at every step would make a GPU wait for the host.
        if not torch.isfinite(losses).all():
            raise NotFinite(f"the clustering's loss is not finite in epoch {epoch + 1} of {epochs}.")
        if progress is not None:
            progress(epoch + 1, epochs)
        if unfinished is not None and epoch + 1 < epochs:
            unfinished.save(partial(state.arrays, epoch + 1))
    # By training loss and by nothing that knows labels; of equal ones the first.
    best = int(losses.argmin())
    group = len(teachers[0].first)
    with torch.no_grad():
        labels = torch.cat([teachers[best // group](part)[best % group].argmax(1) for part in points.split(4096)])
    return Clustering(labels.cpu().numpy(), losses.double().cpu().numpy())


def _go_back(
    students: list[Heads], teachers: list[Heads], priors: list[Tensor], pair: Pair, precision: Precision
) -> Tensor:
    """Compute the loss of every head, [H], and its students' gradients; moves the priors in place.

    Args:
        students: groups of heads.
        teachers: of the same groups.
        priors: [heads of the group, C] each.
        pair: embeddings of x and x', each [B, D].
        precision: see ``temi``.
    """
    with torch.no_grad():
        seen = [_pair(teacher, pair, precision) for teacher in teachers]
        agreement = torch.cat([agreements(own) for own in seen]).mean(0)
        for prior, own in zip(priors, seen, strict=True):
            # Before the loss, which divides by it: a cluster that fills up is made dear in the same step.
            prior.lerp_((own[0].exp().mean(1) + own[1].exp().mean(1)) / 2, 1 - PRIOR_MOMENTUM)
    losses = []
    for student, own, prior in zip(students, seen, priors, strict=True):
        loss = temi_loss(_pair(student, pair, precision), own, prior, agreement=agreement)
        # The sum over heads gives each head the gradient it would have alone.
        loss.sum().backward()
        losses.append(loss.detach())
    return torch.cat(losses)


class State(NamedTuple):
    """All that the rest of a clustering depends on, by reference.

    Attributes:
        weights: of the students.
        slow: of the teachers, in the same order.
        priors: one for each group of heads.
        optimiser: of the students.
        generator: of what is drawn.
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
        """Take a saved state.

        Args:
            saved: as ``arrays`` gave it.
            steps: of an epoch.

        Returns:
            The epochs that it had done; 0, and nothing taken, where the heads were grouped otherwise, as on another
            kind of device.
        """
        shapes = [
            tuple(saved[f"student{number}"].shape) if f"student{number}" in saved else ()
            for number in range(len(self.weights))
        ]
        if shapes != [tuple(weight.shape) for weight in self.weights] or f"student{len(shapes)}" in saved:
            return 0
        # AdamW's step count follows from the epoch; it decides how far the moments' bias is corrected.
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
    """Take all on a GPU, which waits for the host otherwise; on a CPU as many as its cache holds hidden layers of."""
    return heads if device != "cpu" else max(1, min(heads, _CACHED // (batch * HIDDEN)))


def _pair(module: Heads, pair: Pair, precision: Precision) -> Pair:
    """Return the log-probabilities of x and of x' in fp32, each [H, B, C]; one pass reads the weights once."""
    # No context at all in fp32: autocast refuses some devices, ``meta`` among them, even where it is switched off.
    with torch.autocast(pair[0].device.type, torch.bfloat16) if precision == "bf16" else nullcontext():
        logits = module(torch.cat(pair))
    own, other = (logits / TEMPERATURE).log_softmax(2).split(len(pair[0]), 1)
    return own, other


def _scaled(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale all rows by one number, so that their mean squared length is D; see the deviations of ``temi``."""
    # In float64: the sum of squares over a large pool would lose digits in float32.
    length = float(np.sqrt(np.mean(np.sum(embeddings.astype(np.float64) ** 2, axis=1))))
    return np.asarray(embeddings * (math.sqrt(embeddings.shape[1]) / (length or 1.0)), dtype=np.float32)
