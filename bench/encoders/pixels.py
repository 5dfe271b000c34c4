"""Principal components of the pixels: an encoder without a network, for offline use on small images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import BenchError, Images, register_encoder
from bench.data import Arrays
from bench.embedding.encoder import FittedEncoder, batches

_FIT_BATCH = 512


def _memory(params: Mapping[str, Any], images: int, shape: tuple[int, ...]) -> int:
    """Return the bytes of the covariance, its eigenvectors and two working copies."""
    side = min(params["size"], max(shape[1:]))
    return 4 * 8 * (shape[0] * side * side) ** 2


@register_encoder(
    "pixels", supervision="none", source="PCA of the pool's own pixels", fitted=True, memory=_memory, gpu=False
)
def pixels(
    weights: Path | None,
    *,
    components: Annotated[int, Field(ge=1)] = 64,
    size: Annotated[int, Field(ge=1, le=64)] = 32,
) -> FittedEncoder:
    """Standardised pixels, projected onto their principal components.

    Source: PCA. Pixels are standardised per channel, not per position: otherwise the constant border of digits would
    have the same weight as the strokes.

    Args:
        weights: None.
        components: D; at most the dimensions that the pool's pixels span.
        size: side in pixels to which larger images are scaled first. The covariance has (C * size * size)^2 entries,
            hence the limit.

    Returns:
        An encoder that must be fitted on the pool before it embeds.
    """
    return PixelEncoder(components, size)


class PixelEncoder:
    """PCA of an image's pixels, see ``pixels``."""

    def __init__(self, components: int, size: int) -> None:
        self._components = components
        self._size = size
        self._center: NDArray[np.float32] | None = None
        self._projection: NDArray[np.float32] | None = None

    def fit(self, images: Images, *, device: str, progress: Callable[[int, int], None] | None = None) -> Arrays:
        """Fit the components in one pass over the images, always on the CPU; see ``FittedEncoder.fit``.

        Returns:
            ``center`` float32 [P] and ``projection`` float32 [P, D] of ``principal_components``.
        """
        channels = images.shape[1]
        total: NDArray[np.float64] | float = 0.0
        products: NDArray[np.float64] | float = 0.0
        for index in batches(len(images), _FIT_BATCH):
            # float64: the covariance is a difference of two large sums, which would lose its digits in float32.
            flat = self._flat(images, index).astype(np.float64)
            total = total + flat.sum(axis=0)
            products = products + flat.T @ flat
            if progress is not None:
                progress(int(index[-1]) + 1, len(images))
        center, projection = principal_components(
            np.asarray(total) / len(images), np.asarray(products) / len(images), channels, self._components, len(images)
        )
        return {"center": center, "projection": projection}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a fit, see ``FittedEncoder.restore``."""
        self._center, self._projection = state["center"], state["projection"]

    def embed(
        self, images: Images, *, device: str, batch_size: int, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the embeddings, always computed on the CPU; see ``Encoder.embed``.

        Raises:
            BenchError: ``restore`` was not called, or the images have another shape than those of ``fit``.
        """
        if self._center is None or self._projection is None:
            raise BenchError("encoder 'pixels' must be fitted on the pool's images before it can embed.")
        parts = []
        for index in batches(len(images), batch_size):
            flat = self._flat(images, index)
            if flat.shape[1] != len(self._center):
                raise BenchError(
                    f"encoder 'pixels' was fitted on {len(self._center)} values per image, got {flat.shape[1]}."
                )
            parts.append((flat - self._center) @ self._projection)
            if progress is not None:
                progress(len(index))
        return np.concatenate(parts)

    def _flat(self, images: Images, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return float32 [B, C * h * w] in [0, 1], with h and w at most ``size``."""
        scaled = np.divide(images[index], 255, dtype=np.float32)
        if max(scaled.shape[-2:]) > self._size:
            import torch

            from bench.embedding.frozen import resize

            scaled = resize(torch.from_numpy(scaled), self._size).numpy()
        return scaled.reshape(len(scaled), -1)


def principal_components(
    mean: NDArray[np.float64], second_moment: NDArray[np.float64], channels: int, components: int, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the principal components of channel-standardised pixels, from the moments of raw pixels.

    Source: the eigenvectors of the covariance are the right singular vectors of the centred data. They are computed
    exactly (LAPACK), not by a randomised solver. Signs are fixed so that each component's largest entry is positive.

    Args:
        mean: float64 [P] of the flattened pixels, channel by channel.
        second_moment: float64 [P, P], mean of the outer products.
        channels: number of equal parts of P, each standardised by one mean and one deviation.
        components: largest number of components.
        count: images behind the moments; more than ``count - 1`` components have no variance.

    Returns:
        float32 [P], the centre to subtract, and float32 [P, D] to multiply with, including the standardisation, by
        decreasing variance. 1 <= D <= components.
    """
    from scipy.linalg import eigh

    per_channel = mean.reshape(channels, -1).mean(axis=1)
    square = np.diag(second_moment).reshape(channels, -1).mean(axis=1)
    deviation = np.sqrt(np.maximum(square - per_channel**2, 0))
    # Moments cancel: a constant channel has a rounding error in place of zero.
    deviation[deviation < 1e-6] = 1.0
    scale = np.repeat(1 / deviation, len(mean) // channels)
    covariance = (second_moment - np.outer(mean, mean)) * np.outer(scale, scale)
    # N centred images span N - 1 directions at most.
    size = min(components, len(mean), max(count - 1, 1))
    variance, vectors = eigh(covariance, subset_by_index=(len(mean) - size, len(mean) - 1))
    # LAPACK returns them in ascending order.
    variance, vectors = variance[::-1], vectors[:, ::-1]
    # Further directions are only rounding and differ by machine; one is always kept.
    spanned = max(1, int((variance > 1e-10 * max(variance[0], 1e-10)).sum()))
    vectors = vectors[:, :spanned]
    # An eigenvector's sign is arbitrary and differs between LAPACKs; without fixing it, embeddings would too.
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(spanned)]
    projection = scale[:, None] * vectors * np.where(largest < 0, -1.0, 1.0)
    return np.asarray(mean, dtype=np.float32), np.asarray(projection, dtype=np.float32)
