"""ImageNet-1k in class folders, decoded while training."""

from __future__ import annotations

from pathlib import Path

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.datasets._common import PAPER, required_root
from bench.images.folders import class_folders, scan_classes
from bench.images.streaming import StreamedImages

NUM_CLASSES, SIDE, SHORT_SIDE = 1000, 224, 256


@register_dataset(
    "imagenet",
    num_classes=NUM_CLASSES,
    image_size=SIDE,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    # Optimiser, decay and augmentation as in the released code of ELFS, see bench/paper/hyperparameters.csv.
    recipe=PAPER.model_copy(
        update={
            "iterations": 300_000,
            "proxy_epochs": 60,
            "weight_decay": 1e-4,
            "nesterov": False,
            "augmentation": "resized-crop-flip",
            "evaluations": 60,
        }
    ),
    model="resnet34",
    encoder="dino_vitb16",
    source="Russakovsky et al. 2015, arXiv:1409.0575 (ILSVRC 2012)",
)
def imagenet(root: Path | None) -> Dataset:
    """ImageNet-1k: 1,281,167 images for training, the 50,000 of the validation split for testing, at 224x224.

    Russakovsky et al. 2015. Mean and std are the published values. Images are decoded when they are used. Evaluation
    scales the short side to 256 and crops the centre, as in the released code of CCS and ELFS. Use ``folder`` for a
    part of ImageNet.

    Args:
        root: directory that holds ``imagenet/train/WNID`` and ``imagenet/val/WNID``.

    Returns:
        Streamed images [N, 3, 224, 224]; classes are WordNet ids in alphabetical order.

    Raises:
        DataError: folders are missing, or there are not 1,000 classes with images.
    """
    folder = required_root(root, "imagenet/train and imagenet/val") / "imagenet"
    for split in ("train", "val"):
        if not (folder / split).is_dir():
            raise DataError(
                f"{folder / split} is missing. Use --data-root DIR, where DIR holds imagenet/train and imagenet/val "
                "with one folder per WordNet id; ImageNet must be fetched by hand."
            )
    classes = class_folders(folder / "train")
    if len(classes) != NUM_CLASSES or class_folders(folder / "val") != classes:
        raise DataError(
            f"{folder} must have the same {NUM_CLASSES} class folders in train and val, found {len(classes)} and "
            f"{len(class_folders(folder / 'val'))}. For a part of ImageNet use the data set 'folder(path=...)'."
        )
    (train, train_labels), (test, test_labels) = (scan_classes(folder, split, classes) for split in ("train", "val"))
    return make_dataset(
        (StreamedImages(train, SIDE, SHORT_SIDE), train_labels),
        (StreamedImages(test, SIDE, SHORT_SIDE), test_labels),
        class_names=classes,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
