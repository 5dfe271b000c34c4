"""BADGE's seeding against dense outer products, and its rounds."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import Outputs, SelectionError
from bench.array_source import ArraySource
from bench.conformance.samples import nearest_mean
from bench.errors import SpecError
from bench.methods.badge import gradient_seeds
from bench.plugins import methods
from bench.selection import method_pool, run_method
from tests.methods.cases import rng

Case = tuple[Any, ...]
Learner = Callable[..., Any]


@st.composite
def factors(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 10))

    def matrix(width: int) -> np.ndarray:
        # Whole numbers, so that both ways of writing a distance are exact.
        return np.array([[float(draw(st.integers(-2, 2))) for _ in range(width)] for _ in range(size)])

    return matrix(draw(st.integers(1, 3))), matrix(draw(st.integers(1, 4))), draw(st.integers(0, size))


def by_hand(errors: np.ndarray, features: np.ndarray, budget: int, draws: np.random.Generator) -> list[int]:
    """k-means++ on the gradients written out, with one loop per distance."""
    gradients = [[e * f for e in error for f in feature] for error, feature in zip(errors, features, strict=True)]
    picks: list[int] = []
    for _ in range(budget):
        masses = []
        for i, mine in enumerate(gradients):
            squares = [sum((a - b) ** 2 for a, b in zip(mine, gradients[j], strict=True)) for j in picks]
            masses.append(0.0 if i in picks else min(squares, default=1.0))
        if not sum(masses):
            masses = [0.0 if i in picks else 1.0 for i in range(len(gradients))]
        picks.append(int(draws.choice(len(masses), p=np.array(masses) / sum(masses))))
    return picks


@pytest.mark.integration
@settings(max_examples=300)
@given(factors(), st.integers(0, 2**31))
def test_seeds_are_those_of_kmeans_plus_plus_on_the_gradients(case: Case, seed: int) -> None:
    errors, features, budget = case
    found = gradient_seeds(errors, features, budget, rng(seed))
    assert found.tolist() == by_hand(errors.tolist(), features.tolist(), budget, rng(seed))


@pytest.mark.integration
def test_draws_are_in_proportion_to_the_squared_distance() -> None:
    # From 0 the others are 1 and 3 away: one in ten draws takes the nearer.
    errors, features = np.array([[0.0], [1.0], [3.0]]), np.ones((3, 1))
    pairs = [gradient_seeds(errors, features, 2, rng(seed)).tolist() for seed in range(6000)]
    second = [pair[1] for pair in pairs if pair[0] == 0]
    assert len(second) == pytest.approx(2000, abs=150)
    assert np.mean(np.array(second) == 1) == pytest.approx(0.1, abs=0.02)


def regression(embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
    """Logistic regression on the labelled images: surer of itself than the nearest mean."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10, max_iter=500).fit(embeddings[indices], labels)
    probabilities = np.zeros((len(embeddings), 10), dtype=np.float32)
    probabilities[:, model.classes_] = model.predict_proba(embeddings)
    return Outputs(probabilities, embeddings.copy())


@pytest.mark.integration
def test_seeds_reach_the_potential_of_scikit_learn(digits: ArraySource) -> None:
    """A second implementation on the dense rows: the mean squared distance to the nearest seed is as low."""
    from sklearn.cluster import kmeans_plusplus

    pixels = digits.embeddings()[::3]
    probabilities, features = regression(pixels, np.arange(0, 599, 5), digits.labels()[::3][::5])
    errors = probabilities - np.eye(10, dtype=np.float32)[probabilities.argmax(1)]
    dense = np.einsum("nc,nd->ncd", errors, features).reshape(len(errors), -1)

    def potential(picks: np.ndarray) -> float:
        return ((dense[:, None] - dense[picks]) ** 2).sum(2).min(1).mean()

    ours = np.mean([potential(gradient_seeds(errors, features, 40, rng(seed))) for seed in range(10)])
    theirs = [kmeans_plusplus(dense, 40, random_state=seed, n_local_trials=1)[1] for seed in range(10)]
    chance = [rng(seed).choice(len(dense), 40, replace=False) for seed in range(10)]
    assert ours == pytest.approx(np.mean([potential(picks) for picks in theirs]), rel=0.1)
    assert ours < 0.8 * np.mean([potential(picks) for picks in chance])


