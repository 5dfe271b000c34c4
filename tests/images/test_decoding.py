"""Image files of every kind, one at a time: transparency, orientation, damage, and what is no image at all."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.errors import DataError
from bench.images import decoding
from bench.images.decoding import content_sha256, decode, reason_of

BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (127, 127, 127)


def pixels(path: Path, *, upright: bool = False) -> list[tuple[int, ...]]:
    """Of a picture one pixel high, or wide."""
    return [tuple(pixel) for pixel in np.asarray(decode(path, upright=upright)).reshape(-1, 3).tolist()]


def palette(*, transparency: bytes | int) -> Image.Image:
    """Three pixels: 0, 1, 2 of a palette that is black throughout."""
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette([0] * 768)
    image.info["transparency"] = transparency
    return image


def saved(image: Image.Image, folder: Path, name: str = "image.png", **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def three(mode: str, *values: object) -> Image.Image:
    image = Image.new(mode, (3, 1))
    image.putdata(values)  # type: ignore[arg-type]
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (three("RGBA", (0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 128)), [WHITE, BLACK, GREY]),
        (three("LA", (0, 0), (0, 255), (0, 128)), [WHITE, BLACK, GREY]),
        (palette(transparency=bytes([0, 255, 128])), [WHITE, BLACK, GREY]),
        (palette(transparency=1), [BLACK, WHITE, BLACK]),
        (three("RGB", (0, 0, 0), (0, 0, 1), (9, 9, 9)), [WHITE, (0, 0, 1), (9, 9, 9)]),
        (three("L", 0, 1, 9), [WHITE, (1, 1, 1), (9, 9, 9)]),
        (three("1", 0, 255, 0), [WHITE, WHITE, WHITE]),
    ],
    ids=["RGBA", "LA", "P with alpha", "P with one colour", "RGB with one colour", "L with one colour", "1"],
)
def test_white_shows_through(image: Image.Image, expected: list[tuple[int, ...]], tmp_path: Path) -> None:
    keyed = {"RGB": (0, 0, 0), "L": 0, "1": 0}.get(image.mode)
    options: dict[str, Any] = {} if keyed is None else {"transparency": keyed}
    assert pixels(saved(image, tmp_path, **options)) == expected


def test_white_shows_through_webp(tmp_path: Path) -> None:
    image = three("RGBA", (0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 128))
    assert pixels(saved(image, tmp_path, "image.webp", lossless=True, exact=True)) == [WHITE, BLACK, GREY]


def test_what_is_opaque_keeps_its_pixels(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    for mode in ("RGB", "RGBA"):
        assert np.array_equal(np.asarray(decode(saved(image.convert(mode), tmp_path), upright=True)), colours)


def test_a_transparent_picture_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: the last row becomes the first column
    image = Image.new("RGBA", (1, 2))
    image.putdata([(0, 0, 0, 0), (0, 0, 0, 255)])
    path = saved(image, tmp_path, exif=exif)
    assert (decode(path, upright=True).size, pixels(path, upright=True)) == ((2, 1), [BLACK, WHITE])
    assert (decode(path, upright=False).size, pixels(path)) == ((1, 2), [WHITE, BLACK])


@pytest.mark.parametrize("exif", [b"garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0garbage"])
@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.webp"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_leave_a_picture_as_it_is_stored(exif: bytes, name: str, tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (3, 2), "red"), tmp_path, name, exif=exif)
    assert decode(path, upright=True).size == (3, 2)


def test_of_an_animation_the_first_picture_counts(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (3, 1), BLACK), Image.new("RGB", (3, 1), WHITE)
    for name, options in (("a.png", {}), ("a.webp", {"lossless": True})):
        path = saved(first, tmp_path, name, save_all=True, append_images=[second], **options)
        assert pixels(path) == [BLACK] * 3


def png_of(width: int, height: int) -> bytes:
    """A PNG that states a size and holds hardly any pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"<html>", "it is not a JPEG, PNG or WebP file"),
        ("gif", "it is not a JPEG, PNG or WebP file"),
        ("half", "image file is truncated"),
        (png_of(30_000, 30_000), "exceeds limit of 178956970 pixels"),
        (png_of(300, 300), "truncated"),
    ],
)
def test_why_a_file_is_no_picture(content: bytes | str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8))
    if content == "gif":
        picture.save(path, "GIF")
    elif content == "half":
        picture.save(path, "JPEG")
        path.write_bytes(path.read_bytes()[:-500])
    else:
        path.write_bytes(content)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"cannot decode the image .*image\.png: ") as caught:
        decode(path, upright=True)
    assert reason in reason_of(caught.value)
    assert "0x" not in str(caught.value), "the same words every time"


@pytest.mark.timeout(20)
def test_what_takes_a_pictures_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "image.png")
    with pytest.raises(DataError, match="it is a named pipe, not a regular file"):
        decode(tmp_path / "image.png", upright=True)


def test_no_more_is_read_than_memory_should_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(Image.new("RGB", (3, 1)), tmp_path)
    monkeypatch.setattr(decoding, "LARGEST_FILE", path.stat().st_size - 1)
    with pytest.raises(DataError, match="it holds more than"):
        decode(path, upright=True)


def test_a_file_that_holds_something_else_by_now_is_refused(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (3, 1), BLACK), tmp_path)
    before = content_sha256(path)
    assert decode(path, upright=True, sha256=before).size == (3, 1)
    saved(Image.new("RGB", (3, 1), GREY), tmp_path)
    with pytest.raises(DataError, match="it was changed meanwhile"):
        decode(path, upright=True, sha256=before)
