"""What the page's script ranks methods by: the same numbers as the tables, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.results.facts import incomplete, label_leak, other_seeds
from bench.results.leaderboard import entrants, weighing_facts
from bench.results.tables import Block


def leaderboard_data(parts: Mapping[str, Sequence[Block]]) -> dict[str, Any]:
    """Return what the leaderboard is made of.

    Returns:
        ``cells``, one record for each block, rate and method: ``folders``, ``dataset``, ``encoder``, ``model``,
        ``rate`` name the column; ``method`` and ``supervision`` the line; ``accuracy`` in percent, null where the
        method lacks a seed of the block; ``seeds`` its number of seeds, ``of`` the block's. ``blocks``: their ``name``,
        what names their columns, and ``facts`` on them. ``facts`` that hold whatever is shown.
    """
    pruned = {folders: [block for block in blocks if block.lines] for folders, blocks in parts.items()}
    placed = [(folders, block) for folders, blocks in pruned.items() for block in blocks]
    return {
        "cells": [
            {
                "folders": folders,
                **block.identity,
                "rate": rate,
                "method": label,
                "supervision": line.supervision,
                "accuracy": one.summary.mean if one.summary and one.complete else None,
                "seeds": len(one.seeds),
                "of": len(block.seeds),
            }
            for folders, blocks in pruned.items()
            for label, lines in entrants(blocks).items()
            for block, line in zip(blocks, lines, strict=True)
            if line is not None
            for rate, one in zip(block.rates, line.measured, strict=True)
        ],
        "blocks": [
            {
                "folders": folders,
                **block.identity,
                "name": block.name,
                "facts": [*incomplete(block), *other_seeds(block), *label_leak(block)],
            }
            for folders, block in placed
        ],
        "facts": weighing_facts(placed[0][1]) if placed else [],
    }
