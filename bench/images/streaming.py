"""Images that stay in their files: decoded when asked for, cropped to one size, by a few threads."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.images.decoding import VERSION, decode
from bench.images.folders import ImageFiles

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]
Result = TypeVar("Result")

AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
ATTEMPTS = 10
"""A random resized crop's share of the area, width over height and draws; torchvision's defaults."""
_LONG = 8
"""Long side over short side from which an image is cut before it is scaled: a strip of 1 x 60,000 pixels, scaled whole
to 224 pixels of width, would take 12 GB."""


@dataclass(frozen=True)
class StreamedImages:
    """N colour images in files, uint8 [N, 3, size, size]; fulfils ``bench.data.Images``. Pickles as paths alone.

    Attributes:
        files: where they are.
        size: side of the images handed out, in pixels.
        resize: length in pixels that the short side is scaled to before the centre crop; ``size`` or more.
        upright: turn photographs as their EXIF orientation says. Off by default, since the papers' readers ignore it.
    """

    files: ImageFiles
    size: int
    resize: int
    upright: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize:
            raise DataError(
                f"image size {self.size} with the short side at {self.resize}: valid is 1 <= size <= resize."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.files), 3, self.size, self.size)

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the crop, its code, and the files: their digests where they have some, else names and sizes."""
        turned = " upright" if self.upright else ""
        digest = hashlib.sha256(f"{self.size} {self.resize}{turned} {VERSION}\n".encode())
        if self.files.sha256:
            digest.update("\n".join(self.files.sha256).encode())
            return digest.hexdigest()
        for name, size in zip(self.files.names, self.files.sizes.tolist(), strict=True):
            # Names and sizes: digests would mean reading all of ImageNet before anything starts.
            digest.update(f"{name}\0{size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Scale the short side to ``resize`` and cut the centre.

        Args:
            indices: int64 [B].

        Returns:
            uint8 [B, 3, size, size].

        Raises:
            DataError: a file is missing, corrupt or lies outside the root.
        """
        return self._decode(indices, lambda _, image: centre_crop(image, self.size, self.resize))

    def augmented(self, indices: NDArray[np.int64], rng_seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Cut a random resized crop of the original image, mirrored half of the time.

        Szegedy et al. 2015, "Going Deeper with Convolutions", with torchvision's defaults: 8 to 100 % of the area,
        aspect ratio 3/4 to 4/3, bilinear.

        Args:
            indices: int64 [B].
            rng_seeds: B seeds, 0 or more; an image with the same seed gives the same pixels in any batch.

        Returns:
            uint8 [B, 3, size, size].

        Raises:
            DataError: a file is missing, corrupt or lies outside the root.
        """
        if len(rng_seeds) != len(indices):
            raise ValueError(f"{len(indices)} indices need as many seeds, got {len(rng_seeds)}")

        return self._decode(
            indices,
            lambda number, image: random_crop(image, self.size, np.random.default_rng(rng_seeds[number])),
        )

    def _decode(self, indices: NDArray[np.int64], crop: Callable[[int, Image], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        taken = np.asarray(indices, dtype=np.int64)
        batch = np.empty((len(taken), 3, self.size, self.size), dtype=np.uint8)

        # Each thread writes into a line of its own, so that the order of their ends does not matter.
        def decode_into(number: int) -> None:
            index = int(taken[number])
            sha256 = self.files.sha256[index] if self.files.sha256 else ""
            batch[number] = crop(number, decode(self.files.locate(index), upright=self.upright, sha256=sha256))

        in_threads(decode_into, len(taken))
        return batch


def random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    """Draw the rectangle of a random resized crop.

    Szegedy et al. 2015, with torchvision's fall-back: where ``ATTEMPTS`` draws do not fit, the largest centred
    rectangle whose aspect ratio is allowed.

    Args:
        width: of the image, in pixels.
        height: of the image, in pixels.
        rng: source of randomness.

    Returns:
        (left, top, right, bottom) in pixels, inside the image and not empty.
    """
    for _ in range(ATTEMPTS):
        area = width * height * rng.uniform(*AREA)
        # In logarithms, so that 3/4 and 4/3 are as likely.
        aspect = np.exp(rng.uniform(*np.log(ASPECT)))
        wide, high = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
            return left, top, left + wide, top + high
    wide = min(width, max(1, round(height * ASPECT[1])))
    high = min(height, max(1, round(width / ASPECT[0])))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high


def centre_crop(image: Image, size: int, resize: int) -> NDArray[np.uint8]:
    """Scale the short side to ``resize`` (bilinear, antialiased) and cut the centre, rounding as torchvision does.

    Images up to 8 times as long as wide give torchvision's pixels bit for bit, longer ones up to rounding.

    Args:
        image: RGB.
        size: side of the crop in pixels, at most ``resize``.
        resize: length of the short side in pixels.

    Returns:
        uint8 [3, size, size].
    """
    from PIL.Image import Resampling

    short = min(image.size)
    width, height = (int(resize * side / short) for side in image.size)
    # Python's round, to even, as torchvision's; ``//`` would shift every other crop by a pixel.
    left, top = round((width - size) / 2), round((height - size) / 2)
    if max(image.size) <= _LONG * short:
        return _pixels(image.resize((width, height), Resampling.BILINEAR).crop((left, top, left + size, top + size)))
    spans = [
        _source_span(start, size, side / scaled, side)
        for start, scaled, side in zip((left, top), (width, height), image.size, strict=True)
    ]
    (from_x, to_x, x0, x1), (from_y, to_y, y0, y1) = spans
    part = image.crop((from_x, from_y, to_x, to_y))
    return _pixels(part.resize((size, size), Resampling.BILINEAR, box=(x0, y0, x1, y1)))


def _source_span(start: int, size: int, scale: float, side: int) -> tuple[int, int, float, float]:
    """Find which of a side's pixels a crop of the scaled side rests on.

    Args:
        start: of the crop, in scaled pixels.
        size: of the crop, in scaled pixels.
        scale: pixels per scaled pixel.
        side: length in pixels.

    Returns:
        First pixel and end of what the bilinear filter reads, and where the crop begins and ends within that.
    """
    # The bilinear filter reaches one pixel of the result to both sides, which is ``scale`` pixels of the source.
    margin = max(1.0, scale)
    first = max(0, math.floor(start * scale - margin))
    end = min(side, math.ceil((start + size) * scale + margin))
    return first, end, start * scale - first, min((start + size) * scale, side) - first


def random_crop(image: Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Scale ``random_box`` to ``size`` (bilinear, antialiased) and mirror the result half of the time.

    Args:
        image: RGB.
        size: side of the result in pixels.
        rng: source of randomness.

    Returns:
        uint8 [3, size, size].
    """
    from PIL.Image import Resampling

    pixels = _pixels(image.resize((size, size), Resampling.BILINEAR, box=random_box(*image.size, rng)))
    return pixels[:, :, ::-1] if rng.random() < 0.5 else pixels


def _pixels(image: Image) -> NDArray[np.uint8]:
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)


def in_threads(work: Callable[[int], Result], number: int) -> list[Result]:
    """Call ``work`` with 0 to ``number`` - 1, as many at a time as this trial has CPUs; return the results in order."""
    threads = min(_threads(), number)
    if threads > 1:
        # No memory for another thread is a RuntimeError; one of ``work`` itself comes again below.
        # Made per call: an executor cannot be pickled, and starting the threads costs less than decoding one image.
        with suppress(RuntimeError), ThreadPoolExecutor(threads) as executor:
            return list(executor.map(work, range(number)))
    return [work(index) for index in range(number)]


def _threads() -> int:
    """Count the CPUs of this trial: Ray tells a worker by ``OMP_NUM_THREADS`` how many are its own."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    # At most 16: more threads than that wait for the disk or for each other; a convention.
    return min(16, int(threads) if threads.isdecimal() and int(threads) else os.cpu_count() or 1)
