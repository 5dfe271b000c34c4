"""Data sets in the harness: a training and a test split, in memory or decoded from files as needed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar, cast, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

Array = TypeVar("Array", bound=NDArray[Any])
Arrays = dict[str, NDArray[Any]]
"""Named arrays without Python objects, so that they can be stored without pickle."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of each channel, in [0, 1]: the constants that every torchvision model is trained with."""


@runtime_checkable
class FileImages(Protocol):
    """N images of one shape, decoded from files as needed: for data sets that do not fit in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest that changes when the files change."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return centre crops, uint8 [B, C, H, W]."""
        ...

    def augmented(self, indices: NDArray[np.int64], rng_seeds: Sequence[int], /) -> NDArray[np.uint8]:
        """Return random resized crops, mirrored at random, one seed per image: uint8 [B, C, H, W]."""
        ...


Images: TypeAlias = NDArray[np.uint8] | FileImages
"""Images: a uint8 array [N, C, H, W], or files that are indexed like one."""


@dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
        images: uint8 [N, C, H, W], or vectors float32 [N, D].
        labels: int64 [N] in [0, num_classes).
    """

    images: Images
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training split (the pool) and a test split, with the names of the classes.

    Attributes:
        train: the pool.
        test: the test split, used for accuracy alone and never for a choice.
        class_names: C names, in the order of their numbers.
        mean: per-channel mean of the training images in [0, 1].
        std: per-channel standard deviation in [0, 1].
        pool_index: int64 [N]; position of each pool image in the full training split.
    """

    train: Split
    test: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pool_index: NDArray[np.int64]

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return len(self.class_names)


def make_dataset(
    train: tuple[Images | NDArray[np.float32], Sequence[int] | NDArray[np.integer]],
    test: tuple[Images | NDArray[np.float32], Sequence[int] | NDArray[np.integer]],
    *,
    class_names: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
) -> Dataset:
    """Return a data set made of the arrays that a reader read, after checking them.

    Args:
        train: images uint8 [N, C, H, W], or vectors float32 [N, D], and labels [N], whole numbers.
        test: the same for the test split, which may lack some of the classes.
        class_names: C names, at least two, in the order of their numbers.
        mean: mean of each channel, in [0, 1].
        std: standard deviation of each channel, in [0, 1].

    Raises:
        DataError: wrong shapes or types, an empty split, labels outside [0, C), fewer than two classes, two classes of
            one name, a class without training images, or mean and std for another number of channels.
    """
    # Pickled CIFAR files hold bytes, and other readers numpy's strings; rows and JSON need plain text.
    names = tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in class_names)
    splits = {}
    for name, (images, labels) in {"train": train, "test": test}.items():
        shape, kind = getattr(images, "shape", ()), getattr(images, "dtype", np.dtype(np.uint8))
        vectors = len(shape) == 2 and kind == np.float32
        # By shape and dtype alone: images in files are not read here.
        if (not vectors and (len(shape) != 4 or kind != np.uint8)) or 0 in shape[1:]:
            raise DataError(f"{name} images must be uint8 [N, C, H, W], got {kind} of shape {tuple(shape)}.")
        if np.shape(labels) != (len(images),) or len(images) == 0:
            raise DataError(f"{name} split has {len(images)} images and labels of shape {np.shape(labels)}.")
        splits[name] = Split(cast("Images", images), _checked_labels(np.asarray(labels), name, names))
    pool, test_split = splits["train"], splits["test"]
    if pool.images.shape[1:] != test_split.images.shape[1:]:
        raise DataError(f"train images are {pool.images.shape[1:]} but test images {test_split.images.shape[1:]}.")
    _check_classes(pool.labels, names)
    if len(pool.images.shape) == 2:  # vectors are not normalised
        return Dataset(pool, test_split, names, (0.0,), (1.0,), np.arange(len(pool)))
    channels = pool.images.shape[1]
    in_range = all(0 <= value <= 1 for value in (*mean, *std)) and all(value > 0 for value in std)
    if not len(mean) == len(std) == channels or not in_range:
        raise DataError(
            f"mean and std must be {channels} numbers in [0, 1] each, one per channel, with a std above 0; got "
            f"{tuple(mean)} and {tuple(std)}."
        )
    return Dataset(pool, test_split, names, tuple(mean), tuple(std), np.arange(len(pool)))


