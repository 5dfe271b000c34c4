"""Dynamics as a stage: nothing is stored of a training that fails."""

from __future__ import annotations

import pytest

from bench.errors import TrainingError
from bench.stages.session import Session
from tests.narrowing import present
from tests.stages.tiny import ELFS, cells

pytestmark = pytest.mark.integration


def test_a_failing_proxy_stores_no_dynamics(workspace: Session) -> None:
    [cell] = cells(workspace, methods="aum", recipe={"iterations": 4, "proxy_epochs": 20, "lr": 1e12, "evaluations": 1})
    with pytest.raises(TrainingError, match="not finite"):
        workspace.get(cell.selection())
    assert not list(workspace.cache.glob("*/*.npz"))


def test_embeddings_as_the_proxys_input(workspace: Session) -> None:
    [cell] = cells(workspace, methods=ELFS, models="linear_probe")
    assert present(cell.proxy).encoder is not None
    coreset = workspace.get(cell.selection()).arrays["indices"]
    assert len(coreset) == cell.budget == 60
    assert not list((workspace.cache / "embeddings").glob("*.tmp*"))
    assert len(list((workspace.cache / "embeddings").glob("*.npz"))) == 1
