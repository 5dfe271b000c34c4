"""Watch what a run computes: a bar for each on a terminal, elsewhere a line a minute for what takes long."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, TaskID

from bench.progress import Task, forget_all, running_tasks

_LOOK = 1.0
"""Seconds between two looks at the run's folder."""
SAY = 60.0
"""Seconds between two lines about the same stage or cell where there is no terminal."""
_SHOWN = 10
"""Bars at most, so that a run of many workers does not fill the screen."""


class _Seen(NamedTuple):
    """When the watch first saw it and last spoke of it, by this machine's clock, and its bar."""

    since: float
    said: float
    bar: TaskID


class Watch:
    """Looks at a run's folder once a second, in a thread of its own.

    Args:
        out: the run's folder.
        bars: takes a bar for each thing that is being computed.
        console: where lines go.
        lines: whether to write them; with a terminal, bars say it all.
    """

    def __init__(self, out: Path, bars: Progress, console: Console, *, lines: bool) -> None:
        self._out, self._bars, self._console, self._lines = out, bars, console, lines
        self._seen: dict[str, _Seen] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        forget_all(self._out)
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and take away the files of workers that did not do so themselves."""
        self._stop.set()
        self._thread.join()
        # Takes away the bars of what workers left behind as they died.
        self.look({}, time.monotonic())
        forget_all(self._out)

    def look(self, tasks: dict[str, Task], now: float) -> None:
        """Bring bars and lines up to date.

        Args:
            tasks: as of ``running_tasks``.
            now: seconds, of a clock that never goes back.
        """
        for name in self._seen.keys() - tasks.keys():
            self._bars.remove_task(self._seen.pop(name).bar)
        for name, item in tasks.items():
            if name not in self._seen:
                # By this machine's clock: the worker may be another machine, whose clock differs.
                self._seen[name] = _Seen(now, now, self._bars.add_task(item.title, total=None, visible=False))
            seen = self._seen[name]
            self._bars.update(seen.bar, completed=item.done, total=item.total)
            if self._lines and now - seen.said >= SAY:
                self._seen[name] = seen._replace(said=now)
                self._console.print(running_line(item, now - seen.since), markup=False, highlight=False, soft_wrap=True)
        for number, seen in enumerate(self._seen.values()):
            self._bars.update(seen.bar, visible=number < _SHOWN)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            self.look(running_tasks(self._out), time.monotonic())


def running_line(item: Task, seconds: float) -> str:
    """Say what is computed, for how long now, and how far it is.

    Args:
        item: what.
        seconds: since its begin.
    """
    words = f"running for {seconds / 60:.0f} min: {item.title}"
    if not item.total:
        return words
    left = f", about {seconds * (item.total - item.done) / item.done / 60:.0f} min left" if item.done else ""
    return f"{words}: {item.done:,} of {item.total:,}{left}"
