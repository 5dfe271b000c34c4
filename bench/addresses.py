"""Paths of this machine as users type them, and addresses of object stores and web servers, told from them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.errors import SpecError

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+:"


def address_of(given: str) -> str | None:
    """Return the address that a user typed in the place of a path, such as ``s3://bucket/photos``; None for a path."""
    scheme = re.match(f"({_SCHEME})//.", given)
    return None if scheme is None else scheme[1].lower() + given[scheme.end(1) :].rstrip("/")


def local_path(given: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of a leading ``~`` or ``~USER``.

    Of a user who does not exist it stays as it is, as in a shell: the folder is then missing, which is a clear error.
    """
    return Path(os.path.expanduser(given))  # noqa: PTH111  (that of pathlib raises)


def refuse_address(folder: Path) -> None:
    """Refuse an address where something is to be written.

    Args:
        folder: a path that was made of what the user typed, and so has one slash where two were.

    Raises:
        SpecError: it is an address.
    """
    first, *rest = folder.parts or (".",)
    if re.fullmatch(_SCHEME, first) and rest:
        address = f"{first}//{'/'.join(rest)}"
        raise SpecError(f"cannot write to {address}: give a folder of this machine, and copy what is written there.")


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or where it is not there yet the nearest above it that is."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
