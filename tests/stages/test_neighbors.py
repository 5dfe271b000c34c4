"""Neighbours of every k come from one list."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.identity import DatasetRef, EncoderRef
from bench.parts import NearestNeighbors
from bench.stages.base import Stage, in_order
from bench.stages.embeddings import Embeddings
from bench.stages.neighbors import NeighborLists, shared_neighbors
from bench.stages.training import Cell

Expand = Callable[..., list[Cell]]


def stages_of(cells: list[Cell]) -> list[Stage]:
    return in_order([stage for cell in cells for stage in cell.stages()])


def test_neighbour_lists_up_to_50_are_cut_from_the_same_50(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs,d2(k=5),d2(k=15),d2(k=50)", rates="0.9")
    cosine = {s.key for s in stages_of(cells) if isinstance(s, NeighborLists) and s.metric == "cosine"}
    euclidean = {s.key for s in stages_of(cells) if isinstance(s, NeighborLists) and s.metric == "euclidean"}
    assert len(cosine) <= 1
    assert len(euclidean) <= 1
    more = [s for s in stages_of(cells_of(methods="d2(k=60)", rates="0.9")) if isinstance(s, NeighborLists)]
    assert [stage.k for stage in more] == [60]


@pytest.mark.parametrize(("size", "k", "lists"), [(1438, 10, 50), (1438, 60, 60), (30, 10, 29), (0, 10, 50)])
def test_lists_are_never_longer_than_the_pool(size: int, k: int, lists: int) -> None:
    embeddings = Embeddings(dataset=DatasetRef(name="digits", size=size), encoder=EncoderRef(name="pixels"))
    assert shared_neighbors(embeddings, NearestNeighbors(k)).k == lists
