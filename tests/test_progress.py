"""Progress of work: announced, kept in a file once a second at most, taken down again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench.progress import UNDERWAY, Task, announced, by_steps, forget, forget_killed, forget_run, running_tasks


def test_what_is_computed_is_announced_with_how_far_it_is_and_taken_down_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.progress._EVERY", 0.0)
    folder = tmp_path / UNDERWAY / "run"
    with announced(folder, "a", "embeddings"), announced(folder, "b", "temi") as progress:
        assert running_tasks(folder) == {"a": Task("embeddings"), "b": Task("temi")}
        progress(3, 200)
        assert running_tasks(folder)["b"] == Task("temi", 3, 200)
    assert running_tasks(folder) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_once_a_second_at_most(tmp_path: Path) -> None:
    with announced(tmp_path / UNDERWAY / "run", "a", "training") as progress:
        for step in range(1, 1001):
            progress(step, 1000)
        assert running_tasks(tmp_path / UNDERWAY / "run")["a"].done == 1


def test_progress_that_cannot_be_written_or_read_fails_nothing(tmp_path: Path) -> None:
    folder = tmp_path / UNDERWAY / "run"
    folder.parent.write_text("not a folder")
    with announced(folder, "a", "training") as progress:
        progress(1, 2)
    assert running_tasks(folder) == {}
    folder.parent.unlink()
    with announced(folder, "a", "training"):
        (folder / "a.json").write_text('["half a fi')
        (folder / "b.json").write_text("7")
        (folder / "c.tmp").write_text("of a worker that was killed")
        assert running_tasks(folder) == {}
    forget_run(folder)
    forget(folder, "never there")
    assert list(tmp_path.iterdir()) == []


def test_reports_of_killed_runs_go_after_a_day_and_those_of_others_stay(tmp_path: Path) -> None:
    killed, going = (tmp_path / UNDERWAY / name for name in ("killed", "going"))
    killed.mkdir(parents=True)
    (killed / "a.json").write_text('["cell"]')
    with announced(going, "b", "training"):
        forget_killed(tmp_path)
        assert running_tasks(killed).keys() == {"a"}
        yesterday = time.time() - 25 * 3600
        os.utime(killed, (yesterday, yesterday))
        forget_killed(tmp_path)
        assert not killed.exists()
        assert running_tasks(going).keys() == {"b"}


def test_counts_since_the_last_call_are_added_up() -> None:
    told: list[tuple[int, int]] = []
    advance = by_steps(lambda done, total: told.append((done, total)), 5)
    advance(2)
    advance(3)
    assert told == [(2, 5), (5, 5)]
