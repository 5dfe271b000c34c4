"""CRAIG and GRAD-MATCH on gradients written out, and on digits."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import Outputs, SelectionError
from bench.errors import LabelAccessError
from bench.memory_pool import ArraySource
from bench.methods._gradients import Gradients
from bench.methods.craig import gradient_medoids
from bench.methods.grad_match import matching_pursuit
from bench.plugins import methods
from bench.selection import method_pool, run_method

Case = tuple[Any, ...]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@st.composite
def factors(draw: st.DrawFn) -> Case:
    """Whole numbers, so that squared distances are exact in float32."""
    size = draw(st.integers(1, 8))

    def matrix(width: int) -> np.ndarray:
        return np.array([[draw(st.integers(-2, 2)) for _ in range(width)] for _ in range(size)], dtype=np.float32)

    return Gradients(matrix(draw(st.integers(1, 3))), matrix(draw(st.integers(1, 3)))), draw(st.integers(0, size))


def written_out(gradients: Gradients) -> list[list[float]]:
    """The gradient by every weight and bias of the layer, image by image."""
    return [
        [e * f for e in error for f in [*feature, 1.0]]
        for error, feature in zip(gradients.errors.tolist(), gradients.features.tolist(), strict=True)
    ]


def loss(points: list[list[float]], chosen: list[int]) -> float:
    return sum(min(math.dist(point, points[s]) for s in chosen) for point in points)


@given(factors())
def test_products_and_norms_are_those_of_the_gradients_written_out(case: Case) -> None:
    gradients, _ = case
    dense = np.array(written_out(gradients))
    np.testing.assert_array_equal(gradients.products(gradients), dense @ dense.T)
    np.testing.assert_array_equal(gradients.squares(), (dense**2).sum(1))


@settings(max_examples=200, deadline=None)
@given(factors())
def test_every_medoid_lowers_the_distances_most(case: Case) -> None:
    gradients, budget = case
    points, picks = written_out(gradients), gradient_medoids(*case).tolist()
    assert len(set(picks)) == len(picks) <= budget
    for step in range(budget):
        left = [i for i in range(len(points)) if i not in picks[:step]]
        losses = {i: loss(points, [*picks[:step], i]) for i in left}
        if step >= len(picks):  # ended: only copies of picks are left
            assert loss(points, picks) == pytest.approx(0, abs=1e-3)
            break
        assert losses[picks[step]] == pytest.approx(min(losses.values()), abs=1e-2)


@settings(max_examples=50, deadline=None)
@given(factors())
def test_medoids_reach_the_guarantee_of_greedy_picks(case: Case) -> None:
    gradients, budget = case
    if not budget:
        return
    points = written_out(gradients)
    longest = 2 * max(math.hypot(*point) for point in points)

    def covered(chosen: list[int]) -> float:
        return len(points) * longest - loss(points, chosen)

    best = max(covered(list(chosen)) for chosen in itertools.combinations(range(len(points)), budget))
    assert covered(gradient_medoids(gradients, budget).tolist()) >= (1 - 1 / math.e) * best - 1e-2


def pursuit_by_hand(dense: np.ndarray, budget: int, penalty: float) -> list[int]:
    """Pick what the residual points along most, then fit all picks again by ridge regression."""
    dense = dense / np.sqrt((dense**2).sum(1).mean())
    target, picks = dense.sum(0), []  # type: ignore[var-annotated]
    weights = np.zeros(len(dense))
    for _ in range(budget):
        slope = dense @ (target - weights @ dense) - penalty * weights
        slope[picks] = 0
        picks.append(int(np.abs(slope).argmax()))
        # Ridge regression as least squares with a row for each weight.
        rows = np.vstack([dense[picks].T, np.sqrt(penalty) * np.eye(len(picks))])
        fitted = np.linalg.lstsq(rows, np.concatenate([target, np.zeros(len(picks))]), rcond=None)[0]
        weights = np.zeros(len(dense))
        weights[picks] = fitted
    return sorted(picks)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 14), st.integers(2, 3), st.integers(1, 4), st.sampled_from([0.1, 0.5, 2.0]), st.integers(0, 999))
def test_matching_pursuit_by_hand(size: int, classes: int, width: int, penalty: float, seed: int) -> None:
    draws = rng(seed)
    gradients = Gradients(*(draws.normal(size=(size, columns)).astype(np.float32) for columns in (classes, width)))
    dense = np.array(written_out(gradients))
    for budget in (1, (size + 1) // 2, size):
        assert matching_pursuit(gradients, budget, penalty).tolist() == pursuit_by_hand(dense, budget, penalty)


def test_a_pursuit_without_penalty_ends_where_the_match_is_exact() -> None:
    """Three gradients in a plane: two of them give the sum of all."""
    gradients = Gradients(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32), np.zeros((3, 1), dtype=np.float32))
    assert len(matching_pursuit(gradients, 3, 0.0)) == 1, "the sum is a multiple of the third"
    assert len(matching_pursuit(gradients, 3, 0.5)) == 3
    assert matching_pursuit(gradients, 0, 0.5).tolist() == []
    nothing = Gradients(np.zeros((3, 2), dtype=np.float32), np.zeros((3, 1), dtype=np.float32))
    assert matching_pursuit(nothing, 2, 0.5).tolist() == []


def test_memory_is_not_that_of_all_pairs() -> None:
    # 12,000 images of one class: all pairs would take 576 MB, the gradients written out 480 MB.
    errors, features = (rng().normal(size=(12_000, width)).astype(np.float32) for width in (10, 1_000))
    tracemalloc.start()
    try:
        assert len(gradient_medoids(Gradients(errors, features), 3)) == 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 250e6


def with_network(source: ArraySource) -> ArraySource:
    """Logistic regression on what may be read of the labels."""
    from dataclasses import replace

    from sklearn.linear_model import LogisticRegression

    def network(embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
        model = LogisticRegression(max_iter=300).fit(embeddings[indices], labels)
        probabilities = np.zeros((len(embeddings), 10), dtype=np.float32)
        probabilities[:, model.classes_] = model.predict_proba(embeddings)
        return Outputs(probabilities, embeddings.copy())

    return replace(source, network=network)


def run(name: str, source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    entry, size = methods.get(name), len(source.labels())
    pool = method_pool(entry, params, source, size=size, num_classes=10, rate=1 - budget / size)
    return run_method(entry, pool, params, budget, seed)


@pytest.fixture(scope="module")
def learned(some_digits: ArraySource) -> tuple[ArraySource, np.ndarray]:
    source = with_network(some_digits)
    pixels, labels = source.embeddings(), source.labels()
    assert source.network is not None
    probabilities, features = source.network(pixels, np.arange(len(labels)), labels)
    errors = probabilities - np.eye(10, dtype=np.float32)[labels]
    return source, np.array(written_out(Gradients(errors, features)))


@pytest.mark.parametrize("name", ["craig", "grad-match"])
def test_classes_are_kept_in_proportion(learned: tuple[ArraySource, np.ndarray], name: str) -> None:
    source, _ = learned
    kept = run(name, source, 60)
    sizes, found = np.bincount(source.labels()), np.bincount(source.labels()[kept], minlength=10)
    assert np.abs(found - 60 * sizes / 300).max() < 1


def test_craig_stands_for_the_gradients_of_every_class(learned: tuple[ArraySource, np.ndarray]) -> None:
    source, dense = learned
    labels = source.labels()

    def apart(picks: np.ndarray) -> float:
        distances = np.linalg.norm(dense[:, None] - dense[picks], axis=2)
        return np.where(labels[:, None] == labels[picks], distances, np.inf).min(1).sum()

    chance = [apart(run("random-balanced", source, 60, seed)) for seed in range(5)]
    assert apart(run("craig", source, 60)) < 0.85 * min(chance)


@pytest.mark.parametrize("block", [1_000, 12])
def test_grad_match_matches_the_gradient_of_every_class(learned: tuple[ArraySource, np.ndarray], block: int) -> None:
    source, dense = learned
    labels = source.labels()

    def missed(picks: np.ndarray) -> float:
        """What the best weights of the picks leave of the gradients of the classes, on average."""
        shares = []
        for number in range(10):
            mine = dense[picks[labels[picks] == number]]
            target = dense[labels == number].sum(0)
            weights = np.linalg.lstsq(mine.T, target, rcond=None)[0]
            shares.append(np.linalg.norm(target - weights @ mine) / np.linalg.norm(target))
        return float(np.mean(shares))

    chance = [missed(run("random-balanced", source, 60, seed)) for seed in range(5)]
    assert missed(run("grad-match", source, 60, block=block)) < 0.9 * min(chance)


def test_a_class_without_images_is_left_out(learned: tuple[ArraySource, np.ndarray]) -> None:
    from tests.methods.conftest import remake

    source, _ = learned
    few = with_network(remake(source, np.flatnonzero(source.labels() < 4)))
    for name in ("craig", "grad-match"):
        assert len(set(run(name, few, 30).tolist())) == 30


@pytest.mark.parametrize("name", ["craig", "grad-match"])
def test_outputs_that_are_not_finite_are_refused(some_digits: ArraySource, name: str) -> None:
    from dataclasses import replace

    def broken(embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
        return Outputs(np.full((len(embeddings), 10), np.nan, dtype=np.float32), embeddings.copy())

    with pytest.raises(SelectionError, match="the network's probabilities of 300 images are not finite"):
        run(name, replace(some_digits, network=broken), 30)


def test_a_method_of_fewer_rights_may_not_read_a_network_of_all_labels(some_digits: ArraySource) -> None:
    pool = method_pool(methods.get("badge"), {}, with_network(some_digits), size=300, num_classes=10, rate=0.9)
    with pytest.raises(
        LabelAccessError, match=r"may not read pool.outputs\(on='pool'\); it needs supervision='labels'"
    ):
        pool.outputs(on="pool")
