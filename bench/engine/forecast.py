"""How long a run takes, from the seconds of its parts: pure arithmetic, before the run and while it goes on."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple


class Part(NamedTuple):
    """A stage or cell of a run.

    Attributes:
        key: its own.
        kind: of stage; ``cell`` for cells.
        seconds: that it takes by itself; None where nothing is known.
        inputs: keys of what must be there first, as far as they are parts of the run.
    """

    key: str
    kind: str
    seconds: float | None
    inputs: tuple[str, ...] = ()


class Share(NamedTuple):
    """What the parts of one kind take: how many, how many of them are not known, the median and the sum of the rest."""

    kind: str
    number: int
    unknown: int
    each: float
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """How long a run takes.

    Attributes:
        parts: what it is made of.
        slots: how many stages or cells run at once.
        start: seconds before the first of them begins.
        probed: seconds that finding out took.
        measured: parts whose like this machine has done before.
    """

    parts: tuple[Part, ...]
    slots: int
    start: float = 0.0
    probed: float = 0.0
    measured: int = 0

    @property
    def seconds(self) -> float:
        """Wall time from the start to the last row; what is not known counts as nothing."""
        return self.start + makespan(self.parts, self.slots) if self.parts else 0.0

    @property
    def unknown(self) -> int:
        """Parts of which nothing is known."""
        return sum(part.seconds is None for part in self.parts)

    def shares(self) -> list[Share]:
        """Return what each kind takes, in the order in which they come."""
        kinds: defaultdict[str, list[float | None]] = defaultdict(list)
        for part in self.parts:
            kinds[part.kind].append(part.seconds)
        return [_share(kind, values) for kind, values in kinds.items()]


def _share(kind: str, values: Sequence[float | None]) -> Share:
    known = [value for value in values if value is not None]
    return Share(kind, len(values), len(values) - len(known), median(known) if known else 0.0, sum(known))


def makespan(parts: Sequence[Part], slots: int, factors: Mapping[str, float] | None = None) -> float:
    """Seconds until all parts are done, of which ``slots`` run at once, cells first, each once its inputs are there.

    Args:
        parts: inputs before their users; an input that is no part is there already.
        slots: at least 1.
        factors: kind -> how many times its estimate a part of it takes; 1 for kinds that are not named.
    """
    factors = factors or {}
    order = {part.key: number for number, part in enumerate(parts)}
    waits = [{order[key] for key in part.inputs if key in order} for part in parts]
    users: list[list[int]] = [[] for _ in parts]
    for number, needed in enumerate(waits):
        for first in needed:
            users[first].append(number)
    # As the scheduler does it: cells before stages, then the order of the plan.
    ready = [(part.kind != "cell", number) for number, part in enumerate(parts) if not waits[number]]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            _, number = heapq.heappop(ready)
            part = parts[number]
            heapq.heappush(running, (now + (part.seconds or 0.0) * factors.get(part.kind, 1.0), number))
        now, ended = heapq.heappop(running)
        for user in users[ended]:
            waits[user].discard(ended)
            if not waits[user]:
                heapq.heappush(ready, (parts[user].kind != "cell", user))
    return now


class Outlook:
    """The time left of a run that goes on: the forecast, corrected by what its parts have taken so far.

    Args:
        forecast: of before the run.
        clock: gives seconds; never goes back.
    """

    EVERY = 1.0
    """Seconds between two looks at all parts: a grid may have thousands."""

    def __init__(self, forecast: Forecast, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = {part.key: part for part in forecast.parts}
        self._slots, self._clock = forecast.slots, clock
        self._taken: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        self._at = clock()
        self._seconds = forecast.seconds
        self._stale = False
        self.known = not forecast.unknown

    def ended(self, key: str, seconds: float | None) -> None:
        """Take note that a part ended, and of what it took where it was computed and did not fail."""
        part = self._left.pop(key, None)
        if part is None:
            return
        self._stale = True
        if seconds is not None and part.seconds:
            actual, foreseen = self._taken[part.kind]
            self._taken[part.kind] = actual + seconds, foreseen + part.seconds

    def left(self) -> float:
        """Seconds until the run is done; at least 0."""
        now = self._clock()
        if self._stale and (now - self._at >= self.EVERY or not self._left):
            # By sums and not by the mean of ratios, so that a long part tells more than a short one.
            factors = {kind: actual / foreseen for kind, (actual, foreseen) in self._taken.items()}
            self._seconds = makespan(list(self._left.values()), self._slots, factors)
            self._at, self._stale = now, False
        # Between two looks only the clock counts down.
        return max(0.0, self._seconds - (now - self._at))
