"""What a cluster has is known before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engine.executors.base import Resources
from bench.engine.executors.ray import OnRay
from bench.errors import SpecError
from tests.engine.runs import go, place


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (Resources(cpus=64), r"asks for 64 CPU\(s\) and 0 GPU\(s\), but no node has as many: 2 CPU.*--cpus-per-trial"),
        (Resources(gpus=1.5), r"--gpus-per-trial 1.5 is not valid: a fraction of one GPU, or whole ones"),
        (Resources(gpus=99), r"asks for 1 CPU\(s\) and 99 GPU\(s\), but no node.*--gpus-per-trial"),
    ],
)
@pytest.mark.usefixtures("ray_session")
def test_more_than_a_node_has_is_refused_before_anything_runs(
    tmp_path: Path, resources: Resources, message: str
) -> None:
    workspace = place(tmp_path)
    with pytest.raises(SpecError, match=message):
        go(workspace, OnRay(resources), methods="random")
    assert not list(tmp_path.rglob("*.json"))
    assert not workspace.cache.exists()
