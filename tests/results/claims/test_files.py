"""The coreset and the scores of a row are the published files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.results.published import indices_path, scores_path, write_scores
from tests.claim_fixtures import Write, findings, problems


def test_scores_may_be_left_out(forged: Write) -> None:
    path = forged()
    [scores] = (path.parents[1] / "scores").iterdir()
    scores.unlink()
    assert findings(path) == ["scores: the file is left out"]
    assert problems(path) == []


def damage_missing(path: Path) -> None:
    path.unlink()


def damage_other(path: Path) -> None:
    np.save(path, np.arange(90))


def damage_short(path: Path) -> None:
    np.save(path, np.arange(9))


def damage_outside(path: Path) -> None:
    np.save(path, np.arange(10_000, 10_090))


def damage_pickle(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def damage_link(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere.npy"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_missing, "indices: cannot read"),
        (damage_other, "indices: SHA-256 of"),
        (damage_short, "holds 9 positions, the budget is 90"),
        (damage_outside, "indices: 90 of 90 positions are not in the pool of 300 images"),
        (damage_pickle, "indices: cannot read"),
        (damage_link, "leads outside"),
    ],
)
def test_a_coreset_that_is_not_the_rows_is_found(forged: Write, damage: Callable[[Path], None], says: str) -> None:
    path = forged()
    damage(indices_path(path.parents[1], path.stem))
    found = problems(path)
    assert any(says in problem for problem in found), found


@pytest.mark.parametrize("scores", [np.zeros(300, np.float32), np.zeros(3, np.float32), np.array(["a"])])
def test_scores_that_are_not_the_rows_are_found(forged: Write, scores: Any) -> None:
    path = forged()
    [file] = (path.parents[1] / "scores").iterdir()
    np.save(file, scores)
    [problem] = problems(path)
    assert problem.startswith("scores: ")


def test_scores_of_another_pool_are_found(forged: Write, tmp_path: Path) -> None:
    digest = write_scores(np.arange(99, dtype=np.float32), tmp_path / "run2")
    path = forged({"scores_sha256": digest})
    shutil.copytree(tmp_path / "run2" / "scores", tmp_path / "run" / "scores", dirs_exist_ok=True)
    [problem] = problems(path)
    assert problem == (
        f"scores: {scores_path(tmp_path / 'run', digest)} does not hold one finite number for each of the 300 pool "
        "images"
    )
