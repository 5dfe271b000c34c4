"""Selections from scores at the size of ImageNet, against a bare numpy argsort of the same scores."""

from __future__ import annotations

import numpy as np

from bench import hardest
from bench.methods.ccs import stratified
from bench.methods.elfs import double_end
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed

TINY = {"size": 1_000}
BETA = 0.3


def run(meter: Meter, *, size: int = 1_280_000) -> list[Result]:
    """CCS, ELFS's double-end step, and plain hardest first, each keeping a tenth."""
    difficulty, budget = _data.scores(size), size // 10
    selections = {
        "CCS": lambda: stratified(difficulty, budget, np.random.default_rng(0), beta=BETA),
        "ELFS, double-end step": lambda: double_end(difficulty, budget, BETA, np.random.default_rng(0)),
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
