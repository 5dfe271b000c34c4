"""Rounds of labelling: what is labelled, excluded or grouped, and orders of which every beginning is a good choice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import bench
from bench.cli import app
from bench.errors import SpecError
from bench.labelling.default import find_method
from bench.plugins import methods
from tests.digits import load_digits
from tests.labelling.cases import coverage, digits

LABEL_FREE = [
    pytest.param(item.name, marks=[pytest.mark.integration] * (item.name == "zcore"))
    for item in methods
    if item.info.supervision in ("none", "pseudo") and not item.info.unpruned
]
QUICK = {"elfs": "elfs(clustering=kmeans)"}


@pytest.mark.parametrize("method", LABEL_FREE)
def test_every_beginning_of_an_order_is_a_good_choice(tmp_path: Path, method: str) -> None:
    """It covers the items better than nearly all other parts of the choice of that size do."""
    rows, rng = digits(), np.random.default_rng(0)
    chosen = bench.select(rows, budget=40, num_classes=10, method=QUICK.get(method, method), cache_dir=tmp_path)
    assert sorted(chosen.order.tolist()) == chosen.indices.tolist()
    if method == "random":
        return
    for length in (5, 10, 20):
        own = coverage(rows, chosen.order[:length])
        others = [coverage(rows, rng.choice(chosen.order, length, replace=False)) for _ in range(30)]
        assert own >= np.quantile(others, 0.95), length


@pytest.mark.integration
def test_a_random_order_is_a_uniform_draw_and_costs_no_clusters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.labelling.choose.fit_kmeans", lambda *_, **__: pytest.fail("clustered"))
    monkeypatch.setattr("bench.labelling.choose.by_complement", lambda *_, **__: pytest.fail("ordered"))
    drawn = [
        bench.select(digits(40), budget=20, num_classes=4, method="random", seed=seed, cache_dir=tmp_path)
        for seed in range(60)
    ]
    assert all(chosen.clusters is None for chosen in drawn)
    first = np.bincount([item for chosen in drawn for item in chosen.order[:10]], minlength=40)
    assert first.max() <= 30, "600 draws of 40: 15 each, and 30 in one is out of the question"
    assert first.min() >= 3


@pytest.mark.parametrize("method", LABEL_FREE)
def test_a_second_round_complements_the_first(tmp_path: Path, method: str) -> None:
    rows, rng = digits(), np.random.default_rng(1)
    labelled = np.flatnonzero(load_digits().target[:300] < 5)[:60]
    given: dict[str, Any] = {"num_classes": 10, "method": QUICK.get(method, method), "cache_dir": tmp_path}
    chosen = bench.select(rows, budget=20, labelled=labelled, **given)
    assert len(chosen.indices) == 20
    assert not np.isin(chosen.indices, labelled).any()
    if method == "random":
        return
    own = coverage(rows, np.union1d(labelled, chosen.indices))
    candidates = np.setdiff1d(bench.select(rows, budget=20 + len(labelled), **given).indices, labelled)
    assert np.isin(chosen.indices, candidates).all(), "what the method itself keeps of so many"
    others = [coverage(rows, np.union1d(labelled, rng.choice(candidates, 20, replace=False))) for _ in range(30)]
    assert own >= max(others)


@pytest.mark.parametrize("method", ["kmeans-sampling", "kcenter", "prototypicality", "herding"])
@pytest.mark.parametrize("grouped", [False, True])
def test_every_beginning_of_a_second_round_is_a_good_choice(tmp_path: Path, method: str, grouped: bool) -> None:
    """Beside what is labelled, and of groups that give two items each."""
    rows, rng = digits(), np.random.default_rng(2)
    labelled = np.flatnonzero(load_digits().target[:300] < 3)[:20]
    given: dict[str, Any] = {"groups": np.arange(300) // 6, "per_group": 2} if grouped else {}
    chosen = bench.select(
        rows, budget=30, num_classes=10, method=method, labelled=labelled, cache_dir=tmp_path, **given
    )
    for length in (3, 8, 15):
        own = coverage(rows, np.append(labelled, chosen.order[:length]))
        drawn = [rng.choice(chosen.order, length, replace=False) for _ in range(30)]
        assert own >= np.quantile([coverage(rows, np.append(labelled, some)) for some in drawn], 0.95), length


def test_the_default_is_what_the_study_says(tmp_path: Path) -> None:
    given: dict[str, Any] = {"num_classes": 10, "cache_dir": tmp_path}
    taken = [bench.select(digits(), budget=budget, **given).method for budget in (10, 50)]
    assert taken == ["kmeans-sampling", "kmeans-sampling"]
    assert [find_method("default", items=items).name for items in (20_000, 20_001)] == ["kmeans-sampling", "maxherding"]


def test_rounds_of_the_default_cover_as_well_as_one(tmp_path: Path) -> None:
    rows = digits()
    given: dict[str, Any] = {"num_classes": 10, "cache_dir": tmp_path}
    once = bench.select(rows, budget=40, **given).order
    first = bench.select(rows, budget=20, **given).order
    second = bench.select(rows, budget=20, labelled=first, **given).order
    assert coverage(rows, np.union1d(first, second)) >= 0.97 * coverage(rows, once)


def test_excluded_items_are_never_chosen(tmp_path: Path) -> None:
    excluded = np.arange(0, 300, 2)
    chosen = bench.select(digits(), budget=150, num_classes=10, exclude=excluded, cache_dir=tmp_path)
    assert chosen.indices.tolist() == list(range(1, 300, 2))
    with pytest.raises(bench.SpecError, match="of 300 items 150 are labelled or excluded, and 150 are left"):
        bench.select(digits(), budget=151, num_classes=10, exclude=excluded, cache_dir=tmp_path)


@pytest.mark.parametrize("most", [1, 2])
def test_a_group_gives_no_more_than_it_may(tmp_path: Path, most: int) -> None:
    groups = np.repeat(np.arange(60), 5)
    given: dict[str, Any] = {"num_classes": 10, "groups": groups, "per_group": most, "cache_dir": tmp_path}
    chosen = bench.select(digits(), budget=50, labelled=np.array([0, 7]), **given)
    counts = np.bincount(groups[np.append(chosen.order, [0, 7])], minlength=60)
    assert counts.max() <= most
    with pytest.raises(bench.SpecError, match=f"more than --per-group {most} of their group"):
        bench.select(digits(), budget=60 * most + 1, **given)


def test_what_is_said_of_a_round(tmp_path: Path) -> None:
    """The newcomer's words: no stage, no rate; and of how many clusters, with what is labelled."""
    np.save(tmp_path / "x.npy", digits())
    (tmp_path / "groups.csv").write_text("item,group\n" + "".join(f"{i},{i // 10}\n" for i in range(300)))
    given = ["select", "--embeddings", str(tmp_path / "x.npy"), "--classes", "10", "--cache-dir", str(tmp_path)]
    given += ["--method", "kmeans-sampling", "--threads", "1", "--budget", "20"]
    first = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "a.csv")])
    known = [option for name in ("--labelled", "--exclude") for option in (name, str(tmp_path / "a.csv"))]
    second = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "b.csv"), *known])
    groups = ["--groups", str(tmp_path / "groups.csv"), "--per-group", "all"]
    third = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "c.csv"), *groups])
    assert re.search(r"20 of 300 items chosen by kmeans-sampling, from \d+ of 10 clusters\.", first.output)
    together = r"They complement 20 labelled items. Together they come from \d+ of 10 clusters\."
    assert re.search(together, second.output)
    assert re.search(together, (tmp_path / "b.html").read_text())
    assert "They complement" not in (tmp_path / "a.html").read_text()
    assert re.search(r"from \d+ of 10 clusters, in 2 whole groups\.", third.output)
    for done in (first, second, third):
        assert done.exit_code == 0, done.output or done.exception
        assert "choosing by kmeans-sampling" in done.stderr
        assert not re.search(r"\brate\b|coreset|\bpool\b|\bfitting\b|seed 0", done.output + done.stderr)


