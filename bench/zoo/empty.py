"""Networks to be looked at. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def empty(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network without memory for its weights; one that computes with its first weights gets them."""
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        return build()
