"""``bench train``: options that contradict each other, and files as one grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import SpecError
from bench.results.rows import read_row
from tests.engine.coreset_files import bench, told

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--row", "x.json", "--seed", "1"], "leave --seed out"),
        (["--indices", "x.npy"], "with --dataset NAME"),
        ([], "give --row"),
        (["--indices", "x.npy", "--dataset", "digits", "--seed", "1", "--seeds", "3"], "give one of them"),
        (["--indices", "x.npy", "--indices", "y.npy", "--dataset", "digits", "--sha256", "0"], "was given 2 times"),
    ],
)
def test_contradicting_options_are_refused(arguments: list[str], message: str) -> None:
    _, _, error = bench("train", *arguments)
    assert isinstance(error, SpecError)
    assert message in str(error)


def test_files_seeds_and_models_are_one_grid_that_resumes_and_gives_tables(tmp_path: Path) -> None:
    half, tenth, out = tmp_path / "half.npy", tmp_path / "tenth.npy", tmp_path / "out"
    np.save(half, np.arange(0, 1438, 2))
    np.save(tenth, np.arange(0, 1438, 10))
    arguments = ("train", "--indices", half, "--indices", tenth, "--dataset", "digits", "--out", out)
    few = ("--recipe", "iterations=8,evaluations=1", "--model", "small_cnn(width=8),small_cnn")
    first = told(*arguments, *few, "--seeds", 2)
    assert (len(first["rows"]), first["failed"], "accuracy" in first) == (8, [], False)
    written = {path: path.stat().st_mtime_ns for path in (out / "rows").glob("*.json")}
    assert {(row.variant, row.rate, row.budget) for row in map(read_row, written)} == {
        ("indices(of=half)", 0.5, 719),
        ("indices(of=tenth)", 0.9, 144),
    }
    one = next(iter(written))
    one.unlink()
    # The same grid in the words of `bench run`, beside a method: one row is trained again, and two that are new.
    grid = f"random,indices(of='{half}'),indices(of='{tenth}')"
    usual = ("--datasets", "digits", "--models", few[3], "--rates", "0.5", "--recipe", few[1], "--seeds", 2)
    places = ("--out", out, "--cache-dir", tmp_path / "cache", "--executor", "local")
    summary = told("run", "--methods", grid, *usual, *places)
    assert (summary["cells"], summary["written"]) == (12, 12)
    kept = {path: path.stat().st_mtime_ns for path in written if path != one}
    assert one.exists()
    assert kept.items() <= written.items()
    results = told("table", out, "--out", tmp_path / "t")["results"]
    assert {(item["variant"], item["rate"]) for item in results if item["mean"] is not None} == {
        ("indices(of=half)", 0.5),
        ("indices(of=tenth)", 0.9),
        ("random", 0.5),
    }
    assert told("validate", out)["problems"] == []
