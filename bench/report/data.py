"""The data of the page's script, which ranks methods: the numbers of the tables as JSON."""

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
    """Return the data of the leaderboard.

    Returns:
        ``cells``, one record for each block, rate and method: ``folders``, ``dataset``, ``encoder``, ``model`` and
        ``rate`` name the column, ``method`` and ``supervision`` the line; ``accuracy`` is in percent, null if the
        method lacks a seed of the block; ``seeds`` is its number of seeds, ``of`` the block's. ``blocks``: their
        ``name``, the fields that name their columns, and ``facts`` about them. ``facts``: those that always hold.
    """
    pruned = {
        folders: with_lines
        for folders, blocks in parts.items()
        if (with_lines := [block for block in blocks if block.lines])
    }
    pairs = [(folders, block) for folders, blocks in pruned.items() for block in blocks]
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
            for folders, block in pairs
        ],
        "facts": weighing_facts(pairs[0][1]) if pairs else [],
    }
