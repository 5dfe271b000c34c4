"""What the installed libraries offer under a name."""

from __future__ import annotations

import pytest

from bench.grammar import parse_call
from bench.zoo import search


def test_names_are_found_in_any_case_and_read_back_as_calls() -> None:
    found = list(search.models_like("SQUEEZENET1_1"))
    assert search.Match("torchvision(name=squeezenet1_1)") in found
    for match in found:
        assert parse_call(match.call).params["name"] == "squeezenet1_1"


def test_an_encoder_says_what_it_was_trained_with() -> None:
    pytest.importorskip("timm")
    found = {match.call: match.trained_with for match in search.encoders_like("vit_small_patch14_dinov2")}
    assert found
    assert set(found.values()) == {"self-supervised"}
    assert dict(search.encoders_like("resnet18"))["torchvision(name=resnet18)"] == "labels"


def test_weights_are_no_network_to_train() -> None:
    pytest.importorskip("timm")
    names = [parse_call(match.call).params["name"] for match in search.models_like("resnet50")]
    assert "resnet50" in names
    assert not [name for name in names if "." in name]


def test_sets_of_torchvision_are_found() -> None:
    assert [match.call for match in search.datasets_like("food")] == ["torchvision(name=Food101)"]
    assert not list(search.datasets_like("no such set"))


def test_what_is_missing_is_said_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    assert [line.partition(":")[0] for line in search.not_installed()] == ["timm", "open_clip"]
    assert "'.[vit]'" in search.not_installed()[0]
