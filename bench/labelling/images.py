"""Finding and embedding unlabelled image files: at any depth, upright, in shards, without damaged ones."""

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
from bench.errors import DataError, install_command, nearest_file
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
"""Images that are embedded and stored at a time; an interruption loses at most these."""


class EmbeddedFiles(NamedTuple):
    """Embeddings of the image files that could be read.

    Attributes:
        embeddings: float32 [M, D], embeddings of the readable images.
        positions: int64 [M], their positions among the files, ascending.
        sha256: M digests of their content.
        skipped: the other files, with reasons.
    """

    embeddings: NDArray[np.float32]
    positions: NDArray[np.int64]
    sha256: tuple[str, ...]
    skipped: tuple[Skipped, ...]


class ReadableFiles(Stage):
    """Positions of the files that can be decoded. Stages here are identified by the files' content, not their paths."""

    kind = "readable-files"
    files: str


class FittedToFiles(Stage):
    """An encoder fitted to the files that can be read."""

    kind = "encoder"
    version = EncoderFit.version
    files: str
    encoder: EncoderRef


class EmbeddingShard(Stage):
    """Embeddings of the decodable files of a shard.

    Attributes:
        files: fingerprint of the files.
        fitted_on: key of ``FittedToFiles``; empty for an encoder that is not fitted.
        encoder: the encoder.
    """

    kind = "embedding-shard"
    version = Embeddings.version
    files: str
    fitted_on: str
    encoder: EncoderRef


def readable_suffixes() -> tuple[str, ...]:
    """Return the suffixes of image files that can be read on this machine."""
    return SUFFIXES + (heic.SUFFIXES if heic.installed() else ())


def heic_hint(others: Mapping[str, int]) -> str:
    """Return what to install if HEIC files were ignored; empty if there are none, or they can be read.

    Args:
        others: suffix in lower case -> number of ignored files with it.
    """
    count = sum(others.get(suffix, 0) for suffix in heic.SUFFIXES)
    if not count or heic.installed():
        return ""
    return f" HEIC files ({count:,}) are read with pillow-heif, which is not installed: {install_command('heic')}."


def find_images(folder: Path) -> Scan:
    """Return all image files below a folder, at any depth, sorted by path, without our contact sheets.

    Image files are JPEG, PNG and WebP, and HEIC if pillow-heif is installed.

    Raises:
        DataError: the folder does not exist, or contains no image.
    """
    if not folder.is_dir():
        what, near = ("is a file", "") if folder.exists() else ("does not exist", nearest_file(folder))
        raise DataError(f"{folder} {what}; --images takes a folder of images ({', '.join(readable_suffixes())}).{near}")
    scan = scan_images(folder, readable_suffixes())
    # A contact sheet of an earlier round may be in the same folder.
    sheets = [is_contact_sheet(scan.files.root / name) for name in scan.files.names]
    files = scan.files.take(np.flatnonzero(~np.array(sheets, dtype=bool)))
    if not len(files):
        first = f" Left out: {scan.skipped[0].name} ({scan.skipped[0].reason})." if scan.skipped else ""
        hint = heic_hint(scan.other_suffixes())
        raise DataError(f"{folder} holds no image ({', '.join(readable_suffixes())}), at any depth.{first}{hint}")
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
) -> EmbeddedFiles:
    """Return the embeddings of image files; finished shards are stored, so that an interrupted run resumes.

    Files that could not be read are not stored, and are tried again by every call.

    Args:
        files: N files.
        ref: the encoder; if it must be fitted, it is first fitted to all readable files.
        weights: its weights file, or None if it has none.
        store: store of fitted encoders and finished shards.
        size: the short side is scaled to this many pixels and the centre is cropped.
        device: ``cpu`` or ``cuda``.
        stage: starts a progress bar of a given title and returns its update function.

    Raises:
        DataError: no file could be read.
    """
    work = _Work(make_encoder(ref, weights), ref, store, size, device)
    shards = batches(len(files), SHARD)
    # One shard is read at a time, so that the system still caches it when it is decoded; a fit needs all of them.
    contents: Iterable[Contents] = (read_contents(files.take(inside)) for inside in shards)
    fitted_on = ""
    if isinstance(work.encoder, FittedEncoder):
        contents = list(contents)
        fitted_on = work.fit(contents, len(files), stage)
    parts, positions, skipped = [], [], []
    digests: list[str] = []
    tick = stage(f"embedding {len(files):,} images with {ref.label}")
    for inside, content in zip(shards, contents, strict=True):
        # A file fails in two ways: it cannot be read, or its content is no image.
        problems = dict(content.problems)
        if len(content.files):
            embeddings, readable, damaged = work.embed(
                content.files, fitted_on, partial(_from, inside[0], len(files), tick)
            )
            parts.append(embeddings)
            positions.append(inside[content.positions[readable]])
            digests += content.files.take(readable).sha256
            problems |= {int(content.positions[index]): reason for index, reason in damaged.items()}
        skipped += [Skipped(files.names[inside[index]], problems[index]) for index in sorted(problems)]
        tick(int(inside[-1]) + 1, len(files))
    if len(skipped) == len(files):
        raise _none_readable(len(files), skipped[0].reason)
    return EmbeddedFiles(np.concatenate(parts), np.concatenate(positions), tuple(digests), tuple(skipped))


