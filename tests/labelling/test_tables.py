"""Lists that labelling tools take and hand back, as ``--labelled``, ``--exclude`` and ``--groups`` read them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from bench.cli import app
from bench.errors import DataError
from bench.labelling.lists import Lookup, read_list
from tests.digits import load_digits

NAMES = ("a/1.png", "b/two words.png", "=SUM(A1).png", "umlaut-ä.png", "100%.png", "line\nbreak.png")
FORMATS = ("label-studio", "cvat", "fiftyone", "coco")
WRITTEN = (
    "x.csv",
    "x.label-studio.json",
    "x.manifest.jsonl",
    "x.fiftyone.csv",
    "x.coco.json",
    "all.parquet",
    "all.csv",
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((load_digits().images[number] * 15).astype(np.uint8)).save(folder / name)
    return folder


def select(folder: Path, *arguments: str) -> Result:
    given = ("--images", str(folder / "photos"), "--encoder", "pixels(size=8)", "--cache-dir", str(folder / "cache"))
    usual = ("--classes", "2", "--threads", "1", "--device", "cpu", "-q", "--method", "random", "--overwrite")
    return CliRunner().invoke(app, ["select", *given, *usual, *arguments])


@pytest.mark.integration
@pytest.mark.parametrize("paths", [None, "absolute"])
def test_every_list_of_ours_can_be_handed_back(tmp_path: Path, photos: Path, paths: str | None) -> None:
    forms = [form for form in FORMATS if paths is None or form != "cvat"]
    also = ("--paths", paths) if paths else ()
    made = ("--out", str(tmp_path / "x.csv"), "--format", ",".join(forms), *also)
    for name in ("all.parquet", "all.csv"):
        done = select(tmp_path, "--budget", "4", "--seed", "3", *made, "--scores", str(tmp_path / name))
        assert done.exit_code == 0, done.output or done.exception
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rest = set(NAMES) - {row["file"].removeprefix("./") for row in csv.DictReader(file)}
    for name in WRITTEN:
        if (tmp_path / name).exists():
            out = tmp_path / "second.csv"
            done = select(tmp_path, "--budget", "2", "--labelled", str(tmp_path / name), "--out", str(out))
            assert done.exit_code == 0, done.output or done.exception
            with out.open(newline="", encoding="utf-8") as file:
                assert {row["file"].removeprefix("./") for row in csv.DictReader(file)} == rest, name


TASKS = [{"data": {"image": f"/data/local-files/?d=p/{name}", "name": name}} for name in NAMES]


def as_exported(task: dict[str, Any], *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 7, **task, "annotations": list(annotations), "drafts": [], "predictions": []}


@pytest.mark.parametrize(
    ("document", "positions", "unlabelled"),
    [
        (TASKS, [0, 1, 2, 3, 4, 5], 0),
        ([as_exported(task) for task in TASKS[:2]], [0, 1], 0),
        ([as_exported(TASKS[0], {"id": 1, "was_cancelled": False}), as_exported(TASKS[1])], [0], 1),
        ([as_exported(TASKS[0], {"id": 1, "was_cancelled": True}), as_exported(TASKS[1], {"id": 2})], [1], 1),
        ([{"name": NAMES[3], "annotation_id": 9, "c": "cat"}, {"name": NAMES[1], "annotation_id": None}], [3], 1),
        ({"images": [{"id": 1, "file_name": NAMES[5]}, {"id": 2, "file_name": NAMES[1]}]}, [1, 5], 0),
        (
            {
                "images": [{"id": 1, "file_name": NAMES[5]}, {"id": 2, "file_name": NAMES[1]}],
                "annotations": [{"id": 1, "image_id": 2}],
            },
            [1],
            1,
        ),
    ],
)
def test_what_tools_export(tmp_path: Path, document: Any, positions: list[int], unlabelled: int) -> None:
    """In a list that is half done, what has no annotation is not labelled."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    listed = read_list(path, Lookup(NAMES, tmp_path), labelled=True)
    assert (listed.positions.tolist(), listed.unlabelled) == (positions, unlabelled)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"PAR1\0\0\1", "is not a text in UTF-8"),
        ("x.csv", "file\r\na".encode("utf-16"), "is not a text in UTF-8"),
        ("x.csv", b'file\n"a.png\n' + b"b.png\n" * 30_000, "cannot read .* as CSV: .*; perhaps a quote is not closed"),
        ("x.parquet", b"PAR1", "cannot read .* as Parquet"),
        ("x.json", b"{", "neither tasks of Label Studio.* nor images of COCO"),
        ("x.json", b"[1]", "neither tasks"),
        ("x.json", b'[{"data": {"image": "a.png"}}]', "neither tasks"),
        ("x.json", b'{"a": 1}', "neither tasks"),
        ("x.json", b"3", "neither tasks"),
        ("x.json", b"[" * 100_000, "neither tasks"),
        ("x.jsonl", b'{"name": "a"}', "not a manifest of CVAT"),
        ("x.jsonl", b"nothing", "not a manifest of CVAT"),
        ("x.parquet", b"", "cannot read .* as Parquet"),
        ("x.html", b"<" + b"x" * 500, r"names are not among the items: <x{79}\."),
    ],
)
def test_what_is_no_list_is_one_short_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        read_list(tmp_path / name, Lookup(NAMES, tmp_path), labelled=True)
    assert len(str(raised.value).removeprefix(str(tmp_path))) < 300
