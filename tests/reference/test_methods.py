"""The page of methods."""

from __future__ import annotations

from pathlib import Path

from bench.reference.methods import methods_page

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_reference_of_methods_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == methods_page(), "run: bench list methods --markdown > docs/methods.md"
