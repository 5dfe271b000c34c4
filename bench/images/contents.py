"""Digests of image files, so that what is computed from them is found by what they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.images.decoding import content_sha256, reason_of
from bench.images.folders import ImageFiles
from bench.images.streaming import in_threads


class Contents(NamedTuple):
    """What came of reading files.

    Attributes:
        files: the M that could be read, with their digests.
        positions: int64 [M], where these lie among all, ascending.
        problems: why not, of each of the others, by position.
    """

    files: ImageFiles
    positions: NDArray[np.int64]
    problems: dict[int, str]


def read_contents(files: ImageFiles) -> Contents:
    """Read files whole and digest them.

    Names and sizes would not tell them apart: cameras count alike, and pictures without compression have one size. Nor
    would times of change, which copying can keep. Twice, here and when an image is decoded, this takes 0.3 to 3.5 % of
    decoding and embedding by efficientnet_lite0 at 224 px (JPEGs of 11 kB and 3.4 MB, PNGs of 0.8 MB; n = 100, 12, 40;
    best of 5 on one thread of a Xeon beside other work, 2026-11-28).
    """
    problems: dict[int, str] = {}

    def digest(position: int) -> str:
        try:
            return content_sha256(files.locate(position))
        except (DataError, OSError) as error:
            problems[position] = reason_of(error)
            return ""

    # Threads: hashlib and reads let go of Python's lock, and a slow disk answers several at once.
    digests = in_threads(digest, len(files))
    positions = np.array([position for position, sha256 in enumerate(digests) if sha256], dtype=np.int64)
    readable = replace(files.take(positions), sha256=tuple(filter(None, digests)))
    return Contents(readable, positions, problems)
