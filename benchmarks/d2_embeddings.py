"""D2 from embeddings to coreset (k = 10, budget 10 %), against a bare exact faiss search of the same neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench import Neighbors
from bench.knn import nearest_neighbors, unit_rows
from bench.methods.d2 import diverse
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, timed

TINY = {"size": 300, "features": 8}
K = 10


def run(meter: Meter, *, size: int = 50_000, features: int = 384) -> list[Result]:
    """Whole, and beyond the neighbours."""
    rows, difficulty = _data.embeddings(size, features), _data.scores(size)
    ready = unit_rows(rows)
    lists: list[Neighbors] = []

    def ours() -> None:
        lists[:] = [nearest_neighbors(rows, K, threads=meter.threads)]
        choose(difficulty, lists[0])

    bare_search(ready[: K + 1], K, meter.threads)  # Imports faiss.
    whole, bare = meter.compare(ours, lambda: bare_search(ready, K, meter.threads), repeats=2, warm_up=False)
    (messages,) = meter.compare(lambda: choose(difficulty, lists[0]))
    shape = f"{size:,} x {features}"
    search = "bare faiss search"
    return [
        timed(
            f"D2 on {shape}",
            whole,
            bare,
            alternative=search,
            target=Target("ours / other", "at most", 1.2),
        ),
        timed(f"D2 on {shape}, beyond the neighbours", messages, target=Target("ours", "at most", 2)),
    ]


def choose(difficulty: NDArray[np.float64], neighbors: Neighbors) -> NDArray[np.int64]:
    """D2's coreset of a tenth of the pool."""
    return diverse(difficulty, neighbors, len(difficulty) // 10, np.random.default_rng(0), gamma=1.0)


def bare_search(rows: NDArray[np.float32], k: int, threads: int) -> None:
    """Do what a user of faiss writes: build the flat index, search the pool in itself once."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    index.search(rows, k + 1)
