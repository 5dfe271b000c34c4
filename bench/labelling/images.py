"""Unlabelled image files: found at any depth, turned upright, embedded shard by shard, damaged ones left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data import Arrays
from bench.embedding.encoder import Encoder, FittedEncoder, batches, make_encoder
from bench.errors import DataError, install_command
from bench.identity import EncoderRef
from bench.images import heic
from bench.images.contents import Contents, read_contents
from bench.images.folders import SUFFIXES, ImageFiles, Scan, Skipped, scan_images
from bench.images.streaming import StreamedImages
from bench.labelling.contact_sheet import is_contact_sheet
from bench.labelling.tolerant import TolerantImages
from bench.progress import Progress, by_steps
from bench.stages.base import Stage
from bench.stages.embeddings import Embeddings, EncoderFit
from bench.store.cache import Store

SHARD = 512
"""Images that are embedded and stored at a time: what an interruption can lose."""


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


class ReadableFiles(Stage):
    """Which of the files can be decoded. All stages here are found by what the files hold, wherever they lie."""

    kind = "readable-files"
    files: str


class FittedToFiles(Stage):
    """What an encoder learned from the files that can be read."""

    kind = "encoder"
    version = EncoderFit.version
    files: str
    encoder: EncoderRef


class EmbeddingShard(Stage):
    """Embeddings of those of some files that can be decoded.

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


def readable_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the files that are images here."""
    return SUFFIXES + (heic.SUFFIXES if heic.installed() else ())


def heic_hint(others: Mapping[str, int]) -> str:
    """Say what to install, where HEIC files are among those that were not looked at; else nothing.

    Args:
        others: suffix, in lower case -> how many files have it.
    """
    count = sum(others.get(suffix, 0) for suffix in heic.SUFFIXES)
    if not count or heic.installed():
        return ""
    return f" HEIC files ({count:,}) are read with pillow-heif, which is not installed: {install_command('heic')}."


def find_images(folder: Path) -> Scan:
    """Find all image files below a folder, at any depth, sorted by path, but no contact sheets of ours.

    Those are JPEG, PNG and WebP files, and HEIC where pillow-heif is installed.

    Raises:
        DataError: no such folder, or none in it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; --images takes a folder of images ({', '.join(readable_suffixes())}).")
    scan = scan_images(folder, readable_suffixes())
    # A sheet of an earlier round lies in the folder where the user wrote its list.
    own = [is_contact_sheet(scan.files.root / name) for name in scan.files.names]
    files = scan.files.take(np.flatnonzero(~np.array(own, dtype=bool)))
    if not len(files):
        first = f" Left out: {scan.skipped[0].name} ({scan.skipped[0].reason})." if scan.skipped else ""
        heic_there = heic_hint(scan.other_suffixes())
        raise DataError(f"{folder} holds no image ({', '.join(readable_suffixes())}), at any depth.{first}{heic_there}")
    return replace(scan, files=files)


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

    Nothing is stored of a file that could not be read: it is tried again by every call.

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
    work = _Work(make_encoder(ref, weights), ref, store, size, device)
    shards = batches(len(files), SHARD)
    # One shard is read at a time, so that it is still in the system's memory when it is decoded; a fit needs them all.
    contents: Iterable[Contents] = (read_contents(files.take(inside)) for inside in shards)
    fitted_on = ""
    if isinstance(work.encoder, FittedEncoder):
        contents = list(contents)
        fitted_on = work.fit(contents, len(files), stage)
    parts, positions, skipped = [], [], []
    tick = stage(f"embedding {len(files):,} images with {ref.label}")
    for inside, content in zip(shards, contents, strict=True):
        # Two ways to fail: a file that cannot be read has no content, and one that can may be no image.
        problems = dict(content.problems)
        if len(content.files):
            embeddings, readable, damaged = work.embed(
                content.files, fitted_on, partial(_from, inside[0], len(files), tick)
            )
            parts.append(embeddings)
            positions.append(inside[content.positions[readable]])
            problems |= {int(content.positions[index]): reason for index, reason in damaged.items()}
        skipped += [Skipped(files.names[inside[index]], problems[index]) for index in sorted(problems)]
        tick(int(inside[-1]) + 1, len(files))
    if len(skipped) == len(files):
        raise _none_readable(len(files), skipped[0].reason)
    return Embedded(np.concatenate(parts), np.concatenate(positions), tuple(skipped))


@dataclass(frozen=True)
class _Work:
    """What embeds, and where it is stored; see ``embed_files``."""

    encoder: Encoder
    ref: EncoderRef
    store: Store
    size: int
    device: str

    def images(self, files: ImageFiles) -> StreamedImages:
        return StreamedImages(files, self.size, self.size, upright=True)

    def fit(self, contents: Sequence[Contents], total: int, stage: Callable[[str], Progress]) -> str:
        """Fit the encoder to all files that can be read, or restore what was fitted to them; return its key."""
        assert isinstance(self.encoder, FittedEncoder)
        files = reduce(ImageFiles.joined, (content.files for content in contents))
        tolerant = TolerantImages(self.images(files))

        def look() -> Arrays:
            tolerant.look(np.arange(len(files)), stage(f"checking {len(files):,} images"))
            return {"readable": tolerant.readable()}

        # Stored, since finding out means to decode every file, which a fit that was interrupted would do again.
        wanted = ReadableFiles(files=tolerant.fingerprint)
        readable = self.store.get(wanted, look, accept=partial(_still_all, tolerant)).arrays["readable"]
        if not len(readable):
            problems = [*tolerant.problems.values(), *(why for one in contents for why in one.problems.values())]
            raise _none_readable(total, problems[0])
        images = self.images(files.take(readable))
        told = stage(f"preparing the encoder {self.ref.label} on {len(images):,} images")
        fitted = FittedToFiles(files=images.fingerprint, encoder=self.ref)
        fit = partial(self.encoder.fit, images, device=self.device, progress=told)
        self.encoder.restore(self.store.get(fitted, fit).arrays)
        return fitted.key

    def embed(
        self, files: ImageFiles, fitted_on: str, progress: Progress
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], dict[int, str]]:
        """Return embeddings [M, D], positions [M] of the files that they are of, and why not of the others."""
        tolerant = TolerantImages(self.images(files))

        def compute() -> Arrays:
            told = by_steps(progress, len(files))
            embeddings = self.encoder.embed(tolerant, device=self.device, batch_size=64, progress=told)
            readable = tolerant.readable()
            return {"embeddings": embeddings[readable], "readable": readable}

        wanted = EmbeddingShard(files=tolerant.fingerprint, fitted_on=fitted_on, encoder=self.ref)
        arrays = self.store.get(wanted, compute, accept=partial(_still_all, tolerant)).arrays
        return arrays["embeddings"], arrays["readable"], tolerant.problems


def _still_all(images: TolerantImages, arrays: Arrays) -> bool:
    """Whether no image is readable now that was not when the arrays were stored: what failed then may work today."""
    failed = np.setdiff1d(np.arange(len(images)), arrays["readable"])
    images.look(failed)
    return len(images.problems) == len(failed)


def _none_readable(count: int, reason: str) -> DataError:
    return DataError(f"none of the {count} image files could be read; the first: {reason}.")


def _from(start: int, total: int, progress: Progress, done: int, part: int) -> None:
    """Pass on how far a part of the work is that begins at ``start``."""
    progress(start + done, total)
