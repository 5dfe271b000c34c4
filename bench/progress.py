"""Progress of the tasks that a run computes at the moment: small files that workers write and the driver reads.

They are files because the run's folder is all that every node shares. No stage can fail because of them. Each run has
a folder of its own for them (``Session.underway``), since workers of a run that was killed may still write theirs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

Progress = Callable[[int, int], None]
"""Function that is called with (number done, total number)."""

_EVERY = 1.0
"""Least time in seconds between two writes of the same file."""
_KILLED = 24 * 3600.0
"""Seconds without a report after which a run is taken for dead."""
_UNFINISHED = ".tmp"
UNDERWAY = ".underway"
"""Name of the folder in a run's folder that holds a folder of reports for each run."""


class Task(NamedTuple):
    """A computation in progress.

    Attributes:
        title: a few words.
        done: number of steps, images or epochs done.
        total: total number of them, or None if that is not known.
    """

    title: str
    done: int = 0
    total: int | None = None


@contextmanager
def announced(folder: Path, name: str, title: str) -> Iterator[Progress]:
    """Report the block as a task in progress, which ``running_tasks`` returns.

    Args:
        folder: the run's folder for these files.
        name: a stage's key or a cell's id.
        title: a few words.

    Yields:
        A function to call with (number done, total number), as often as is convenient.
    """
    file = folder / f"{name}.json"
    written = -_EVERY

    def report(done: int, total: int | None) -> None:
        nonlocal written
        if time.monotonic() - written < _EVERY:
            return
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(_UNFINISHED)
            unfinished.write_text(json.dumps(Task(title, done, total)))
            # Renamed, so that a reader sees either the whole new report or the former one.
            unfinished.replace(file)
        written = time.monotonic()

    report(0, None)
    written = -_EVERY  # the first report with a number is written at once
    try:
        yield report
    finally:
        forget(folder, name)


def by_steps(progress: Progress, total: int) -> Callable[[int], None]:
    """Return a function that takes the number done since its last call, and reports to ``progress``."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


def forget(folder: Path, name: str) -> None:
    """Delete the report of a task that is no longer computed, for example because its process died."""
    with suppress(OSError):
        for suffix in (".json", _UNFINISHED):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
        folder.rmdir()  # works once it is empty
        folder.parent.rmdir()


def forget_run(folder: Path) -> None:
    """Delete all reports of a run, such as those of its workers that died."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()  # works unless another run has reports there


def forget_killed(out: Path) -> None:
    """Delete what runs into a folder that were killed have left: reports that are a day old."""
    for folder in (out / UNDERWAY).glob("*"):
        with suppress(OSError):
            # A run that goes on changes its folder with each report.
            if time.time() - folder.stat().st_mtime > _KILLED:
                forget_run(folder)


def running_tasks(folder: Path) -> dict[str, Task]:
    """Return the tasks that a run computes at the moment, by name."""
    reports = {}
    with suppress(OSError):  # the folder is deleted whenever it is empty
        for path in sorted(folder.glob("*.json")):
            with suppress(OSError, ValueError, TypeError):
                reports[path.stem] = Task(*json.loads(path.read_text()))
    return reports
