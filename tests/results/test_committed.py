"""The committed leaderboard is what the command of results/README.md makes of the committed rows."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes, in a folder of its own."""
    [command] = re.findall(
        r"^bench (leaderboard .*) --out results (--figures)$", (RESULTS / "README.md").read_text(), re.M
    )
    out = tmp_path_factory.mktemp("results")
    folders = [str(RESULTS.parent / word) for word in command[0].split()[1:]]
    done = CliRunner().invoke(app, ["leaderboard", *folders, "--out", str(out), command[1]])
    assert done.exit_code == 0, done.output
    return out


def test_the_leaderboard_is_current(made: Path) -> None:
    for name in ("leaderboard.md", "leaderboard.csv", "leaderboard.tex"):
        assert (made / name).read_bytes() == (RESULTS / name).read_bytes()


def test_the_figures_are_current(made: Path) -> None:
    fresh, committed = (
        {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} for folder in (made, RESULTS)
    )
    assert fresh.keys() == committed.keys()
    drawn_by = set(re.findall(rb"Matplotlib v([0-9.]+)", b"".join(committed.values())))
    if drawn_by != {version("matplotlib").encode()}:
        pytest.skip(f"drawn by matplotlib {drawn_by}; this is {version('matplotlib')}, whose bytes may differ")
    assert fresh == committed
