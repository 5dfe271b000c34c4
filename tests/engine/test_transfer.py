"""Transfer: coresets are selected with one network and train others."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.results.accuracy_table import accuracy_table
from bench.results.rows import Row
from bench.results.tables import blocks
from bench.stages.session import Session

MODELS = "small_cnn,linear_probe,resnet18"
GRID = {
    "datasets": "digits",
    "methods": "random,aum,elfs(clustering=kmeans,beta=0.1)",
    "models": MODELS,
    "rates": "0.5",
    "pool_size": 120,
    "recipe": {"iterations": 2, "proxy_epochs": 1, "evaluations": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("transfer")
    return Session(out=folder / "out", cache=folder / "cache")


@pytest.fixture(scope="module")
def rows(place: Session) -> list[Row]:
    plan = make_plan(load_spec(given={**GRID, "proxy_model": "small_cnn"}), out=place.out)
    return [cell.row(place) for cell in plan.cells]


def stored(folder: Path, kind: str) -> int:
    return len(list((folder / kind).glob("*.npz")))


@pytest.mark.long
def test_every_coreset_is_selected_once_and_trains_every_model(rows: list[Row], place: Session) -> None:
    used = defaultdict(set)
    for row in rows:
        used[row.method].add(row.indices_sha256)
    assert {method: len(coresets) for method, coresets in used.items()} == {"random": 1, "aum": 1, "elfs": 1}
    assert sorted((row.method, row.model) for row in rows) == sorted(
        (method, model) for method in used for model in MODELS.split(",")
    )
    assert stored(place.cache, "selection") == 3
    assert stored(place.cache, "dynamics") == 2, "one proxy on true labels and one on pseudo-labels, for all models"


@pytest.mark.long
def test_there_is_one_table_per_model_and_it_names_the_proxy(rows: list[Row]) -> None:
    notes = {block.model: " ".join(accuracy_table(block).notes) for block in blocks(rows)}
    assert set(notes) == set(MODELS.split(","))
    for model, text in notes.items():
        assert f"Model: {model}, 2 iterations" in text
        assert "Proxy: small_cnn" in text
        assert (f"selected with the proxy; their coresets train {model} " in text) == (model != "small_cnn")


def test_without_a_proxy_model_each_model_is_its_own_proxy() -> None:
    plan = make_plan(load_spec(given=GRID), out=None)
    selections = defaultdict(set)
    for cell in plan.cells:
        selections[cell.method].add(cell.selection().key)
        assert cell.proxy is None or cell.proxy.model == cell.model
    assert {method: len(keys) for method, keys in selections.items()} == {"random": 1, "aum": 3, "elfs": 3}
