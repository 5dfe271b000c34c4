"""A contact sheet: small pictures of the first images to label."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DataError
from bench.images.decoding import decode
from bench.images.folders import ImageFiles
from bench.plain_files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL = 120
"""Side of a picture in pixels."""
_GAP, _TEXT = 8, 16
_MARK = b"contact sheet of bench select"
"""The comment in the file, by which it is told from the user's pictures."""


def contact_sheet(files: ImageFiles, positions: Sequence[int], captions: Sequence[str], *, columns: int = 10) -> bytes:
    """Pictures side by side, each with a line of text below.

    Args:
        files: where the pictures are; the place of one that can no longer be read stays empty.
        positions: which ones, in the order in which they are shown.
        captions: a line for each, cut to the picture's width; what cannot be printed, such as a line break, is a ``?``.
        columns: pictures per line.

    Returns:
        A JPEG file.
    """
    from PIL import Image, ImageDraw

    columns = min(columns, len(positions))
    lines = -(-len(positions) // columns)
    step = THUMBNAIL + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, lines * (step + _TEXT) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (position, caption) in enumerate(zip(positions, captions, strict=True)):
        left, top = _GAP + number % columns * step, _GAP + number // columns * (step + _TEXT)
        with suppress(DataError, MemoryError):  # moved since it was embedded: the list is worth more than its picture
            small = _thumbnail(files.locate(position))
            sheet.paste(small, (left + (THUMBNAIL - small.width) // 2, top + (THUMBNAIL - small.height) // 2))
        caption = "".join(letter if letter.isprintable() else "?" for letter in caption)
        while caption and draw.textlength(caption) > THUMBNAIL:
            caption = caption[:-1]
        draw.text((left, top + THUMBNAIL + 1), caption, fill="black")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, comment=_MARK)
    return buffer.getvalue()


def _thumbnail(path: Path) -> Image:
    """The picture upright, its longer side THUMBNAIL pixels."""
    from PIL import ImageOps

    upright = decode(path, upright=True, about=THUMBNAIL)
    upright.thumbnail((THUMBNAIL, THUMBNAIL))
    return upright if max(upright.size) == THUMBNAIL else ImageOps.contain(upright, (THUMBNAIL, THUMBNAIL))


def is_contact_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet of ours; one that cannot be read is none."""
    try:
        with open_regular(path) as file:
            return _MARK in file.read(256)
    except OSError:
        return False
