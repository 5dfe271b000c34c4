"""What a selection's identity holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.errors import SpecError
from bench.stages import judging
from bench.stages.training import Cell

Expand = Callable[..., list[Cell]]


def test_the_code_of_a_method_is_part_of_its_selection(cells_of: Expand) -> None:
    [cell] = cells_of(methods="ccs", rates="0.9")
    selection = cell.selection()
    [other] = cells_of(methods="aum", rates="0.9")
    assert selection.code != other.selection().code
    edited = selection.model_copy(update={"code": "edited"})
    assert edited.key != selection.key
    assert edited.all_code() != selection.all_code()


def test_the_code_of_a_selection_is_one_for_all_seeds_and_rates(cells_of: Expand) -> None:
    cells = cells_of(methods="elfs(beta=0.4)", rates="0.5,0.9", seeds=2)
    assert len(cells) == 4
    assert len({cell.selection().all_code() for cell in cells}) == 1


def test_a_selection_says_what_the_cell_lacks(cells_of: Expand) -> None:
    [cell] = cells_of(methods="elfs", rates="0.9")
    with pytest.raises(SpecError, match="'elfs' reads embeddings, but the cell names no encoder"):
        cell.selection().model_copy(update={"encoder": None}).embeddings()
    with pytest.raises(SpecError, match="'elfs' needs a network trained, but the cell names no proxy"):
        cell.selection().model_copy(update={"proxy": None}).network()


def test_a_judge_that_judges_otherwise_is_another_selection(cells_of: Expand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge runs while the method does, so no stage of its own would be computed again."""

    def selections() -> dict[str, tuple[str, str]]:
        cells = cells_of(methods="elfs,auto,elfs(beta=0.2),random", rates="0.9")
        return {cell.variant: (cell.selection().key, cell.selection().all_code()) for cell in cells}

    before = selections()
    monkeypatch.setitem(judging.GIVERS, "judge", replace(judging.GIVERS["judge"], version=2))
    changed = {name for name, identity in selections().items() if identity != before[name]}
    assert changed == {"elfs", "auto"}
