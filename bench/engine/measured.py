"""What this machine has measured before: seconds of stages like those to come, and of cells like those to come."""

from __future__ import annotations

import json
import socket
from collections import defaultdict
from collections.abc import Hashable, Iterable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from bench.errors import RowError
from bench.results.rows import read_row
from bench.stages.base import Stage
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.store.records import Record, read_record

NEWEST = 200
"""Records of a kind, and rows, that are looked at: more would tell nothing new and take seconds."""
_SAME_WORK = ("seed", "pool_seed", "fingerprint", "clean_fingerprint", "code")
"""What changes the result of a stage and not the work."""


def measured_before(stages: Iterable[Stage], cells: Iterable[Cell], session: Session) -> dict[str, float]:
    """Seconds by key, of those whose like was done here before: the same but for seed and content of the pool.

    Args:
        stages: to be computed.
        cells: to be trained.
        session: names the cache, the folder of the rows, the device and the threads.
    """
    seconds = _of_stages(list(stages), session)
    wanted = list(cells)
    if wanted:
        trained = _of_rows(session)
        # The median: one that had to share the processor tells little of the next.
        seconds |= {cell.key: median(values) for cell in wanted if (values := trained.get(_like_cell(cell)))}
    return seconds


def _of_stages(stages: list[Stage], session: Session) -> dict[str, float]:
    here, on_gpu = socket.gethostname(), session.device != "cpu"
    records: defaultdict[str, list[Record]] = defaultdict(list)
    for kind in {stage.kind for stage in stages}:
        for path in _newest(session.cache / kind):
            with suppress(OSError, ValueError):
                record = read_record(path)
                # A cache on a shared disk holds the records of other machines too.
                if (record.host, record.threads) == (here, session.threads):
                    records[_like(record.stage)].append(record)

    def seconds(stage: Stage) -> list[float]:
        # One that uses no GPU may have been made in a process that held one for another.
        return [
            record.seconds
            for record in records.get(_like(stage.describe()), [])
            if not stage.uses_gpu() or (record.peak_gpu_bytes is not None) == on_gpu
        ]

    return {stage.key: median(values) for stage in stages if (values := seconds(stage))}


def _of_rows(session: Session) -> dict[Hashable, list[float]]:
    from bench.provenance import device_name

    device = device_name(session.device)
    seconds: defaultdict[Hashable, list[float]] = defaultdict(list)
    for path in _newest(session.out / "rows"):
        with suppress(RowError):
            row = read_row(path)
            if (row.device, row.threads) == (device, session.threads):
                seconds[row.dataset, row.model, row.recipe, row.budget].append(row.train_seconds)
    return seconds


def _like_cell(cell: Cell) -> Hashable:
    return cell.dataset.label, cell.model.label, cell.recipe, cell.budget


def _like(stage: dict[str, Any]) -> str:
    return json.dumps(_stripped(stage), sort_keys=True)


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stripped(inner) for name, inner in value.items() if name not in _SAME_WORK}
    return [_stripped(inner) for inner in value] if isinstance(value, list | tuple) else value


def _newest(folder: Path) -> list[Path]:
    def age(path: Path) -> float:
        with suppress(OSError):
            return -path.stat().st_mtime
        # Deleted since it was listed.
        return 0.0

    with suppress(OSError):
        return sorted(folder.glob("*.json"), key=age)[:NEWEST]
    return []
