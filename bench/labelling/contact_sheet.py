"""Contact sheets: small pictures of the first images to label."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DataError
from bench.images.decoding import decode
from bench.images.folders import ImageFiles
from bench.images.streaming import in_threads
from bench.plain_files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

THUMBNAIL = 120
"""Side of a picture in pixels."""
_PER_LINE, _GAP, _TEXT, _TEXT_SIZE, _HEAD = 10, 8, 16, 9, 5
_MARK = b"contact sheet of bench select"
"""JPEG comment that tells a contact sheet from the user's pictures."""


def contact_sheet(pictures: Sequence[Image | None], captions: Sequence[str]) -> bytes:
    """Return a contact sheet: pictures side by side, each with a caption below.

    Args:
        pictures: from ``thumbnails``, in order; the place of a missing one stays blank.
        captions: a line for each; a long caption loses its middle, since names differ at their end. Characters that
            cannot be printed, such as a line break, become a ``?``.

    Returns:
        A JPEG file.
    """
    from PIL import Image, ImageDraw

    columns = min(_PER_LINE, len(pictures))
    lines = -(-len(pictures) // columns)
    step = THUMBNAIL + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, lines * (step + _TEXT) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.font = _font()
    for number, (small, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = _GAP + number % columns * step, _GAP + number // columns * (step + _TEXT)
        if small is not None:
            sheet.paste(small, (left + (THUMBNAIL - small.width) // 2, top + (THUMBNAIL - small.height) // 2))
        # A line break would draw over the picture below.
        caption = "".join(letter if letter.isprintable() else "?" for letter in caption)
        draw.text((left, top + THUMBNAIL + 1), _fitting(caption, draw.textlength), fill="black")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, comment=_MARK)
    return buffer.getvalue()


def _font() -> FreeTypeFont | ImageFont:
    """Return a font for captions: matplotlib's, since Pillow's has only ASCII and would draw an umlaut as a box."""
    from PIL.ImageFont import load_default, truetype

    matplotlib = find_spec("matplotlib")
    path = Path(matplotlib.origin or "").parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if matplotlib else None
    return load_default() if path is None or not path.is_file() else truetype(str(path), _TEXT_SIZE)


def _fitting(caption: str, length: Callable[[str], float]) -> str:
    """Return the caption with as much of its middle cut out as does not fit."""
    cut, head = caption, caption[:_HEAD]
    for start in range(_HEAD, len(caption) + 1):
        if length(cut) <= THUMBNAIL:
            break
        cut = f"{head}...{caption[start + 1 :]}"
    return cut


def thumbnails(files: ImageFiles, number: int) -> list[Image | None]:
    """Return the first pictures as small ones; None for a file that can no longer be read."""

    def small(position: int) -> Image | None:
        # The file may have moved: the list matters more than its picture.
        with suppress(DataError, MemoryError):
            return _thumbnail(files.locate(position))
        return None

    return in_threads(small, number)


def _thumbnail(path: Path) -> Image:
    """Return the picture upright, with a longer side of THUMBNAIL pixels."""
    from PIL import ImageOps

    upright = decode(path, upright=True, about=THUMBNAIL)
    upright.thumbnail((THUMBNAIL, THUMBNAIL))
    return upright if max(upright.size) == THUMBNAIL else ImageOps.contain(upright, (THUMBNAIL, THUMBNAIL))


def is_contact_sheet(path: Path) -> bool:
    """Return whether a file is a contact sheet of ours; False if it cannot be read."""
    try:
        with open_regular(path) as file:
            # JPEG comments come first, so no picture has to be read whole.
            return _MARK in file.read(256)
    except OSError:
        return False
