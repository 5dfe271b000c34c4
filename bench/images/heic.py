"""HEIC files, as phones write them: read where pillow-heif is installed, the extra ``heic``."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

SUFFIXES = (".heic", ".heif")


def installed() -> bool:
    """Whether HEIC files can be read here."""
    return find_spec("pillow_heif") is not None


@cache
def formats() -> tuple[str, ...]:
    """Make Pillow read HEIC files; return what it calls their format, nothing where the package is missing."""
    if not installed():
        return ()
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return ("HEIF",)


def looks_like(content: bytes) -> bool:
    """Whether a file begins as HEIC does; others, such as MP4, do so too."""
    return content[4:8] == b"ftyp"
