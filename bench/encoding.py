"""What an encoder is: frozen after ``fit``, it turns images into embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.data import Images
from bench.errors import DataError


class Encoder(Protocol):
    """Images to embeddings. No encoder sees a label of the data set at hand."""

    def fit(self, images: Images) -> None:
        """Learn what the encoder must know of the pool's images, without labels; nothing for a frozen network.

        Args:
            images: the pool, uint8 [N, C, H, W].
        """
        ...

    def embed(
        self, images: Images, *, device: str, batch_size: int, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed every image, in order.

        Args:
            images: uint8 [N, C, H, W].
            device: torch device, for example ``cpu`` or ``cuda:0``.
            batch_size: images at a time; the result does not depend on it beyond rounding.
            progress: called after each batch with the number of images in it.

        Returns:
            float32 [N, D], finite, not normalised; the same images give the same embeddings.

        Raises:
            WeightsError: the weights give numbers that are not finite.
            DataError: the number of channels does not suit the encoder.
        """
        ...


def batches(total: int, size: int) -> list[NDArray[np.int64]]:
    """Positions 0 to total - 1 in order, in arrays of ``size``; the last may be shorter.

    Raises:
        DataError: ``size`` is below 1.
    """
    if size < 1:
        raise DataError(f"batch_size={size} is not valid: it must be at least 1.")
    return [np.arange(start, min(start + size, total), dtype=np.int64) for start in range(0, total, size)]
