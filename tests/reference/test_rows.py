"""The page of the schema of rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.recipe import Recipe
from bench.reference.rows import attributes, rows_page
from bench.results.rows import Row, StageUse

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_command_prints() -> None:
    done = CliRunner().invoke(app, ["schema"])
    assert (ROOT / "docs" / "rows.md").read_text(encoding="utf-8") == done.stdout == rows_page()


@pytest.mark.parametrize("model", [Row, StageUse, Recipe])
def test_every_field_is_documented_and_nothing_else(model: type[Row]) -> None:
    assert list(attributes(model)) == list(model.model_fields)
