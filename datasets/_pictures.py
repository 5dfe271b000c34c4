"""Arrays of one size from pictures that another library decodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import DataError
from bench.datasets._common import stratified_split
from bench.images.decoding import to_rgb
from bench.images.streaming import centre_crop

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def pictures(items: Sequence[tuple[Any, Any]] | Any, count: int, size: int, memory_gb: float, what: str) -> Arrays:
    """Return labelled pictures as arrays: the short side is scaled to ``size`` and the centre is cropped.

    Args:
        items: (picture of Pillow, class) by position; a picture may have any mode of 8 bits.
        count: N.
        size: side in pixels.
        memory_gb: the most memory that the array may take, in 10^9 bytes.
        what: name of the data set, for messages.

    Returns:
        uint8 [N, 3, size, size] and int64 [N].

    Raises:
        DataError: more memory than allowed, or an item that is not a picture with a class number.
    """
    # Computed before the first picture is decoded: a process that is killed for memory later says nothing useful.
    needed = count * 3 * size * size / 1e9
    if needed > memory_gb:
        raise DataError(
            f"{what} has {count:,} pictures, which take {needed:.1f} GB at size={size}, more than "
            f"memory_gb={memory_gb:g}. Take a smaller size or a larger memory_gb; the data set folder(path=...) reads "
            "class folders of any length from their files."
        )
    images = np.empty((count, 3, size, size), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    for position in range(count):
        try:
            picture, label = items[position]
            images[position] = centre_crop(to_rgb(picture), size, size)
            labels[position] = label
        # Decoders raise whatever the damage causes, and a wrong column holds anything.
        except Exception as error:
            reason = str(error) or repr(error)
            raise DataError(f"{what}: item {position} is not a picture with a class number: {reason}.") from error
    return images, labels


def held_out(whole: Arrays, test_fraction: float) -> tuple[Arrays, Arrays]:
    """Return training and test pictures of a set without a test split; see ``stratified_split``."""
    images, labels = whole
    train, test = stratified_split(labels, test_fraction)
    return (images[train], labels[train]), (images[test], labels[test])
