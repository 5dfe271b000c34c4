"""Embeddings that the user brings: text, audio, tables, or images that were embedded elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.plain_files import check_regular

_EXTREME = 2.0**40
"""Between this and its inverse, squares of float32 and sums of very many of them hold all their digits."""


def read_embeddings(path: Path) -> NDArray[np.float32]:
    """Read embeddings from a ``.npy`` file; nothing in it is executed.

    Args:
        path: a matrix of numbers [N, D], one line per item.

    Returns:
        float32 [N, D].

    Raises:
        DataError: unreadable, another shape or type, fewer than 2 items, or a number that is not finite.
    """
    try:
        check_regular(path, path.stat().st_mode)
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read {path} as a .npy file: {reason}.") from error
    if not isinstance(stored, np.ndarray):
        raise DataError(f"{path} is an archive of arrays; expected one matrix [N, D] in a .npy file.")
    return as_vectors(stored, str(path))


def as_vectors(stored: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Check and copy a matrix of numbers [N, D]; one of extreme scale is divided by a power of two.

    Which items are near each other does not depend on the scale, but squares of 1e-30 are 0 in float32, and those of
    1e19 infinite.

    Args:
        stored: one line per item.
        name: what holds it, for messages.

    Raises:
        DataError: another shape or type, fewer than 2 items, no features, or a number that is not finite.
    """
    if stored.ndim != 2 or stored.dtype.kind not in "fiu" or len(stored) < 2 or not stored.shape[1]:
        raise DataError(
            f"{name} holds {stored.dtype} of shape {stored.shape}; expected numbers of shape [N, D], one line for each "
            "of at least 2 items."
        )
    largest = max(float(stored.max()), -float(stored.min()))
    if 0 < largest <= np.finfo(np.float32).max and not 1 / _EXTREME < largest < _EXTREME:
        stored = np.ldexp(stored, -int(np.frexp(largest)[1]))
    with np.errstate(over="ignore"):
        embeddings = np.array(stored, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise DataError(
            f"{name} holds NaN, infinity or numbers too large for float32 in {len(bad)} of {len(embeddings)} "
            f"lines, first in line {bad[0]} (counted from 0)."
        )
    return embeddings
