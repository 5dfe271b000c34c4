"""Peak memory of D2 from embeddings to coreset (k = 10, budget 10 %)."""

from __future__ import annotations

from bench.knn import nearest_neighbors
from benchmarks import _data
from benchmarks._common import Meter, Result, Target, peak_memory
from benchmarks.d2_embeddings import K, choose

TINY = {"size": 300, "features": 8}


def run(meter: Meter, *, size: int = 50_000, features: int = 384) -> list[Result]:
    """Measure a process that does only this."""
    memory = peak_memory(alone, size=size, features=features, threads=meter.threads)
    return [Result(f"D2 on {size:,} x {features}", memory, "GB", 1, target=Target("ours", "at most", 2))]


def alone(size: int, features: int, threads: int) -> None:
    """Run the whole of D2 in a process of its own."""
    choose(_data.scores(size), nearest_neighbors(_data.embeddings(size, features), K, threads=threads))
