"""The work of a worker on a stage or cell, in whichever process it runs: its computation, its limits and its end."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict

from bench.engine.failures import Fault, fault_of, fault_of_death, forget_failure, record_failure
from bench.engine.limits import end_process, limit_gpu_memory, mark_of, time_limit
from bench.engine.notes import collected
from bench.engine.resume import valid_row
from bench.identity import INDICES
from bench.outside import settings_kept
from bench.plugins import datasets, encoders, methods, models
from bench.progress import announced, forget
from bench.registry import Entry
from bench.stages.base import Stage
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.store.cache import Busy


class End(BaseModel):
    """The end of a stage or cell; a worker sends it to the scheduler.

    Attributes:
        seconds: time that the work took, or for a stored stage the time that it took then; for failed work, the time
            until it failed, as far as that is known.
        reused: whether the stage was already stored.
        accuracy: test accuracy of a cell in percent.
        fault: the fault, if it failed.
        busy: whether another run is computing it.
        doubt: seconds until it is known whether a process died together with its machine, in which case the work is
            not to blame.
        notes: warnings for the user.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float = 0.0
    reused: bool = False
    accuracy: float | None = None
    fault: Fault | None = None
    busy: bool = False
    doubt: float = 0.0
    notes: tuple[str, ...] = ()


def perform(work: Stage, session: Session, *, computed: Collection[str] = (), attempt: int = 1) -> End:
    """Compute a stage into the store, or a cell into its row, and return its end.

    A failure does not raise, not even ``sys.exit`` in a method: it is an end too. Settings that a method changes for
    the whole process are restored (``bench.outside.settings_kept``).

    Args:
        work: a stage, or a cell.
        session: the session to compute in, with the time limit. A stage that another process is computing is not
            waited for.
        computed: keys of the stages that this run computed, for the cell's row.
        attempt: number of this try, from 1.
    """
    # The limit is for the work, not for imports: torch's first optimiser would import torch._dynamo.
    import torch._dynamo  # noqa: F401

    import bench.training.fit  # noqa: F401
    from bench.training.precision import prepare_torch

    if not work.uses_gpu():
        # Work that reserved no GPU must not open one, for example to compute an input that has gone missing.
        session = session.model_copy(update={"device": "cpu"})
    prepare_torch(session.threads)
    started = time.perf_counter()
    try:
        limit_gpu_memory(session.gpu_share, session.device)
        mark = mark_of(work.key, session.out)
        with settings_kept(), collected() as notes, time_limit(session.time_limit, mark, session.watchdog):
            if isinstance(work, Cell):
                end = _train(work, session, computed)
            else:
                artifact = session.model_copy(update={"wait": False}).get(work)
                end = End(seconds=artifact.seconds, reused=artifact.reused)
        return end.model_copy(update={"notes": tuple(notes)})
    except Busy:
        return End(busy=True)
    except (Exception, SystemExit) as error:  # sys.exit would end the process without a reason
        title = "" if isinstance(work, Cell) else work.title()
        fault = fault_of(error, title).model_copy(update={"attempts": attempt})
        # The fault is returned either way: after the time limit, a worker must exit.
        if isinstance(work, Cell) and end_by_row(work, session) is None:
            record_failure(work, fault, session.out)
        return End(seconds=time.perf_counter() - started, fault=fault)


def _train(cell: Cell, session: Session, computed: Collection[str]) -> End:
    from bench.results.rows import write_row

    started = time.perf_counter()
    # Another run into the same folder may have been faster: a finished row is never touched.
    row = valid_row(session.out, cell)
    if row is None:
        with announced(session.underway, cell.cell_id, cell.title()) as progress:
            # Training takes long, and another run may have written the row in that time.
            row = cell.row(session, progress, computed, lambda: valid_row(session.out, cell))
        if valid_row(session.out, cell) is None:
            write_row(row, session.out)
    forget_failure(cell.cell_id, session.out)
    return End(accuracy=row.accuracy, seconds=time.perf_counter() - started)


def end_by_row(work: Stage, session: Session) -> End | None:
    """Return the end of a cell that failed here and has its row all the same; None for other work.

    Another run into the same folder may have written it, or the work was ended between the row and its last line.
    """
    row = valid_row(session.out, work) if isinstance(work, Cell) else None
    return None if row is None else End(accuracy=row.accuracy)


def packages_from_outside(work: Stage) -> tuple[str, ...]:
    """Return the outside packages whose plugins take part in a stage or cell.

    A worker that has imported one of them does no work for others: a package may replace a function of numpy or start a
    thread, which cannot be undone.
    """
    used: list[Entry[Any]] = [datasets.get(work.pool.name)]
    for registry, name in (
        (methods, getattr(work, "method", None)),
        (encoders, getattr(getattr(work, "encoder", None), "name", None)),
        (models, getattr(getattr(work, "model", None), "name", None)),
        (models, getattr(getattr(getattr(work, "proxy", None), "model", None), "name", None)),
    ):
        if name not in (None, INDICES):
            used.append(registry.get(name))
    return tuple(sorted({entry.package for entry in used} - {"bench"}))


def perform_as_worker(work: Stage, session: Session, *, computed: Collection[str] = (), attempt: int = 1) -> End:
    """Do the work as ``perform`` does, in a worker process, which exits if it may be in an incomplete state.

    That is the case after the time limit, which may have cut an import short, and if the GPU no longer answers. The end
    is then left in the work's mark.
    """
    end = perform(work, session, computed=computed, attempt=attempt)
    broken = session.device != "cpu" and work.uses_gpu() and not _release_gpu()
    if broken or (end.fault is not None and end.fault.status == "time-limit"):
        fault = end.fault and end.fault.model_copy(update={"seconds": end.seconds})
        end_process(fault.model_dump_json() if fault else "", mark_of(work.key, session.out))
    return end


def end_of_death(work: Stage, session: Session, details: str) -> End:
    """Return the end of work whose process died.

    Args:
        work: the stage or cell.
        session: the session that it ran in.
        details: the executor's message.
    """
    # The progress report of a dead process would be shown for ever.
    forget(session.underway, work.key)
    if (end := end_by_row(work, session)) is not None:
        return end
    title = "" if isinstance(work, Cell) else work.title()
    fault = fault_of_death(mark_of(work.key, session.out), details, limit=session.time_limit, stage=title)
    return End(seconds=fault.seconds, fault=fault)


def _release_gpu() -> bool:
    """Release the GPU memory that torch caches, which another process on the same GPU may need.

    Returns:
        Whether the GPU answers: after some errors it never does in this process, and every later cell would fail.
    """
    import torch

    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except (RuntimeError, AssertionError):  # a torch without CUDA raises the latter
        return False
    return True
