"""A method under test: its budgets, and every error as a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bench import Pool, register_method
from bench.conformance.case import Case, Failed, PoolCall, Recorder
from bench.conformance.samples import digits
from bench.errors import SelectionError
from bench.parts import EMBEDDINGS, NO_OPTIONS
from bench.plugins import methods


@contextmanager
def case_of(function: Callable[..., Any], **declaration: Any) -> Iterator[Case]:
    given = {"supervision": "none", "needs": (), "stochastic": True, **declaration}
    register_method("under-test", **given)(function)
    try:
        yield Case(methods.get("under-test"))
    finally:
        methods.remove("under-test")


def drawn(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Draw without replacement."""
    return rng.choice(len(pool), budget, replace=False)


def refusing(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Refuse every pool."""
    raise SelectionError("this pool is too small.")


def raising(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Divide by zero."""
    return np.arange(budget // 0)


def short(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Return one image too few."""
    return np.arange(budget - 1)


def test_budgets_reach_from_none_to_all() -> None:
    assert Case(methods.get("random")).budgets(300) == [0, 1, 37, 150, 300]
    assert Case(methods.get("random")).budgets(1) == [0, 1]
    assert Case(methods.get("full")).budgets(300) == [300]
    assert Case(methods.get("random")).budget(300) == 100
    assert Case(methods.get("full")).budget(300) == 300


def test_a_coreset_is_what_the_harness_would_select() -> None:
    with case_of(drawn) as case:
        kept = case.coreset(digits(), 30, seed=4)
        assert len(np.unique(kept.indices)) == 30
        np.testing.assert_array_equal(kept.indices, case.coreset(digits(), 30, seed=4).indices)


def test_a_refusal_is_returned_and_other_errors_are_failures() -> None:
    with case_of(refusing) as case:
        assert isinstance(case.attempt(digits(), 30), SelectionError)
        with pytest.raises(Failed, match=r"n = 30 of 300 images, seed 0: refused: this pool is too small"):
            case.coreset(digits(), 30)
    line = raising.__code__.co_firstlineno + 2
    with case_of(raising) as case, pytest.raises(Failed, match=rf"seed 2: test_case\.py:{line}: ZeroDivisionError: "):
        case.attempt(digits(), 30, seed=2)
    with case_of(short) as case, pytest.raises(Failed, match="returned 29 indices"):
        case.attempt(digits(), 30)


def test_a_recorder_knows_the_calls_and_what_was_edited() -> None:
    recorder = Recorder(digits().source)
    embeddings = recorder.read(EMBEDDINGS, NO_OPTIONS)
    recorder.labels()
    assert recorder.calls == [PoolCall("embeddings"), PoolCall("labels")]
    assert recorder.edited() == []
    own = embeddings.copy()
    shared = own.view()
    shared.flags.writeable = False
    recorder._recorded("embeddings", shared)
    own[0, 0] += 1
    assert recorder.edited() == ["embeddings"]
