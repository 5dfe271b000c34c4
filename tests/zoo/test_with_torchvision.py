"""torchvision's networks and their published weights by name."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UnknownName
from bench.plugins import encoders
from bench.weights.locations import UrlWeights
from bench.zoo import with_torchvision


def test_where_the_weights_are_published() -> None:
    found = with_torchvision.published("resnet18", "", owner="this test")
    assert found == UrlWeights("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd")
    of = encoders.get("torchvision").info.weights_of
    assert of({"name": "resnet18"}) == found
    assert of({"name": "resnet50", "pretrained": "IMAGENET1K_V1"}) != of({"name": "resnet50"})
    with pytest.raises(UnknownName, match=r"weights of resnet50, this test.*Did you mean IMAGENET1K_V"):
        with_torchvision.published("resnet50", "IMAGENET1K_V3", owner="this test")


@pytest.mark.parametrize(
    ("name", "layer", "features"),
    [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024), ("squeezenet1_1", "classifier.1", 512)],
)
def test_a_headless_network_returns_the_classifiers_input(name: str, layer: str, features: int) -> None:
    network = with_torchvision.build(name, owner="this test").eval()
    assert with_torchvision.classifier(network) == layer
    seen: list[torch.Tensor] = []
    network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        network(images)
        without, prefix = with_torchvision.headless(network)
        assert prefix == f"{layer}."
        assert seen[0].shape[:2] == (2, features)
        assert without(images).shape[:2] == (2, features)
    assert not [key for key in without.state_dict() if key.startswith(prefix)]


def test_a_transformer_takes_the_positions_of_another_image_size() -> None:
    network = with_torchvision.build("vit_b_16", owner="this test", image_size=64)
    state = {"encoder.pos_embedding": torch.rand(1, 14 * 14 + 1, 768)}
    converted = with_torchvision.at_its_size(network)(state)["encoder.pos_embedding"]
    assert converted.shape == (1, 4 * 4 + 1, 768)
    assert torch.equal(converted[:, 0], state["encoder.pos_embedding"][:, 0]), "the class token has no position"
    convolutional = with_torchvision.at_its_size(with_torchvision.build("squeezenet1_1", owner="this test"))
    assert convolutional(state) == state
