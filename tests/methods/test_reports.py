"""What the methods report: the score they rank by, high = hard, and the beta that ELFS chose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.array_source import ArraySource
from bench.methods.elfs import beta_grid
from bench.plugins import methods
from bench.selection import method_pool, run_method
from tests.narrowing import present

BUDGET = 180


def run(digits: ArraySource, name: str, **params: Any) -> tuple[np.ndarray, Any]:
    entry = methods.get(name)
    pool = method_pool(entry, params, digits, size=1797, num_classes=10, rate=0.9)
    return run_method(entry, pool, params, BUDGET, seed=3).indices, pool.diagnostics


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("aum", {}),
        ("aum", {"margin": "logits"}),
        ("el2n", {}),
        ("forgetting", {}),
        ("dynunc", {}),
        ("dual", {}),
        ("tdds", {}),
        ("tdds", {"trajectory": "short"}),
        ("least-confidence", {}),
        ("margin", {}),
        ("margin", {"epochs": "all"}),
        ("entropy", {}),
        ("prototypicality", {}),
        ("ccs", {"strata": 1797}),
        ("elfs", {"beta": 0.0}),
    ],
)
def test_high_scores_are_what_hard_first_methods_keep(
    digits: ArraySource, name: str, params: dict[str, float | str]
) -> None:
    kept, found = run(digits, name, **params)
    rest = np.setdiff1d(np.arange(1797), kept)
    assert found.chosen == {}
    if name == "ccs":  # samples over the whole range instead
        assert found.scores.tolist() == run(digits, "aum")[1].scores.tolist()
    else:
        assert found.scores[kept].min() >= found.scores[rest].max()


def test_keeping_the_easy_ones_does_not_turn_the_score(digits: ArraySource) -> None:
    kept, found = run(digits, "prototypicality", keep="easy")
    assert found.scores[kept].max() <= np.delete(found.scores, kept).min()


@pytest.mark.parametrize(("name", "params"), [("moderate", {}), ("zcore", {"samples": 2000})])
def test_a_score_without_a_hard_end_is_not_reported(digits: ArraySource, name: str, params: dict[str, int]) -> None:
    assert run(digits, name, **params)[1].scores is None


def test_d2_reports_its_difficulty_and_a_uniform_prior_reports_none(digits: ArraySource) -> None:
    score = run(digits, "d2", score="aum")[1].scores
    difficulty = present(digits.dynamics_labels).difficulty("aum")
    np.testing.assert_array_equal(np.argsort(score, kind="stable"), np.argsort(difficulty, kind="stable"))
    assert run(digits, "d2-label-free")[1].scores is None
    assert run(digits, "d2-label-free", prior="prototypicality")[1].scores is not None


def test_elfs_reports_the_beta_that_selects_the_same(digits: ArraySource) -> None:
    kept, found = run(digits, "elfs", rehearsal="own-pseudo-labels")
    assert found.chosen["beta"] in beta_grid(1797, BUDGET)
    again, fixed = run(digits, "elfs", beta=found.chosen["beta"])
    assert again.tolist() == kept.tolist()
    assert fixed.chosen == {}
