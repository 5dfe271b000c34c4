"""``@labels=FILE``: the training labels of a file in place of a data set's own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.data import Dataset
from bench.engine.plan import make_plan
from bench.errors import BenchError, DataError, SpecError
from bench.grid.spec import load_spec
from bench.loading import load_dataset
from bench.modifiers import check_modifiers, describe
from bench.results.rows import write_row
from bench.stages.base import in_order
from bench.stages.session import Session
from tests.narrowing import in_memory

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def read(name: str, labels: object, root: Path | None, **more: Any) -> Dataset:
    modifiers = {"labels": str(labels), **more.pop("modifiers", {})}
    return load_dataset(name, {}, root=root, download=False, pool_size=more.get("pool_size"), modifiers=modifiers)


@pytest.fixture
def noisy_labels() -> NDArray[np.int64]:
    """Of the 100 training images of ``cifar_root``: every third is called by the next class."""
    own = np.arange(100) % 10
    return np.where(np.arange(100) % 3 == 0, (own + 1) % 10, own)


def as_human_pt(path: Path, labels: NDArray[np.int64]) -> str:
    """The layout of ``CIFAR-10_human.pt`` (Wei et al. 2022): numpy's arrays by name."""
    clean = np.arange(100) % 10
    torch.save({"clean_label": clean, "worse_label": labels, "random_label1": labels[::-1].copy()}, path)
    return f"{path}:worse_label"


