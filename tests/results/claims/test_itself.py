"""A row agrees with its own name."""

from __future__ import annotations

from bench.results.rows import read_row
from tests.claim_fixtures import Write, problems


def test_a_renamed_row_is_found(forged: Write) -> None:
    path = forged(name="renamed")
    assert f"cell_id: {read_row(path).cell_id} is not the name of the file" in problems(path)
