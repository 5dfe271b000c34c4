"""Peak memory of the driver, and time, of a grid of trivial cells."""

from __future__ import annotations

import time

from benchmarks._common import Meter, Result, Target, peak_memory
from benchmarks._grid import folders

TINY = {"cells": 2}
TRIVIAL = ("--datasets", "digits", "--methods", "random", "--rates", "0.9", "--pool-size", "100")


def run(meter: Meter, *, cells: int = 1_000) -> list[Result]:
    """One image per class and one step of training in every cell."""
    started = time.perf_counter()
    memory = peak_memory(drive, cells=cells, device=meter.device)
    seconds = time.perf_counter() - started
    return [
        Result(f"driver of {cells:,} trivial cells", memory, "GB", 1, target=Target("ours", "at most", 1)),
        Result(f"{cells:,} trivial cells and as many selections, per cell", seconds / cells, "s", 1),
    ]


def drive(cells: int, device: str) -> None:
    """Do what ``bench run`` does, in this process.

    Raises:
        RuntimeError: it did not write every row.
    """
    from bench.cli import app

    recipe = ("--recipe", "iterations=1,evaluations=1")
    with folders() as places:
        arguments = ["run", *TRIVIAL, *recipe, "--seeds", str(cells), *places, "--device", device, "--quiet"]
        if app([*arguments, "--json"], standalone_mode=False) != 0:
            raise RuntimeError("bench run did not write every row")
