"""Who pays for a shared stage: the rows of the run that computed it, in equal parts, so that a sum counts it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from bench.cells import Cell
from bench.rows import StageUse
from bench.stages import in_order


def attributed(cells: Iterable[Cell], uses: Mapping[str, StageUse]) -> dict[str, StageUse]:
    """Fill ``paid_seconds``: a stage that this run computed is divided among its cells, one reused costs nothing.

    The parts of a cell that fails afterwards are in no row; a later run reuses the stage and pays nothing for it.

    Args:
        cells: the cells that the run will train.
        uses: stage's key -> how it came to be.

    Returns:
        The same uses; over the cells that rest on it, a stage's ``paid_seconds`` add up to its ``seconds``, or to 0.
    """
    users = Counter(stage.key for cell in cells for stage in in_order(cell.stages()))
    return {
        key: use.model_copy(update={"paid_seconds": 0.0 if use.reused else use.seconds / max(1, users[key])})
        for key, use in uses.items()
    }
