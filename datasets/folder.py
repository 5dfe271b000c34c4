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
    """Any directory of class folders: with train/ and test/ (or val/) inside, or of classes alone.

    Splits may have the usual other names, such as Training, test_set or validation; a validation split counts as the
    test split where there is none, and is not read otherwise. Without splits a fixed stratified part is held out
    (``stratified_split``, seed 0). The short side is scaled to ``size`` and the centre cut. Mean and std are ImageNet's
    published values, whatever the images.

    Args:
        root: directory that ``path`` is relative to.
        path: the directory, relative to ``root`` or absolute; empty for ``root`` itself.
        size: side of the images in pixels.
        test_fraction: held out of each class where there is no test folder.
        memory_gb: up to this many gigabytes (10^9 bytes) the images become one uint8 array; beyond, they are decoded
            from their files in every epoch, to the same pixels. Only ``resized-crop-flip`` then differs: it cuts from
            the original image.

    Returns:
        Images [N, 3, size, size], by class and then by name; classes in alphabetical order.

    Raises:
        DataError: missing folders, names that may be splits or classes, fewer than two classes, a class without
            images, a link that leads outside the directory, or a corrupt file.
    """
    base = _directory(root, path)
    *splits, classes = _splits(base, test_fraction)
    # Decided before any is decoded, from their number: one array is faster, and the pixels are the same.
    fits = sum(len(files) for files, _ in splits) * 3 * size * size <= memory_gb * 1e9
    streamed = [(StreamedImages(files, size, size), labels) for files, labels in splits]
    pool, held = ((images[np.arange(len(images))] if fits else images, labels) for images, labels in streamed)
    return make_dataset(pool, held, class_names=classes, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _directory(root: Path | None, path: str) -> Path:
    given = local_path(path)
    if root is None and not given.is_absolute():
        raise DataError(
            f"path={path!r} is relative and no data folder was given. Use --data-root DIR, or an absolute path: "
            "folder(path=/where/the/class/folders/are)."
        )
    base = given if root is None else root / given
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
        kept, held = stratified_split(labels, test_fraction)
        return (files.take(kept), labels[kept]), (files.take(held), labels[held]), classes
    train, test = pair
    classes = _at_least_two(base / train)
    # A class without training images cannot be learned; left out, accuracy would be over fewer test images.
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
