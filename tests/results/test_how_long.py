"""The table of docs/how-long.md is what its script makes of the committed rows."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [
    "digits-demo",
    "does-elfs-win/mnist5k",
    "cifar10-5k",
    "does-elfs-win/cifar10-5k-proxy60",
    "does-elfs-win/cifar10-50k-scaled",
]


def test_the_page_holds_the_table_of_the_committed_rows(script_of: Callable[[str], ModuleType]) -> None:
    table = script_of("how_long.py").table(ROOT / "results" / folder for folder in FOLDERS)
    assert table in (ROOT / "docs" / "how-long.md").read_text(encoding="utf-8")


def test_a_folder_without_rows_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["how_long.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="holds no rows; give folders of one run each"):
        runpy.run_path(str(ROOT / "results" / "how_long.py"), run_name="__main__")
