"""The work of a training, in steps."""

from __future__ import annotations

from pathlib import Path

from bench.stages.work import Distance
from tests.plans import planned


def test_a_model_that_does_not_learn_takes_no_steps(tmp_path: Path) -> None:
    plan = planned(tmp_path, models="knn", recipe={"evaluations": 3})
    [work] = plan.missing[0].work(plan.shapes["digits"])
    assert work.number == 3 * 359 * 144, "each test image beside each kept one, at each scoring"
    assert isinstance(work.unit, Distance)
