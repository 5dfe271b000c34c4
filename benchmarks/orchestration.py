"""Share of a grid's wall time that is not work: start of Python and Ray, scheduling, waiting, reading, writing rows."""

from __future__ import annotations

import os

from benchmarks._common import Meter, Result, Skip, Target
from benchmarks._grid import run_grid, work

TINY = {"methods": "random", "seeds": 1, "iterations": 4}
GRID = ("--datasets", "digits", "--rates", "0.5,0.9", "--models", "small_cnn")


def run(
    meter: Meter,
    *,
    methods: str = "random,aum,d2,elfs(heads=5,cluster_epochs=20)",
    seeds: int = 3,
    iterations: int = 2_000,
) -> list[Result]:
    """One grid, one CPU for each trial; work is what its rows say that stages and trainings took."""
    if meter.device != "cpu":
        raise Skip("trials would wait for the GPU, one at a time")
    recipe = ("--recipe", f"iterations={iterations},evaluations=1,augmentation=crop,crop_padding=1")
    grid = run_grid([*GRID, *recipe, "--methods", methods, "--seeds", str(seeds)], meter.device)
    slots, seconds = len(os.sched_getaffinity(0)), work(grid.rows)
    share = 1 - seconds / slots / grid.seconds
    stages = len({use.key for row in grid.rows for use in row.stages})
    what = f"{len(grid.rows)} cells and {stages} stages of {seconds:.0f} s, {slots} at once"
    return [Result(what, 100 * share, "%", 1, target=Target("ours", "at most", 15))]
