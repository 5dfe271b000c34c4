"""``indices(of=FILE)``: what is no coreset of the data is refused, and the content of a file is what counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.engine.reproduce import same_data
from bench.errors import BenchError, DataError, RegistrationError
from bench.results.published import read_indices
from tests.engine.coreset_files import GRID, plan_of_file

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


def test_a_dry_run_names_a_file_that_is_no_coreset_of_the_data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", [1, 2000])
    grid = f"random,indices(of='{tmp_path / 'x.npy'}'),indices(of='{tmp_path / 'none.npy'}')"
    place = ("--out", tmp_path / "out", "--rates", "0.5", "--seeds", "0,", "--cache-dir", tmp_path / "cache")
    done = CliRunner().invoke(app, ["run", *map(str, ("--methods", grid, *place)), "--dry-run", "--json"])
    document = json.loads(done.stdout)
    assert (done.exit_code, len(document["cells"])) == (2, 1)
    assert "(2000 first)" in document["problems"][1]
    assert "none.npy" in document["problems"][0]


def test_no_plugin_may_have_the_name() -> None:
    from bench import register_method

    with pytest.raises(RegistrationError, match="the name is taken"):
        register_method("indices", supervision="none")
