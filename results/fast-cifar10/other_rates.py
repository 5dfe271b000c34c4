"""Coresets of other rates from the published scores of ``r90/``, see PLAN.md; no proxy is trained again.

python results/fast-cifar10/other_rates.py 0.7 FOLDER

Writes FOLDER/s0/aum-beta0.2.npy and so on: the images that ``aum`` and ``elfs`` keep at each fixed beta and seed, and
``ccs`` at the beta that its paper publishes for the rate. Each method must first give its published coreset at 90 %,
or nothing is written.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.array_source import ArraySource
from bench.dynamics import Dynamics
from bench.grid.spec import load_spec
from bench.plugins import methods
from bench.results.published import indices_path, read_indices, read_scores, scores_path
from bench.results.rows import Row, read_rows
from bench.selection import budget_for, method_pool, run_method

ROWS = Path(__file__).parent / "r90"


def main() -> None:
    """Write the coresets of one rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rate", type=float, help="fraction removed")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    rate = arguments.rate
    # All of them before the first is written: one that is wrong leaves nothing behind.
    coresets = {
        arguments.out / f"s{row.seed}" / f"{row.method}-beta{beta:g}.npy": at(row, rate, beta)
        for row in read_rows(ROWS)
        if (beta := beta_at(row, rate)) is not None and beta <= rate
    }
    for file, indices in coresets.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, indices)


def beta_at(row: Row, rate: float) -> float | None:
    """Return the beta of a row's method at another rate, for ``ccs`` the preset's; None where none is fixed."""
    if row.method == "ccs":
        [call] = [call for call in load_spec(preset="fast-cifar10", given={}).methods if call.name == "ccs"]
        return call.params["beta"].get(rate)
    return row.params["beta"] if row.method in ("aum", "elfs") and row.params["beta"] != "auto" else None


def at(row: Row, rate: float, beta: float) -> NDArray[np.int64]:
    """Return the images that the row's method keeps at another rate and beta, by the scores that the row names.

    Args:
        row: of a method that reads the AUM of its proxy alone.
        rate: fraction removed.
        beta: fraction dropped as too hard, at most the rate.

    Returns:
        int64 [n], sorted positions in the training split, which is the pool.
    """
    published = read_indices(indices_path(ROWS, row.cell_id), sha256=row.indices_sha256)
    if not np.array_equal(kept(row, row.rate, row.params["beta"]), published):
        raise SystemExit(f"{row.cell_id}: its scores do not give its coreset.")
    return kept(row, rate, beta)


def kept(row: Row, rate: float, beta: float) -> NDArray[np.int64]:
    """Run the row's method on the AUM of its proxy."""
    scores = read_scores(scores_path(ROWS, row.scores_sha256), sha256=row.scores_sha256)
    dynamics = with_aum(-scores)
    source = ArraySource(dynamics_labels=dynamics, dynamics_pseudo=dynamics)
    entry, size, params = methods.get(row.method), len(scores), {**row.params, "beta": beta}
    pool = method_pool(entry, params, source, size=size, num_classes=10, rate=rate, seed=row.seed)
    return run_method(entry, pool, params, budget_for(size, rate), row.seed).indices


def with_aum(aum: NDArray[np.float32]) -> Dynamics:
    """Return dynamics of which AUM alone is known; the others are zeros."""
    known = {"aum": aum, "epochs": 20}
    others = {field.name: np.zeros(len(aum), dtype=np.float32) for field in dataclasses.fields(Dynamics)}
    whole = {"forgetting": np.zeros(len(aum), dtype=np.int32), "learned": np.ones(len(aum), dtype=np.bool_)}
    return Dynamics(**{**others, **whole, **known})


if __name__ == "__main__":
    main()
