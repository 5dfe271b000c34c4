"""This machine's memory, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.engine.machine import Machine, memory_limits, shortages, this_machine
from bench.stages.base import in_order
from bench.stages.memory import Estimate, Shape
from bench.stages.training import Cell

CIFAR = Shape(50_000, 10_000, (3, 32, 32))
GB = 10**9


@pytest.fixture
def cells(cells_of: Callable[..., list[Cell]]) -> list[Cell]:
    return cells_of(
        methods="elfs,random", datasets="cifar10", rates="0.9", encoders="pixels", models="resnet18", seeds="0,"
    )


def test_shortages_say_what_is_missing(tmp_path: Path) -> None:
    stages = [("proxy", Estimate(20 * GB, 10)), ("embeddings", Estimate(GB, 10))]
    cells = [("cell", Estimate(2 * GB, 10))]
    enough = Machine(32 * GB)
    assert shortages(stages, cells, enough, cache=tmp_path / "new" / "cache", out=tmp_path) == []
    assert shortages([], [], enough, cache=tmp_path, out=tmp_path) == []
    [lack] = shortages(stages, cells, Machine(16 * GB), cache=tmp_path, out=tmp_path)
    assert lack.startswith("proxy needs about 20.0 GB of memory, and this machine has 16.0 GB; a smaller batch_size")
    huge = [("embeddings", Estimate(GB, 10**21))]  # more than any disk has, whatever else writes to this one
    [lack] = shortages(huge, cells, enough, cache=tmp_path, out=tmp_path)
    assert lack.startswith("the shared stages need about ")
    assert str(tmp_path) in lack


def test_the_limits_of_a_job_and_of_all_above_it_count(tmp_path: Path) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text("0::/slurm/job_7/step_0\n4:memory:/job:9\n3:cpuset:/\n")
    root = tmp_path / "fs"
    assert set(memory_limits(groups, root)) == {
        root / "memory.max",
        root / "slurm/memory.max",
        root / "slurm/job_7/memory.max",
        root / "slurm/job_7/step_0/memory.max",
        root / "memory/memory.limit_in_bytes",
        root / "memory/job:9/memory.limit_in_bytes",
    }


def test_this_machine_has_memory() -> None:
    assert 10**8 < this_machine().memory < 10**14


def test_a_gpu_that_is_too_small_is_refused_by_the_share_of_a_trial(cells: list[Cell], tmp_path: Path) -> None:
    elfs = next(cell for cell in cells if cell.method == "elfs")
    needed = elfs.estimate(CIFAR, "cpu")
    assert GB < needed.gpu < needed.memory
    beside = elfs.estimate(CIFAR, "cuda")
    assert (beside.gpu, beside.disk) == (needed.gpu, needed.disk)
    smaller = elfs.model_copy(update={"recipe": elfs.recipe.model_copy(update={"batch_size": 16})})
    assert smaller.estimate(CIFAR, "cuda").memory == beside.memory, "the batch lies on the GPU"
    asking = {stage.kind: stage.estimate(CIFAR, "cpu").gpu > 0 for stage in in_order(elfs.stages())}
    assert asking["dynamics"]
    assert asking["pseudo-labels"]
    assert asking["neighbors"]
    assert not asking["judge-features"], "which works on the CPU alone"
    work = [(elfs.cell_id, needed)]
    large = Machine(64 * GB, 2 * needed.gpu)
    places = {"cache": tmp_path, "out": tmp_path}
    assert shortages([], work, large, gpus=1, **places) == shortages([], work, large, gpus=0.5, **places) == []
    [lack] = shortages([], work, large, gpus=0.25, **places)
    assert lack.startswith(f"{elfs.cell_id} needs about ")
    assert "of GPU memory, and its share is " in lack
    assert shortages([], work, Machine(64 * GB), gpus=0.25, **places) == []
