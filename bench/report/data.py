"""What the page's script ranks methods by: the same numbers as the tables, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.plots.accuracy import cost
from bench.results.leaderboard import entrants
from bench.results.stats import summarize
from bench.results.tables import Block, Line


def leaderboard_data(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """One record for each block, rate and method.

    Returns:
        ``dataset``, ``encoder``, ``model``, ``rate`` name the column; ``method`` and ``supervision`` the line;
        ``accuracy`` in percent, ``seeds`` its number of seeds, ``seconds`` the mean cost of one cell by itself.
        ``accuracy`` is null where the method lacks a seed of the block.
    """
    return [
        {
            "dataset": block.dataset,
            "encoder": block.encoder,
            "model": block.model,
            "rate": rate,
            "method": label,
            "supervision": line.supervision,
            "accuracy": one.summary.mean if one.summary and one.complete else None,
            "seeds": len(one.seeds),
            "seconds": _seconds(line, rate),
        }
        for label, lines in entrants(blocks).items()
        for block, line in zip(blocks, lines, strict=True)
        if line is not None
        for rate, one in zip(block.rates, line.measured, strict=True)
    ]


def _seconds(line: Line, rate: float) -> float | None:
    rows = line.rows_at(rate)
    return summarize([cost(row) for row in rows.values()]).mean if rows else None
