"""The exact nearest neighbours of 50,000 embeddings, which TEMI rests on, against the matrix products in them."""

from __future__ import annotations

import numpy as np

from bench.knn import nearest_neighbors
from benchmarks import _data
from benchmarks._common import Meter, Result

TINY = {"size": 300, "features": 8}


def run(meter: Meter, *, size: int = 50_000, features: int = 384, k: int = 50) -> list[Result]:
    """Time the search, and a product of matrices of as many operations on the CPU."""
    rows = _data.embeddings(size, features)
    part = min(size, 2_000)
    search, product = meter.compare(
        lambda: nearest_neighbors(rows, min(k, size - 1), threads=meter.threads, device=meter.device),
        lambda: [np.matmul(rows[start : start + part], rows.T) for start in range(0, size, part)],
        repeats=2,
        warm_up=False,
    )
    what = f"{k} cosine neighbours of {size:,} x {features}"
    return [Result(what, search.best, "s", search.count, other=product.best, alternative="the products alone")]
