"""Embeddings and the encoders that are trained for them: once for all, without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.errors import BenchError, TrainingError
from bench.plugins import EncoderInfo, encoders
from bench.stages.base import in_order
from bench.stages.embeddings import Embeddings
from bench.stages.session import Session
from tests.stages.tiny import SIMSIAM, cells

pytestmark = pytest.mark.integration


def test_a_fitted_encoder_is_trained_once_for_splits_rates_methods_and_later_runs(
    workspace: Session, trainings: list[int]
) -> None:
    given = {"encoders": SIMSIAM, "models": "linear_probe", "rates": "0.3,0.5,0.7,0.8,0.9"}
    grid = cells(workspace, methods="d2-label-free,prototypicality", **given)
    wanted = in_order([stage for cell in grid for stage in cell.stages()])
    assert [stage.kind for stage in wanted].count("encoder") == 1
    for stage in wanted:
        workspace.get(stage)
    assert trainings == [120]
    splits = {stage.split: workspace.get(stage) for stage in wanted if isinstance(stage, Embeddings)}
    assert splits["train"].arrays["embeddings"].shape == (120, 32)
    assert len(splits["test"].arrays["embeddings"]) > 120
    [later] = cells(workspace, methods="kcenter", encoders=SIMSIAM)
    workspace.get(later.selection())
    assert trainings == [120]
    [other] = cells(workspace, methods="kcenter", encoders=SIMSIAM.replace("epochs=1", "epochs=1, seed=1"))
    workspace.get(other.selection())
    assert trainings == [120, 120]


def test_a_fitted_encoder_that_is_stored_embeds_the_same(workspace: Session) -> None:
    [cell] = cells(workspace, methods="kcenter", encoders=SIMSIAM)
    first = workspace.get(cell.selection().embeddings()).arrays["embeddings"]
    for path in (workspace.cache / "embeddings").iterdir():
        path.unlink()
    again = workspace.get(cell.selection().embeddings())
    assert not again.reused
    np.testing.assert_array_equal(again.arrays["embeddings"], first)


def test_true_labels_cannot_reach_a_fitted_encoder(workspace: Session, permuted: str) -> None:
    [plain], [other] = (cells(workspace, methods="kcenter", encoders=SIMSIAM, datasets=n) for n in ("digits", permuted))
    states = [workspace.get(cell.selection().embeddings().inputs()[0]) for cell in (plain, other)]
    assert not any(state.reused for state in states)
    for name, array in states[0].arrays.items():
        np.testing.assert_array_equal(array, states[1].arrays[name])


def test_noise_in_the_labels_trains_no_other_encoder(workspace: Session) -> None:
    names = ("digits", "digits@noise=0.2")
    [plain], [noisy] = (cells(workspace, methods="kcenter", encoders=SIMSIAM, datasets=name) for name in names)
    assert plain.selection().embeddings().inputs() == noisy.selection().embeddings().inputs()


def test_a_collapsed_encoder_stores_nothing(workspace: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.training.siamese.LEAST_RANK", 1000.0)
    [cell] = cells(workspace, methods="kcenter", encoders=SIMSIAM)
    with pytest.raises(TrainingError, match="collapsed"):
        workspace.get(cell.selection())
    assert not list(workspace.cache.glob("*/*.npz"))


@pytest.mark.parametrize(
    ("fitted", "parts", "message"),
    [
        (True, ("embed",), r"fitted=True, so it needs fit\(images.*restore\(state\)"),
        (True, ("embed", "fit"), "fitted=True, so it needs"),
        (False, ("embed", "fit"), "is not registered with fitted=True"),
    ],
)
def test_an_encoder_that_is_not_what_it_declares_is_refused_before_work_starts(
    workspace: Session, fitted: bool, parts: tuple[Any, ...], message: str
) -> None:
    def odd(weights: np.ndarray) -> Any:
        """An encoder with some of its functions."""
        return type("Odd", (), dict.fromkeys(parts, lambda self, *_, **__: None))()

    encoders.add("odd", odd, EncoderInfo(supervision="none", source="", fitted=fitted))
    try:
        with pytest.raises(BenchError, match=message):
            cells(workspace, methods="kcenter", encoders="odd")
    finally:
        encoders.remove("odd")
