"""Make the images of this folder: ``python tests/assets/make.py [FOLDER]``, with Pillow and numpy alone.

``formats`` holds one picture in many kinds of file, ``classes`` three classes of shapes below ``train`` and ``test``.
They are committed, 26 kB, so that readers are tested on bytes that no later Pillow writes differently.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Transpose

ORIENTATION = 0x0112
TURNED = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 6: Transpose.ROTATE_90, 8: Transpose.ROTATE_270}
"""EXIF orientation -> what a camera does to the upright picture before it stores it."""


def picture() -> NDArray[np.uint8]:
    """Red grows to the right, green downwards, and a blue disc lies in the upper left; uint8 [32, 48, 3]."""
    rows, columns = np.mgrid[:32, :48]
    disc = (rows - 10) ** 2 + (columns - 12) ** 2 < 64
    return np.stack([columns * 5, rows * 7, np.where(disc, 230, 20)], axis=2).astype(np.uint8)


def disc() -> NDArray[np.uint8]:
    """Opaque inside the disc, transparent elsewhere, with one row of half; uint8 [32, 48]."""
    mask = np.where(picture()[..., 2] > 100, 255, 0).astype(np.uint8)
    mask[31] = 128
    return mask


def shape(kind: str, number: int) -> NDArray[np.uint8]:
    """A white disc, square or stripe at a place of its own on a dark colour; uint8 [24, 24, 3]."""
    rng = np.random.default_rng([("disc", "square", "stripe").index(kind), number])
    rows, columns = np.mgrid[:24, :24]
    high, wide = rng.integers(8, 16, 2)
    inside = {
        "disc": (rows - high) ** 2 + (columns - wide) ** 2 < 36,
        "square": (abs(rows - high) < 6) & (abs(columns - wide) < 6),
        "stripe": abs(rows - high) < 3,
    }[kind]
    return np.where(inside[..., None], 240, rng.integers(0, 80, 3)).astype(np.uint8)


def make_formats(folder: Path) -> None:
    """Write the picture as JPEG, PNG and WebP of every kind that a reader meets."""
    folder.mkdir(parents=True)
    colour = Image.fromarray(picture())
    grey = colour.convert("L")
    fine: dict[str, Any] = {"quality": 95, "subsampling": 0}
    colour.save(folder / "baseline.jpg", **fine)
    colour.save(folder / "progressive.jpg", **fine, progressive=True)
    colour.save(folder / "subsampled.jpeg", quality=90, subsampling=2)
    grey.save(folder / "grey.jpg", quality=95)
    colour.convert("CMYK").save(folder / "cmyk.JPG", **fine)
    for number, turn in TURNED.items():
        exif = Image.Exif()
        exif[ORIENTATION] = number
        colour.transpose(turn).save(folder / f"orientation-{number}.jpg", **fine, exif=exif)
    colour.save(folder / "colour.png")
    grey.save(folder / "grey.png")
    grey.point(lambda level: 255 * (level > 100)).convert("1").save(folder / "bits.png")
    indexed = colour.quantize(64)
    indexed.save(folder / "palette.png")
    indexed.save(folder / "palette-one-transparent.png", transparency=indexed.getpixel((12, 10)))
    alpha = Image.fromarray(disc())
    black = Image.new("RGB", colour.size)
    black.putalpha(alpha)
    black.save(folder / "alpha-alone.png")
    colour.putalpha(alpha)
    colour.save(folder / "alpha.png")
    colour.save(folder / "alpha.webp", lossless=True, exact=True)
    grey.putalpha(alpha)
    grey.save(folder / "grey-alpha.png")
    opaque = Image.fromarray(picture())
    opaque.save(folder / "lossless.webp", lossless=True)
    opaque.save(folder / "lossy.webp", quality=90)
    Image.fromarray(picture()[..., 0].astype(np.uint16) * 257).save(folder / "sixteen-bits.png")


def make_classes(folder: Path) -> None:
    """Write three classes of shapes, six images for training and three for testing each, in all three formats."""
    for kind in ("disc", "square", "stripe"):
        for number in range(9):
            place = folder / ("train" if number < 6 else "test") / kind
            place.mkdir(parents=True, exist_ok=True)
            suffix = (".png", ".jpg", ".webp")[number % 3]
            Image.fromarray(shape(kind, number)).save(place / f"{number}{suffix}", quality=95)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    make_formats(target / "formats")
    make_classes(target / "classes")
