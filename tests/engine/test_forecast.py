"""How long a run takes: arithmetic on the seconds of its parts, before it and while it goes on."""

from __future__ import annotations

import pytest

from bench.engine.forecast import Forecast, Outlook, TimedWork, makespan
from tests.plans import CHAIN


@pytest.mark.parametrize(("slots", "seconds"), [(1, 45.0), (2, 35.0), (3, 35.0)])
def test_what_waits_for_inputs_starts_after_them(slots: int, seconds: float) -> None:
    assert makespan(CHAIN, slots) == seconds
    assert Forecast(CHAIN, slots, start=2.0).seconds == seconds + 2


def test_equal_cells_fill_all_places() -> None:
    cells = [TimedWork(str(number), "cell", 3.0) for number in range(7)]
    assert makespan(cells, 1) == 21
    assert makespan(cells, 2) == 12
    assert makespan(cells, 100) == 3
    assert makespan([], 2) == 0


def test_a_kind_that_takes_twice_as_long_as_foreseen_is_taken_to_go_on_so() -> None:
    now = [100.0]
    outlook = Outlook(Forecast(CHAIN, 1, start=1.0), clock=lambda: now[0])
    assert outlook.left() == 46
    now[0] += 11
    assert outlook.left() == 35
    outlook.ended("embed", 10.0)
    outlook.ended("random", 10.0)  # foreseen: 5
    now[0] += 10
    assert outlook.left() == 20 + 2 * 10
    now[0] += 7
    assert outlook.left() == 33
    outlook.ended("cluster", None)  # failed, or computed by another run
    outlook.ended("elfs", None)
    now[0] += 1
    assert outlook.left() == 10
    outlook.ended("elfs2", 10.0)
    assert outlook.left() == 0
    outlook.ended("of another run", 1.0)
    now[0] += 1000
    assert outlook.left() == 0


def test_what_runs_beside_a_part_that_ends_is_not_counted_from_its_start_again() -> None:
    now = [0.0]
    parts = (TimedWork("long", "cell", 1000.0), TimedWork("short", "cell", 900.0), TimedWork("last", "cell", 50.0))
    outlook = Outlook(Forecast(parts, 2), clock=lambda: now[0])
    assert outlook.left() == 1000
    now[0] = 900.0
    outlook.ended("short", 900.0)
    assert outlook.left() == 100, "long has 100 seconds left, and last runs beside it"
    now[0] = 950.0
    outlook.ended("last", 50.0)
    assert outlook.left() == 50
    now[0] = 1100.0
    assert outlook.left() == 0
    outlook.ended("long", 1100.0)
    assert outlook.left() == 0
