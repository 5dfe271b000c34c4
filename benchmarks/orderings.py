"""Selections from scores at the size of ImageNet, against a bare numpy argsort of the same scores."""

from __future__ import annotations

import numpy as np

from bench import hard_to_easy, hardest
from bench.methods._scores import next_hardest
from bench.methods.ccs import stratified
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed

TINY = {"size": 1_000}
BETA = 0.3


def run(meter: Meter, *, size: int = 1_280_000) -> list[Result]:
    """CCS, ELFS's double-end step, and plain hardest first, each keeping a tenth."""
    difficulty, budget = _data.scores(size), size // 10
    selections = {
        "CCS": lambda: stratified(difficulty, budget, np.random.default_rng(0), beta=BETA),
        "ELFS, double-end step": lambda: next_hardest(hard_to_easy(difficulty, np.random.default_rng(0)), budget, BETA),
        "hardest first (aum, el2n, forgetting)": lambda: hardest(difficulty, budget, np.random.default_rng(0)),
    }
    *ours, bare = meter.compare(*selections.values(), lambda: np.argsort(-difficulty))
    return [
        timed(
            f"{name}, {size:,} scores",
            times,
            bare,
            alternative="numpy argsort",
            target=Target("ours", "at most", 2),
        )
        for name, times in zip(selections, ours, strict=True)
    ]
