"""The committed tables, leaderboard and figures are what the commands make of the committed rows."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app

pytestmark = pytest.mark.integration

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


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in RESULTS.rglob("tables")),
    ids=lambda folder: str(folder.relative_to(RESULTS)),
)
def test_the_tables_of_a_folder_are_current(folder: Path, tmp_path: Path) -> None:
    commands = [["table"]]
    if (folder / "tables" / "comparison.md").exists():
        against = re.findall(r"^## .*: against (.*)$", (folder / "tables" / "comparison.md").read_text(), re.M)
        commands.append(["compare", "--baseline", against[0]])
    for command, *options in commands:
        done = CliRunner().invoke(app, [command, str(folder), "--out", str(tmp_path), *options])
        assert done.exit_code == 0, done.output
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {name: (folder / "tables" / name).read_bytes() for name in made}


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
    assert {name: clips_in_order(svg) for name, svg in fresh.items()} == {
        name: clips_in_order(svg) for name, svg in committed.items()
    }


def clips_in_order(svg: bytes) -> bytes:
    """Name clip paths by where they stand: matplotlib names them by a position whose last bit depends on the CPU."""
    for place, name in enumerate(dict.fromkeys(re.findall(rb"url\(#(\w+)\)", svg))):
        svg = svg.replace(name, b"clip-%d" % place)
    return svg