def as_old_human_pt(path: Path, labels: NDArray[np.int64]) -> str:
    """The same as written before 2024: torch's format of that time, with the module names of numpy 1."""
    torch.save({"worse_label": labels, "clean_label": labels}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    content = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"cnumpy.core.multiarray\n" in content
    path.write_bytes(content)
    return f"{path}:worse_label"


def as_tensor(path: Path, labels: NDArray[np.int64]) -> str:
    torch.save(torch.as_tensor(labels), path)
    return str(path)


def as_npy(path: Path, labels: NDArray[np.int64]) -> str:
    np.save(path, labels.astype(np.uint8))
    return str(path)


def as_npz_of_one(path: Path, labels: NDArray[np.int64]) -> str:
    np.savez(path, y=labels, votes=np.zeros((100, 10)))
    return str(path)


def as_csv(path: Path, labels: NDArray[np.int64]) -> str:
    lines = [f'"{place}, jpg",{NAMES[number]},{number}' for place, number in enumerate(labels)]
    path.write_text("file,label,number\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return f"{path}:label"


def as_csv_of_numbers(path: Path, labels: NDArray[np.int64]) -> str:
    return as_csv(path, labels).replace(":label", ":number")


def as_txt(path: Path, labels: NDArray[np.int64]) -> str:
    path.write_text("".join(f"{number}\r\n" for number in labels), encoding="utf-8")
    return str(path)


def as_txt_of_names(path: Path, labels: NDArray[np.int64]) -> str:
    path.write_text("\n".join(NAMES[number] for number in labels), encoding="utf-8")
    return str(path)


def as_npy_of_names(path: Path, labels: NDArray[np.int64]) -> str:
    np.save(path, np.array(NAMES)[labels].astype("S"))
    return str(path)


WRITERS: list[tuple[str, Callable[[Path, NDArray[np.int64]], str]]] = [
    ("CIFAR-10_human.pt", as_human_pt),
    ("old.pt", as_old_human_pt),
    ("tensor.pth", as_tensor),
    ("y.npy", as_npy),
    ("names.npy", as_npy_of_names),
    ("y.npz", as_npz_of_one),
    ("y.csv", as_csv),
    ("numbers.csv", as_csv_of_numbers),
    ("y.txt", as_txt),
    ("names.txt", as_txt_of_names),
    ("with:colon.npy", as_npy),
]


@pytest.mark.parametrize(("name", "write"), WRITERS, ids=[name for name, _ in WRITERS])
def test_every_kind_of_file_gives_the_same_labels(
    name: str, write: Callable[[Path, NDArray[np.int64]], str], cifar_root: Path, noisy_labels: NDArray[np.int64]
) -> None:
    whole, below = write(cifar_root / name, noisy_labels), f"{name}{write(Path(name), noisy_labels)[len(name) :]}"
    Path(name).unlink()
    plain = load_dataset("cifar10", {}, root=cifar_root, download=False, pool_size=None)
    for labels in (whole, below):
        version = read("cifar10", labels, cifar_root)
        assert version.train.labels.dtype == np.int64
        assert np.array_equal(version.train.labels, noisy_labels)
        assert np.array_equal(in_memory(version.train.images), in_memory(plain.train.images))
        assert np.array_equal(in_memory(version.test.images), in_memory(plain.test.images))
        assert np.array_equal(version.test.labels, plain.test.labels)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def write_digits(path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    np.save(path, labels)
    return labels


@pytest.fixture
def digits() -> Dataset:
    return load_dataset("digits", {}, root=None, download=False, pool_size=None)


def test_images_go_first_then_labels_then_the_pool_is_drawn(tmp_path: Path, digits: Dataset) -> None:
    labels = write_digits(tmp_path / "y.npy", (digits.train.labels + 1) % 10)
    tailed = load_dataset("digits", {}, root=None, download=False, pool_size=None, modifiers={"imbalance": 5})
    version = read("digits", tmp_path / "y.npy", None, modifiers={"imbalance": 5})
    assert np.array_equal(version.pool_index, tailed.pool_index)
    assert np.array_equal(version.train.labels, labels[tailed.pool_index])
    drawn = read("digits", tmp_path / "y.npy", None, pool_size=200)
    assert np.array_equal(drawn.train.labels, labels[drawn.pool_index])


def test_a_changed_file_is_another_data_set_and_cannot_join_the_rows_of_the_first(
    tmp_path: Path, digits: Dataset
) -> None:
    path = tmp_path / "y.npy"
    grid = {
        "datasets": f"digits@labels={path}",
        "methods": "random",
        "rates": "0.9",
        "recipe": {"iterations": 2},
    }
    write_digits(path, digits.train.labels)
    first = make_plan(load_spec(given=grid), out=tmp_path / "out")
    [cell] = first.cells
    session = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    write_row(cell.row(session), tmp_path / "out")
    write_digits(path, (digits.train.labels + 1) % 10)
    with pytest.raises(SpecError, match="holds a row that no table can show beside these cells"):
        make_plan(load_spec(given=grid), out=tmp_path / "out")
    [other] = make_plan(load_spec(given=grid), out=tmp_path / "other").cells
    assert other.dataset.fingerprint != cell.dataset.fingerprint
    assert other.cell_id != cell.cell_id
    # A worker that was planned with the first labels does not go on with the second.
    with pytest.raises(DataError, match="is not the data that the run was planned with"):
        Session(out=tmp_path / "third", cache=tmp_path / "cold").dataset(
            cell.dataset.model_copy(update={"fingerprint": "0" * 64})
        )


def test_stages_that_read_no_label_are_shared_with_the_data_set_itself(tmp_path: Path, digits: Dataset) -> None:
    write_digits(tmp_path / "y.npy", (digits.train.labels + 1) % 10)
    found = {}
    for dataset in ("digits", f"digits@labels={tmp_path / 'y.npy'}"):
        grid = {"datasets": dataset, "methods": "random,elfs(clustering=kmeans,beta=0.1),aum", "rates": "0.5"}
        plan = make_plan(load_spec(given=grid), out=tmp_path / "out")
        found[dataset] = {cell.method: set(in_order([cell.selection()])) for cell in plan.cells}
    plain, given = found.values()
    assert {name: plain[name] == given[name] for name in plain} == {"random": True, "elfs": True, "aum": False}


def test_a_long_path_leaves_the_name_of_a_cell_short(tmp_path: Path, digits: Dataset) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    path = folder / ("c" * 90 + ".npy")
    write_digits(path, digits.train.labels)
    grid = {"datasets": f"digits@labels={path}", "methods": "random", "rates": "0.5", "recipe": {"iterations": 2}}
    [cell] = make_plan(load_spec(given=grid), out=tmp_path / "out").cells
    assert len(cell.cell_id) < 200
    row = cell.row(Session(out=tmp_path / "out", cache=tmp_path / "cache"))
    assert row.dataset == f"digits@labels={path}"
    assert f"labels of {path}" in describe({"labels": str(path)})


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code of a file was run')",)


def _write(path: Path, content: object) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".pt":
        torch.save(content, path)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif isinstance(content, dict):
        np.savez(path, **content)
    elif isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)


GOOD = np.arange(100) % 10


@pytest.mark.parametrize(
    ("given", "content", "says"),
    [
        ("none.npy", None, "none.npy is missing. Use @labels=FILE, or @labels=FILE:NAME"),
        ("y.json", "[1]", "y.json is not a file of labels by its suffix; valid: .npy, .npz, .pt, .pth, .csv, .txt."),
        ("y.npy", GOOD[:99], "has 99 labels, but the training split has 100 images; give one label for each, in the"),
        ("y.csv", "label\n" + "\n".join(map(str, GOOD[1:])), "The first line of a .csv names its columns."),
        (
            "y.npy",
            np.where(GOOD == 3, 10, GOOD),
            "label 4 is 10, which is not a class; valid: 0 (airplane) to 9 (tr",
        ),
        ("y.npy", np.where(GOOD == 0, -1, GOOD), "label 1 is -1, which is not a class"),
        ("y.txt", "-1\n" + "\n".join(map(str, GOOD[1:])), "label 1 is -1, which is not a class"),
        ("y.txt", "airplan\n" + "ship\n" * 99, "label 1: unknown class 'airplan'. Did you mean airplane? Valid:"),
        ("y.txt", "3\n" + "ship\n" * 99, "label 1: unknown class '3'"),
        ("y.npy", np.where(GOOD == 9, 8, GOOD), "would leave 1 of 10 classes without images (truck first)"),
        ("y.npy", GOOD / 2, "y.npy holds float64 of shape (100,); labels are whole numbers or names of classes"),
        ("y.npy", np.eye(100, 10, dtype=int), "holds int64 of shape (100, 10); labels are whole numbers"),
        ("y.npy", GOOD.astype(object), "Python objects are not read, since reading them can run code."),
        ("y.npy", b"\x93NUMPY\x01\x00", "cannot read the labels"),
        ("y.npy", b"", "cannot read the labels"),
        ("y.npz", b"PK\x03\x04 cut off", "is not an npz file, or was cut off"),
        ("y.npz", {"a": GOOD, "b": GOOD}, "y.npz holds 2 lists of labels (a, b); say which: @labels=y.npz:a."),
        ("y.npz:worst", {"worse": GOOD, "b": GOOD}, "unknown array or column 'worst'. Did you mean worse?"),
        ("y.npz:b", {"a": GOOD, "b": GOOD / 2}, "y.npz:b holds float64 of shape (100,)"),
        ("y.csv", "a,b\n1,2\n3\n", "line 3 has another number of columns than the first line."),
        ("y.csv", "", "y.csv is empty; its first line names its columns."),
        ("y.csv", "label,label\n0,1\n1,0\n", "two columns are called 'label'; rename or remove one."),
        ("y.txt", "", "has 0 labels, but"),
        ("y.txt", b"\xff\xfe\x00", "cannot read the labels"),
        ("y.pt", {"worse_label": _Runs(), "b": GOOD}, "cannot read the labels"),
        ("y.pt", b"not torch's", "cannot read the labels"),
        ("folder.npy", "folder", "cannot read the labels"),
    ],
)
def test_a_wrong_file_is_one_clear_error_before_the_work(
    given: str, content: object, says: str, cifar_root: Path
) -> None:
    path = cifar_root / given.partition(":")[0]
    if given == "folder.npy":
        path.mkdir()
    elif content is not None:
        _write(path, content)
    grid = {"datasets": f"cifar10@labels={given}", "methods": "random", "rates": "0.5"}
    with pytest.raises(BenchError, match=r"^[^\n]+$") as caught:
        make_plan(load_spec(given=grid), out=cifar_root / "out", data_root=cifar_root)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"dataset cifar10@labels={given}: ")
    assert not (cifar_root / "out").exists()


def test_a_missing_file_is_nothing_that_a_download_would_bring(cifar_root: Path) -> None:
    grid = {"datasets": "cifar10@labels=none.npy", "methods": "random", "rates": "0.5"}
    plan = make_plan(load_spec(given=grid), out=cifar_root / "out", data_root=cifar_root, tolerant=True, download=True)
    assert ["none.npy is missing" in problem for problem in plan.problems] == [True]
    assert not plan.downloads


def test_a_relative_path_needs_a_data_folder() -> None:
    with pytest.raises(DataError, match=r"@labels=y\.npy is a relative path and no data folder was given"):
        read("digits", "y.npy", None)


def test_texts_that_are_both_names_and_numbers_are_refused(tmp_path: Path) -> None:
    from bench.label_files import GivenLabels

    texts = GivenLabels(np.array(["1", "2", "1"]), "y.txt")
    with pytest.raises(DataError, match="can be read in two ways"):
        texts.numbers(3, ("1", "2", "3"))
    assert texts.numbers(3, ("0", "1", "2")).tolist() == [1, 2, 1]
    assert texts.numbers(3, ("a", "b", "c")).tolist() == [1, 2, 1]
    assert GivenLabels(np.array(["10", "2", "10"]), "y.txt").numbers(3, ("10", "2")).tolist() == [0, 1, 0]


def test_labels_are_replaced_once() -> None:
    with pytest.raises(SpecError, match="both @noise and @labels replace the training labels; give one of them"):
        check_modifiers("digits", {"noise": 0.1, "labels": "y.npy"})
    with pytest.raises(SpecError, match=r"@labels=5 is not valid: a text, such as '5'"):
        check_modifiers("digits", {"labels": 5})
    with pytest.raises(SpecError, match="@seed draws nothing"):
        check_modifiers("digits", {"labels": "y.npy", "seed": 1})
    assert check_modifiers("digits", {"labels": "y.npy", "noise": 0, "seed": 1}) == {"labels": "y.npy"}


def test_a_pickle_is_no_file_of_labels(cifar_root: Path) -> None:
    (cifar_root / "y.pkl").write_bytes(pickle.dumps(GOOD))
    with pytest.raises(DataError, match=r"y\.pkl is not a file of labels by its suffix"):
        read("cifar10", "y.pkl", cifar_root)
