"""Embeddings that were given: the vectors of a data set are their own embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data import Images
from bench.errors import DataError
from bench.plugins import register_encoder


@register_encoder("given", supervision="none", source="the user's own vectors", gpu=False)
def given(weights: Path | None) -> Given:
    """Take the vectors as they are, for items that come as embeddings."""
    return Given()


class Given:
    """Passes vectors on; what they were made with is the user's to say."""

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
