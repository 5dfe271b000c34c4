"""Why a cell has no row: a versioned record beside the rows, with the traceback in a file of its own."""

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
"""Bytes of a record that are read; one has a few thousand, and what lies there in its place may be endless."""
_KILLED_FOR_MEMORY = "running low on memory"
"""Ray's words where its memory monitor killed a worker; it has no status for that."""
_NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
Status = Literal["error", "out-of-memory", "not-finite", "time-limit", "lost"]


def _printable(text: str) -> str:
    """Write out the bytes of a file name that are no UTF-8: they cannot be printed or stored."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


Printable = Annotated[str, AfterValidator(_printable)]


class Fault(BaseModel):
    """What went wrong, in one line and in full; travels from a worker to the driver.

    Attributes:
        status: ``error`` is an exception, ``lost`` a process that died without a word (killed, crashed, node gone).
        reason: one line, which does not name the stage.
        details: a traceback, or what is known in its place.
        passing: whether the same work may go well the next time; the same seed gives the same exception.
        stage: title of the shared stage that failed; empty where it was the cell itself.
        attempts: how often it was tried.
        seconds: how long it had run, as far as that is known.
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
        """The reason why a cell has no row: it names the shared stage that failed, if it was one."""
        return f"{self.stage}: {self.reason}" if self.stage else self.reason


class Failure(BaseModel):
    """The record of a cell that failed: ``failed/CELL_ID.json``. A row of the cell, once there is one, replaces it.

    Attributes:
        schema_version: of this record.
        cell_id: of the cell.
        status: as in ``Fault``.
        reason: one line.
        stage: title of the shared stage that failed; empty where it was the cell itself.
        attempts: how often the run tried.
        traceback: name of the file beside the record that holds the details.
        created: UTC, ISO 8601.
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
    """Classify an exception that was caught where it was raised.

    Memory may be free again, and a file system may answer again, when the other trials are done; nothing else that
    raises is worth another try.
    """
    # One line, whatever the error says: it goes into a table and a progress line.
    text = " ".join(str(error).split())
    # Errors of this package are written for users; of others the name is often the better half.
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
    """Return the fault of a process that died; Ray's words in ``details`` tell whether it killed it for its memory."""
    status: Status = "out-of-memory" if _KILLED_FOR_MEMORY in details else "lost"
    return Fault(status=status, reason=reason, details=details, passing=True, stage=stage)


def fault_of_death(mark: Path, details: str, *, limit: float | None, stage: str = "") -> Fault:
    """Return the fault of a process that died: at the time limit, by what it wrote before, or nobody knows why.

    Args:
        mark: of ``bench.engine.limits.time_limit``; the process left there its own fault as JSON, or where it hung
            when the watchdog ended it.
        details: Ray's words.
        limit: seconds, the time limit of the run.
        stage: title of the shared stage that it computed; empty where it was a cell.
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
        # The traceback first: a record must not name a file that is not there.
        write_atomically(text, fault.details.encode(errors="replace"))
        write_atomically(record, failure.model_dump_json(indent=1).encode(errors="replace"))


def forget_failure(cell_id: str, out: Path) -> None:
    """Delete the record of a cell that has a row now."""
    for path in failure_files(cell_id, out):
        path.unlink(missing_ok=True)


def read_failures(out: Path) -> Iterator[Failure]:
    """Yield the records of the cells that have no row since; damaged ones are passed over, as they are no results."""
    for path in sorted((out / FOLDER).glob("*.json")):
        row = out / "rows" / path.name
        with suppress(OSError, ValidationError):
            # An older row is there where the method's version was raised.
            if not row.exists() or row.stat().st_mtime_ns < path.stat().st_mtime_ns:
                yield Failure.model_validate_json(read_regular(path, at_most=_MOST_BYTES))


def summary(out: Path) -> str | None:
    """Return ``2 cells failed (1 error, 1 lost)``, for a folder where cells failed that still have no row."""
    counts = Counter(failure.status for failure in read_failures(out))
    total = counts.total()
    kinds = ", ".join(f"{number} {status}" for status, number in counts.most_common())
    return f"{counted(total, 'cell')} failed ({kinds})" if total else None


def failure_files(cell_id: str, out: Path) -> tuple[Path, Path]:
    """Return the paths of a cell's record and of its traceback."""
    return out / FOLDER / f"{cell_id}.json", out / FOLDER / f"{cell_id}.txt"


def _is_out_of_memory(error: BaseException) -> bool:
    """Recognise all ways to say so; torch's CPU allocator and CUDA's libraries raise RuntimeErrors."""
    # By name, as torch is not to be imported here, and its class has moved between versions.
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    return isinstance(error, MemoryError) or named or said
