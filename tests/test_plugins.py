"""Plugins of installed packages, and what is wrong with one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    pass


PLUGIN = '''
from bench import register_method

@register_method("{name}", supervision="none", paper="nobody")
def {function}(pool, budget, rng, *, offset=3):
    """{sentence}"""
'''


def install(folder: Path, package: str, source: str) -> None:
    """What pip leaves behind: a module and a .dist-info folder with its entry point."""
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bench.methods]\nextra = {package}\n")


def list_methods(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "list", "methods"],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "250"},
        cwd=folder,
    )


def test_a_method_of_an_installed_package_is_listed(tmp_path: Path) -> None:
    install(tmp_path, "outsider", PLUGIN.format(name="outside", function="outside", sentence="Comes from elsewhere."))
    done = list_methods(tmp_path)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if "outside" in line]
    assert "offset=3" in line
    assert "Comes from elsewhere." in line


def test_a_package_that_does_not_import_is_named_and_takes_no_other_method_away(tmp_path: Path) -> None:
    install(tmp_path, "outsider", "import no_such_module_anywhere\n")
    done = list_methods(tmp_path)
    assert done.returncode == 0
    assert "elfs" in done.stdout
    [line] = done.stderr.splitlines()
    assert line.startswith("the plugin 'outsider' of outsider (entry point group bench.methods)")
    assert "No module named 'no_such_module_anywhere'" in line


def test_a_package_that_takes_a_known_name_is_left_out_and_both_are_named(tmp_path: Path) -> None:
    install(tmp_path, "outsider", PLUGIN.format(name="ccs", function="mine", sentence="Taken."))
    done = list_methods(tmp_path)
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith("the plugin 'outsider' of outsider (entry point group bench.methods) cannot be loaded")
    assert line.endswith("by bench.methods.ccs.ccs and by outsider.mine; rename one")
    assert "Taken." not in done.stdout
    assert "strata=50" in done.stdout
