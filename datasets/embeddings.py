"""Vectors of any modality, with labels, in one npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import DataError, Dataset, Recipe, make_dataset, register_dataset
from bench.datasets._common import named_file, stratified_split
from bench.datasets._npz import class_texts, read_arrays
from bench.labelling.vectors import as_vectors


@register_dataset(
    "embeddings",
    num_classes=None,
    image_size=None,
    mean=(0.0,),
    std=(1.0,),
    recipe=Recipe(
        iterations=1000, proxy_epochs=30, batch_size=256, augmentation="none", crop_padding=0, evaluations=10
    ),
    model="linear_probe",
    encoder="given",
    source="your own vectors of texts, sounds, tables or images in one npz file: X, y",
)
def embeddings(
    root: Path | None, *, path: str = "", test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
) -> Dataset:
    """Vectors of any modality in an npz file with the arrays X and y, and optionally X_test and y_test.

    Methods read the vectors as embeddings, and probes are trained on them; methods and models that need images are
    refused. Without a test split, a stratified part is held out (seed 0).

    Args:
        root: directory that ``path`` is relative to.
        path: the file, relative to ``root`` or absolute. X holds numbers [N, D], y [N] whole numbers or texts. Classes
            are the sorted values of y; an array ``class_names`` of texts names classes that are whole numbers from 0.
        test_fraction: fraction of each class that is held out if there is no test split.

    Returns:
        Vectors float32 [N, D] in the file's order.

    Raises:
        DataError: the file is missing, is no npz file or has pickled objects; an array has another type or shape, or
            numbers that are not finite; or a test class has no training items.
    """
    file = named_file(root, path, "embeddings(path=FILE.npz)")
    arrays = read_arrays(file, ("X", "y"), optional=("X_test", "y_test", "class_names"))
    if ("X_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{file} has one of X_test and y_test; give both, or none for a part of X to be held out.")
    held_apart = "X_test" in arrays
    parts = ["", "_test"] if held_apart else [""]
    vectors = [_vectors(arrays[f"X{part}"], f"{file}: X{part}") for part in parts]
    if len({part.shape[1] for part in vectors}) > 1:
        raise DataError(f"{file}: X has {vectors[0].shape[1]} numbers a line and X_test {vectors[1].shape[1]}.")
    # Together: vectors of extreme scale are divided by a power of two, which must be the same in both splits.
    whole = as_vectors(np.concatenate(vectors), str(file))
    values = [_values(arrays[f"y{part}"], len(arrays[f"X{part}"]), f"{file}: y{part}") for part in parts]
    # Only of the training items: a class that only the test has could not be learned.
    classes = np.unique(values[0])
    if held_apart and (strange := np.setdiff1d(values[1], classes)).size:
        raise DataError(f"{file}: y_test has {strange[0]!s}, which y lacks; a class needs training items.")
    labels = np.searchsorted(classes, np.concatenate(values))
    train, test = np.split(np.arange(len(whole)), [len(values[0])])
    if not held_apart:
        train, test = stratified_split(labels, test_fraction)
    names = _names(arrays, classes, file)
    try:
        return make_dataset(
            (whole[train], labels[train]), (whole[test], labels[test]), class_names=names, mean=(0.0,), std=(1.0,)
        )
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _vectors(array: NDArray[Any], where: str) -> NDArray[Any]:
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}; vectors must be numbers [N, D], one line for each item."
        )
    return array


def _values(array: NDArray[Any], count: int, where: str) -> NDArray[Any]:
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or flat.dtype.kind not in "iuUS" or len(flat) != count:
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}; expected one whole number or text for each of "
            f"{count} lines of X."
        )
    return np.array(class_texts(flat)) if flat.dtype.kind in "US" else flat


def _names(arrays: dict[str, NDArray[Any]], classes: NDArray[Any], file: Path) -> list[str]:
    if "class_names" not in arrays:
        return [str(value) for value in classes]
    names = class_texts(arrays["class_names"])
    if classes.dtype.kind not in "iu" or classes.min() < 0 or classes.max() >= len(names):
        raise DataError(f"{file}: class_names has {len(names)} names, by which y must be numbered from 0.")
    return [names[value] for value in classes]
