"""A grid through the real command line, in a process and folders of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.results.rows import Row, read_rows


class Grid(NamedTuple):
    """A grid that was run.

    Attributes:
        rows: of all its cells.
        seconds: wall time of the command, from its start to its end.
    """

    rows: list[Row]
    seconds: float


@contextmanager
def folders() -> Iterator[list[str]]:
    """Options of ``bench run`` that put everything into a folder which is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-grid-") as folder:
        yield ["--out", f"{folder}/out", "--cache-dir", f"{folder}/cache"]


def run_grid(arguments: Sequence[str], device: str) -> Grid:
    """Run ``bench run`` with these arguments.

    Raises:
        RuntimeError: it did not write every row.
    """
    with folders() as places:
        command = [sys.executable, "-m", "bench", "run", *arguments, *places, "--device", device, "--json", "--quiet"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"bench run ended with {done.returncode}: {done.stderr[-2000:]}")
        rows = list(read_rows(Path(json.loads(done.stdout)["out"])))
    return Grid(rows, seconds)


def work(rows: Sequence[Row]) -> float:
    """Seconds that the stages and the trainings of these rows took, each stage once."""
    stages = {use.key: use.seconds for row in rows for use in row.stages}
    return sum(stages.values()) + sum(row.train_seconds for row in rows)
