"""A real browser for the tests of pages; without one the module that imports this is skipped whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 300_000
"""Milliseconds for Chromium to start and for a page to load; playwright's 30 s are few on a busy machine."""
if find_spec("playwright") is None:
    pytest.skip("needs playwright, an extra of development", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("needs Chromium (on Debian: apt-get install chromium)", allow_module_level=True)


@contextmanager
def launched() -> Iterator[Any]:
    """Chromium, without requests of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET, timeout=PATIENCE)
        yield running
        running.close()


def new_page(browser: Any, **options: Any) -> Any:
    """An empty page that waits as long as a busy machine needs."""
    page = browser.new_page(**options)
    page.set_default_timeout(PATIENCE)
    return page


@contextmanager
def watched(browser: Any, file: Path) -> Iterator[Any]:
    """The page of a file, opened; whatever the browser complains of or asks the network for fails at the end."""
    opened = new_page(browser)
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    opened.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    opened.goto(file.as_uri())
    yield opened
    opened.close()
    assert not complaints
