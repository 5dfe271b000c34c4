from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.array_source import ArraySource
from bench.errors import SpecError
from bench.plugins import methods
from bench.selection import method_pool, run_method
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


def run(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    entry = methods.get(name)
    size = len(source.labels())
    pool = method_pool(entry, params, source, size=size, num_classes=10, rate=0.5)
    return run_method(entry, pool, params, budget, seed)


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


def test_aum_with_beta_drops_the_hardest_first(digits: ArraySource) -> None:
    aum = present(digits.dynamics_labels).aum
    kept = run("aum", digits, 200, beta=0.25)
    order = np.argsort(aum, kind="stable")
    dropped = int(0.25 * len(aum))
    assert set(kept.tolist()) == set(order[dropped : dropped + 200].tolist())
    with pytest.raises(SpecError, match=r"beta=0\.6 is not valid at rate 0\.5"):
        methods.get("aum").info.check({"beta": 0.6}, 0.5)


def test_never_learned_images_rank_at_either_end(digits: ArraySource) -> None:
    learned = present(digits.dynamics_labels).learned.copy()
    counts = present(digits.dynamics_labels).forgetting.copy()
    never = np.arange(0, 1797, 100)
    learned[never], counts[never] = False, 0
    source = replace(
        digits, dynamics_labels=replace(present(digits.dynamics_labels), learned=learned, forgetting=counts)
    )
    assert set(never) <= set(run("forgetting", source, 50).tolist())
    kept = run("forgetting", source, 50, never_learned="zero")
    assert counts[kept].min() >= np.sort(counts)[-50]
    assert not set(never) & set(kept.tolist())


def test_never_learned_images_lie_one_above_the_highest_count(digits: ArraySource) -> None:
    # One of them at the number of epochs would fill D2's sums and leave CCS' strata of equal width empty.
    counts = np.array([0, 3, 0, 5, 0, 1], dtype=np.int32)
    learned = np.array([True, True, False, True, False, True])
    dynamics = replace(present(digits.dynamics_labels), forgetting=counts, learned=learned, epochs=200)
    assert dynamics.difficulty("forgetting").tolist() == [0, 3, 6, 5, 6, 1]
    assert dynamics.difficulty("forgetting", never_learned="zero").tolist() == counts.tolist()
    none = replace(dynamics, forgetting=0 * counts, learned=np.zeros(6, dtype=bool))
    assert none.difficulty("forgetting").tolist() == [1] * 6


def test_forgetting_ties_depend_on_the_seed_alone(digits: ArraySource) -> None:
    assert run("forgetting", digits, 900, seed=0).tolist() == run("forgetting", digits, 900, seed=0).tolist()
    assert run("forgetting", digits, 900, seed=0).tolist() != run("forgetting", digits, 900, seed=1).tolist()
    labels = digits.labels()[run("forgetting", digits, 900)]
    assert np.bincount(labels, minlength=10).min() > 20
