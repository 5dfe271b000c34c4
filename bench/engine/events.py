"""Run events and their listeners."""

from __future__ import annotations

from collections.abc import Sequence

from bench.stages.base import Stage
from bench.stages.training import Cell


class Listener:
    """Receives a run's events, in the driver. Every method here does nothing; listeners override some of them."""

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        """Take note of the shared stages that will be computed, and of those that the store has already."""

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        """Take note that one of the former ended; ``reused`` if another run computed it, ``error`` if it failed."""

    def cells_begin(self, total: int, finished: int) -> None:
        """Take note that training of ``total`` cells begins; ``finished`` already have rows."""

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        """Take note that a cell has a row, with this test accuracy in percent, or failed with this reason."""

    def waiting(self, title: str) -> None:
        """Take note that another run is computing a stage that this one needs."""

    def retry(self, title: str, reason: str) -> None:
        """Take note that a stage or cell failed and will be tried again."""

    def session_lost(self, reason: str, *, again: bool) -> None:
        """Take note that what runs the work is gone; ``again`` if it is started once more."""

    def note(self, text: str) -> None:
        """Pass on what the user should know, such as a damaged artifact; the run goes on."""


class Several(Listener):
    """Tells several listeners, in order.

    Args:
        listeners: any number of them.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        for listener in self._listeners:
            listener.stages_begin(todo, present)

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        for listener in self._listeners:
            listener.stage_end(stage, seconds, reused=reused, error=error)

    def cells_begin(self, total: int, finished: int) -> None:
        for listener in self._listeners:
            listener.cells_begin(total, finished)

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        for listener in self._listeners:
            listener.cell_end(cell, accuracy, seconds, error)

    def waiting(self, title: str) -> None:
        for listener in self._listeners:
            listener.waiting(title)

    def retry(self, title: str, reason: str) -> None:
        for listener in self._listeners:
            listener.retry(title, reason)

    def session_lost(self, reason: str, *, again: bool) -> None:
        for listener in self._listeners:
            listener.session_lost(reason, again=again)

    def note(self, text: str) -> None:
        for listener in self._listeners:
            listener.note(text)
