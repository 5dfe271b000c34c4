"""D2 given its neighbour lists, at the size of ImageNet (k = 10, budget 10 %)."""

from __future__ import annotations

from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed
from benchmarks.d2_embeddings import K, choose

TINY = {"size": 500}


def run(meter: Meter, *, size: int = 1_280_000) -> list[Result]:
    """Symmetric graph, forward messages, picks with reverse messages."""
    neighbors, difficulty = _data.spatial_neighbors(size, K), _data.scores(size)
    (times,) = meter.compare(lambda: choose(difficulty, neighbors), repeats=2, warm_up=False)
    return [timed(f"D2 on {size:,} nodes", times, target=Target("ours", "at most", 90))]
