"""A contact sheet: small pictures of the first images to label."""

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
from bench.plain_files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

THUMBNAIL = 120
"""Side of a picture in pixels."""
_GAP, _TEXT, _TEXT_SIZE, _HEAD = 8, 16, 9, 5
_MARK = b"contact sheet of bench select"
"""The comment in the file, by which it is told from the user's pictures."""


def contact_sheet(files: ImageFiles, positions: Sequence[int], captions: Sequence[str], *, columns: int = 10) -> bytes:
    """Pictures side by side, each with a line of text below.

    Args:
        files: where the pictures are; the place of one that can no longer be read stays empty.
        positions: which ones, in the order in which they are shown.
        captions: a line for each; one that is too long loses its middle, since names differ at their end. What cannot
            be printed, such as a line break, is a ``?``.
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
    draw.font = _font()
    for number, (position, caption) in enumerate(zip(positions, captions, strict=True)):
        left, top = _GAP + number % columns * step, _GAP + number // columns * (step + _TEXT)
        with suppress(DataError, MemoryError):  # moved since it was embedded: the list is worth more than its picture
            small = thumbnail(files.locate(position))
            sheet.paste(small, (left + (THUMBNAIL - small.width) // 2, top + (THUMBNAIL - small.height) // 2))
        # A line break would be drawn over the picture below.
        caption = "".join(letter if letter.isprintable() else "?" for letter in caption)
        draw.text((left, top + THUMBNAIL + 1), _fitting(caption, draw.textlength), fill="black")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, comment=_MARK)
    return buffer.getvalue()


def _font() -> FreeTypeFont | ImageFont:
    """Return a font for captions: matplotlib's, since Pillow's own has ASCII alone, and an umlaut would be a box."""
    from PIL.ImageFont import load_default, truetype

    matplotlib = find_spec("matplotlib")
    path = Path(matplotlib.origin or "").parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if matplotlib else None
    return load_default() if path is None or not path.is_file() else truetype(str(path), _TEXT_SIZE)


def _fitting(caption: str, length: Callable[[str], float]) -> str:
    """Cut as much of the middle out of the caption as does not fit."""
    cut, head = caption, caption[:_HEAD]
    for start in range(_HEAD, len(caption) + 1):
        if length(cut) <= THUMBNAIL:
            break
        cut = f"{head}...{caption[start + 1 :]}"
    return cut


def thumbnail(path: Path) -> Image:
    """Read the picture upright, its longer side THUMBNAIL pixels."""
    from PIL import ImageOps

    upright = decode(path, upright=True, about=THUMBNAIL)
    upright.thumbnail((THUMBNAIL, THUMBNAIL))
    return upright if max(upright.size) == THUMBNAIL else ImageOps.contain(upright, (THUMBNAIL, THUMBNAIL))


def is_contact_sheet(path: Path) -> bool:
    """Whether a file is a contact sheet of ours; one that cannot be read is none."""
    try:
        with open_regular(path) as file:
            # JPEG comments stand at the beginning: no picture has to be read whole.
            return _MARK in file.read(256)
    except OSError:
        return False
