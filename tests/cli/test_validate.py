"""``bench validate`` says one line per problem, and what it could not check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from tests.claim_fixtures import Write, earlier


def test_the_command_prints_one_line_per_problem_and_exits_with_1(forged: Write, tmp_path: Path) -> None:
    path = forged({"accuracy": 64.0, "threads": 0})
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "run")])
    assert done.exit_code == 1
    *lines, summary = done.stdout.splitlines()
    assert summary == "1 row checked, 3 problems."
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)
    path.write_bytes(path.read_bytes()[:100])
    done = CliRunner().invoke(app, ["validate", str(path), str(tmp_path / "run")])
    assert done.exit_code == 1
    [line, summary] = done.stdout.splitlines()
    assert line.startswith(f"{path} is not a valid row: the file: ")
    assert summary == "1 row checked, 1 problem."


def test_the_command_says_what_it_could_not_check(forged: Write, tmp_path: Path) -> None:
    path = forged(earlier(2))
    claim = "stages: rows of schema versions 1 and 2 do not name the code that selected the coreset"
    done = CliRunner().invoke(app, ["validate", str(path)])
    assert done.stdout.splitlines() == [f"Not checked in 1 row: {claim}.", "1 row checked, 0 problems."]
    assert done.exit_code == 0
    done = CliRunner().invoke(app, ["validate", str(path), "--json"])
    assert json.loads(done.stdout) == {"rows": 1, "problems": [], "not_checked": [{"claim": claim, "rows": 1}]}


@pytest.mark.integration
def test_no_name_reaches_the_terminal_as_a_command(forged: Write, tmp_path: Path) -> None:
    path = forged({"threads": 0}, name="a\x1b[2J\u202e\n0 problems")
    done = CliRunner().invoke(app, ["validate", str(path)])
    assert done.exit_code == 1
    assert "\\x1b[2J\\u202e\\n0 problems.json: threads: 0" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
    missing = subprocess.run(
        [sys.executable, "-m", "bench", "validate", str(tmp_path / "\x1b[2J")],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert (missing.returncode, "\\x1b[2J is neither" in missing.stderr, "\x1b" in missing.stderr) == (2, True, False)
