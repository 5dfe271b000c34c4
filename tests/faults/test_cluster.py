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
from bench_command import Command

from bench.results.rows import read_rows
from bench.underway import underway

pytestmark = pytest.mark.faults

GRID = (
    *("--datasets", "digits", "--methods", "random,aum", "--rates", "0.5", "--seeds", "3"),
    *("--recipe", "iterations=1200,proxy_epochs=4,evaluations=1"),
)


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


@pytest.mark.slow
def test_a_node_that_dies_costs_no_row_and_the_object_store_holds_no_data_set(tmp_path, cluster):
    command = Command(tmp_path, *GRID, "--json", "--address", cluster.address)

    try:
        # Looked at while stages run: it takes seconds, in which short cells would end.
        command.wait_for(lambda: underway(tmp_path / "out"), "a stage")
        assert objects_stored(cluster.address) == 0
        # After two rows, since the first cells of both nodes end at nearly the same moment.
        command.wait_for(
            lambda: len(rows(tmp_path)) > 1 and len(underway(tmp_path / "out")) == 2, "rows, and a cell on each node"
        )
        early = {path: path.read_bytes() for path in rows(tmp_path)}
        assert len(early) < 6
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        command.close()
    finally:
        with suppress(ProcessLookupError):
            command.process.kill()
    assert command.process.returncode == 0, command.text
    summary = json.loads(command.output)
    assert (summary["written"], summary["left"], summary["failed"]) == (6, 0, [])
    assert summary["stages"] == {"computed": 9, "reused": 0}
    assert "process was lost; it will be tried again" in command.text
    assert all(path.read_bytes() == content for path, content in early.items())
    assert len(list(read_rows(tmp_path / "out"))) == 6


@pytest.mark.slow
def test_the_run_ends_when_the_last_node_that_computes_dies(tmp_path, cluster):
    """The head, which has no CPU, lives on: Ray would wait for ever for others."""
    command = Command(tmp_path, *GRID, "--json", "--address", cluster.address)
    try:
        command.wait_for(lambda: rows(tmp_path), "row")
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
