"""What a run computes at this moment, and how far it is: small files that workers write and the driver reads.

Files, since a run's folder is all that every node shares. They are progress, not results: no stage can fail by them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""

_EVERY = 1.0
"""Seconds between two writes of the same file."""
_UNFINISHED = ".tmp"


class Task(NamedTuple):
    """Something that is being computed.

    Attributes:
        title: a few words.
        done: steps, images or epochs done.
        total: how many there are in all, or None where no end is in sight.
    """

    title: str
    done: int = 0
    total: int | None = None


@contextmanager
def announced(out: Path, name: str, title: str) -> Iterator[Progress]:
    """Show what the block computes to whoever calls ``running_tasks``.

    Args:
        out: the run's folder.
        name: a stage's key or a cell's id.
        title: a few words.

    Yields:
        To be called with (done, in all), as often as is convenient.
    """
    file = _folder(out) / f"{name}.json"
    written = -_EVERY

    def tell(done: int, total: int | None) -> None:
        nonlocal written
        if time.monotonic() - written < _EVERY:
            return
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(_UNFINISHED)
            unfinished.write_text(json.dumps(Task(title, done, total)))
            # By a rename: a reader sees a whole report or the one before.
            unfinished.replace(file)
        written = time.monotonic()

    tell(0, None)
    written = -_EVERY  # the first report of how far it is comes at once
    try:
        yield tell
    finally:
        forget(out, name)


def by_steps(progress: Progress, total: int) -> Callable[[int], None]:
    """Turn a report of (done, in all) into one of how many are done since the last call, of ``total`` in all."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


def forget(out: Path, *names: str) -> None:
    """Take down what is not computed any more, for example because its process died."""
    with suppress(OSError):
        for name in names:
            for suffix in (".json", _UNFINISHED):
                (_folder(out) / f"{name}{suffix}").unlink(missing_ok=True)
        _folder(out).rmdir()  # works once it is empty


def forget_all(out: Path) -> None:
    """Take down everything, such as what a run that was killed left behind."""
    forget(out, *(path.stem for path in _files(out, "*")))


def running_tasks(out: Path) -> dict[str, Task]:
    """Return name -> what is being computed below a run's folder."""
    reports = {}
    for path in sorted(_files(out)):
        with suppress(OSError, ValueError, TypeError):
            reports[path.stem] = Task(*json.loads(path.read_text()))
    return reports


def _files(out: Path, pattern: str = "*.json") -> list[Path]:
    with suppress(OSError):  # the folder is taken away whenever it is empty
        return list(_folder(out).glob(pattern))
    return []


def _folder(out: Path) -> Path:
    return out / ".underway"
