"""Labels of the training images from a file, such as labels by human annotators: ``cifar10@labels=FILE``."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.addresses import local_path
from bench.errors import OwnFileError, UnknownName
from bench.plain_files import open_regular, read_regular

_KINDS = (".npy", ".npz", ".pt", ".pth", ".csv", ".txt")
_MOST_BYTES = 2_000_000_000
"""Largest text file that is read, in bytes. ImageNet's 1.3 million labels as names of classes take 30 MB."""


@dataclass(frozen=True)
class GivenLabels:
    """Labels as they stand in a file.

    Attributes:
        values: [N], whole numbers or texts.
        where: the file, and the name of the array or column, for messages.
    """

    values: NDArray[Any]
    where: str

    def numbers(self, num_images: int, class_names: tuple[str, ...]) -> NDArray[np.int64]:
        """Return class numbers, int64 [N].

        Texts are read as names of classes if all of them are names, and as class numbers otherwise.

        Args:
            num_images: N of the training split.
            class_names: C names, in the order of their numbers.

        Raises:
            OwnFileError: the number of labels differs from N, a label is no class, or texts can be read both as names
                and as numbers.
        """
        if len(self.values) != num_images:
            header = " The first line of a .csv names its columns." if len(self.values) == num_images - 1 else ""
            raise OwnFileError(
                f"{self.where} has {len(self.values):,} labels, but the training split has {num_images:,} images; give "
                f"one label for each, in the order of the data set.{header}"
            )
        numbers = self.values
        if numbers.dtype.kind == "U":
            numbers = self._from_texts(class_names)
        wrong = np.flatnonzero((numbers < 0) | (numbers >= len(class_names)))
        if wrong.size:
            raise OwnFileError(
                f"{self.where}: label {wrong[0] + 1} is {numbers[wrong[0]]}, which is not a class; valid: 0 "
                f"({class_names[0]}) to {len(class_names) - 1} ({class_names[-1]})."
            )
        return numbers.astype(np.int64)

    def _from_texts(self, class_names: tuple[str, ...]) -> NDArray[np.int64]:
        texts = [text.strip() for text in self.values.tolist()]
        number_of = {name: number for number, name in enumerate(class_names)}
        named = [number_of.get(text, -1) for text in texts]
        numbered = [int(text) if text.isascii() and text.removeprefix("-").isdigit() else None for text in texts]
        # All are whole numbers and some are not names: they number the classes.
        if -1 in named and None not in numbered:
            return np.array(numbered)
        if -1 in named:
            first = named.index(-1)
            raise OwnFileError(f"{self.where}: label {first + 1}: {UnknownName('class', texts[first], class_names)}")
        if numbered != named and all(number is not None and 0 <= number < len(class_names) for number in numbered):
            raise OwnFileError(
                f"{self.where} can be read in two ways, as names of classes and as their numbers from 0; give a .npy "
                "of whole numbers, or of texts for names (and number the classes as the plan lists them)."
            )
        return np.array(named)


def read_label_file(root: Path | None, text: str) -> GivenLabels:
    """Return the labels in ``FILE``, or in one array or column of it, ``FILE:NAME``, without running its content.

    Args:
        root: folder of relative paths (``--data-root``), or None.
        text: the file, and the name if any, as the user wrote it.

    Raises:
        OwnFileError: the file is missing, unreadable, of an unknown kind, or has no labels [N].
    """
    path, name = _locate(root, text)
    if path.suffix.lower() not in _KINDS:
        raise OwnFileError(f"{path} is not a file of labels by its suffix; valid: {', '.join(_KINDS)}.")
    try:
        arrays = _arrays(path)
    except OwnFileError:
        raise
    # numpy, zipfile, csv, torch and the system each raise exceptions of their own
    except Exception as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        objects = " Python objects are not read, since reading them can run code." if "pickle" in reason else ""
        raise OwnFileError(f"cannot read the labels {path}: {reason.rstrip('.')}.{objects}") from error
    if name and name not in arrays:
        raise OwnFileError(f"{path}: {UnknownName('array or column', name, arrays)}")
    listed = {key: value for key, value in arrays.items() if value.ndim == 1 and value.dtype.kind in "iuUS"}
    if not name and len(listed) > 1:
        first = next(iter(listed))
        raise OwnFileError(
            f"{path} holds {len(listed)} lists of labels ({', '.join(listed)}); say which: @labels={text}:{first}."
        )
    name = name or next(iter(listed), next(iter(arrays), ""))
    where = f"{path}:{name}" if len(arrays) > 1 else str(path)
    if name not in listed:
        kind = f"{arrays[name].dtype} of shape {arrays[name].shape}" if arrays else "nothing"
        raise OwnFileError(f"{where} holds {kind}; labels are whole numbers or names of classes, one per image: [N].")
    values = listed[name]
    return GivenLabels(np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values, where)


def _locate(root: Path | None, text: str) -> tuple[Path, str]:
    """Return the file and the name after the last colon, if any; a file that has the colon in its own name wins."""
    whole, (head, colon, name) = local_path(text), text.rpartition(":")
    if root is None and not whole.is_absolute():
        raise OwnFileError(
            f"@labels={text} is a relative path and no data folder was given. Use the whole path, or --data-root DIR "
            "and a path below it."
        )
    for file, part in ((whole, ""), (local_path(head), name)) if colon and head else ((whole, ""),):
        path = file if root is None else root / file
        if path.exists():
            return path, part
    raise OwnFileError(
        f"{whole if root is None else root / whole} is missing. Use @labels=FILE, or @labels=FILE:NAME for one array "
        "or column of it."
    )


def _arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    suffix = path.suffix.lower()
    if suffix == ".txt":
        lines = read_regular(path, at_most=_MOST_BYTES).decode("utf-8-sig").splitlines()
        return {"": np.array([line for line in lines if line.strip()], dtype=np.str_)}
    if suffix == ".csv":
        text = read_regular(path, at_most=_MOST_BYTES).decode("utf-8-sig")
        table = list(csv.reader(io.StringIO(text), strict=True))
        if not table:
            raise OwnFileError(f"{path} is empty; its first line names its columns.")
        header, rows = [name.strip() for name in table[0]], table[1:]
        # As keys below, the last of them would replace the others.
        if repeated := [name for name, count in Counter(header).items() if name and count > 1]:
            raise OwnFileError(f"{path}: two columns are called {repeated[0]!r}; rename or remove one.")
        rows = [row for row in rows if row]
        if uneven := next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None):
            raise OwnFileError(f"{path}: line {uneven} has another number of columns than the first line.")
        return {name: np.array(column, dtype=np.str_) for name, *column in zip(header, *rows, strict=True)}
    with open_regular(path) as file:
        if suffix in (".pt", ".pth"):
            return _from_torch(file)
        if suffix == ".npz" and not zipfile.is_zipfile(file):
            raise OwnFileError(f"{path} is not an npz file, or was cut off.")
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)


def _from_torch(file: Any) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a torch file by name: tensors, numpy arrays or lists, as in CIFAR-10N, or a single one."""
    import torch

    rebuild = np.empty(0).__reduce__()[0]
    plain: list[Any] = [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in "bBhHiIlLqQ")]
    # Also under the name of numpy 1, with which files were written before 2024.
    plain += [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    with torch.serialization.safe_globals(plain):
        saved = torch.load(file, map_location="cpu", weights_only=True)
    return {str(name): np.asarray(item) for name, item in (saved if isinstance(saved, dict) else {"": saved}).items()}
