"""The memory that stages are estimated to take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import Pool, register_method
from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.parts import Clustering
from bench.plugins import methods
from bench.stages.base import in_order
from bench.stages.clusters import PseudoLabels
from bench.stages.dynamics import ProxyDynamics
from bench.stages.embeddings import Embeddings
from bench.stages.memory import Shape
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


def test_a_plan_knows_its_data_sets_and_nothing_of_missing_ones(tmp_path: Path) -> None:
    given = {"methods": "random", "datasets": "digits,cifar10", "rates": "0.9", "pool_size": 200}
    plan = make_plan(load_spec(given=given), out=tmp_path, tolerant=True)
    assert plan.shapes == {"digits(pool_size=200)": Shape(200, 359, (1, 8, 8))}
    by_name = {cell.dataset.name: cell for cell in plan.cells}
    assert plan.memory(by_name["digits"]) > 0
    assert plan.memory(by_name["cifar10"]) == 0
