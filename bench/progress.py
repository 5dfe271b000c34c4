"""Progress of the tasks that a run computes at the moment: small files that workers write and the driver reads.

They are files because the run's folder is all that every node shares. No stage can fail because of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

Progress = Callable[[int, int], None]
"""Function that is called with (number done, total number)."""

_EVERY = 1.0
"""Least time in seconds between two writes of the same file."""
_UNFINISHED = ".tmp"


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
def announced(out: Path, name: str, title: str) -> Iterator[Progress]:
    """Report the block as a task in progress, which ``running_tasks`` returns.

    Args:
        out: the run's folder.
        name: a stage's key or a cell's id.
        title: a few words.

    Yields:
        A function to call with (number done, total number), as often as is convenient.
    """
    file = _folder(out) / f"{name}.json"
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
        forget(out, name)


def by_steps(progress: Progress, total: int) -> Callable[[int], None]:
    """Return a function that takes the number done since its last call, and reports to ``progress``."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


def forget(out: Path, *names: str) -> None:
    """Delete the reports of tasks that are no longer computed, for example because their process died."""
    with suppress(OSError):
        for name in names:
            for suffix in (".json", _UNFINISHED):
                (_folder(out) / f"{name}{suffix}").unlink(missing_ok=True)
        _folder(out).rmdir()  # works once it is empty


def forget_all(out: Path) -> None:
    """Delete all reports, such as those of a run that was killed."""
    forget(out, *(path.stem for path in _files(out, "*")))


def running_tasks(out: Path) -> dict[str, Task]:
    """Return the tasks that are being computed for a run's folder, by name."""
    reports = {}
    for path in sorted(_files(out)):
        with suppress(OSError, ValueError, TypeError):
            reports[path.stem] = Task(*json.loads(path.read_text()))
    return reports


def _files(out: Path, pattern: str = "*.json") -> list[Path]:
    with suppress(OSError):  # the folder is deleted whenever it is empty
        return list(_folder(out).glob(pattern))
    return []


def _folder(out: Path) -> Path:
    return out / ".underway"
