from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import SelectionError, count_hardest, hard_to_easy
from bench.array_source import ArraySource
from bench.errors import SpecError
from bench.methods._scores import beta_sample, next_hardest
from bench.methods.ccs import stratified
from bench.methods.elfs import beta_grid, choose_beta, fine_beta_grid
from bench.plugins import methods
from bench.selection import method_pool, run_method
from tests.methods.cases import pool_of, rng, run
from tests.narrowing import present


def double_end(difficulty: np.ndarray, budget: int, beta: float) -> np.ndarray:
    return next_hardest(hard_to_easy(difficulty, rng()), budget, beta)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60, unique=True),
    st.integers(0, 9),
    st.data(),
)
def test_double_end_against_sorting(scores: list[float], tenths: int, data: st.DataObject) -> None:
    difficulty = np.array(scores)
    dropped = tenths * len(scores) // 10
    budget = data.draw(st.integers(0, len(scores) - dropped))
    by_hand = sorted(range(len(scores)), key=lambda i: -scores[i])[dropped : dropped + budget]
    assert double_end(difficulty, budget, tenths / 10).tolist() == by_hand


def test_beta_equal_to_the_rate_keeps_the_easiest() -> None:
    kept = double_end(np.arange(100.0), 10, 0.9)
    assert sorted(kept.tolist()) == list(range(10))


def test_beta_above_the_rate_is_refused_by_name() -> None:
    with pytest.raises(SelectionError, match=r"beta=0\.95 drops .* largest valid beta is 0\.9\."):
        double_end(np.arange(100.0), 10, 0.95)


@pytest.mark.parametrize(
    ("size", "budget", "last", "count"),
    [(1000, 100, 0.9, 10), (1000, 700, 0.3, 4), (1000, 999, 0.0, 1), (1000, 50, 0.9, 10), (1797, 180, 0.9, 10)],
)
def test_grid_holds_every_valid_tenth(size: int, budget: int, last: float, count: int) -> None:
    grid = beta_grid(size, budget)
    assert (grid[0], grid[-1], len(grid)) == (0.0, last, count)
    for beta in grid:
        assert len(double_end(np.arange(float(size)), budget, beta)) == budget


def test_choice_is_the_best_and_the_smallest_of_equals() -> None:
    assert choose_beta([0.2, 0.0, 0.1], {0.0: 0.5, 0.1: 0.7, 0.2: 0.7}.__getitem__) == 0.1
    assert choose_beta([0.0, 0.1], lambda beta: 1.0) == 0.0


def test_single_candidate_is_not_evaluated() -> None:
    def evaluate(beta: float) -> None:
        raise AssertionError

    assert choose_beta([0.0], evaluate) == 0.0


def test_nan_evaluation_is_refused() -> None:
    with pytest.raises(SelectionError, match="NaN"):
        choose_beta([0.0, 0.1], lambda beta: float("nan"))


@pytest.mark.parametrize("budget", [180, 540])
def test_the_rehearsal_takes_the_best_fixed_beta_and_reads_no_label(digits: ArraySource, budget: int) -> None:
    entry = methods.get("elfs")
    blind = replace(digits, label_array=None, dynamics_labels=None)

    def run(**params: Any) -> Any:
        pool = method_pool(entry, params, blind, size=1797, num_classes=10, rate=0.9)
        return run_method(entry, pool, params, budget, seed=3).indices

    fixed = [run(beta=beta) for beta in beta_grid(1797, budget)]
    rehearsed = [present(blind.rehearsal)(kept) for kept in fixed]
    assert len(set(rehearsed)) > 1
    assert run(rehearsal="own-pseudo-labels").tolist() == fixed[int(np.argmax(rehearsed))].tolist()


@pytest.mark.parametrize("wanted", [0.0, 0.35, 0.8])
def test_the_judge_chooses_beta_and_the_guard_falls_back_to_random(digits: ArraySource, wanted: float) -> None:
    entry, budget = methods.get("elfs"), 180
    order = np.argsort(present(digits.dynamics_pseudo).aum, kind="stable")

    def run(judging: Any, **params: Any) -> Any:
        source = replace(digits, label_array=None, dynamics_labels=None, rehearsal=None, judging=judging)
        pool = method_pool(entry, params, source, size=1797, num_classes=10, rate=0.9)
        return run_method(entry, pool, params, budget, seed=3).indices, pool.diagnostics

    def like_wanted(indices: np.ndarray) -> float:
        """How many images a coreset has in common with that of the wanted beta."""
        start = int(wanted * 1797)
        return len(np.intersect1d(indices, order[start : start + budget])) / budget

    kept, said = run(like_wanted)
    nearest = min(fine_beta_grid(1797, budget), key=lambda beta: abs(beta - wanted))
    assert abs(said.chosen["beta"] - wanted) <= abs(nearest - wanted) + 1e-9
    assert said.taken == f"beta={said.chosen['beta']:g}" == max(said.judged, key=said.judged.get)
    assert said.judged[said.taken] == like_wanted(kept)
    assert [name for name in said.judged if "random" in name] == [f"random {number}" for number in range(1, 6)]
    by_chance, said = run(lambda indices: 0.5)
    assert (said.taken, dict(said.chosen)) == ("random 1", {})
    assert len(by_chance) == budget
    assert len(np.intersect1d(by_chance, kept)) < 0.5 * budget
    said = run(lambda indices: 0.5, guard=False)[1]
    assert (said.taken, dict(said.chosen)) == ("beta=0", {"beta": 0.0})
    assert not any("random" in name for name in said.judged)


