"""The page of the schema of rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.recipe import Recipe
from bench.reference.rows import attributes
from bench.results.rows import Row, StageUse

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("model", [Row, StageUse, Recipe])
def test_every_field_is_documented_and_nothing_else(model: type[Row]) -> None:
    assert list(attributes(model)) == list(model.model_fields)
