"""The TensorBoard tracker, which writes event files by tensorboardX, a dependency of Ray Tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results.export import flat
from bench.results.rows import Row

FOLDER = "tensorboard"
_HYPERPARAMETERS = ("dataset", "method", "variant", "supervision", "encoder", "rate", "seed", "model", "budget")
_METRICS = ("accuracy", "best_accuracy", "flipped_accuracy", "train_seconds", "select_seconds", "stage_seconds")


class TensorBoardTracker:
    """Writes one TensorBoard run per grid to ``OUT/tensorboard``; its HPARAMS page has a line for each row.

    A cell's events are in its subfolder ``CELL``, which an earlier run of the same grid may have written already.

    Args:
        curves: log each new cell's test accuracy over its iterations.
    """

    name = "tensorboard"

    def __init__(self, *, curves: bool) -> None:
        self._curves = curves
        self._writer: Any = None
        self._folder = Path()

    def begin(self, out: Path, grid: Mapping[str, Any]) -> None:
        """See ``Tracker.begin``."""
        from tensorboardX import SummaryWriter

        self._folder = out / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer = SummaryWriter(str(self._folder))
        self._writer.add_text("grid", "\n".join(f"- {name}: `{value}`" for name, value in grid.items()))

    def cell_end(self, row: Row | None, counts: Mapping[str, int]) -> None:
        """See ``Tracker.cell_end``."""
        for name, count in counts.items():
            self._writer.add_scalar(f"cells/{name}", count, sum(counts.values()))
        if row is not None and self._curves:
            from tensorboardX import SummaryWriter

            # Files are named by the second: without a suffix the row's file would replace this one.
            with SummaryWriter(str(self._folder / row.cell_id), filename_suffix=".curve") as writer:
                for iteration, accuracy in row.curve:
                    writer.add_scalar("test_accuracy", accuracy, iteration)
        self._writer.flush()

    def end(self, rows: Sequence[Row]) -> None:
        """See ``Tracker.end``."""
        try:
            for row in rows:
                record = flat(row)
                known = {f"row/{name}": record[name] for name in _METRICS if record[name] is not None}
                self._writer.add_hparams({name: record[name] for name in _HYPERPARAMETERS}, known, name=row.cell_id)
        finally:
            self._writer.close()
