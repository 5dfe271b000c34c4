"""Coresets whose images count differently: what a method may return, and what a training makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays
from bench.errors import SelectionError


@dataclass(frozen=True, eq=False)
class Weighted:
    """A coreset with a weight for each image, which a method may return in place of indices alone.

    Examples:
        >>> return bench.Weighted(indices=medoids, weights=sizes_of_their_clusters)

    Attributes:
        indices: n unique positions in the pool, in any order.
        weights: n numbers above 0, finite, in the order of the indices; only their ratios count.
    """

    indices: Any
    weights: Any


class Kept(NamedTuple):
    """A coreset that was checked.

    Attributes:
        indices: int64 [n], sorted, unique.
        weights: float64 [n], above 0, as the method gave them; None where all images count alike.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None

    def same(self, other: Kept) -> bool:
        """Whether both keep the same images with the same weights."""
        ours, theirs = self.weights, other.weights
        alike = ours is theirs if ours is None or theirs is None else np.array_equal(ours, theirs)
        return alike and np.array_equal(self.indices, other.indices)

    def without_weights(self, method: str, reader: str) -> NDArray[np.int64]:
        """Return the indices of a coreset that has no weights, for a reader that could not pass them on.

        Raises:
            SelectionError: it has.
        """
        if self.weights is not None:
            raise SelectionError(
                f"method {method!r} weights the images that it keeps, and {reader} hands out positions alone; take a "
                "method without weights, or turn them off where it has a parameter for that."
            )
        return self.indices


def kept_in(arrays: Arrays) -> Kept:
    """Return the coreset among the arrays of a stored selection."""
    return Kept(arrays["indices"], arrays.get("weights"))


def check_weights(weights: Any, count: int, owner: str) -> NDArray[np.float64]:
    """Return the weights as a copy, or say why they are none.

    Args:
        weights: anything; valid are ``count`` finite real numbers above 0. Not modified.
        count: n.
        owner: whose they are, for the message.

    Returns:
        float64 [n].

    Raises:
        SelectionError: another shape or type, masked, or a number that is 0, below 0, NaN or infinite.
    """
    wanted = f"one finite number above 0 for each of the {count} indices was expected"
    try:
        array = np.asarray(weights)
    except (ValueError, TypeError) as error:  # such as lists of different lengths
        raise SelectionError(f"{owner} gave weights that are no array ({error}); {wanted}.") from error
    if array.shape != (count,) or array.dtype.kind not in "fiu" or np.ma.is_masked(weights):
        raise SelectionError(f"{owner} gave weights of type {array.dtype} and shape {array.shape}; {wanted}.")
    plain = array.astype(np.float64)
    wrong = plain[~(np.isfinite(plain) & (plain > 0))]
    if len(wrong):
        raise SelectionError(f"{owner} gave the weight {wrong[0]:g}; {wanted}. Leave out what shall not count.")
    return plain


def of_mean_one(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale weights [n] to a mean of 1, so that a coreset is trained on at its recipe's learning rate."""
    # By the largest first: the sum of finite numbers may be none.
    scaled = weights / weights.max()
    return (scaled / scaled.mean()).astype(np.float32)
