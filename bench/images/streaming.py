"""Images in files, which threads decode and crop when they are needed."""

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
"""Area, aspect ratio and number of draws of a random resized crop; torchvision's defaults."""
_LONG = 8
"""Aspect ratio above which an image is cropped before it is scaled: a strip of 1 x 60,000 pixels, scaled to a width of
224 pixels, would take 12 GB."""


@dataclass(frozen=True)
class StreamedImages:
    """N colour images in files, uint8 [N, 3, size, size], as ``bench.data.Images``; only paths are pickled.

    Attributes:
        files: the image files.
        size: side of the cropped images in pixels.
        resize: length in pixels to which the short side is scaled before the centre crop; ``size`` or more.
        upright: whether to rotate photographs by their EXIF orientation; off by default, as in the papers' readers.
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
        """SHA-256 over the crop, its code and the files: over their digests if they have some, else names and sizes."""
        turned = " upright" if self.upright else ""
        digest = hashlib.sha256(f"{self.size} {self.resize}{turned} {VERSION}\n".encode())
        if self.files.sha256:
            digest.update("\n".join(self.files.sha256).encode())
            return digest.hexdigest()
        for name, size in zip(self.files.names, self.files.sizes.tolist(), strict=True):
            # Not digests, which would need to read all of ImageNet before anything starts.
            digest.update(f"{name}\0{size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return images with the short side scaled to ``resize`` and the centre cropped.

        Args:
            indices: int64 [B].

        Returns:
            uint8 [B, 3, size, size].

        Raises:
            DataError: a file is missing, corrupt or outside the root.
        """
        return self._decode(indices, lambda _, image: centre_crop(image, self.size, self.resize))

    def augmented(self, indices: NDArray[np.int64], rng_seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Return a random resized crop of each original image, mirrored half of the time.

        Szegedy et al. 2015, "Going Deeper with Convolutions", with torchvision's defaults: 8 to 100 % of the area,
        aspect ratio 3/4 to 4/3, bilinear.

        Args:
            indices: int64 [B].
            rng_seeds: B seeds, 0 or more; an image with the same seed gives the same pixels in any batch.

        Returns:
            uint8 [B, 3, size, size].

        Raises:
            DataError: a file is missing, corrupt or outside the root.
        """
        if len(rng_seeds) != len(indices):
            raise ValueError(f"{len(indices)} indices need as many seeds, got {len(rng_seeds)}")

        return self._decode(
            indices,
            lambda number, image: random_crop(image, self.size, np.random.default_rng(rng_seeds[number])),
        )

    def _decode(self, indices: NDArray[np.int64], crop: Callable[[int, Image], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        positions = np.asarray(indices, dtype=np.int64)
        batch = np.empty((len(positions), 3, self.size, self.size), dtype=np.uint8)

        # Each call writes into its own line, so that the order in which threads finish does not matter.
        def decode_into(number: int) -> None:
            index = int(positions[number])
            sha256 = self.files.sha256[index] if self.files.sha256 else ""
            batch[number] = crop(number, decode(self.files.locate(index), upright=self.upright, sha256=sha256))

        in_threads(decode_into, len(positions))
        return batch


def random_box(width: int, height: int, rng: np.random.Generator) -> Box:
    """Return the rectangle of a random resized crop.

    Szegedy et al. 2015, with torchvision's fall-back: if ``ATTEMPTS`` draws do not fit, the largest centred rectangle
    with an allowed aspect ratio.

    Args:
        width: width of the image in pixels.
        height: height of the image in pixels.
        rng: source of randomness.

    Returns:
        (left, top, right, bottom) in pixels, inside the image and not empty.
    """
    for _ in range(ATTEMPTS):
        area = width * height * rng.uniform(*AREA)
        # In logarithms, so that 3/4 and 4/3 are equally likely.
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
    """Return the centre crop after scaling the short side to ``resize`` (bilinear, antialiased), as torchvision does.

    Images with an aspect ratio of up to 8 give torchvision's pixels bit for bit, longer ones up to rounding.

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
    # Python's round to even, as in torchvision; ``//`` would shift every other crop by a pixel.
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
    """Return the pixels of a side that a crop of the scaled side depends on.

    Args:
        start: start of the crop in scaled pixels.
        size: size of the crop in scaled pixels.
        scale: pixels per scaled pixel.
        side: length of the side in pixels.

    Returns:
        Start and end of the pixels that the bilinear filter reads, and start and end of the crop inside of them.
    """
    # The bilinear filter extends one pixel of the result to both sides, which is ``scale`` pixels of the source.
    margin = max(1.0, scale)
    first = max(0, math.floor(start * scale - margin))
    end = min(side, math.ceil((start + size) * scale + margin))
    return first, end, start * scale - first, min((start + size) * scale, side) - first


def random_crop(image: Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a ``random_box`` of the image scaled to ``size`` (bilinear, antialiased), mirrored half of the time.

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
    """Return the results of ``work`` for 0 to ``number`` - 1, in order, with a thread for each CPU of the trial."""
    threads = min(_threads(), number)
    if threads > 1:
        # Without memory for another thread there is a RuntimeError; one of ``work`` itself is raised again below.
        # Created per call: an executor cannot be pickled, and starting threads is cheaper than decoding one image.
        with suppress(RuntimeError), ThreadPoolExecutor(threads) as executor:
            return list(executor.map(work, range(number)))
    return [work(index) for index in range(number)]


def _threads() -> int:
    """Return the number of CPUs of this trial, which Ray sets as ``OMP_NUM_THREADS`` of a worker."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    # At most 16: more threads would wait for the disk or for each other; a convention.
    return min(16, int(threads) if threads.isdecimal() and int(threads) else os.cpu_count() or 1)
