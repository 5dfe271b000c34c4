"""The pool: the training images as a method sees them, without the labels that its supervision forbids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

from bench.data import Images, ImageView
from bench.diagnostics import Diagnostics, check_chosen, check_judged, check_scores
from bench.dynamics import Dynamics
from bench.errors import LabelAccessError, SelectionError, UndeclaredNeed
from bench.grammar import parse_call
from bench.judging.judges import Judge
from bench.parts import (
    CORESET,
    DYNAMICS,
    EMBEDDINGS,
    GRADIENT_NORMS,
    IMAGES,
    JUDGE,
    NEIGHBORS,
    NO_OPTIONS,
    OUTPUTS,
    PSEUDO_LABELS,
    REHEARSAL,
    SUPERVISIONS,
    Chosen,
    ClusteringKeywords,
    EarlyGradients,
    Judging,
    Layers,
    Learned,
    Metric,
    NearestNeighbors,
    OtherMethod,
    Part,
    Supervision,
    Targets,
    TrainedNetwork,
    Value,
)
from bench.plugins import methods


class Neighbors(NamedTuple):
    """Exact nearest neighbours, nearest first, self excluded.

    Attributes:
        indices: int64 [N, k].
        distances: float32 [N, k], Euclidean; for the cosine metric, between L2-normalised embeddings.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]


class Outputs(NamedTuple):
    """The outputs of a network for each pool image, without augmentation.

    The gradient of image i's loss by the weights of the last layer, for a label y, is the outer product of
    ``probabilities[i]`` - onehot(y) and ``features[i]``: these two factors need N * (C + D) numbers, not N * C * D.

    Attributes:
        probabilities: float32 [N, C], softmax.
        features: float32 [N, D], the input of the last linear layer.
    """

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]


class Asked(NamedTuple):
    """The arguments of a read that are not options of the part.

    Attributes:
        indices: one or several lists of int64 positions: those rehearsed, judged, or revealed so far.
        budget: n of another method's coreset.
        rate: rate of that coreset.
        num_classes: C.
        seed: seed of that coreset.
    """

    indices: Sequence[NDArray[np.int64]] = ()
    budget: int = 0
    rate: float = 0.0
    num_classes: int = 0
    seed: int = 0


NOTHING = Asked()
"""The arguments of a read of the whole pool: none."""


