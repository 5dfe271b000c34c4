"""Saved states of long computations, so that an interrupted stage resumes where it stopped."""

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
"""Least seconds between two saves, and so the work that an interruption may lose."""
SHARE = 50.0
"""Least ratio of computing to saving: at most 2 % of the time goes into saving."""


class Unfinished:
    """The state of one stage's computation, stored as an artifact of its own.

    The process that computes the stage holds its lock, so that no other writes the state. The store deletes it once the
    stage is stored. A process that is killed between the two files of a save leaves a state that counts as absent.

    Args:
        store: store of the stage.
        stage: the stage.
        clock: a monotonic clock in seconds.
    """

    kind: ClassVar[str] = "unfinished"

    def __init__(self, store: Store, stage: Keyed, clock: Callable[[], float] = time.monotonic) -> None:
        self.key = stage.key
        self._store, self._stage, self._clock = store, stage, clock
        self._began = self._saved = clock()
        self._cost = 0.0
        self._before = store.record(self).seconds

    def describe(self) -> Mapping[str, Any]:
        return self._stage.describe()

    def load(self) -> Arrays | None:
        """Return the state that was saved last, or None if there is none or it is damaged."""
        artifact = self._store.load(self)
        return None if artifact is None else artifact.arrays

    def save(self, state: Callable[[], Arrays]) -> None:
        """Save the state if it is due; a full disk does not stop the computation.

        Args:
            state: returns everything that the rest of the computation depends on.
        """
        now = self._clock()
        # By time instead of epochs: an epoch takes a second on a small pool and minutes on ImageNet.
        if now - self._saved < max(EVERY, SHARE * self._cost):
            return
        try:
            # With the seconds before the interruption, so that the stage's cost is that of all attempts.
            self._store.write(self, state(), Usage(seconds=self._before + now - self._began))
        except OSError as error:
            logger.warning("the state of %s is not saved: %s", self._stage.kind, error.strerror or error)
        # Also after a failed save; otherwise a full disk would be tried at every epoch.
        self._saved = self._clock()
        self._cost = self._saved - now
