"""Safe reading of CIFAR's pickled files and unpacking of their archive: no code of a file is run."""

from __future__ import annotations

import hashlib
import io
import pickle
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Everything that the original files name; a pickle can call nothing else here.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
}


def read_batch(path: Path, md5: str) -> dict[str, Any]:
    """Read one file of the python version of CIFAR-10 or CIFAR-100 (Krizhevsky 2009).

    Args:
        path: the file.
        md5: its expected MD5; the bytes that are checked are those that are read.

    Returns:
        The file's mapping of plain values and arrays.

    Raises:
        ValueError: the MD5 differs.
        pickle.UnpicklingError: the file names anything but numpy's arrays.
    """
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise ValueError(f"the MD5 of {path} is not {md5}")
    return load_plain(content)


def load_plain(content: bytes) -> Any:
    """Return the plain values and numpy arrays of a pickle.

    Raises:
        pickle.UnpicklingError: the content names anything else.
    """
    # latin1 maps every byte to a character: the files were pickled by Python 2, with arrays as strings.
    return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()


def unpack(archive: Path, names: Sequence[str], root: Path) -> None:
    """Write only the named members of a ``.tar`` or ``.tar.gz`` below ``root``.

    Raises:
        KeyError: a member is not in the archive.
        ValueError: a member is not a plain file.
    """
    with tarfile.open(archive) as tar:
        for name in names:
            # By name and as plain files: an archive may hold links, devices and paths that lead outside.
            member = tar.extractfile(tar.getmember(name)) if tar.getmember(name).isreg() else None
            if member is None:
                raise ValueError(f"{name} in {archive} is not a plain file")
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(member, file)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no batch of images needs") from None
