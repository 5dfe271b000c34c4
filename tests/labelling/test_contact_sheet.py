"""The picture of what to label first."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.images.folders import scan_images
from bench.labelling.contact_sheet import THUMBNAIL, _fitting, _font, contact_sheet, thumbnails


def test_the_place_of_a_picture_that_was_moved_stays_empty(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.new("RGB", (300, 200), "blue").save(tmp_path / f"{name}.png")
    files = scan_images(tmp_path).files
    (tmp_path / "b.png").unlink()
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(thumbnails(files, 3), ["", "", ""]))))
    middle = sheet[8 + THUMBNAIL // 2, 8 + THUMBNAIL // 2 :: THUMBNAIL + 8]
    assert [pixel.argmax() == 2 and pixel[0] < 50 for pixel in middle[:3]] == [True, False, True]


def test_a_caption_that_is_too_long_keeps_its_number_and_the_end_of_the_name() -> None:
    length = lambda text: 6.0 * len(text)  # noqa: E731
    assert _fitting("12: short.jpg", length) == "12: short.jpg"
    assert _fitting("12: photograph-of-a-very-long-name-0042.jpg", length) == "12: p...ame-0042.jpg"


@pytest.mark.parametrize("letters", ["äöüß", "éñøł", "жδ"])
def test_letters_beyond_ascii_can_be_read(letters: str) -> None:
    """Pillow's own font draws one box for each of them."""
    drawn = {bytes(_font().getmask(letter)) for letter in f"{letters}\U0010fffd"}
    assert len(drawn) == len(letters) + 1


def test_without_matplotlib_captions_are_drawn_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.labelling.contact_sheet.find_spec", lambda name: None)
    assert _font().getbbox("a.jpg")[2] > 0
