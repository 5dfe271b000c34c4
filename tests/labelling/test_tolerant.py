"""Images of which some are damaged: black, and remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import DataError
from bench.labelling.tolerant import TolerantImages


class Damaged:
    """Ten images, of which the fourth cannot be decoded and the sixth is too large."""

    shape, fingerprint = (10, 1, 2, 2), "f"

    def __len__(self) -> int:
        return 10

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        if 3 in indices:
            raise DataError("cannot decode") from OSError("broken data stream")
        if 5 in indices:
            raise MemoryError
        return np.repeat(indices, 4).reshape(-1, 1, 2, 2).astype(np.uint8) + 1


@pytest.fixture
def images() -> TolerantImages:
    source: Any = Damaged()
    return TolerantImages(source)


def test_the_others_are_as_they_are(images: TolerantImages) -> None:
    found = images[np.arange(10)]
    assert found[:, 0, 0, 0].tolist() == [1, 2, 3, 0, 5, 0, 7, 8, 9, 10]
    assert sorted(images.problems) == [3, 5]
    assert images.readable().tolist() == [0, 1, 2, 4, 6, 7, 8, 9]
    assert (len(images), images.shape, images.fingerprint) == (10, (10, 1, 2, 2), "f")


def test_looking_tells_how_far_it_is_and_finds_the_problems(images: TolerantImages) -> None:
    told: list[tuple[int, int]] = []
    images.look(np.array([1, 3]), lambda done, whole: told.append((done, whole)))
    assert told == [(2, 2)]
    assert list(images.problems) == [3]


def test_nothing_is_trained_on_them(images: TolerantImages) -> None:
    with pytest.raises(DataError, match="never trained on"):
        images.augmented(np.arange(2), [0, 1])
