"""CIFAR-10 and CIFAR-100 in their original layout, with few images: pickles as Python 2 wrote them."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class _Python2Pickler(pickle._Pickler):
    """Writes texts and the content of arrays as Python 2's strings, which have no counterpart in Python 3."""

    dispatch: ClassVar[dict[type, Callable[[Any, Any], None]]] = dict(pickle._Pickler.dispatch)

    def _save_string(self: Any, value: str | bytes) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        if len(content) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(content)]) + content)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save_string


def python2_pickle(value: Any) -> bytes:
    """Protocol 2, with the module names of numpy 1."""
    file = io.BytesIO()
    _Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def write_cifar10(root: Path, images: NDArray[np.uint8], labels: list[int]) -> None:
    """Write six batches of equal size, the last for testing; images uint8 [N, 3, 32, 32]."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    size = len(images) // len(names)
    for number, name in enumerate(names):
        part = slice(number * size, (number + 1) * size)
        batch = {
            "batch_label": f"batch {number + 1} of 6",
            "labels": labels[part],
            "data": images[part].reshape(size, -1),
            "filenames": [f"{place:05}.png" for place in range(size)],
        }
        (folder / name).write_bytes(python2_pickle(batch))
    meta = {"num_cases_per_batch": size, "label_names": list(CLASSES), "num_vis": 3072}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))


def write_cifar100(root: Path, train: NDArray[np.uint8], test: NDArray[np.uint8], names: list[str]) -> None:
    """Write both splits with fine labels that count through the classes and coarse ones of no use."""
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for name, images in (("train", train), ("test", test)):
        fine = [number % len(names) for number in range(len(images))]
        batch = {
            "filenames": [f"{place:05}.png" for place in range(len(images))],
            "batch_label": f"{name} batch 1 of 1",
            "fine_labels": fine,
            "coarse_labels": [0] * len(images),
            "data": images.reshape(len(images), -1),
        }
        (folder / name).write_bytes(python2_pickle(batch))
    meta = {"fine_label_names": names, "coarse_label_names": ["everything"]}
    (folder / "meta").write_bytes(python2_pickle(meta))
