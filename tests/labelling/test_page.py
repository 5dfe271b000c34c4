"""The page of a choice in a real browser: no request, no complaint, whole names, arrow keys, phone and dark mode."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.labelling.contact_sheet import thumbnails
from bench.labelling.images import find_images
from bench.labelling.page import Map, choice_page
from tests.browser import launched, new_page, watched
from tests.digits import load_digits

pytestmark = pytest.mark.integration

LONG = "a-very-long-name-of-a-photograph-" * 5 + "0001.png"
NASTY = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choice")
    photos = folder / "photos"
    photos.mkdir()
    for number, pixels in enumerate(load_digits().images[:40]):
        name = {0: LONG, 1: NASTY}.get(number, f"{number:03}.png")
        Image.fromarray((pixels * 15).astype(np.uint8)).save(photos / name)
    shutil.copy(photos / "005.png", photos / "copy of 005.png")
    (photos / "broken.png").write_bytes(b"no image")
    (folder / "labelled.txt").write_text("002.png\n003.png\n")
    given = ["--images", str(photos), "--encoder", "pixels", "--classes", "10", "--budget", "36", "--skip-duplicates"]
    places = ["--similarity", "0.99999", "--cache-dir", str(folder / "cache"), "--out", str(folder / "x.csv"), "-q"]
    done = CliRunner().invoke(app, ["select", *given, *places, "--labelled", str(folder / "labelled.txt")])
    assert done.exit_code == 0, done.output or done.exception
    return folder / "x.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with launched() as running:
        yield running


@pytest.fixture
def page(browser: Any, choice: Path) -> Iterator[object]:
    """The page, opened; whatever the browser complains of or asks the network for fails the test."""
    with watched(browser, choice) as opened:
        yield opened


def test_the_choice_is_shown_whole(page: Any, choice: Path) -> None:
    names = page.locator("#choice bdi").all_inner_texts()
    listed = choice.with_suffix(".csv").read_text().splitlines()[1:]
    assert len(names) == len(listed) == 36
    assert all(name in line for name, line in zip(names, listed, strict=True))
    assert len({LONG, NASTY} & set(names)) >= 1, "36 of 38 are chosen"
    pictures = page.locator("#choice img")
    assert pictures.count() == 36
    pictures.first.scroll_into_view_if_needed()
    assert page.evaluate("document.querySelector('#choice img').naturalWidth") == 120
    assert page.locator("svg .chosen").count() == 36
    assert page.locator("svg .known").count() == 2
    details = page.locator("details").all_inner_texts()
    assert [text.split(":")[0] for text in details] == ["Near-duplicates left out", "Files skipped"]


def test_arrow_keys_and_points_lead_to_items(page: Any) -> None:
    page.locator("#item-1").focus()
    for key, place in (("ArrowRight", 2), ("ArrowLeft", 1), ("End", 36), ("ArrowRight", 36), ("Home", 1)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == f"item-{place}", key
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.offsetTop > document.getElementById('item-1').offsetTop")
    page.locator("svg a").nth(4).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#item-5"


def test_it_fits_a_phone_in_the_dark(browser: Any, choice: Path) -> None:
    opened = new_page(browser, viewport={"width": 360, "height": 640}, color_scheme="dark")
    opened.goto(choice.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    red, green, blue = opened.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(red, green, blue) < 60
    opened.close()


def test_three_hundred_pictures_fit_a_phone(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(load_digits().images[:300]):
        Image.fromarray((pixels * 15).astype(np.uint8)).save(tmp_path / f"photos/{number:03}-{LONG}")
    files = find_images(tmp_path / "photos").files
    entries = [
        {"order": number, "file": name, "cluster": 1, "score": 0.5} for number, name in enumerate(files.names, 1)
    ]
    html = choice_page("300 of 300 items.", [], entries, thumbnails(files, 299), Map([], [], []), [], ())
    (tmp_path / "x.html").write_text(html)
    assert len(html) < 3e6, "a telephone can load it"
    opened = new_page(browser, viewport={"width": 390, "height": 844})
    opened.goto((tmp_path / "x.html").as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.locator("#choice img").count() == 299
    assert "Only the first 299 have pictures here." in html
    lefts = "[...document.querySelectorAll('#choice li')].map(item => item.offsetLeft)"
    assert len(set(opened.evaluate(lefts))) == 2, "two beside each other"
    opened.locator("#item-299").scroll_into_view_if_needed()
    # Decoded, not waited for by a string: the page's policy runs no string as code.
    width = "image => image.decode().then(() => image.naturalWidth)"
    assert opened.locator("#item-299 img").evaluate(width) == 120
    opened.close()
