"""Standard output of another encoding, and one that is full."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import BENCH
from tests.narrowing import present

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_output_of_another_encoding_has_question_marks(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback before: case F18 of 2026-11-28."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    folder = Path(__file__).parents[2] / "results" / "digits-demo"
    done = subprocess.run(
        [present(BENCH), "table", str(folder), "--out", str(tmp_path)], capture_output=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout or b"\xb1" in done.stdout
    assert (tmp_path / "accuracy.md").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    """Case F26 of 2026-11-28."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [present(BENCH), "schema", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=500,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: cannot write to standard output: No space left on device. All files are written.\n"
