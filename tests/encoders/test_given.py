"""Vectors of a data set are their own embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import DataError
from bench.encoders.given import GivenVectors


def test_vectors_pass_as_they_are(digits: NDArray[np.uint8]) -> None:
    vectors: Any = digits[:5].reshape(5, -1).astype(np.float32)
    told: list[int] = []
    found = GivenVectors().embed(vectors, device="cpu", batch_size=2, progress=told.append)
    np.testing.assert_array_equal(found, vectors)
    assert found.dtype == np.float32
    assert told == [5]


def test_images_are_refused(digits: NDArray[np.uint8]) -> None:
    with pytest.raises(DataError, match=r"takes vectors \[N, D\] as they are, and these are images"):
        GivenVectors().embed(digits[:5], device="cpu", batch_size=2, progress=lambda done: None)
