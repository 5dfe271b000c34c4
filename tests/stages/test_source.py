"""What a method is given through its pool: no label that it may not read, and nothing to write into."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import LabelAccessError
from bench.plugins import methods
from bench.selection import method_pool
from bench.stages.session import Session
from bench.stages.source import StageSource
from tests.stages.tiny import CLUSTERING, ELFS, cells, source_of

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("method", "supervision"), [(ELFS, "pseudo"), ("d2-label-free", "none")])
def test_a_label_free_method_cannot_read_labels_through_its_pool(
    workspace: Session, method: str, supervision: str
) -> None:
    [cell] = cells(workspace, methods=method)
    selection, entry = cell.selection(), methods.get(cell.method)
    pool = method_pool(
        entry, cell.params, StageSource(selection, workspace), size=120, num_classes=10, rate=selection.rate
    )
    with pytest.raises(LabelAccessError, match=f"supervision='{supervision}' may not read pool.labels"):
        _ = pool.labels
    if supervision == "pseudo":
        with pytest.raises(LabelAccessError, match=r"may not read pool.dynamics\('labels'\)"):
            pool.dynamics("labels")


def test_every_array_is_read_only(workspace: Session) -> None:
    source = source_of(workspace)
    dynamics = source.dynamics("pseudo", **CLUSTERING)
    near = source.neighbors(5)
    arrays: list[Any] = [
        source.images,
        source.embeddings,
        source.labels,
        source.pseudo_labels(**CLUSTERING),
        near.indices,
        near.distances,
        dynamics.aum,
        dynamics.forgetting,
        dynamics.learned,
    ]
    for array in arrays:
        assert len(array) == 120
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
