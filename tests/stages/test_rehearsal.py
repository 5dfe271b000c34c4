"""What a rehearsal trains on and is scored on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.stages.session import Session
from tests.stages.tiny import CLUSTERING, source_of

pytestmark = pytest.mark.integration


class Listening:
    """Stands before ``fit`` and keeps what it was given."""

    def __init__(self, fit: Callable[..., Any]) -> None:
        self.fit = fit
        self.calls: list[tuple[Any, Any]] = []

    def __call__(self, model: Any, training: Any, **more: Any) -> Any:
        self.calls.append((training, more["test"]))
        return self.fit(model, training, **more)


def test_rehearsal_trains_on_pseudo_labels_without_the_held_out_tenth(
    workspace: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.training import proxy as module

    source = source_of(workspace)
    pseudo = source.pseudo_labels(**CLUSTERING)
    images = np.asarray(source.images)
    listening = Listening(vars(module)["fit"])
    monkeypatch.setattr(module, "fit", listening)
    scores = [source.rehearse(np.arange(0, 120, step), **CLUSTERING) for step in (1, 2)]
    assert all(0 <= score <= 1 for score in scores)
    held = []
    for (training, test), step in zip(listening.calls, (1, 2), strict=True):
        place = {image.tobytes(): number for number, image in enumerate(images)}
        trained, scored = ([place[image.tobytes()] for image in part] for part in (training.inputs, test.inputs))
        assert not set(trained) & set(scored)
        assert set(trained) | (set(scored) & set(range(0, 120, step))) == set(range(0, 120, step))
        np.testing.assert_array_equal(training.targets, pseudo[trained])
        np.testing.assert_array_equal(test.targets, pseudo[scored])
        held.append(scored)
    assert held[0] == held[1], "candidates are compared on different images"
    assert len(held[0]) == 12
    assert source.rehearse(np.arange(0, 120, 2), **CLUSTERING) == scores[1]


def test_rehearsal_on_too_few_images_predicts_nothing(workspace: Session) -> None:
    assert source_of(workspace).rehearse(np.array([4]), **CLUSTERING) == 0.0
