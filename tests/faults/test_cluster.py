"""Several Ray nodes on this machine, one of which dies in the middle of a grid."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.results.rows import read_rows
from tests.faults.bench_command import Command

pytestmark = [pytest.mark.faults, pytest.mark.integration]

HELD = """
import math, os, time
from pathlib import Path

from torch import nn

from bench import register_model

HOLD, HELD = Path({hold!r}), Path({held!r})


class Held(nn.Module):
    def __init__(self, shape, num_classes):
        super().__init__()
        self.linear = nn.Linear(math.prod(shape), num_classes)

    def forward(self, images):
        while HOLD.exists():
            (HELD / str(os.getpid())).touch()
            time.sleep(0.05)
        return self.linear(images.flatten(1))


@register_model("held", inputs="images", source="this test")
def held(shape, num_classes):
    '''Linear; stands still while a file is there.'''
    return Held(shape, num_classes)
"""
"""A model that trains no further while a file is there, and says which processes stand still."""


LOST = "process was lost; it will be tried again"


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head node that computes nothing, and two nodes of one CPU."""
    from bench.engine.executors.ray_cluster import use_ray_settings

    use_ray_settings()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


def objects_stored(address: str) -> int:
    """How many objects the object stores of all nodes hold."""
    ray = Path(sys.executable).with_name("ray")
    done = subprocess.run(
        [ray, "memory", "--address", address, "--stats-only"], capture_output=True, text=True, check=True, timeout=500
    )
    [found] = re.findall(r"(\d+) objects", done.stdout)
    return int(found)


def rows(folder: Path) -> list[Path]:
    return list((folder / "out" / "rows").glob("*.json"))


def stopped_after_a_row(folder: Path, cluster: Any) -> Command:
    """A grid of six cells, at least one of them done; both nodes stand still until the file ``hold`` is gone."""
    hold, held = folder / "hold", folder / "held"
    held.mkdir()
    plugin = folder / "held_model.py"
    plugin.write_text(HELD.format(hold=str(hold), held=str(held)))
    command = Command(
        *(folder, "--datasets", "digits", "--methods", "random", "--rates", "0.5", "--seeds", "6", "--models", "held"),
        *("--plugin", str(plugin), "--recipe", "iterations=300,evaluations=1", "--json", "--address", cluster.address),
    )
    command.wait_for(lambda: rows(folder), "row")
    hold.touch()
    command.wait_for(lambda: len(list(held.iterdir())) == 2, "cell that stands still on each node")
    return command


@pytest.mark.slow
def test_a_node_that_dies_costs_no_row_and_the_object_store_holds_no_data_set(tmp_path: Path, cluster: Any) -> None:
    command = stopped_after_a_row(tmp_path, cluster)
    try:
        early = {path: path.read_bytes() for path in rows(tmp_path)}
        assert len(early) <= 4
        assert objects_stored(cluster.address) == 0
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        # The node's worker outlives it for a moment, in which it would finish its cell.
        command.wait_for(lambda: LOST in command.text, "word of the lost process")
        (tmp_path / "hold").unlink()
        command.close()
    finally:
        with suppress(ProcessLookupError):
            command.process.kill()
    assert command.process.returncode == 0, command.text
    summary = json.loads(command.output)
    assert (summary["written"], summary["left"], summary["failed"]) == (6, 0, [])
    assert summary["stages"] == {"computed": 6, "reused": 0}
    assert all(path.read_bytes() == content for path, content in early.items())
    assert len(list(read_rows(tmp_path / "out"))) == 6


@pytest.mark.slow
def test_the_run_ends_when_the_last_node_that_computes_dies(tmp_path: Path, cluster: Any) -> None:
    """The head, which has no CPU, lives on: Ray would wait for ever for others."""
    command = stopped_after_a_row(tmp_path, cluster)
    try:
        for node in [node for node in cluster.list_all_nodes() if node is not cluster.head_node]:
            cluster.remove_node(node, allow_graceful=False)
        command.close()
    finally:
        with suppress(ProcessLookupError):
            command.process.kill()
    assert command.process.returncode == 1, command.text
    summary = json.loads(command.output)
    assert summary["ray_lost"]
    assert summary["written"] == len(list(read_rows(tmp_path / "out"))) == 6 - summary["left"] < 6
    said = r"no node of the cluster has had the 1 CPU\(s\) and 0 GPU\(s\) of a trial; alive: 0 CPU\(s\).*giving up"
    assert re.search(said, command.text)
    assert "Traceback" not in command.text
