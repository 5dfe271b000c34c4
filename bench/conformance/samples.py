"""Small real pools on which methods are checked, and changed versions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.array_source import ArraySource
from bench.data import Dataset, make_dataset
from bench.dynamics import Dynamics
from bench.identity import ModelRef
from bench.parts import PARTS, PSEUDO_LABELS, Clustering
from bench.pool import Outputs
from bench.recipe import Recipe

Change = Callable[[str, NDArray[Any]], NDArray[Any]]
EPOCHS = 8
CNN = ModelRef(name="small_cnn")
RECIPE = Recipe(proxy_epochs=EPOCHS, batch_size=64, lr=0.01, augmentation="none", precision="fp32")
SIGNED = ("dynamics_labels.aum", "dynamics_labels.aum_logits", "dynamics_pseudo.aum", "dynamics_pseudo.aum_logits")
"""Scores that may be negative."""
ON_LABELS = (
    "label_array",
    *(
        part.array.format(of="labels")
        for part in PARTS.values()
        if part.array and part.least(part.options()) == "labels"
    ),
)
"""Arrays that are made from labels; dynamics are of labels unless they say otherwise."""


@dataclass(frozen=True)
class Sample:
    """A pool on which a method is checked.

    Attributes:
        source: source of every part that a method may read.
        num_classes: C.
    """

    source: ArraySource
    num_classes: int

    @property
    def size(self) -> int:
        """N."""
        return len(self.source.embeddings())

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield all arrays with their names, such as ``embedding_array`` and ``dynamics_labels.aum``."""
        for item in fields(self.source):
            part = getattr(self.source, item.name)
            if isinstance(part, np.ndarray):
                yield item.name, part
            elif isinstance(part, Dynamics):
                for name, array in part.arrays().items():
                    if array.ndim:  # the number of epochs is not an array over images
                        yield f"{item.name}.{name}", array

    def changed(self, change: Change) -> Sample:
        """Return the pool with ``change(name, array)`` in place of every array."""
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for name, array in self.arrays():
            part, _, inner = name.partition(".")
            parts.setdefault(part, {})[inner] = change(name, array)
        changed_parts: dict[str, Any] = {
            part: arrays[""] if "" in arrays else replace(getattr(self.source, part), **arrays)
            for part, arrays in parts.items()
        }
        return replace(self, source=replace(self.source, **changed_parts))

    def rows(self, rows: NDArray[np.int64] | slice) -> Sample:
        """Return the pool of these images only, in this order."""
        return _with_rehearsal(self.changed(lambda name, array: array[rows].copy()))

    def constant(self) -> Sample:
        """Return a pool of equal images with equal scores; labels and pseudo-labels stay."""
        return self.changed(lambda name, array: array if "label_" in name else np.full_like(array, array[0]))

    def in_class(self, number: int) -> Sample:
        """Return the pool with every label and pseudo-label set to ``number``."""
        return self.changed(lambda name, array: np.full_like(array, number) if "label_" in name else array)

    def one_sided(self, sign: Literal[-1, 1]) -> Sample:
        """Return the pool with embeddings and the scores in ``SIGNED`` all below 0, or all above."""

        def move(name: str, array: NDArray[Any]) -> NDArray[Any]:
            if name not in SIGNED and name != "embedding_array":
                return array
            unit = array.dtype.type(1)
            # Shifted one beyond zero, so that no value is zero.
            return array - array.max() - unit if sign < 0 else array - array.min() + unit

        return self.changed(move)

    def spoilt(self, target: str, value: float) -> Sample:
        """Return the pool with ``value`` in the named array, for the image in the middle of the pool."""

        def spoil(name: str, array: NDArray[Any]) -> NDArray[Any]:
            copied = array.copy()
            if name == target:
                copied[len(copied) // 2] = value
            return copied

        return self.changed(spoil)

    def shuffled(self, *targets: str) -> Sample:
        """Return the pool with the named arrays, or all arrays of the named dynamics, permuted over the images."""
        order = np.random.default_rng(1).permutation(self.size)
        return self.changed(lambda name, array: array[order] if {name, name.partition(".")[0]} & {*targets} else array)

    def without_labels(self) -> Sample:
        """Return the pool with true labels, and everything trained on them, that raise ``DataError``."""
        return replace(self, source=replace(self.source, **dict.fromkeys(ON_LABELS)))

    def other_labels(self, kept: NDArray[np.int64]) -> Sample:
        """Return the pool with other labels outside ``kept``, and everything trained on labels permuted."""
        order = np.random.default_rng(1).permutation(self.size)
        outside = np.setdiff1d(np.arange(self.size), kept)

        def change(name: str, array: NDArray[Any]) -> NDArray[Any]:
            if name == "label_array":
                relabelled = array.copy()
                relabelled[outside] = (relabelled[outside] + 1) % self.num_classes
                return relabelled
            return array[order] if name.partition(".")[0] in ON_LABELS else array

        return self.changed(change)


@cache
def digits() -> Sample:
    """Return 300 of scikit-learn's digits, sorted by class like many data sets, with dynamics of a real training.

    Made once per process: embeddings are the pixels, pseudo-labels come from k-means on unit rows, and dynamics from
    training ``small_cnn`` for 8 epochs, on labels and on pseudo-labels. Arrays are read-only.
    """
    from sklearn.datasets import load_digits

    from bench.clustering.kmeans import kmeans_clusters

    raw = load_digits()
    # Sorted by class, so that a method that breaks ties by position favours a class; every sixth, to be quick.
    rows = np.argsort(raw.target, kind="stable")[::6]
    images = np.rint(raw.images[rows] * (255 / 16)).astype(np.uint8)[:, None]
    labels = raw.target[rows].astype(np.int64)
    embeddings = (raw.data[rows] / 16).astype(np.float32)
    pseudo = kmeans_clusters(embeddings, 10, seed=0)
    source = ArraySource(
        image_array=images,
        embedding_array=embeddings,
        label_array=labels,
        pseudo_label_array=pseudo,
        dynamics_labels=_observe(images, labels),
        dynamics_pseudo=_observe(images, pseudo),
        gradient_norm_array=_norms_of_a_fresh_network(images, labels),
        network=nearest_mean,
    )
    return _frozen(_with_rehearsal(Sample(source, 10)))


@cache
def few_digits() -> Sample:
    """Return 38 of ``digits``, still sorted by class, for checks that need many selections."""
    return _frozen(digits().rows(slice(None, None, 8)))


def _frozen(sample: Sample) -> Sample:
    """Make the arrays read-only: checks share them, and a method must not spoil the next check."""
    for _, array in sample.arrays():
        array.flags.writeable = False
    return sample


def _observe(images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Dynamics:
    from bench.training.fit import LabelledInputs, fit, proxy_iterations
    from bench.training.recorder import DynamicsRecorder

    recorder = DynamicsRecorder(len(targets), "cpu")
    fit(
        CNN,
        LabelledInputs(images, targets, 10),
        dataset=_as_dataset(images, targets),
        recipe=RECIPE,
        iterations=proxy_iterations(RECIPE, len(targets)),
        seed=0,
        device="cpu",
        recorder=recorder,
    )
    # The recorder's arrays share memory with its tensors.
    return Dynamics.from_arrays({name: array.copy() for name, array in recorder.result().arrays().items()})


def _norms_of_a_fresh_network(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    from bench.training.fit import fresh_network, make_batches
    from bench.training.gradients import norms_of

    network, _ = fresh_network(CNN, images.shape[1:], 10, seed=0, device="cpu")
    batches = make_batches(images, labels, recipe=RECIPE, dataset=_as_dataset(images, labels), device="cpu")
    return norms_of(network, batches, layers="all")


def _as_dataset(images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Dataset:
    split, names = (images, targets), [str(number) for number in range(10)]
    return make_dataset(split, split, class_names=names, mean=(0.3055,), std=(0.3759,))


def nearest_mean(
    embeddings: NDArray[np.float32], indices: NDArray[np.int64], labels: NDArray[np.int64], *, classes: int = 10
) -> Outputs:
    """Return the softmax of minus the distances to the class means of the labelled images, without any training.

    A class without a labelled image has the pool's mean, so this is defined for any number of labelled images.
    """
    from scipy.spatial.distance import cdist
    from scipy.special import softmax

    means = np.tile(embeddings.mean(0), (classes, 1))
    for number in np.unique(labels):
        means[number] = embeddings[indices[labels == number]].mean(0)
    return Outputs(softmax(-cdist(embeddings, means), axis=1).astype(np.float32), embeddings.copy())


def _with_rehearsal(sample: Sample) -> Sample:
    """Return the sample with a rehearsal and a judge that predict by the nearest kept image, without any training."""
    from scipy.spatial.distance import cdist

    embeddings, targets = sample.source.embeddings(), sample.source.read(PSEUDO_LABELS, Clustering())
    # A tenth, as in the harness.
    held_out = np.arange(sample.size) % 10 == 0

    def rehearse(indices: NDArray[np.int64]) -> float:
        kept = indices[~held_out[indices]]
        if not len(kept):
            return 0.0
        nearest = cdist(embeddings[held_out], embeddings[kept]).argmin(1)
        return float((targets[kept][nearest] == targets[held_out]).mean())

    def judge(indices: NDArray[np.int64]) -> float:
        outside = np.setdiff1d(np.arange(sample.size), indices)
        if not len(outside) or not len(indices):
            return 1.0
        nearest = cdist(embeddings[outside], embeddings[indices]).argmin(1)
        return float((targets[indices][nearest] == targets[outside]).mean())

    return replace(sample, source=replace(sample.source, rehearsal=rehearse, judging=judge))
