"""Gradient norms as a stage: the mean over networks, of which each is trained by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.stages.session import Session
from tests.stages.tiny import source_of

pytestmark = pytest.mark.integration


def test_gradient_norms_are_the_mean_over_networks_of_their_own(workspace: Session) -> None:
    source = source_of(workspace, "grand")
    options: dict[str, Any] = {"epochs": 2, "layers": "last"}
    two = source.gradient_norms(networks=2, **options)
    assert two.shape == (120,)
    assert two.dtype == np.float32
    one = source.gradient_norms(networks=1, **options)
    second = 2 * two - one
    assert (second > 0).all()
    assert np.abs(second - one).max() > 1e-3
    assert len(list((workspace.cache / "gradient-norms").glob("*.npz"))) == 2


def test_gradient_norms_of_a_training_longer_than_the_proxys_are_those_of_its_end(workspace: Session) -> None:
    source = source_of(workspace, "grand")
    norms = [source.gradient_norms(networks=1, epochs=epochs) for epochs in (0, 4, 9)]
    np.testing.assert_array_equal(norms[1], norms[2])
    assert np.abs(norms[0] - norms[1]).max() > 1e-3
