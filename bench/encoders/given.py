"""The encoder of vectors: the vectors of a data set are its embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data import Images
from bench.errors import DataError
from bench.plugins import register_encoder


@register_encoder("given", supervision="none", source="the user's own vectors", gpu=False)
def given(weights: Path | None) -> GivenVectors:
    """Vectors as they are, for data sets of embeddings."""
    return GivenVectors()


class GivenVectors:
    """Returns vectors unchanged."""

    def embed(
        self, images: Images, *, device: str, batch_size: int, progress: Callable[[int], None]
    ) -> NDArray[np.float32]:
        """Return the vectors, float32 [N, D].

        Raises:
            DataError: images were given.
        """
        if len(images.shape) != 2:
            raise DataError("the encoder 'given' takes vectors [N, D] as they are, and these are images.")
        progress(len(images))
        return np.asarray(images, dtype=np.float32)
