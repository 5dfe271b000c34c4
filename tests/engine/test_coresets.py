"""``indices(of=FILE)``: what is no coreset of the data is refused, and the content of a file is what counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.engine.plan import make_plan
from bench.engine.reproduce import same_data
from bench.errors import BenchError, DataError, RegistrationError, SpecError
from bench.grid.spec import load_spec
from bench.results.published import read_indices
from bench.results.rows import read_row
from bench.stages.published import PublishedCell
from bench.stages.session import Session
from tests.engine.coreset_files import GRID, bench, plan_of_file, told

pytestmark = pytest.mark.integration


def refusal(path: Path, indices: object, *, said: str = "", **changes: object) -> str:
    np.save(path, np.asarray(indices))
    with pytest.raises(BenchError) as caught:
        plan_of_file(path, said=said, **{**GRID, **changes})
    return str(caught.value)


def test_what_is_no_coreset_of_the_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    assert "holds 1 position more than once (5 first)" in refusal(path, [1, 5, 5])
    assert "positions start at 0" in refusal(path, [-1, 5])
    assert "(1438 first)" in refusal(path, [0, 1437, 1438], pool_size=None)
    assert "not in the pool of 400 images" in refusal(path, np.arange(300))
    assert "float64 of shape" in refusal(path, [0.0, 1.0])
    assert "int64 of shape (1, 2)" in refusal(path, [[0, 1]])
    assert "not " + "0" * 64 in refusal(path, [0, 1], said=f", sha256='{'0' * 64}'")
    assert "Did you mean digits" in refusal(path, [0, 1], datasets="digit")
    assert "supervision='some' is not valid" in refusal(path, [0, 1], said=", supervision=some")
    assert "Did you mean supervision" in refusal(path, [0, 1], said=", supervison=none")
    np.save(path, np.arange(50))
    with pytest.raises(DataError, match="fingerprint"):
        same_data(plan_of_file(path, **{**GRID, "pool_size": None}), "0" * 64)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="cannot read"):
        read_indices(path)


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
    # What the selection saw may be said later; the row then says so.
    told(*again, "--indices", tmp_path / "a/x.npy", "--supervision", "none")
    [path] = (tmp_path / "out" / "rows").glob("*.json")
    assert read_row(path).supervision == "none"


def test_a_dry_run_names_a_file_that_is_no_coreset_of_the_data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", [1, 2000])
    grid = f"random,indices(of='{tmp_path / 'x.npy'}'),indices(of='{tmp_path / 'none.npy'}')"
    place = ("--out", tmp_path / "out", "--rates", "0.5", "--seeds", "0,", "--cache-dir", tmp_path / "cache")
    done = CliRunner().invoke(app, ["run", *map(str, ("--methods", grid, *place)), "--dry-run", "--json"])
    document = json.loads(done.stdout)
    assert (done.exit_code, len(document["cells"])) == (2, 1)
    assert "(2000 first)" in document["problems"][1]
    assert "none.npy" in document["problems"][0]


def test_a_file_that_changes_after_the_plan_is_not_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(50))
    plan = plan_of_file(path, datasets="digits")
    np.save(path, np.arange(51))
    with pytest.raises(DataError, match="not the coreset"):
        plan.cells[0].row(Session(out=tmp_path, cache=tmp_path, coresets=plan.coresets))


def test_no_plugin_may_have_the_name() -> None:
    from bench import register_method

    with pytest.raises(RegistrationError, match="the name is taken"):
        register_method("indices", supervision="none")
