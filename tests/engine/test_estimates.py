from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import Pool, register_method
from bench.engine.machine import Machine, memory_limits, shortages, this_machine
from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.parts import Clustering
from bench.plugins import methods
from bench.stages.base import in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.embeddings import Embeddings
from bench.stages.memory import Estimate, Shape
from bench.stages.neighbors import NeighborLists
from bench.stages.selection import Selection
from bench.stages.training import Cell

CIFAR = Shape(50_000, 10_000, (3, 32, 32))
GB = 10**9


@pytest.fixture
def cells(cells_of: Callable[..., list[Cell]]) -> list[Cell]:
    return cells_of(
        methods="elfs,random", datasets="cifar10", rates="0.9", encoders="pixels", models="resnet18", seeds="0,"
    )


@pytest.fixture
def temporary() -> Iterator[str]:
    @register_method("reads-images", supervision="none", needs=("images",))
    def reads_images(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        """Keep the first images."""
        return np.arange(budget)

    yield "reads-images"
    methods.remove("reads-images")


def test_every_stage_of_the_paper_is_estimated(cells: list[Cell]) -> None:
    elfs = next(cell for cell in cells if cell.method == "elfs")
    selection = elfs.selection()
    images, embeddings = 60_000 * 3072, 50_000 * 2048 * 4
    sizes = {}
    for stage in in_order([selection]):
        sizes[type(stage)] = stage.estimate(CIFAR, "cpu")
    assert set(sizes) >= {Embeddings, NeighborLists, PseudoLabels, ProxyDynamics, Selection}
    assert sizes[Embeddings].disk == embeddings
    assert sizes[Embeddings].memory > images + 2 * embeddings
    assert sizes[NeighborLists].disk == 50_000 * 50 * 12
    assert sizes[NeighborLists].memory > 3 * embeddings
    assert GB < sizes[PseudoLabels].memory < 8 * GB
    assert images < sizes[ProxyDynamics].memory < 8 * GB
    cell = elfs.estimate(CIFAR, "cpu")
    assert images < cell.memory < sizes[ProxyDynamics].memory, "a coreset is smaller than the pool"
    assert cell.disk < 10**6


def test_an_estimated_number_of_clusters_is_estimated_too(cells_of: Callable[..., list[Cell]]) -> None:
    [cell] = cells_of(
        methods="elfs(num_clusters=estimate)", datasets="cifar10", rates="0.9", encoders="pixels", seeds="0,"
    )
    count = PseudoLabels.of(cell.selection(), Clustering(num_clusters="estimate")).cluster_count()
    assert count in in_order([cell.selection()])
    assert count.estimate(CIFAR, "cpu").memory > 50_000 * 2048 * 4


def test_what_grows_the_work_grows_the_estimate(cells: list[Cell]) -> None:
    cell = cells[-1]
    smaller = cell.model_copy(update={"recipe": cell.recipe.model_copy(update={"batch_size": 16})})
    assert smaller.estimate(CIFAR, "cpu").memory < cell.estimate(CIFAR, "cpu").memory
    files = Shape(50_000, 10_000, (3, 32, 32), in_memory=False)
    difference = cell.estimate(CIFAR, "cpu").memory - cell.estimate(files, "cpu").memory
    assert difference == (60_000 + cell.budget) * 3072


def test_the_copy_of_images_that_a_method_is_given_is_estimated(
    cells_of: Callable[..., list[Cell]], temporary: str
) -> None:
    [cell] = cells_of(methods=temporary, datasets="cifar10", rates="0.9", encoders="pixels")
    plain = next(cell for cell in cells_of(methods="random", datasets="cifar10", rates="0.9", encoders="pixels"))
    sizes = [each.selection().estimate(CIFAR, "cpu").memory for each in (cell, plain)]
    assert sizes[0] - sizes[1] == 50_000 * 3072


def test_a_resnet18_is_counted_by_hand() -> None:
    from bench.identity import ModelRef
    from bench.training.footprint import footprint

    found = footprint(ModelRef(name="resnet18"), (3, 32, 32), 10)
    assert found is not None
    assert 11_170_000 < found.parameters < 11_180_000  # 11.17 million, as the papers say
    assert 500_000 < found.activations < 2_000_000
    doubled = footprint(ModelRef(name="resnet18"), (3, 64, 64), 10)
    assert doubled is not None
    assert doubled.parameters == found.parameters
    assert 3.9 < doubled.activations / found.activations < 4.1


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


def test_a_plan_knows_its_data_sets_and_nothing_of_missing_ones(tmp_path: Path) -> None:
    given = {"methods": "random", "datasets": "digits,cifar10", "rates": "0.9", "pool_size": 200}
    plan = make_plan(load_spec(given=given), out=tmp_path, tolerant=True)
    assert plan.shapes == {"digits(pool_size=200)": Shape(200, 359, (1, 8, 8))}
    by_name = {cell.dataset.name: cell for cell in plan.cells}
    assert plan.memory(by_name["digits"]) > 0
    assert plan.memory(by_name["cifar10"]) == 0


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
