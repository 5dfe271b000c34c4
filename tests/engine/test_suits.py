"""Data sets that do not suit an encoder, a network or a method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.engine.plan import make_plan
from bench.engine.suits import check_input
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from tests.digits import load_digits


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"models": "small_cnn"}, "model small_cnn takes images.*valid: .*linear_probe"),
        ({"methods": "aum", "proxy_model": "resnet18"}, "model resnet18 takes images"),
        ({"encoders": "pixels", "methods": "kcenter"}, "encoder pixels does not suit .*holds vectors"),
        ({"datasets": "digits", "encoders": "given", "methods": "kcenter"}, "encoder given .*holds images"),
    ],
)
def test_what_needs_pictures_is_refused_before_anything_starts(
    tmp_path: Path, given: dict[str, str], message: str
) -> None:
    vectors = load_digits()
    np.savez(tmp_path / "mine.npz", X=vectors.data, y=vectors.target)
    grid = {"methods": "random", "datasets": "embeddings(path=mine.npz)", "rates": "0.5", "seeds": 1, **given}
    with pytest.raises(SpecError, match=message):
        make_plan(load_spec(given=grid), out=None, data_root=tmp_path)


@pytest.mark.parametrize("given", [{}, {"methods": "aum", "models": "linear_probe", "proxy_model": "small_cnn"}])
def test_a_padding_that_reflection_cannot_fill_is_refused_before_anything_starts(given: dict[str, str]) -> None:
    grid = {"methods": "random", "datasets": "digits", "rates": "0.5", "recipe": {"crop_padding": 8}, **given}
    with pytest.raises(SpecError, match=r"crop_padding=8 is not valid for images of 8x8 pixels: .* at most 7"):
        make_plan(load_spec(given=grid), out=None)
    for unused in ({"augmentation": "none"}, {"augmentation": "resized-crop-flip"}):
        make_plan(load_spec(given={**grid, "recipe": {"crop_padding": 8, **unused}}), out=None)


def test_mirror_images_of_embeddings_are_refused_before_anything_starts() -> None:
    grid = {"methods": "random", "datasets": "digits", "rates": "0.5", "recipe": {"test_flip": True}}
    with pytest.raises(
        SpecError, match=r"test_flip=true is for models that read images; linear_probe reads embeddings"
    ):
        make_plan(load_spec(given={**grid, "models": "linear_probe", "encoders": "pixels"}), out=None)
    make_plan(load_spec(given=grid), out=None)


def test_a_network_that_does_not_take_the_images_is_told_their_size() -> None:
    network = ModelRef(name="torchvision", params={"name": "alexnet"})
    with pytest.raises(SpecError, match=r"does not take images of 20 x 24 px: .*Give it size=S"):
        check_input(network, (3, 20, 24), 10)
    check_input(network.model_copy(update={"params": {"name": "alexnet", "size": 64}}), (3, 20, 24), 10)