@dataclass(frozen=True)
class _Work:
    """An encoder and the store of its results; see ``embed_files``."""

    encoder: Encoder
    ref: EncoderRef
    store: Store
    size: int
    device: str

    def images(self, files: ImageFiles) -> StreamedImages:
        return StreamedImages(files, self.size, self.size, upright=True)

    def fit(self, contents: Sequence[Contents], total: int, stage: Callable[[str], Progress]) -> str:
        """Fit the encoder to all readable files, or restore a stored fit, and return the key of the fit."""
        assert isinstance(self.encoder, FittedEncoder)
        files = reduce(ImageFiles.joined, (content.files for content in contents))
        tolerant = TolerantImages(self.images(files))

        def look() -> Arrays:
            tolerant.look(np.arange(len(files)), stage(f"checking {len(files):,} images"))
            return {"readable": tolerant.readable()}

        # Stored: checking decodes every file, which an interrupted fit would otherwise repeat.
        check = ReadableFiles(files=tolerant.fingerprint)
        readable = self.store.get(check, look, accept=partial(_no_more_readable, tolerant)).arrays["readable"]
        if not len(readable):
            reasons = [*tolerant.problems.values(), *(why for part in contents for why in part.problems.values())]
            raise _none_readable(total, reasons[0])
        images = self.images(files.take(readable))
        progress = stage(f"preparing the encoder {self.ref.label} on {len(images):,} images")
        fitted = FittedToFiles(files=images.fingerprint, encoder=self.ref)
        fit = partial(self.encoder.fit, images, device=self.device, progress=progress)
        self.encoder.restore(self.store.get(fitted, fit).arrays)
        return fitted.key

    def embed(
        self, files: ImageFiles, fitted_on: str, progress: Progress
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], dict[int, str]]:
        """Return the embeddings [M, D] of the readable files, their positions [M], and position -> reason of others."""
        tolerant = TolerantImages(self.images(files))

        def compute() -> Arrays:
            update = by_steps(progress, len(files))
            embeddings = self.encoder.embed(tolerant, device=self.device, batch_size=64, progress=update)
            readable = tolerant.readable()
            return {"embeddings": embeddings[readable], "readable": readable}

        shard = EmbeddingShard(files=tolerant.fingerprint, fitted_on=fitted_on, encoder=self.ref)
        arrays = self.store.get(shard, compute, accept=partial(_no_more_readable, tolerant)).arrays
        return arrays["embeddings"], arrays["readable"], tolerant.problems


def _no_more_readable(images: TolerantImages, arrays: Arrays) -> bool:
    """Return whether every image that failed when the arrays were stored still fails; decoders may have improved."""
    failed = np.setdiff1d(np.arange(len(images)), arrays["readable"])
    images.look(failed)
    return len(images.problems) == len(failed)


def _none_readable(count: int, reason: str) -> DataError:
    return DataError(f"none of the {count} image files could be read; the first: {reason}.")


def _from(start: int, total: int, progress: Progress, done: int, part: int) -> None:
    """Report the progress of a part of the work that begins at ``start``."""
    progress(start + done, total)
