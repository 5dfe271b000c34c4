"""Times that this machine has measured before, for stages and cells like those of a plan."""

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
"""Number of records of a kind, and of rows, that are read: more would add nothing and take seconds."""
_SAME_WORK = ("seed", "pool_seed", "fingerprint", "clean_fingerprint", "code")
"""Fields that change the result of a stage but not its work."""


def measured_before(stages: Iterable[Stage], cells: Iterable[Cell], session: Session) -> dict[str, float]:
    """Return seconds by key for stages and cells that differ from earlier ones only in seeds and the pool's content.

    Args:
        stages: stages to compute.
        cells: cells to train.
        session: names the cache, the folder of the rows, the device and the threads.
    """
    seconds = _seconds_of_stages(list(stages), session)
    to_train = list(cells)
    if to_train:
        trained = _seconds_by_training(session)
        # The median, since a training that shared the processor with others says little about the next.
        seconds |= {cell.key: median(values) for cell in to_train if (values := trained.get(_training(cell)))}
    return seconds


def _seconds_of_stages(stages: list[Stage], session: Session) -> dict[str, float]:
    here, on_gpu = socket.gethostname(), session.device != "cpu"
    records: defaultdict[str, list[Record]] = defaultdict(list)
    for kind in {stage.kind for stage in stages}:
        for path in _newest(session.cache / kind):
            with suppress(OSError, ValueError):
                record = read_record(path)
                # A cache on a shared disk also holds records of other machines.
                if (record.host, record.threads) == (here, session.threads):
                    records[_work(record.stage)].append(record)

    def seconds(stage: Stage) -> list[float]:
        # A stage without GPU may have been computed in a process that held a GPU for another stage.
        return [
            record.seconds
            for record in records.get(_work(stage.describe()), [])
            if not stage.uses_gpu() or (record.peak_gpu_bytes is not None) == on_gpu
        ]

    return {stage.key: median(values) for stage in stages if (values := seconds(stage))}


def _seconds_by_training(session: Session) -> dict[Hashable, list[float]]:
    from bench.provenance import device_name

    device = device_name(session.device)
    seconds: defaultdict[Hashable, list[float]] = defaultdict(list)
    for path in _newest(session.out / "rows"):
        with suppress(RowError):
            row = read_row(path)
            if (row.device, row.threads) == (device, session.threads):
                seconds[row.dataset, row.model, row.recipe, row.budget].append(row.train_seconds)
    return seconds


def _training(cell: Cell) -> Hashable:
    """Return the fields of a cell that determine the time of its training, in the order of ``_seconds_by_training``."""
    return cell.dataset.label, cell.model.label, cell.recipe, cell.budget


def _work(stage: dict[str, Any]) -> str:
    """Return a text of the fields of a stage that determine its work."""
    return json.dumps(_without_same_work(stage), sort_keys=True)


def _without_same_work(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_same_work(inner) for name, inner in value.items() if name not in _SAME_WORK}
    return [_without_same_work(inner) for inner in value] if isinstance(value, list | tuple) else value


def _newest(folder: Path) -> list[Path]:
    def age(path: Path) -> float:
        with suppress(OSError):
            return -path.stat().st_mtime
        # It was deleted after the listing.
        return 0.0

    with suppress(OSError):
        return sorted(folder.glob("*.json"), key=age)[:NEWEST]
    return []
