"""Weights of networks as their authors lay them out in a file, random ones, and the encoders that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from bench import FrozenEncoder
from bench.plugins import encoders

State = dict[str, Any]

RESNETS = ["resnet18_imagenet", "resnet50_imagenet", "dino_resnet50", "swav_resnet50"]
VITS = ["dino_vits16", "dino_vitb16", "dinov2_vits14", "clip_vitb32"]
SIZES = {"dinov2_vits14": 56, "clip_vitb32": 64}
FEATURES = {"resnet18_imagenet": 512, "dino_vits16": 384, "dino_vitb16": 768, "dinov2_vits14": 384, "clip_vitb32": 768}


def network(name: str) -> nn.Module:
    """The architecture behind an encoder, with its classifier, seeded."""
    torch.manual_seed(0)
    if name in RESNETS:
        from torchvision.models import get_model

        return get_model("resnet18" if name == "resnet18_imagenet" else "resnet50", weights=None)
    timm = pytest.importorskip("timm", reason="timm is not installed (extra vit)")
    architecture = {
        "dino_vits16": "vit_small_patch16_224",
        "dino_vitb16": "vit_base_patch16_224",
        "dinov2_vits14": "vit_small_patch14_dinov2",
        "clip_vitb32": "vit_base_patch32_clip_quickgelu_224",
    }[name]
    classes = 512 if name == "clip_vitb32" else 0
    return timm.create_model(architecture, pretrained=False, num_classes=classes)


def official(name: str, state: State) -> State:
    """``state`` as the authors of ``name`` lay it out in their file."""
    if name == "swav_resnet50":
        heads = {"module.projection_head.0.weight": torch.zeros(3, 3), "module.prototypes.weight": torch.zeros(3, 3)}
        return {f"module.{k}": v for k, v in state.items() if not k.startswith("fc.")} | heads
    if name == "dino_resnet50":
        return {k: v for k, v in state.items() if not k.startswith("fc.")}
    if name == "dino_vits16":
        heads = {"head.mlp.0.weight": torch.zeros(3, 3), "head.last_layer.weight_v": torch.zeros(3, 3)}
        teacher = {f"backbone.{k}": v for k, v in state.items()} | heads
        student = {f"module.backbone.{k}": torch.full_like(v, 9.0) for k, v in state.items()}
        return {"student": student, "teacher": teacher, "epoch": 100}
    if name == "dinov2_vits14":
        return {**state, "mask_token": torch.zeros(1, 384)}
    if name == "clip_vitb32":
        return openai_clip(state)
    return state


def openai_clip(state: State) -> State:
    """OpenAI's names, written down layer by layer from the published model."""
    result = {
        "visual.class_embedding": state["cls_token"][0, 0],
        "visual.positional_embedding": state["pos_embed"][0],
        "visual.proj": state["head.weight"].T.contiguous(),
        "visual.conv1.weight": state["patch_embed.proj.weight"],
        "visual.ln_pre.weight": state["norm_pre.weight"],
        "visual.ln_pre.bias": state["norm_pre.bias"],
        "visual.ln_post.weight": state["norm.weight"],
        "visual.ln_post.bias": state["norm.bias"],
        "logit_scale": torch.tensor(4.6),
        "ln_final.weight": torch.ones(512),
        "token_embedding.weight": torch.zeros(10, 512),
        "transformer.resblocks.0.ln_1.weight": torch.ones(512),
    }
    for block in range(12):
        ours, theirs = f"blocks.{block}.", f"visual.transformer.resblocks.{block}."
        for kind in ("weight", "bias"):
            result |= {
                f"{theirs}ln_1.{kind}": state[f"{ours}norm1.{kind}"],
                f"{theirs}ln_2.{kind}": state[f"{ours}norm2.{kind}"],
                f"{theirs}attn.in_proj_{kind}": state[f"{ours}attn.qkv.{kind}"],
                f"{theirs}attn.out_proj.{kind}": state[f"{ours}attn.proj.{kind}"],
                f"{theirs}mlp.c_fc.{kind}": state[f"{ours}mlp.fc1.{kind}"],
                f"{theirs}mlp.c_proj.{kind}": state[f"{ours}mlp.fc2.{kind}"],
            }
    return result


def build(name: str, file: Path, **params: Any) -> FrozenEncoder:
    entry = encoders.get(name)
    return entry.function(file, **entry.resolve({"size": SIZES.get(name, 64), **params}))


def check_official_layout(name: str, folder: Path, images: NDArray[np.uint8]) -> None:
    """Read the file of the encoder's authors; expect the network's own weights, and features of its width."""
    module = network(name)
    file = folder / "official.pth"
    torch.save(official(name, module.state_dict()), file)
    encoder = build(name, file)
    loaded = encoder.module.state_dict()
    for key, value in module.state_dict().items():
        if not key.startswith(("fc.", "head.")):
            assert torch.equal(loaded[key], value), key
    features = encoder.embed(images, device="cpu", batch_size=3)
    assert features.shape == (len(images), FEATURES.get(name, 2048))
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, encoder.embed(images, device="cpu", batch_size=3))
    np.testing.assert_allclose(features, encoder.embed(images, device="cpu", batch_size=4), atol=1e-4)
    assert np.ptp(features, axis=0).max() > 0, "different images must have different features"
