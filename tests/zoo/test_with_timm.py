"""timm's networks and their published weights by name."""

from __future__ import annotations

import pytest
import torch

from bench.errors import SpecError
from bench.plugins import encoders
from bench.weights.locations import HubWeights, OwnWeights
from bench.zoo import with_timm

pytest.importorskip("timm")


def test_where_the_weights_are_published() -> None:
    assert with_timm.published("vit_base_patch16_224.dino") == encoders.get("dino_vitb16").info.weights
    assert with_timm.published("resnet50") == HubWeights("timm/resnet50.a1_in1k")
    assert isinstance(with_timm.published("botnet50ts_256"), OwnWeights)
    assert encoders.get("timm").info.weights_of({"name": "resnet50"}) == with_timm.published("resnet50")


def test_a_bare_network_has_the_published_parameters_and_no_memory_for_them() -> None:
    network = with_timm.bare("test_vit")
    built = with_timm.build("test_vit", owner="this test", size=None)
    assert {value.device.type for value in network.parameters()} == {"meta"}
    assert [(name, value.shape) for name, value in network.named_parameters()] == [
        (name, value.shape) for name, value in built.named_parameters()
    ]


@pytest.mark.parametrize(("name", "layers"), [("test_vit", ("head.",)), ("test_resnet", ("fc.",))])
def test_a_headless_network_lacks_the_classifier_alone(name: str, layers: tuple[str, ...]) -> None:
    whole = with_timm.bare(name)
    assert with_timm.classifier_of(whole) == layers
    without = with_timm.headless(name, owner="this test")
    expected = {key for key in whole.state_dict() if not key.startswith(layers)}
    assert set(without.state_dict()) == expected
    with torch.inference_mode():
        assert without.eval()(torch.zeros(2, 3, 160, 160)).ndim == 2


def test_a_side_that_the_network_does_not_take_is_refused() -> None:
    assert with_timm.side("test_vit.r160_in1k") == 160
    with pytest.raises(SpecError, match=r"this test: test_vit does not take images of size=100"):
        with_timm.headless("test_vit", owner="this test", size=100)


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
