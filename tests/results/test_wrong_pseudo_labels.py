"""The script of results/does-elfs-win that says where the wrong pseudo-labels went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bench.engine.plan import make_plan
from bench.engine.work import perform
from bench.grid.spec import load_spec
from bench.results.pseudo_quality import right
from bench.results.rows import read_rows
from bench.stages.session import Session


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("does-elfs-win/wrong_pseudo_labels.py")


def test_clusters_are_matched_to_classes_one_to_one() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    clusters = np.array([7, 7, 4, 4, 4, 5, 9])
    assert (~right(clusters, labels)).tolist() == [False, False, True, False, False, False, True]


def test_the_pool_is_split_at_both_ends(script: ModuleType) -> None:
    scores = np.arange(10, dtype=np.float32)  # the last is the hardest
    mistaken = np.array([0, 0, 1, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    found = script.shares(mistaken, scores, np.array([4, 5, 6, 7]), 0.2, labels, 2)
    assert found == (50.0, 100.0, 50.0, 25.0, 50.0)
    assert np.isnan(script.shares(mistaken, scores, np.arange(8), 0.2, labels, 2).easy)


@pytest.mark.parametrize("dataset", ["digits", "digits@noise=0.4"])
def test_the_table_is_made_from_a_run_and_its_store(script: ModuleType, dataset: str, tmp_path: Path) -> None:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    given = {
        "datasets": dataset,
        "methods": "random,elfs(clustering=kmeans,beta=0.2)",
        "rates": "0.5",
        "pool_size": 300,
        "recipe": {"iterations": 2, "proxy_epochs": 2, "evaluations": 1},
    }
    for cell in make_plan(load_spec(given=given), out=workspace.out).cells:
        assert perform(cell, workspace).fault is None
    head, _, line = script.table(workspace.out, workspace.cache, None).splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == list(script.COLUMNS)
    encoder, removed, beta, _, pool, *_ = [cell.strip() for cell in line.strip("|").split("|")]
    assert (encoder, removed, beta) == ("pixels", "50 %", "0.2")
    [row] = [row for row in read_rows(workspace.out) if row.method == "elfs"]
    assert row.pseudo_labels is not None
    wrong = float(pool.removesuffix(" %"))
    assert wrong == pytest.approx(100 - row.pseudo_labels.accuracy, abs=0.51)
    assert wrong < 35, "label noise is no fault of the clusters"
