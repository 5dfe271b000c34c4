"""``bench select``, from a matrix of embeddings to the list of items to label."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import _data
from benchmarks._common import Meter, Result, Target, peak_memory

TINY = {"size": 120, "features": 8, "classes": 4, "budget": 10, "method": "elfs(heads=2,cluster_epochs=2)"}


def run(
    meter: Meter,
    *,
    size: int = 100_000,
    features: int = 384,
    classes: int = 100,
    budget: int = 5_000,
    method: str = "elfs",
) -> list[Result]:
    """Once, by the default method, with nothing in the store, in a process that does only this."""
    with tempfile.TemporaryDirectory(prefix="bench-select-") as folder:
        np.save(Path(folder) / "embeddings.npy", _data.embeddings(size, features))
        started = time.perf_counter()
        options = {"classes": classes, "budget": budget, "method": method, "threads": meter.threads}
        memory = peak_memory(select, folder=folder, **options)
        seconds = time.perf_counter() - started
    what = f"{budget:,} of {size:,} x {features}"
    return [
        Result(what, seconds, "s", 1, target=Target("ours", "at most", 600)),
        Result(what, memory, "GB", 1, target=Target("ours", "at most", 4)),
    ]


def select(folder: str, **options: str | int) -> None:
    """Run the command in this process."""
    from bench.cli import app

    os.chdir(folder)
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    fixed = "select --embeddings embeddings.npy --device cpu --cache-dir cache --quiet"
    app([*fixed.split(), *given], standalone_mode=False)
