"""From result folders to blocks, and from tables to files."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.cli._results import output_folder, read_blocks
from bench.errors import BenchError, RowError, SpecError


def test_blocks_hold_the_chosen_methods_by_the_names_that_are_wanted(two_methods: Path) -> None:
    [whole] = read_blocks([two_methods])
    assert len(whole.lines) == 2
    [chosen] = read_blocks([two_methods], methods="elfs=Ours")
    assert len(chosen.lines) == 1
    [kept] = read_blocks([two_methods], methods="elfs", keep="random")
    assert len(kept.lines) == 2, "the baseline stays"
    with pytest.raises(BenchError, match="zcore"):
        read_blocks([two_methods], methods="zcore")
    with pytest.raises(RowError):
        read_blocks([two_methods / "rows" / "nothing"])


@pytest.mark.parametrize("command", [["table"], ["compare"], ["leaderboard"], ["plot", "accuracy"]])
def test_a_file_to_write_is_refused_where_a_folder_is_meant(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "no-such-folder", "--out", "runs/mine.csv"])
    assert isinstance(done.exception, SpecError)
    said = "--out runs/mine.csv is not valid: give a folder, such as runs/mine; its files get names of their own."
    assert str(done.exception) == said


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "file").touch()
    assert output_folder(None, [tmp_path], "tables") == tmp_path / "tables"
    for name in ("v1.2", "a.csv", "new"):
        assert output_folder(tmp_path / name, [], "tables") == tmp_path / name
    with pytest.raises(SpecError, match="file is not valid: give a folder; its files"):
        output_folder(tmp_path / "file", [], "tables")


@pytest.mark.parametrize("command", [["table"], ["compare"], ["leaderboard", "--figures"], ["plot", "accuracy"]])
def test_another_metric_replaces_no_file(command: list[str], two_methods: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def written(*options: str) -> dict[str, bytes]:
        done = CliRunner().invoke(app, [*command, str(two_methods), "--out", str(out), *options])
        assert done.exit_code == 0, done.output
        return {path.name: path.read_bytes() for path in out.rglob("*.*")}

    last = written()
    both = written("--metric", "best")
    assert {name: both[name] for name in last} == last
    assert {Path(name).stem + "-best" for name in last if name != "overlap.csv"} == {
        Path(name).stem for name in both.keys() - last
    }


def test_a_page_of_another_metric_has_a_name_of_its_own(two_methods: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(two_methods), "--metric", "best"])
    assert done.exit_code == 0, done.output
    assert [path.name for path in two_methods.glob("*.html")] == ["report-best.html"]
