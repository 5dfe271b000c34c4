"""What cells and shared stages of committed runs took: the table of docs/how-long.md, from rows alone.

python results/how_long.py FOLDER...    prints it
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from bench.results.rows import Row, read_rows

KINDS = ("embeddings", "neighbors", "pseudo-labels", "dynamics")
HEADER = (
    "pool",
    "model, iterations",
    "training",
    "embeddings",
    "neighbours",
    "pseudo-labels",
    "proxy",
    "cells",
    "where, when",
)


def table(folders: Iterable[Path]) -> str:
    """Return Markdown: per folder the median seconds of a final training and of each kind of shared stage."""
    lines = [f"| {' | '.join(HEADER)} |", f"| --- | --- {'| --: ' * 6}| --- |"]
    lines += [f"| {' | '.join(_cells(list(read_rows(folder))))} |" for folder in folders]
    return "\n".join(lines)


def _cells(rows: list[Row]) -> list[str]:
    first = rows[0]
    seconds: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for row in rows:
        for use in row.stages:
            if use.kind in seconds:
                seconds[use.kind][use.key] = use.seconds
    return [
        f"{first.dataset.split('(')[0]}, {first.pool_size:,}",
        f"{first.model}, {first.recipe.iterations:,}",
        _shown([row.train_seconds for row in rows]),
        *(_shown(seconds[kind].values()) for kind in KINDS),
        str(len(rows)),
        f"{first.device}, {first.threads} thread, {min(row.created for row in rows)[:10]}",
    ]


def _shown(values: Iterable[float]) -> str:
    found = list(values)
    if not found:
        return "-"
    return f"{median(found) / 60:.1f} min" if median(found) >= 99.5 else f"{median(found):.3g} s"


if __name__ == "__main__":
    runs = [Path(name) for name in sys.argv[1:]]
    if empty := [str(run) for run in runs if not any(read_rows(run))]:
        sys.exit(f"{empty[0]} holds no rows; give folders of one run each")
    print(table(runs))
