"""An outside package, as a user would install it: found by its entry point, checked by both public entries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

MODULE = '''
from bench import register_method


@register_method("outside-good", supervision="none", stochastic=True)
def good(pool, budget, rng):
    """Uniform without replacement."""
    return rng.choice(len(pool), budget, replace=False)


@register_method("outside-bad", supervision="none", stochastic=True)
def bad(pool, budget, rng):
    """Keep one image too few."""
    return rng.choice(len(pool), max(budget - 1, 0), replace=False)
'''
# The command runs in the process of the tests, which saves a second import of torch.
TESTS = """
from pathlib import Path
from typer.testing import CliRunner
from bench.cli import app
from bench import conformance_tests

test_mine = conformance_tests("outside-good", "outside-bad")

def test_command():
    done = CliRunner().invoke(app, ["check", "outside-good", "outside-bad"])
    Path("command.txt").write_text(f"{done.exit_code}\\n{done.stdout}")
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of the package, and what pytest said about its tests."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "outside.py").write_text(MODULE)
    info = folder / "outside-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[bench.methods]\nmine = outside\n")
    (folder / "test_outside.py").write_text(TESTS)
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-rf", "-p", "no:cacheprovider", "test_outside.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    return folder, done


def test_two_lines_in_its_own_tests(outside: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = outside
    assert done.returncode == 1, done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert "test_mine[outside-bad-exact] - Failed: The coreset is exactly n unique" in "\n".join(failed)
    assert not [line for line in failed if "outside-good" in line or "test_command" in line]
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_command_line(outside: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = outside
    code, *lines = (folder / "command.txt").read_text().splitlines()
    assert code == "1"
    assert "outside-good  passed   exact" in lines
    [failed] = [line for line in lines if line.startswith("outside-bad   failed   exact: ")]
    assert "n = 1 of 300 images, seed 0: method 'outside-bad' returned 0 indices; 1 unique" in failed
    assert not [line for line in lines if line.startswith("outside-good  failed")]
    assert lines[-1].startswith("2 methods: ")
