"""Any classification data set of torchvision, by its class name."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench import DataError, Dataset, make_dataset, register_dataset
from bench.data import IMAGENET_MEAN, IMAGENET_STD
from bench.datasets._common import PHOTOGRAPHS, required_root
from bench.datasets._pictures import Arrays, held_out, pictures
from bench.errors import UnknownName

Splits = tuple[Mapping[str, Any], Mapping[str, Any] | None]


def _splits(train: str, test: str) -> Splits:
    return {"split": train}, {"split": test}


_WHOLE: Splits = ({}, None)
"""Sets without splits: a stratified part is held out."""
_BY_FLAG: Splits = ({"train": True}, {"train": False})

SETS: Mapping[str, Splits] = {
    "CLEVRClassification": _splits("train", "val"),
    "Caltech101": _WHOLE,
    "Caltech256": _WHOLE,
    "Country211": _splits("train", "test"),
    "DTD": _splits("train", "test"),
    # The split whose classes have the same size.
    "EMNIST": ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
    "EuroSAT": _WHOLE,
    "FER2013": _splits("train", "test"),
    "FGVCAircraft": _splits("trainval", "test"),
    "Flowers102": _splits("train", "test"),
    "Food101": _splits("train", "test"),
    "GTSRB": _splits("train", "test"),
    "Imagenette": _splits("train", "val"),
    "KMNIST": _BY_FLAG,
    "MNIST": _BY_FLAG,
    "OxfordIIITPet": _splits("trainval", "test"),
    "PCAM": _splits("train", "test"),
    "QMNIST": _BY_FLAG,
    "RenderedSST2": _splits("train", "test"),
    "SEMEION": _WHOLE,
    "SUN397": _WHOLE,
    "StanfordCars": _splits("train", "test"),
    "USPS": _BY_FLAG,
}
"""Class name -> arguments for the training and for the test split."""
# The readers here have the papers' recipes, or check the files.
_OWN_READERS = {
    "CIFAR10": "cifar10",
    "CIFAR100": "cifar100",
    "FashionMNIST": "fashion_mnist",
    "ImageNet": "imagenet",
    "ImageFolder": "folder(path=...)",
    "STL10": "stl10",
    "SVHN": "svhn",
}


@register_dataset(
    "torchvision",
    source="torchvision's classification sets, by their names",
    **PHOTOGRAPHS,
)
def torchvision(
    root: Path | None,
    *,
    name: str = "",
    size: Annotated[int, Field(ge=4, le=1024)] = 64,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    memory_gb: Annotated[float, Field(ge=0)] = 4.0,
    download: bool = False,
) -> Dataset:
    """Any classification data set that torchvision reads, such as Food101, in torchvision's layout.

    The short side is scaled to ``size`` and the centre is cropped; grey images become RGB. Mean and std are ImageNet's.
    For sets without a test split (Caltech101, Caltech256, EuroSAT, SEMEION, SUN397) a stratified part is held out
    (seed 0); for Imagenette and CLEVR the validation split is the test split.

    Args:
        root: directory that torchvision calls root.
        name: torchvision's class name.
        size: side of the images in pixels.
        test_fraction: fraction of each class that is held out if there is no test split.
        memory_gb: the most memory that the images may take, in gigabytes (10^9 bytes); larger sets are refused.
        download: whether to fetch missing files, if torchvision can.

    Returns:
        Images uint8 [N, 3, size, size] in torchvision's order.

    Raises:
        DataError: files are missing or corrupt, or too large for ``memory_gb``.
        UnknownName: torchvision has no such set for classification.
    """
    if name in _OWN_READERS:
        raise DataError(f"{name} has a name of its own here: use {_OWN_READERS[name]}.")
    if not name:
        raise DataError(f"say which one, for example torchvision(name=Food101); valid: {', '.join(SETS)}.")
    if name not in SETS:
        raise UnknownName("classification set of torchvision:", name, SETS)
    base = required_root(root, f"the files of torchvision's {name}")
    train_split, test_split = SETS[name]
    whole, names = _read(name, base, train_split, size, memory_gb, download)
    if test_split is not None:
        train, test = whole, _read(name, base, test_split, size, memory_gb, download)[0]
    else:
        train, test = held_out(whole, test_fraction)
    if not names:  # CLEVR's labels are numbers of objects, from 3 on
        values = np.unique(np.concatenate([train[1], test[1]]))
        names = [str(value) for value in values]
        train, test = ((images, np.searchsorted(values, labels)) for images, labels in (train, test))
    return make_dataset(train, test, class_names=names, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def _read(
    name: str, root: Path, split: Mapping[str, Any], size: int, memory_gb: float, download: bool
) -> tuple[Arrays, list[str]]:
    """Return pictures and labels of one split, and the class names if torchvision knows them."""
    from torchvision import datasets

    reader = getattr(datasets, name)
    takes = signature(reader).parameters
    # Some readers pass their keywords on to their base class.
    free = any(item.kind is item.VAR_KEYWORD for item in takes.values())
    fetching = {"download": download} if "download" in takes or free else {}
    try:
        items: Any = reader(root=str(root), **split, **fetching)
    except Exception as error:  # RuntimeError, FileNotFoundError, URLError: each set raises its own errors
        reason = (str(error).splitlines() or [repr(error)])[0]
        hint = (
            "check the network, or fetch it by hand"
            if download or not fetching
            else "add --download, or fetch it by hand"
        )
        raise DataError(f"torchvision cannot read {name} below {root}: {reason} ({hint}).") from error
    listed = getattr(items, "classes", None) or getattr(items, "categories", None) or []
    names = [item if isinstance(item, str) else str(item[0]) for item in listed]
    return pictures(items, len(items), size, memory_gb, f"torchvision's {name}"), names
