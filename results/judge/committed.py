"""The committed coresets of ``random`` and of the fixed betas, and their pools, for the scripts beside this file."""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from study import HERE, LINES, fields_of

from bench.data import Dataset
from bench.engine.start import Job, RunOptions
from bench.grid.spec import load_spec
from bench.results.published import indices_path, pool_positions, read_indices
from bench.results.rows import read_rows
from bench.stages.embeddings import Embeddings
from bench.stages.session import Session


def arguments(description: str | None) -> argparse.Namespace:
    """Return the lines that a user named, and where their data and weights are."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", choices=LINES)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--weights", help="file of efficientnet_lite0")
    return parser.parse_args()


@contextmanager
def opened(line: str, given: argparse.Namespace) -> Iterator[tuple[Session, Embeddings]]:
    """Yield a session that computes stages, and the embeddings that the methods of a line read."""
    spec = load_spec(given={**fields_of(line, given.weights), "methods": "d2-label-free", "rates": [0.9], "seeds": 1})
    with tempfile.TemporaryDirectory() as out:
        job = Job(
            spec, RunOptions(executor="local", out=Path(out), data_root=given.data_root, cache_dir=given.cache_dir)
        )
        cell = job.plan.cells[0]
        assert cell.encoder is not None
        yield job.session, Embeddings(dataset=cell.dataset, encoder=cell.encoder)


def coresets(line: str, dataset: Dataset) -> Iterator[tuple[dict[str, str], NDArray[np.int64]]]:
    """Yield the cell of each committed coreset of a line, and its positions in the pool; ``random`` has no beta."""
    for row in read_rows(HERE / line):
        beta = row.params.get("beta") if row.method == "elfs" else None
        if row.method == "random" or isinstance(beta, float | int):
            indices = read_indices(indices_path(HERE / line, row.cell_id), sha256=row.indices_sha256)
            cell = {"line": line, "rate": f"{row.rate:g}", "seed": str(row.seed)}
            yield cell | {"beta": "" if beta is None else f"{beta:g}"}, pool_positions(indices, dataset)


def write_beside(path: Path, made: Sequence[dict[str, str]]) -> None:
    """Write rows to a CSV in the order of their cells, in the place of those that it has of the same lines."""
    kept: list[dict[str, str]] = []
    if path.exists():
        lines = {row["line"] for row in made}
        with path.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["line"] not in lines]
    rows = sorted([*kept, *made], key=_place)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(made[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _place(row: dict[str, str]) -> tuple[str, float, int, float]:
    return row["line"], float(row["rate"]), int(row["seed"]), float(row["beta"] or -1)  # random first
