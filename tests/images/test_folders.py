"""Files of a folder that cannot be read are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench.images.contents import read_contents
from bench.images.folders import ImageFiles, class_folders, scan_classes, scan_images


@pytest.fixture
def files(photographs: Path) -> ImageFiles:
    return scan_classes(photographs, "", class_folders(photographs))[0]


def test_files_that_cannot_be_read_are_told_apart(tmp_path: Path, plain_user: None) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    files = scan_images(tmp_path).files
    (tmp_path / "a.png").unlink()
    (tmp_path / "c.png").chmod(0)
    contents = read_contents(files)
    assert contents.files.names == ("b.png", "d.png")
    assert contents.positions.tolist() == [1, 3]
    assert contents.problems == {0: "it is not there any more", 2: "Permission denied"}
