"""The forecast of a run's time from the seconds of its parts, before and during the run: pure arithmetic."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple


class TimedWork(NamedTuple):
    """A stage or cell of a run.

    Attributes:
        key: key of the stage or cell.
        kind: kind of the stage; ``cell`` for cells.
        seconds: time that it takes alone; None if that is not known.
        inputs: keys of the parts that must be done first.
    """

    key: str
    kind: str
    seconds: float | None
    inputs: tuple[str, ...] = ()


class Share(NamedTuple):
    """The time of one kind of parts.

    Attributes:
        kind: the kind.
        number: number of parts.
        unknown: number of parts whose time is not known.
        each: median time of the others.
        seconds: sum of the others.
    """

    kind: str
    number: int
    unknown: int
    each: float
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """The expected time of a run.

    Attributes:
        parts: the stages and cells of the run.
        slots: number of stages or cells that run at once.
        start: seconds before the first of them begins.
    """

    parts: tuple[TimedWork, ...]
    slots: int
    start: float = 0.0

    @property
    def seconds(self) -> float:
        """Wall time from the start to the last row; parts whose time is not known count as 0."""
        return self.start + makespan(self.parts, self.slots) if self.parts else 0.0

    @property
    def unknown(self) -> int:
        """Number of parts whose time is not known."""
        return sum(part.seconds is None for part in self.parts)

    def shares(self) -> list[Share]:
        """Return the time of each kind, in the order of the parts."""
        kinds: defaultdict[str, list[float | None]] = defaultdict(list)
        for part in self.parts:
            kinds[part.kind].append(part.seconds)
        return [_share(kind, values) for kind, values in kinds.items()]


def _share(kind: str, values: Sequence[float | None]) -> Share:
    known = [value for value in values if value is not None]
    return Share(kind, len(values), len(values) - len(known), median(known) if known else 0.0, sum(known))


def makespan(
    parts: Sequence[TimedWork],
    slots: int,
    factors: Mapping[str, float] | None = None,
    spent: Mapping[str, float] | None = None,
) -> float:
    """Return the seconds until all parts are done, if ``slots`` run at once, cells first, each after its inputs.

    Args:
        parts: the parts, inputs before their users; an input that is not a part is already done.
        slots: number of slots, at least 1.
        factors: kind -> ratio of actual to expected time of its parts; 1 for other kinds.
        spent: key of a running part -> seconds that it has run.
    """
    factors, spent = factors or {}, spent or {}
    order = {part.key: number for number, part in enumerate(parts)}
    waits = [{order[key] for key in part.inputs if key in order} for part in parts]
    users: list[list[int]] = [[] for _ in parts]
    for number, needed in enumerate(waits):
        for first in needed:
            users[first].append(number)

    def turn(number: int) -> tuple[bool, bool, int]:
        # What runs already, then in the scheduler's order: cells before stages, then the order of the plan.
        return parts[number].key not in spent, parts[number].kind != "cell", number

    ready = [turn(number) for number, needed in enumerate(waits) if not needed]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            *_, number = heapq.heappop(ready)
            part = parts[number]
            seconds = (part.seconds or 0.0) * factors.get(part.kind, 1.0) - spent.get(part.key, 0.0)
            heapq.heappush(running, (now + max(0.0, seconds), number))
        now, ended = heapq.heappop(running)
        for user in users[ended]:
            waits[user].discard(ended)
            if not waits[user]:
                heapq.heappush(ready, turn(user))
    return now


class Outlook:
    """The time left of a running run: its forecast, corrected by the times of the parts that have ended.

    Args:
        forecast: the forecast before the run.
        clock: a monotonic clock in seconds.
    """

    EVERY = 1.0
    """Seconds between two computations over all parts: a grid may have thousands."""

    def __init__(self, forecast: Forecast, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = {part.key: part for part in forecast.parts}
        self._slots, self._clock = forecast.slots, clock
        self._actual_and_expected: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        self._computed_at = clock()
        self._seconds = forecast.seconds
        self._stale = False
        self._begun: dict[str, float] = {}
        self._begin(self._computed_at)

    def ended(self, key: str, seconds: float | None) -> None:
        """Take note that a part ended, and of its time, unless it was reused or failed."""
        part = self._left.pop(key, None)
        if part is None:
            return
        self._stale = True
        self._begun.pop(key, None)
        if seconds is not None and part.seconds:
            actual, expected = self._actual_and_expected[part.kind]
            self._actual_and_expected[part.kind] = actual + seconds, expected + part.seconds

    def left(self) -> float:
        """Return the seconds until the run is done, at least 0."""
        now = self._clock()
        if self._stale and (now - self._computed_at >= self.EVERY or not self._left):
            # The ratio of sums instead of the mean of ratios, so that a long part has more weight than a short one.
            factors = {kind: actual / expected for kind, (actual, expected) in self._actual_and_expected.items()}
            self._begin(now)
            spent = {key: now - begun for key, begun in self._begun.items()}
            self._seconds = makespan(list(self._left.values()), self._slots, factors, spent)
            self._computed_at, self._stale = now, False
        # Between two computations only the clock counts down.
        return max(0.0, self._seconds - (now - self._computed_at))

    def _begin(self, now: float) -> None:
        """Take the parts that are next for running in the free places: no event says that a part begins."""
        free = self._slots - len(self._begun)
        ready = [part for part in self._left.values() if not any(key in self._left for key in part.inputs)]
        waiting = sorted((part for part in ready if part.key not in self._begun), key=lambda part: part.kind != "cell")
        self._begun |= dict.fromkeys([part.key for part in waiting[:free]], now)
