"""Records of failed cells: a versioned file beside the rows, with the traceback in a file of its own."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench.engine.limits import read_mark
from bench.errors import BenchError, NotFinite, TimeLimit
from bench.plain_files import read_regular
from bench.stages.training import Cell
from bench.store.files import write_atomically
from bench.units import counted

FOLDER = "failed"
_MOST_BYTES = 16_000_000
"""Largest record that is read, in bytes; one has a few thousand, but another file in its place may be endless."""
_KILLED_FOR_MEMORY = "running low on memory"
"""Words in Ray's message when its memory monitor killed a worker; it has no status for that."""
_NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
Status = Literal["error", "out-of-memory", "not-finite", "time-limit", "lost"]


def _printable(text: str) -> str:
    """Return the text with bytes of file names that are not UTF-8 escaped, since they cannot be printed or stored."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


Printable = Annotated[str, AfterValidator(_printable)]


class Fault(BaseModel):
    """The fault of one piece of work, in one line and in full; a worker sends it to the driver.

    Attributes:
        status: ``error`` is an exception, ``lost`` a process that died without a report (killed, crashed, node gone).
        reason: one line, which does not name the stage.
        details: a traceback, or what is known instead.
        passing: whether the same work may succeed if it is tried again; the same seed gives the same exception.
        stage: title of the shared stage that failed; empty if it was the cell itself.
        attempts: number of tries.
        seconds: time that it had run, as far as that is known.
    """

    model_config = ConfigDict(frozen=True)

    status: Status
    reason: Printable
    details: Printable = ""
    passing: bool = False
    stage: Printable = ""
    attempts: int = 1
    seconds: float = 0.0

    @property
    def of_cell(self) -> str:
        """The reason why a cell has no row, which names the shared stage that failed, if it was one."""
        return f"{self.stage}: {self.reason}" if self.stage else self.reason


class Failure(BaseModel):
    """The record of a failed cell, ``failed/CELL_ID.json``; it is deleted once the cell has a row.

    Attributes:
        schema_version: version of this record's schema.
        cell_id: id of the cell.
        status: as in ``Fault``.
        reason: one line.
        stage: title of the shared stage that failed; empty if it was the cell itself.
        attempts: number of tries of the run.
        traceback: name of the file beside the record that holds the details.
        created: time in UTC, ISO 8601.
        cell: the cell's configuration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    cell_id: str
    status: Status
    reason: str
    stage: str = ""
    attempts: Annotated[int, Field(ge=1)] = 1
    traceback: str
    created: str
    cell: dict[str, Any]


def fault_of(error: BaseException, stage: str = "") -> Fault:
    """Return the fault of an exception.

    Only a lack of memory and an error of the file system are worth another try: they may be over when the other trials
    have ended.
    """
    # One line, since it goes into a table and a progress line.
    text = " ".join(str(error).split())
    # Errors of this package are written for users; for others the name of the exception often says more.
    reason = text if text and isinstance(error, BenchError) else f"{type(error).__name__}: {text}"
    details = "".join(traceback.format_exception(error))
    status: Status = "error"
    if isinstance(error, NotFinite):
        status = "not-finite"
    elif isinstance(error, TimeLimit):
        status = "time-limit"
    elif _is_out_of_memory(error):
        status = "out-of-memory"
    # The same seed gives the same exception, so most are not worth a second try.
    passing = status == "out-of-memory" or isinstance(error, OSError)
    return Fault(status=status, reason=reason, details=details, passing=passing, stage=stage)


def lost(reason: str, details: str, stage: str = "") -> Fault:
    """Return the fault of a process that died; ``details`` shows whether Ray killed it to free memory."""
    status: Status = "out-of-memory" if _KILLED_FOR_MEMORY in details else "lost"
    return Fault(status=status, reason=reason, details=details, passing=True, stage=stage)


def fault_of_death(mark: Path, details: str, *, limit: float | None, stage: str = "") -> Fault:
    """Return the fault of a process that died: the one that it wrote, the time limit, or ``lost``.

    Args:
        mark: file of ``bench.engine.limits.time_limit``, in which the process left its own fault as JSON, or the
            watchdog a traceback of where it hung.
        details: the executor's message.
        limit: time limit of the run in seconds.
        stage: title of the shared stage that it computed; empty for a cell.
    """
    last_words = read_mark(mark)
    if last_words is None:
        return lost("the worker was lost" if stage else "the trial's process was lost", details, stage)
    # A fault as JSON is from ``end_process``; anything else is the watchdog's traceback.
    with suppress(ValidationError):
        reported = Fault.model_validate_json(last_words)
        return reported.model_copy(update={"seconds": reported.seconds or limit or 0.0})
    return Fault(
        status="time-limit",
        reason=f"not done after {limit or 0:g} s, the time limit (--time-limit), and did not react.",
        details=last_words,
        stage=stage,
        seconds=limit or 0.0,
    )


def record_failure(cell: Cell, fault: Fault, out: Path) -> None:
    """Write the record and the traceback file. A full disk may hold neither; the reason still reaches the user."""
    record, text = failure_files(cell.cell_id, out)
    failure = Failure(
        cell_id=cell.cell_id,
        status=fault.status,
        reason=fault.of_cell,
        stage=fault.stage,
        attempts=fault.attempts,
        traceback=text.name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        cell=cell.model_dump(mode="json"),
    )
    with suppress(OSError):
        # The traceback first: a record must not name a missing file.
        write_atomically(text, fault.details.encode(errors="replace"))
        write_atomically(record, failure.model_dump_json(indent=1).encode(errors="replace"))


def forget_failure(cell_id: str, out: Path) -> None:
    """Delete the record of a cell that now has a row."""
    for path in failure_files(cell_id, out):
        path.unlink(missing_ok=True)


def read_failures(out: Path) -> Iterator[Failure]:
    """Yield the records of cells that still have no row; damaged records are skipped, since they are not results."""
    for path in sorted((out / FOLDER).glob("*.json")):
        row = out / "rows" / path.name
        with suppress(OSError, ValidationError):
            # A row is older than the record if the method's version was raised.
            if not row.exists() or row.stat().st_mtime_ns < path.stat().st_mtime_ns:
                yield Failure.model_validate_json(read_regular(path, at_most=_MOST_BYTES))


def summary(out: Path) -> str | None:
    """Return ``2 cells failed (1 error, 1 lost)``; None for a folder in which no failed cell lacks a row."""
    counts = Counter(failure.status for failure in read_failures(out))
    total = counts.total()
    kinds = ", ".join(f"{number} {status}" for status, number in counts.most_common())
    return f"{counted(total, 'cell')} failed ({kinds})" if total else None


def failure_files(cell_id: str, out: Path) -> tuple[Path, Path]:
    """Return the paths of a cell's record and of its traceback."""
    return out / FOLDER / f"{cell_id}.json", out / FOLDER / f"{cell_id}.txt"


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means a lack of memory, for which torch's allocator and CUDA raise RuntimeErrors."""
    # By name, since torch must not be imported here, and its class has moved between versions.
    by_name = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    by_message = isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    return isinstance(error, MemoryError) or by_name or by_message
