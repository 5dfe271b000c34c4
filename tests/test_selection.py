from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from bench import Pool
from bench.array_source import ArraySource
from bench.errors import SelectionError, SpecError
from bench.parts import Supervision
from bench.plugins import MethodInfo
from bench.registry import Entry, Param
from bench.selection import budget_for, check_coreset, method_pool, rate_for, run_method
from tests.whole_pool import whole_pool


@pytest.mark.parametrize(
    ("size", "rate", "budget"),
    [
        (50_000, 0.9, 5000),
        (50_000, 0.3, 35_000),
        (1797, 0.9, 180),
        (1_281_167, 0.7, 384_350),
        (10, 0.0, 10),
        (0, 0.5, 0),
    ],
)
def test_budget_is_what_is_kept_and_not_truncated(size: int, rate: float, budget: int) -> None:
    assert budget_for(size, rate) == budget


@given(st.integers(0, 2_000_000), st.integers(0, 999))
def test_budget_is_the_rounded_exact_product(size: int, thousandths: int) -> None:
    assert budget_for(size, thousandths / 1000) == round((1 - Fraction(thousandths, 1000)) * size)


@pytest.mark.parametrize(("size", "budget"), [(5, 2), (7, 4), (9, 4)])
def test_half_goes_to_the_even_number(size: int, budget: int) -> None:
    assert budget_for(size, 0.5) == budget


def test_half_is_a_half_in_decimal() -> None:
    # In binary floating point (1 - 0.9) * 15 is just below 1.5, which would round down.
    assert budget_for(15, 0.9) == 2


@given(st.integers(0, 100_000), st.integers(0, 99))
def test_dropping_the_rate_leaves_the_budget(size: int, percent: int) -> None:
    assert percent * size // 100 + budget_for(size, percent / 100) <= size


@pytest.mark.parametrize("rate", [1.0, -0.1, 1.5, float("nan"), float("inf")])
def test_rate_outside_its_range_is_refused(rate: float) -> None:
    with pytest.raises(SpecError, match=r"\[0, 1\)"):
        budget_for(100, rate)


def check(indices: ArrayLike, budget: int = 3) -> np.ndarray:
    return check_coreset(indices, size=10, budget=budget, owner="method 'mine'")


def test_coreset_is_sorted_and_the_given_array_is_not_edited() -> None:
    given_array = np.array([7, 0, 9], dtype=np.int32)
    assert check(given_array).tolist() == [0, 7, 9]
    assert given_array.tolist() == [7, 0, 9]
    assert check([7, 0, 9]).dtype == np.int64
    assert check(np.array([7, 0, 9], dtype=np.uint64)).tolist() == [0, 7, 9]
    assert check([], budget=0).dtype == np.int64
    assert check(np.ma.masked_array([7, 0, 9])).tolist() == [0, 7, 9], "nothing of it is masked"


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([1, 2], "2 indices; 3 unique"),
        ([1, 2, 2], "1 indices more than once .index 2 first"),
        ([1, 2, 10], "index 10; 3 unique pool indices from 0 to 9"),
        ([-1, 2, 3], "index -1"),
        ([0.0, 1.0, 2.0], "float64, not integers"),
        (np.ones(10, dtype=bool), "flatnonzero"),
        (["a", "b", "c"], "not integers"),
        ([[0, 1, 2]], r"shape \(1, 3\)"),
        (3, r"shape \(\)"),
        (None, r"None; 3 unique .* without a return\?"),
        ([[0], [1, 2]], "not an array"),
        (
            np.ma.masked_array([1, 2, 3], mask=[False, False, True]),
            r"a masked array, and masks are not used here; 3 unique .*comp",
        ),
    ],
)
def test_anything_else_is_refused_with_the_methods_name(indices: Any, message: str) -> None:
    with pytest.raises(SelectionError, match=f"method 'mine' returned.*{message}"):
        check(indices)


def entry_of(
    function: Callable[..., Any],
    name: str = "mine",
    unpruned: bool = False,
    supervision: Supervision = "none",
    params: Sequence[Param] = (),
) -> Entry[MethodInfo]:
    info = MethodInfo(supervision, lambda resolved: (), "", unpruned=unpruned)
    return Entry("method", name, function, info, {param.name: param for param in params})


