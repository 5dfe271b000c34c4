"""Images and labels from the arrays of an npz file, with errors that name the file and the array."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import DataError


def read_arrays(path: Path, names: Sequence[str], *, optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Return arrays of an npz file; refuse pickled objects, since opening data must not run code.

    Args:
        path: an existing file.
        names: arrays that the file must contain.
        optional: arrays that are read if the file contains them.

    Raises:
        DataError: the file is no npz file, is cut off, lacks an array, or has pickled objects.
    """
    # Checked first: numpy takes any other file for a pickle, and its message says so.
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is corrupt: it is not an npz file, or was cut off.")
    try:
        # Opened here: numpy leaves the file open if its content is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays.files]
            if missing:
                held = ", ".join(sorted(arrays.files)) or "nothing"
                raise DataError(f"{path} lacks {', '.join(missing)}; it holds {held}.")
            return {name: _plain(arrays, name, path) for name in (*names, *optional) if name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is corrupt: {error}.") from error


def square_images(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return images as uint8 [N, C, S, S].

    Args:
        array: uint8 [N, S, S], [N, S, S, 1] or [N, S, S, 3].
        where: file and name of the array, for messages.

    Raises:
        DataError: another type or shape; the message says how to convert common ones.
    """
    grey = array[..., None] if array.ndim == 3 else array
    if array.dtype != np.uint8 or grey.ndim != 4 or grey.shape[1] != grey.shape[2] or grey.shape[3] not in (1, 3):
        raise DataError(
            f"{where} is {array.dtype} of shape {array.shape}; images must be uint8, square, and grey or RGB with the "
            f"channels last: [N, S, S], [N, S, S, 1] or [N, S, S, 3].{_how_to_convert(array)}"
        )
    # Copied: a view would be read across the whole array for every batch.
    return np.ascontiguousarray(grey.transpose(0, 3, 1, 2))


def class_numbers(array: NDArray[Any], where: str) -> NDArray[np.integer]:
    """Return labels as [N]; ``make_dataset`` checks that they number the classes from 0.

    Args:
        array: whole numbers [N] or [N, 1].
        where: file and name of the array, for messages.

    Raises:
        DataError: another type or shape, for example several labels per image; the message says how to convert common
            ones.
    """
    # MedMNIST and Keras store labels as [N, 1].
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.dtype.kind in "iu" and flat.ndim == 1:
        return flat
    hint = ""
    if flat.ndim == 2 and flat.dtype.kind in "biuf":
        hint = " If they are one-hot: y.argmax(axis=1)."
    elif flat.dtype.kind in "US":
        hint = " Number the names of both splits together: class_names, y = np.unique(names, return_inverse=True)."
    elif flat.dtype.kind in "bf":
        hint = " If they number the classes: y.astype(int)."
    raise DataError(
        f"{where} is {array.dtype} of shape {array.shape}; labels must be whole numbers [N] or [N, 1], one class per "
        f"image.{hint}"
    )


def class_texts(array: NDArray[Any]) -> list[str]:
    """Return the names of classes as a flat list of texts; bytes are decoded as UTF-8."""
    return [item.decode(errors="replace") if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]


def _plain(arrays: Mapping[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    try:
        return arrays[name]
    except ValueError as error:
        # Damage raises ValueError too; only the message tells the two apart.
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{path}: {name} holds Python objects, which are not read, since reading them can run code. Save plain "
            "numbers or texts, such as np.array(y.tolist())."
        ) from error


def _how_to_convert(array: NDArray[Any]) -> str:
    """Return a hint on how to convert images from another library's layout; empty if none applies."""
    if array.ndim not in (3, 4):
        return ""
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[2] == array.shape[3]:
        return " The channels are second here: x.transpose(0, 2, 3, 1)."
    if array.ndim == 4 and array.shape[3] == 4:
        return " Leave the alpha channel out: x[..., :3]."
    if array.dtype.kind == "f" and array.size and 0 <= array.min() <= array.max() <= 1:
        return " They lie in 0 to 1 here: (x * 255).round().astype('uint8')."
    if array.dtype.kind in "iuf" and array.dtype != np.uint8 and array.size and 0 <= array.min() <= array.max() <= 255:
        return " They lie in 0 to 255 here: x.round().astype('uint8')."
    return ""
