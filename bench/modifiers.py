"""Modifiers of a data set: ``cifar100@imbalance=100``, ``digits@noise=0.2``, ``@labels=FILE``, ``@corruption=fog:3``.

``@corruption`` changes only the test images; the others change only the training split. Whatever the order in which
they are written, images are removed first, then labels are replaced, and then the pool is drawn (``--pool-size``). A
modified data set is data, not a repetition: its random draws depend on ``@seed`` (0 by default), not on the grid's
seeds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.data import Dataset, Split, take_images
from bench.errors import DataError, SpecError, UnknownName
from bench.grammar import Modifiers
from bench.identity import derive_seed, without_idle_seed
from bench.label_files import GivenLabels
from bench.plugins import Corrupted, datasets
from bench.units import part_of
from bench.valid import first_refused


class Modification(BaseModel):
    """The modifiers of a data set.

    Attributes:
        imbalance: size of the largest class of the training split over the smallest, see ``long_tailed``; None for no
            change.
        noise: fraction of the training labels to replace by another class, see ``noisy``.
        labels: file of training labels to use instead of the data set's own, see ``bench.label_files``.
        corruption: ``NAME:SEVERITY`` of the test images, for data sets that declare corrupted versions.
        seed: seed of the random draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    imbalance: Annotated[float, Field(ge=1)] | None = None
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    labels: str = ""
    corruption: str = ""
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("corruption")
    @classmethod
    def _named_with_severity(cls, value: str) -> str:
        name, _, severity = value.partition(":")
        if value and not (name.isidentifier() and severity.isascii() and severity.isdigit()):
            raise ValueError("it is written NAME:SEVERITY, such as fog:3")
        return value

    @model_validator(mode="after")
    def _labels_once(self) -> Modification:
        if self.labels and self.noise:
            raise ValueError("both @noise and @labels replace the training labels; give one of them")
        return self


def check_modifiers(dataset: str, modifiers: Modifiers) -> dict[str, int | float | str]:
    """Return the validated modifiers without those that change nothing, so that each meaning has one spelling.

    Args:
        dataset: name of the data set, for messages.
        modifiers: name -> value, as the user set them.

    Raises:
        UnknownName: no such modifier, with the nearest names.
        SpecError: a value out of range, or a seed with nothing to draw.
    """
    for name in modifiers:
        if name not in Modification.model_fields:
            raise UnknownName(f"modifier of dataset {dataset!r}:", name, Modification.model_fields)
    if "seed" in modifiers and "seed" not in without_idle_seed(modifiers):
        raise SpecError(f"dataset {dataset}: @seed draws nothing without @imbalance or @noise.")
    try:
        checked = Modification.model_validate(dict(modifiers)).model_dump(exclude_defaults=True)
    except ValidationError as error:
        name, given, valid = first_refused(error, Modification.model_json_schema())
        what = f"@{name}={given} is not valid: " if name else ""
        raise SpecError(f"dataset {dataset}: {what}{valid}") from None
    # A seed beside modifiers at their defaults draws nothing either, and must not make two data sets of one.
    return without_idle_seed(checked)


def check_corruption(dataset: str, modifiers: Modifiers) -> None:
    """Refuse a corruption that is not published for this data set.

    Raises:
        SpecError: the data set has no corrupted versions, or not this one, or not at this severity.
    """
    if "corruption" not in modifiers:
        return
    written = str(modifiers["corruption"])
    declared = datasets.get(dataset).info.corrupted
    if declared is None:
        having = [entry.name for entry in datasets if entry.info.corrupted is not None]
        raise SpecError(
            f"dataset {dataset}: @corruption={written} is not valid: only {' and '.join(having)} have corrupted "
            "versions."
        )
    name, _, severity = written.partition(":")
    if name not in declared.names:
        raise UnknownName(f"corruption of dataset {dataset!r}:", name, declared.names)
    if not 1 <= int(severity) <= declared.severities:
        raise SpecError(
            f"dataset {dataset}: @corruption={written} is not valid: severities go from 1 to {declared.severities}."
        )


def corrupted(
    dataset: Dataset, modifiers: Modifiers, declared: Corrupted | None, root: Path | None, download: bool
) -> Dataset:
    """Return the data set with corrupted test images if ``@corruption`` is set, and unchanged otherwise.

    Args:
        dataset: the data set with its own test split.
        modifiers: modifiers from ``check_modifiers`` that passed ``check_corruption``.
        declared: the corrupted versions that the data set declares.
        root: ``--data-root``, or None.
        download: whether missing files may be downloaded.

    Raises:
        DataError: the corrupted images are missing, or belong to another data set.
    """
    if declared is None or "corruption" not in modifiers:
        return dataset
    name, _, severity = str(modifiers["corruption"]).partition(":")
    test = declared.read(root, name, int(severity), dataset.test, download)
    return replace(dataset, test=test)


