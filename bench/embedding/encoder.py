"""The interface of encoders, which turn images into embeddings; some are fitted to the pool first."""

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
    """Turns images into embeddings, without access to labels."""

    def embed(
        self, images: Images, *, device: str, batch_size: int, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the embeddings of all images, in order.

        Args:
            images: uint8 [N, C, H, W].
            device: torch device, for example ``cpu`` or ``cuda:0``.
            batch_size: images at a time; the result depends on it only by rounding.
            progress: called after each batch with the number of images in it.

        Returns:
            float32 [N, D], finite, not normalised; the same images give the same embeddings.

        Raises:
            WeightsError: the weights give numbers that are not finite.
            DataError: the encoder does not support this number of channels.
        """
        ...


@runtime_checkable
class FittedEncoder(Encoder, Protocol):
    """An encoder that learns from the pool's images before it embeds; register it with ``fitted=True``.

    The harness fits it once per pool, stores its state, and restores the state wherever images are embedded.
    """

    def fit(self, images: Images, *, device: str, progress: Callable[[int, int], None] | None = None) -> Arrays:
        """Learn from the pool's images without labels; random numbers depend only on the encoder's parameters.

        Args:
            images: the pool, uint8 [N, C, H, W].
            device: torch device, for example ``cpu`` or ``cuda:0``.
            progress: called with (steps done, steps in all).

        Returns:
            Everything that ``restore`` needs in another process.
        """
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore the result of ``fit`` of an encoder with the same parameters."""
        ...


def make_encoder(ref: EncoderRef, weights: Path | None) -> Encoder:
    """Return a registered encoder, which may still have to be fitted.

    Args:
        ref: the encoder with its parameters.
        weights: its weights file, or None if it has none.

    Raises:
        BenchError: the encoder's function returned something other than its declaration says.
        WeightsError: the file is damaged or does not fit.
    """
    entry = encoders.get(ref.name)
    encoder: Encoder = entry.function(weights, **ref.params)
    if entry.info.fitted and not isinstance(encoder, FittedEncoder):
        raise BenchError(
            f"encoder {ref.name!r} is registered with fitted=True, so it needs fit(images, *, device, progress=None) "
            "and restore(state) beside embed()."
        )
    # Without the declaration, an author would silently get embeddings of an untrained encoder.
    if hasattr(encoder, "fit") and not entry.info.fitted:
        raise BenchError(
            f"encoder {ref.name!r} has fit(), but is not registered with fitted=True; without that it is never fitted."
        )
    return encoder


def batches(total: int, size: int) -> list[NDArray[np.int64]]:
    """Return the positions 0 to total - 1 in arrays of ``size``; the last may be shorter.

    Raises:
        DataError: ``size`` is below 1.
    """
    if size < 1:
        raise DataError(f"batch_size={size} is not valid: it must be at least 1.")
    return [np.arange(start, min(start + size, total), dtype=np.int64) for start in range(0, total, size)]
