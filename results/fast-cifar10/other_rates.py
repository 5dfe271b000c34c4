"""Coresets of other rates from the published scores of ``r90/``, see PLAN.md; no proxy is trained again.

python results/fast-cifar10/other_rates.py 0.7 FOLDER

Writes FOLDER/s0/aum-beta0.2.npy and so on: the window that ``aum`` and ``elfs`` keep at each fixed beta and seed. The
same cut at 90 % must give the published coreset, or nothing is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.methods._scores import next_hardest
from bench.results.published import indices_path, read_indices, read_scores, scores_path
from bench.results.rows import Row, read_rows
from bench.selection import budget_for

ROWS = Path(__file__).parent / "r90"


def main() -> None:
    """Write the coresets of one rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rate", type=float, help="fraction removed")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    # All of them before the first is written: one that is wrong leaves nothing behind.
    coresets = {
        arguments.out / f"s{row.seed}" / f"{row.method}-beta{row.params['beta']:g}.npy": window(row, arguments.rate)
        for row in read_rows(ROWS)
        if row.method in ("aum", "elfs") and row.params["beta"] != "auto" and row.params["beta"] <= arguments.rate
    }
    for file, indices in coresets.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, indices)


def window(row: Row, rate: float) -> NDArray[np.int64]:
    """Return the images that the row's method keeps at another rate, by the scores that the row names.

    Args:
        row: of ``aum`` or ``elfs`` at a fixed beta.
        rate: fraction removed, at least beta.

    Returns:
        int64 [n], sorted positions in the training split, which is the pool.
    """
    scores = read_scores(scores_path(ROWS, row.scores_sha256), sha256=row.scores_sha256)
    order = np.argsort(-scores, kind="stable")  # high = hard
    beta = row.params["beta"]
    published = read_indices(indices_path(ROWS, row.cell_id), sha256=row.indices_sha256)
    if not np.array_equal(np.sort(next_hardest(order, row.budget, beta)), published):
        raise SystemExit(f"{row.cell_id}: its scores do not give its coreset.")
    return np.sort(next_hardest(order, budget_for(len(scores), rate), beta))


if __name__ == "__main__":
    main()
