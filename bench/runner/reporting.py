"""Who is told how a run goes on: a base class that ignores everything, and one that tells several."""

from __future__ import annotations

from collections.abc import Sequence

from bench.grid.cells import Cell
from bench.grid.stages import Stage


class Reporter:
    """Hears what a run does, in the driver. Each method here does nothing; a reporter overrides those it cares for."""

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        """The shared stages that will be computed, and those that the store has already."""

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        """One of the former ended; ``reused`` if another run computed it, ``error`` if it failed."""

    def cells_begin(self, total: int, finished: int) -> None:
        """So many cells will be trained, and so many have a row already."""

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        """A cell has a row, with this test accuracy in percent, or failed with this reason."""

    def waiting(self, title: str) -> None:
        """Another run is computing a stage that this one needs."""

    def retry(self, title: str, reason: str) -> None:
        """A stage or cell failed and will be tried again."""

    def session_lost(self, again: bool) -> None:
        """Ray's processes died on every node; whether it is started again."""

    def note(self, text: str) -> None:
        """Something that the user should know, such as a damaged artifact; the run goes on."""


class Several(Reporter):
    """Tells several reporters, in order.

    Args:
        reporters: any number of them.
    """

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        for reporter in self._reporters:
            reporter.stages_begin(todo, present)

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        for reporter in self._reporters:
            reporter.stage_end(stage, seconds, reused=reused, error=error)

    def cells_begin(self, total: int, finished: int) -> None:
        for reporter in self._reporters:
            reporter.cells_begin(total, finished)

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        for reporter in self._reporters:
            reporter.cell_end(cell, accuracy, seconds, error)

    def waiting(self, title: str) -> None:
        for reporter in self._reporters:
            reporter.waiting(title)

    def retry(self, title: str, reason: str) -> None:
        for reporter in self._reporters:
            reporter.retry(title, reason)

    def session_lost(self, again: bool) -> None:
        for reporter in self._reporters:
            reporter.session_lost(again)

    def note(self, text: str) -> None:
        for reporter in self._reporters:
            reporter.note(text)
