"""Tell local paths, as users type them, from addresses of object stores and web servers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.errors import SpecError

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+:"


def address_of(text: str) -> str | None:
    """Return an address such as ``s3://bucket/photos``, normalised; None if the user typed a path."""
    scheme = re.match(f"({_SCHEME})//.", text)
    return None if scheme is None else scheme[1].lower() + text[scheme.end(1) :].rstrip("/")


def local_path(text: str | os.PathLike[str]) -> Path:
    """Return the path with a leading ``~`` or ``~USER`` replaced by the home folder.

    ``~USER`` stays as it is if there is no such user, as in a shell: the missing folder is then a clear error.
    """
    return Path(os.path.expanduser(text))  # noqa: PTH111  (that of pathlib raises)


def refuse_address(folder: Path) -> None:
    """Refuse to write to an address.

    Args:
        folder: a ``Path`` of what the user typed, in which the two slashes of an address have become one.

    Raises:
        SpecError: the folder is an address.
    """
    first, *rest = folder.parts or (".",)
    if re.fullmatch(_SCHEME, first) and rest:
        address = f"{first}//{'/'.join(rest)}"
        raise SpecError(f"cannot write to {address}: give a folder of this machine, and copy what is written there.")


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
