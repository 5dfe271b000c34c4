"""Tiny-ImageNet, from its class folders and the list of its validation images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.datasets._common import PAPER, required_root
from bench.images.folders import ImageFiles, class_folders, scan_classes, scan_images
from bench.images.streaming import StreamedImages

FOLDER, LISTED = "tiny-imagenet-200", "val/val_annotations.txt"
MEAN, STD = (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)
NUM_CLASSES, SIDE = 200, 64


@register_dataset(
    "tiny_imagenet",
    num_classes=NUM_CLASSES,
    image_size=SIDE,
    mean=MEAN,
    std=STD,
    # 8 of 64 pixels, as 4 of CIFAR's 32.
    recipe=PAPER.model_copy(update={"crop_padding": 8}),
    model="resnet18",
    encoder="dino_vitb16",
    source="Stanford's course CS231n 2015; 200 classes of ImageNet at 64x64",
)
def tiny_imagenet(root: Path | None) -> Dataset:
    """Tiny-ImageNet: 100,000 images for training, the 10,000 of the validation split for testing, at 64x64.

    The labels of the original test split were never published. Mean and std are the values usually published for the
    training images.

    Args:
        root: directory that holds ``tiny-imagenet-200`` with ``train/WNID/images`` and ``val/val_annotations.txt``.

    Returns:
        Images uint8 [N, 3, 64, 64]. Classes are WordNet ids in alphabetical order; training images are sorted by class
        and then by name, test images by name.

    Raises:
        DataError: folders, classes or labels are missing, or a file is corrupt.
    """
    folder = required_root(root, FOLDER) / FOLDER
    for path in (folder / "train", folder / LISTED):
        if not path.exists():
            raise DataError(
                f"{path} is missing. Use --data-root DIR, where DIR holds {FOLDER} with train and {LISTED}; "
                f"Tiny-ImageNet must be fetched by hand. For class folders in val take folder(path={FOLDER})."
            )
    classes = class_folders(folder / "train")
    if len(classes) != NUM_CLASSES:
        raise DataError(
            f"{folder / 'train'} must have {NUM_CLASSES} class folders, found {len(classes)}. The copy is not "
            f"complete; fetch it again. For a part of it take folder(path={FOLDER}/train)."
        )
    train, labels = scan_classes(folder, "train", classes, message="The copy is not complete; fetch it again.")
    test, test_labels = _validation(folder, classes)
    return make_dataset((_pixels(train), labels), (_pixels(test), test_labels), class_names=classes, mean=MEAN, std=STD)


def _validation(folder: Path, classes: tuple[str, ...]) -> tuple[ImageFiles, NDArray[np.int64]]:
    """Return the test images and their labels; a line of the list has an image's name, its class and a box (unused)."""
    files = scan_images(folder / "val" / "images").files
    # Numbered by the training split's order: the list only names classes.
    numbers = {wnid: number for number, wnid in enumerate(classes)}
    listed: dict[str, int] = {}
    try:
        lines = (folder / LISTED).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {folder / LISTED}: {error}.") from error
    for number, line in enumerate(lines, 1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in numbers:
            raise DataError(f"{folder / LISTED}: line {number} names no class of the training split: {line[:80]!r}.")
        listed[name] = numbers[wnid]
    # Both ways: an image without a label or a label without an image means that the copy is not complete.
    for what, names in (("no label", set(files.names) - set(listed)), ("no image", set(listed) - set(files.names))):
        if names:
            raise DataError(
                f"{folder / LISTED} and {folder / 'val' / 'images'} do not go together: {what} for {min(names)}, "
                f"{len(names)} in all. The copy is not complete; fetch it again."
            )
    return files, np.array([listed[name] for name in files.names], dtype=np.int64)


def _pixels(files: ImageFiles) -> NDArray[np.uint8]:
    return StreamedImages(files, SIDE, SIDE)[np.arange(len(files))]
