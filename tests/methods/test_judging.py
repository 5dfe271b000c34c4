"""The best of several coresets, or a random one where none is clearly better than chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench import SelectionError
from bench.array_source import ArraySource
from bench.diagnostics import Diagnostics
from bench.methods._judging import take_best
from tests.methods.cases import pool_of, rng

CANDIDATES = {"low": np.arange(30), "high": np.arange(299, 269, -1)}


def best(
    source: ArraySource, judge: Callable[[np.ndarray], float], guard: bool = False
) -> tuple[str, list[int], Diagnostics]:
    pool = pool_of("auto", replace(source, judging=judge))
    name, kept = take_best(pool, CANDIDATES, 30, rng(), by="ridge", guard=guard)
    return name, kept.tolist(), pool.diagnostics


def test_the_best_is_returned_in_the_order_of_its_method(some_digits: ArraySource) -> None:
    name, kept, _ = best(some_digits, lambda indices: float(indices.mean() / 300))
    assert (name, kept) == ("high", CANDIDATES["high"].tolist())


def test_of_equals_the_first_is_taken(some_digits: ArraySource) -> None:
    assert best(some_digits, lambda indices: 0.5)[0] == "low"


def test_the_order_of_a_coreset_does_not_reach_the_judge(some_digits: ArraySource) -> None:
    seen: list[list[int]] = []

    def judge(indices: np.ndarray) -> float:
        seen.append(indices.tolist())
        return 0.5

    best(some_digits, judge)
    assert seen == [sorted(indices.tolist()) for indices in CANDIDATES.values()]


def test_the_guard_asks_for_a_standard_deviation_above_the_mean(some_digits: ArraySource) -> None:
    """Random coresets judged 0.1 to 0.5 have a mean of 0.3 and a standard deviation of 0.158."""

    def taken(value: float) -> str:
        values = iter([value, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
        return best(some_digits, lambda indices: next(values), guard=True)[0]

    assert (taken(0.45), taken(0.46)) == ("random 1", "low")


def test_the_guard_changes_no_other_draw(some_digits: ArraySource) -> None:
    """So that a method with the guard and one without it differ by the guard alone."""
    draws = []
    for guard in (True, False):
        generator = rng()
        pool = pool_of("auto", replace(some_digits, judging=lambda indices: 1.0))
        take_best(pool, CANDIDATES, 30, generator, by="ridge", guard=guard)
        draws.append(generator.random())
    assert draws[0] == draws[1]


def test_a_judge_without_an_answer_is_an_error_and_not_a_choice(some_digits: ArraySource) -> None:
    values = iter([0.5, float("nan")])
    with pytest.raises(SelectionError, match="the judge says NaN of 1 of 2 coresets"):
        best(some_digits, lambda indices: next(values))
