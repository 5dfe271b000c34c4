"""Clusters, and an estimated number of them."""

from __future__ import annotations

from collections.abc import Callable

from bench.stages.clusters import PseudoLabels
from bench.stages.training import Cell
from tests.grid_fixtures import count, stages_of

Expand = Callable[..., list[Cell]]


def test_an_estimated_number_of_clusters_is_a_stage_of_its_own(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs,elfs(num_clusters=12),elfs(num_clusters=estimate)", rates="0.5,0.9", seeds=2)
    stages = stages_of(cells)
    assert count(stages, "cluster-count") == 2  # one per seed
    assert count(stages, "pseudo-labels") == 6
    assert {s.num_clusters for s in stages if isinstance(s, PseudoLabels)} == {10, 12, "estimate"}
