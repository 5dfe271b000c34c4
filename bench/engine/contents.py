"""A summary of a data set's images and classes; naming the classes exposes a folder that was read as a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.data import Dataset

_FEW = 4
"""Number of classes up to which all are named; beyond, the first two and the last are."""


@dataclass(frozen=True)
class Contents:
    """Images and classes of a data set.

    Attributes:
        class_names: C names.
        class_sizes: number of images of each class in the pool.
        test: number of test images.
        test_classes: number of classes that have test images.
    """

    class_names: tuple[str, ...]
    class_sizes: tuple[int, ...]
    test: int
    test_classes: int

    def line(self, label: str) -> str:
        """Return ``digits: 1,438 images of 10 classes (0, 1, ..., 9) with 139 to 146 each; 359 test images``."""
        names, sizes = self.class_names, self.class_sizes
        shown = names if len(names) <= _FEW else (*names[:2], "...", names[-1])
        smallest, largest = min(sizes), max(sizes)
        each = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
        lacking = f" of {self.test_classes} of them" if self.test_classes < len(names) else ""
        return (
            f"{label}: {sum(sizes):,} images of {len(names):,} classes ({', '.join(shown)}) with {each} each; "
            f"{self.test:,} test images{lacking}"
        )

    def document(self, label: str) -> dict[str, Any]:
        """Return the summary and its numbers as plain values."""
        return {
            "dataset": label,
            "summary": self.line(label),
            "images": sum(self.class_sizes),
            "test_images": self.test,
            "classes": len(self.class_names),
            "class_names": list(self.class_names),
            "class_sizes": list(self.class_sizes),
        }


def contents(dataset: Dataset) -> Contents:
    """Return the numbers of a data set's images and classes."""
    sizes = np.bincount(dataset.train.labels, minlength=dataset.num_classes)
    return Contents(dataset.class_names, tuple(sizes.tolist()), len(dataset.test), len(np.unique(dataset.test.labels)))
