"""Durations of cells and stages."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from bench.cli._forecast import forecast_lines
from bench.engine.durations import foresee
from tests.plans import planned, session_of

pytestmark = pytest.mark.integration


def test_cells_of_data_that_are_not_there_are_counted_and_their_stages_are_not(tmp_path: Path) -> None:
    plan = planned(tmp_path, datasets="cifar100", methods="aum", recipe={"iterations": 1000, "evaluations": 1})
    forecast = foresee(plan, session_of(plan, tmp_path), 1, 0.0)
    known = {part.kind: part.seconds is not None for part in forecast.parts}
    assert known == {"dynamics": False, "selection": False, "cell": True}
    assert next(iter(forecast_lines(forecast, plan, datetime(2026, 11, 28)))).startswith("At least ")
