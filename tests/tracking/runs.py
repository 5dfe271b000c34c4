"""Report a run to trackers, and read what wandb stored of it."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.stages.session import Session
from bench.stages.training import Cell
from bench.tracking.trackers import Tracker, TrackingReporter


def report(grid: tuple[list[Cell], Session], trackers: Sequence[Tracker]) -> list[str]:
    """Tell trackers of a run of the grid, whose last cell fails; return the warnings."""
    cells, workspace = grid
    warnings: list[str] = []
    with TrackingReporter(trackers, cells, workspace.out, warnings.append) as reporter:
        reporter.cells_begin(3, 0)
        for cell in cells[:2]:
            reporter.cell_end(cell, 50.0, 1.0, None)
        reporter.cell_end(cells[2], None, 1.0, "it failed")
    return warnings


def chunks(content: bytes) -> Iterator[bytes]:
    """Records of a ``.wandb`` file: LevelDB's log format (blocks of 32 KiB; CRC, length, type), after 7 bytes."""
    assert content[:4] == b":W&B"
    position, parts = 7, b""
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def wandb_records(out: Path) -> tuple[Path, list[Any]]:
    """The only run below ``out/wandb``, and its records, which ``wandb sync`` would send."""
    from wandb.proto import wandb_internal_pb2

    [file] = (out / "wandb").glob("offline-run-*/run-*.wandb")
    end = time.monotonic() + 300
    while True:
        records = [vars(wandb_internal_pb2)["Record"].FromString(chunk) for chunk in chunks(file.read_bytes())]
        # wandb's own process may still be writing when `finish` has returned.
        if {"run", "exit"} <= {record.WhichOneof("record_type") for record in records} or time.monotonic() > end:
            return file.parent, records
        time.sleep(0.1)
