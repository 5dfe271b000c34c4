"""What runs, and how far it is, as a terminal and a pipe are told."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli._watch import Watch
from bench.cli.progress import ProgressReporter
from bench.progress import Task, announced, running_tasks
from bench.stages.session import Session


def watched(tmp_path: Path, *looks: tuple[float, dict[str, Task]], terminal: bool) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=100, highlight=False, color_system=None)
    session = Session(out=tmp_path, cache=tmp_path)
    with ProgressReporter(console, session=session) as reporter:
        reporter.cells_begin(12, 4)
        watch = Watch(session, reporter._bar, console, lines=not terminal)
        for now, found in looks:
            watch.look(found, now)
            reporter._bar.refresh()
    return written.getvalue()


def test_a_terminal_shows_what_runs_and_how_far_it_is(tmp_path: Path) -> None:
    running = {"a": Task("temi [50 heads]", 40, 200), "b": Task("neighbours")}
    shown = watched(tmp_path, (0.0, running), terminal=True)
    assert "temi [50 heads]" in shown
    assert "40/200" in shown
    assert "neighbours" in shown
    assert "0/?" not in shown


def test_elsewhere_only_what_takes_long_has_a_line_a_minute(tmp_path: Path) -> None:
    running = {"a": Task("temi [50 heads]", 40, 200), "b": Task("neighbours")}
    looks = [(0.0, {"a": running["a"], "c": Task("short")}), (30.0, running), (61.0, running), (90.5, running)]
    shown = watched(tmp_path, *looks, terminal=False)
    assert shown.splitlines()[1:] == [
        "running for 1 min: temi [50 heads]: 40 of 200, about 4 min left",
        "running for 1 min: neighbours",
    ]


def test_work_of_a_run_that_was_killed_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers may outlive it by some seconds, write a report after the next run has begun, and die."""
    monkeypatch.setattr("bench.cli._watch._LOOK", 0.01)
    monkeypatch.setattr("bench.cli._watch.SAY", 0.0)
    killed, resumed = (Session(out=tmp_path, cache=tmp_path) for _ in range(2))
    written = io.StringIO()
    with (
        announced(killed.underway, "a", "cell of before"),
        ProgressReporter(Console(file=written), session=resumed),
        announced(killed.underway, "b", "cell that nothing trains"),
        announced(resumed.underway, "b", "cell of now"),
    ):
        while "running for 0 min: cell of now" not in written.getvalue():
            time.sleep(0.01)
    assert set(written.getvalue().splitlines()) == {"running for 0 min: cell of now"}
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_run_leaves_the_reports_of_another_one_in_its_folder(tmp_path: Path) -> None:
    ended, other = (Session(out=tmp_path, cache=tmp_path) for _ in range(2))
    with announced(other.underway, "a", "cell of another run"):
        with ProgressReporter(Console(file=io.StringIO()), session=ended):
            ended.underway.mkdir()
            (ended.underway / "b.json").write_text('["cell of a worker that died"]')
        assert not ended.underway.exists()
        assert running_tasks(other.underway).keys() == {"a"}
    assert list(tmp_path.iterdir()) == []
