"""True rows, one of each kind of grid, and copies of them with changes, for tests of what a row claims."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.results.claims.configuration import digests
from bench.results.claims.labels import DataAtHand
from bench.results.published import indices_path
from bench.results.rows import SINCE, Row, read_row, write_row
from bench.results.validation import findings_of
from bench.stages.session import Session
from tests.row_fixtures import problems_of

RESULTS = Path(__file__).parents[1] / "results"
RECIPE = {"iterations": 20, "proxy_epochs": 2, "evaluations": 3}
GRID = {"datasets": "digits", "rates": "0.7", "seeds": [3], "pool_size": 300, "recipe": RECIPE}
TRUE: dict[str, dict[str, Any]] = {
    "ccs": {"methods": "ccs(beta=0.1)"},
    "random": {"methods": "random"},
    "full": {"methods": "full"},
    "elfs": {"methods": [{"elfs": {"clustering": "kmeans", "beta": {0.5: 0.0, 0.7: 0.1}}}]},
    "default-at-rate": {"methods": [{"ccs": {"beta": {0.3: 0.1, 0.7: 0.0}, "strata": 7}}]},
    "noisy": {"methods": "aum", "datasets": "digits@imbalance=3@noise=0.25@seed=4"},
    "noisy-label-free": {"methods": "prototypicality", "datasets": "digits@noise=0.25"},
    "probe": {"methods": "kcenter", "models": "linear_probe"},
    "transfer": {"methods": "aum", "proxy_model": "small_cnn(width=8)"},
    "proxy-on-embeddings": {"methods": "badge", "proxy_model": "linear_probe"},
    "fitted": {"methods": "kcenter", "encoders": "simsiam(epochs=1)", "scale": 0.5},
}
"""Grids of one cell, which differ in what their configuration is made of."""
Fields = dict[str, Any]
Change = Fields | Callable[[Fields], Fields]
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def true_rows(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a grid -> the file of its one row, written by the code that a run calls."""
    folder, made = tmp_path_factory.mktemp("rows"), {}

    def row_of(name: str) -> Path:
        if name not in made:
            [cell] = make_plan(load_spec(given=GRID | TRUE[name]), out=folder / name).cells
            made[name] = write_row(cell.row(Session(out=folder / name, cache=folder / "cache")), folder / name)
        return made[name]

    return row_of


DATA = DataAtHand()
"""Reads the digits once."""


def findings(path: Path) -> list[str]:
    return list(findings_of(path, DATA))


def problems(path: Path) -> list[str]:
    return problems_of(path, DATA)


def without_gone(fields: Fields) -> Fields:
    """The fields, and those of mappings in them, that are not ``...``."""
    kept = {name: value for name, value in fields.items() if value is not ...}
    return {name: without_gone(value) if isinstance(value, dict) else value for name, value in kept.items()}


@pytest.fixture
def forged(tmp_path: Path, true_rows: Callable[[str], Path]) -> Write:
    """Copy a true row with its files into a folder of its own, with ``changes`` in its JSON; return the row's file.

    A change to ``...`` takes the field away.
    """

    def write(changes: Change | None = None, *, of: str = "ccs", name: str = "") -> Path:
        path = true_rows(of)
        shutil.copytree(path.parents[1], tmp_path / "run")
        fields = json.loads(path.read_bytes())
        fields |= changes(fields) if callable(changes) else changes or {}
        copy = tmp_path / "run" / "rows" / path.name
        copy.write_text(json.dumps(without_gone(fields)))
        return copy.rename(copy.with_stem(name or copy.stem))

    return write


def first(name: str, item: Any) -> Callable[[Fields], Fields]:
    """Replace the first item of a list."""
    return lambda row: {name: [item, *row[name][1:]]}


def inside(name: str, **changes: Any) -> Callable[[Fields], Fields]:
    """Change a mapping."""
    return lambda row: {name: row[name] | changes}


def earlier(version: int) -> Fields:
    """As a row of an earlier version, which lacks what later ones brought."""
    later = [name for name, since in SINCE.items() if since > version and name in Row.model_fields]
    return {"schema_version": version, **dict.fromkeys(later, ...)}


def rehashed(path: Path) -> Path:
    """The row under the hash and the name that its fields make, as somebody would do who knows how."""
    row = read_row(path)
    digest = next(digests(row))
    name = f"{row.cell_id.rpartition('-')[0]}-{digest[:12]}"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"config_sha256": digest, "cell_id": name}))
    run = path.parents[1]
    [indices] = (run / "indices").iterdir()
    indices.rename(indices_path(run, name))
    return path.rename(path.with_stem(name))