def modified(dataset: Dataset, modifiers: Modifiers, file_labels: GivenLabels | None = None) -> Dataset:
    """Return the data set with a modified training split; the test split and the normalisation do not change.

    Args:
        dataset: the data set, whose whole training split is the pool.
        modifiers: modifiers from ``check_modifiers``.
        file_labels: labels from the file that ``@labels`` names.

    Returns:
        The data set; its ``pool_index`` holds the positions of the remaining images in the original training split.

    Raises:
        DataError: a class would be left without images, there is only one class, or noise would replace no label.
    """
    modification = Modification.model_validate(dict(modifiers))
    images, labels, index = dataset.train.images, dataset.train.labels, dataset.pool_index
    if dataset.num_classes < 2 and modifiers:
        raise DataError("a data set of one class has no long-tailed or noisy version.")
    replacement = None if file_labels is None else file_labels.numbers(len(labels), dataset.class_names)
    if modification.imbalance is not None:
        # A seed for each purpose: noise must not change which images a long tail keeps.
        rng = np.random.default_rng(derive_seed(modification.seed, "imbalance"))
        remaining = long_tailed(labels, dataset.num_classes, modification.imbalance, rng)
        images, labels, index = take_images(images, remaining), labels[remaining], index[remaining]
        _check_no_class_empty(labels, dataset, f"@imbalance={modification.imbalance:g}")
    if replacement is not None:
        # After the long tail, which must keep the same images whoever labelled them.
        labels = replacement if modification.imbalance is None else replacement[remaining]
        _check_no_class_empty(labels, dataset, f"@labels={modification.labels}")
    if modification.noise:
        if not part_of(modification.noise, len(labels)):
            raise DataError(f"@noise={modification.noise:g} would replace none of {len(labels)} labels; leave it out.")
        rng = np.random.default_rng(derive_seed(modification.seed, "noise"))
        labels = noisy(labels, dataset.num_classes, modification.noise, rng)
        _check_no_class_empty(labels, dataset, f"@noise={modification.noise:g}")
    return replace(dataset, train=Split(images, labels), pool_index=index)


def long_tailed(
    labels: NDArray[np.int64], num_classes: int, imbalance: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose the images of a long-tailed version, whose class sizes fall exponentially.

    Cui et al. 2019 (Class-Balanced Loss, arXiv:1901.05555): the class of rank r keeps floor(n * imbalance^(-r/(C-1)))
    images, drawn uniformly. There, classes have equal sizes and rank in the order of their numbers. Here, they rank by
    size, ties by number, and n is the largest number for which every class has enough images, so that the ratio holds
    on data whose classes differ in size; on balanced data the sizes are those of the paper.

    Args:
        labels: int64 [N]. Not modified.
        num_classes: C, at least 2.
        imbalance: size of the largest class over the smallest, at least 1; exact up to rounding down to whole images.
        rng: draws the images. From one state and for the same n, a larger ratio keeps a subset of each class's images
            that a smaller ratio keeps.

    Returns:
        int64, sorted positions of the remaining images. A class can be empty.
    """
    sizes = np.bincount(labels, minlength=num_classes)
    ranked = np.argsort(-sizes, kind="stable")
    shares = imbalance ** (-np.arange(num_classes) / (num_classes - 1))
    largest = (sizes[ranked] / shares).min()
    # Rounding down alone would turn 500 * 0.01 into 4 where floating point gives 4.999999.
    targets = np.floor(largest * shares + 1e-9).astype(np.int64)
    # One shuffle for all classes, of which each class takes the beginning: a larger ratio then keeps a subset.
    shuffled = rng.permutation(len(labels))
    remaining = [shuffled[labels[shuffled] == number][:target] for number, target in zip(ranked, targets, strict=True)]
    return np.sort(np.concatenate(remaining))


def noisy(labels: NDArray[np.int64], num_classes: int, noise: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the labels with symmetric noise, which never draws the true class.

    Exactly ``part_of(noise, N)`` labels become wrong, each one of the other C - 1 classes with equal probability. The
    other convention in the field draws from all C classes, the true one included (DivideMix, Li et al. 2020): its
    noise rate r is ``noise = r * (C - 1) / C`` here, on average.

    Args:
        labels: int64 [N] in [0, C). Not modified.
        num_classes: C, at least 2.
        noise: fraction of labels to replace, in [0, 1].
        rng: draws the labels and their classes. From one state, a larger fraction makes the same replacements and
            some more.

    Returns:
        int64 [N].
    """
    # Both are drawn for all images whatever the fraction, so that a larger one makes the same replacements and more.
    order = rng.permutation(len(labels))
    shift = rng.integers(1, num_classes, size=len(labels))
    replaced = order[: part_of(noise, len(labels))]
    result = labels.copy()
    # A shift of 1 to C - 1 never gives the class itself, and gives all others with the same probability.
    result[replaced] = (labels[replaced] + shift[replaced]) % num_classes
    return result


def describe(modifiers: Modifiers) -> str:
    """Return a description of the modifiers for readers of a table; empty without modifiers."""
    modification = Modification.model_validate(dict(modifiers))
    parts = []
    if modification.imbalance is not None:
        parts.append(f"long-tailed (the largest class {modification.imbalance:g} times the smallest)")
    if modification.noise:
        parts.append(f"with {100 * modification.noise:g} % of the labels replaced by another class")
    if modification.labels:
        parts.append(f"with the labels of {modification.labels}")
    training = f"training split {', '.join(parts)}" if parts else "the training split is unchanged"
    if modification.corruption:
        name, _, severity = modification.corruption.partition(":")
        return f"test images corrupted ({name}, severity {severity}; Hendrycks and Dietterich 2019), {training}"
    unchanged = "the test split is unchanged, so accuracy is over its own class balance and true labels"
    return f"{training}; {unchanged}" if parts else ""


def _check_no_class_empty(labels: NDArray[np.int64], dataset: Dataset, modifier: str) -> None:
    counts = np.bincount(labels, minlength=dataset.num_classes)
    if counts.min() == 0:
        before = np.bincount(dataset.train.labels, minlength=dataset.num_classes)
        empty = [dataset.class_names[number] for number in np.flatnonzero(counts == 0)]
        raise DataError(
            f"{modifier} would leave {len(empty)} of {dataset.num_classes} classes without images ({empty[0]} first); "
            f"the classes of the training split have {before.min()} to {before.max()} images."
        )
