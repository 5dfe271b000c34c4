"""Any directory of class folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.addresses import local_path
from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.datasets._common import PHOTOGRAPHS, stratified_split
from bench.datasets._splits import find_splits, refuse_mixed
from bench.images.folders import ImageFiles, class_folders, scan_classes
from bench.images.streaming import StreamedImages

LabelledFiles: TypeAlias = tuple[ImageFiles, NDArray[np.int64]]


@register_dataset(
    "folder",
    source="your own JPEG, PNG or WebP images, one folder per class",
    **PHOTOGRAPHS,
)
def folder(
    root: Path | None,
    *,
    path: str = "",
    size: Annotated[int, Field(ge=4, le=1024)] = 64,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    memory_gb: Annotated[float, Field(ge=0)] = 4.0,
) -> Dataset:
    """Any directory of class folders, either inside train/ and test/ (or val/), or without splits.

    Splits may have other common names, such as Training, test_set or validation. A validation split is the test split
    if there is no other, and is ignored otherwise. Without splits, a stratified part is held out (seed 0). The short
    side is scaled to ``size`` and the centre is cropped. Mean and std are ImageNet's published values.

    Args:
        root: directory that ``path`` is relative to.
        path: the directory, relative to ``root`` or absolute; empty for ``root`` itself.
        size: side of the images in pixels.
        test_fraction: fraction of each class that is held out if there is no test folder.
        memory_gb: up to this many gigabytes (10^9 bytes), the images are held in memory as one uint8 array. Larger
            sets are decoded from their files in every epoch, to the same pixels; only ``resized-crop-flip`` differs
            then, since it crops the original image.

    Returns:
        Images [N, 3, size, size], by class and then by name; classes in alphabetical order.

    Raises:
        DataError: a folder is missing, a name may be a split or a class, there are fewer than two classes, a class has
            no images, a link leads outside the directory, or a file is corrupt.
    """
    base = _directory(root, path)
    *splits, classes = _splits(base, test_fraction)
    # Decided from the number of images, before any is decoded: one array is faster, and the pixels are the same.
    fits = sum(len(files) for files, _ in splits) * 3 * size * size <= memory_gb * 1e9
    streamed = [(StreamedImages(files, size, size), labels) for files, labels in splits]
    pool, held = ((images[np.arange(len(images))] if fits else images, labels) for images, labels in streamed)
    return make_dataset(pool, held, class_names=classes, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _directory(root: Path | None, path: str) -> Path:
    local = local_path(path)
    if root is None and not local.is_absolute():
        raise DataError(
            f"{f'path={path!r} is relative' if path else 'no path'} and no data folder was given. Use --data-root DIR "
            "('.' is the current folder), or an absolute path: folder(path=/where/the/class/folders/are)."
        )
    base = local if root is None else root / local
    if not base.is_dir():
        raise DataError(
            f"{base} is {'a file' if base.is_file() else 'missing'}. Use --data-root DIR and folder(path=...)."
        )
    return base.resolve()


def _splits(base: Path, test_fraction: float) -> tuple[LabelledFiles, LabelledFiles, tuple[str, ...]]:
    pair = find_splits(base)
    if pair is None:
        classes = _at_least_two(base)
        files, labels = scan_classes(base, "", classes)
        refuse_mixed(base, files.names)
        pool, held_out = stratified_split(labels, test_fraction)
        return (files.take(pool), labels[pool]), (files.take(held_out), labels[held_out]), classes
    train, test = pair
    classes = _at_least_two(base / train)
    # A class without training images cannot be learned; leaving it out would change the test images.
    strangers = sorted(set(class_folders(base / test)) - set(classes))
    if strangers:
        raise DataError(f"{base / test} has classes that {base / train} lacks: {', '.join(strangers)}.")
    return scan_classes(base, train, classes), scan_classes(base, test, classes, empty_allowed=True), classes


def _at_least_two(folder: Path) -> tuple[str, ...]:
    classes = class_folders(folder)
    if len(classes) < 2:
        inner = folder / classes[0] if classes else None
        hint = f" Is it {inner} that you mean?" if inner is not None and class_folders(inner) else ""
        raise DataError(f"{folder} must hold at least two class folders, found {', '.join(classes) or 'none'}.{hint}")
    return classes
