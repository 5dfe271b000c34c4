"""Digests of image files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.images.contents import read_contents
from bench.labelling.images import find_images


def test_files_are_known_by_what_they_hold(photographs: Path) -> None:
    files = find_images(photographs).files
    contents = read_contents(files)
    assert contents.problems == {}
    assert contents.positions.tolist() == list(range(len(files)))
    wanted = [hashlib.sha256(files.locate(place).read_bytes()).hexdigest() for place in range(len(files))]
    assert list(contents.files.sha256) == wanted


def test_a_file_that_is_gone_is_left_out_with_a_reason(photographs: Path) -> None:
    files = find_images(photographs).files
    files.locate(2).unlink()
    contents = read_contents(files)
    assert list(contents.problems) == [2]
    assert contents.problems[2]
    assert contents.positions.tolist() == [place for place in range(len(files)) if place != 2]
    assert len(contents.files) == len(contents.files.sha256) == len(files) - 1
