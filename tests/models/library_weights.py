"""Files of random weights as libraries publish them, and a small grid that fine-tunes from them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

timm = pytest.importorskip("timm")


@cache
def random_weights(library: str, name: str, classes: int) -> dict[str, torch.Tensor]:
    """The same for every test, which reads and does not change them: filling a network takes longer than saving it."""
    torch.manual_seed(1)
    if library == "timm":
        network = timm.create_model(name, num_classes=classes)
    else:
        from torchvision.models import get_model

        network = get_model(name, weights=None, num_classes=classes)
    return {key: value.detach() for key, value in network.state_dict().items()}


def published(library: str, name: str, path: Path, classes: int = 1000) -> dict[str, torch.Tensor]:
    """Save the network with random weights as its library would publish it."""
    state = random_weights(library, name, classes)
    save_file(state, path) if path.suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    return state


GRID = {
    "datasets": "digits",
    "methods": "random",
    "rates": "0.9",
    "pool_size": 200,
    "recipe": {"iterations": 3, "precision": "fp32"},
}
