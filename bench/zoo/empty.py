"""Networks whose structure is inspected. Imports torch: import this module inside functions only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def empty(build: Callable[[], nn.Module]) -> nn.Module:
    """Return a network without memory for its weights, unless building it computes with them."""
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        return build()
