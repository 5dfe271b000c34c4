"""Tables on a terminal of any width."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from bench.cli._screen import show
from bench.results.accuracy_table import accuracy_table
from bench.results.rows import Row
from bench.results.tables import blocks
from tests.cli.two_methods import MEANS, RATES

Grid = Callable[..., list[Row]]


@pytest.mark.parametrize(("width", "shown"), [(140, "95.0 ± 0.5"), (76, "95.0±0.5"), (50, "±0.5")])
def test_no_number_is_cut_on_a_terminal(grid: Grid, width: int, shown: str) -> None:
    out = io.StringIO()
    [block] = blocks(grid(MEANS, RATES))
    assert any(note.startswith("Bold") for note in accuracy_table(block).notes)
    show(accuracy_table(block), Console(file=out, width=width, force_terminal=True, no_color=True, highlight=False))
    printed = out.getvalue()
    assert shown in printed
    assert "91.8" in printed
    assert all(f"{mean:.1f}" in printed for column in MEANS.values() for mean in column)


def test_a_block_of_full_alone_is_shown(grid: Grid) -> None:
    out = io.StringIO()
    [block] = blocks(grid({"full": [97.0]}, []))
    show(accuracy_table(block), Console(file=out, width=80))
    assert "full data (0 % removed): 97.0 ± 0.5" in out.getvalue()
