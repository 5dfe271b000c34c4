"""Atomic writing: a reader sees a file completely or not at all, whatever kills the writer."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = ".tmp-"
"""Prefix of temporary files, in the target's own folder: a rename is atomic only within one file system."""
_CHUNK = 1 << 20


@contextmanager
def writing(target: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces ``target`` at the end of the block; an error leaves ``target`` unchanged.

    The content reaches the disk before the name does, and the name before the block ends, so that neither a killed
    process nor a power cut leaves part of a file under the name.

    Args:
        target: path of the file; its folder is created if it is missing.

    Raises:
        OSError: the file cannot be written, for example because no space is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
    try:
        # ``x`` refuses an existing name; ``+`` lets the writer read back what it wrote, for a checksum.
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    # Also after KeyboardInterrupt and the time limit; otherwise the file would stay for at least an hour.
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def sha256_of(file: BinaryIO) -> str:
    """Return the SHA-256 of the rest of an open file, which is read a piece at a time."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def leftovers(folder: Path, *, older_than: float) -> list[Path]:
    """Return the temporary files in ``folder`` that killed writers left behind.

    Args:
        folder: the folder, searched without its subfolders; it need not exist.
        older_than: least age in seconds; a younger file may still be in use.
    """
    abandoned = []
    for path in folder.glob(f"{_TEMPORARY}*"):
        with suppress(OSError):  # its writer may have renamed it by now
            if time.time() - path.stat().st_mtime >= older_than:
                abandoned.append(path)
    return sorted(abandoned)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, if the file system can flush folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomically(target: Path, content: bytes) -> None:
    """Write ``content`` so that a reader of ``target`` sees all of it or nothing (``writing``)."""
    with writing(target) as file:
        file.write(content)
