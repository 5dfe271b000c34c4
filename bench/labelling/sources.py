"""What to choose from: files in a folder, or embeddings with or without names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError, SpecError
from bench.identity import EncoderRef
from bench.images.folders import ImageFiles, Scan, Skipped
from bench.labelling.candidates import Limits
from bench.labelling.images import embed_files, find_images
from bench.labelling.lists import NAMES, Lookup
from bench.labelling.rows import Rows
from bench.labelling.tables import read_lines
from bench.labelling.to_label import Named
from bench.labelling.vectors import read_embeddings
from bench.plain_files import read_regular
from bench.progress import Progress
from bench.store.cache import Store

_MOST_BYTES = 1 << 30


class Items(NamedTuple):
    """N items that can be chosen.

    Attributes:
        vectors: float32 [N, D], read a part at a time where they lie in a file.
        names: of the items.
        named: what these name.
        files: their pictures; None where there are none.
        among: int64 [N], where they lie in the source.
        skipped: what could not be used.
    """

    vectors: Rows
    names: Sequence[str]
    named: Named
    files: ImageFiles | None
    among: NDArray[np.int64]
    skipped: tuple[Skipped, ...]

    def limits(self, limits: Limits) -> Limits:
        """Turn limits by positions in the source into limits by positions among these items."""
        return replace(
            limits,
            labelled=self._inside(limits.labelled),
            excluded=self._inside(limits.excluded),
            groups=None if limits.groups is None else limits.groups[self.among],
        )

    def _inside(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.flatnonzero(np.isin(self.among, positions))


@dataclass(frozen=True)
class Source:
    """What was found, before anything is embedded.

    Attributes:
        names: of all items; one of them may turn out to be damaged.
        scan: the folder of images that are to be embedded; None for embeddings.
        vectors: those that were given; None for images.
        root: folder of the files that the names are of; None where they are no files.
    """

    names: Sequence[str]
    scan: Scan | None
    vectors: Rows | None
    root: Path | None

    @classmethod
    def of(cls, scan: Scan) -> Source:
        """Images that were found already."""
        return cls(scan.files.names, scan, None, scan.files.root)

    @classmethod
    def find(cls, *, images: Path | None, embeddings: Path | None, names: Path | None) -> Source:
        """Look for the items.

        Args:
            images: folder to be embedded, or that ``names`` are relative to.
            embeddings: file of embeddings.
            names: their names, one a line.

        Raises:
            BenchError: the three do not fit together, or cannot be read.
        """
        if embeddings is None:
            if images is None or names is not None:
                raise SpecError(
                    "give either --images FOLDER or --embeddings FILE.npy (which may have --names FILE.txt, and then "
                    "--images as the folder that these are in)."
                )
            return cls.of(find_images(images))
        vectors, own = read_embeddings(embeddings)
        if names is not None:
            own = _read_names(names, len(vectors))
        if images is not None and own is None:
            raise SpecError("--images beside --embeddings is the folder of the --names; give --names FILE.txt too.")
        if images is not None and not images.is_dir():
            raise DataError(f"{images} is no folder; --images takes the folder that the --names are in.")
        if own is not None:
            _check_names(own, str(names or embeddings))
        listed = [str(number) for number in range(len(vectors))] if own is None else own
        return cls(listed, None, vectors, None if images is None else images.resolve())

    def without(self, skipped: Sequence[Skipped]) -> Source:
        """Return this source without files that could not be used, such as those that could not be fetched."""
        if self.scan is None or not skipped:
            return self
        scan = self.scan.without(skipped)
        return replace(self, scan=scan, names=scan.files.names)

    def lookup(self) -> Lookup:
        """Return what finds items by name."""
        return Lookup(self.names, self.root)

    def other_suffixes(self, *, without: Collection[Path]) -> dict[str, int] | None:
        """How many files of the folder have which other suffix; None where no folder was looked through."""
        if self.scan is None:
            return None
        return dict(sorted(self.scan.other_suffixes(without=[path.resolve() for path in without]).items()))

    def items(
        self,
        ref: EncoderRef | None,
        weights: Path | None,
        *,
        store: Store,
        size: int,
        device: str,
        stage: Callable[[str], Progress],
    ) -> Items:
        """Embed what is to be embedded; arguments are those of ``embed_files``, ``ref`` None for embeddings.

        Raises:
            DataError: no file could be read.
        """
        if self.scan is None or ref is None:
            assert self.vectors is not None
            files = None
            if self.root is not None:
                # Names alone are enough for pages and sheets: what is not there stays without a picture.
                files = ImageFiles(self.root, tuple(self.names), np.zeros(len(self.names), dtype=np.int64))
            named: Named = "item" if files is None else "file"
            return Items(self.vectors, self.names, named, files, np.arange(len(self.names)), ())
        done = embed_files(self.scan.files, ref, weights, store=store, size=size, device=device, stage=stage)
        files = self.scan.files.take(done.positions)
        # In the order of names, whichever of the two found out.
        skipped = tuple(sorted(done.skipped + self.scan.skipped))
        return Items(done.embeddings, files.names, "file", files, done.positions, skipped)


def _read_names(path: Path, count: int) -> list[str]:
    try:
        # With the mark that Windows editors put first, and with names of files that are no UTF-8.
        text = read_regular(path, at_most=_MOST_BYTES).decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    names = text.split("\n")
    # Not by ``splitlines``, which also breaks at signs that names of files may hold.
    names = [name.removesuffix("\r") for name in (names[:-1] if names[-1] == "" else names)]
    if path.suffix.lower() == ".csv" and len(names) != count:
        # As pandas writes it, with a header and perhaps other columns.
        title, *rows = read_lines(path)
        column = next((title.index(name) for name in NAMES if name in title), None)
        names = names if column is None else [row[column] for row in rows if len(row) > column]
    if len(names) != count:
        raise DataError(f"{path} has {len(names):,} lines, and the embeddings {count:,}; expected one name each.")
    return names


def _check_names(names: Sequence[str], source: str) -> None:
    """Raise ``DataError`` where two items have one name: a list could not tell them apart."""
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    raise DataError(f"{source} names several items {twice!r}; a list could not tell them apart.")
