"""Files at an address, by fsspec's store in memory; ``test_object_store.py`` has a server of S3's protocol."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from bench.addresses import address_of
from bench.cli import app
from bench.errors import DataError, SpecError
from bench.labelling import remote
from bench.labelling.remote import fetch_folder

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket() -> Iterator[Any]:
    """``memory://bucket/photos`` with five pictures, one of them damaged, and a text."""
    store = fsspec.filesystem("memory")
    for number in range(5):
        buffer = io.BytesIO()
        Image.new("RGB", (20, 20), (50 * number, 0, 0)).save(buffer, "PNG")
        store.pipe(f"/bucket/photos/{'deep/' * (number % 2)}{number}.png", buffer.getvalue())
    store.pipe("/bucket/photos/broken.PNG", b"no image")
    store.pipe("/bucket/photos/notes.txt", b"no image either")
    yield store
    store.rm("/bucket", recursive=True)


def still(title: str) -> Any:
    return lambda done, total: None


def fetch(folder: Path, address: str = "memory://bucket/photos") -> tuple[Path, list[str], list[str]]:
    into, skipped = fetch_folder(address, folder, (".png",), still)
    found = sorted(p.relative_to(into).as_posix() for p in into.rglob("*") if p.is_file() and p.name[0] != ".")
    return into, found, [item.name for item in skipped]


def select(folder: Path, *arguments: str) -> Result:
    given = ["select", "--cache-dir", str(folder / "cache"), "--threads", "1", "--device", "cpu", "--classes", "2"]
    return CliRunner().invoke(app, [*given, "--method", "random", "--out", str(folder / "x.csv"), "-q", *arguments])


def test_images_of_a_store_are_chosen_by_their_names_there(tmp_path: Path, bucket: Any) -> None:
    images = ("--images", "memory://bucket/photos", "--encoder", "pixels", "--image-size", "16", "--budget", "5")
    done = select(tmp_path, *images, "--format", "label-studio")
    assert done.exit_code == 0, done.output or done.exception
    with (tmp_path / "x.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert sorted(names) == ["0.png", "2.png", "4.png", "deep/1.png", "deep/3.png"]
    assert "broken.PNG" in (tmp_path / "x.skipped.csv").read_text()
    tasks = json.loads((tmp_path / "x.label-studio.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [f"memory://bucket/photos/{name}" for name in names]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"--method": "kmens"}, "unknown method 'kmens'"),
        ({"--method": "aum"}, "method 'aum' reads labels"),
        ({"--method": "typiclust,probcover(q=1)", "--compare": ""}, "unknown parameter of method 'probcover': 'q'"),
        ({"--encoder": "pixls"}, "unknown encoder 'pixls'"),
        ({"--encoder": "dino_vits16(weights=/nowhere)"}, "/nowhere"),
        ({"--labelled": "/nowhere.csv"}, "cannot read /nowhere.csv"),
        ({"--groups": "/nowhere.csv"}, "cannot read /nowhere.csv"),
        ({"--groups": "folders"}, "cannot read folders: no such file; --groups takes 'folder', or a CSV"),
    ],
)
def test_what_is_wrong_whatever_the_images_are_is_refused_before_they_are_fetched(
    tmp_path: Path, bucket: Any, wrong: dict[str, str], message: str
) -> None:
    places = {"--images": "memory://bucket/photos", "--out": str(tmp_path / "x.csv"), "--cache-dir": str(tmp_path)}
    options = {"--encoder": "pixels", "--budget": "3", "--classes": "2", **places, **wrong}
    words = [word for option in options.items() for word in option if word]
    assert message in str(CliRunner().invoke(app, ["select", "-q", *words]).exception)
    assert not list(tmp_path.rglob("*.png"))


def test_embeddings_of_a_store_are_read(tmp_path: Path, bucket: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).normal(size=(30, 4)))
    bucket.pipe("/bucket/x.npy", buffer.getvalue())
    done = select(tmp_path, "--embeddings", "memory://bucket/x.npy", "--budget", "5")
    assert done.exit_code == 0, done.output or done.exception
    assert "5 of 30 items" in done.output
    done = select(tmp_path, "--embeddings", "memory://bucket/y.npy", "--budget", "5", "--overwrite")
    assert isinstance(done.exception, DataError)
    assert "cannot fetch memory://bucket/y.npy" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"--out": "memory://bucket/x.csv"}, "cannot write to memory://bucket: give a folder of this machine"),
        ({"--scores": "memory://bucket/all.csv"}, "cannot write to memory://bucket"),
        (
            {"--images": "memory://bucket/photos/0.png"},
            "memory://bucket/photos/0.png is a file; --images takes a folder",
        ),
        ({"--cache-dir": "memory://bucket/cache"}, "cannot write to memory://bucket/cache"),
    ],
)
def test_addresses_where_none_can_be_are_refused(
    tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"--images": "memory://bucket/photos", "--out": "x.csv", "--cache-dir": "cache", **arguments}
    words = [word for pair in given.items() for word in pair]
    done = CliRunner().invoke(app, ["select", *words, "--encoder", "pixels", "--classes", "2", "--budget", "2"])
    assert message in str(done.exception)
    assert not Path("memory:").exists()


