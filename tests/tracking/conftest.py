"""A small grid with rows, for trackers to log."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engine.plan import make_plan
from bench.engine.work import perform
from bench.grid.spec import load_spec
from bench.stages.session import Session
from bench.stages.training import Cell

GRID = {
    "datasets": "digits",
    "methods": "random,full",
    "rates": "0.9",
    "pool_size": 300,
    "recipe": {"iterations": 8, "proxy_epochs": 1, "evaluations": 4},
}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "no-wandb-settings"))


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Cell], Session]:
    """Three cells: two that have rows, and one that fails."""
    folder = tmp_path_factory.mktemp("tracked")
    workspace = Session(out=folder / "out", cache=folder / "cache")
    cells = make_plan(load_spec(given={**GRID, "seeds": 2}), out=workspace.out).cells
    for cell in cells[:2]:
        assert perform(cell, workspace).fault is None
    return cells[:3], workspace