@pytest.mark.parametrize("method", ["random", "kmeans-sampling"])
def test_fewer_items_than_classes_may_be_left(tmp_path: Path, method: str) -> None:
    """The labelled items are clustered too, so a last round needs no other number of classes."""
    rows = np.random.default_rng(0).normal(size=(40, 4))
    chosen = bench.select(
        rows, budget=3, num_classes=10, method=method, labelled=np.arange(35), cache_dir=tmp_path, device="cpu"
    )
    assert len(chosen.order) == 3
    assert chosen.order.min() >= 35
    with pytest.raises(SpecError, match="10 classes are not valid: of 40 items 35 are excluded; 5 items can form"):
        bench.select(
            rows, budget=3, num_classes=10, method="kcenter", exclude=np.arange(35), cache_dir=tmp_path, device="cpu"
        )


@pytest.mark.integration
def test_near_duplicates_are_kept_out_from_python_as_on_the_command_line(tmp_path: Path) -> None:
    rows = np.repeat(digits(40), 3, axis=0)
    np.save(tmp_path / "x.npy", rows)
    given = ("--embeddings", str(tmp_path / "x.npy"), "--classes", "10", "--budget", "30", "--skip-duplicates")
    where = ("--out", str(tmp_path / "x.csv"), "--cache-dir", str(tmp_path / "cache"), "--threads", "1", "-q")
    done = CliRunner().invoke(app, ["select", *given, *where])
    assert done.exit_code == 0, done.output or done.exception
    chosen = bench.select(rows, budget=30, num_classes=10, similarity=0.98, cache_dir=tmp_path / "other")
    listed = (tmp_path / "x.csv").read_text().splitlines()[1:]
    assert [int(line.split(",")[1]) for line in listed] == chosen.order.tolist()
    assert len(set((chosen.order // 3).tolist())) == 30
    assert chosen.warnings == ()
    with pytest.raises(SpecError, match=r"similarity=2 is not valid: a cosine from 0\.5 to 1, or None"):
        bench.select(rows, budget=30, num_classes=10, similarity=2)


def test_a_round_that_fills_the_gaps_of_the_last_one_is_no_collapse(tmp_path: Path) -> None:
    """Of ten tight clusters five are labelled; the next choice comes from the other five."""
    rng = np.random.default_rng(0)
    rows, clusters = np.repeat(np.eye(10, dtype=np.float32), 30, axis=0), np.repeat(np.arange(10), 30)
    rows += 0.02 * rng.normal(size=rows.shape).astype(np.float32)
    chosen = bench.select(rows, budget=10, num_classes=10, labelled=np.flatnonzero(clusters < 5), cache_dir=tmp_path)
    assert np.bincount(clusters[chosen.order]).tolist() == [0] * 5 + [2] * 5
    assert chosen.warnings == ()
