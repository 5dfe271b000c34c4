"""The cells of a lease, in the order of what they are worth: `python -m benchmarks.lease.table --out DIR`.

First full data, then 90 % removed with the methods that the question is about, then the rest of them, then further
seeds, then lower rates. The same command again runs what has no row yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.engine.resume import row_that_cannot_join
from bench.engine.start import Job, RunOptions
from bench.grid.spec import load_spec

PRESET = "fast-cifar10"
FIRST = ("random", "elfs", "aum", "ccs")
RATES = (0.9, 0.7, 0.5, 0.8, 0.3)
PART = "part.npz"
TINY = {"recipe": {"iterations": 3, "proxy_epochs": 1, "evaluations": 1, "batch_size": 64}, "pool_size": 120}


def batches(methods: Sequence[str], seeds: int) -> Iterator[dict[str, Any]]:
    """Yield grids in the order of what they are worth: names of methods, rates, seeds.

    Args:
        methods: all names.
        seeds: how many.
    """
    rest = [name for name in methods if name not in (*FIRST, "full")]
    for rate in RATES:
        for seed in range(seeds):
            for names in (FIRST, rest):
                yield {"methods": list(names), "rates": [rate], "seeds": [seed]}
        if rate == RATES[0]:
            yield {"methods": ["full"], "rates": [rate], "seeds": list(range(seeds))}


def data_of(root: Path | None, made: Path) -> dict[str, Any]:
    """Return data set and root: CIFAR-10 where it is whole, else what there is of it, else random images.

    Args:
        root: holds ``cifar-10-batches-py``, perhaps not all of its files.
        made: folder for a file of what there is.
    """
    from bench.datasets._cifar_files import load_plain
    from bench.datasets.cifar import CIFAR10_FILES, CIFAR10_FOLDER

    made.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    if root is None:
        rng = np.random.default_rng(0)
        arrays = {
            "x_train": rng.integers(0, 256, (240, 32, 32, 3), dtype=np.uint8),
            "y_train": np.arange(240) % 10,
            "x_test": rng.integers(0, 256, (50, 32, 32, 3), dtype=np.uint8),
            "y_test": np.arange(50) % 10,
        }
    else:
        files = [root / CIFAR10_FOLDER / name for name in CIFAR10_FILES]
        if all(path.is_file() for path in files):
            return {"datasets": "cifar10", "data_root": root}
        loaded = {path.name: load_plain(path.read_bytes()) for path in files if path.is_file()}
        for split, beginning in (("train", "data"), ("test", "test")):
            parts = [batch for name, batch in loaded.items() if name.startswith(beginning)]
            images = np.concatenate([batch["data"] for batch in parts]).reshape(-1, 3, 32, 32)
            arrays |= {
                f"x_{split}": np.ascontiguousarray(images.transpose(0, 2, 3, 1)),
                f"y_{split}": np.concatenate([batch["labels"] for batch in parts]),
            }
    np.savez(made / PART, **arrays)
    return {"datasets": f"npz(path={PART})", "data_root": made}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the grids."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lease.table")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="A method, at the first seed alone.")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args(arguments)
    spec = load_spec(preset=PRESET, given={})
    calls: dict[str, list[Any]] = {}
    for call in spec.methods:
        calls.setdefault(call.name, []).append(call)
    seeds = 1 if given.tiny else len(spec.seeds)
    grids = list(batches(list(calls), seeds))
    if given.only:
        grids = [{"methods": [given.only], "rates": [RATES[0]], "seeds": [0]}]
    data = data_of(given.data_root, given.cache.parent / "made")
    encoder = f"efficientnet_lite0(weights={given.weights})" if given.weights else "pixels"
    fixed: dict[str, Any] = {"datasets": data["datasets"], "encoders": encoder}
    options: dict[str, Any] = {
        "out": given.out,
        "data_root": data["data_root"],
        "cache_dir": given.cache,
        "device": given.device,
        "cpus_per_trial": given.threads,
    }
    if given.tiny:
        fixed |= {**TINY, "models": "speedrun(width=0.125)"}
    whole = []
    for grid in grids[: 2 if given.tiny else None]:
        named = [call for name in grid["methods"] for call in calls[name]]
        if given.tiny:
            named = ["random", "elfs(heads=2,cluster_epochs=2,beta=0.1)"] if grid["methods"] != ["full"] else ["full"]
        whole.append({**fixed, **grid, "methods": named})
    make_room(given.out, whole[0], options)  # all have its recipe and pool
    refused = False
    for grid in whole:
        try:
            done = bench.run(preset=PRESET, **grid, **options, quiet=True)
        except bench.BenchError as error:  # the next grid may be sound
            refused = True
            print(error, flush=True)
            continue
        for row in done.rows().itertuples():
            print(f"{row.cell_id}: {row.accuracy:.2f} % in {row.train_seconds:.1f} s", flush=True)
        for cell, reason in done.failed.items():
            print(f"{cell}: {reason}", flush=True)
    if given.out.exists():
        accuracies = bench.load_rows(given.out).groupby(["dataset", "encoder", "variant", "rate"]).accuracy
        print(accuracies.agg(["mean", "std", "count"]).to_string(), flush=True)
    sys.exit(int(refused))


def make_room(out: Path, grid: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Rename a folder of rows that no table can show beside the grid's, as of another recipe or pool, to ``former-N``.

    A lease may go on from rows of another revision, or of fewer pieces of the data.
    """
    job = Job(load_spec(preset=PRESET, given=grid), RunOptions(executor="local", **options), tolerant=True)
    if foreign := row_that_cannot_join(out, job.plan.cells):
        former = next(path for n in count(1) if not (path := out.with_name(f"former-{n}")).exists())
        print(f"{former.name} holds the rows so far, of another table: {foreign.partition(';')[0]}", flush=True)
        out.rename(former)


if __name__ == "__main__":
    main()
