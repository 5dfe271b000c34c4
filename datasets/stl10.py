"""STL-10, through torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench import Dataset, make_dataset, register_dataset
from bench.datasets._common import PAPER
from bench.datasets._torchvision import SplitArrays, TorchvisionFiles, read_splits

MEAN, STD = (0.43, 0.42, 0.39), (0.27, 0.26, 0.27)
FOLDER = "stl10_binary"
FILES = tuple(f"{FOLDER}/{name}.bin" for name in ("train_X", "train_y", "unlabeled_X", "test_X", "test_y"))
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


@register_dataset(
    "stl10",
    num_classes=10,
    image_size=96,
    mean=MEAN,
    std=STD,
    recipe=PAPER,
    model="resnet18",
    encoder="dino_vitb16",
    source="Coates et al. 2011, the 5,000 labelled training images",
)
def stl10(root: Path | None, *, download: bool = False) -> Dataset:
    """STL-10: 5,000 labelled colour images for training and 8,000 for testing, 96x96, 10 classes.

    Coates et al. 2011. Mean and std are those in the released code of ELFS. The unlabelled images are not used, but
    torchvision requires their file.

    Args:
        root: directory that holds ``stl10_binary``.
        download: whether to fetch it if it is missing.

    Returns:
        Images uint8 [N, 3, 96, 96].

    Raises:
        DataError: files are missing or corrupt.
    """
    train, test = read_splits(TorchvisionFiles(FOLDER, FILES, _split, _checksums), root, download=download)
    return make_dataset(train, test, class_names=CLASSES, mean=MEAN, std=STD)


def _split(root: Path, train: bool, download: bool) -> SplitArrays:
    from torchvision.datasets import STL10

    split = STL10(str(root), split="train" if train else "test", download=download)
    return split.data, split.labels


def _checksums() -> Mapping[str, str]:
    from torchvision.datasets import STL10

    return {f"{FOLDER}/{name}": md5 for name, md5 in (*STL10.train_list, *STL10.test_list)}
