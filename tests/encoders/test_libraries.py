"""Encoders by the names of other libraries, against the library's own preprocessing and network.

Weights are random, saved as the library saves them, and read back through the real code path.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench import BenchError, WeightsError
from bench.engine.plan import find_encoder
from bench.errors import SpecError, UnknownName
from bench.grammar import parse_call
from bench.plugins import encoders
from bench.weights.locations import HubWeights, UrlWeights, file_sha256, is_published, locate_weights
from tests.encoders.library_files import build, saved


def test_another_size_is_scaled_and_cropped_in_proportion(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    from torchvision.models import get_model

    whole = get_model("mobilenet_v3_small", weights=None)
    encoder = build("torchvision(name=mobilenet_v3_small, size=112)", saved(whole, tmp_path))
    assert encoder._prepare(torch.from_numpy(pictures)).shape == (6, 3, 112, 112)
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_vit.r160_in1k", pretrained=False)
    encoder = build("timm(name=test_vit.r160_in1k, size=96)", saved(network, tmp_path))
    assert encoder._prepare(torch.from_numpy(pictures)).shape == (6, 3, 96, 96)
    assert np.isfinite(encoder.embed(pictures, device="cpu", batch_size=6)).all()
    with pytest.raises(SpecError, match=r"test_vit.r160_in1k does not take images of size=100"):
        build("timm(name=test_vit.r160_in1k, size=100)", saved(network, tmp_path))


def test_one_channel_is_repeated(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    from torchvision.models import get_model

    file = saved(get_model("squeezenet1_1", weights=None), tmp_path)
    encoder = build("torchvision(name=squeezenet1_1, size=64)", file)
    grey = pictures[:, :1]
    np.testing.assert_array_equal(
        encoder.embed(grey, device="cpu", batch_size=6),
        encoder.embed(np.repeat(grey, 3, axis=1), device="cpu", batch_size=6),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timm(name=vit_smal_patch14_dinov2.lvd142m)", "Did you mean .*vit_small_patch14_dinov2.lvd142m"),
        ("timm(name=vit_small_patch14_dinov2.lvd142)", "Did you mean .*vit_small_patch14_dinov2.lvd142m"),
        ("timm(name='hf-hub:someone/network')", "unknown name of encoder 'timm': 'hf-hub:someone/network'"),
        ("timm", "needs a name, such as name=vit_small"),
        ("torchvision(name=ResNet50)", "Did you mean .*resnet50"),
        ("torchvision(name=resnet50, pretrained=IMAGENET1K_V3)", "Did you mean IMAGENET1K_V"),
        ("torchvision", "needs a name, such as name=convnext_tiny"),
    ],
)
def test_bad_names_get_the_nearest(text: str, message: str) -> None:
    if text.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises((UnknownName, SpecError), match=message):
        find_encoder(parse_call(text), False, needed=True)


def test_weights_that_are_not_here_say_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    monkeypatch.setattr(HubWeights, "find", lambda self: None)
    with pytest.raises(WeightsError) as caught:
        find_encoder(parse_call("timm(name=vit_base_patch16_224.dino)"), False, needed=True)
    assert "add --download" in str(caught.value)
    assert "timm(name=vit_base_patch16_224.dino, supervision=self-supervised, weights=FILE)" in str(caught.value)
    text = "timm(name=botnet50ts_256, supervision=labels)"
    with pytest.raises(WeightsError, match="no published weights of timm's botnet50ts_256"):
        find_encoder(parse_call(text), True, needed=True)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    file = saved(timm.create_model("test_resnet.r160_in1k"), tmp_path)
    with pytest.raises(WeightsError, match=r"does not fit encoder .*missing"):
        build("timm(name=test_vit.r160_in1k)", file)
    state = timm.create_model("test_vit.r160_in1k").state_dict()
    del state["blocks.0.norm1.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"1 missing: blocks.0.norm1.weight"):
        build("timm(name=test_vit.r160_in1k)", tmp_path / "part.pth")


def test_a_file_keeps_its_identity_and_its_supervision(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    file = saved(timm.create_model("test_vit.r160_in1k"), tmp_path)
    call = parse_call(f"timm(name=test_vit.r160_in1k, supervision=self-supervised, weights='{file}')")
    ref, path = find_encoder(call, False, needed=True)
    assert ref.label == "timm(name=test_vit.r160_in1k, supervision=self-supervised)"
    assert path == file
    assert len(ref.weights_sha256) == 64


@pytest.mark.parametrize(
    "call",
    [
        "timm(name=test_vit.r160_in1k{})",
        "torchvision(name=squeezenet1_1{})",
        "open_clip(name=RN50,pretrained=openai{})",
    ],
)
def test_what_a_file_of_ones_own_was_trained_with_must_be_stated(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(call.partition("(")[0])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"mine")
    with pytest.raises(SpecError, match=r"does not tell what the file .* was trained with"):
        find_encoder(parse_call(call.format(f", weights='{file}'")), False, needed=True)
    # Stated, the file is read, and found to be no network.
    with pytest.raises(WeightsError, match=r"mine\.safetensors"):
        find_encoder(parse_call(call.format(f", supervision=none, weights='{file}'")), False, needed=True)


def test_the_published_file_needs_no_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    (tmp_path / "hub").mkdir()
    published = saved(timm.create_model("test_vit.r160_in1k"), tmp_path / "hub")
    copy = shutil.copy(published, tmp_path / "copy.safetensors")
    monkeypatch.setattr(HubWeights, "find", lambda self: published)
    call = parse_call(f"timm(name=test_vit.r160_in1k, weights='{copy}')")
    assert find_encoder(call, False, needed=True)[1] == copy
    assert is_published(UrlWeights("https://example.invalid/net.pth", file_sha256(copy)[:8]), copy)
    assert not is_published(UrlWeights("https://example.invalid/net.pth", "0" * 8), copy)


def test_locating_takes_the_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(BenchError, match=r"torchvision\(name=resnet18, supervision=labels, weights=FILE\)"):
        locate_weights(encoders.get("torchvision"), {"name": "resnet18"})


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("facebook/dinov2-base", "self-supervised"),
        ("facebook/dinov3-vits16-pretrain-lvd1689m", "self-supervised"),
        ("openai/clip-vit-base-patch32", "language"),
        ("google/siglip-base-patch16-224", "language"),
        ("facebook/ijepa_vith14_1k", "self-supervised"),
        ("facebook/ijepa_vitg16_22k", "self-supervised"),
        ("facebook/vit-mae-base", "self-supervised"),
        ("microsoft/beit-base-patch16-224-pt22k", "self-supervised"),
        ("microsoft/beit-base-patch16-224-pt22k-ft22k", None),
        ("google/siglip2-base-patch16-224", "language"),
        ("kakaobrain/align-base", "language"),
        ("facebook/dinov2-base-imagenet1k-1-layer", None),
        ("google/vit-base-patch16-224", None),
        ("org/dinov2-small-food101", None),
        ("facebook/dinov2-small-food101", None),
        ("dima806/dinosaur-classifier", None),
        ("IDEA-Research/grounding-dino-base", None),
        ("someone/macadamia-maexyz", None),
        ("org/clip-vit-base-patch32-cars", None),
        ("org/eclipse-classifier", None),
    ],
)
def test_a_repositorys_name_tells_or_the_user_must(name: str, trained: str | None) -> None:
    info = encoders.get("hf").info
    if trained is None:
        with pytest.raises(SpecError, match="add supervision="):
            info.trained_with({"name": name})
    else:
        assert info.trained_with({"name": name}) == trained
    with pytest.raises(SpecError, match="name of a repository"):
        info.trained_with({"name": "dinov2-base"})