def test_the_fine_grid_reaches_the_rate() -> None:
    assert fine_beta_grid(1000, 100) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9]
    assert fine_beta_grid(1000, 250) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75]


@pytest.mark.parametrize(
    ("size", "budget"),
    [(7, 3), (1797, 180), (50, 50), (101, 1), (50_000, 12_346), (60_000, 100), (100_000, 67_571), (1_281_167, 128_117)],
)
def test_no_candidate_of_the_fine_grid_drops_more_than_is_removed(size: int, budget: int) -> None:
    for beta in fine_beta_grid(size, budget):
        assert count_hardest(beta, size, budget) + budget <= size


def test_needs_follow_the_parameters() -> None:
    entry = methods.get("elfs")

    def declared(**params: Any) -> dict[str, dict[str, Any]]:
        return {item.part: dict(item.options) for item in entry.info.needs(entry.resolve(params))}

    assert set(declared()) == {"embeddings", "dynamics", "judge"}
    assert set(declared(beta=0.3)) == {"embeddings", "dynamics"}
    own = {"rehearsal": "own-pseudo-labels"}
    assert set(declared(**own)) == {"embeddings", "dynamics", "rehearsal"}
    temi = {"clustering": "temi", "num_clusters": 20, "heads": 8, "epochs": 5}
    assert declared(num_clusters=20, heads=8, cluster_epochs=5, **own)["rehearsal"] == temi
    kmeans = {"of": "pseudo", "clustering": "kmeans", "num_clusters": None}
    assert declared(clustering="kmeans", heads=8)["dynamics"] == kmeans


@pytest.mark.parametrize("beta", [1.0, -0.1, "automatic"])
def test_beta_outside_its_range_is_refused(beta: float | str) -> None:
    with pytest.raises(SpecError, match="method elfs: beta="):
        methods.get("elfs").resolve({"beta": beta})


def elfs(source: ArraySource, budget: int, seed: int = 0, **params: Any) -> np.ndarray:
    """What the method returns with ``beta`` set, in its order."""
    entry = methods.get("elfs")
    return entry.function(pool_of("elfs", source, rate=0.9, **params), budget, rng(seed), **entry.resolve(params))


@pytest.mark.parametrize("per_cluster", [False, True])
def test_elfs_by_strata_is_ccs_on_pseudo_labels(digits: ArraySource, per_cluster: bool) -> None:
    kept = elfs(digits, 180, beta=0.2, sampling="strata", per_cluster=per_cluster)
    difficulty = present(digits.dynamics_pseudo).difficulty("aum")
    draws = rng(0)
    draws.permutation(1797)  # the ties
    seed = int(draws.integers(2**63))
    clusters = digits.pseudo_label_array if per_cluster else None
    assert kept.tolist() == stratified(difficulty, 180, rng(seed), beta=0.2, classes=clusters).tolist()
    if per_cluster:
        shares = np.bincount(present(digits.pseudo_label_array)[kept], minlength=10)
        assert np.abs(shares - 180 * np.bincount(present(digits.pseudo_label_array)) / 1797).max() < 1


def test_elfs_by_the_beta_density_draws_among_what_the_cut_leaves(digits: ArraySource) -> None:
    dynamics = present(digits.dynamics_pseudo)
    kept = elfs(digits, 180, seed=5, beta=0.3, sampling="beta")
    draws = rng(5)
    left = hard_to_easy(dynamics.difficulty("aum"), draws)[int(0.3 * 1797) :]
    seed, rate = int(draws.integers(2**63)), 1 - 180 / 1797
    by_hand = beta_sample(dynamics.dual[left], dynamics.early_confidence[left], 180, rng(seed), rate=rate, exponent=4.0)
    assert kept.tolist() == left[by_hand].tolist()


@pytest.mark.parametrize(
    "params", [{"sampling": "strata"}, {"sampling": "beta"}, {"sampling": "strata", "per_cluster": True}]
)
def test_auto_is_the_best_fixed_beta_by_rehearsal(digits: ArraySource, params: dict[str, Any]) -> None:
    blind = replace(digits, label_array=None, dynamics_labels=None)
    fixed = [run("elfs", blind, 180, rate=0.9, beta=beta, **params) for beta in beta_grid(1797, 180)]
    rehearsed = [present(blind.rehearsal)(kept) for kept in fixed]
    by_rehearsal = run("elfs", blind, 180, rate=0.9, rehearsal="own-pseudo-labels", **params)
    assert by_rehearsal.tolist() == fixed[int(np.argmax(rehearsed))].tolist()


def test_only_sampling_per_cluster_declares_pseudo_labels() -> None:
    entry = methods.get("elfs")

    def parts(**params: Any) -> set[str]:
        return {item.part for item in entry.info.needs(entry.resolve(params))}

    assert "pseudo_labels" in parts(sampling="strata", per_cluster=True)
    assert "pseudo_labels" not in parts(per_cluster=True) | parts(sampling="strata") | parts(sampling="beta")
