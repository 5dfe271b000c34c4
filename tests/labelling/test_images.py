"""The user's own files: whose embeddings are used again, what is tried again, and what is never opened."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.encoders.pixels import PixelEncoder
from bench.errors import DataError
from bench.identity import EncoderRef
from bench.images import streaming
from bench.images.contents import read_contents
from bench.images.decoding import decode
from bench.labelling import images as labelled
from bench.labelling.images import EmbeddedFiles, embed_files, find_images
from bench.store.cache import Store

pytestmark = pytest.mark.timeout(60)  # a pipe that is opened is waited for


@pytest.fixture(params=["fitted", "frozen"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """``pixels``, which must be fitted, and one that is not: the mean of each channel."""

    class Means:
        def embed(self, images: Any, *, device: str, batch_size: int, progress: Any = None) -> np.ndarray:
            found = [images[np.array([index])].mean(axis=(2, 3)) for index in range(len(images))]
            return np.concatenate(found).astype(np.float32)

    if request.param == "frozen":
        monkeypatch.setattr(labelled, "make_encoder", lambda *_: Means())
    return request.param


def embed(folder: Path, cache: Path) -> EmbeddedFiles:
    given: dict[str, Any] = {"store": Store(cache), "size": 16, "device": "cpu", "stage": lambda _: lambda *_: None}
    return embed_files(find_images(folder).files, EncoderRef(name="pixels"), None, **given)


def photos(folder: Path, count: int = 6, seed: int = 0) -> Path:
    """Pictures without compression, so that all have one size, and one time of change."""
    folder.mkdir()
    colours = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    for number, picture in enumerate(colours):
        path = folder / f"{number}.png"
        Image.fromarray(picture).save(path, compress_level=0)
        os.utime(path, ns=(10**18, 10**18))
    return folder


def stored(cache: Path, kind: str = "*") -> int:
    return len(list(cache.glob(f"{kind}/*.npz")))


def test_names_sizes_and_times_that_are_equal_do_not_make_pictures_equal(tmp_path: Path, encoder: str) -> None:
    one, other = photos(tmp_path / "one", seed=1), photos(tmp_path / "other", seed=2)
    assert [path.stat().st_size for path in sorted(one.iterdir())] == [
        path.stat().st_size for path in sorted(other.iterdir())
    ]
    first, second = embed(one, tmp_path / "cache"), embed(other, tmp_path / "cache")
    assert not np.array_equal(first.embeddings, second.embeddings)
    np.testing.assert_array_equal(second.embeddings, embed(other, tmp_path / "fresh").embeddings)


def test_a_picture_that_was_edited_in_place_is_embedded_anew(tmp_path: Path, encoder: str) -> None:
    folder = photos(tmp_path / "photos")
    before = embed(folder, tmp_path / "cache")
    Image.new("RGB", (16, 16), "red").save(folder / "3.png", compress_level=0)
    os.utime(folder / "3.png", ns=(10**18, 10**18))
    after = embed(folder, tmp_path / "cache")
    assert not np.array_equal(before.embeddings[3], after.embeddings[3])
    np.testing.assert_array_equal(after.embeddings, embed(folder, tmp_path / "fresh").embeddings)


def test_the_same_pictures_elsewhere_are_found_again(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed(photos(tmp_path / "photos"), tmp_path / "cache")
    monkeypatch.setattr(PixelEncoder, "embed", lambda *_, **__: pytest.fail("embedded again"))
    before = stored(tmp_path / "cache")
    (tmp_path / "photos").rename(tmp_path / "moved")
    for path in (tmp_path / "moved").iterdir():
        path.touch()
        path.rename(path.with_name(f"img_{path.name}"))
    np.testing.assert_array_equal(embed(tmp_path / "moved", tmp_path / "cache").embeddings, first.embeddings)
    assert stored(tmp_path / "cache") == before


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path: Path, encoder: str, plain_user: None) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "3.png").chmod(0)
    first = embed(folder, tmp_path / "cache")
    assert [tuple(item) for item in first.skipped] == [("3.png", "Permission denied")]
    assert first.positions.tolist() == [0, 1, 2, 4, 5]
    (folder / "3.png").chmod(0o644)
    again = embed(folder, tmp_path / "cache")
    assert (again.skipped, again.positions.tolist()) == ((), [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(again.embeddings, embed(folder, tmp_path / "fresh").embeddings)


@pytest.mark.parametrize(
    "failure", [MemoryError(), OSError(5, "Input/output error"), OSError(24, "Too many open files")]
)
def test_an_image_that_could_not_be_decoded_is_tried_again(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    folder = photos(tmp_path / "photos")

    def fail_for_one(path: Path, **options: Any) -> Image.Image:
        if path.name != "3.png":
            return decode(path, **options)
        if isinstance(failure, MemoryError):
            raise failure
        raise DataError("cannot decode") from failure

    monkeypatch.setattr(streaming, "decode", fail_for_one)
    first = embed(folder, tmp_path / "cache")
    [(name, reason)] = first.skipped
    assert name == "3.png"
    assert reason == (getattr(failure, "strerror", None) or "it needs more memory than there is")
    assert first.positions.tolist() == [0, 1, 2, 4, 5]
    assert embed(folder, tmp_path / "cache").skipped == first.skipped, "it still fails, and is still left out"
    monkeypatch.setattr(streaming, "decode", decode)
    again = embed(folder, tmp_path / "cache")
    assert (again.skipped, again.positions.tolist()) == ((), [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(again.embeddings, embed(folder, tmp_path / "fresh").embeddings)


def test_a_damaged_file_is_looked_at_again_but_the_others_are_not_embedded_again(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:500])
    first = embed(folder, tmp_path / "cache")
    monkeypatch.setattr(PixelEncoder, "embed", lambda *_, **__: pytest.fail("embedded again"))
    before = stored(tmp_path / "cache")
    again = embed(folder, tmp_path / "cache")
    assert again.skipped == first.skipped
    assert "truncated" in first.skipped[0].reason
    assert stored(tmp_path / "cache") == before


def test_a_file_that_changes_while_it_is_embedded_poisons_no_stored_embedding(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos(tmp_path / "photos")
    original = (folder / "3.png").read_bytes()

    def replace_after_reading(files: Any) -> Any:
        contents = read_contents(files)
        Image.new("RGB", (16, 16), "red").save(folder / "3.png", compress_level=0)
        return contents

    monkeypatch.setattr(labelled, "read_contents", replace_after_reading)
    assert [tuple(item) for item in embed(folder, tmp_path / "cache").skipped] == [
        ("3.png", "it was changed meanwhile")
    ]
    monkeypatch.setattr(labelled, "read_contents", read_contents)
    (folder / "3.png").write_bytes(original)
    again = embed(folder, tmp_path / "cache")
    np.testing.assert_array_equal(again.embeddings, embed(folder, tmp_path / "fresh").embeddings)


def test_a_shard_without_a_readable_file_is_passed_over(
    tmp_path: Path, encoder: str, monkeypatch: pytest.MonkeyPatch, plain_user: None
) -> None:
    monkeypatch.setattr(labelled, "SHARD", 2)
    folder = photos(tmp_path / "photos")
    for name in ("2.png", "3.png"):
        (folder / name).chmod(0)
    (folder / "4.png").write_bytes(b"damaged")
    (folder / "5.png").write_bytes(b"damaged")
    found = embed(folder, tmp_path / "cache")
    assert found.positions.tolist() == [0, 1]
    assert [item.name for item in found.skipped] == ["2.png", "3.png", "4.png", "5.png"]
    for name in ("0.png", "1.png"):
        (folder / name).chmod(0)
    with pytest.raises(DataError, match="none of the 6 image files could be read; the first: "):
        embed(folder, tmp_path / "cache")


def test_links_and_special_files_are_skipped_with_a_reason_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_user: None
) -> None:
    folder = photos(tmp_path / "photos", count=3)
    outside = photos(tmp_path / "outside", count=1)
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0)
    monkeypatch.chdir(folder)
    targets: dict[str, str | Path] = {
        "dangling.png": "missing.png",
        "dangling": "missing",
        "loop.png": "loop.png",
        "one": "other",
        "other": "one",
        "back": ".",
        "file.png": outside / "0.png",
        "folder": outside,
        "device.png": "/dev/zero",
        "same.png": "0.png",
        "notes": __file__,
    }
    for name, target in targets.items():
        Path(name).symlink_to(target)
    os.mkfifo("pipe.jpg")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.webp")
    scan = find_images(folder)
    (folder / "closed").chmod(0o700)
    circle = "it is a link that leads round in a circle"
    assert dict(scan.skipped) == {
        "back": f"it leads back to {folder}, which contains it",
        "closed": "the folder cannot be listed (Permission denied)",
        "dangling": "it is a link to missing, which does not exist",
        "dangling.png": "it is a link to missing.png, which does not exist",
        "device.png": f"it leads outside {folder}, to /dev/zero",
        "file.png": f"it leads outside {folder}, to {outside / '0.png'}",
        "folder": f"it leads outside {folder}, to {outside}",
        "loop.png": circle,
        "one": circle,
        "other": circle,
        "pipe.jpg": "it is a named pipe, not a regular file",
        "socket.webp": "it is a socket, not a regular file",
    }
    assert scan.files.names == ("0.png", "1.png", "2.png", "same.png")
    assert scan.others == ("notes", "pipe")


def test_a_folder_of_links_that_lead_nowhere_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("gone.png")
    with pytest.raises(DataError, match=r"holds no image .* Left out: a\.png \(it is a link to gone\.png, which does"):
        find_images(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        find_images(tmp_path / "nowhere")


@pytest.mark.integration
def test_more_folders_in_each_other_than_python_has_frames(tmp_path: Path) -> None:
    below = tmp_path / Path(*"d" * 1200)
    try:
        subprocess.run(["mkdir", "-p", str(below)], check=True)
        for folder in (tmp_path, below):
            Image.new("RGB", (4, 4)).save(folder / "a.png")
        assert len(find_images(tmp_path).files) == 2
    finally:
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # pytest's own way recurses
