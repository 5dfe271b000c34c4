"""Who pays for a shared stage: the rows of the folder that it was computed for, so that their sum counts it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bench.grid.cells import Cell
from bench.grid.stages import in_order
from bench.results.rows import StageUse


def attributed(cells: Iterable[Cell], uses: Mapping[str, StageUse], owed: Mapping[str, float]) -> dict[str, StageUse]:
    """Fill ``paid_seconds``: a stage that this run computed is divided among its cells, one reused costs nothing.

    The parts of a cell that fails afterwards are in no row, so they are owed: a later run into the folder pays them.

    Args:
        cells: the cells that the run will train.
        uses: stage's key -> how it came to be.
        owed: stage's key -> seconds that an earlier run into the same folder spent on it and no row has paid.

    Returns:
        The same uses; over the cells that rest on it, a stage's ``paid_seconds`` add up to its ``seconds``, or to what
        is owed where it is reused.
    """
    users = Counter(stage.key for cell in cells for stage in in_order(cell.stages()))
    costs = {key: owed.get(key, 0.0) if use.reused else use.seconds for key, use in uses.items()}
    return {key: use.model_copy(update={"paid_seconds": costs[key] / max(1, users[key])}) for key, use in uses.items()}
