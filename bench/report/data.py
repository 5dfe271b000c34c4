"""What the page's script ranks methods by: the same numbers as the tables, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.results.block import Block
from bench.results.facts import incomplete, label_leak, other_seeds
from bench.results.frame import plain
from bench.results.leaderboard import entrants, weighing_facts

_CELL = {
    **{name: name for name in ("folders", "dataset", "encoder", "model", "rate")},
    **{"entrant": "method", "supervision": "supervision", "accuracy": "accuracy", "n": "seeds", "of": "of"},
}
"""Column of ``entrants`` -> its name on the page."""


def leaderboard_data(parts: Mapping[str, Sequence[Block]]) -> dict[str, Any]:
    """Return what the leaderboard is made of.

    Returns:
        ``cells``, one record for each block, rate and method: ``folders``, ``dataset``, ``encoder``, ``model``,
        ``rate`` name the column; ``method`` and ``supervision`` the line; ``accuracy`` in percent, null where the
        method lacks a seed of the block; ``seeds`` its number of seeds, ``of`` the block's. ``blocks``: their ``name``,
        what names their columns, and ``facts`` on them. ``facts`` that hold whatever is shown.
    """
    pruned = {folders: own for folders, blocks in parts.items() if (own := [block for block in blocks if block.lines])}
    placed = [(folders, block) for folders, blocks in pruned.items() for block in blocks]
    cells = []
    for folders, blocks in pruned.items():
        means = entrants(blocks).sort_values(["entrant", "block", "rate"])
        means["of"] = [len(blocks[number].seeds) for number in means["block"]]
        means = means.assign(folders=folders, accuracy=means["mean"].where(means["complete"]))
        cells += plain(means[[*_CELL]].rename(columns=_CELL))
    return {
        "cells": cells,
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
