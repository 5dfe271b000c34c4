"""``OUT/run.log``: a log of a run with every hit and miss of the store, every cell and every failure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from bench.engine.events import Listener
from bench.stages.base import Stage
from bench.stages.training import Cell
from bench.units import counted

NAME = "run.log"


class RunLog(Listener):
    """Appends a line per event, after those of earlier runs. If the disk is full, lines are lost but the run continues.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / NAME

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        self._write(f"run   {counted(len(todo), 'shared stage')} to compute, {len(present)} in the store")
        for stage in present:
            self._write(f"hit   {_described(stage)}")

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        if error is not None:
            self._write(f"fail  {_described(stage)}: {error}")
        elif reused:
            self._write(f"hit   {_described(stage)}: computed by another run meanwhile")
        else:
            self._write(f"miss  {_described(stage)}: computed in {seconds:.1f} s")

    def cells_begin(self, total: int, finished: int) -> None:
        self._write(f"run   {counted(total, 'cell')} to train, {finished} with a row already")

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        if error is not None:
            self._write(f"fail  {cell.cell_id}: {error}")
        else:
            self._write(f"cell  {cell.cell_id}: {accuracy:.2f} % in {seconds:.1f} s")

    def waiting(self, title: str) -> None:
        self._write(f"wait  {title}: another run is computing it")

    def retry(self, title: str, reason: str) -> None:
        self._write(f"retry {title}: {reason}")

    def session_lost(self, reason: str, *, again: bool) -> None:
        self._write(f"lost  {reason}; {'it is started again' if again else 'the end'}")

    def note(self, text: str) -> None:
        self._write(f"note  {text}")

    def _write(self, line: str) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        # Opened for each line: the user may move the log away, and two runs may append to one.
        with suppress(OSError), self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{now} {' '.join(line.splitlines())}\n")


def _described(stage: Stage) -> str:
    return f"{stage.kind} {stage.key[:12]} {stage.title()}"
