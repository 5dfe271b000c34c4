"""Run events and their listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bench.stages.base import Stage
from bench.stages.training import Cell


class Listener:
    """Receives a run's events in the driver. The methods here do nothing; listeners override some of them."""

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        """Take note of the shared stages to compute, and of those that the store already has."""

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        """Take note that a shared stage ended; ``reused`` if another run computed it, ``error`` if it failed."""

    def cells_begin(self, total: int, finished: int) -> None:
        """Take note that training of ``total`` cells begins; ``finished`` already have rows."""

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        """Take note that a cell has a row, with this test accuracy in percent, or failed with this reason."""

    def waiting(self, title: str) -> None:
        """Take note that another run is computing a stage that this one needs."""

    def retry(self, title: str, reason: str) -> None:
        """Take note that a stage or cell failed and will be tried again."""

    def session_lost(self, reason: str, *, again: bool) -> None:
        """Take note that the executor is gone; ``again`` if it is started once more."""

    def note(self, text: str) -> None:
        """Take note of a warning, such as a damaged artifact; the run continues."""


class Several(Listener):
    """Passes events on to several listeners, in order.

    Args:
        listeners: the listeners.
    """

    def __init__(self, *listeners: Listener) -> None:
        for event in (name for name in vars(Listener) if not name.startswith("_")):
            setattr(self, event, partial(_call_all, [getattr(listener, event) for listener in listeners]))


def _call_all(methods: Sequence[Callable[..., None]], *args: Any, **kwargs: Any) -> None:
    for method in methods:
        method(*args, **kwargs)
