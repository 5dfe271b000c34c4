"""TEMI as its released code trains it, written anew: a list of modules in fp32, its schedule and its batches."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.clustering.temi import BETA, LEARNING_RATE, PRIOR_MOMENTUM, TEACHER_MOMENTUM, WARM_UP
from benchmarks.temi_heads import Head

BATCH = 1_024


class Released:
    """Heads in training; every epoch has its own call, so that something else can be timed in turns.

    The released code (arXiv:2303.17896 and ELFS's copy of it): embeddings as they are, batches of 1,024 of which the
    last, smaller one is dropped, x and x' in one pass of every head, one loss for the mean over heads, AdamW on
    separate tensors, a learning rate that stays after the warm-up, a teacher of momentum 0.996, and the last layer at
    rest in the first epoch. On a CPU it computes in fp32. Of the first epochs' data loading there is nothing here.

    Args:
        rows: float32 [N, D].
        near: int64 [N, k], the neighbours that may be drawn for each row.
        heads: H.
        clusters: C.
        seed: of weights, order and neighbours.
    """

    def __init__(
        self, rows: NDArray[np.float32], near: NDArray[np.int64], *, heads: int, clusters: int, seed: int
    ) -> None:
        # Torch's layers draw their weights from the global generator, as the released code does.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._students = nn.ModuleList(_fresh(rows.shape[1], clusters) for _ in range(heads))
        self._teachers = copy.deepcopy(self._students).requires_grad_(False)
        self._generator = torch.Generator().manual_seed(seed)
        self._rows, self._near = torch.from_numpy(rows), torch.from_numpy(np.array(near))
        self._batch = min(BATCH, len(rows))
        self._rate = LEARNING_RATE * self._batch / 256
        self._optimiser = torch.optim.AdamW(self._students.parameters(), lr=self._rate, weight_decay=1e-4)
        self._priors = torch.full((heads, clusters), 1 / clusters)
        self._losses = torch.zeros(heads)
        self._steps = self._epochs = 0

    def epoch(self) -> None:
        """Take every image once, but those of a batch that would be too small."""
        size = len(self._rows)
        batches = torch.randperm(size, generator=self._generator)[: size - size % self._batch].split(self._batch)
        losses = torch.zeros(len(self._students))
        for part in batches:
            drawn = torch.randint(self._near.shape[1], (len(part),), generator=self._generator)
            self._optimiser.param_groups[0]["lr"] = self._rate * min(1.0, (self._steps + 1) / (WARM_UP * len(batches)))
            losses += self._step(torch.cat([self._rows[part], self._rows[self._near[part, drawn]]])) / len(batches)
            self._steps += 1
        self._losses = losses
        self._epochs += 1

    @torch.no_grad()
    def labels(self) -> NDArray[np.int64]:
        """Return the clusters of the teacher whose student had the lowest loss in the last epoch."""
        best = self._teachers[int(self._losses.argmin())]
        return torch.cat([best(part).argmax(1) for part in self._rows.split(4096)]).numpy()

    def _step(self, both: Tensor) -> Tensor:
        with torch.no_grad():
            seen = [teacher(both).chunk(2) for teacher in self._teachers]
            weight = torch.stack([(a + b).exp().sum(1) for a, b in seen]).mean(0)
            means = torch.stack([torch.cat([a, b]).exp().mean(0) for a, b in seen])
            self._priors.lerp_(means, 1 - PRIOR_MOMENTUM)
        losses = []
        for student, (a, b), prior in zip(self._students, seen, self._priors, strict=True):
            here, there = student(both).chunk(2)
            scale = prior.clamp_min(torch.finfo(prior.dtype).tiny).log()
            pairs = ((here, b), (there, a))
            losses.append(
                sum(-(weight * (BETA * (own + other) - scale).logsumexp(1)).mean() for own, other in pairs) / 2
            )
        total = torch.stack(losses)
        self._optimiser.zero_grad()
        total.mean().backward()
        if not self._epochs:
            for student in self._students:
                for weight_ in student.last.parameters():
                    weight_.grad = None
        self._optimiser.step()
        with torch.no_grad():
            for fast, slow in zip(self._students.parameters(), self._teachers.parameters(), strict=True):
                slow.mul_(TEACHER_MOMENTUM).add_((1 - TEACHER_MOMENTUM) * fast)
        return total.detach()


def _fresh(features: int, clusters: int) -> Head:
    head = Head(features, clusters)
    for layer in head.body:
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    nn.init.ones_(head.last.parametrizations.weight.original0)
    return head
