"""What an encoder is: it turns images into embeddings, frozen as it came or fitted to the pool first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays, Images
from bench.errors import BenchError, DataError
from bench.identity import EncoderRef
from bench.plugins import encoders


class Encoder(Protocol):
    """Images to embeddings. No encoder sees a label of the data set at hand."""

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


@runtime_checkable
class FittedEncoder(Encoder, Protocol):
    """An encoder that learns from the pool's images before it embeds; it is registered with ``fitted=True``.

    The harness fits it once per pool, stores what it learned, and restores that wherever images are embedded.
    """

    def fit(self, images: Images, *, device: str, progress: Callable[[int, int], None] | None = None) -> Arrays:
        """Learn from the pool's images, without labels. All random numbers follow from the encoder's parameters.

        Args:
            images: the pool, uint8 [N, C, H, W].
            device: torch device, for example ``cpu`` or ``cuda:0``.
            progress: called with (steps done, steps in all).

        Returns:
            All that ``restore`` needs in another process.
        """
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what ``fit`` of an encoder with the same parameters returned."""
        ...


def make_encoder(ref: EncoderRef, weights: Path | None) -> Encoder:
    """Build an encoder as it was registered; one that must be fitted is not fitted yet.

    Args:
        ref: which one, with which parameters.
        weights: its weights file, or None where it has none.

    Raises:
        BenchError: what its function returned is not what its declaration says.
        WeightsError: the file is damaged or does not fit.
    """
    entry = encoders.get(ref.name)
    encoder: Encoder = entry.function(weights, **ref.params)
    if entry.info.fitted and not isinstance(encoder, FittedEncoder):
        raise BenchError(
            f"encoder {ref.name!r} is registered with fitted=True, so it needs fit(images, *, device, progress=None) "
            "and restore(state) beside embed()."
        )
    # An author who forgot the declaration would otherwise get embeddings of an untrained encoder, without a word.
    if hasattr(encoder, "fit") and not entry.info.fitted:
        raise BenchError(
            f"encoder {ref.name!r} has fit(), but is not registered with fitted=True; without that it is never fitted."
        )
    return encoder


def batches(total: int, size: int) -> list[NDArray[np.int64]]:
    """Cut the positions 0 to total - 1, in order, into arrays of ``size``; the last may be shorter.

    Raises:
        DataError: ``size`` is below 1.
    """
    if size < 1:
        raise DataError(f"batch_size={size} is not valid: it must be at least 1.")
    return [np.arange(start, min(start + size, total), dtype=np.int64) for start in range(0, total, size)]
