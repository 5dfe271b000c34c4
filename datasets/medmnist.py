"""The MedMNIST family of medical images, through its package ``medmnist``."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.datasets._common import PAPER, required_root
from bench.datasets._npz import class_numbers, read_arrays, square_images
from bench.errors import UnknownName, install_command

MEAN, STD = (0.5,), (0.5,)
"""Normalisation of every channel of every set, as in the authors' experiments."""


@register_dataset(
    "medmnist",
    num_classes=None,
    image_size=None,
    mean=MEAN,
    std=STD,
    # No mirror: in some sets it turns one class into another, such as the left kidney into the right.
    recipe=PAPER.model_copy(update={"augmentation": "crop", "crop_padding": 2}),
    model="resnet18",
    encoder="dino_vitb16",
    source="Yang et al. 2023, doi:10.1038/s41597-022-01721-8, the files that the package medmnist names",
)
def medmnist(
    root: Path | None, *, name: str = "", size: Literal[28, 64, 128, 224] = 28, download: bool = False
) -> Dataset:
    """A set of MedMNIST by its name, such as bloodmnist; grey or RGB images with one label each.

    Yang et al. 2023. The pool is the training images, and the test split the test images; validation images are not
    used. The grades of ``retinamnist`` count as classes. Only the catalogue of the package ``medmnist`` is read
    (classes, links, checksums). A file is loaded whole, which takes 14 GB for ``pathmnist`` at 224 px.

    Args:
        root: directory that holds ``NAME.npz``, or ``NAME_SIZE.npz`` for a size other than 28.
        name: the set's name in the package.
        size: side of the images in pixels.
        download: whether to fetch the file if it is missing, and check its MD5.

    Returns:
        Images uint8 [N, 1 or 3, size, size] in the file's order.

    Raises:
        DataError: the package or the file is missing, the file is corrupt, or the set has several labels per image
            or volumes instead of images.
        UnknownName: the package has no such set.
    """
    catalogue = _catalogue()
    usable = [key for key, info in catalogue.items() if _refusal(key, info) is None]
    if not name:
        raise DataError(f"say which one, for example medmnist(name=bloodmnist); valid: {', '.join(usable)}.")
    if name not in catalogue:
        raise UnknownName("set of medmnist:", name, usable)
    refusal = _refusal(name, catalogue[name])
    if refusal is not None:
        raise DataError(f"{name} has {refusal}; valid: {', '.join(usable)}.")
    path = _file(root, name, catalogue[name], "" if size == 28 else f"_{size}", download)
    arrays = read_arrays(path, ("train_images", "train_labels", "test_images", "test_labels"))
    train, test = (
        (
            square_images(arrays[f"{split}_images"], f"{path}: {split}_images"),
            class_numbers(arrays[f"{split}_labels"], f"{path}: {split}_labels"),
        )
        for split in ("train", "test")
    )
    # The catalogue's keys are texts: sorted as such, "10" would come before "2".
    classes = [text for _, text in sorted(catalogue[name]["label"].items(), key=lambda item: int(item[0]))]
    channels = train[0].shape[1]
    return make_dataset(train, test, class_names=classes, mean=MEAN * channels, std=STD * channels)


def _catalogue() -> Mapping[str, Mapping[str, Any]]:
    spec = find_spec("medmnist")
    if spec is None or spec.origin is None:
        raise DataError(
            "classes and links come with the package medmnist, which is not installed. "
            f"Install the extra: {install_command('medmnist')}."
        )
    # Importing the package would import pandas, scikit-image and torch for a single dictionary.
    catalogue: Mapping[str, Mapping[str, Any]] = runpy.run_path(str(Path(spec.origin).with_name("info.py")))["INFO"]
    return catalogue


def _refusal(name: str, info: Mapping[str, Any]) -> str | None:
    if name.endswith("3d"):
        return "volumes, and the harness takes images"
    if info["task"].startswith("multi-label"):
        return "several labels per image, and the harness trains on one class per image"
    return None


def _file(root: Path | None, name: str, info: Mapping[str, Any], flag: str, download: bool) -> Path:
    file = f"{name}{flag}.npz"
    root = required_root(root, file)
    path, url = root / file, info[f"url{flag}"]
    if path.is_file():
        return path
    if not download:
        raise DataError(
            f"{path} is missing. Use --data-root DIR, where DIR holds {file}, or --download to fetch it into {root} "
            f"from {url}."
        )
    from torchvision.datasets.utils import download_url

    try:
        download_url(url, str(root), filename=file, md5=info[f"MD5{flag}"])
    # A network fails in many ways (URLError, timeouts), and torchvision raises RuntimeError for a wrong MD5.
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path} could not be fetched: {error or repr(error)}. Fetch {url} by hand, or check the network."
        ) from error
    return path
