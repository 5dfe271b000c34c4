"""Approximate neighbours, which ``bench select`` uses above 200,000 items, against exact ones."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.knn import nearest_neighbors
from bench.labelling import approximate
from bench.labelling.duplicates import without_duplicates
from benchmarks._common import Meter, Result, Target, timed

TINY = {"size": 2_000, "features": 16, "rank": 6, "k": 10}
_SAMPLE = 2_000


def run(meter: Meter, *, size: int = 50_000, features: int = 384, rank: int = 24, k: int = 50) -> list[Result]:
    """Both searches in turns; then near-duplicates, of which a tenth of the items has one."""
    rows = embeddings(size, features, rank)
    found: dict[str, NDArray[np.int64]] = {}

    def exact() -> None:
        found["exact"] = nearest_neighbors(rows, k, threads=meter.threads).indices

    def cells() -> None:
        found["cells"] = approximate.approximate_neighbors(rows, k, threads=meter.threads).neighbors.indices

    ours, other = meter.compare(cells, exact, repeats=1, warm_up=False)
    some = np.random.default_rng(2).choice(size, min(size, _SAMPLE), replace=False)
    recall = np.mean([len(np.intersect1d(found["cells"][row], found["exact"][row])) / k for row in some])
    what = f"{size:,} x {features} of rank {rank}, k = {k}"
    return [
        timed(what, ours, other, alternative="exact"),
        Result(f"recall at {k}", 100 * float(recall), "%", 1, target=Target("ours", "at least", 95)),
        Result(
            f"of {size // 10:,} near-duplicates found",
            100 * _duplicates_found(rows, meter.threads),
            "%",
            1,
            target=Target("ours", "at least", 99),
        ),
    ]


def embeddings(size: int, features: int, rank: int) -> NDArray[np.float32]:
    """Float32 [N, D] that vary in few directions and a little in all, as those of networks do."""
    rng = np.random.default_rng(0)
    normal = partial(rng.standard_normal, dtype=np.float32)
    inner = normal((200, rank))[rng.integers(200, size=size)] + normal((size, rank))
    return inner @ normal((rank, features)) + normal((size, features)) / 2


def _duplicates_found(rows: NDArray[np.float32], threads: int) -> float:
    """Part of the near-duplicates, of a tenth of the rows, that the search of very many items leaves out."""
    rng = np.random.default_rng(3)
    count = len(rows) // 10
    noise = rng.standard_normal((count, rows.shape[1]), dtype=np.float32)
    copies = rows[:count] + noise * (0.1 * rows[:count].std())  # cosine about 0.995
    before, approximate.EXACT = approximate.EXACT, 0
    try:
        kept = without_duplicates(np.concatenate([rows, copies]), 0.98, threads=threads)
        alone = without_duplicates(rows, 0.98, threads=threads)
    finally:
        approximate.EXACT = before
    return 1 - (len(kept) - len(alone)) / count
