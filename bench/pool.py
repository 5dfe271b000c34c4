"""What a method sees of the training set, with labels out of reach where its supervision forbids them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.data import Images, ImageView
from bench.diagnostics import Diagnostics, check_chosen, check_scores
from bench.dynamics import Dynamics
from bench.errors import LabelAccessError, SelectionError, UndeclaredNeed
from bench.plugins import Supervision

Metric = Literal["cosine", "euclidean"]
Targets = Literal["labels", "pseudo"]


class Neighbors(NamedTuple):
    """Exact nearest neighbours, nearest first, self excluded.

    Attributes:
        indices: int64 [N, k].
        distances: float32 [N, k]; Euclidean, between L2-normalised embeddings where the metric is cosine.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]


class PoolSource(Protocol):
    """Where a pool's parts come from: the artifact cache, or arrays in memory."""

    def images(self) -> Images: ...
    def embeddings(self) -> NDArray[np.float32]: ...
    def neighbors(self, k: int, metric: Metric) -> Neighbors: ...
    def pseudo_labels(self, **clustering: Any) -> NDArray[np.int64]: ...
    def dynamics(self, of: Targets, **clustering: Any) -> Dynamics: ...
    def rehearse(self, indices: NDArray[np.int64], **clustering: Any) -> float: ...
    def labels(self) -> NDArray[np.int64]: ...


class Pool:
    """N training images that a method chooses from.

    Every part is computed on first use and shared with other methods, rates and cells. A part that the method did
    not declare in ``needs`` raises ``UndeclaredNeed``; one that its supervision forbids raises ``LabelAccessError``.

    Args:
        size: N.
        num_classes: C; known to every method, as in the papers.
        rate: fraction of the pool to be removed, in [0, 1).
        supervision: of the method that will see this pool.
        needs: names of the parts that the method declared.
        source: computes or loads the parts.
    """

    def __init__(
        self,
        *,
        size: int,
        num_classes: int,
        rate: float,
        supervision: Supervision,
        needs: Collection[str],
        source: PoolSource,
    ) -> None:
        self._size = size
        self._supervision = supervision
        self._needs = frozenset(needs)
        self._source = source
        self._diagnostics = Diagnostics()
        self.num_classes = num_classes
        self.rate = rate

    def __len__(self) -> int:
        return self._size

    @property
    def images(self) -> Images:
        """uint8 [N, C, H, W]; images in files come as a view that does not tell where they lie."""
        self._declared("images")
        images = self._source.images()
        return images if isinstance(images, np.ndarray) else ImageView(images)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """float32 [N, D] of the cell's encoder, as the encoder gave them (not normalised). Read-only."""
        self._declared("embeddings")
        return _finite(self._source.embeddings(), "embeddings")

    def neighbors(self, k: int = 50, *, metric: Metric = "cosine") -> Neighbors:
        """Exact k nearest neighbours in embedding space; k is cut to N - 1. Read-only."""
        self._declared("neighbors")
        return self._source.neighbors(min(k, len(self) - 1), metric)

    def pseudo_labels(self, **clustering: Any) -> NDArray[np.int64]:
        """int64 [N] cluster numbers in [0, num_clusters). Keywords: ``bench.stages.PseudoLabels``' options."""
        self._declared("pseudo_labels")
        self._allowed("pseudo", "pseudo_labels")
        return self._source.pseudo_labels(**clustering)

    def dynamics(self, of: Targets = "labels", **clustering: Any) -> Dynamics:
        """Training dynamics of a proxy trained on true labels or on pseudo-labels (keywords as ``pseudo_labels``)."""
        self._declared("dynamics")
        self._allowed(of, f"dynamics({of!r})")
        found = self._source.dynamics(of, **clustering)
        for name, values in found.arrays().items():
            _finite(values, f"the dynamics' {name}")
        return found

    def rehearse(self, indices: NDArray[np.int64], **clustering: Any) -> float:
        """Train the proxy's network on the pseudo-labels of ``indices`` only; how well it predicts held-out ones.

        Returns:
            Accuracy in [0, 1] against the pseudo-labels of a fixed tenth of the pool, which is left out of
            training. No true label is involved, so a label-free method may choose a parameter by it.
        """
        self._declared("rehearsal")
        self._allowed("pseudo", "rehearse()")
        return self._source.rehearse(indices, **clustering)

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N] true labels. Read-only."""
        self._allowed("labels", "labels")
        return self._source.labels()

    def report(self, *, scores: ArrayLike | None = None, **chosen: float) -> None:
        """Say something about the selection that the row shall show; it changes nothing about the coreset.

        Args:
            scores: one finite number per pool image, high = hard, whatever the score's own direction; where neither
                end is hard, the method's docstring says what high means. ``bench compare`` shows how far the scores of
                two methods agree.
            chosen: parameters that the method chose itself, such as ``beta=0.3``. A name given again replaces the
                earlier value.

        Raises:
            SelectionError: scores of another shape, or a number that is not finite.
        """
        kept = self._diagnostics.scores if scores is None else check_scores(scores, len(self))
        self._diagnostics = Diagnostics({**self._diagnostics.chosen, **check_chosen(chosen)}, kept)

    @property
    def diagnostics(self) -> Diagnostics:
        """What the method reported so far."""
        return self._diagnostics

    def _declared(self, part: str) -> None:
        if part not in self._needs:
            raise UndeclaredNeed(
                f"the method reads pool.{part} but does not declare it; add {part!r} to the needs of register_method "
                f"(declared: {', '.join(sorted(self._needs)) or 'nothing'})."
            )

    def _allowed(self, wanted: Supervision, what: str) -> None:
        order: tuple[Supervision, ...] = ("none", "pseudo", "labels")
        if order.index(self._supervision) < order.index(wanted):
            raise LabelAccessError(
                f"a method with supervision={self._supervision!r} may not read pool.{what}; "
                f"it needs supervision={wanted!r}."
            )


def _finite(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Refuse NaN here, once for all methods: a sort would silently put it at one end."""
    if not np.isfinite(values).all():
        raise SelectionError(f"{what} of {int((~np.isfinite(values)).sum())} images are not finite (NaN or infinite).")
    return values
