"""Last-layer gradients of a network trained on the pool's labels, stored as their two factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench import Pool, need


class Gradients(NamedTuple):
    """Gradients of each image's loss by the last layer's weights and bias: e_i (f_i, 1)^T, stored as e and f.

    Attributes:
        errors: e float32 [N, C], the softmax minus the one-hot label.
        features: f float32 [N, D], the input of the layer.
    """

    errors: NDArray[np.float32]
    features: NDArray[np.float32]

    def of(self, images: NDArray[np.int64]) -> Gradients:
        """Return the gradients of some images."""
        return Gradients(self.errors[images], self.features[images])

    def squares(self) -> NDArray[np.float32]:
        """Return the squared norms of the gradients, float32 [N]."""
        lengths = np.einsum("nd,nd->n", self.features, self.features) + 1
        return np.asarray(np.einsum("nc,nc->n", self.errors, self.errors) * lengths, dtype=np.float32)

    def distances(self, other: Gradients) -> NDArray[np.float32]:
        """Return the Euclidean distances to other gradients, float32 [N, M]."""
        apart = self.products(other)
        apart *= -2
        apart += self.squares()[:, None]
        apart += other.squares()
        return np.asarray(np.sqrt(np.maximum(apart, 0, out=apart), out=apart), dtype=np.float32)

    def products(self, other: Gradients) -> NDArray[np.float32]:
        """Return the inner products with other gradients, float32 [N, M]: (e_i . e_j)(f_i . f_j + 1)."""
        products = self.features @ other.features.T
        products += 1
        products *= self.errors @ other.errors.T
        return products


def needs(params: Mapping[str, Any]) -> list[Any]:
    """Return the outputs that ``last_gradients`` needs with these parameters."""
    return [need("outputs", on="pool", epochs=params["epochs"])]


def last_gradients(pool: Pool, epochs: int) -> Gradients:
    """Return the last-layer gradients of a network after ``epochs`` passes over the pool; see ``Pool.outputs``."""
    probabilities, features = pool.outputs(on="pool", epochs=epochs)
    errors = probabilities.copy()
    errors[np.arange(len(pool)), pool.labels] -= 1
    return Gradients(errors, features)
