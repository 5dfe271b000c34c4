"""A clustering that was stopped within TEMI goes on where it was, and ends as if it had not been."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

from bench.clustering import temi as module
from bench.clustering.temi import Effort, TemiClusters, temi
from bench.knn import nearest_neighbors
from bench.store.cache import Keyed, Store
from bench.store.inventory import stored
from bench.store.unfinished import EVERY, SHARE, Unfinished
from tests.narrowing import present


class Named(NamedTuple):
    kind: str = "clusters"
    key: str = "k"

    def describe(self) -> Mapping[str, Any]:
        return {"seed": 3}


class Clock:
    """Goes on by ``step`` seconds whenever it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Stopped(Exception):
    pass


def cluster(unfinished: Unfinished | None = None, *, stop_after: int | None = None) -> tuple[TemiClusters, list[int]]:
    embeddings = np.random.default_rng(0).normal(size=(128, 16)).astype(np.float32)
    near = nearest_neighbors(embeddings, 10).indices
    seen: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == stop_after:
            raise Stopped

    found = temi(embeddings, near, 5, Effort(heads=3, epochs=4), seed=7, progress=progress, unfinished=unfinished)
    return found, seen


@pytest.mark.parametrize("cached", [1, 1_000_000], ids=["a head at a time", "all heads at once"])
@pytest.mark.parametrize("stop_after", [2, 4])
def test_a_stop_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: int, stop_after: int) -> None:
    monkeypatch.setattr(module, "_CACHED", cached)
    monkeypatch.setattr("bench.store.unfinished.SHARE", 0.0)
    whole, _ = cluster()
    store = Store(tmp_path)
    for stop in (stop_after, None):
        try:
            found, seen = cluster(Unfinished(store, Named(), Clock(EVERY)), stop_after=stop)
        except Stopped:
            assert stop is not None
    # The state is saved after an epoch is told, so the epoch that stopped it is done again.
    assert seen == list(range(stop_after, 5))
    assert np.array_equal(found.labels, whole.labels)
    assert np.array_equal(found.losses, whole.losses)


def test_heads_that_were_grouped_otherwise_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.store.unfinished.SHARE", 0.0)
    store, whole = Store(tmp_path), cluster()[0]
    with pytest.raises(Stopped):
        cluster(Unfinished(store, Named(), Clock(EVERY)), stop_after=3)
    monkeypatch.setattr(module, "_CACHED", 1)
    found, seen = cluster(Unfinished(store, Named()))
    assert seen[0] == 1
    assert np.array_equal(found.labels, whole.labels)


def test_a_damaged_state_counts_as_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Stopped):
        cluster(Unfinished(store, Named(), Clock(EVERY)), stop_after=3)
    path = tmp_path / "unfinished" / "k.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert cluster(Unfinished(store, Named()))[1][0] == 1


def test_saving_takes_a_fiftieth_of_the_time_at_most(tmp_path: Path) -> None:
    clock, saves = Clock(0.0), []
    unfinished = Unfinished(Store(tmp_path), Named(), clock)

    def state() -> dict[str, np.ndarray]:
        saves.append(clock.now)
        clock.now += 10.0  # what a save takes
        return {"x": np.zeros(1)}

    for _ in range(2000):
        clock.now += 1.0
        unfinished.save(state)
    assert saves[0] == EVERY
    assert np.diff(saves).min() >= 10.0 * SHARE
    assert len(saves) == 4


def test_a_state_is_thrown_away_with_the_end_and_its_seconds_count(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def stopped() -> dict[str, np.ndarray]:
        Unfinished(store, Named(), Clock(EVERY)).save(lambda: {"x": np.arange(3)})
        raise Stopped

    with pytest.raises(Stopped):
        store.get(Named(), stopped)
    assert [(item.kind, item.title) for item in stored(tmp_path)] == [("unfinished", "seed 3")]
    made = store.get(Named(), lambda: {"x": np.arange(4)})
    assert [item.kind for item in stored(tmp_path)] == ["clusters"]
    assert EVERY <= made.seconds == store.record(Named()).seconds < EVERY + 5


def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    found, _ = cluster(Unfinished(Store(tmp_path), Named(), Clock(EVERY)))
    assert np.array_equal(found.labels, cluster()[0].labels)


STOPPING = """
import os, signal, sys
from bench.store import unfinished
unfinished.EVERY = unfinished.SHARE = 0.0  # after every epoch
from bench.store.unfinished import Unfinished

save, stop_after = Unfinished.save, int(sys.argv.pop(1))

def told(self, state):
    save(self, state)
    epoch = int(state()["epoch"])
    print("epoch", epoch, file=sys.stderr, flush=True)
    if epoch == stop_after:
        os.kill(os.getpid(), signal.SIGKILL)  # as by the system when memory is short

Unfinished.save = told
from bench.cli import main
main()
"""
METHOD = "elfs(heads=2,cluster_epochs=4,beta=0.1)"
SELECT = ["select", "--embeddings", "x.npy", "--classes", "10", "--budget", "40", "--seed", "3", "--method", METHOD]
RUN = ["run", "--datasets", "digits", "--pool-size", "200", "--rates", "0.9", "--seeds", "3,", "--methods", METHOD]
RUN += ["--executor", "local", "--recipe", "iterations=8,evaluations=1,proxy_epochs=2"]


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize(("command", "out"), [(SELECT, "to_label.csv"), (RUN, "run")], ids=["select", "run"])
def test_a_killed_command_goes_on_within_temi(tmp_path: Path, command: list[str], out: str) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32))
    (tmp_path / "stopping.py").write_text(STOPPING)

    def run(folder: str, stop_after: int) -> list[int]:
        """The epochs after which a state was saved."""
        places = ["--out", f"{folder}/{out}", "--cache-dir", f"{folder}/cache", "--device", "cpu"]
        (tmp_path / folder).mkdir(exist_ok=True)
        words = [sys.executable, "stopping.py", str(stop_after), *command, *places]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == (-signal.SIGKILL if stop_after else 0), done.stderr
        return [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("epoch ")]

    assert run("stopped", 2) == [1, 2]
    assert run("stopped", 0) == [3]
    assert run("whole", 0) == [1, 2, 3]
    labels = [
        [
            present(Store(tmp_path / folder / "cache").load(cast(Keyed, item))).arrays  # it reads kind and key alone
            for item in stored(tmp_path / folder / "cache", kinds)
        ]
        for folder in ("stopped", "whole")
        for kinds in (["pseudo-labels"],)
    ]
    for ours, theirs in zip(*labels, strict=True):
        assert np.array_equal(ours["labels"], theirs["labels"])
        assert np.array_equal(ours["losses"], theirs["losses"])
    assert stored(tmp_path / "stopped" / "cache", ["unfinished"]) == []