def run(
    entry: Entry[MethodInfo], budget: int, seed: int = 0, source: ArraySource | None = None, **params: Any
) -> np.ndarray:
    pool = method_pool(entry, params, source or ArraySource(), size=10, num_classes=2, rate=0.5)
    return run_method(entry, pool, params, budget, seed).indices


def test_random_state_is_fixed_by_seed_and_name() -> None:
    drawn = []

    def draw(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        drawn.append(int(rng.bit_generator.random_raw()))
        return np.arange(budget)

    for _ in range(2):
        for name in ("mine", "yours"):
            for seed in range(3):
                run(entry_of(draw, name), 5, seed)
    assert drawn[:6] == drawn[6:]
    assert len(set(drawn)) == 6
    # Pinned, so that a change of the seeding, which would change every row, is noticed.
    assert drawn[0] == 13379868858944645316


def test_budget_zero_needs_no_call() -> None:
    def fail(pool: Pool, budget: int, rng: np.random.Generator) -> None:
        raise AssertionError

    assert run(entry_of(fail), 0).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"budget": 11}, "0 to 10"), ({"budget": -1}, "0 to 10"), ({"budget": 5, "seed": -1}, "seed=-1")],
)
def test_bad_requests_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        run(entry_of(lambda pool, budget, rng: np.arange(budget)), **arguments)


def test_unpruned_method_keeps_everything_or_is_refused() -> None:
    entry = entry_of(lambda pool, budget, rng: np.arange(len(pool)), unpruned=True)
    assert run(entry, 10).tolist() == list(range(10))
    with pytest.raises(SelectionError, match="its only rate is 0"):
        run(entry, 5)


def test_parameters_are_checked_before_the_call() -> None:
    entry = entry_of(lambda pool, budget, rng, *, power: np.arange(budget), params=[Param("power", 1.0, float)])
    assert run(entry, 2, power=2).tolist() == [0, 1]
    with pytest.raises(SpecError, match="power"):
        run(entry, 0, power="high")
    with pytest.raises(SpecError, match="unknown parameter"):
        run(entry, 2, pwoer=2)


def test_method_cannot_edit_what_it_is_given() -> None:
    def edit(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
        pool.labels[0] = 9
        return np.arange(budget)

    labels = np.zeros(10, dtype=np.int64)
    with pytest.raises(ValueError, match="read-only"):
        run(entry_of(edit, supervision="labels"), 5, source=ArraySource(label_array=labels))
    assert labels.tolist() == [0] * 10


@pytest.mark.parametrize("call", ["judge()", "rehearse()", "reveal()"])
@pytest.mark.parametrize(
    ("indices", "says"),
    [
        (np.arange(10) < 5, "takes pool indices [m], got bool of shape (10,)"),
        (
            np.ma.masked_array([1, 2], mask=[False, True]),
            "got a masked array, and masks are not used here; give indices.compressed()",
        ),
        ([0.0, 1.0], "takes pool indices [m], got float64 of shape (2,)"),
        ([-1, 2], "takes pool indices from 0 to 9"),
        ([3, 10], "takes pool indices from 0 to 9"),
    ],
)
def test_what_is_no_position_in_the_pool_is_neither_judged_nor_revealed(call: str, indices: object, says: str) -> None:
    """A mask would be judged as the images 0 and 1."""
    pool = whole_pool(ArraySource(label_array=np.arange(10)), size=10, num_classes=10)
    calls: dict[str, Callable[[Any], object]] = {
        "judge()": lambda asked: pool.judge([asked]),
        "rehearse()": pool.rehearse,
        "reveal()": pool.reveal,
    }
    with pytest.raises(SelectionError) as error:
        calls[call](indices)
    assert str(error.value) == f"{call} {says}."


@pytest.mark.parametrize(
    ("kept", "size", "rate"), [(719, 1438, 0.5), (144, 1438, 0.9), (1438, 1438, 0.0), (5000, 50000, 0.9)]
)
def test_rate_is_the_shortest_that_keeps_as_many(kept: int, size: int, rate: float) -> None:
    assert rate_for(kept, size) == rate


def test_rate_gives_the_budget_again() -> None:
    for size in (7, 400, 1437):
        for kept in range(1, size + 1):
            assert budget_for(size, rate_for(kept, size)) == kept
