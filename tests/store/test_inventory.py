from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from bench.store.cache import Store
from bench.store.inventory import damage, remove, stored, sweep, to_prune, used_before

DAY = 86400.0
NOW = time.time()  # when the tests were collected


@dataclass(frozen=True)
class Named:
    key: str
    kind: str = "numbers"

    def describe(self) -> Mapping[str, Any]:
        inner = {"dataset": {"name": "digits"}, "encoder": {"name": "pixels"}}
        return {"kind": self.kind, "embeddings": inner, "method": "elfs", "rate": 0.9, "seed": 3}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for number, stage in enumerate((Named("a"), Named("b"), Named("c", "others"))):
        zeros = np.zeros(1000 * (number + 1), dtype=np.uint8)
        store.get(stage, partial(dict, x=zeros))
        used = NOW - (number + 1) * DAY
        os.utime(store.root / stage.kind / f"{stage.key}.json", (used, used))
        os.utime(store.root / stage.kind / f"{stage.key}.npz", (used, used))
    return store


def test_every_artifact_is_described(store: Store) -> None:
    items = stored(store.root)
    assert [(item.kind, item.key) for item in items] == [("numbers", "a"), ("numbers", "b"), ("others", "c")]
    assert [item.size // 1000 for item in items] == [1, 2, 3]
    assert items[0].title == "digits, pixels, elfs, rate 0.9, seed 3"
    assert NOW - 1 < items[0].created <= time.time()
    assert [NOW - item.used for item in items] == pytest.approx([DAY, 2 * DAY, 3 * DAY], abs=0.01)
    assert [item.key for item in stored(store.root, ["others"])] == ["c"]
    assert stored(store.root / "nothing here") == []


def test_reading_counts_as_use(store: Store) -> None:
    store.load(Named("b"))
    assert stored(store.root)[1].used > NOW - 1


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_damage_at_every_tenth_byte_is_found(store: Store, suffix: str) -> None:
    [item, *_] = stored(store.root)
    path = item.record.with_suffix(suffix)
    whole = path.read_bytes()
    assert damage(item) is None
    for length in range(0, len(whole), 10):
        path.write_bytes(whole[:length])
        assert damage(item), f"cut to {length} bytes"
    path.unlink()
    assert damage(item) == f"{suffix[1:]} file missing"
    assert len(stored(store.root)) == 3, "half an artifact takes room too"


def test_limits_choose_the_longest_unused(store: Store) -> None:
    items = stored(store.root)
    keys = lambda chosen: [item.key for item in chosen]  # noqa: E731
    assert keys(to_prune(items)) == ["c", "b", "a"]
    assert keys(to_prune(items, unused_for=1.5 * DAY)) == ["c", "b"]
    assert to_prune(items, older_than=DAY) == [], "they were made just now"
    assert keys(to_prune(items, older_than=DAY, now=time.time() + 2 * DAY)) == ["c", "b", "a"]
    total = sum(item.size for item in items)
    assert to_prune(items, max_bytes=total) == []
    assert keys(to_prune(items, max_bytes=total - 1)) == ["c"]
    assert keys(to_prune(items, max_bytes=items[0].size)) == ["c", "b"]
    assert keys(to_prune(items, max_bytes=0, unused_for=2.5 * DAY)) == ["c"], "every condition must hold"


def test_what_is_being_made_is_not_removed(store: Store) -> None:
    [item, other, _] = stored(store.root)
    with FileLock(item.record.with_suffix(".lock")):
        assert not remove(item)
    assert Named("a") in store
    assert remove(item)
    assert remove(other)
    assert sorted(path.name for path in store.root.rglob("*") if path.is_file()) == ["c.json", "c.lock", "c.npz"]
    assert not store.get(Named("a"), lambda: {"x": np.zeros(3)}).reused


def test_abandoned_temporary_files_are_swept_and_fresh_ones_kept(store: Store) -> None:
    old, fresh = (store.root / "numbers" / f".tmp-{name}" for name in ("old", "fresh"))
    for path in (old, fresh):
        path.write_bytes(b"0123456789")
    os.utime(old, (0, time.time() - 2 * 3600))
    assert sweep(store.root) == 10
    assert fresh.exists()
    assert not old.exists()
    assert len(stored(store.root)) == 3


@dataclass(frozen=True)
class Embedded:
    key: str
    size: int
    kind: str = "embeddings"

    def describe(self) -> Mapping[str, Any]:
        return {
            "kind": self.kind,
            "encoder": {"name": "timm", "params": {"name": "resnet10t.c3_in1k", "size": self.size}},
        }


def test_calls_are_told_as_they_are_typed_the_last_used_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for age, stage in ((2, Embedded("a", 32)), (1, Embedded("b", 64)), (3, Embedded("c", 64))):
        store.get(stage, partial(dict, x=np.zeros(1)))
        for suffix in (".json", ".npz"):
            os.utime(tmp_path / "embeddings" / f"{stage.key}{suffix}", (NOW - age * DAY,) * 2)
    calls = used_before(tmp_path, "encoder", ["embeddings"])
    assert calls == ["timm(name=resnet10t.c3_in1k, size=64)", "timm(name=resnet10t.c3_in1k, size=32)"]
    assert used_before(tmp_path, "model", ["embeddings"]) == used_before(tmp_path, "encoder", ["others"]) == []
