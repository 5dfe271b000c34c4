"""Safe reading of files that others provide: only regular files are opened, and only up to a size limit."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.units import show_bytes

_PIECE = 1 << 20
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def check_regular(path: Path, mode: int) -> None:
    """Refuse everything but a regular file.

    Args:
        path: the file, for the error.
        mode: the file's ``st_mode``.

    Raises:
        OSError: it is a folder, named pipe, socket or device; ``strerror`` says which.
    """
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "of an unknown kind")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; symbolic links are followed.

    The kind is checked before opening, since opening a named pipe waits for a writer, and opening a device may have
    side effects. It is checked again on the open file, since another file may have replaced it in between.

    Raises:
        OSError: the file cannot be opened, or is not a regular file (``check_regular``).
    """
    check_regular(path, path.stat().st_mode)
    # O_NONBLOCK: a named pipe that replaced the file after the check must not make this wait for a writer.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    try:
        check_regular(path, os.fstat(file.fileno()).st_mode)
    except OSError:
        file.close()
        raise
    return file


def read_regular(path: Path, *, at_most: int) -> bytes:
    """Return the content of a regular file; for arguments and errors see ``regular_pieces``."""
    return b"".join(regular_pieces(path, at_most=at_most))


def regular_pieces(path: Path, *, at_most: int) -> Iterator[bytes]:
    """Yield the content of a regular file in pieces.

    Args:
        path: the file; symbolic links are followed.
        at_most: largest size in bytes. A file that states a larger size is not read; those of ``/proc`` state none.

    Raises:
        OSError: see ``open_regular``; or the file holds more than ``at_most`` bytes.
    """
    too_large = OSError(errno.EFBIG, f"it holds more than {show_bytes(at_most)}", str(path))
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > at_most:
            raise too_large
        read = 0
        while piece := file.read(_PIECE):
            # Counted too, since the file may grow while it is read.
            read += len(piece)
            if read > at_most:
                raise too_large
            yield piece
