"""Progress of consecutive stages: a bar with the time left on a terminal, and lines elsewhere."""

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
        quiet: print nothing.
        console: console to print to; None for standard error.
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
            # The bars vanish at the end, and the lines about finished stages stay.
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._title = ""
        self._started = self._last_line = 0.0

    def __enter__(self) -> StageProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error the stage did not finish, and must not be reported as finished.
        if kind is None:
            self._end()
        self._bar.stop()

    def stage(self, title: str) -> Callable[[int, int], None]:
        """Begin a stage, which ends the former one; the same title again continues it.

        Returns:
            A function to call with (number done, total number). Until it is called, the bar shows no end.
        """
        # A stage of several parts announces itself with each of them.
        if title != self._title:
            self._end()
            self._title = title
            self._started = self._last_line = time.monotonic()
            self._task = self._bar.add_task(title, total=None)
        task = self._task

        def tick(done: int, total: int) -> None:
            if task is not None:
                self._bar.update(task, completed=done, total=total)
                self._print_line(Task(title, done, total))

        return tick

    def _print_line(self, item: Task) -> None:
        now = time.monotonic()
        if self._quiet or self._console.is_terminal or now - self._last_line < SAY:
            return
        self._last_line = now
        self._console.print(running_line(item, now - self._started), soft_wrap=True)

    def _end(self) -> None:
        if self._task is None:
            return
        self._bar.remove_task(self._task)
        self._task = None
        if not self._quiet:
            self._console.print(f"{self._title}  {time.monotonic() - self._started:.1f} s", soft_wrap=True)
