"""Cells whose coreset comes from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.engine.plan import make_plan
from bench.errors import DataError, SpecError
from bench.grid.spec import load_spec
from bench.results.rows import read_row
from bench.stages.published import PublishedCell
from bench.stages.session import Session
from tests.engine.coreset_files import bench, plan_of_file, told

pytestmark = pytest.mark.integration


def test_the_content_of_a_file_and_not_its_path_is_what_is_trained(tmp_path: Path) -> None:
    grid: dict[str, Any] = {"datasets": "digits", "seeds": [0]}
    cells = []
    np.save(tmp_path / "seen.npy", [1, 2])
    for said, supervision in (("", "labels"), (", supervision=none", "none"), (", supervision=pseudo", "pseudo")):
        [cell] = plan_of_file(tmp_path / "seen.npy", said=said, **grid).cells
        assert isinstance(cell, PublishedCell)
        assert cell.supervision == supervision
    for name, positions in (("a/x.npy", [3, 1, 2]), ("b/x.npy", [1, 2, 3]), ("c/x.npy", [1, 2, 4])):
        (tmp_path / name).parent.mkdir()
        np.save(tmp_path / name, positions)
        cells.append(plan_of_file(tmp_path / name, **grid).cells[0])
    assert cells[0].cell_id == cells[1].cell_id != cells[2].cell_id
    both = [f"indices(of='{tmp_path / name}')" for name in ("a/x.npy", "c/x.npy")]
    with pytest.raises(SpecError, match="two coresets of 3 images are in files called x"):
        make_plan(load_spec(given={**grid, "methods": both}), out=None)
    # Nor can they stand in one folder, one after the other.
    again = ("train", "--dataset", "digits", "--out", tmp_path / "out", "--recipe", "iterations=4,evaluations=1")
    assert bench(*again, "--indices", tmp_path / "a/x.npy")[0] == 0
    assert bench(*again, "--indices", tmp_path / "b/x.npy")[0] == 0
    _, _, error = bench(*again, "--indices", tmp_path / "c/x.npy")
    assert isinstance(error, SpecError)
    assert "another coreset of the same name" in str(error)
    longer = (*again[:-1], "iterations=5,evaluations=1", "--indices", tmp_path / "a/x.npy")
    assert "(recipe.iterations: 4 and 5)" in str(bench(*longer)[2]), "the coreset is the same"
    # What the selection saw may be said later; the row then says so.
    told(*again, "--indices", tmp_path / "a/x.npy", "--supervision", "none")
    [path] = (tmp_path / "out" / "rows").glob("*.json")
    assert read_row(path).supervision == "none"


def test_a_file_that_changes_after_the_plan_is_not_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(50))
    plan = plan_of_file(path, datasets="digits")
    np.save(path, np.arange(51))
    with pytest.raises(DataError, match="not the coreset"):
        plan.cells[0].row(Session(out=tmp_path, cache=tmp_path, coresets=plan.coresets))
