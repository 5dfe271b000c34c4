"""Scores and the methods that rank by them: the high end is what the network is unsure of or does not believe."""

from __future__ import annotations

from typing import get_args

import numpy as np

from bench import Score
from bench.array_source import ArraySource
from tests.methods.cases import run
from tests.narrowing import present


def test_every_score_is_hard_at_its_high_end(digits: ArraySource) -> None:
    dynamics = present(digits.dynamics_labels)
    for score in get_args(Score):
        difficulty = dynamics.difficulty(score)
        assert difficulty.dtype == np.float64
        hard = np.argsort(-difficulty)[:200]
        assert dynamics.mean_entropy[hard].mean() > dynamics.mean_entropy.mean(), score


def test_mislabelled_images_are_hard(digits: ArraySource) -> None:
    # The direction of a score is checked by what it should find: images whose loss stays high.
    confidence = present(digits.dynamics_labels).confidence
    for name in ("aum", "el2n", "forgetting", "dual"):
        kept = run(name, digits, 100)
        assert confidence[kept].mean() < confidence.mean() - 0.1
