"""Tracking with wandb or TensorBoard: one tracked run per grid, from the driver, and never at a cell's expense."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
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
    """Receives a run's events. An exception is reported once and disables the tracker; the run goes on."""

    name: str

    def begin(self, out: Path, grid: Mapping[str, Any]) -> None:
        """Start.

        Args:
            out: the run's folder; files go below it.
            grid: what is compared, as plain values.
        """

    def cell_end(self, row: Row | None, counts: Mapping[str, int]) -> None:
        """Tell of one cell.

        Args:
            row: of the cell that ended just now; None if it failed.
            counts: cells ``done`` and ``failed`` in this run so far.
        """

    def end(self, rows: Sequence[Row]) -> None:
        """Close, with the rows of all cells of the grid that have one, this run's or earlier."""


def make_trackers(names: str | None, *, mode: WandbMode = "offline", curves: bool = False) -> list[Tracker]:
    """Make the trackers that a comma-separated list names.

    Args:
        names: of ``wandb`` and ``tensorboard``; None for no tracking.
        mode: whether wandb sends anything; offline runs are sent later by ``wandb sync``.
        curves: log each new cell's test accuracy over its iterations too.

    Raises:
        UnknownName: another name.
        SpecError: its package is not installed.
    """
    chosen = list(dict.fromkeys(split_list(names or "")))
    for name in chosen:
        if name not in _PACKAGES:
            raise UnknownName("tracker", name, _PACKAGES)
        # Looked for and not imported: wandb takes a second, and a run that is refused needs none.
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


@contextmanager
def tracked(
    trackers: Sequence[Tracker], cells: Sequence[Cell], out: Path, warn: Callable[[str], None]
) -> Iterator[TrackingReporter]:
    """Tell trackers of the cells of the run in the block, and of all rows at its end.

    Args:
        trackers: may be none.
        cells: of the whole grid.
        out: the run's folder.
        warn: shows one line when a tracker fails.
    """
    tracking = TrackingReporter(trackers, cells, out, warn)
    began = True
    try:
        yield tracking
    except BenchError:  # nothing could start, so that a tracked run would be empty
        began = False
        raise
    finally:
        tracking.close(began=began)


class TrackingReporter(Listener):
    """Tells trackers of cells.

    Args: as of ``tracked``.
    """

    def __init__(
        self, trackers: Sequence[Tracker], cells: Sequence[Cell], out: Path, warn: Callable[[str], None]
    ) -> None:
        self._cells, self._out, self._warn = cells, out, warn
        self._counts = {"done": 0, "failed": 0}
        self._trackers = list(trackers)
        self._began = False

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        """Begin with the first thing that ended: only then it is sure that the executor has started."""
        self._begin()

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        """Tell the trackers of the row that the cell wrote."""
        self._begin()
        row = self._row(cell) if error is None else None
        self._counts["done" if error is None else "failed"] += 1
        self._tell(lambda tracker: tracker.cell_end(row, dict(self._counts)))

    def close(self, *, began: bool = True) -> None:
        """Tell the trackers of all rows, and that nothing comes any more; nothing of a run that did not start."""
        if began:
            self._begin()
        if self._trackers and self._began:
            rows = [row for cell in self._cells if (row := self._row(cell)) is not None]
            self._tell(lambda tracker: tracker.end(rows))

    def _begin(self) -> None:
        if not self._began:
            self._began = True
            self._tell(lambda tracker: tracker.begin(self._out, describe(self._cells)))

    def _row(self, cell: Cell) -> Row | None:
        with suppress(RowError):
            return read_row(self._out / "rows" / f"{cell.cell_id}.json")
        return None

    def _tell(self, message: Callable[[Tracker], None]) -> None:
        # A copy, since one that fails is taken out of the list meanwhile.
        for tracker in list(self._trackers):
            try:
                message(tracker)
            except Exception as error:
                self._trackers.remove(tracker)
                reason = " ".join(str(error).split()) or type(error).__name__
                self._warn(f"Tracking with {tracker.name} stopped: {reason.rstrip('.')}. The run and its rows go on.")


def describe(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the grid in plain values: how many cells, and the distinct values on each axis."""
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
