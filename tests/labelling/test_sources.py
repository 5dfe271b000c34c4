"""Items to choose from: folders, embeddings, and names beside them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import BenchError, DataError, SpecError
from bench.identity import EncoderRef
from bench.images.folders import Skipped
from bench.labelling.candidates import Limits
from bench.labelling.sources import Items, Source
from bench.store.cache import Store
from tests.digits import load_digits
from tests.labelling.photos_to_label import NAMES, lines, select


def test_names_beside_embeddings_are_files_of_a_folder(tmp_path: Path, photos: Path) -> None:
    names = [name for name in NAMES if "\n" not in name]
    np.save(tmp_path / "x.npy", load_digits().data[: len(names)])
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    given = ("--embeddings", str(tmp_path / "x.npy"), "--names", str(tmp_path / "names.txt"), "--budget", "3")
    assert select(tmp_path, *given, "--images", str(photos), "--format", "coco").exit_code == 0
    assert len(lines(tmp_path / "to_label.csv")[0]["file"]) > 0
    assert (tmp_path / "to_label.jpg").stat().st_size > 1000
    (tmp_path / "names.txt").write_text("a\nb\n")
    done = select(tmp_path, *given, "--overwrite")
    assert "has 2 lines, and the embeddings 5" in str(done.exception)
    (tmp_path / "names.txt").write_text("a\n" * 5)
    assert "names several items 'a'" in str(select(tmp_path, *given, "--overwrite").exception)


def test_names_of_embeddings_as_pandas_writes_them(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:20])
    (tmp_path / "names.csv").write_text(",name\n" + "".join(f'{n},"n, {n}"\n' for n in range(20)))
    given = ("--embeddings", str(tmp_path / "x.npy"), "--names", str(tmp_path / "names.csv"), "--budget", "20")
    usual = ("--classes", "2", "--threads", "1", "--method", "random", "--cache-dir", str(tmp_path / "cache"), "-q")
    done = CliRunner().invoke(app, ["select", *given, *usual, "--out", str(tmp_path / "o.csv")])
    assert done.exit_code == 0, done.output or done.exception
    with (tmp_path / "o.csv").open(newline="") as file:
        assert {row["item"] for row in csv.DictReader(file)} == {f"n, {n}" for n in range(20)}
    (tmp_path / "names.csv").write_text("name\nn0\n")
    done = CliRunner().invoke(app, ["select", *given, *usual, "--out", str(tmp_path / "p.csv")])
    assert "has 1 lines, and the embeddings 20" in str(done.exception)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ('"a, 1.jpg"\nb.jpg\n', ["a, 1.jpg", "b.jpg"]),
        ('File;note\n"a; 1.jpg";x\nb.jpg;y\n', ["a; 1.jpg", "b.jpg"]),
        ("file\na.jpg\n", None),
        ("order,file\n1,a.jpg\n", None),
    ],
)
def test_a_header_is_never_taken_for_a_name(tmp_path: Path, content: str, names: list[str] | None) -> None:
    """With one name too few, the header would stand for the first item, and every name for the item after its own."""
    np.save(tmp_path / "x.npy", load_digits().data[:2])
    (tmp_path / "names.csv").write_text(content)
    given = {"images": None, "embeddings": tmp_path / "x.npy", "names": tmp_path / "names.csv"}
    if names is not None:
        assert Source.find(**given).names == names
        return
    with pytest.raises(DataError, match="has 1 lines, and the embeddings 2; expected one name each"):
        Source.find(**given)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, SpecError, "give either --images FOLDER or --embeddings"),
        ({"images": "photos", "names": "names.txt"}, SpecError, "give either --images FOLDER or --embeddings"),
        ({"embeddings": "x.npy", "images": "photos"}, SpecError, "is the folder of the --names; give --names"),
        (
            {"embeddings": "x.npy", "images": "x.npy", "names": "names.txt"},
            DataError,
            "is not a folder; --images takes",
        ),
        ({"embeddings": "x.npy", "names": "missing.txt"}, DataError, "missing.txt: No such file"),
        (
            {"embeddings": "x.npy", "names": "names.txt", "images": "photos"},
            DataError,
            "none of the 3 names of .*names.txt is a file below .*photos, such as a; --images takes the folder",
        ),
        (
            {"embeddings": "named.parquet", "names": "names.txt"},
            DataError,
            "names.txt names the items of .*named.parquet in another order; leave out --names",
        ),
    ],
)
def test_files_that_do_not_go_together_are_refused(
    tmp_path: Path, photos: Path, given: dict[str, str], error: type[BenchError], message: str
) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:3])
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    pq.write_table(
        pa.table({"filename": ["b", "a", "c"], "embedding": [[1.0], [2.0], [3.0]]}), tmp_path / "named.parquet"
    )
    paths = {
        option: tmp_path / given[option] if option in given else None for option in ("images", "embeddings", "names")
    }
    with pytest.raises(error, match=message):
        Source.find(**paths)


def test_embeddings_without_names_are_numbered(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:3])
    source = Source.find(images=None, embeddings=tmp_path / "x.npy", names=None)
    assert list(source.names) == ["0", "1", "2"]
    assert source.other_suffixes(without=()) is None
    assert source.without([Skipped("0", "damaged")]) is source, "only files of a folder can be skipped"


def items(source: Source, folder: Path) -> Items:
    ref = EncoderRef(name="pixels")
    return source.items(ref, None, store=Store(folder), size=8, device="cpu", stage=lambda _: lambda *_: None)


def test_limits_count_among_the_items_that_could_be_read(tmp_path: Path, photos: Path) -> None:
    names = sorted(NAMES)
    (photos / names[1]).write_bytes(b"damaged")
    (photos / "notes.txt").write_text("no image")
    source = Source.find(images=photos, embeddings=None, names=None)
    assert source.other_suffixes(without=()) == {".txt": 1}
    found = items(source, tmp_path / "cache")
    assert list(found.names) == [*names[:1], *names[2:]]
    assert [item.name for item in found.skipped] == names[1:2]
    assert (found.named, found.among.tolist(), len(found.vectors)) == ("file", [0, 2, 3, 4, 5], 5)
    limits = found.limits(Limits(labelled=np.array([0, 1, 4]), excluded=np.array([5]), groups=np.arange(6) * 10))
    assert limits.labelled.tolist() == [0, 3], "position 1 is the damaged file"
    assert limits.excluded.tolist() == [4]
    assert limits.groups is not None
    assert limits.groups.tolist() == [0, 20, 30, 40, 50]
    fewer = source.without([Skipped(names[0], "it could not be fetched")])
    assert list(fewer.names) == names[1:]
    assert [item.name for item in items(fewer, tmp_path / "cache").skipped] == names[:2]
