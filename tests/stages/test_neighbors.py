"""Neighbours of every k come from one list."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.identity import DatasetRef, EncoderRef
from bench.parts import NearestNeighbors
from bench.stages.embeddings import Embeddings
from bench.stages.neighbors import NeighborLists, shared_neighbors
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.grid_fixtures import stages_of
from tests.stages.tiny import source_of

Expand = Callable[..., list[Cell]]


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


@pytest.mark.integration
def test_neighbours_of_every_k_are_cut_from_one_list(workspace: Session) -> None:
    source = source_of(workspace)
    few, many = source.neighbors(3), source.neighbors(50)
    np.testing.assert_array_equal(few.indices, many.indices[:, :3])
    np.testing.assert_array_equal(few.distances, many.distances[:, :3])
    assert len(list((workspace.cache / "neighbors").glob("*.npz"))) == 1
    assert source.neighbors(60).indices.shape == (120, 60)
    assert len(list((workspace.cache / "neighbors").glob("*.npz"))) == 2
