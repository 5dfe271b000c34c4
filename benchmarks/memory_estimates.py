"""Peak memory of stages and trainings against what preflight estimates; an estimate should err upwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.engine.plan import Plan, make_plan
from bench.grid.spec import load_spec
from bench.stages.base import Stage, in_order
from bench.stages.training import Cell
from benchmarks._common import Meter, Result, Skip, Target
from benchmarks._grid import run_grid

TINY = {"size": 60, "side": 8, "models": "small_cnn", "methods": "aum"}
CLASSES = 10


def run(
    meter: Meter,
    *,
    size: int = 20_000,
    side: int = 32,
    models: str = "small_cnn,resnet18",
    methods: str = "aum,grand(epochs=0,networks=1),d2-label-free,elfs(heads=5,cluster_epochs=1)",
) -> list[Result]:
    """Train for two steps on random images; for every kind of stage and every model, the one that took most."""
    recipe = {"iterations": 2, "proxy_epochs": 1, "evaluations": 1}
    with images(size, side) as path:
        given = {"datasets": f"npz(path={path})", "methods": methods, "models": models, "proxy_model": "small_cnn"}
        given |= {"encoders": "pixels", "rates": "0.5", "seeds": "1"}
        plan = make_plan(load_spec(given={**given, "recipe": recipe}), out=None, device=meter.device)
        options = [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", value)]
        changed = ",".join(f"{name}={value}" for name, value in recipe.items())
        rows = run_grid([*options, "--recipe", changed], meter.device).rows
    peaks = {use.key: use.peak_bytes for row in rows for use in row.stages}
    peaks |= {row.cell_id: row.train_peak_bytes for row in rows}
    if None in peaks.values():
        raise Skip("this system does not tell the peak memory of a process")
    results = compared(plan, {key: peak for key, peak in peaks.items() if peak is not None})
    return [Result(f"{what}, {size:,} images of {side} x {side}", **figures) for what, figures in results.items()]


@contextmanager
def images(size: int, side: int) -> Iterator[Path]:
    """Write a data set of random images to one npz file."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", size), ("test", max(CLASSES, size // 5))):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % CLASSES
    with tempfile.TemporaryDirectory(prefix="bench-images-") as folder:
        path = Path(folder) / "random.npz"
        np.savez(path, **arrays)
        yield path


def compared(plan: Plan, peaks: dict[str, int]) -> dict[str, dict]:
    """Kind of stage, or model -> measured and estimated GB of the one with the highest peak."""
    work: list[tuple[str, str, Stage | Cell]] = [
        (stage.kind, stage.key, stage) for stage in in_order([stage for cell in plan.cells for stage in cell.stages()])
    ]
    work += [(f"training {cell.model.name}", cell.cell_id, cell) for cell in plan.cells]
    found: dict[str, dict] = {}
    for what, key, item in sorted(work, key=lambda entry: peaks[entry[1]]):
        found[what] = {
            "ours": peaks[key] / 1e9,
            "other": plan.memory(item) / 1e9,
            "alternative": "estimated",
            "unit": "GB",
            "n": sum(kind == what for kind, _, _ in work),
            "target": Target("ours / other", "at most", 1),
        }
    return found
