"""Named pipes, devices and endless files where a command reads: one line at once, never a wait, never all memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.engine.failures import read_failures
from bench.engine.resume import is_cut
from bench.errors import BenchError
from bench.results.rows import read_row
from tests.row_fixtures import problems_of

COMMITTED = Path(__file__).parents[2] / "results" / "digits-demo"
CELL = next(path.stem for path in sorted((COMMITTED / "rows").glob("*elfs*.json")))
pytestmark = pytest.mark.timeout(60)  # a pipe that is opened is waited for


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


SPECIAL = [(pipe, "named pipe"), (zeros, "character device"), (sparse, "holds more than")]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder of one committed row with its coreset and scores."""
    row = read_row(COMMITTED / "rows" / f"{CELL}.json")
    for name in (f"rows/{CELL}.json", f"indices/{CELL}.npy", f"scores/{row.scores_sha256}.npy"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(COMMITTED / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(("make", "says"), SPECIAL)
@pytest.mark.parametrize("folder", ["rows", "indices", "scores"])
def test_validate_opens_regular_files_alone(run: Path, folder: str, make: Callable[[Path], None], says: str) -> None:
    [file] = (run / folder).iterdir()
    file.unlink()
    make(file)
    [problem] = problems_of(run / "rows" / f"{CELL}.json")
    assert says in problem or "leads outside" in problem
    done = CliRunner().invoke(app, ["validate", str(run)])
    assert done.exit_code == 1
    assert done.stdout.endswith("1 row checked, 1 problem.\n")


@pytest.mark.parametrize(("make", "says"), SPECIAL)
@pytest.mark.parametrize(
    "command",
    [["table"], ["export"], ["compare"], ["train", "--row"], ["train", "--indices"], ["select"]],
    ids=" ".join,
)
def test_other_commands_open_regular_files_alone(
    run: Path, command: list[str], make: Callable[[Path], None], says: str
) -> None:
    row = run / "rows" / f"{CELL}.json"
    row.unlink()
    make(row)
    words = {
        "--row": ["train", "--row", str(row), "--out", str(run / "out")],
        "--indices": ["train", "--indices", str(row), "--dataset", "digits", "--out", str(run / "out")],
        "select": ["select", "--embeddings", str(row), "--classes", "2", "--budget", "2", "--out", str(run / "o.csv")],
    }.get(command[-1], [*command, str(run)])
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, BenchError), (done.exception, done.output)
    assert says in str(done.exception) or (make is sparse and "embeddings are read from" in str(done.exception))


@pytest.mark.parametrize(("make", "says"), SPECIAL)
def test_a_resumed_run_opens_regular_files_alone(run: Path, make: Callable[[Path], None], says: str) -> None:
    (run / "failed").mkdir()
    for name in ("failed", "rows"):
        make(run / name / "special.json")
    assert list(read_failures(run)) == []
    assert not is_cut(run / "rows" / "special.json")
    assert is_cut(run / "indices" / f"{CELL}.npy")
