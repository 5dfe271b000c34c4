"""What is kept of a stage that takes long while it is computed, so that one that was stopped goes on where it was."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.data import Arrays
from bench.resource_usage import Usage

if TYPE_CHECKING:
    from bench.store.cache import Keyed, Store

logger = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two saves at least: what a stop may lose."""
SHARE = 50.0
"""How many times as long as a save takes is computed before the next: at most 2 % of the time goes into saving."""


class Unfinished:
    """The state of one stage's computation: an artifact of its own, as whole or absent as any other.

    Whoever computes the stage holds its lock, so that nobody else writes the state. The store throws it away once the
    stage is there. A process that is killed between the two files of a save leaves a state that counts as absent.

    Args:
        store: that the stage goes to.
        stage: what is computed.
        clock: seconds.
    """

    kind: ClassVar[str] = "unfinished"

    def __init__(self, store: Store, stage: Keyed, clock: Callable[[], float] = time.monotonic) -> None:
        self.key = stage.key
        self._store, self._stage, self._clock = store, stage, clock
        self._began = self._saved = clock()
        self._cost = 0.0
        self._before = store.seconds(self)

    def describe(self) -> Mapping[str, Any]:
        return self._stage.describe()

    def load(self) -> Arrays | None:
        """Return the state that was saved last, or None where there is none that is whole."""
        artifact = self._store.load(self)
        return None if artifact is None else artifact.arrays

    def save(self, state: Callable[[], Arrays]) -> None:
        """Save the state if it is time to; a disk that is full is no reason to stop.

        Args:
            state: gives all that the rest of the computation depends on.
        """
        now = self._clock()
        # Time and not epochs: an epoch takes a second of a small pool and minutes of ImageNet.
        if now - self._saved < max(EVERY, SHARE * self._cost):
            return
        try:
            # Seconds of before the stop are added, so that the stage's cost is that of all attempts.
            self._store.write(self, state(), Usage(seconds=self._before + now - self._began))
        except OSError as error:
            logger.warning("the state of %s is not saved: %s", self._stage.kind, error.strerror or error)
        # After a failed save as well, or a full disk would be tried at every epoch.
        self._saved = self._clock()
        self._cost = self._saved - now
