"""Every encoder with a network: loading the authors' key layout, and the features that come out.

The weights are random, written to a file as their authors lay them out, and read back through the real code path.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from bench import BenchError, DataError, FrozenEncoder, WeightsError
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


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A ResNet-18 and its file, for what is the same for every network."""
    module = network("resnet18_imagenet")
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(module.state_dict(), file)
    return module, file


@pytest.mark.parametrize("name", RESNETS + VITS)
def test_official_layout_loads_and_gives_the_networks_own_features(
    name: str, tmp_path: Path, patches: NDArray[np.uint8]
) -> None:
    module = network(name)
    file = tmp_path / "official.pth"
    torch.save(official(name, module.state_dict()), file)
    encoder = build(name, file)
    loaded = encoder.module.state_dict()
    for key, value in module.state_dict().items():
        if not key.startswith(("fc.", "head.")):
            assert torch.equal(loaded[key], value), key
    images = patches[:4]
    features = encoder.embed(images, device="cpu", batch_size=3)
    assert features.shape == (4, FEATURES.get(name, 2048))
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, encoder.embed(images, device="cpu", batch_size=3))
    np.testing.assert_allclose(features, encoder.embed(images, device="cpu", batch_size=4), atol=1e-4)
    assert np.ptp(features, axis=0).max() > 0, "different images must have different features"


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


def test_features_are_those_before_the_classifier(small: tuple[Any, Path], patches: NDArray[np.uint8]) -> None:
    module, file = small
    images = patches[:3]
    features = build("resnet18_imagenet", file, size=32).embed(images, device="cpu", batch_size=3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    inputs = (images / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        logits = module.eval()(torch.from_numpy(inputs).float())
        torch.testing.assert_close(module.fc(torch.from_numpy(features)), logits, atol=1e-5, rtol=1e-4)


def test_resize_agrees_with_pillow(patches: NDArray[np.uint8]) -> None:
    from PIL import Image

    from bench.embedding.frozen import resize

    # Grey levels that no overshoot takes below 0 or above 255, where Pillow clips between its passes.
    images = patches[:5] // 2 + 64
    for side in (16, 96):
        for image in images:
            ours = resize(torch.from_numpy(image[None] / 255).float(), side)[0].numpy()
            theirs = Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.BICUBIC)
            # Pillow rounds to whole grey levels after each of its two passes; no antialiasing differs by 12 and more.
            assert np.abs(ours * 255 - np.asarray(theirs).transpose(2, 0, 1)).max() < 2.5


def test_one_channel_is_repeated_and_others_are_refused(small: tuple[Any, Path], digits: np.ndarray) -> None:
    encoder = build("resnet18_imagenet", small[1])
    grey = digits[:3]
    np.testing.assert_array_equal(
        encoder.embed(grey, device="cpu", batch_size=3),
        encoder.embed(np.repeat(grey, 3, axis=1), device="cpu", batch_size=3),
    )
    with pytest.raises(DataError, match="1 or 3 channels, got 4"):
        encoder.embed(np.repeat(grey, 4, axis=1), device="cpu", batch_size=3)


def test_embedding_leaves_the_network_as_it_was(small: tuple[Any, Path], digits: np.ndarray) -> None:
    encoder = build("resnet18_imagenet", small[1])
    seen: list[Any] = []
    encoder.embed(digits[:5], device="cpu", batch_size=2, progress=seen.append)
    assert seen == [2, 2, 1]
    assert all(torch.equal(value, small[0].state_dict()[key]) for key, value in encoder.module.state_dict().items())


def test_how_many_images_a_cpu_takes_at_once_changes_nothing_but_rounding(
    small: tuple[Any, Path], digits: np.ndarray
) -> None:
    encoder = build("resnet18_imagenet", small[1], size=224)
    seen: list[Any] = []
    whole = encoder.embed(digits[:20], device="cpu", batch_size=256, progress=seen.append)
    single = np.concatenate([encoder.embed(digits[i : i + 1], device="cpu", batch_size=1) for i in range(20)])
    assert seen == [8, 8, 4]
    np.testing.assert_allclose(whole, single, rtol=1e-4, atol=1e-5)


def test_images_are_read_in_whole_batches_and_embedded_in_the_same_steps(
    small: tuple[Any, Path], digits: np.ndarray
) -> None:
    class Read:
        shape = (20, *digits.shape[1:])
        sizes: ClassVar[list[int]] = []

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: Any) -> np.ndarray:
            self.sizes.append(len(index))
            return digits[index]

    encoder = build("resnet18_imagenet", small[1], size=224)
    images: Any = Read()
    embedded = encoder.embed(images, device="cpu", batch_size=19)
    assert images.sizes == [16, 4]
    np.testing.assert_array_equal(embedded, encoder.embed(digits[:20], device="cpu", batch_size=8))


def test_numbers_that_are_not_finite_are_an_error(tmp_path: Path, digits: np.ndarray) -> None:
    state = network("resnet18_imagenet").state_dict()
    state["layer4.1.bn2.bias"][0] = float("nan")
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(WeightsError, match="not finite"):
        build("resnet18_imagenet", tmp_path / "broken.pth").embed(digits[:2], device="cpu", batch_size=2)


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_agrees_with_the_cpu(small: tuple[Any, Path], digits: np.ndarray) -> None:
    encoder = build("resnet18_imagenet", small[1])
    one = encoder.embed(digits[:32], device="cuda", batch_size=32)
    other = encoder.embed(digits[:32], device="cpu", batch_size=32)
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.999
