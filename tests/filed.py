"""Images that stand for files, as the tests of training and of the judge read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Filed:
    """Images that stand for files; resized crops of them would be black.

    Attributes:
        pixels: uint8 [N, C, H, W].
        reads: how many were read at once, each time.
    """

    pixels: np.ndarray
    reads: list[int] = field(default_factory=list)
    fingerprint = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        self.reads.append(len(indices))
        return self.pixels[indices]

    def augmented(self, indices: np.ndarray, rng_seeds: Sequence[int]) -> np.ndarray:
        return np.zeros_like(self.pixels[indices])
