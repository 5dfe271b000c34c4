"""Images in files of which some may be damaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.embedding.encoder import batches
from bench.errors import DataError
from bench.images.decoding import reason_of
from bench.images.streaming import StreamedImages
from bench.progress import Progress

_BATCH = 64


class TolerantImages:
    """Images in files of which some may be damaged; a damaged image is read as black and remembered.

    Args:
        images: the images.

    Attributes:
        problems: position -> why the image could not be decoded, for the images that were read.
    """

    def __init__(self, images: StreamedImages) -> None:
        self.images = images
        self.problems: dict[int, str] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape

    @property
    def fingerprint(self) -> str:
        return self.images.fingerprint

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        try:
            return self.images[indices]
        except (DataError, MemoryError):  # one image at a time needs less memory than a batch
            return np.stack([self._one(int(index)) for index in indices])

    def augmented(self, indices: NDArray[np.int64], rng_seeds: object) -> NDArray[np.uint8]:
        """Refuse augmented images: a damaged image must not be trained on."""
        raise DataError("images that may be damaged are only embedded, never trained on.")

    def look(self, indices: NDArray[np.int64], progress: Progress | None = None) -> None:
        """Decode images only to find out which have a problem."""
        for part in batches(len(indices), _BATCH):
            self[indices[part]]
            if progress is not None:
                progress(int(part[-1]) + 1, len(indices))

    def readable(self) -> NDArray[np.int64]:
        """Return the positions, ascending, of the images without a problem; call it after all images were read."""
        return np.setdiff1d(np.arange(len(self)), np.array(list(self.problems), dtype=np.int64))

    def _one(self, index: int) -> NDArray[np.uint8]:
        try:
            return self.images[np.array([index])][0]
        except (DataError, MemoryError) as error:
            self.problems[index] = reason_of(error)
            # An image of the right shape, so that the batch can be embedded; the caller leaves out its row.
            return np.zeros(self.shape[1:], dtype=np.uint8)
