"""Whole cells on each device: the same twice, and all that a GPU computes at least once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.results.rows import Row
from bench.stages.session import Session

pytestmark = pytest.mark.integration

ON_GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
DEVICES = ["cpu", pytest.param("cuda", marks=ON_GPU)]
PRECISIONS = ["fp32", "bf16", pytest.param("tf32", marks=ON_GPU)]


def run_one(folder: Path, device: str, precision: str, **given: object) -> Row:
    recipe = {"iterations": 12, "proxy_epochs": 2, "evaluations": 2, "batch_size": 32, "precision": precision}
    grid = {"datasets": "digits", "pool_size": 120, "rates": "0.5", "recipe": recipe, **given}
    plan = make_plan(load_spec(given=grid), out=folder / "out", device=device)
    [cell] = plan.cells
    share = 0.5 if device == "cuda" else 1.0
    return cell.row(
        Session(out=folder / "out", cache=folder / "cache", device=device, gpu_share=share), lambda done, total: None
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "given",
    [
        {"methods": "elfs(heads=2,cluster_epochs=2)", "encoders": "simsiam(epochs=2,width=8)"},
        {"methods": "grand(networks=1,epochs=1)"},
        {"methods": "badge"},
        pytest.param({"methods": "aum", "models": "resnet18"}, marks=pytest.mark.long),
    ],
    ids=["elfs", "grand", "badge", "resnet18"],
)
def test_a_cell_is_the_same_twice(tmp_path: Path, device: str, precision: str, given: dict[str, object]) -> None:
    first, again = (run_one(tmp_path / name, device, precision, **given) for name in ("first", "again"))
    for name in ("indices_sha256", "scores_sha256", "curve", "per_class_accuracy", "chosen"):
        assert getattr(first, name) == getattr(again, name), name
    assert first.recipe.precision == precision
    assert ("cudnn" in first.versions) == (device == "cuda")
    assert (first.train_peak_gpu_bytes is None) == (device == "cpu")