class PoolSource(Protocol):
    """The source of a pool's parts: the artifact cache, or arrays in memory."""

    def read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING) -> Value:
        """Return a part with these options; its arrays are read-only."""
        ...

    def reveal(self, indices: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def labels(self) -> NDArray[np.int64]: ...


class Pool:
    """N training images that a method chooses from.

    Every part is computed on first use and shared with other methods, rates and cells; arrays are read-only copies.
    Reading a part that the method did not declare in ``needs`` raises ``UndeclaredNeed``. Reading a part that its
    supervision forbids raises ``LabelAccessError``, so that a method which reads the pool as documented gets no label
    by accident. The pool is no sandbox: code that means to cheat can reach private attributes, or read the data set.

    Args:
        size: N.
        num_classes: C. Every method knows it, label-free ones too, as in the papers. A method that must not use it
            takes pseudo-labels with ``num_clusters="estimate"``.
        rate: fraction of the pool to remove, in [0, 1).
        supervision: supervision of the method that will see this pool.
        needs: names of the parts that the method declared.
        source: computes or loads the parts.
        budget: n; also the number of images whose labels ``reveal`` gives a method of supervision ``coreset``.
        seed: seed of other methods' coresets (``coreset``); the method itself draws from its ``rng``.
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
        budget: int = 0,
        seed: int = 0,
    ) -> None:
        self._size = size
        self._supervision = supervision
        self._needs = frozenset(needs)
        self._source = source
        self._diagnostics = Diagnostics()
        self._budget, self._seed = budget, seed
        self._revealed = np.zeros(size, dtype=bool)
        self.num_classes = num_classes
        self.rate = rate

    def __len__(self) -> int:
        return self._size

    @cached_property
    def images(self) -> Images:
        """uint8 [N, C, H, W], read-only; images in files come as a view that hides their paths."""
        images = self._read(IMAGES, NO_OPTIONS)
        return images if isinstance(images, np.ndarray) else ImageView(images)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """float32 [N, D], the cell's encoder's embeddings, not normalised. Read-only."""
        return _finite(self._read(EMBEDDINGS, NO_OPTIONS), "embeddings")

    def neighbors(self, k: int = NearestNeighbors.k, *, metric: Metric = NearestNeighbors.metric) -> Neighbors:
        """Return the exact k nearest neighbours in embedding space; k is cut to N - 1. Read-only."""
        # Cut, since a method's default of 50 must not fail on a pool of 20.
        return self._read(NEIGHBORS, NEIGHBORS.chosen({"k": min(k, len(self) - 1), "metric": metric}))

    def pseudo_labels(self, **clustering: Unpack[ClusteringKeywords]) -> NDArray[np.int64]:
        """Return cluster numbers in [0, num_clusters), int64 [N]; the keywords are those of ``bench.Clustering``.

        ``num_clusters`` defaults to C; ``"estimate"`` estimates it from the embeddings, and the row records it.
        """
        return self._read(PSEUDO_LABELS, PSEUDO_LABELS.chosen(clustering))

    def dynamics(self, of: Targets = "labels", **clustering: Unpack[ClusteringKeywords]) -> Dynamics:
        """Return the training dynamics of a proxy trained on true labels, or on the pseudo-labels of a clustering."""
        dynamics = self._read(DYNAMICS, DYNAMICS.chosen({"of": of, **clustering}), call=f"dynamics({of!r})")
        for name, values in dynamics.arrays().items():
            _finite(values, f"the dynamics' {name}")
        return dynamics

    def rehearse(self, indices: NDArray[np.int64], **clustering: Unpack[ClusteringKeywords]) -> float:
        """Train the proxy's network on the pseudo-labels of ``indices``; return how well it predicts held-out ones.

        Returns:
            Accuracy in [0, 1] on the pseudo-labels of a fixed tenth of the pool, which is left out of training. No
            true label is involved, so a label-free method may choose a parameter by it.

        Raises:
            SelectionError: ``indices`` are not positions in the pool.
        """
        asked = Asked([self._positions(indices, "rehearse()")])
        return self._read(REHEARSAL, REHEARSAL.chosen(clustering), asked, call="rehearse()")

    def judge(self, candidates: Sequence[ArrayLike], *, by: Judge = Judging.by) -> NDArray[np.float64]:
        """Judge coresets without labels: return how well each predicts clusterings of the images that it leaves out.

        The clusterings are made for the judge alone, so a method may compare coresets of different origin with it.
        They are k-means with other seeds and numbers of clusters, and so resemble those of ``clustering=kmeans``. The
        predictor reads what the proxy's network reads, images or embeddings.

        Args:
            candidates: m coresets, each int [n] of positions in the pool. Judge coresets that you want to compare in
                one call: the network trains for a time that all of them share.
            by: ``ridge`` (``bench.judging.ridge``) or ``network`` (``bench.judging.network``).

        Returns:
            float64 [m]: mean accuracy over the clusterings in [0, 1], high = good.

        Raises:
            SelectionError: a candidate does not hold positions in the pool.
        """
        coresets = [self._positions(indices, "judge()") for indices in candidates]
        return self._read(JUDGE, JUDGE.chosen({"by": by}), Asked(coresets))

    def coreset(self, method: str) -> NDArray[np.int64]:
        """Return the coreset that another method selects from this pool at the same rate and seed: int64 [n], sorted.

        The other method sees what its own supervision allows, which must be no more than this method's.

        Args:
            method: a call such as ``"typiclust"`` or ``"elfs(clustering=kmeans)"``.
        """
        self._check_declared(CORESET)
        self._check_allowed(methods.get(parse_call(method).name).info.supervision, f"coreset({method!r})")
        asked = Asked(budget=self._budget, rate=self.rate, num_classes=self.num_classes, seed=self._seed)
        return self._source.read(CORESET, OtherMethod(method), asked)

    def gradient_norms(
        self,
        *,
        networks: int = EarlyGradients.networks,
        epochs: int = EarlyGradients.epochs,
        layers: Layers = EarlyGradients.layers,
    ) -> NDArray[np.float32]:
        """Return mean gradient norms early in training, float32 [N], high = hard.

        Args:
            networks: number of networks to average over, each with its own initial weights and order of images.
            epochs: epochs of training before the gradients are taken; cut to the proxy's.
            layers: take the gradient by ``all`` weights, or by those of the ``last`` linear layer.
        """
        options = GRADIENT_NORMS.chosen({"networks": networks, "epochs": epochs, "layers": layers})
        return _finite(self._read(GRADIENT_NORMS, options), "the gradient norms")

    def reveal(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Return the true labels of images that the method thereby commits to keep (``supervision="coreset"``).

        Such a method costs as many labels as a label-free one, since the n images of a coreset must be labelled to
        train on it. So it may ask for n images in total, and a coreset that lacks one of them is refused.

        Args:
            indices: int [m] positions in the pool; images revealed before do not count again.

        Returns:
            int64 [m].

        Raises:
            LabelAccessError: the supervision does not allow it, or more than n images would be revealed.
            SelectionError: ``indices`` are not positions in the pool.
        """
        self._check_allowed("coreset", "reveal()")
        positions = self._positions(indices, "reveal()")
        revealed = self._revealed.copy()
        revealed[positions] = True
        if self._supervision == "coreset" and (count := int(revealed.sum())) > self._budget:
            raise LabelAccessError(f"the method asks for the labels of {count} images; its budget is {self._budget}.")
        # Only now: a refused request costs nothing.
        self._revealed = revealed
        return self._source.reveal(positions)

    @property
    def revealed(self) -> NDArray[np.int64]:
        """Sorted positions of the images whose labels ``reveal`` gave so far, int64."""
        return np.flatnonzero(self._revealed)

    def outputs(self, *, on: Learned = TrainedNetwork.on, epochs: int | None = TrainedNetwork.epochs) -> Outputs:
        """Train the proxy's network on the images revealed so far; return its outputs for the whole pool.

        Each call trains a fresh network from the same initial weights, for the proxy's number of passes over the
        revealed images. Fewer than two images cannot train it: the outputs are then those of the initial weights. On
        the whole pool, one network is trained for all methods, rates and calls.

        Args:
            on: train on the images ``revealed`` so far, or on the whole ``pool`` with its labels
                (``supervision="labels"``).
            epochs: passes over the pool, at most the proxy's and under the proxy's schedule; None for the proxy's
                number. Ignored for revealed images.
        """
        call = "outputs(on='pool')" if on == "pool" else "outputs()"
        outputs = self._read(OUTPUTS, OUTPUTS.chosen({"on": on, "epochs": epochs}), Asked([self.revealed]), call=call)
        return Outputs(*(_finite(part, f"the network's {name}") for name, part in outputs._asdict().items()))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N] true labels. Read-only."""
        self._check_allowed("labels", "labels")
        return self._source.labels()

    def report(
        self,
        *,
        scores: ArrayLike | None = None,
        judged: Mapping[str, float] | None = None,
        taken: str = "",
        **chosen: float,
    ) -> None:
        """Record facts about the selection in the row; the coreset does not change.

        Args:
            scores: one finite number per pool image, high = hard, whatever the score's own direction. Do not report a
                score that has no hard end: ``bench compare`` shows how far two methods agree on what is hard, and
                reports show the images at both ends.
            judged: candidate -> value from ``judge``, if the method had several coresets judged.
            taken: name of the candidate that the method took.
            chosen: parameters that the method chose itself, such as ``beta=0.3``. A later value replaces an earlier
                one.

        Raises:
            SelectionError: scores of another shape, or a number that is not finite.
        """
        before = self._diagnostics
        reported = before.scores if scores is None else check_scores(scores, len(self))
        judgement = (before.judged, before.taken) if judged is None else check_judged(judged, taken)
        self._diagnostics = Diagnostics({**before.chosen, **check_chosen(chosen)}, reported, *judgement)

    @property
    def diagnostics(self) -> Diagnostics:
        """The facts that the method reported so far."""
        return self._diagnostics

    def _read(self, part: Part[Chosen, Value], options: Chosen, asked: Asked = NOTHING, *, call: str = "") -> Value:
        self._check_declared(part)
        self._check_allowed(part.least(options), call or f"{part.name}()")
        return self._source.read(part, options, asked)

    def _check_declared(self, part: Part[Any, Any]) -> None:
        if part.name not in self._needs:
            raise UndeclaredNeed(
                f"the method reads pool.{part.name} but does not declare it; add {part.name!r} to the needs of "
                f"register_method (declared: {', '.join(sorted(self._needs)) or 'nothing'})."
            )

    def _positions(self, indices: ArrayLike, call: str) -> NDArray[np.int64]:
        """Return positions in the pool, int64 [m]; refuse a mask, which would silently mean the images 0 and 1."""
        if np.ma.is_masked(indices):
            raise SelectionError(f"{call} got a masked array, and masks are not used here; give indices.compressed().")
        positions = np.asarray(indices)
        if positions.ndim != 1 or (positions.size and not np.issubdtype(positions.dtype, np.integer)):
            raise SelectionError(f"{call} takes pool indices [m], got {positions.dtype} of shape {positions.shape}.")
        positions = positions.astype(np.int64)
        if positions.size and not 0 <= positions.min() <= positions.max() < len(self):
            raise SelectionError(f"{call} takes pool indices from 0 to {len(self) - 1}.")
        return positions

    def _check_allowed(self, least: Supervision, what: str) -> None:
        if SUPERVISIONS.index(self._supervision) < SUPERVISIONS.index(least):
            raise LabelAccessError(
                f"a method with supervision={self._supervision!r} may not read pool.{what}; "
                f"it needs supervision={least!r}."
            )


def _finite(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Return the values, or refuse NaN, here for all methods: a sort would silently put it at one end."""
    bad = ~np.isfinite(values)
    if bad.any():
        images = int(bad.any(axis=tuple(range(1, bad.ndim))).sum())
        raise SelectionError(f"{what} of {images} images are not finite (NaN or infinite).")
    return values
