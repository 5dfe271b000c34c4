"""Progress of long stages, one after the other: a bar with the time left on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.cli._watch import SAY, running_line
from bench.progress import Task


class StageProgress:
    """Shows on standard error which stage runs, how far it is and how long it took.

    Args:
        quiet: say nothing.
        console: where to; None is standard error.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False)
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            # The bars go at the end, and the lines about what ended stay.
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._title = ""
        self._started = self._said = 0.0

    def __enter__(self) -> StageProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error the stage did not end, and must not be told as if it had.
        if kind is None:
            self._end()
        self._bar.stop()

    def stage(self, title: str) -> Callable[[int, int], None]:
        """Begin a stage, which ends the one before; the same title again goes on with it.

        Returns:
            To be called with (done, in all); a stage that never calls it has no end in sight.
        """
        # A stage of several parts announces itself with each of them.
        if title != self._title:
            self._end()
            self._title = title
            self._started = self._said = time.monotonic()
            self._task = self._bar.add_task(title, total=None)
        task = self._task

        def tick(done: int, total: int) -> None:
            if task is not None:
                self._bar.update(task, completed=done, total=total)
                self._say(Task(title, done, total))

        return tick

    def _say(self, item: Task) -> None:
        now = time.monotonic()
        if self._quiet or self._console.is_terminal or now - self._said < SAY:
            return
        self._said = now
        self._console.print(running_line(item, now - self._started), soft_wrap=True)

    def _end(self) -> None:
        if self._task is None:
            return
        self._bar.remove_task(self._task)
        self._task = None
        if not self._quiet:
            self._console.print(f"{self._title}  {time.monotonic() - self._started:.1f} s", soft_wrap=True)
