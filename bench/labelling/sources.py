"""Items to choose from: files in a folder, or embeddings with or without names."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Sequence
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
from bench.labelling.lists import Lookup
from bench.labelling.rows import Rows, RowsAt, contents_of
from bench.labelling.tables import NAMES, column_of, read_lines
from bench.labelling.to_label import Named
from bench.labelling.vectors import read_embeddings
from bench.plain_files import read_regular
from bench.progress import Progress
from bench.store.cache import Store

_MOST_BYTES = 1 << 30


class Items(NamedTuple):
    """N items that can be chosen.

    Attributes:
        vectors: float32 [N, D]; read in parts if they are in a file.
        names: names of the items.
        named: whether these are names of files or of other items.
        files: pictures of the items; None if there are none.
        among: int64 [N], positions of the items in the source.
        skipped: files that could not be used.
        sha256: N digests of the files' content; empty for items that were given as embeddings.
    """

    vectors: Rows
    names: Sequence[str]
    named: Named
    files: ImageFiles | None
    among: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    sha256: tuple[str, ...] = ()

    def contents(self, positions: NDArray[np.int64]) -> list[Hashable]:
        """Return an object for each of these items, the same for exact copies: of a file, else of an embedding."""
        # Not of an image's embedding: two copies of a file in other batches differ by rounding.
        if self.sha256:
            return [self.sha256[position] for position in positions.tolist()]
        return contents_of(RowsAt(self.vectors, positions))

    def limits(self, limits: Limits) -> Limits:
        """Return limits by positions among these items, from limits by positions in the source."""
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
    """The user's items before anything is embedded.

    Attributes:
        names: names of all items, some of which may turn out to be damaged.
        scan: the folder of images to embed; None for embeddings.
        vectors: the user's embeddings; None for images.
        root: folder of the named files; None if the names are no files.
    """

    names: Sequence[str]
    scan: Scan | None
    vectors: Rows | None
    root: Path | None

    @classmethod
    def of(cls, scan: Scan) -> Source:
        """Return the source of images that were found already."""
        return cls(scan.files.names, scan, None, scan.files.root)

    @classmethod
    def find(cls, *, images: Path | None, embeddings: Path | None, names: Path | None) -> Source:
        """Return the source that the user's options describe.

        Args:
            images: folder of images to embed, or folder that ``names`` are relative to.
            embeddings: file of embeddings.
            names: file of their names, one a line.

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
        vectors, item_names = read_embeddings(embeddings)
        if names is not None:
            own_names, item_names = item_names, _read_names(names, len(vectors))
            if own_names is not None and own_names != item_names and set(own_names) == set(item_names):
                raise DataError(f"{names} names the items of {embeddings} in another order; leave out --names.")
        if images is not None and item_names is None:
            raise SpecError("--images beside --embeddings is the folder of the --names; give --names FILE.txt too.")
        if images is not None and not images.is_dir():
            raise DataError(f"{images} is not a folder; --images takes the folder that the --names are in.")
        if item_names is not None:
            _check_names(item_names, str(names or embeddings))
            # Not ``Path.is_file``, which raises for a name that is too long.
            if images is not None and not any(os.path.isfile(images / name) for name in item_names):  # noqa: PTH113
                raise DataError(
                    f"none of the {len(item_names):,} names of {names or embeddings} is a file below {images}, such as "
                    f"{item_names[0]}; --images takes the folder that the names begin at."
                )
        listed = [str(number) for number in range(len(vectors))] if item_names is None else item_names
        return cls(listed, None, vectors, None if images is None else images.resolve())

    def without(self, skipped: Sequence[Skipped]) -> Source:
        """Return this source without the skipped files, such as files that could not be fetched."""
        if self.scan is None or not skipped:
            return self
        scan = self.scan.without(skipped)
        return replace(self, scan=scan, names=scan.files.names)

    def lookup(self) -> Lookup:
        """Return a lookup of items by name."""
        return Lookup(self.names, self.root)

    def other_suffixes(self, *, without: Collection[Path]) -> dict[str, int] | None:
        """Return other suffix -> number of files in the folder; None if there is not a folder of images."""
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
        """Return the items, embedding images if necessary; arguments as ``embed_files``, ``ref`` None for embeddings.

        Raises:
            DataError: no file could be read.
        """
        if self.scan is None or ref is None:
            assert self.vectors is not None
            files = None
            if self.root is not None:
                # Pages and sheets only need names: a missing file is shown without a picture.
                files = ImageFiles(self.root, tuple(self.names), np.zeros(len(self.names), dtype=np.int64))
            named: Named = "item" if files is None else "file"
            return Items(self.vectors, self.names, named, files, np.arange(len(self.names)), ())
        embedded = embed_files(self.scan.files, ref, weights, store=store, size=size, device=device, stage=stage)
        files = self.scan.files.take(embedded.positions)
        # Sorted by name, whether the scan or the embedding skipped a file.
        skipped = tuple(sorted(embedded.skipped + self.scan.skipped))
        return Items(embedded.embeddings, files.names, "file", files, embedded.positions, skipped, embedded.sha256)


def _read_names(path: Path, count: int) -> list[str]:
    try:
        # Windows editors write a byte order mark first; names of files may not be UTF-8.
        text = read_regular(path, at_most=_MOST_BYTES).decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    names = text.split("\n")
    # Not by ``splitlines``, which also breaks at characters that names of files may contain.
    names = [name.removesuffix("\r") for name in (names[:-1] if names[-1] == "" else names)]
    if path.suffix.lower() in (".csv", ".tsv"):
        # As pandas writes it, perhaps with a header and other columns; quotes are not part of a name.
        rows = read_lines(path)
        column = column_of(rows[0], NAMES)
        if column is not None:
            names = [row[column] for row in rows[1:] if len(row) > column]
        elif all(len(row) == 1 for row in rows):
            names = [row[0] for row in rows]
    if len(names) != count:
        raise DataError(f"{path} has {len(names):,} lines, and the embeddings {count:,}; expected one name each.")
    return names


def _check_names(names: Sequence[str], source: str) -> None:
    """Refuse two items with the same name, which a list could not tell apart."""
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    raise DataError(f"{source} names several items {twice!r}; a list could not tell them apart.")