def test_memory_is_that_of_the_factors() -> None:
    # 20,000 images of 50 classes and 64 features: the gradients would take 256 MB in float32.
    errors, features = (rng().normal(size=(20_000, width)).astype(np.float32) for width in (50, 64))
    tracemalloc.start()
    try:
        picks = gradient_seeds(errors, features, 20, rng())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(set(picks.tolist())) == 20
    assert peak < 10e6


@pytest.mark.parametrize(("place", "what"), [(0, "gradient errors"), (1, "gradient features")])
def test_what_is_not_finite_is_refused(place: int, what: str) -> None:
    parts = [np.ones((3, 2)), np.ones((3, 2))]
    parts[place][1, 1] = np.nan
    with pytest.raises(SelectionError, match=f"1 of 6 {what} are NaN"):
        gradient_seeds(*parts, 2, rng())


class Network:
    """Stands for the proxy's network and keeps what it was trained on."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self.seen: list[tuple[list[int], list[int]]] = []

    def __call__(self, embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
        self.seen.append((indices.tolist(), labels.tolist()))
        return self.learner(embeddings, indices, labels)


def run(
    source: ArraySource, budget: int, seed: int = 0, learner: Learner = nearest_mean, **params: Any
) -> tuple[Any, ...]:
    entry, network = methods.get("badge"), Network(learner)
    size = len(source.labels())
    pool = method_pool(
        entry, params, replace(source, network=network), size=size, num_classes=10, rate=1 - budget / size
    )
    return run_method(entry, pool, params, budget, seed).indices, network.seen, pool


@pytest.mark.parametrize(
    ("budget", "rounds", "sizes"), [(100, 10, list(range(10, 100, 10))), (23, 4, [6, 12, 18]), (3, 10, [1, 2])]
)
def test_each_round_trains_on_what_was_chosen_before_it(
    digits: ArraySource, budget: int, rounds: int, sizes: list[int]
) -> None:
    kept, seen, pool = run(digits, budget, rounds=rounds)
    assert [len(indices) for indices, _ in seen] == sizes
    for (indices, labels), (later, _) in zip(seen, [*seen[1:], (kept.tolist(), None)], strict=True):
        assert set(indices) < set(later)
        assert labels == digits.labels()[indices].tolist()
    # The last round's labels decide nothing any more, so they are not asked for.
    assert pool.revealed.tolist() == seen[-1][0]
    assert len(pool.revealed) < budget


def test_one_image_and_the_whole_pool(some_digits: ArraySource) -> None:
    kept, seen, pool = run(some_digits, 1)
    assert (len(kept), seen, len(pool.revealed)) == (1, [], 0)
    assert run(some_digits, 300, rounds=3)[0].tolist() == list(range(300))


def test_fewer_than_two_rounds_are_refused() -> None:
    with pytest.raises(SpecError, match="method badge: rounds=1"):
        methods.get("badge").resolve({"rounds": 1})


def test_it_prefers_images_that_the_network_is_unsure_of(digits: ArraySource) -> None:
    kept, seen, _ = run(digits, 180, rounds=2, learner=regression)
    first = np.array(seen[0][0])
    later = np.setdiff1d(kept, first)
    probabilities, _ = regression(digits.embeddings(), first, digits.labels()[first])
    unsure = 1 - probabilities.max(1)
    rest = np.setdiff1d(np.arange(1797), first)
    chance = [unsure[rng(seed).choice(rest, 90, replace=False)].mean() for seed in range(20)]
    assert unsure[later].mean() > max(chance)