def _checked_labels(labels: NDArray[Any], split: str, class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return the labels as int64, or refuse labels that do not number the classes."""
    # Only whole numbers are cast: 1.5 would become 1, and a uint64 of 2^63 a negative number.
    if labels.dtype.kind not in "iu":
        raise DataError(f"{split} labels are {labels.dtype}; they must be whole numbers, one class per image.")
    if len(class_names) < 2:
        raise DataError(f"at least two classes are needed, found {', '.join(map(repr, class_names)) or 'none'}.")
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(
            f"{split} labels must number the {len(class_names)} classes from 0, without gaps, the same in both splits; "
            f"found {_listed(labels)}."
        )
    return labels.astype(np.int64)


def _check_classes(labels: NDArray[np.int64], class_names: Sequence[str]) -> None:
    """Refuse classes without training images, and classes of one name, which no table could tell apart."""
    if repeated := [name for name, count in Counter(class_names).items() if count > 1]:
        raise DataError(f"class names must differ, found {repeated[0]!r} more than once.")
    empty = np.flatnonzero(np.bincount(labels, minlength=len(class_names)) == 0)
    if empty.size:
        first = f"{class_names[empty[0]]!r} (label {empty[0]})"
        raise DataError(
            f"train split has no image of {empty.size} of {len(class_names)} classes, such as {first}; its labels are "
            f"{_listed(labels)}. Leave out classes without training images, and number the others from 0 without gaps."
        )


def _listed(labels: NDArray[np.integer]) -> str:
    """Return the distinct values as ``1, 2, 3``; if there are many, only the first ones and the last."""
    values = np.unique(labels).tolist()
    if len(values) <= 8:
        return ", ".join(map(str, values))
    return f"{', '.join(map(str, values[:4]))}, ..., {values[-1]} ({len(values)} different ones)"


def take_pool(dataset: Dataset, size: int | None, seed: int = 0) -> Dataset:
    """Restrict the pool to ``size`` images, drawn uniformly.

    The draw has a seed of its own, so that all cells of a grid share one pool. It ignores labels: a label-free method
    must not be handed a stratified pool.

    Raises:
        DataError: ``size`` is above the number of training images.
    """
    if size is None:
        return dataset
    total = len(dataset.train)
    if not 1 <= size <= total:
        raise DataError(f"pool_size={size} is not valid: the training split has {total} images.")
    # Sorted, so that files are read forwards, and a pool of all images is the training split itself.
    index = np.sort(np.random.default_rng(seed).choice(total, size, replace=False))
    images = take_images(dataset.train.images, index)
    return replace(dataset, train=Split(images, dataset.train.labels[index]), pool_index=dataset.pool_index[index])


@overload
def take_images(images: Images, index: NDArray[np.int64]) -> Images: ...
@overload
def take_images(images: Images | NDArray[np.float32], index: NDArray[np.int64]) -> Images | NDArray[np.float32]: ...
def take_images(images: Any, index: NDArray[np.int64]) -> Any:
    """Return the images (or embeddings) at ``index``: of an array a copy, of files a view."""
    return images[index] if isinstance(images, np.ndarray) else FileSubset(images, index)


def read_only(array: Array) -> Array:
    """Return a view that refuses assignment. It suits an array that nobody else reads; for others see ``private``."""
    view = array.view()
    view.flags.writeable = False
    return view


def private(array: Array) -> Array:
    """Return a read-only copy for a plugin, so that nobody else sees what the plugin does to it.

    A read-only view would not suffice, since it stops plain assignment only: ``torch.from_numpy``, ``setflags``,
    ``.base`` and ``ctypes`` all reach the memory behind it, which serves every later stage of the process.
    """
    return read_only(np.array(array))  # type: ignore[return-value]


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of the data set's content: pixels (or the files' fingerprint), labels and class names."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.test):
        images = split.images
        # With the shape, since the same bytes in another shape are other images.
        digest.update(repr(images.shape).encode())
        if isinstance(images, np.ndarray):
            digest.update(np.ascontiguousarray(images).data)
        else:
            digest.update(images.fingerprint.encode())
        digest.update(np.ascontiguousarray(split.labels).data)
    digest.update("\0".join(dataset.class_names).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class FileSubset:
    """A subset of images in files."""

    images: FileImages
    index: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), *self.images.shape[1:])

    @property
    def fingerprint(self) -> str:
        return f"{self.images.fingerprint}:{hashlib.sha256(self.index.data).hexdigest()}"

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[self.index[indices]]

    def augmented(self, indices: NDArray[np.int64], rng_seeds: Sequence[int]) -> NDArray[np.uint8]:
        return self.images.augmented(self.index[indices], rng_seeds)


class ImageView:
    """Images in files as a method sees them: pixels only, since the names of the files tell their classes.

    The files are kept in closures instead of an attribute, so that ordinary attribute access does not reach them. A
    view cannot be pickled.

    Args:
        images: the images to read from.
    """

    __slots__ = ("_augmented", "_fingerprint", "_read", "_shape")

    def __init__(self, images: FileImages) -> None:
        # Functions around the images, not their bound methods, which have them as __self__. They copy, since an
        # outside reader may return a view of an array that it keeps.
        self._read = lambda indices: np.array(images[indices])
        self._augmented = lambda indices, rng_seeds: np.array(images.augmented(indices, rng_seeds))
        self._fingerprint = lambda: images.fingerprint
        self._shape = images.shape

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def fingerprint(self) -> str:
        return self._fingerprint()

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._read(indices)

    def augmented(self, indices: NDArray[np.int64], rng_seeds: Sequence[int]) -> NDArray[np.uint8]:
        return self._augmented(indices, rng_seeds)
