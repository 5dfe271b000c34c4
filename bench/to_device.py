"""Copies from the host that a GPU need not wait for. Imports torch: import this module inside functions only."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a CPU tensor to ``device``, without waiting for the work that is queued there, as a plain ``.to`` does.

    Args:
        tensor: on the CPU; a GPU gets it from a page-locked copy, which torch keeps until it has arrived.
        device: any; the CPU returns the tensor itself.
    """
    # From memory that may be paged out, ``non_blocking`` would be ignored and the host wait all the same.
    pinned = tensor.pin_memory() if torch.device(device).type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)
