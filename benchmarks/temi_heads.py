"""TEMI with its heads in batches, against one module per head; and the time of an epoch of 50,000 images."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.clustering.temi import (
    BOTTLENECK,
    HIDDEN,
    PRIOR_MOMENTUM,
    TEACHER_MOMENTUM,
    TEMPERATURE,
    Effort,
    Precision,
    temi,
)
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, Times, timed

TINY = {"heads": 2, "size": 128, "features": 8, "batch": 64, "steps": 1}


def run(
    meter: Meter,
    *,
    heads: int = 50,
    size: int = 50_000,
    features: int = 384,
    batch: int = 1_024,
    steps: int = 2,
    clusters: int = 10,
    k: int = 50,
    precision: Precision = "fp32",
) -> list[Result]:
    """Epochs of ``steps`` batches on part of the pool, the two in turns; every batch costs the same.

    The modules are in fp32 whatever ``precision`` is, as the released code is on a CPU.
    """
    part = steps * batch
    rows = _data.embeddings(part, features)
    near = np.random.default_rng(0).integers(part, size=(part, k))
    apart = Separate(torch.from_numpy(rows).to(meter.device), heads, clusters, batch)
    ours: list[float] = []
    other: list[float] = []
    repeats = meter.repeats or 3

    def after_epoch(done: int, total: int) -> None:
        nonlocal start
        now = meter.now()
        if done > 1:  # The first epoch warms up.
            ours.append((now - start) / steps)
        apart.epoch(near)
        if done > 1:
            other.append((meter.now() - now) / steps)
        start = meter.now()

    start = meter.now()
    temi(
        rows,
        near,
        clusters,
        Effort(heads=heads, epochs=1 + repeats, batch_size=batch),
        device=meter.device,
        precision=precision,
        progress=after_epoch,
    )
    step = timed(
        f"a step of {heads} heads in {precision}, batch {batch}, {features} features, {clusters} clusters",
        Times(tuple(ours)),
        Times(tuple(other)),
        alternative="one module per head",
        target=Target("other / ours", "at least", 5),
    )
    epoch = math.ceil(size / batch)
    whole = Result(
        f"an epoch of {size:,} x {features}: {epoch} steps, counted up from {steps} at a time",
        step.ours * epoch,
        "s",
        repeats,
        other=(step.other or 0) * epoch,
        alternative="one module per head",
        ratio="other / ours",
    )
    return [step, whole]


class Head(nn.Module):
    """One head of plain layers."""

    def __init__(self, features: int, clusters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, BOTTLENECK))
        self.last = nn.utils.parametrizations.weight_norm(nn.Linear(BOTTLENECK, clusters, bias=False))

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.last(functional.normalize(self.body(inputs), dim=1))
        return (logits / TEMPERATURE).log_softmax(1)


class Separate:
    """TEMI's training with a list of modules and a loop over them."""

    def __init__(self, points: Tensor, heads: int, clusters: int, batch: int) -> None:
        self._points, self._batch = points, batch
        self._students = [Head(points.shape[1], clusters).to(points.device) for _ in range(heads)]
        self._teachers = [copy.deepcopy(head).requires_grad_(False) for head in self._students]
        parameters = [weight for head in self._students for weight in head.parameters()]
        self._optimiser = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=1e-4)
        self._priors = [torch.full((clusters,), 1 / clusters, device=points.device) for _ in range(heads)]

    def epoch(self, neighbors: np.ndarray) -> None:
        """Every image once, with one of its neighbours."""
        near = torch.from_numpy(neighbors).to(self._points.device)
        for part in torch.randperm(len(self._points), device=self._points.device).split(self._batch):
            drawn = torch.randint(near.shape[1], (len(part),), device=part.device)
            self._step(self._points[part], self._points[near[part, drawn]])

    def _step(self, here: Tensor, there: Tensor) -> None:
        with torch.no_grad():
            seen = [(teacher(here), teacher(there)) for teacher in self._teachers]
            weight = torch.stack([(a + b).exp().sum(1) for a, b in seen]).mean(0)
        total = torch.zeros((), device=here.device)
        for number, (student, (a, b)) in enumerate(zip(self._students, seen, strict=True)):
            mean = (a.exp().mean(0) + b.exp().mean(0)) / 2
            self._priors[number] = PRIOR_MOMENTUM * self._priors[number] + (1 - PRIOR_MOMENTUM) * mean
            scale = self._priors[number].clamp_min(1e-30).log()
            for own, other in ((student(here), b), (student(there), a)):
                total = total - (weight * (0.6 * (own + other) - scale).logsumexp(1)).mean() / 2
        self._optimiser.zero_grad()
        total.backward()
        self._optimiser.step()
        with torch.no_grad():
            for student, teacher in zip(self._students, self._teachers, strict=True):
                for fast, slow in zip(student.parameters(), teacher.parameters(), strict=True):
                    slow.lerp_(fast, 1 - TEACHER_MOMENTUM)
