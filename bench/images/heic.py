"""HEIC files, as phones write them; reading them needs pillow-heif, the extra ``heic``."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

SUFFIXES = (".heic", ".heif")


def installed() -> bool:
    """Return whether HEIC files can be read."""
    return find_spec("pillow_heif") is not None


@cache
def formats() -> tuple[str, ...]:
    """Make Pillow read HEIC files, and return its name of their format; empty if the package is missing."""
    if not installed():
        return ()
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return ("HEIF",)


def looks_like(content: bytes) -> bool:
    """Return whether a file begins like HEIC; some others, such as MP4, do too."""
    return content[4:8] == b"ftyp"
