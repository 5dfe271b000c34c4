"""Files that a reader sees whole or not at all, whatever kills the writer."""

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
"""In the target's own folder: only within one file system is a rename atomic."""
_CHUNK = 1 << 20


@contextmanager
def writing(target: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of ``target`` at the end of the block; after an error all is as before.

    The content is on the disk before the name is, and the name before the block ends: neither a killed process nor a
    power cut leaves half a file under the name.

    Args:
        target: its folder is made if need be.

    Raises:
        OSError: as of any write, for example because no space is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
    try:
        # ``x`` refuses a name that is there; ``+`` lets the writer read back what it wrote, for a checksum.
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    # KeyboardInterrupt and the time limit too: what stays behind otherwise is swept away an hour later at best.
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def sha256_of(file: BinaryIO) -> str:
    """Return the SHA-256 of what is left to read of an open file, a piece at a time."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def leftovers(folder: Path, *, older_than: float) -> list[Path]:
    """List the temporary files in ``folder`` that killed writers left behind.

    Args:
        folder: looked through without its subfolders; need not exist.
        older_than: age in seconds; a younger file may still be being written.
    """
    abandoned = []
    for path in folder.glob(f"{_TEMPORARY}*"):
        with suppress(OSError):  # its writer may be done with it by now
            if time.time() - path.stat().st_mtime >= older_than:
                abandoned.append(path)
    return sorted(abandoned)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the file system lets folders be flushed."""
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
