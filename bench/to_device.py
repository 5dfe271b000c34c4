"""Copies to a GPU that do not wait for its queue. It imports torch: import this module inside functions only."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a CPU tensor on ``device`` without waiting for the work queued there, which a plain ``.to`` waits for.

    Args:
        tensor: a tensor on the CPU; a GPU gets it from a page-locked copy, which torch keeps until it has arrived.
        device: any device; for the CPU, the tensor itself is returned.
    """
    # From memory that is not page-locked, ``non_blocking`` would be ignored and the host would wait.
    pinned = tensor.pin_memory() if torch.device(device).type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)
