"""How the shared stages of a run came to be, and which of their cost no row has paid yet."""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.grid.stages import Stage
from bench.results.rows import StageUse

NAME = "stages.jsonl"


@contextmanager
def only_run(out: Path) -> Iterator[bool]:
    """Let other runs into the same folder see that this one is at work, on this machine or on the same file system.

    What a run that is at work has computed will be paid by its own rows.

    Args:
        out: the run's folder.

    Yields:
        Whether no other run was at work when the block was entered; True where the file system has no locks.
    """
    with ExitStack() as stack:
        try:
            # To be read as well: NFS gives no shared lock on a file that is open for writing alone.
            file = stack.enter_context((out / NAME).open("a+b"))
        except OSError:
            yield True
            return
        alone = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            alone = not isinstance(error, BlockingIOError)
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        yield alone


class Ledger:
    """Tells a stage that was there before the run from one that a worker of the run stored and died.

    What is computed is written to ``OUT/stages.jsonl``, one line each, so that the next run into the same folder knows
    what a run that was killed had spent.

    Args:
        out: the run's folder.

    Attributes:
        uses: stage's key -> how it came to be, of the stages that are done.
        spent: stage's key -> seconds that earlier runs into the folder spent on it.
    """

    def __init__(self, out: Path) -> None:
        self.uses: dict[str, StageUse] = {}
        self._path = out / NAME
        self._begun: Counter[str] = Counter()
        self.spent = _read(self._path)

    def begin(self, stage: Stage) -> None:
        """A worker of this run sets about the stage."""
        self._begun[stage.key] += 1

    def refused(self, stage: Stage) -> None:
        """The worker left it to another run, which is computing it."""
        self._begun[stage.key] -= 1

    def found(self, stage: Stage, seconds: float) -> None:
        """The stage lies in the store before a worker is sent for it; whoever computed it took this long."""
        if stage.key not in self.uses:
            self._enter(stage, seconds, reused=self._begun[stage.key] == 0)

    def ended(self, stage: Stage, seconds: float, *, stored: bool) -> None:
        """The worker is done.

        Args:
            stage: that it set about.
            seconds: what it took to compute, whoever did.
            stored: whether the worker found it in the store.
        """
        self._enter(stage, seconds, reused=stored and self._begun[stage.key] == 1)

    def _enter(self, stage: Stage, seconds: float, *, reused: bool) -> None:
        self.uses[stage.key] = StageUse(kind=stage.kind, key=stage.key, seconds=seconds, reused=reused)
        if not reused:
            with suppress(OSError), self._path.open("a") as file:
                file.write(json.dumps({"key": stage.key, "seconds": seconds}) + "\n")


def unpaid(spent: Mapping[str, float], uses: Iterable[StageUse]) -> dict[str, float]:
    """Stage's key -> seconds that were spent on it, less what was paid: ``uses`` are those of the folder's rows."""
    left = dict(spent)
    for use in uses:
        if use.key in left:
            left[use.key] = max(0.0, left[use.key] - (use.paid_seconds or 0.0))
    return left


def _read(path: Path) -> dict[str, float]:
    """A line that a power cut left incomplete is passed over."""
    spent: dict[str, float] = {}
    with suppress(OSError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                entry = json.loads(line)
                spent[str(entry["key"])] = spent.get(str(entry["key"]), 0.0) + max(0.0, float(entry["seconds"]))
    return spent
