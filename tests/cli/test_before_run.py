"""What is settled and said before a run starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli._before_run import gpus_of_trial, warnings, workspace
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.runner.estimates import Shape
from bench.runner.preflight import Plan, make_plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    given = {"methods": "random", "datasets": "digits", "rates": "0.5", "pool_size": 100}
    return make_plan(load_spec(given=given), out=tmp_path / "out")


def test_a_trial_on_a_gpu_gets_one_unless_it_is_told_otherwise() -> None:
    assert gpus_of_trial(None, "cpu") == 0
    assert gpus_of_trial(None, "cuda") == 1
    assert gpus_of_trial(0.25, "cuda") == 0.25
    with pytest.raises(SpecError, match=r"--gpus-per-trial 0 is not valid on cuda: .*0.25"):
        gpus_of_trial(0, "cuda")


@pytest.mark.parametrize(("gpus", "share"), [(0.0, 1.0), (0.25, 0.25), (1.0, 1.0), (2.0, 1.0)])
def test_a_process_keeps_within_its_part_of_a_gpu(plan: Plan, tmp_path: Path, gpus: float, share: float) -> None:
    assert workspace(plan, tmp_path, tmp_path, None, "cuda", gpus, 1, None).gpu_share == share


def test_a_gpu_that_will_wait_for_files_is_announced(plan: Plan, tmp_path: Path) -> None:
    plan.shapes["photos"] = Shape(100, 100, (3, 64, 64), in_memory=False)

    def said(device: str, threads: int) -> list[str]:
        return list(warnings(plan, workspace(plan, tmp_path, tmp_path, None, device, 1, threads, None)))

    [line] = said("cuda", 1)
    assert line.startswith("The images of photos are decoded by 1 thread")
    assert said("cpu", 1) == said("cuda", 16) == []
