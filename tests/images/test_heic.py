"""HEIC files, as phones write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from bench.images import heic


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    heic.formats.cache_clear()
    yield
    heic.formats.cache_clear()


def test_a_file_of_a_phone_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (extra heic)")
    assert heic.formats() == ("HEIF",)
    file = tmp_path / "photo.heic"
    Image.new("RGB", (16, 12), "red").save(file)
    assert heic.looks_like(file.read_bytes())
    with Image.open(file, formats=heic.formats()) as image:
        assert image.size == (16, 12)


def test_without_the_package_there_is_no_such_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "find_spec", lambda name: None)
    assert not heic.installed()
    assert heic.formats() == ()


@pytest.mark.parametrize("content", [b"", b"ftyp", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0ftyp"[:7]])
def test_other_files_do_not_look_like_it(content: bytes) -> None:
    assert not heic.looks_like(content)
