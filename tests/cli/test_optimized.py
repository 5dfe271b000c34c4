"""``python -OO``: without assertions, as with ``-O``, and without docstrings commands do what they do otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

COMMITTED = Path(__file__).parents[2] / "results" / "digits-demo"


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-OO", "-m", "bench", *words], capture_output=True, text=True, timeout=300)


DRY_RUN = ("run", "--methods", "random,elfs", "--datasets", "digits", "--dry-run")


@pytest.mark.parametrize(
    "words",
    [
        DRY_RUN,
        ("list", "methods", "--json"),
        ("list", "datasets"),
        ("validate", str(COMMITTED)),
        pytest.param(("check", "random"), marks=pytest.mark.slow),
    ],
)
def test_commands_need_neither_assertions_nor_docstrings(words: tuple[str, ...], tmp_path: Path) -> None:
    done = bench(*words, *(["--out", str(tmp_path / "out")] if words == DRY_RUN else []))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("schema",), "the page is made of docstrings"),
        (("list", "methods", "--markdown"), "the page is made of docstrings"),
        (("run", "--methods", "random", "--datasets", "digits", "--out", "out"), "Ray does not work in a Python that"),
    ],
)
def test_what_needs_docstrings_says_so(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bench(*words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
