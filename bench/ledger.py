"""How the shared stages of a run came to be, over all the Ray sessions that it took."""

from __future__ import annotations

from collections import Counter

from bench.rows import StageUse
from bench.stages import Stage


class Ledger:
    """Tells a stage that was there before the run from one that a worker of the run stored and died.

    Attributes:
        uses: stage's key -> how it came to be, of the stages that are done.
    """

    def __init__(self) -> None:
        self.uses: dict[str, StageUse] = {}
        self._begun: Counter[str] = Counter()

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
