"""The choice in the forms that labelling tools take, read by those tools' own packages where they are installed."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from bench.errors import DataError, SpecError
from bench.images.decoding import decode
from bench.labelling.handover import image_size
from tests.digits import load_digits
from tests.labelling.photos_to_label import NAMES, lines, of_photos, select


def test_label_studio_takes_the_tasks(tmp_path: Path, photos: Path) -> None:
    of_photos(tmp_path, photos, "--format", "label-studio")
    tasks = json.loads((tmp_path / "to_label.label-studio.json").read_text(encoding="utf-8"))
    order = [row["file"] for row in lines(tmp_path / "to_label.csv")]
    assert [task["data"]["order"] for task in tasks] == list(range(1, 7))
    assert sorted(task["data"]["name"] for task in tasks) == sorted(NAMES)
    assert [f"./{name}" if name.startswith("=") else name for name in (t["data"]["name"] for t in tasks)] == order
    for task in tasks:
        start, _, address = task["data"]["image"].partition("?d=")
        # Below the folder in which photos/ lies: no storage may be the document root itself.
        assert (start, unquote(address)) == ("/data/local-files/", f"photos/{task['data']['name']}")
        assert not set(address) & set(" %\n?&") - {"%"}
    label_interface = pytest.importorskip("label_studio_sdk.label_interface", reason="its SDK installs 160 packages")
    config = '<View><Image name="i" value="$image"/><Choices name="c" toName="i"><Choice value="x"/></Choices></View>'
    for task in tasks:
        assert label_interface.LabelInterface(config).validate_task(task)


def test_coco_readers_take_the_images(tmp_path: Path, photos: Path) -> None:
    of_photos(tmp_path, photos, "--format", "coco", "--paths", "https://host/x/")
    document = json.loads((tmp_path / "to_label.coco.json").read_text(encoding="utf-8"))
    assert {key: type(value) for key, value in document.items()} == {
        "info": dict,
        "licenses": list,
        "images": list,
        "annotations": list,
        "categories": list,
    }
    assert [image["id"] for image in document["images"]] == list(range(1, 7))
    assert {(image["width"], image["height"]) for image in document["images"]} == {(24, 16)}
    assert {unquote(image["file_name"]).removeprefix("https://host/x/") for image in document["images"]} == set(NAMES)
    coco = pytest.importorskip("pycocotools.coco").COCO(str(tmp_path / "to_label.coco.json"))
    assert len(coco.loadImgs(coco.getImgIds())) == 6


def as_orientation(kind: int, count: int, content: bytes) -> bytes:
    """EXIF data of one entry, the orientation; Pillow itself writes numbers only."""
    entry = struct.pack("<HHI4s", 0x0112, kind, count, content)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


@pytest.mark.parametrize(
    "exif",
    [
        *(as_orientation(3, 1, struct.pack("<HH", value, 0)) for value in range(11)),
        as_orientation(2, 4, b"abc\0"),
        as_orientation(2, 2, b"6\0\0\0"),
        as_orientation(3, 2, struct.pack("<HH", 6, 6)),
        as_orientation(5, 1, struct.pack("<I", 9999)),
        as_orientation(3, 1, struct.pack("<HH", 6, 0))[:20],
        b"Exif\0\0no EXIF at all",
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF data
def test_sizes_are_those_of_the_picture_as_it_is_decoded(tmp_path: Path, exif: bytes) -> None:
    Image.new("L", (24, 16)).save(tmp_path / "x.jpg", exif=exif)
    assert image_size(tmp_path / "x.jpg") == decode(tmp_path / "x.jpg", upright=True).size


def test_only_pictures_of_known_formats_are_opened_for_their_size(tmp_path: Path) -> None:
    """Names beside embeddings may lead to anything: a pipe would be waited for, and Pillow has dozens of parsers."""
    Image.new("L", (24, 16)).save(tmp_path / "x.jpg", format="PPM")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name in ("x.jpg", "pipe.jpg"):
        with pytest.raises(DataError, match=f"cannot read .*{name}"):
            image_size(tmp_path / name)


def test_the_manifest_is_as_cvat_describes_it(tmp_path: Path, photos: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("L", (24, 16)).save(photos / "a/1.png", exif=turned)
    of_photos(tmp_path, photos, "--format", "cvat")
    first, second, *images = map(json.loads, (tmp_path / "to_label.manifest.jsonl").read_text().splitlines())
    assert (first, second) == ({"version": "1.1"}, {"type": "images"})
    assert sorted(image["name"] + image["extension"] for image in images) == sorted(NAMES)
    sizes = {image["name"]: (image["width"], image["height"]) for image in images}
    assert sizes.pop("a/1") == (16, 24), "as it is shown: turned by its EXIF orientation"
    assert set(sizes.values()) == {(24, 16)}


def test_fiftyone_gets_paths_that_can_be_opened(tmp_path: Path, photos: Path) -> None:
    of_photos(tmp_path, photos, "--format", "fiftyone")
    rows = lines(tmp_path / "to_label.fiftyone.csv")
    assert {Path(row["filepath"]) for row in rows} == {photos.resolve() / name for name in NAMES}
    assert [row["order"] for row in rows] == list("123456")
    importers = pytest.importorskip("fiftyone.utils.csv", reason="FiftyOne installs 200 packages")
    path = str(tmp_path / "to_label.fiftyone.csv")
    # Outside a data set its samples need no database, which FiftyOne fetches when one is first made.
    importer = importers.CSVDatasetImporter(labels_path=path, fields={"order": int, "cluster": int})
    importer.setup()
    samples = sorted(importer, key=lambda sample: sample["order"])
    assert [(sample["order"], sample.filepath) for sample in samples] == [
        (int(row["order"]), row["filepath"]) for row in rows
    ]
    assert all(Path(sample.filepath).is_file() for sample in samples)


def test_fiftyone_would_misread_a_carriage_return(tmp_path: Path, photos: Path) -> None:
    (photos / "a/1.png").rename(photos / "a/1\r.png")
    given = ("--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "6", "--format", "fiftyone")
    done = select(tmp_path, *given)
    assert isinstance(done.exception, DataError)
    assert "1\\r.png'; rename the file" in str(done.exception)
    assert not (tmp_path / "to_label.csv").exists()


def test_a_plain_list(tmp_path: Path, photos: Path) -> None:
    done = select(tmp_path, "--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "6", "--format", "txt")
    assert isinstance(done.exception, DataError)
    assert "'line\\nbreak.png' has several" in str(done.exception)
    assert not (tmp_path / "to_label.csv").exists()
    (photos / "line\nbreak.png").unlink()
    done = select(
        tmp_path,
        "--images",
        str(photos),
        "--encoder",
        "pixels(size=8)",
        "--budget",
        "5",
        "--format",
        "txt",
        "--paths",
        "absolute",
    )
    assert done.exit_code == 0, done.output
    assert {Path(line) for line in (tmp_path / "to_label.txt").read_text().splitlines()} == {
        photos.resolve() / name for name in NAMES[:-1]
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "coco"), "--format coco lists files; give --images"),
        (("--format", "label-studio", "--paths", "absolute"), "lists files"),
        (("--paths", "absolute"), "is for the other formats"),
        (("--format", "txt", "--paths", "absolut"), "--paths absolut is not valid"),
        (("--scores", "all.xlsx"), "a .csv or .parquet file is written"),
        (("--format", "txt,coko"), "unknown --format of bench select 'coko'. Did you mean coco?"),
        (("--format", "txt,"), "unknown --format of bench select ''. Valid: coco, csv"),
        (("--format", "txt,fiftyone"), "--format fiftyone lists files; give --images"),
        (("--format", "csv", "--paths", "relative"), "is for the other formats"),
        (("--images", ".", "--format", "coco,fiftyone", "--paths", "relative"), "--format fiftyone needs paths"),
        (("--images", ".", "--format", "fiftyone", "--paths", "https://host/"), "--format fiftyone needs paths"),
        (("--images", ".", "--format", "coco,cvat", "--paths", "absolute"), "--format cvat names files below a share"),
        (("--images", ".", "--format", "cvat", "--paths", "https://host/"), "--format cvat names files below a share"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    np.save(tmp_path / "x.npy", load_digits().data[:50])
    done = select(tmp_path, "--embeddings", str(tmp_path / "x.npy"), "--budget", "5", *arguments)
    assert isinstance(done.exception, SpecError)
    assert message in str(done.exception)
    assert not (tmp_path / "cache").exists()


@pytest.mark.integration
def test_several_formats_at_once(tmp_path: Path, photos: Path) -> None:
    done = of_photos(tmp_path, photos, "--format", "label-studio, coco,csv,cvat,coco,fiftyone", "--json")
    names = ["label-studio.json", "coco.json", "manifest.jsonl", "fiftyone.csv"]
    assert json.loads(done.stdout)["handed_over"] == [str(tmp_path / f"to_label.{name}") for name in names]
    document = json.loads((tmp_path / "to_label.coco.json").read_text(encoding="utf-8"))
    assert sorted(image["file_name"] for image in document["images"]) == sorted(NAMES), "each has its usual paths"
    assert lines(tmp_path / "to_label.fiftyone.csv")[0]["filepath"].startswith(str(tmp_path))
    alone = tmp_path / "alone"
    for form, name in zip(("label-studio", "coco", "cvat", "fiftyone"), names, strict=True):
        of_photos(alone, photos, "--format", form)
        assert (alone / f"to_label.{name}").read_bytes() == (tmp_path / f"to_label.{name}").read_bytes()
        for path in alone.glob("to_label*"):
            path.unlink()
    # The others are not written where one of them cannot be.
    given = ("--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "6", "--overwrite")
    done = select(tmp_path, *given, "--out", str(alone / "a.csv"), "--format", "coco,txt")
    assert "'line\\nbreak.png' has several" in str(done.exception)
    assert not list(alone.glob("a*"))
