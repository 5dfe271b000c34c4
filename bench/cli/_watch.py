"""Watch the tasks of a run: a bar for each on a terminal, and elsewhere a line a minute for long ones."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, TaskID

from bench.progress import Task, forget_killed, forget_run, running_tasks
from bench.stages.session import Session

_LOOK = 1.0
"""Seconds between two reads of the run's folder."""
SAY = 60.0
"""Seconds between two lines about the same stage or cell where there is no terminal."""
_SHOWN = 10
"""Largest number of bars, so that a run of many workers does not fill the screen."""


class _Watched(NamedTuple):
    """A task's bar, and the times by this machine's clock when the watch first saw it and last printed a line."""

    since: float
    last_line: float
    bar: TaskID


class Watch:
    """Reads the progress files of a run once a second, in a thread of its own.

    Args:
        session: the run's session.
        bars: gets a bar for each task.
        console: console for lines.
        lines: whether to print lines; on a terminal the bars suffice.
    """

    def __init__(self, session: Session, bars: Progress, console: Console, *, lines: bool) -> None:
        self._session, self._bars, self._console, self._lines = session, bars, console, lines
        self._watched: dict[str, _Watched] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        forget_killed(self._session.out)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and delete progress files that workers left behind."""
        self._stop.set()
        self._thread.join()
        # Removes the bars of workers that died.
        self.look({}, time.monotonic())
        forget_run(self._session.underway)

    def look(self, tasks: dict[str, Task], now: float) -> None:
        """Update bars and print due lines.

        Args:
            tasks: tasks from ``running_tasks``.
            now: seconds of a monotonic clock.
        """
        for name in self._watched.keys() - tasks.keys():
            self._bars.remove_task(self._watched.pop(name).bar)
        for name, item in tasks.items():
            if name not in self._watched:
                # By this machine's clock, since the worker may run on a machine with another clock.
                bar = self._bars.add_task(item.title, total=None, visible=False)
                self._watched[name] = _Watched(now, now, bar)
            task = self._watched[name]
            self._bars.update(task.bar, completed=item.done, total=item.total)
            if self._lines and now - task.last_line >= SAY:
                self._watched[name] = task._replace(last_line=now)
                self._console.print(running_line(item, now - task.since), markup=False, highlight=False, soft_wrap=True)
        for number, task in enumerate(self._watched.values()):
            self._bars.update(task.bar, visible=number < _SHOWN)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK):
            self.look(running_tasks(self._session.underway), time.monotonic())


def running_line(item: Task, seconds: float) -> str:
    """Return a line with a task's title, its time so far, and its progress.

    Args:
        item: the task.
        seconds: time since the task began.
    """
    words = f"running for {seconds / 60:.0f} min: {item.title}"
    if not item.total:
        return words
    left = f", about {seconds * (item.total - item.done) / item.done / 60:.0f} min left" if item.done else ""
    return f"{words}: {item.done:,} of {item.total:,}{left}"
