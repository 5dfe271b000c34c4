"""What a test knows of a value and its type does not say: that it is there, or that it lies in memory."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from bench import FileImages

T = TypeVar("T")


def present(value: T | None) -> T:
    """Return the value, which must not be None."""
    assert value is not None
    return value


def in_memory(images: object) -> NDArray[Any]:
    """Return images that are one array, not files."""
    assert isinstance(images, np.ndarray)
    return images


def in_files(images: object) -> FileImages:
    """Return images that are read when they are needed, not one array."""
    assert not isinstance(images, np.ndarray)
    return cast(FileImages, images)