def test_what_did_not_change_is_not_fetched_again(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    get = type(bucket).get_file

    def counted(*given: Any) -> Any:
        fetched.append(given[1])
        return get(*given)

    monkeypatch.setattr(type(bucket), "get_file", counted)
    into, first, _ = fetch(tmp_path)
    assert len(fetched) == len(first) == 6
    assert fetch(tmp_path)[1] == first
    assert len(fetched) == 6
    bucket.pipe("/bucket/photos/0.png", b"other")
    bucket.rm("/bucket/photos/2.png")
    assert fetch(tmp_path)[1] == [name for name in first if name != "2.png"], "what is gone there is gone here"
    assert len(fetched) == 7
    assert (into / "0.png").read_bytes() == b"other"


def test_a_request_that_fails_takes_nothing_away(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    images = ("--images", "memory://bucket/photos", "--encoder", "pixels", "--image-size", "16", "--budget", "4")
    assert select(tmp_path, *images).exit_code == 0
    (local,) = (tmp_path / "cache").rglob("deep/1.png")
    ukey, fetched = type(bucket).ukey, []

    def busy(store: Any, path: str) -> Any:
        if path.endswith("deep/1.png"):
            raise OSError("503 Slow Down")
        return ukey(store, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(bucket), "ukey", busy)
        done = select(tmp_path, *images, "--overwrite")
        assert done.exit_code == 0, done.output or done.exception
    with (tmp_path / "x.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert sorted(names) == ["0.png", "2.png", "4.png", "deep/3.png"], "nobody knows whether 1.png is what it was"
    assert "deep/1.png,cannot be fetched: 503 Slow Down" in (tmp_path / "x.skipped.csv").read_text()
    assert local.is_file()
    get = type(bucket).get_file

    def counted(*given: Any) -> Any:
        fetched.append(given[1])
        return get(*given)

    monkeypatch.setattr(type(bucket), "get_file", counted)
    assert select(tmp_path, *images, "--overwrite").exit_code == 0
    assert fetched == []
    monkeypatch.setattr(type(bucket), "ukey", lambda *_: busy(bucket, "deep/1.png"))
    with pytest.raises(DataError, match=r"cannot fetch any of 6 files of memory://bucket/photos; 0.png: .*503"):
        fetch(tmp_path)


def test_what_a_killed_run_left_behind_is_not_chosen(tmp_path: Path, bucket: Any) -> None:
    into, first, _ = fetch(tmp_path)
    (into / ".fetched.json").unlink()
    bucket.rm("/bucket/photos/2.png")
    assert fetch(tmp_path)[1] == [name for name in first if name != "2.png"]


def test_files_of_other_kinds_at_one_address_stay(tmp_path: Path, bucket: Any) -> None:
    into, first, _ = fetch(tmp_path)
    fetch_folder("memory://bucket/photos", tmp_path, (".txt",), still)
    assert all((into / name).is_file() for name in first)
    assert (into / "notes.txt").is_file()


def test_two_runs_fetch_one_address_at_once(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second fetches everything while the first holds a file that is half there."""
    get = type(bucket).get_file
    inner: list[Any] = []

    def while_another(store: Any, path: str, local: str) -> None:
        get(store, path, local)
        if not inner:
            inner.append("begun")
            inner.append(fetch(tmp_path))

    monkeypatch.setattr(type(bucket), "get_file", while_another)
    into, found, skipped = fetch(tmp_path)
    assert inner[1] == (into, found, skipped)
    assert len(found) == 6
    assert skipped == []
    assert [path.name for path in into.rglob(".*")] == [".fetched.json"]


def test_an_interruption_keeps_what_was_fetched(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    get = type(bucket).get_file
    others = threading.Barrier(6)  # the five that are fetched, and the one that is interrupted

    def interrupted(*given: Any) -> None:
        if given[1].endswith("/4.png"):
            others.wait(60)
            raise KeyboardInterrupt
        get(*given)
        fetched.append(given[1])
        others.wait(60)

    monkeypatch.setattr(type(bucket), "get_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path)
    assert len(fetched) == 5

    def counted(*given: Any) -> Any:
        fetched.append(given[1])
        return get(*given)

    monkeypatch.setattr(type(bucket), "get_file", counted)
    assert len(fetch(tmp_path)[1]) == 6
    assert len(fetched) == 6


def test_files_are_fetched_several_at_once(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    get, all_six = type(bucket).get_file, threading.Barrier(6)

    def together(*given: Any) -> None:
        all_six.wait(60)  # one after another, the first would wait for ever
        get(*given)

    monkeypatch.setattr(type(bucket), "get_file", together)
    _, found, skipped = fetch(tmp_path)
    assert len(found) == 6
    assert skipped == []


def test_what_could_not_be_fetched_is_told_in_the_order_of_the_names(
    tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of the names fails last, and a good copy from before stays where a request fails."""
    _, before, _ = fetch(tmp_path)
    for name in ("0.png", "2.png", "deep/3.png"):
        bucket.pipe(f"/bucket/photos/{name}", b"other")
    last, ticks = threading.Event(), []

    def failing(store: Any, path: str, local: str) -> None:
        if path.endswith("deep/3.png"):
            last.set()
        last.wait(60)
        raise OSError(f"503 for {path}")

    monkeypatch.setattr(type(bucket), "get_file", failing)
    into, skipped = fetch_folder(
        "memory://bucket/photos", tmp_path, (".png",), lambda title: lambda done, total: ticks.append(done)
    )
    assert [item.name for item in skipped] == ["0.png", "2.png", "deep/3.png"]
    assert [item.reason for item in skipped] == [
        f"cannot be fetched: 503 for /bucket/photos/{item.name}" for item in skipped
    ]
    assert ticks == [1, 2, 3, 4, 5, 6]
    assert all((into / name).stat().st_size > len(b"other") for name in before if name != "broken.PNG")
    assert not list(into.rglob(".*.part"))


def test_more_files_than_wait_at_once(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_WAITING", 4)
    ticks: list[int] = []
    fetch_folder("memory://bucket/photos", tmp_path, (".png",), lambda title: lambda done, total: ticks.append(done))
    assert ticks == [1, 2, 3, 4, 5, 6]
    assert len(fetch(tmp_path)[1]) == 6


def test_keys_that_are_no_paths_are_skipped(tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["/bucket/photos/0.png", *(f"/bucket/photos/{key}.png" for key in ("../../x", "a//b", ".hidden/y", "./z"))]
    monkeypatch.setattr(type(bucket), "find", lambda *_, **__: keys)
    _, found, skipped = fetch(tmp_path / "inner")
    assert found == ["0.png"]
    assert len(skipped) == 4
    assert not list(tmp_path.glob("**/x.png"))


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("nonsense://bucket/photos", SpecError, "nonsense://bucket/photos is not valid"),
        ("memory://nowhere/at/all", DataError, "holds none of|cannot list"),
        ("memory://bucket/photos/0.png", DataError, "memory://bucket/photos/0.png is a file; --images takes a folder"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_clear_error(
    tmp_path: Path, bucket: Any, address: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fetch(tmp_path, address)


@pytest.mark.parametrize(("protocol", "extra"), [("s3", "s3"), ("gs", "gs")])
def test_a_store_whose_package_is_missing_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, extra: str
) -> None:
    def missing(address: str) -> None:
        raise ImportError("Install it")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(
        SpecError, match=rf"the package for {protocol}:// is not installed: pip install -e '.\[{extra}\]'"
    ):
        fetch(tmp_path, f"{protocol}://bucket/photos")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("s3://bucket/photos/", "s3://bucket/photos"),
        ("gs://bucket", "gs://bucket"),
        ("S3://Bucket/photos", "s3://Bucket/photos"),
        ("https://host:8080/a/b", "https://host:8080/a/b"),
        ("photos", None),
        ("./a:/b", None),
        ("/s3:/x", None),
        (".", None),
        ("a:b/c", None),
        ("file:///photos/a", "file:///photos/a"),
        ("s3://bucket//photos", "s3://bucket//photos"),
        ("s3:/bucket", None),
    ],
)
def test_an_address_is_told_from_a_path(given: str, address: str | None) -> None:
    assert address_of(given) == address


def test_an_address_reaches_the_store_as_it_was_typed(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (20, 20), (50 * number, 0, 0)).save(tmp_path / f"photos/{number}.png")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 4)))
    photos = ("--images", f"file://{tmp_path}/photos/", "--encoder", "pixels", "--image-size", "16")
    for given in (photos, ("--embeddings", f"file://{tmp_path}/x.npy")):
        done = select(tmp_path, *given, "--budget", "3", "--overwrite")
        assert done.exit_code == 0, done.output or done.exception
