"""Loading a data set in a worker, by its name, parameters and modifiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.addresses import local_path
from bench.data import Dataset, take_pool
from bench.errors import DataError, OwnFileError, SpecError
from bench.grammar import Call, Modifiers
from bench.label_files import read_label_file
from bench.modifiers import check_corruption, check_modifiers, corrupted, modified
from bench.plugins import datasets

DOWNLOAD = "download"
"""A reader's keyword that is not a parameter of the data, since it does not change them."""


def load_dataset(
    name: str,
    params: Mapping[str, Any],
    *,
    root: Path | None,
    download: bool,
    pool_size: int | None,
    pool_seed: int = 0,
    modifiers: Modifiers = MappingProxyType({}),
) -> Dataset:
    """Read a registered data set, modify it, and draw the pool from the remaining training images.

    Args:
        name: registered name of the data set.
        params: parameters that the user set.
        root: folder of the data sets (``--data-root``), or None.
        download: whether the reader may download missing files; ignored by readers that cannot.
        pool_size: number of training images to draw, or None for all.
        pool_seed: seed of that draw.
        modifiers: see ``bench.modifiers``.

    Returns:
        The data set; the same arguments and files give the same images in the same order.

    Raises:
        UnknownName: no such data set, parameter or modifier.
        SpecError: a value outside the range of a parameter or modifier.
        OwnFileError: a file of labels is missing or does not fit.
        DataError: missing or corrupt data, a modifier that would leave a class without images, or a pool larger than
            the training split; the message names the data set.
    """
    entry = datasets.get(name)
    if DOWNLOAD in params:
        raise SpecError(f"dataset {name}: download is not a parameter of the data; use --download.")
    values = entry.resolve(params)
    # After ``resolve``, so that only readers that know the keyword get it.
    if DOWNLOAD in values:
        values[DOWNLOAD] = download
    checked = check_modifiers(name, modifiers)
    check_corruption(name, checked)
    root = None if root is None else local_path(root)
    try:
        labels = read_label_file(root, str(checked["labels"])) if "labels" in checked else None
        whole = entry.function(root, **values)
        # An outside reader may return anything; without this check the error would come far from its cause.
        if not isinstance(whole, Dataset):
            raise DataError(f"its reader returned {type(whole).__name__}, not a data set from bench.make_dataset.")
        whole = corrupted(whole, checked, entry.info.corrupted, root, download)
        # Modified before the pool is drawn: a long-tailed pool of n images has n images.
        return take_pool(modified(whole, checked, labels), pool_size, pool_seed)
    except DataError as error:
        kind = OwnFileError if isinstance(error, OwnFileError) else DataError
        raise kind(f"dataset {Call(name, {}, modifiers)}: {error}") from error
