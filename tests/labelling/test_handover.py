"""The choice in the forms that labelling tools take, read by those tools' own packages where they are installed."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner, Result

from bench.cli import app
from bench.errors import DataError, SpecError
from bench.images.decoding import decode
from bench.labelling.formats import Format
from bench.labelling.handover import image_size

NAMES = ("a/1.png", "b/two words.jpg", "=SUM(A1).png", "umlaut-ä.png", "100%.png", "line\nbreak.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = (load_digits().images[number] * 15).astype(np.uint8)
        Image.fromarray(pixels).resize((24, 16)).save(folder / name)
    return folder


def select(folder: Path, *arguments: str) -> Result:
    given = (
        "select",
        "--cache-dir",
        str(folder / "cache"),
        "--threads",
        "1",
        "--device",
        "cpu",
        "-q",
        "--classes",
        "2",
    )
    method = () if "--method" in arguments else ("--method", "random")
    out = () if "--out" in arguments else ("--out", str(folder / "to_label.csv"))
    return CliRunner().invoke(app, [*given, *method, *out, *arguments])


def of_photos(folder: Path, photos: Path, *arguments: str) -> Result:
    done = select(folder, "--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "6", *arguments)
    assert done.exit_code == 0, done.output or done.exception
    return done


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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


@pytest.mark.parametrize("form", [form for form in Format if form != Format.csv])
def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, form: Format) -> None:
    from bench.labelling.handover import handover_path
    from bench.labelling.to_label import beside, check_free

    out = tmp_path / "to_label.csv"
    paths = [out, *beside(out), handover_path(out, form)]
    assert len({path.name for path in paths}) == len(paths)
    paths[-1].write_text("mine")
    with pytest.raises(SpecError, match=f"already in .*{paths[-1].name}"):
        check_free(paths, overwrite=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scores", "to_label.csv"), "to_label.csv would be written twice; give --out or --scores another name"),
        (("--scores", "to_label.fiftyone.csv", "--format", "coco,fiftyone"), "to_label.fiftyone.csv would be written"),
        (("--scores", "sub/../to_label.skipped.csv"), "would be written twice"),
        (("--labelled", "to_label.csv"), "to_label.csv would be written in the place of --labelled"),
        (("--exclude", "to_label.skipped.csv"), "would be written in the place of --exclude"),
        (("--groups", "to_label.txt", "--format", "txt"), "would be written in the place of --groups"),
    ],
)
def test_no_file_is_written_twice_or_over_one_that_is_read(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    """Labels were lost: ``--labelled to_label.csv --overwrite`` wrote the next list over them."""
    monkeypatch.chdir(tmp_path)
    given = ("--images", "photos", "--encoder", "pixels(size=8)", "--budget", "3", "--overwrite")
    Path("to_label.csv").write_text("file,label\na/1.png,one\n")
    done = select(tmp_path, *given, "--out", "to_label.csv", *arguments)
    assert isinstance(done.exception, SpecError)
    assert message in str(done.exception)
    assert Path("to_label.csv").read_text() == "file,label\na/1.png,one\n"
    assert not (tmp_path / "cache").exists()


def test_no_picture_is_replaced_by_a_contact_sheet(tmp_path: Path, photos: Path) -> None:
    given = ("--images", str(photos), "--encoder", "pixels(size=8)", "--budget", "3", "--overwrite")
    (photos / "holiday.jpg").write_bytes((photos / "b/two words.jpg").read_bytes())
    done = select(tmp_path, *given, "--out", str(photos / "holiday.csv"))
    assert "holiday.jpg would replace one of the images" in str(done.exception)
    assert (photos / "holiday.jpg").read_bytes() == (photos / "b/two words.jpg").read_bytes()
    for _ in range(2):  # an earlier sheet is none of the images, and may be replaced
        assert select(tmp_path, *given, "--out", str(photos / "other.csv")).exit_code == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_all_scores(tmp_path: Path, suffix: str) -> None:
    rows = load_digits().data[:100]
    np.save(tmp_path / "x.npy", np.concatenate([rows, rows[:5]]))
    (tmp_path / "labelled.txt").write_text("7\n8\n")
    (tmp_path / "excluded.txt").write_text("9\n")
    known = ("--labelled", str(tmp_path / "labelled.txt"), "--exclude", str(tmp_path / "excluded.txt"))
    path = tmp_path / f"all.{suffix}"
    given = ("--embeddings", str(tmp_path / "x.npy"), "--budget", "20", "--skip-duplicates", "--similarity", "0.99999")
    done = select(tmp_path, *given, *known, "--method", "prototypicality", "--scores", str(path))
    assert done.exit_code == 0, done.output or done.exception
    table = lines(path) if suffix == "csv" else pq.read_table(path).to_pylist()
    assert [row["item"] for row in table] == [str(number) for number in range(105)]
    states = {row["item"]: row["state"] for row in table}
    assert (states["7"], states["8"], states["9"]) == ("labelled", "labelled", "excluded")
    assert {states[str(number)] for number in range(100, 105)} == {"near-duplicate"}
    chosen = {row["item"]: int(row["rank"]) for row in table if row["state"] == "chosen"}
    assert chosen == {row["item"]: int(row["order"]) for row in lines(tmp_path / "to_label.csv")}
    assert {row["nearest"] for row in table} <= set(chosen)
    assert all(row["nearest"] == row["item"] for row in table if row["item"] in chosen)
    assert all(float(row["similarity"]) >= 0.999 for row in table if row["item"] in chosen)
    candidates = [row for row in table if row["state"] in ("", "chosen", "labelled")]
    assert all(row["score"] not in (None, "") and row["cluster"] not in (None, "") for row in candidates)


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
