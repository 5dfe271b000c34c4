"""Encoders as they are registered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bench import BenchError, DataError, register_encoder
from bench.embedding.encoder import batches, make_encoder
from bench.identity import EncoderRef
from bench.plugins import encoders


@pytest.mark.parametrize(("total", "size", "lengths"), [(10, 4, [4, 4, 2]), (4, 4, [4]), (3, 9, [3]), (0, 4, [])])
def test_batches_are_all_positions_in_order(total: int, size: int, lengths: list[int]) -> None:
    found = batches(total, size)
    assert [len(part) for part in found] == lengths
    assert [place for part in found for place in part.tolist()] == list(range(total))


def test_a_batch_has_an_image() -> None:
    with pytest.raises(DataError, match="batch_size=0 is not valid"):
        batches(3, 0)


class Plain:
    def embed(self, images: Any, **more: Any) -> np.ndarray:
        return np.zeros((len(images), 2), dtype=np.float32)


class Fitted(Plain):
    def fit(self, images: Any, **more: Any) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: Any) -> None:
        pass


@pytest.fixture
def declared() -> Iterator[Any]:
    """Register a class as the encoder of these tests."""
    names: list[str] = []

    def register(kind: type[Plain], fitted: bool) -> EncoderRef:
        @register_encoder("of-these-tests", supervision="none", source="a test", fitted=fitted)
        def made(weights: Any) -> Plain:
            """Make it."""
            return kind()

        names.append("of-these-tests")
        return EncoderRef(name="of-these-tests")

    yield register
    for name in names:
        encoders.remove(name)


def test_an_encoder_is_what_it_declares(declared: Any) -> None:
    assert isinstance(make_encoder(declared(Plain, False), None), Plain)


def test_one_that_is_fitted_can_be_restored(declared: Any) -> None:
    assert isinstance(make_encoder(declared(Fitted, True), None), Fitted)


def test_one_that_declares_too_much_is_refused(declared: Any) -> None:
    with pytest.raises(BenchError, match="registered with fitted=True, so it needs fit"):
        make_encoder(declared(Plain, True), None)


def test_one_that_declares_too_little_is_refused(declared: Any) -> None:
    with pytest.raises(BenchError, match=r"has fit\(\), but is not registered with fitted=True"):
        make_encoder(declared(Fitted, False), None)
