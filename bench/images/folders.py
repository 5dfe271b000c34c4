"""Finding the image files and classes of a folder, and refusing files outside of it or that are not regular."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.plain_files import check_regular

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_CIRCLE = "it is a link that leads round in a circle"


@dataclass(frozen=True)
class ImageFiles:
    """N image files below one directory.

    Attributes:
        root: absolute directory, symbolic links resolved.
        names: N paths relative to ``root``, with forward slashes.
        sizes: int64 [N], bytes.
        sha256: N digests of the content; empty if the content was not read (``bench.images.contents``).
    """

    root: Path
    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    sha256: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: NDArray[np.int64]) -> ImageFiles:
        """Return the files at ``indices``, in that order."""
        names = tuple(self.names[index] for index in indices)
        sha256 = tuple(self.sha256[index] for index in indices) if self.sha256 else ()
        return ImageFiles(self.root, names, self.sizes[indices], sha256)

    def joined(self, other: ImageFiles) -> ImageFiles:
        """Return these files followed by those of another, with the same root."""
        sizes = np.concatenate([self.sizes, other.sizes])
        return ImageFiles(self.root, self.names + other.names, sizes, self.sha256 + other.sha256)

    def locate(self, index: int) -> Path:
        """Return the path of a file with links resolved, which may have changed since the file was listed.

        Raises:
            DataError: the file is outside ``root``.
        """
        return inside(self.root / self.names[index], self.root)


class Skipped(NamedTuple):
    """A file, link or folder that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """Content of a folder at any depth.

    Attributes:
        files: the image files, sorted by path.
        skipped: entries that cannot be used: broken links, links that lead outside or in a circle, pipes and devices
            named like images, and folders that cannot be listed.
        others: paths of the files with other suffixes, relative to the folder.
    """

    files: ImageFiles
    skipped: tuple[Skipped, ...]
    others: tuple[str, ...]

    def without(self, unusable: Collection[Skipped]) -> Scan:
        """Return the scan with more files skipped."""
        left_out = {item.name for item in unusable}
        usable = np.flatnonzero(np.array([name not in left_out for name in self.files.names], dtype=bool))
        return replace(self, files=self.files.take(usable), skipped=tuple(sorted({*self.skipped, *unusable})))

    def other_suffixes(self, *, without: Collection[Path] = ()) -> Counter[str]:
        """Return suffix (lower case; empty for none) -> number of ``others`` with it.

        Args:
            without: files that are not counted; absolute, with symbolic links resolved.
        """
        others = (self.files.root / name for name in self.others)
        return Counter(path.suffix.lower() for path in others if path not in without)


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the directories in ``folder``, without hidden ones.

    Raises:
        DataError: ``folder`` cannot be listed, or has a broken link, which may have led to a class.
    """
    path = folder
    try:
        names = []
        for entry in _entries(folder):
            path = Path(entry.path)
            if _is_directory(entry):
                names.append(entry.name)
        return tuple(names)
    except _Unusable as error:
        raise _refused(path, str(error)) from error


def scan_classes(
    root: Path, split: str, classes: Sequence[str], *, empty_allowed: bool = False, message: str = ""
) -> tuple[ImageFiles, NDArray[np.int64]]:
    """Return the image files below ``root/split/CLASS``, at any depth, sorted by class and then by name, and labels.

    Files with other suffixes than ``SUFFIXES`` and hidden entries are ignored. Symbolic links are followed inside
    ``root``, which may itself be a link.

    Args:
        root: directory that must contain all files.
        split: folder in ``root`` with the class folders; empty for ``root`` itself.
        classes: names of the classes in the order of their numbers.
        empty_allowed: whether a class may have no image or no folder, as in a test split.
        message: what to do, added to the error about an empty class.

    Returns:
        The N files, and int64 [N] positions in ``classes``; separate, so that files carry no label.

    Raises:
        DataError: a class has no image, or an entry that cannot be used (``Scan.skipped``): a data set must not
            silently become smaller.
    """

    def refuse(name: str, reason: str) -> None:
        raise _refused(root / name, reason)

    root = root.resolve()
    names: list[str] = []
    sizes: list[int] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        folder = root / split / name
        before = len(names)
        if folder.is_dir() or not empty_allowed:
            for path, size in _files(folder, root, refuse):
                if size is not None:
                    names.append(path)
                    sizes.append(size)
        if len(names) == before and not empty_allowed:
            raise DataError(
                f"the class folder {folder} holds no image ({', '.join(SUFFIXES)}). "
                f"{message or 'Put images into it, or remove the folder.'}"
            )
        labels.extend([number] * (len(names) - before))
    return ImageFiles(root, tuple(names), np.array(sizes, dtype=np.int64)), np.array(labels, dtype=np.int64)


def scan_images(root: Path, suffixes: tuple[str, ...] = SUFFIXES) -> Scan:
    """Return the content of ``root`` at any depth, without hidden entries; links are followed as in ``scan_classes``.

    Args:
        root: the folder.
        suffixes: suffixes of image files, in lower case.

    Raises:
        DataError: ``root`` itself cannot be listed.
    """
    root = root.resolve()
    skipped: list[Skipped] = []

    def skip(name: str, reason: str) -> None:
        # If the root itself cannot be listed, it is not an empty folder.
        if name == ".":
            raise _refused(root, reason)
        skipped.append(Skipped(name, reason))

    listed = list(_files(root, root, skip, suffixes))
    # Sorted by the whole path: the walk sorts each level by name, which orders "a-b/" and "a/" differently.
    images = sorted((name, size) for name, size in listed if size is not None)
    files = ImageFiles(root, tuple(name for name, _ in images), np.array([size for _, size in images], dtype=np.int64))
    return Scan(files, tuple(sorted(skipped)), tuple(name for name, size in listed if size is None))


def inside(path: Path, root: Path) -> Path:
    """Return the resolved path, and refuse it if it is not in ``root``, which must be resolved already.

    Raises:
        DataError: the path is outside, or its links lead in a circle.
    """
    try:
        return _inside(path, root)
    except _Unusable as error:
        raise _refused(path, str(error)) from error


class _Unusable(Exception):
    """Why an entry of a folder cannot be used."""


def _refused(path: Path, reason: str) -> DataError:
    return DataError(f"cannot use {path}: {reason}. Remove it, or put the files themselves in its place.")


def _inside(path: Path, root: Path) -> Path:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:  # a circle is a RuntimeError up to Python 3.12
        raise _Unusable(_CIRCLE) from error
    # Checked after links are resolved: a link may lead anywhere, for example to private files.
    if not resolved.is_relative_to(root):
        raise _Unusable(f"it leads outside {root}, to {resolved}")
    return resolved


def _files(
    folder: Path, root: Path, skip: Callable[[str, str], None], suffixes: tuple[str, ...] = SUFFIXES
) -> Iterator[tuple[str, int | None]]:
    """Yield the files of a folder and of the folders in it, sorted by name at each level.

    Args:
        folder: the folder.
        root: resolved folder that must contain all files.
        skip: called with the path, relative to ``root``, of each entry that cannot be used, and why.
        suffixes: suffixes of image files.

    Yields:
        Path relative to ``root``, with forward slashes, and size in bytes; None for a file that is not named like an
        image.
    """
    # A stack, not recursion: folders may be nested deeper than Python's recursion limit.
    levels: list[tuple[Path, Iterator[os.DirEntry[str]]]] = []

    def enter(path: Path, resolved: Path) -> None:
        # Compared only with the folders above: two links to the same folder are no circle.
        if any(resolved == above for above, _ in levels):
            raise _Unusable(f"it leads back to {resolved}, which contains it")
        levels.append((resolved, iter(_entries(path))))

    try:
        enter(folder, _inside(folder, root))
    except _Unusable as error:
        skip(folder.relative_to(root).as_posix(), str(error))
    while levels:
        entry = next(levels[-1][1], None)
        if entry is None:
            levels.pop()
            continue
        path = Path(entry.path)
        name = path.relative_to(root).as_posix()
        try:
            if _is_directory(entry):
                # Only links are resolved: resolving a plain folder takes a system call for each part of its path.
                enter(path, _inside(path, root) if entry.is_symlink() else levels[-1][0] / entry.name)
            else:
                yield name, _size(entry, root) if name.lower().endswith(suffixes) else None
        except _Unusable as error:
            skip(name, str(error))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            # Sorted: the system lists in any order, but positions in the pool are part of every coreset.
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise _Unusable(f"the folder cannot be listed ({error.strerror})") from error


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        # A broken link may have led to a folder, whatever its name.
        return stat.S_ISDIR(entry.stat().st_mode) if entry.is_symlink() else entry.is_dir()
    except OSError as error:
        raise _Unusable(_why(error, entry)) from error


def _size(entry: os.DirEntry[str], root: Path) -> int:
    if entry.is_symlink():
        _inside(Path(entry.path), root)
    try:
        status = entry.stat()
        check_regular(Path(entry.path), status.st_mode)
    except OSError as error:
        raise _Unusable(_why(error, entry)) from error
    return status.st_size


def _why(error: OSError, entry: os.DirEntry[str]) -> str:
    if error.errno == errno.ELOOP:
        return _CIRCLE
    if isinstance(error, FileNotFoundError) and entry.is_symlink():
        with suppress(OSError):  # the link may be gone too by now
            return f"it is a link to {Path(entry.path).readlink()}, which does not exist"
    return error.strerror or str(error)
