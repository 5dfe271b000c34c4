"""Embeddings in files: what is read as float32, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.errors import DataError
from bench.labelling.vectors import read_embeddings
from tests.digits import load_digits


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((1, 3)), r"shape \(1, 3\)"),
        (np.array([["a", "b"]] * 3), "holds <U1"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), r"NaN.* in 1 of 2 lines, first in line 1"),
        (np.array([[0.0, 1e300], [1.0, 0.0]]), "too large for float32"),
    ],
)
def test_embeddings_that_are_no_matrix_of_numbers_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        read_embeddings(tmp_path / "x.npy")


def test_pickled_embeddings_are_not_executed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[{}, 1]] * 2, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="it holds Python objects, which are not read; save numbers"):
        read_embeddings(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", a=np.zeros((3, 3)), b=np.zeros((3, 3)))
    with pytest.raises(DataError, match="archive of 2 arrays"):
        read_embeddings(tmp_path / "x.npz")


@pytest.mark.parametrize(("number", "read"), [(3, ["0.png", "1.png", "2.png"]), (2, None)])
def test_an_archive_names_its_items(tmp_path: Path, number: int, read: list[str] | None) -> None:
    names = np.array([f"{item}.png" for item in range(number)])
    np.savez(tmp_path / "x.npz", embeddings=np.eye(3), names=names, labels=np.arange(3))
    assert read_embeddings(tmp_path / "x.npz")[1] == read


def test_a_stored_matrix_reads_as_float32_whole_or_in_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for stored in (
        rng.normal(size=(9, 4)).astype(np.float16),
        rng.normal(size=(9, 4)),
        rng.integers(-5, 5, (9, 4)),
        np.asfortranarray(rng.normal(size=(9, 4))),
        rng.normal(size=(9, 4)).astype(">f4"),
    ):
        np.save(tmp_path / "x.npy", stored)
        rows, names = read_embeddings(tmp_path / "x.npy")
        assert names is None
        assert isinstance(rows.stored, np.memmap), "the file is not read as a whole"
        for part in (slice(None), slice(2, 5), np.array([7, 0, 3])):
            assert rows[part].dtype == np.float32
            assert rows[part].flags.c_contiguous
            np.testing.assert_array_equal(rows[part], stored[part].astype(np.float32))


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_other_files_of_embeddings(tmp_path: Path, suffix: str) -> None:
    from bench.labelling.vectors import read_embeddings

    rows, path = load_digits().data[:20].astype(np.float32), tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez(path, embeddings=rows, other=np.zeros(3))
    else:
        import pyarrow as pa

        pq.write_table(pa.table({"ID": [f"n{i}" for i in range(20)], "vector": rows.tolist()}), path, row_group_size=7)
    found, names = read_embeddings(path)
    np.testing.assert_array_equal(found, rows)
    assert names == (None if suffix == "npz" else [f"n{i}" for i in range(20)])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"v": [[1.0, 2.0], [3.0]]}, "lists of different lengths"),
        ({"v": [1.0, 2.0]}, "has the columns v; expected one of lists of numbers"),
        (
            {f"f{i}": [1.0, 2.0] for i in range(500)},
            r"has the columns f0, f1, f2, f3, f4 and 495 more; expected .* embeddings\. For a table of numbers alone: "
            r'np\.save\("x\.npy", pd\.read_parquet\("x\.parquet"\)\.to_numpy\(\)\)\.',
        ),
        ({"v": [[1.0], [2.0]], "w": [[1.0], [2.0]]}, "has the columns v, w"),
        ({"v": [["a"], ["b"]]}, "holds"),
        ({"v": [[1.0], [2.0], [3.0]], "id": ["a", None, None]}, r"column id is empty in 2 of 3 lines, first in line 1"),
    ],
)
def test_a_parquet_file_without_one_matrix_is_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    import pyarrow as pa

    from bench.labelling.vectors import read_embeddings

    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        read_embeddings(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot read"):
        read_embeddings(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("x.csv", b"a,b\n1,2\n", r' For a table of numbers alone: np\.save\("x\.npy", pd\.read_csv'),
        ("x.json", b'{"a": [1, 2]}', ""),
        ("x.pt", b"PK\x03\x04", r' For a tensor: np\.save\("x\.npy", torch\.load\("x\.pt"\)\.numpy\(\)\)\.'),
        ("x.npy", b"1 2 3\n4 5 6\n", ""),
        ("x.pkl", pickle.dumps([1, 2]), ""),
        ("x.npy", b"PAR1" + b"\0" * 20, r" It is a Parquet file: name it \.parquet\."),
    ],
)
def test_a_file_of_another_kind_is_not_called_a_pickle(tmp_path: Path, name: str, content: bytes, hint: str) -> None:
    (tmp_path / name).write_bytes(content)
    said = rf"{name} is not a \.npy, \.npz or \.parquet file, which embeddings are read from\.{hint}"
    with pytest.raises(DataError, match=said) as caught:
        read_embeddings(tmp_path / name)
    assert "pickle" not in str(caught.value)
