"""CINIC-10, from its class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.datasets._common import PAPER, required_root
from bench.images.folders import ImageFiles, scan_classes
from bench.images.streaming import StreamedImages

MEAN, STD = (0.4789, 0.4723, 0.4305), (0.2421, 0.2383, 0.2587)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDERS = ("cinic10", "CINIC-10")
SIDE = 32


@register_dataset(
    "cinic10",
    num_classes=10,
    image_size=SIDE,
    mean=MEAN,
    std=STD,
    recipe=PAPER,
    model="resnet18",
    encoder="dino_vitb16",
    source="Darlow et al. 2018, arXiv:1810.03505",
)
def cinic10(root: Path | None, *, merge_valid: bool = True) -> Dataset:
    """CINIC-10: 90,000 colour images each for training, validation and testing, 32x32.

    Darlow et al. 2018. Mean and std are the authors'. By default the pool is the training and validation images
    together (180,000), as for CCS and ELFS.

    Args:
        root: directory that holds ``cinic10`` or ``CINIC-10`` with ``train``, ``valid`` and ``test``.
        merge_valid: whether to add the validation images to the pool, after the training images.

    Returns:
        Images uint8 [N, 3, 32, 32]; within a split by class, then by name.

    Raises:
        DataError: folders or classes are missing, or a file is corrupt.
    """
    base = required_root(root, f"{FOLDERS[0]} or {FOLDERS[1]}")
    folder = next((base / name for name in FOLDERS if (base / name).is_dir()), None)
    if folder is None:
        raise DataError(
            f"{base / FOLDERS[0]} is missing (and so is {base / FOLDERS[1]}). Use --data-root DIR, where DIR holds "
            "one of them with train, valid and test; CINIC-10 must be fetched by hand."
        )
    train, labels = _files(folder, "train")
    if merge_valid:
        valid, valid_labels = _files(folder, "valid")
        train, labels = train.joined(valid), np.concatenate([labels, valid_labels])
    test, test_labels = _files(folder, "test")
    return make_dataset((_pixels(train), labels), (_pixels(test), test_labels), class_names=CLASSES, mean=MEAN, std=STD)


def _files(folder: Path, split: str) -> tuple[ImageFiles, NDArray[np.int64]]:
    for path in (folder / split, *(folder / split / name for name in CLASSES)):
        if not path.is_dir():
            raise DataError(f"{path} is missing: the copy of CINIC-10 in {folder} is not complete. Fetch it again.")
    return scan_classes(folder, split, CLASSES, message="The copy of CINIC-10 is not complete; fetch it again.")


def _pixels(files: ImageFiles) -> np.ndarray:
    return StreamedImages(files, SIDE, SIDE)[np.arange(len(files))]
