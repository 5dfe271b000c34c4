"""Street View House Numbers, through torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench import Dataset, make_dataset, register_dataset
from bench.datasets._common import PAPER
from bench.datasets._torchvision import SplitArrays, TorchvisionFiles, read_splits

MEAN, STD = (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)
FILES = ("train_32x32.mat", "test_32x32.mat")


@register_dataset(
    "svhn",
    num_classes=10,
    image_size=32,
    mean=MEAN,
    std=STD,
    # Without augmentation, as in the released code of ELFS.
    recipe=PAPER.model_copy(update={"augmentation": "none"}),
    model="resnet18",
    encoder="dino_vitb16",
    source="Netzer et al. 2011, format 2 (cropped digits), without the extra split",
)
def svhn(root: Path | None, *, download: bool = False) -> Dataset:
    """SVHN: 73,257 cropped house-number digits for training and 26,032 for testing, 32x32 colour.

    Netzer et al. 2011. Mean and std are the values usually published for the training images. The recipe has no
    augmentation, as in the released code of ELFS.

    Args:
        root: directory that holds ``train_32x32.mat`` and ``test_32x32.mat``.
        download: whether to fetch them if they are missing.

    Returns:
        Images uint8 [N, 3, 32, 32]; class k is the digit k.

    Raises:
        DataError: files are missing or corrupt.
    """
    source = TorchvisionFiles(" and ".join(FILES), FILES, _split, _checksums)
    train, test = read_splits(source, root, download=download)
    return make_dataset(train, test, class_names=[str(digit) for digit in range(10)], mean=MEAN, std=STD)


def _split(root: Path, train: bool, download: bool) -> SplitArrays:
    from torchvision.datasets import SVHN

    split = SVHN(str(root), split="train" if train else "test", download=download)
    return split.data, split.labels


def _checksums() -> Mapping[str, str]:
    from torchvision.datasets import SVHN

    return {name: md5 for _, name, md5 in SVHN.split_list.values()}
