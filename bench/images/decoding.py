"""Decoding an image file to upright RGB, including transparency, orientation and pixel formats."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DataError
from bench.images import heic
from bench.plain_files import read_regular, regular_pieces

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_FILE = 1 << 30
"""Largest file in bytes, since files are read into memory. Pillow stops at 179 million pixels, which need less."""
VERSION = 2
"""Version of the decoded pixels, part of the fingerprint of images in files. 2: transparent pixels are white."""


def decode(path: Path, *, upright: bool, sha256: str = "", about: int = 0) -> Image:
    """Return a JPEG, PNG, WebP or (with pillow-heif) HEIC file as RGB; of an animation, the first picture.

    Transparent pixels are put on white: the colours under them are arbitrary, often black, and never seen.

    Args:
        path: path with symbolic links resolved.
        upright: whether to rotate photographs by their EXIF orientation.
        sha256: expected digest of the content; empty to skip the check.
        about: a JPEG may be decoded smaller, to at least this many pixels per side, which is much faster; 0 for full
            size.

    Raises:
        DataError: the file is missing, not regular, of another kind, damaged or changed; ``reason_of`` returns only the
            reason.
        MemoryError: the image does not fit into memory.
    """
    from PIL import Image

    try:
        # Read whole before it is decoded, so that the digest covers the bytes that are decoded.
        content = read_regular(path, at_most=LARGEST_FILE)
        if not content:
            raise ValueError("it is empty")
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError("it was changed meanwhile")
        with Image.open(io.BytesIO(content), formats=formats_of(content)) as image:
            if about:
                image.draft("RGB", (about, about))
            # Rotated before the conversion, which drops the EXIF data.
            return to_rgb(_turned(image) if upright else image)
    except MemoryError:
        raise
    # Pillow's decoders raise whatever the damage happens to cause: OSError, SyntaxError, struct.error and others.
    except Exception as error:
        raise DataError(f"cannot decode the image {path}: {_words(error)}. Replace or remove the file.") from error


def formats_of(begin: bytes) -> tuple[str, ...]:
    """Return Pillow's names of the formats to try for a file that begins like this.

    Only a few: Pillow's others are rare, and each is a parser that a stranger's file could attack.
    """
    return ("JPEG", "PNG", "WEBP", *(heic.formats() if heic.looks_like(begin) else ()))


def _turned(image: Image) -> Image:
    """Return a photograph rotated by its EXIF orientation, or as it is stored if the EXIF data is damaged."""
    from PIL import ImageOps

    image.load()  # so that damage to the picture is not taken for damage to its EXIF data
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # Pillow's parser raises whatever the damage happens to cause
        return image


def content_sha256(path: Path) -> str:
    """Return the digest that ``decode`` compares with.

    Raises:
        OSError: no regular file, or it cannot be read.
    """
    digest = hashlib.sha256()
    for piece in regular_pieces(path, at_most=LARGEST_FILE):
        digest.update(piece)
    return digest.hexdigest()


def reason_of(error: DataError | OSError | MemoryError) -> str:
    """Return why an image could not be read, without its path."""
    return _words((isinstance(error, DataError) and error.__cause__) or error)


def to_rgb(image: Image) -> Image:
    """Return an image as RGB with 8 bits per channel, with transparent pixels on white.

    Raises:
        ValueError: the image has more than 8 bits per channel, which have no defined mapping to 8.
    """
    from PIL import Image as Images

    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ValueError(f"pixel format {image.mode!r} has more than 8 bits per channel; save it with 8")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Images.new("RGB", layer.size, "white")
    # The layer's own alpha is the mask, so that half-transparent pixels are mixed with white.
    white.paste(layer, mask=layer)
    return white


def _words(error: BaseException) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "it is not a JPEG, PNG or WebP file"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    # The file was listed a moment ago, so it has been moved since.
    if isinstance(error, FileNotFoundError):
        return "it is not there any more"
    return (isinstance(error, OSError) and error.strerror) or str(error) or repr(error)
