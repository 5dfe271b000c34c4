"""Rows with the coresets and scores that they name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from bench.results.published import write_indices, write_scores
from bench.results.rows import Row, write_row

RATES = [0.5, 0.9]
MEANS = {"random": [90.0, 80.0], "elfs": [92.0, 86.0], "aum": [95.0, 60.0]}


def put(rows: list[Row], folder: Path) -> list[Row]:
    """Write rows with a coreset each; the methods with scores rank by their seed's own noise around one truth."""
    truth = np.random.default_rng(0).normal(size=rows[0].pool_size)
    written = []
    for row in rows:
        own = int(hashlib.sha256(f"{row.variant}{row.encoder}{row.seed}".encode()).hexdigest()[:8], 16)
        scores = (truth + np.random.default_rng(own).normal(size=row.pool_size)).astype(np.float32)
        order = np.argsort(-scores) if row.method != "random" else np.random.default_rng(own).permutation(len(scores))
        changes = {"indices_sha256": write_indices(order[: row.budget], folder, row.cell_id)}
        if row.method != "random":
            changes["scores_sha256"] = write_scores(scores, folder)
        written.append(row.model_copy(update=changes))
        write_row(written[-1], folder)
    return written
