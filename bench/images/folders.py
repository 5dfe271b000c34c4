"""Which image files a folder holds, of which class, and that none lies outside or is no regular file."""

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
        sha256: N digests of the content; empty where it was not read (``bench.images.contents``).
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
        """Return these files and then the other's, of the same root."""
        sizes = np.concatenate([self.sizes, other.sizes])
        return ImageFiles(self.root, self.names + other.names, sizes, self.sha256 + other.sha256)

    def locate(self, index: int) -> Path:
        """Find where a file is, links resolved; looked at anew, since a link may have been changed since it was listed.

        Raises:
            DataError: outside ``root``.
        """
        return inside(self.root / self.names[index], self.root)


class Skipped(NamedTuple):
    """A file, link or folder that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What lies below a folder.

    Attributes:
        files: the image files, sorted by path.
        skipped: what cannot be used: links that lead nowhere, outside or back, pipes and devices named like images,
            folders that cannot be listed.
        others: paths of the files with other suffixes, relative to the folder.
    """

    files: ImageFiles
    skipped: tuple[Skipped, ...]
    others: tuple[str, ...]

    def without(self, unusable: Collection[Skipped]) -> Scan:
        """Leave out files that could not be used for another reason, and tell it."""
        left_out = {item.name for item in unusable}
        stay = np.flatnonzero(np.array([name not in left_out for name in self.files.names], dtype=bool))
        return replace(self, files=self.files.take(stay), skipped=tuple(sorted({*self.skipped, *unusable})))

    def other_suffixes(self, *, without: Collection[Path] = ()) -> Counter[str]:
        """Count how many of the ``others`` have which suffix (lower case; empty for none).

        Args:
            without: files that are not counted; absolute, symbolic links resolved.
        """
        others = (self.files.root / name for name in self.others)
        return Counter(path.suffix.lower() for path in others if path not in without)


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the directories in ``folder``, sorted; hidden ones are left out.

    Raises:
        DataError: ``folder`` cannot be listed, or holds a link that leads nowhere, which may have been to a class.
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
    """List the image files below ``root/split/CLASS``, at any depth, sorted by class and then by name.

    Files with another suffix than ``SUFFIXES`` and hidden entries are left out. Symbolic links are followed as long as
    they stay below ``root``, which may itself be one.

    Args:
        root: directory that nothing may lie outside of.
        split: folder below ``root`` that holds the class folders; empty for ``root`` itself.
        classes: names in the order of their numbers.
        empty_allowed: whether a class may have no image (a test split) and its folder be missing.
        message: what to do, added to the error about an empty class.

    Returns:
        The N files, and apart from them, so that images alone carry no label, int64 [N] positions in ``classes``.

    Raises:
        DataError: a class has no image, or something in it cannot be used (``Scan.skipped``): a data set is not
            silently made smaller.
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
    """Look at everything below ``root``, at any depth, but hidden entries; links are followed as in ``scan_classes``.

    Args:
        root: the folder.
        suffixes: of the files that are images, in lower case.

    Raises:
        DataError: ``root`` itself cannot be listed.
    """
    root = root.resolve()
    skipped: list[Skipped] = []

    def skip(name: str, reason: str) -> None:
        # The root itself: a folder that cannot be listed is not an empty one.
        if name == ".":
            raise _refused(root, reason)
        skipped.append(Skipped(name, reason))

    listed = list(_files(root, root, skip, suffixes))
    # Sorted by the whole path: the walk goes by names level by level, where "a-b/" and "a/" come in another order.
    images = sorted((name, size) for name, size in listed if size is not None)
    files = ImageFiles(root, tuple(name for name, _ in images), np.array([size for _, size in images], dtype=np.int64))
    return Scan(files, tuple(sorted(skipped)), tuple(name for name, size in listed if size is None))


def inside(path: Path, root: Path) -> Path:
    """Resolve ``path`` and check that it lies below ``root``, which must be resolved already.

    Raises:
        DataError: it lies outside, or its links lead round in a circle.
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
    except (OSError, RuntimeError) as error:  # the second: Python 3.12 and earlier, of a circle
        raise _Unusable(_CIRCLE) from error
    # After the links are resolved: what a link names may lie anywhere, a user's private files included.
    if not resolved.is_relative_to(root):
        raise _Unusable(f"it leads outside {root}, to {resolved}")
    return resolved


def _files(
    folder: Path, root: Path, skip: Callable[[str, str], None], suffixes: tuple[str, ...] = SUFFIXES
) -> Iterator[tuple[str, int | None]]:
    """Go through a folder and, where it stands in the order of names, each folder in it.

    Args:
        folder: where to begin.
        root: that nothing may lie outside of, resolved.
        skip: told the path, relative to ``root``, of what cannot be used, and why.
        suffixes: of images.

    Yields:
        Path relative to ``root``, with forward slashes, and size in bytes; None for a file that is not named like an
        image, which is not looked at.
    """
    # A stack of our own, not recursion: folders may lie deeper in each other than Python has frames.
    levels: list[tuple[Path, Iterator[os.DirEntry[str]]]] = []

    def enter(path: Path, resolved: Path) -> None:
        # Against the folders above alone: the same folder beside itself, by two links, is no circle.
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
                # Only links are resolved: for a plain folder that is one call of the system per part of its path.
                enter(path, _inside(path, root) if entry.is_symlink() else levels[-1][0] / entry.name)
            else:
                yield name, _size(entry, root) if name.lower().endswith(suffixes) else None
        except _Unusable as error:
            skip(name, str(error))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            # Sorted, since the system lists in any order, and positions in the pool are part of every coreset.
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise _Unusable(f"the folder cannot be listed ({error.strerror})") from error


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        # A link that leads nowhere may have been to a folder, whatever its name.
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
        with suppress(OSError):  # the link may be gone as well by now
            return f"it is a link to {Path(entry.path).readlink()}, which does not exist"
    return error.strerror or str(error)
