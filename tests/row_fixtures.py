"""Rows as the runner writes them, and a run's folder and report, without a run."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.grammar import parse_call
from bench.recipe import Recipe
from bench.results.claims import Unchecked
from bench.results.claims.labels import DataAtHand
from bench.results.published import write_indices, write_scores
from bench.results.rows import Row, write_row
from bench.results.validation import findings_of

SUPERVISION = {"elfs": "pseudo", "badge": "coreset", "aum": "labels", "ccs": "labels", "d2": "labels", "el2n": "labels"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "ccs": {"beta": 0.0, "strata": 50, "score": "aum"},
    "elfs": {"beta": "auto", "score": "aum", "clustering": "temi", "heads": 50, "cluster_epochs": 200},
    "prototypicality": {"keep": "hard"},
}
WITH_ENCODER = ("elfs", "prototypicality", "d2", "d2-label-free")


def make_row(variant: str = "random", rate: float = 0.5, seed: int = 0, accuracy: float = 50.0, **changes: Any) -> Row:
    """A valid row of a small CNN on digits; ``changes`` replace fields."""
    call = parse_call(variant)
    supervision = SUPERVISION.get(call.name, "none")
    uses = {"encoder": call.name in WITH_ENCODER, "proxy_model": supervision != "none"}
    uses["encoder_supervision"] = uses["encoder"]
    usual = {"encoder": "pixels", "encoder_supervision": "none", "proxy_model": "small_cnn"}
    optional = {key: changes.pop(key, usual[key]) if used else "-" for key, used in uses.items()}
    changes = {key: value for key, value in changes.items() if key not in uses} | optional
    pool_size = changes.get("pool_size", 1437)
    fields: dict[str, Any] = {
        "dataset": "digits",
        "method": call.name,
        "variant": variant,
        "params": DEFAULTS.get(call.name, {}) | call.params,
        "supervision": supervision,
        "encoder_weights": "",
        "rate": rate,
        "budget": round((1 - rate) * pool_size),
        "pool_size": pool_size,
        "seed": seed,
        "model": "small_cnn",
        "recipe": Recipe(iterations=400, proxy_epochs=20),
        "accuracy": accuracy,
        "best_accuracy": min(accuracy + 0.75, 100.0),
        "per_class_accuracy": [accuracy] * 10,
        "curve": [(400, accuracy)],
        "class_counts": [10] * 10,
        "fingerprint": "f" * 64,
        "stages": [],
        "train_seconds": 3.5,
        "select_seconds": 0.1,
        "device": "cpu",
        "threads": 1,
        "versions": {"torch": "2.8"},
        "git_revision": "",
        "git_dirty": False,
        "created": f"2025-11-2{seed}T10:00:00+00:00",
    } | changes
    identity = "|".join(str(fields[key]) for key in ("dataset", "variant", "encoder", "rate", "seed", "model"))
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return Row(**({"cell_id": f"{call.name}-{digest[:12]}", "indices_sha256": digest} | fields))


def make_grid(means: dict[str, list[float]], rates: list[float], seeds: int = 3, **changes: Any) -> list[Row]:
    """Rows of a grid: variant -> mean accuracy per rate, spread by half a point around it; ``full`` has one mean."""
    return [
        make_row(variant, rate, seed, mean + 0.5 * (seed - (seeds - 1) / 2), **dict(changes))
        for variant, column in means.items()
        for rate, mean in zip([0.0] if variant == "full" else rates, column, strict=True)
        for seed in range(seeds)
    ]


@pytest.fixture(scope="session")
def script_of() -> Callable[[str], ModuleType]:
    """Imports a script below ``results/`` by its path there."""

    def load(path: str) -> ModuleType:
        place = Path(__file__).parents[1] / "results" / path
        spec = importlib.util.spec_from_file_location(place.stem, place)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    return make_row


@pytest.fixture(scope="session")
def grid() -> Callable[..., list[Row]]:
    return make_grid


TWO_BETAS = {
    "full": [97.0],
    "random": [90.0, 80.0],
    "elfs(beta=0.1)": [91.0, 82.0],
    "elfs(beta=0.2)": [89.0, 85.0],
    "aum": [92.0, 60.0],
}
"""Method -> means at two rates, one of them at two parameters."""
MEANS = {"random": (90.0, 80.0), "prototypicality": (91.0, 70.0), "elfs": (89.0, 85.0), "ccs": (92.0, 81.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, row: Callable[..., Row]) -> Path:
    """Rows of four methods on digits at two rates, three seeds, with coresets and scores; one cell is missing."""
    out = tmp_path_factory.mktemp("rows of a run")
    rng = np.random.default_rng(0)
    for variant, means in MEANS.items():
        for rate, mean in zip((0.5, 0.9), means, strict=True):
            for seed in range(3):
                if (variant, rate, seed) == ("prototypicality", 0.9, 2):
                    continue
                # Not as random's at every seed, or no difference to it would have an interval.
                made = row(variant, rate, seed, mean + (0.25 if variant == "random" else 0.5) * seed)
                indices = np.sort(rng.choice(made.pool_size, made.budget, replace=False))
                scores = None if variant == "random" else rng.normal(size=made.pool_size).astype(np.float32)
                changes = {
                    "indices_sha256": write_indices(indices, out, made.cell_id),
                    "scores_sha256": write_scores(scores, out),
                }
                write_row(made.model_copy(update=changes), out)
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> Path:
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 0, done.output
    return folder / "report.html"


def problems_of(path: Path, data: DataAtHand | None = None) -> list[str]:
    """Return what ``bench validate`` finds wrong with one row file, without what could not be checked."""
    return [finding for finding in findings_of(path, data) if not isinstance(finding, Unchecked)]
