"""Weighted coresets: what a method may return, and how training uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays
from bench.errors import SelectionError


@dataclass(frozen=True, eq=False)
class Weighted:
    """A coreset with a weight for each image, which a method may return instead of indices alone.

    Examples:
        >>> return bench.Weighted(indices=medoids, weights=sizes_of_their_clusters)

    Attributes:
        indices: n unique positions in the pool, in any order.
        weights: n finite numbers above 0, in the order of the indices; only their ratios matter.
    """

    indices: Any
    weights: Any


class Kept(NamedTuple):
    """A coreset that passed the checks.

    Attributes:
        indices: int64 [n], sorted, unique.
        weights: float64 [n], above 0, as the method returned them; None if all images count equally.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None

    def same(self, other: Kept) -> bool:
        """Return whether both keep the same images with the same weights."""
        ours, theirs = self.weights, other.weights
        same_weights = ours is theirs if ours is None or theirs is None else np.array_equal(ours, theirs)
        return same_weights and np.array_equal(self.indices, other.indices)

    def without_weights(self, method: str, reader: str) -> NDArray[np.int64]:
        """Return the indices of an unweighted coreset, for a reader that cannot pass on weights.

        Raises:
            SelectionError: the coreset has weights.
        """
        if self.weights is not None:
            raise SelectionError(
                f"method {method!r} weights the images that it keeps, and {reader} hands out positions alone; take a "
                "method without weights, or turn them off if it has a parameter for that."
            )
        return self.indices


def kept_in(arrays: Arrays) -> Kept:
    """Return the coreset in the arrays of a stored selection."""
    return Kept(arrays["indices"], arrays.get("weights"))


def check_weights(weights: Any, count: int, owner: str) -> NDArray[np.float64]:
    """Return the weights as a copy, or say why they are not valid.

    Args:
        weights: any object; ``count`` finite real numbers above 0 are valid. Not modified.
        count: n.
        owner: the method, for the message.

    Returns:
        float64 [n].

    Raises:
        SelectionError: another shape or type, a masked array, or a number that is 0, below 0, NaN or infinite.
    """
    expected = f"one finite number above 0 for each of the {count} indices was expected"
    try:
        array = np.asarray(weights)
    except (ValueError, TypeError) as error:  # such as lists of different lengths
        raise SelectionError(f"{owner} gave weights that are not an array ({error}); {expected}.") from error
    if array.shape != (count,) or array.dtype.kind not in "fiu" or np.ma.is_masked(weights):
        raise SelectionError(f"{owner} gave weights of type {array.dtype} and shape {array.shape}; {expected}.")
    plain = array.astype(np.float64)
    wrong = plain[~(np.isfinite(plain) & (plain > 0))]
    if len(wrong):
        raise SelectionError(f"{owner} gave the weight {wrong[0]:g}; {expected}. Leave out images that must not count.")
    return plain


def of_mean_one(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the weights [n] scaled to a mean of 1, so that the recipe's learning rate holds for the coreset."""
    # Divided by the largest first, since the sum of finite numbers may overflow.
    scaled = weights / weights.max()
    return (scaled / scaled.mean()).astype(np.float32)
