"""Any npz file of images and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.datasets._common import PAPER, named_file
from bench.datasets._npz import class_numbers, class_texts, read_arrays, square_images


@register_dataset(
    "npz",
    num_classes=None,
    image_size=None,
    mean=(0.5,),
    std=(0.5,),
    recipe=PAPER,
    model="resnet18",
    encoder="dino_vitb16",
    source="your own images in one npz file: x_train, y_train, x_test, y_test",
)
def npz(root: Path | None, *, path: str = "") -> Dataset:
    """Any npz file of images and labels with the arrays x_train, y_train, x_test and y_test.

    This is the layout of Keras' ``mnist.npz``. Images are uint8 [N, S, S], [N, S, S, 1] or [N, S, S, 3]. Labels [N] or
    [N, 1] number the classes from 0 without gaps, and every class has training images. An array ``class_names`` of
    texts is optional. Mean and std are measured on the training images.

    Args:
        root: directory that ``path`` is relative to.
        path: the file, relative to ``root`` or absolute.

    Returns:
        Images uint8 [N, 1 or 3, S, S] in the file's order.

    Raises:
        DataError: the file is missing, is no npz file or has pickled objects; an array has another type or shape; or
            the labels do not number the classes from 0.
    """
    file = named_file(root, path, "npz(path=FILE)")
    arrays = read_arrays(file, ("x_train", "y_train", "x_test", "y_test"), optional=("class_names",))
    train, test = (
        (
            square_images(arrays[f"x_{split}"], f"{file}: x_{split}"),
            class_numbers(arrays[f"y_{split}"], f"{file}: y_{split}"),
        )
        for split in ("train", "test")
    )
    names = class_texts(arrays.get("class_names", np.unique(train[1])))
    mean, std = _mean_and_std(train[0])
    try:
        return make_dataset(train, test, class_names=names, mean=mean, std=std)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _mean_and_std(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std of each channel in [0, 1]; a std of 0 becomes 1."""
    # From counts of the 256 levels: the pixels as float64 would take eight times the memory of the images.
    levels = np.arange(256) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        mean = float(counts @ levels / max(counts.sum(), 1))
        std = float(np.sqrt(counts @ (levels - mean) ** 2 / max(counts.sum(), 1)))
        means.append(round(mean, 4))
        stds.append(round(std, 4) or 1.0)
    return tuple(means), tuple(stds)
