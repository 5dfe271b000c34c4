from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.array_source import ArraySource
from tests.methods.cases import run
from tests.narrowing import present

CASES = [
    ("aum", {}, "aum", -1),
    ("aum", {"margin": "logits"}, "aum_logits", -1),
    ("el2n", {}, "el2n", 1),
    ("dynunc", {}, "dyn_unc", 1),
    ("dual", {}, "dual", 1),
    ("least-confidence", {}, "least_confidence", 1),
    ("least-confidence", {"epochs": "all"}, "mean_least_confidence", 1),
    ("margin", {}, "margin", -1),
    ("margin", {"epochs": "all"}, "mean_margin", -1),
    ("entropy", {}, "entropy", 1),
    ("entropy", {"epochs": "all"}, "mean_entropy", 1),
    ("tdds", {}, "tdds", 1),
    ("tdds", {"trajectory": "short"}, "tdds_early", 1),
]


@pytest.mark.parametrize(("name", "params", "field", "sign"), CASES)
def test_hard_end_is_kept(digits: ArraySource, name: str, params: dict[str, Any], field: str, sign: int) -> None:
    scores = sign * getattr(digits.dynamics_labels, field)
    kept = run(name, digits, 200, **params)
    assert scores[kept].min() >= np.delete(scores, kept).max()


def test_every_score_is_hard_at_its_high_end(digits: ArraySource) -> None:
    from typing import get_args

    from bench import Score

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
