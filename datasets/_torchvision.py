"""Reading through torchvision, with errors that name the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import DataError
from bench.datasets._common import required_root

SplitArrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class TorchvisionFiles:
    """A data set that torchvision reads.

    Attributes:
        holds: what the root must contain, in words.
        files: paths below the root that both splits need.
        read: (root, train, download) -> images uint8 [N, C, H, W] and labels int64 [N].
        checksums: returns path -> MD5 that torchvision expects, for the files that torchvision checks.
    """

    holds: str
    files: tuple[str, ...]
    read: Callable[[Path, bool, bool], SplitArrays]
    checksums: Callable[[], Mapping[str, str]] = dict


def read_splits(source: TorchvisionFiles, root: Path | None, *, download: bool) -> tuple[SplitArrays, SplitArrays]:
    """Return the training and the test split of a data set.

    Args:
        source: the data set.
        root: directory that contains the files.
        download: whether missing files may be fetched into ``root``.

    Returns:
        Training and test images with labels.

    Raises:
        DataError: a file is missing, differs from what torchvision expects, or cannot be fetched.
    """
    root = required_root(root, source.holds)
    missing = [name for name in source.files if not (root / name).is_file()]
    if missing and not download:
        raise DataError(
            f"{root / missing[0]} is missing{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}. "
            f"Use --data-root DIR, where DIR holds {source.holds}, or --download to fetch the data into {root}."
        )
    try:
        train = source.read(root, True, download)
        test = source.read(root, False, download)
    except (DataError, MemoryError):
        raise
    # torchvision raises whatever the damage happens to cause: RuntimeError, AssertionError, pickle's errors.
    except Exception as error:
        raise DataError(_diagnosis(source, root, bool(missing), error)) from error
    return (np.ascontiguousarray(train[0]), train[1]), (np.ascontiguousarray(test[0]), test[1])


def _diagnosis(source: TorchvisionFiles, root: Path, fetching: bool, error: Exception) -> str:
    from torchvision.datasets.utils import check_integrity

    checksums = source.checksums()
    for name in source.files:
        path = root / name
        if not path.is_file():
            return f"{path} could not be fetched: {error or repr(error)}. Fetch it by hand, or check the network."
        expected = checksums.get(name)
        # Only checked after a failure: digests of whole archives take seconds, and every run would wait for them.
        if expected is not None and not check_integrity(path, expected):
            cause = "arrived damaged" if fetching else "is corrupt or another version"
            return (
                f"{path} {cause}: its MD5 is not {expected}, the one that torchvision expects. "
                "Remove it and use --download, or fetch it by hand."
            )
    names = ", ".join(str(root / name) for name in source.files)
    return f"cannot read the data, at least one file is corrupt: {names} ({error or repr(error)})."
