"""Vision transformers: the key layouts of their authors and of timm, and what they ask for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench import BenchError
from bench.plugins import encoders
from tests.encoders.official import VITS, build, check_official_layout, network

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", VITS)
def test_official_layout_loads_and_gives_the_networks_own_features(
    name: str, tmp_path: Path, patches: NDArray[np.uint8]
) -> None:
    check_official_layout(name, tmp_path, patches[:4])


@pytest.mark.parametrize("name", VITS)
def test_timm_layout_in_half_precision_loads_too(name: str, tmp_path: Path) -> None:
    state = network(name).state_dict()
    file = tmp_path / "model.safetensors"
    save_file({key: value.half() for key, value in state.items()}, file)
    loaded = build(name, file).module.state_dict()
    assert all(value.dtype == torch.float32 for value in loaded.values())
    assert torch.equal(loaded["pos_embed"], state["pos_embed"].half().float())


def test_clip_uses_the_activation_it_was_trained_with(tmp_path: Path) -> None:
    file = tmp_path / "clip.pth"
    torch.save(network("clip_vitb32").state_dict(), file)
    blocks: Any = build("clip_vitb32", file).module.blocks
    activation = blocks[0].mlp.act
    x = torch.linspace(-3, 3, 7)
    torch.testing.assert_close(activation(x), x * torch.sigmoid(1.702 * x))


def test_sizes_that_do_not_suit_the_patches_are_refused() -> None:
    for name, size in (("dino_vitb16", 100), ("dinov2_vits14", 128), ("clip_vitb32", 240), ("resnet18_imagenet", 8)):
        with pytest.raises(BenchError, match=f"size={size} is not valid"):
            encoders.get(name).resolve({"size": size})


def test_missing_timm_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BenchError, match=r"dino_vits16.*pip install -e '\.\[vit\]' in a checkout"):
        build("dino_vits16", tmp_path / "none.pth")
    with pytest.raises(BenchError, match=r"pip install -e '\.\[lite0\]' in a checkout"):
        build("efficientnet_lite0", tmp_path / "none.pth")
