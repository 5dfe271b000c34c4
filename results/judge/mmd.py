"""Which fixed beta a maximum mean discrepancy (MMD) would choose, see PLAN.md; writes mmd.csv beside itself.

python results/judge/mmd.py A B D E F G I --data-root DATA --weights FILE

Reads the committed coresets of the fixed betas and computes the embeddings; trains nothing, and reads no label.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from study import HERE, LINES, fields_of

from bench import unit_rows
from bench.data import Dataset
from bench.engine.start import Job, RunOptions
from bench.grid.spec import load_spec
from bench.results.published import indices_path, pool_positions, read_indices
from bench.results.rows import read_rows
from bench.stages.embeddings import Embeddings

FIELDS = ("line", "rate", "seed", "beta", "discrepancy")
SAMPLE = 2_000
"""Items of the pool whose median distance is the kernel's bandwidth."""


def opened(line: str, given: argparse.Namespace) -> tuple[NDArray[np.float32], Dataset]:
    """Return unit rows float32 [N, D], the embeddings that the methods of a line read; and its pool."""
    fields = fields_of(line, given.weights)
    spec = load_spec(given={**fields, "methods": "d2-label-free", "rates": [0.9], "seeds": 1})
    with tempfile.TemporaryDirectory() as out:
        job = Job(
            spec, RunOptions(executor="local", out=Path(out), data_root=given.data_root, cache_dir=given.cache_dir)
        )
        cell = job.plan.cells[0]
        assert cell.encoder is not None
        dataset = job.session.dataset(cell.dataset)
        found = job.session.arrays(Embeddings(dataset=cell.dataset, encoder=cell.encoder))["embeddings"]
    return unit_rows(found), dataset


def discrepancy(coreset: NDArray[np.float32], pool: NDArray[np.float32], bandwidth: float) -> float:
    """Squared MMD of a coreset [n, D] to the pool [N, D], unit rows, without the pool's own term, which is constant."""
    return _kernel_mean(coreset, coreset, bandwidth) - 2 * _kernel_mean(coreset, pool, bandwidth)


def median_distance(pool: NDArray[np.float32]) -> float:
    """Median distance between items of the pool, of at most ``SAMPLE`` drawn ones."""
    drawn = pool[np.random.default_rng(0).permutation(len(pool))[:SAMPLE]]
    squared = np.maximum(2 - 2 * drawn @ drawn.T, 0)
    return float(np.sqrt(np.median(squared[np.triu_indices(len(drawn), 1)])))


def _kernel_mean(a: NDArray[np.float32], b: NDArray[np.float32], bandwidth: float) -> float:
    total = 0.0
    for start in range(0, len(a), 500):  # 500 x 50,000 float32 are 100 MB
        squared = 2 - 2 * a[start : start + 500] @ b.T
        total += float(np.exp(squared / (-2 * bandwidth**2)).sum(dtype=np.float64))
    return total / len(a) / len(b)


def main() -> None:
    """Compute the named lines and write them beside those that the file has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", choices=LINES)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--weights", help="file of efficientnet_lite0")
    given = parser.parse_args()
    path = HERE / "mmd.csv"
    known: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            known = [row for row in csv.DictReader(file) if row["line"] not in given.lines]
    for line in given.lines:
        pool, dataset = opened(line, given)
        bandwidth = median_distance(pool)
        for row in read_rows(HERE / line):
            if row.method == "elfs" and row.params.get("beta") != "auto":
                indices = read_indices(indices_path(HERE / line, row.cell_id), sha256=row.indices_sha256)
                value = discrepancy(pool[pool_positions(indices, dataset)], pool, bandwidth)
                known.append(
                    {
                        "line": line,
                        "rate": f"{row.rate:g}",
                        "seed": str(row.seed),
                        "beta": f"{row.params['beta']:g}",
                        "discrepancy": f"{value:.8f}",
                    }
                )
    known.sort(key=lambda row: (row["line"], float(row["rate"]), int(row["seed"]), float(row["beta"])))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known)


if __name__ == "__main__":
    main()
