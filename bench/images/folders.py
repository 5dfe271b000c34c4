"""Directories of class folders: which image files they hold, of which class, and that none lies outside."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class ImageFiles:
    """N image files below one directory.

    Attributes:
        root: absolute directory, symbolic links resolved.
        names: N paths relative to ``root``, with forward slashes.
        sizes: int64 [N], bytes.
    """

    root: Path
    names: tuple[str, ...]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: NDArray[np.int64]) -> ImageFiles:
        """The files at ``indices``, in that order."""
        names = tuple(self.names[index] for index in indices)
        return ImageFiles(self.root, names, self.sizes[indices])

    def joined(self, other: ImageFiles) -> ImageFiles:
        """These files and then the other's, of the same root."""
        return ImageFiles(self.root, self.names + other.names, np.concatenate([self.sizes, other.sizes]))


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the directories in ``folder``, sorted; hidden ones are left out.

    Raises:
        DataError: ``folder`` cannot be listed.
    """
    return tuple(entry.name for entry in _listed(folder) if _is_directory(entry))


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
        DataError: a folder cannot be listed, a class has no image, or a link leads outside or round in a circle.
    """
    root = root.resolve()
    names: list[str] = []
    sizes: list[int] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        folder = root / split / name
        before = len(names)
        if folder.is_dir() or not empty_allowed:
            for path, size in _image_files(folder, root):
                names.append(path)
                sizes.append(size)
        if len(names) == before and not empty_allowed:
            raise DataError(
                f"the class folder {folder} holds no image ({', '.join(SUFFIXES)}). "
                f"{message or 'Put images into it, or remove the folder.'}"
            )
        labels.extend([number] * (len(names) - before))
    return ImageFiles(root, tuple(names), np.array(sizes, dtype=np.int64)), np.array(labels, dtype=np.int64)


def scan_images(root: Path) -> ImageFiles:
    """List the image files below ``root``, at any depth, sorted by path; links as in ``scan_classes``.

    Raises:
        DataError: a folder cannot be listed, or a link leads outside or round in a circle.
    """
    root = root.resolve()
    found = sorted(_image_files(root, root))
    return ImageFiles(root, tuple(name for name, _ in found), np.array([size for _, size in found], dtype=np.int64))


def other_suffixes(root: Path, *, without: Collection[Path] = ()) -> Counter[str]:
    """How many files below ``root`` have which suffix (lower case; empty for none) that is not among ``SUFFIXES``.

    Args:
        root: directory.
        without: files that are not counted; absolute, symbolic links resolved.

    Raises:
        DataError: as ``scan_images``.
    """
    root = root.resolve()
    others = (root / path for path, _ in _files(root, root, ()) if not _is_image(path))
    return Counter(path.suffix.lower() for path in others if path not in without)


def inside(path: Path, root: Path) -> Path:
    """Resolve ``path`` and check that it lies below ``root``, which must be resolved already.

    Raises:
        DataError: it lies outside, or its links lead round in a circle.
    """
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:
        raise DataError(f"cannot follow the symbolic link {path}: {error}.") from error
    if not resolved.is_relative_to(root):
        raise DataError(
            f"{path} leads outside {root}, to {resolved}. Copy the files there instead of linking, "
            f"or name the directory that holds them."
        )
    return resolved


def _image_files(folder: Path, root: Path) -> Iterator[tuple[str, int]]:
    return ((path, _size(entry)) for path, entry in _files(folder, root, ()) if _is_image(path))


def _files(folder: Path, root: Path, above: tuple[Path, ...]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    resolved = inside(folder, root)
    if resolved in above:
        raise DataError(f"the symbolic link {folder} leads back to {resolved}, which contains it.")
    for entry in _listed(folder):
        path = Path(entry.path)
        if entry.is_symlink():
            inside(path, root)
        if _is_directory(entry):
            yield from _files(path, root, (*above, resolved))
        else:
            yield path.relative_to(root).as_posix(), entry


def _is_image(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"cannot list the folder {folder}: {error.strerror}.") from error


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise DataError(f"cannot read {entry.path}: {error.strerror}.") from error


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError as error:
        raise DataError(f"cannot read {entry.path}: {error.strerror}.") from error
