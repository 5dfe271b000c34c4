"""The place where stages are computed."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data import take_pool
from bench.loading import load_dataset
from bench.stages.session import Session
from tests.stages.tiny import cells

pytestmark = pytest.mark.integration


def test_the_workspace_keeps_the_pool_and_travels_as_json(workspace: Session) -> None:
    [cell] = cells(workspace, methods="random")
    again = Session.model_validate_json(workspace.model_dump_json())
    assert again == workspace
    opened = again.dataset(cell.dataset)
    assert opened is workspace.dataset(cell.dataset)
    full = load_dataset("digits", {}, root=None, download=False, pool_size=None)
    np.testing.assert_array_equal(opened.train.images, take_pool(full, 120).train.images)
