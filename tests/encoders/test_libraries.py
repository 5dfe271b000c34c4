"""Encoders by the names of other libraries, against the library's own preprocessing and network.

Weights are random, saved as the library saves them, and read back through the real code path.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bench import BenchError, FrozenEncoder, WeightsError
from bench.engine.plan import find_encoder
from bench.errors import SpecError, UnknownName
from bench.grammar import parse_call
from bench.plugins import encoders
from bench.weights.locations import HubWeights, UrlWeights, file_sha256, is_published, locate_weights
from bench.zoo.names import library

# Grey levels that no overshoot of an interpolation takes below 0 or above 255, where Pillow clips between its passes.
TIMM = ["test_vit.r160_in1k", "test_resnet.r160_in1k", "mobilenetv3_small_050.lamb_in1k", "test_convnext.r160_in1k"]


@pytest.fixture(scope="module")
def pictures(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return patches[:6] // 2 + 64


def saved(module: nn.Module, folder: Path) -> Path:
    file = folder / "model.safetensors"
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, file)
    return file


def build(text: str, file: Path) -> FrozenEncoder:
    call = parse_call(text)
    entry = encoders.get(call.name)
    return entry.function(file, **entry.resolve(call.params))


def as_pillow(pictures: NDArray[np.uint8]) -> list[Image.Image]:
    return [Image.fromarray(picture.transpose(1, 2, 0)) for picture in pictures]


@pytest.mark.parametrize("name", TIMM)
def test_timm_gives_the_features_of_timms_own_preprocessing(
    name: str, tmp_path: Path, pictures: NDArray[np.uint8]
) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    whole = timm.create_model(name, pretrained=False).eval()
    encoder = build(f"timm(name={name})", saved(whole, tmp_path))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(whole), is_training=False)
    theirs = torch.stack([transform(image) for image in as_pillow(pictures)])
    ours = encoder._prepare(torch.from_numpy(pictures))
    assert ours.shape == theirs.shape
    # One grey level, by which Pillow's rounding between two passes may differ, over the smallest std.
    assert (ours - theirs).abs().max() <= 1.01 / 255 / 0.224
    with torch.inference_mode():
        network = timm.create_model(name, pretrained=False, num_classes=0).eval()
        network.load_state_dict(whole.state_dict(), strict=False)
        wanted = network(ours.contiguous(memory_format=torch.channels_last)).numpy()
        logits = whole(ours)
    features = encoder.embed(pictures, device="cpu", batch_size=6)
    # The layout of the weights decides which kernel runs, so equal up to rounding.
    np.testing.assert_allclose(features, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        whole.get_classifier()(torch.from_numpy(features)), logits, rtol=1e-3, atol=1e-4, msg="the classifier's input"
    )


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_torchvision_gives_the_features_of_its_own_preprocessing(
    name: str, tmp_path: Path, pictures: NDArray[np.uint8]
) -> None:
    from torchvision.models import get_model, get_model_weights

    torch.manual_seed(0)
    whole = get_model(name, weights=None).eval()
    encoder = build(f"torchvision(name={name})", saved(whole, tmp_path))
    preset = get_model_weights(name).DEFAULT.transforms()
    batch = torch.from_numpy(pictures)
    torch.testing.assert_close(encoder._prepare(batch), preset(batch), rtol=0, atol=1e-6)
    theirs = torch.stack([preset(image) for image in as_pillow(pictures)])
    assert (encoder._prepare(batch) - theirs).abs().max() <= 1.01 / 255 / 0.224
    seen = []
    last = [m for m in whole.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)][-1]
    last.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.inference_mode():
        whole(preset(batch))
    wanted = seen[0] if seen[0].ndim == 2 else seen[0].relu().mean((2, 3))
    features = encoder.embed(pictures, device="cpu", batch_size=6)
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-4, atol=1e-5)


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
    ("tag", "trained"),
    [
        ("vit_small_patch14_dinov2.lvd142m", "self-supervised"),
        ("convnext_tiny.dinov3_lvd1689m", "self-supervised"),
        ("vit_base_patch16_224.mae", "self-supervised"),
        ("convnextv2_atto.fcmae", "self-supervised"),
        ("convnextv2_atto.fcmae_ft_in1k", "labels"),
        ("vit_base_patch16_clip_224.openai", "language"),
        ("vit_base_patch16_clip_224.openai_ft_in1k", "labels"),
        ("vit_base_patch16_siglip_224.webli", "language"),
        ("resnet50.a1_in1k", "labels"),
        ("resnet50", "labels"),
        ("resnet18.fb_ssl_yfcc100m_ft_in1k", "labels"),
        ("regnety_320.seer", "self-supervised"),
        ("eva02_base_patch14_224.mim_in22k", None),
        ("samvit_base_patch16.sa1b", None),
        ("botnet50ts_256", None),
    ],
)
def test_timms_tag_tells_what_a_network_was_trained_with(tag: str, trained: str | None) -> None:
    pytest.importorskip("timm")
    info = encoders.get("timm").info
    if trained is None:
        with pytest.raises(SpecError, match=r"add supervision=none, self-supervised, language or labels"):
            info.trained_with({"name": tag})
    else:
        assert info.trained_with({"name": tag}) == trained
    assert info.trained_with(encoders.get("timm").changed({"name": tag, "supervision": None})) == "none"
    assert info.trained_with({"name": tag, "supervision": "language"}) == "language"


def test_where_the_weights_are_published() -> None:
    pytest.importorskip("timm")
    of = encoders.get("timm").info.weights_of
    assert of({"name": "vit_base_patch16_224.dino"}) == encoders.get("dino_vitb16").info.weights
    assert of({"name": "resnet50"}) == HubWeights("timm/resnet50.a1_in1k")
    of = encoders.get("torchvision").info.weights_of
    assert str(of({"name": "resnet18"})).endswith("resnet18-f37072fd.pth")
    assert of({"name": "resnet50", "pretrained": "IMAGENET1K_V1"}) != of({"name": "resnet50"})


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


def test_open_clip_gives_what_its_own_model_gives(tmp_path: Path, pictures: NDArray[np.uint8]) -> None:
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed (extra openclip)")
    torch.manual_seed(0)
    for name, tag in (("RN50-quickgelu", "openai"), ("ViT-S-32-alt", "")):
        whole, _, transform = open_clip.create_model_and_transforms(name, pretrained=None)
        file = saved(whole, tmp_path)
        encoder = build(f"open_clip(name={name}, pretrained='{tag}')", file)
        theirs = torch.stack([transform(image) for image in as_pillow(pictures)])
        ours = encoder._prepare(torch.from_numpy(pictures))
        assert (ours - theirs).abs().max() <= 1.01 / 255 / 0.26
        with torch.inference_mode():
            wanted = whole.eval().encode_image(ours)
        features = encoder.embed(pictures, device="cpu", batch_size=6)
        np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-3, atol=1e-4)
        assert encoders.get("open_clip").info.trained_with({"name": name}) == "language"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open_clip(name=vit-b-32)", "Did you mean .*ViT-B-32"),
        ("open_clip(name=ViT-B-32, pretrained=laion2b_s34b_b79)", "Did you mean laion2b_s34b_b79k"),
        ("open_clip(name=ViT-B-32)", "say which weights of ViT-B-32, as pretrained=TAG; valid: openai"),
    ],
)
def test_open_clips_names_get_the_nearest(text: str, message: str) -> None:
    pytest.importorskip("open_clip", reason="open_clip is not installed (extra openclip)")
    with pytest.raises(SpecError, match=message):
        find_encoder(parse_call(text), False, needed=True)


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


@pytest.mark.parametrize("hiding", ["package", "file"])
def test_a_library_is_found_behind_a_users_modules_of_its_name(
    hiding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = tmp_path / "theirs" / "hidden_library", tmp_path / "mine"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("from hidden_library.utils import tqdm\n")
    (theirs / "utils.py").write_text("tqdm = 1\n")
    if hiding == "package":
        (mine / "hidden_library").mkdir(parents=True)
        (mine / "hidden_library" / "__init__.py").touch()
        (mine / "hidden_library" / "utils.py").write_text("mine = 1\n")
    else:
        mine.mkdir()
        (mine / "hidden_library.py").touch()
    for folder in (theirs.parent, mine):
        monkeypatch.syspath_prepend(folder)
    before = sys.path[:]
    modules = ("hidden_library", "hidden_library.utils")
    try:
        users = [importlib.import_module(name) for name in modules[: 2 if hiding == "package" else 1]]
        assert library("hidden_library", owner="this test", extra="hf", having="tqdm").tqdm == 1
        assert sys.path == before
        shutil.rmtree(theirs)
        for name, module in zip(modules, users, strict=False):
            sys.modules[name] = module
        # Where the library is not there at all, the user's modules stay.
        with pytest.raises(BenchError, match="needs hidden_library, which is not installed"):
            library("hidden_library", owner="this test", extra="hf", having="tqdm")
        assert [sys.modules[name] for name, _ in zip(modules, users, strict=False)] == users
    finally:
        for name in modules:
            sys.modules.pop(name, None)
