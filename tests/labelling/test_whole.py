"""Groups that are kept whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from tests.digits import load_digits
from tests.labelling.cases import coverage, digits


def whole(folder: Path, groups: Any, budget: int, **more: Any) -> Any:
    given: dict[str, Any] = {"num_classes": 4, "method": "kmeans-sampling", "cache_dir": folder, **more}
    return bench.select(digits(), budget=budget, groups=groups, per_group="all", **given)


@pytest.mark.parametrize("method", ["kmeans-sampling", "random", "facility-location", "elfs(clustering=kmeans,beta=0)"])
def test_groups_are_kept_whole_within_the_budget(tmp_path: Path, method: str) -> None:
    groups = np.random.default_rng(0).integers(30, size=300)
    sizes = np.bincount(groups)
    chosen = whole(tmp_path, groups, 60, method=method)
    taken = np.unique(groups[chosen.order])
    assert len(chosen.order) == sizes[taken].sum() <= 60, "all of a group or none"
    assert sizes[np.setdiff1d(np.arange(30), taken)].min() > 60 - len(chosen.order), "no other group fits"
    numbers = groups[chosen.order]
    assert len(np.flatnonzero(np.diff(numbers))) == len(taken) - 1, "one group after the other"
    assert all((np.diff(chosen.order[numbers == number]) > 0).all() for number in taken), "frames in their order"


def test_whole_groups_cover_more_than_groups_at_random(tmp_path: Path) -> None:
    """Ten groups hold one class each twenty times over; the others hold one class only, always the same."""
    labels, rng = load_digits().target[:300], np.random.default_rng(0)
    groups = np.where(labels == 0, rng.integers(8, size=300), 8 + labels)
    chosen = whole(tmp_path, groups, 100, num_classes=8)
    own = coverage(digits(), chosen.order)
    drawn = [coverage(digits(), whole(tmp_path, groups, 100, method="random", seed=seed).order) for seed in range(10)]
    assert own > np.mean(drawn)


def test_a_group_of_which_some_are_labelled_is_completed_first(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(30), 10)
    labelled = np.array([250, 252, 253])
    chosen = whole(tmp_path, groups, 30, labelled=labelled, exclude=np.array([251]))
    assert chosen.order[:6].tolist() == [254, 255, 256, 257, 258, 259]
    assert len(np.unique(groups[chosen.order])) == 3
    assert len(chosen.order) == 26


def test_groups_that_a_budget_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(bench.SpecError, match=r"budget 9 is not valid: the smallest of 30 groups has 10 items"):
        whole(tmp_path, np.repeat(np.arange(30), 10), 9)
    with pytest.raises(bench.SpecError, match="only 1 group"):
        whole(tmp_path, np.zeros(300), 300)
    with pytest.raises(bench.SpecError, match=r"--per-group all needs --groups \(in Python: groups=\.\.\.\)"):
        whole(tmp_path, None, 20)
    wrong: list[Any] = [0, -1, "some", 1.5]
    for per_group in wrong:
        with pytest.raises(bench.SpecError, match=f"--per-group {per_group} is not valid"):
            bench.select(digits(), budget=20, num_classes=4, groups=np.arange(300), per_group=per_group)


def test_warnings_are_about_the_groups_that_were_taken(tmp_path: Path) -> None:
    """The method takes heads of all ten clusters, but each of the last five is one group that does not fit."""
    clusters = np.repeat(np.arange(10), 30)
    rows = np.eye(10)[clusters] + 0.02 * np.random.default_rng(0).normal(size=(300, 10))
    groups = np.where(clusters < 5, np.arange(300), 300 + clusters)
    chosen = bench.select(rows, budget=20, num_classes=10, groups=groups, per_group="all", cache_dir=tmp_path)
    assert set(clusters[chosen.order]) == {0, 1, 2, 3, 4}
    assert len(chosen.warnings) == 1
    assert chosen.warnings[0].startswith("the choice comes from only 5 of 10 clusters")
