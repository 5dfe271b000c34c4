"""Arrays of one npz file as images and labels, with errors that name the file and the array."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import DataError


def read_arrays(path: Path, names: Sequence[str], *, optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Read arrays of an npz file; pickled objects are refused, since opening data must not run code.

    Args:
        path: an existing file.
        names: arrays that it must hold.
        optional: arrays that are read where it holds them.

    Raises:
        DataError: not an npz file, cut off, without one of the arrays, or with pickled objects.
    """
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is corrupt: it is not an npz file, or was cut off.")
    try:
        # Opened here, since numpy leaves the file open when its content is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays.files]
            if missing:
                found = ", ".join(sorted(arrays.files)) or "nothing"
                raise DataError(f"{path} lacks {', '.join(missing)}; it holds {found}.")
            return {name: arrays[name] for name in (*names, *optional) if name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is corrupt, or holds objects that are no plain arrays: {error}.") from error


def square_images(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Images with the channels last, or grey without them, as uint8 [N, C, S, S].

    Args:
        array: uint8 [N, S, S], [N, S, S, 1] or [N, S, S, 3].
        where: file and name of the array, for messages.

    Raises:
        DataError: another type or shape.
    """
    grey = array[..., None] if array.ndim == 3 else array
    if array.dtype != np.uint8 or grey.ndim != 4 or grey.shape[1] != grey.shape[2] or grey.shape[3] not in (1, 3):
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}; images must be uint8, square, and grey or RGB with the "
            "channels last: [N, S, S], [N, S, S, 1] or [N, S, S, 3]."
        )
    return np.ascontiguousarray(grey.transpose(0, 3, 1, 2))


def class_numbers(array: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Labels [N] or [N, 1] as int64 [N].

    Args:
        array: whole numbers.
        where: file and name of the array, for messages.

    Raises:
        DataError: another type or shape, for example several labels per image.
    """
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.dtype.kind not in "iu" or flat.ndim != 1:
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}; labels must be whole numbers [N] or [N, 1], one class "
            "per image."
        )
    return flat.astype(np.int64)
