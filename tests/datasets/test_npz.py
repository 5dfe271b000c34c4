"""The readers of npz files, on real images: handwritten digits in the layouts of MedMNIST and of Keras.

No package ships a file of MedMNIST, so these tests cannot read one of its own; the layout is that of the package
``medmnist``, whose own class reads the same file here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError
from tests.datasets.reading import load
from tests.digits import load_digits
from tests.narrowing import in_memory

DIGITS = load_digits()
IMAGES = np.rint(DIGITS.images * (255 / 16)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)[:, 2:-2, 2:-2]
LABELS = DIGITS.target.astype(np.uint8)


def npz_file(folder: Path, **changes: Any) -> Path:
    arrays = {"x_train": IMAGES[:100], "y_train": LABELS[:100], "x_test": IMAGES[100:150], "y_test": LABELS[100:150]}
    kept = {key: value for key, value in (arrays | changes).items() if value is not None}
    np.savez(folder / "mine.npz", **kept)
    return folder / "mine.npz"


def test_npz_reads_grey_images_and_measures_them(tmp_path: Path) -> None:
    dataset = load("npz", tmp_path, path=npz_file(tmp_path).name)
    assert np.array_equal(in_memory(dataset.train.images), IMAGES[:100, None])
    assert np.array_equal(dataset.test.labels, LABELS[100:150])
    assert dataset.class_names == tuple("0123456789")
    assert dataset.mean == pytest.approx([(IMAGES[:100] / 255).mean()], abs=1e-4)
    assert dataset.std == pytest.approx([(IMAGES[:100] / 255).std()], abs=1e-4)


def test_npz_reads_colours_names_and_a_column_of_labels(tmp_path: Path) -> None:
    colours = np.stack([IMAGES[:100], IMAGES[:100] // 2, np.zeros_like(IMAGES[:100])], axis=3)
    names = np.array([f"digit {number}" for number in range(10)])
    path = npz_file(
        tmp_path,
        x_train=colours,
        y_train=LABELS[:100, None],
        x_test=colours[:50],
        y_test=LABELS[:50],
        class_names=names,
    )
    dataset = load("npz", None, path=str(path))
    assert dataset.class_names == tuple(names)
    assert np.array_equal(in_memory(dataset.train.images), colours.transpose(0, 3, 1, 2))
    assert (dataset.mean[2], dataset.std[2]) == (0.0, 1.0), "a dark channel must not divide by zero"


def test_a_test_split_may_lack_classes_and_labels_be_of_any_whole_type(tmp_path: Path) -> None:
    for kind in ("int8", "uint16", ">i4", "uint64"):
        labels = {"y_train": (LABELS[:100] % 3).astype(kind), "y_test": np.zeros(50, kind)}
        dataset = load("npz", tmp_path, path=npz_file(tmp_path, **labels).name)
        assert dataset.num_classes == 3
        assert dataset.train.labels.dtype == np.int64
        assert dataset.train.labels.tolist() == (LABELS[:100] % 3).tolist()


def test_class_names_given_as_bytes_are_texts(tmp_path: Path) -> None:
    names = np.array(["cat", "dog", "K\u00e4fer"])
    stored = np.char.encode(names, "utf-8")
    path = npz_file(tmp_path, y_train=LABELS[:100] % 3, y_test=LABELS[100:150] % 3, class_names=stored)
    assert load("npz", tmp_path, path=path.name).class_names == tuple(names)


def test_npz_reads_the_shared_part_of_cifar100(cifar100_subset_root: Path) -> None:
    own = load("cifar100-subset", cifar100_subset_root)
    general = load("npz", cifar100_subset_root, path="cifar-100-subset/cifar100_subset_5k_1k.npz")
    assert np.array_equal(in_memory(own.train.images), in_memory(general.train.images))
    assert np.array_equal(own.test.labels, general.test.labels)


class Trap:
    """Touches a file if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y_test": None}, "mine.npz lacks y_test; it holds x_test, x_train, y_train."),
        ({"x_train": IMAGES[:100] / 255}, "x_train is float64 of shape (100, 28, 28); images must be uint8"),
        ({"x_train": IMAGES[:100] / 255}, "They lie in 0 to 1 here: (x * 255).round().astype('uint8')."),
        ({"x_train": IMAGES[:100, None].repeat(3, axis=1)}, "shape (100, 3, 28, 28); images must be"),
        ({"x_train": IMAGES[:100, :20]}, "shape (100, 20, 28); images must be uint8, square"),
        ({"x_train": LABELS[:100]}, "x_train is uint8 of shape (100,)"),
        ({"y_train": np.eye(10)[LABELS[:100]]}, "y_train is float64 of shape (100, 10); labels must be whole numbers"),
        ({"y_train": np.eye(10, dtype=int)[LABELS[:100]]}, "one class per image"),
        ({"y_train": LABELS[:99]}, "train split has 100 images and labels of shape (99,)"),
        ({"y_train": LABELS[:100] == 1}, "y_train is bool of shape (100,); labels must be whole numbers"),
        ({"y_train": LABELS[:100] / 2}, "If they number the classes: y.astype(int)."),
        ({"y_train": LABELS[:100].astype(str)}, "class_names, y = np.unique(names, return_inverse=True)"),
        ({"y_train": LABELS[:100].astype(int) - 1}, "train labels must number the 10 classes from 0, without gaps"),
        ({"y_train": LABELS[:100].astype(int) - 1}, "found -1, 0, 1, 2, ..., 8 (10 different ones)."),
        ({"y_train": LABELS[:100] % 3 + 1}, "train labels must number the 3 classes from 0, without gaps, the same in"),
        ({"y_train": LABELS[:100] % 3 + 1}, "found 1, 2, 3."),
        ({"y_train": LABELS[:100] % 2 * 5}, "the 2 classes from 0, without gaps, the same in both splits; found 0, 5."),
        ({"y_train": LABELS[:100].astype(int) % 2 * 2**40}, "found 0, 1099511627776."),
        ({"y_train": LABELS[:100] % 2 * np.uint64(2**63 + 5)}, "found 0, 9223372036854775813."),
        ({"y_test": LABELS[100:150].astype(int) + 1}, "test labels must number the 10 classes from 0, without gaps"),
        ({"y_train": np.full(100, 5)}, "at least two classes are needed, found '5'"),
        ({"class_names": np.array(["zero", "one"])}, "train labels must number the 2 classes from 0"),
        ({"class_names": np.array([*"0123456789", "x"])}, "no image of 1 of 11 classes, such as 'x' (label 10)"),
        ({"class_names": np.array(["digit"] * 10)}, "class names must differ, found 'digit' more than once"),
        ({"class_names": np.array([*"0123456789"], dtype=object)}, "class_names holds Python objects"),
        ({"x_train": IMAGES[:100].astype(np.int64)}, "They lie in 0 to 255 here: x.round().astype('uint8')."),
        ({"x_train": IMAGES[:100, None]}, "The channels are second here: x.transpose(0, 2, 3, 1)."),
        ({"x_train": IMAGES[:100, ..., None].repeat(4, axis=3)}, "Leave the alpha channel out: x[..., :3]."),
        ({"x_train": IMAGES[:100, :0, :0], "x_test": IMAGES[100:150, :0, :0]}, "got uint8 of shape (100, 1, 0, 0)"),
        ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "test split has 0 images"),
        ({"x_test": IMAGES[100:150, 2:-2, 2:-2]}, "train images are (1, 28, 28) but test images (1, 24, 24)"),
    ],
)
def test_wrong_arrays_are_explained(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^dataset npz: .*{re.escape(says)}"):
        load("npz", tmp_path, path=npz_file(tmp_path, **changes).name)


def test_pickled_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    path = npz_file(tmp_path, y_train=np.array([Trap(touched)] * 100, dtype=object))
    with pytest.raises(DataError, match=r"mine\.npz: y_train holds Python objects, which are not read"):
        load("npz", tmp_path, path=path.name)
    assert not touched.exists()
    with np.load(path, allow_pickle=True) as trusting:
        trusting["y_train"]
    assert touched.exists(), "the trap works where it is sprung"


@pytest.mark.parametrize("damage", ["cut", "text", "npy", "flipped"])
def test_damaged_files_are_named(damage: str, tmp_path: Path) -> None:
    path = npz_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    other = tmp_path / "array.npy"
    np.save(other, IMAGES)
    damaged: dict[str, bytes | bytearray] = {
        "cut": path.read_bytes()[:5000],
        "text": b"label,pixel\n",
        "npy": other.read_bytes(),
        "flipped": content,
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"mine\.npz is corrupt"):
        load("npz", tmp_path, path=path.name)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "names no file. Use npz(path="),
        ({"path": "missing.npz"}, "missing.npz is missing"),
        ({"path": "."}, "is a folder"),
    ],
)
def test_a_file_that_is_not_there_is_explained(params: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("npz", tmp_path, **params)
    assert says in str(caught.value)
    with pytest.raises(DataError, match="names no file"):
        load("npz", None, path="relative.npz")
