"""Unlabelled image files: found at any depth, turned upright, embedded shard by shard, damaged ones left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays
from bench.encoding.encoder import Encoder, FittedEncoder, batches, make_encoder
from bench.errors import DataError
from bench.images.folders import SUFFIXES, ImageFiles, scan_images
from bench.images.streaming import StreamedImages
from bench.labelling.sheet import is_contact_sheet
from bench.refs import EncoderRef
from bench.stages.base import Stage
from bench.stages.embeddings import Embeddings, EncoderFit
from bench.store.cache import Store
from bench.underway import Progress, counted

SHARD = 512
"""Images that are embedded and stored at a time: what an interruption can lose."""


class Skipped(NamedTuple):
    """A file that could not be used, and why."""

    name: str
    reason: str


class Embedded(NamedTuple):
    """What became of the image files.

    Attributes:
        embeddings: float32 [M, D], of the images that could be read.
        positions: int64 [M], where they lie among the files, ascending.
        skipped: the others.
    """

    embeddings: NDArray[np.float32]
    positions: NDArray[np.int64]
    skipped: tuple[Skipped, ...]


class TolerantImages:
    """Images in files of which some may be damaged: those come as black, and are remembered.

    Args:
        images: what they are read from.
    """

    def __init__(self, images: StreamedImages) -> None:
        self.images = images
        self.problems: dict[int, str] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape

    @property
    def fingerprint(self) -> str:
        return self.images.fingerprint

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        try:
            return self.images[indices]
        except DataError:
            return np.stack([self._one(int(index)) for index in indices])

    def found(self) -> Arrays:
        """Once all were asked for: ``readable`` int64, ascending positions; ``reasons`` why the others were not."""
        bad = sorted(self.problems)
        readable = np.setdiff1d(np.arange(len(self)), np.array(bad, dtype=np.int64))
        return {"readable": readable, "reasons": np.array([self.problems[index] for index in bad], dtype=np.str_)}

    def augmented(self, indices: NDArray[np.int64], rng_seeds: object) -> NDArray[np.uint8]:
        """Not for training: a damaged image must not be trained on."""
        raise DataError("images that may be damaged are only embedded, never trained on.")

    def _one(self, index: int) -> NDArray[np.uint8]:
        try:
            return self.images[np.array([index])][0]
        except DataError as error:
            self.problems[index] = str(error.__cause__ or error)
            return np.zeros(self.shape[1:], dtype=np.uint8)


class ReadableFiles(Stage):
    """Which of the files can be decoded; found by their relative names and sizes, wherever the folder lies."""

    kind = "readable-files"
    files: str


class FittedToFiles(Stage):
    """What an encoder learned from the files that can be read; found as ``ReadableFiles`` are."""

    kind = "encoder"
    version = EncoderFit.version
    files: str
    encoder: EncoderRef


class EmbeddingShard(Stage):
    """Embeddings of some of the files; found as ``ReadableFiles`` are.

    Attributes:
        files: which ones.
        fitted_on: key of ``FittedToFiles``; empty for an encoder that is not fitted.
        encoder: what embeds them.
    """

    kind = "embedding-shard"
    version = Embeddings.version
    files: str
    fitted_on: str
    encoder: EncoderRef


def find_images(folder: Path) -> ImageFiles:
    """All JPEG, PNG and WebP files below a folder, at any depth, sorted by path, but no contact sheets of ours.

    Raises:
        DataError: no such folder, none in it, or a link that leads outside.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; --images takes a folder of images ({', '.join(SUFFIXES)}).")
    scanned = scan_images(folder)
    own = [is_contact_sheet(scanned.root / name) for name in scanned.names]
    files = scanned.take(np.flatnonzero(~np.array(own, dtype=bool)))
    if not len(files):
        raise DataError(f"{folder} holds no image ({', '.join(SUFFIXES)}), at any depth.")
    return files


def embed_files(
    files: ImageFiles,
    ref: EncoderRef,
    weights: Path | None,
    *,
    store: Store,
    size: int,
    device: str,
    stage: Callable[[str], Progress],
) -> Embedded:
    """Embed image files; every finished shard is stored, so that an interrupted run goes on where it was.

    Args:
        files: N files.
        ref: the encoder; fitted to all files that can be read first, if it must be.
        weights: its weights file, or None where it has none.
        store: of what was fitted and of finished shards.
        size: the short side is scaled to this many pixels and the centre cut.
        device: ``cpu`` or ``cuda``.
        stage: told what begins; returns whom to tell how far it is.

    Raises:
        DataError: no file could be read.
    """
    encoder = make_encoder(ref, weights)
    fitted_on = ""
    if isinstance(encoder, FittedEncoder):
        images = _readable(StreamedImages(files, size, size, upright=True), store, stage)
        told = stage(f"fitting {ref.label} to {len(images):,} images")
        fit = partial(encoder.fit, images, device=device, progress=told)
        fitted = FittedToFiles(files=images.fingerprint, encoder=ref)
        encoder.restore(store.get(fitted, fit).arrays)
        fitted_on = fitted.key
    parts, positions, skipped = [], [], []
    tick = stage(f"embedding {len(files):,} images with {ref.label}")
    for start in range(0, len(files), SHARD):
        inside = np.arange(start, min(start + SHARD, len(files)))
        shard = TolerantImages(StreamedImages(files.take(inside), size, size, upright=True))
        wanted = EmbeddingShard(files=shard.fingerprint, fitted_on=fitted_on, encoder=ref)
        produce = partial(_embed, encoder, shard, device, partial(_from, start, len(files), tick))
        arrays = store.get(wanted, produce).arrays
        parts.append(arrays["embeddings"])
        positions.append(start + arrays["readable"])
        unreadable = np.setdiff1d(np.arange(len(inside)), arrays["readable"])
        names = [files.names[start + place] for place in unreadable]
        skipped += [Skipped(name, str(reason)) for name, reason in zip(names, arrays["reasons"], strict=True)]
        tick(start + len(inside), len(files))
    found = np.concatenate(positions)
    if not len(found):
        raise _none_readable(len(files), skipped[0].reason)
    return Embedded(np.concatenate(parts), found, tuple(skipped))


def _embed(encoder: Encoder, shard: TolerantImages, device: str, progress: Progress) -> Arrays:
    embeddings = encoder.embed(shard, device=device, batch_size=64, progress=counted(progress, len(shard)))
    found = shard.found()
    return {"embeddings": embeddings[found["readable"]], **found}


def _readable(images: StreamedImages, store: Store, stage: Callable[[str], Progress]) -> StreamedImages:
    """Those that can be decoded."""

    def decode() -> Arrays:
        tick = stage(f"looking through {len(images):,} images")
        tolerant = TolerantImages(images)
        for index in batches(len(images), SHARD):
            tolerant[index]
            tick(int(index[-1]) + 1, len(images))
        return tolerant.found()

    found = store.get(ReadableFiles(files=images.fingerprint), decode).arrays
    if not len(found["readable"]):
        raise _none_readable(len(images), str(found["reasons"][0]))
    return replace(images, files=images.files.take(found["readable"]))


def _none_readable(count: int, reason: str) -> DataError:
    return DataError(f"none of the {count} image files could be read; the first: {reason}.")


def _from(start: int, total: int, progress: Progress, done: int, part: int) -> None:
    """Pass on how far a part of the work is that begins at ``start``."""
    progress(start + done, total)
