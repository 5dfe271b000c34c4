"""Experiment tracking with wandb or TensorBoard: one tracked run per grid, from the driver; no cell fails by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from bench.engine.events import Listener
from bench.errors import BenchError, RowError, SpecError, UnknownName, install_command
from bench.grammar import split_list
from bench.results.rows import Row, read_row
from bench.stages.base import Stage
from bench.stages.training import Cell

WandbMode = Literal["offline", "online"]
_PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboardX"}


class Tracker(Protocol):
    """Receives a run's events. An exception is reported once and disables the tracker; the run continues."""

    name: str

    def begin(self, out: Path, grid: Mapping[str, Any]) -> None:
        """Begin the tracked run.

        Args:
            out: the run's folder; files go below it.
            grid: the grid as plain values.
        """

    def cell_end(self, row: Row | None, counts: Mapping[str, int]) -> None:
        """Track the end of a cell.

        Args:
            row: row of the cell; None if it failed.
            counts: number of cells ``done`` and ``failed`` in this run so far.
        """

    def end(self, rows: Sequence[Row]) -> None:
        """End the tracked run, with the rows of all cells of the grid that have one, from this run or earlier."""


def make_trackers(names: str | None, *, mode: WandbMode = "offline", curves: bool = False) -> list[Tracker]:
    """Return the trackers that a comma-separated list names.

    Args:
        names: names of trackers, ``wandb`` and ``tensorboard``; None for no tracking.
        mode: mode of wandb; ``wandb sync`` sends an offline run later.
        curves: also log each new cell's test accuracy over its iterations.

    Raises:
        UnknownName: a name is not valid.
        SpecError: a tracker's package is not installed.
    """
    chosen = list(dict.fromkeys(split_list(names or "")))
    for name in chosen:
        if name not in _PACKAGES:
            raise UnknownName("tracker", name, _PACKAGES)
        # Searched instead of imported: wandb takes a second, and a run that is refused needs no tracker.
        if find_spec(_PACKAGES[name]) is None:
            how = install_command("wandb") if name == "wandb" else "pip install tensorboardX"
            raise SpecError(f"--track {name} needs the package {_PACKAGES[name]}: {how}.")
    trackers: list[Tracker] = []
    if "wandb" in chosen:
        from bench.tracking.with_wandb import WandbTracker

        trackers.append(WandbTracker(mode=mode, curves=curves))
    if "tensorboard" in chosen:
        from bench.tracking.with_tensorboard import TensorBoardTracker

        trackers.append(TensorBoardTracker(curves=curves))
    return trackers


class TrackingReporter(Listener):
    """Passes the ends of cells on to trackers, and all rows when the run ends; use it as a context.

    Args:
        trackers: the trackers; there may be none.
        cells: cells of the whole grid.
        out: the run's folder.
        warn: prints one line when a tracker fails.
    """

    def __init__(
        self, trackers: Sequence[Tracker], cells: Sequence[Cell], out: Path, warn: Callable[[str], None]
    ) -> None:
        self._cells, self._out, self._warn = cells, out, warn
        self._counts = {"done": 0, "failed": 0}
        self._trackers = list(trackers)
        self._began = False

    def __enter__(self) -> TrackingReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a BenchError nothing could start, and a tracked run would be empty.
        if not isinstance(error, BenchError):
            self._begin()
        if self._trackers and self._began:
            rows = [row for cell in self._cells if (row := self._row(cell)) is not None]
            self._notify(lambda tracker: tracker.end(rows))

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        """Begin the tracked run at the first end, when the executor has certainly started."""
        self._begin()

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        """Pass on the row that the cell wrote."""
        self._begin()
        row = self._row(cell) if error is None else None
        self._counts["done" if error is None else "failed"] += 1
        self._notify(lambda tracker: tracker.cell_end(row, dict(self._counts)))

    def _begin(self) -> None:
        if not self._began:
            self._began = True
            self._notify(lambda tracker: tracker.begin(self._out, describe(self._cells)))

    def _row(self, cell: Cell) -> Row | None:
        with suppress(RowError):
            return read_row(self._out / "rows" / f"{cell.cell_id}.json")
        return None

    def _notify(self, message: Callable[[Tracker], None]) -> None:
        # A copy, since a tracker that fails is removed from the list.
        for tracker in list(self._trackers):
            try:
                message(tracker)
            except Exception as error:
                self._trackers.remove(tracker)
                reason = " ".join(str(error).split()) or type(error).__name__
                self._warn(f"Tracking with {tracker.name} stopped: {reason.rstrip('.')}. The run continues without it.")


def describe(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the grid as plain values: its number of cells, and the distinct values of each field."""
    axes: dict[str, list[Any]] = {
        "datasets": [cell.dataset.label for cell in cells],
        "methods": [cell.variant for cell in cells],
        "encoders": [cell.encoder.label for cell in cells if cell.encoder],
        "models": [cell.model.label for cell in cells],
        "rates": [cell.rate for cell in cells],
        "seeds": [cell.seed for cell in cells],
        "protocol": [cell.protocol for cell in cells],
    }
    return {"cells": len(cells), **{name: list(dict.fromkeys(values)) for name, values in axes.items()}}
