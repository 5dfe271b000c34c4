"""Live progress of a run: bars on a terminal, one line per event elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from bench.cli._forecast import forecast_lines
from bench.cli._watch import SAY, Watch
from bench.engine.events import Listener
from bench.engine.forecast import Forecast, Outlook
from bench.stages.base import Stage
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.units import about, counted

if TYPE_CHECKING:
    from bench.engine.start import Job

_FIGURES = 48
"""Columns of a terminal that a bar, counts and times take."""
_SPEED_PERIOD = 3600.0
"""Seconds over which rich measures the speed; its default of 30 is less than one cell takes."""

_SHOWN = 0.05
"""Seconds from which a stage gets a line of its own; the run's log has all stages."""


class ProgressReporter(Listener):
    """Prints the progress of a run for people.

    Args:
        console: console to print to.
        quiet: print failures only.
        session: the run's session, to show running tasks; None shows finished ones only.
        outlook: gives the time left of the whole run; without it each bar shows its own.
    """

    def __init__(
        self, console: Console, *, quiet: bool = False, session: Session | None = None, outlook: Outlook | None = None
    ) -> None:
        self._console, self._quiet, self._outlook = console, quiet, outlook
        self._last_time_left = time.monotonic()
        titles = max(20, console.width - _FIGURES)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=titles)),
            BarColumn(bar_width=10),
            _Count(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            _Left(outlook, table_column=Column(no_wrap=True)),
            console=console,
            # The bars vanish at the end, and the lines about finished work stay.
            transient=True,
            speed_estimate_period=_SPEED_PERIOD,
            disable=quiet or not console.is_terminal,
        )
        self._watch: Watch | None = None
        if session is not None and not quiet:
            self._watch = Watch(session, self._bar, console, lines=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressReporter:
        self._bar.start()
        if self._watch is not None:
            self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.stop()
        self._bar.stop()

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        """Print the number of shared stages to compute, and the number of each kind that the store already has."""
        reused = Counter(stage.kind for stage in present)
        kinds = ", ".join(f"{number} {kind}" for kind, number in reused.items())
        line = f"{counted(len(todo), 'shared stage')} to compute, {len(present)} reused{f' ({kinds})' if kinds else ''}"
        self._begin("stage", len(todo), line)

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        """Print the end of a stage."""
        title, failure = stage.title(), None if error is None else f"failed: {error}"
        self._update_outlook(stage.key, None if reused or error else seconds)
        self._end("stage", f"{title}, computed by another run" if reused else title, seconds, failure)

    def waiting(self, title: str) -> None:
        """Print that a stage is being computed by another run."""
        self._note(f"{title}: another run is computing it; waiting for it without a CPU or GPU")

    def retry(self, title: str, reason: str) -> None:
        """Print a failure after which the work is tried again."""
        self._note(f"{title}: {reason}; it will be tried again", style="yellow")

    def session_lost(self, reason: str, *, again: bool) -> None:
        """Print that Ray is gone."""
        after = "starting it again" if again else "giving up"
        self._note(f"{reason}; {after}", style="red")

    def note(self, text: str) -> None:
        """Print a problem that does no harm."""
        self._note(text, style="yellow")

    def cells_begin(self, total: int, finished: int) -> None:
        """Print the number of cells to train."""
        self._begin("cell", total, f"{counted(total, 'cell')} to train, {finished} with a row already")

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        """Print the end of a cell."""
        title = cell.title() + ("" if accuracy is None else f": {accuracy:.2f} %")
        self._update_outlook(cell.key, None if error else seconds)
        self._end("cell", title, seconds, None if error is None else f"failed: {error}")

    def _begin(self, unit: str, total: int, line: str) -> None:
        if not self._quiet:
            self._console.print(line, highlight=False, soft_wrap=True)
        self._tasks[unit] = self._bar.add_task(f"{unit}s", total=total)

    def _end(self, unit: str, title: str, seconds: float, failure: str | None) -> None:
        self._bar.advance(self._tasks[unit])
        # By its id, since the bars of running tasks come and go between these two.
        task = next(task for task in self._bar.tasks if task.id == self._tasks[unit])
        count = f"{unit} {task.completed:>{len(str(task.total))}.0f}/{task.total:.0f}"
        if failure is not None:
            self._console.print(
                f"{count} {title} {failure}", style="red", markup=False, highlight=False, soft_wrap=True
            )
        elif not self._quiet and (unit == "cell" or seconds >= _SHOWN):
            words = f"{count} {title} ({seconds:.1f} s){self._left()}"
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def _update_outlook(self, key: str, seconds: float | None) -> None:
        if self._outlook is not None:
            self._outlook.ended(key, seconds)

    def _left(self) -> str:
        """Return ``; about 12 min left`` at most once a minute; empty on a terminal, whose bars show it."""
        now = time.monotonic()
        if self._outlook is None or self._console.is_terminal or now - self._last_time_left < SAY:
            return ""
        self._last_time_left = now
        # Below a minute, the end comes soon enough without a word.
        return f"; about {about(left)} left" if (left := self._outlook.left()) >= SAY else ""

    def _note(self, line: str, style: str = "") -> None:
        if not self._quiet or style == "red":
            self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


class _Count(MofNCompleteColumn):
    """A count column, empty for tasks without a known end."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


def estimate(job: Job, console: Console) -> Forecast:
    """Return the forecast of a run; a terminal says meanwhile what takes so long."""
    with console.status("Estimating the time"):
        return job.forecast()


def announce(job: Job, console: Console) -> Outlook:
    """Print the forecast of a run, and return the outlook that updates it."""
    forecast = estimate(job, console)
    for line in forecast_lines(forecast, job.plan, datetime.now()):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return Outlook(forecast)


class _Left(TimeRemainingColumn):
    """A column with the time left, empty until it is known.

    Args:
        outlook: gives the time left of the whole run, which the bar of the cells shows; running tasks show their own.
        table_column: see rich.
    """

    def __init__(self, outlook: Outlook | None, table_column: Column) -> None:
        super().__init__(table_column=table_column)
        self._outlook = outlook

    def render(self, task: Task) -> Text:
        # One number for the whole run, since two bars with estimates of their own would disagree.
        if self._outlook is not None and task.description in ("stages", "cells"):
            return Text(f"{about(self._outlook.left())} left" if task.description == "cells" else "")
        known = task.total is not None and task.time_remaining is not None
        return Text.assemble(super().render(task), " left") if known else Text()
