"""Which fixed beta a maximum mean discrepancy (MMD) would choose, see PLAN.md; writes mmd.csv beside itself.

python results/judge/mmd.py A B D E F G I --data-root DATA --weights FILE

Reads the committed coresets of the fixed betas and computes the embeddings; trains nothing, and reads no label.
"""

from __future__ import annotations

import numpy as np
from committed import arguments, coresets, opened, write_beside
from numpy.typing import NDArray
from study import HERE

from bench import unit_rows

SAMPLE = 2_000
"""Items of the pool whose median distance is the kernel's bandwidth."""


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
    given, made = arguments(__doc__), []
    for line in given.lines:
        with opened(line, given) as (session, embeddings):
            pool = unit_rows(session.arrays(embeddings)["embeddings"])
            bandwidth = median_distance(pool)
            for cell, positions in coresets(line, session.dataset(embeddings.dataset)):
                if cell["beta"]:
                    made.append(cell | {"discrepancy": f"{discrepancy(pool[positions], pool, bandwidth):.8f}"})
    write_beside(HERE / "mmd.csv", made)


if __name__ == "__main__":
    main()
