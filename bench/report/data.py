"""What the page's script ranks methods by: the same numbers as the tables, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.plots.accuracy import cost
from bench.stats import summarize
from bench.tables import Block, Line


def leaderboard_data(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """One record for each block, rate and method that has a complete cell.

    Returns:
        ``dataset``, ``encoder``, ``model``, ``rate`` name the column; ``method`` and ``supervision`` the line;
        ``accuracy`` in percent, ``seeds`` its number of seeds, ``seconds`` the mean cost of one cell by itself.
        A cell with a hole has ``accuracy`` null.
    """
    split = {line.method for block in blocks for line in block.lines if line.label != line.method}
    return [
        {
            "dataset": block.dataset,
            "encoder": block.encoder,
            "model": block.model,
            "rate": rate,
            "method": line.variant if line.method in split else line.method,
            "supervision": line.supervision,
            "accuracy": cell.summary.mean if cell.summary and cell.complete else None,
            "seeds": len(cell.seeds),
            "seconds": _seconds(block, line, rate),
        }
        for block in blocks
        for line in block.lines
        for rate, cell in zip(block.rates, line.cells, strict=True)
    ]


def _seconds(block: Block, line: Line, rate: float) -> float | None:
    rows = block.rows_of(line, rate)
    return summarize([cost(row) for row in rows.values()]).mean if rows else None
