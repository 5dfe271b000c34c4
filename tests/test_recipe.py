"""Recipes: learning rates over a training, and an identity that later fields leave alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.recipe import Recipe, learning_rate_factors


def test_later_fields_of_a_recipe_leave_earlier_hashes_as_they_were() -> None:
    assert not {"schedule", "label_smoothing"} & set(Recipe().model_dump())
    later = Recipe(schedule="triangular", label_smoothing=0.1)
    assert Recipe(**later.model_dump()) == later
    assert Recipe.model_validate_json(later.model_dump_json()) == later


def test_new_fields_leave_old_hashes_alone() -> None:
    assert not {"warm_up", "optimiser"} & Recipe().model_dump().keys()
    assert Recipe(optimiser="adamw", warm_up=0.1).model_dump()["optimiser"] == "adamw"
    with pytest.raises(ValueError, match="warm_up"):
        Recipe(schedule="triangular", warm_up=0.1)


def test_warm_up_rises_and_a_cosine_falls_to_the_end() -> None:
    factors = learning_rate_factors("cosine", 100, 0.01, 0.1)
    assert len(factors) == 101
    assert factors[:3] == pytest.approx([1 / 11, 2 / 11, 3 / 11])
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.01 + 0.99 / 2)
    assert factors[-1] == pytest.approx(0.01)
    assert all(later < earlier for earlier, later in pairwise(factors[10:]))
