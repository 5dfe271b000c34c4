"""A registered model built or trained, as the tests of several models ask for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench import Recipe
from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from bench.plugins import models
from bench.training.fit import LabelledInputs, fit
from bench.training.loop import Evaluation

Vectors = tuple[NDArray[np.float32], NDArray[np.int64]]


def build(model: str, /, shape: tuple[int, ...], num_classes: int = 10, seed: int = 0, **params: Any) -> Any:
    entry = models.get(model)
    torch.manual_seed(seed)
    return entry.function(shape, num_classes, **entry.resolve(params))


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def accuracy(model: str, vectors: Vectors, iterations: int = 150, **params: Any) -> list[Evaluation]:
    inputs, labels = vectors
    ref = ModelRef(name=model, params=params)
    return fit(
        ref,
        LabelledInputs(inputs[:1000], labels[:1000], 10),
        dataset=None,
        recipe=Recipe(augmentation="none", precision="fp32", evaluations=1),
        iterations=iterations,
        seed=0,
        device="cpu",
        test=LabelledInputs(inputs[1000:], labels[1000:], 10),
    )


def check_learns(module: nn.Module, channels: int) -> None:
    """Check that images of 20 pixels give 7 logits each, and that a loss has gradients."""
    logits = module.eval()(torch.randn(4, channels, 20, 20))
    assert logits.shape == (4, 7)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def plan_with(model: str) -> None:
    grid = {"methods": "random", "datasets": "digits", "rates": "0.5", "seeds": 1, "models": model}
    make_plan(load_spec(given=grid), out=None)
