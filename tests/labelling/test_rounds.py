"""Rounds of labelling: what is labelled, excluded or grouped, and orders of which every beginning is a good choice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import bench
from bench.cli import app
from bench.knn import unit_rows
from bench.labelling.candidates import Limits, find_candidates, limits_of
from bench.labelling.choose import rough_clusters
from bench.labelling.collapse import collapse
from bench.labelling.default import find_method
from bench.labelling.lists import Lookup, read_groups, read_list
from bench.labelling.order import by_complement
from bench.plugins import methods
from tests.narrowing import present

LABEL_FREE = [item.name for item in methods if item.info.supervision in ("none", "pseudo") and not item.info.unpruned]
QUICK = {"elfs": "elfs(clustering=kmeans)"}


def digits(size: int = 300) -> np.ndarray:
    return load_digits().data[:size].astype(np.float32)


def coverage(rows: np.ndarray, picks: np.ndarray) -> float:
    """Sum over rows of exp(-d^2) to the nearest pick, by the definition."""
    unit = unit_rows(rows).astype(np.float64)
    squares = ((unit[:, None] - unit[picks][None]) ** 2).sum(-1)
    return float(np.exp(-squares).max(1).sum())


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


def test_near_duplicates_of_what_is_labelled_are_left_out() -> None:
    rows = digits(50)
    twice = np.concatenate([rows, rows[:10]])
    labelled = np.arange(50, 60)
    found = find_candidates(twice, Limits(labelled=labelled, similarity=0.99999), np.random.default_rng(0))
    assert found.positions.tolist() == list(range(10, 50))
    assert found.duplicates.tolist() == list(range(10))


@pytest.mark.parametrize("seed", range(10))
def test_the_next_item_is_the_one_that_covers_most_beside_those_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng.normal(size=(40, 5)))
    picks, labelled = np.arange(0, 24), np.arange(30, 33)
    order = by_complement(rows, picks, labelled, rng)
    assert sorted(order.tolist()) == picks.tolist()
    taken = labelled.tolist()
    for item in order[:8]:
        gains = {int(other): coverage(rows, np.array([*taken, other])) for other in picks if other not in taken}
        assert gains[int(item)] >= max(gains.values()) - 1e-4
        taken.append(int(item))


@pytest.mark.parametrize("classes", [10, 200])
def test_rough_clusters_tell_a_collapse_from_a_varied_choice(classes: int) -> None:
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(classes), 12)
    rows = rng.normal(size=(classes, 32))[true] + 0.3 * rng.normal(size=(len(true), 32))
    clusters = rough_clusters(rows.astype(np.float32), classes, rng)
    assert not collapse(clusters[rng.permutation(len(true))[: 3 * classes]], classes)
    assert collapse(clusters[true < classes // 4], classes)


@pytest.mark.parametrize(
    ("clusters", "classes", "found"),
    [
        (np.arange(20) % 10, 10, []),
        (np.arange(20) % 2, 10, ["comes from 2 of the 10", "10 of the 20"]),
        (np.append(np.zeros(10, int), np.arange(1, 11) % 10), 10, ["11 of the 20 chosen items are of one cluster (0)"]),
        (np.arange(20) % 2, 2, []),
        (np.zeros(9, int), 10, []),
        (np.arange(3) % 3, 100, []),
    ],
)
def test_a_collapse_is_told(clusters: np.ndarray, classes: int, found: list[str]) -> None:
    told = collapse(clusters, classes)
    assert len(told) == len(found)
    assert all(part in text and "--method" in text for part, text in zip(found, told, strict=True))


NAMES = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "=4.jpg", "b/new\nline.jpg")


@pytest.mark.parametrize(
    ("file", "content", "positions"),
    [
        ("x.txt", "a/1.jpg\nb/1.jpg\n", [0, 2]),
        ("x.txt", "\ufeffa/1.jpg\r\n\r\nb/1.jpg", [0, 2]),
        ("x.csv", "order,file,cluster\n1,b/1.jpg,3\n2,a/1.jpg,0\n", [0, 2]),
        ("x.csv", "File,Label\nb/1.jpg,cat\na/1.jpg,\n./=4.jpg,dog\n", [2, 3]),
        ("x.csv", "a/1.jpg\na/2.jpg\n", [0, 1]),
        ("x.csv", 'file\n"b/new\nline.jpg"\n', [4]),
        ("x.csv", "file,label\na/1.jpg,\nb/1.jpg,\n", [0, 2]),
        ("x.csv", "file,state,rank\na/1.jpg,chosen,1\nb/1.jpg,,\n", [0]),
    ],
)
def test_lists_of_what_is_labelled(tmp_path: Path, file: str, content: str, positions: list[int]) -> None:
    path = tmp_path / file
    path.write_bytes(content.encode())
    assert read_list(path, Lookup(NAMES, tmp_path)).positions.tolist() == positions


def test_files_may_be_named_with_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(f"{tmp_path / 'photos' / 'a/1.jpg'}\n./a/2.jpg\n")
    assert read_list(path, Lookup(NAMES, tmp_path / "photos")).positions.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("x.txt", "", "is empty"),
        ("x.csv", "name,label\na/1.jpg,3\n", "has the columns name, label; expected one named file or item"),
        ("x.txt", "a/1.jpg\na/3.jpg\n", "1 of 2 names are none of the items: a/3.jpg. Did you mean a/"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, file: str, content: str, message: str) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(bench.DataError, match=message):
        read_list(tmp_path / file, Lookup(NAMES, tmp_path))
    with pytest.raises(bench.DataError, match="cannot read"):
        read_list(tmp_path / "nowhere.csv", Lookup(NAMES, tmp_path))


def test_groups_of_folders_and_of_a_list(tmp_path: Path) -> None:
    assert read_groups("folder", Lookup(NAMES, tmp_path)).tolist() == [1, 1, 2, 0, 2]
    (tmp_path / "g.csv").write_text("file,group\na/1.jpg,x\nb/1.jpg,x\na/2.jpg,y\n")
    groups = read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path))
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 4
    (tmp_path / "g.csv").write_text("file,video\na/1.jpg,x\n")
    with pytest.raises(bench.DataError, match=r"no columns file \(or item\) and group"):
        read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path))
    with pytest.raises(bench.SpecError, match="needs --images"):
        read_groups("folder", Lookup(("0", "1"), None))


def test_an_item_is_in_one_group_or_in_none(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("file,group\na/1.jpg,x\nb/1.jpg,\na/2.jpg, \na/1.jpg,x\n")
    assert len(set(read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path)).tolist())) == len(NAMES)
    (tmp_path / "g.csv").write_text("file,group\na/1.jpg,x\na/1.jpg,y\n")
    with pytest.raises(bench.DataError, match=r"a/1\.jpg in two groups, x and y"):
        read_groups(str(tmp_path / "g.csv"), Lookup(NAMES, tmp_path))


@pytest.mark.parametrize(
    "groups",
    [
        [0.0, 0.0, 1.0, np.nan, np.nan, np.nan],
        ["b", "b", "a", None, None, None],
        ["b", "b", "a", "", "", ""],
        [1, 1, "a", None, float("nan"), ""],
        np.array(["2026-01-01", "2026-01-01", "2026-01-02", "NaT", "NaT", "NaT"], dtype="datetime64[ns]"),
    ],
)
def test_items_without_a_group_are_groups_of_their_own(groups: Any) -> None:
    found = limits_of(6, None, None, groups, 1).groups
    assert found is not None
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 5
    assert present(limits_of(3, None, None, ["b", "a", "b"], 1).groups).tolist() == [1, 0, 1], (
        "numbered as they are sorted"
    )


def test_groups_that_cannot_be_told_apart_are_refused() -> None:
    groups = np.array([{}, {}, {}], dtype=object)
    with pytest.raises(bench.SpecError, match="groups holds what cannot be compared"):
        limits_of(3, None, None, groups, 1)


def test_more_classes_than_rows_of_the_rough_clustering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.labelling.choose._ROUGH", 50)
    labels = rough_clusters(digits(), 60, np.random.default_rng(0))
    assert labels.shape == (300,)
    assert 50 < len(np.unique(labels)) <= 60


@pytest.mark.parametrize(("given", "message"), [({"seed": -1}, "seed=-1"), ({"threads": 0}, "threads=0")])
def test_numbers_out_of_range_are_refused_before_any_work(given: Any, message: str) -> None:
    with pytest.raises(bench.SpecError, match=f"{message} is not valid: a whole number from"):
        bench.select(digits(), budget=20, num_classes=4, **given)


def whole(folder: Path, groups: Any, budget: int, **more: Any) -> Any:
    given: dict[str, Any] = {"num_classes": 4, "method": "kmeans-sampling", "cache_dir": folder, **more}
    return bench.select(digits(), budget=budget, groups=groups, per_group="all", **given)


@pytest.mark.parametrize("method", ["kmeans-sampling", "random", "facility-location", "elfs(clustering=kmeans,beta=0)"])
def test_groups_are_kept_whole_within_the_budget(tmp_path: Path, method: str) -> None:
    groups = np.random.default_rng(0).integers(30, size=300)
    sizes = np.bincount(groups)
    chosen = whole(tmp_path, groups, 60, method=method)
    taken = np.unique(groups[chosen.order])
    assert len(chosen.order) == sizes[taken].sum() <= 60, "all of a group or none"
    assert sizes[np.setdiff1d(np.arange(30), taken)].min() > 60 - len(chosen.order), "no other group fits"
    numbers = groups[chosen.order]
    assert len(np.flatnonzero(np.diff(numbers))) == len(taken) - 1, "one group after the other"
    assert all((np.diff(chosen.order[numbers == number]) > 0).all() for number in taken), "frames in their order"


def test_whole_groups_cover_more_than_groups_at_random(tmp_path: Path) -> None:
    """Ten groups hold one class each twenty times over; the others hold one class only, always the same."""
    labels, rng = load_digits().target[:300], np.random.default_rng(0)
    groups = np.where(labels == 0, rng.integers(8, size=300), 8 + labels)
    chosen = whole(tmp_path, groups, 100, num_classes=8)
    own = coverage(digits(), chosen.order)
    drawn = [coverage(digits(), whole(tmp_path, groups, 100, method="random", seed=seed).order) for seed in range(10)]
    assert own > np.mean(drawn)


def test_a_group_of_which_some_are_labelled_is_completed_first(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(30), 10)
    labelled = np.array([250, 252, 253])
    chosen = whole(tmp_path, groups, 30, labelled=labelled, exclude=np.array([251]))
    assert chosen.order[:6].tolist() == [254, 255, 256, 257, 258, 259]
    assert len(np.unique(groups[chosen.order])) == 3
    assert len(chosen.order) == 26


def test_groups_that_a_budget_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(bench.SpecError, match=r"--budget 9 is not valid: the smallest of 30 groups has 10 items"):
        whole(tmp_path, np.repeat(np.arange(30), 10), 9)
    with pytest.raises(bench.SpecError, match="only 1 group"):
        whole(tmp_path, np.zeros(300), 300)
    with pytest.raises(bench.SpecError, match="--per-group all needs --groups"):
        whole(tmp_path, None, 20)
    wrong: list[Any] = [0, -1, "some", 1.5]
    for per_group in wrong:
        with pytest.raises(bench.SpecError, match=f"--per-group {per_group} is not valid"):
            bench.select(digits(), budget=20, num_classes=4, groups=np.arange(300), per_group=per_group)


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
    assert re.search(
        r"They complement 20 that are labelled. Together they come from \d+ of 10 clusters\.", second.output
    )
    assert re.search(r"from \d+ of 10 clusters, in 2 whole groups\.", third.output)
    for done in (first, second, third):
        assert done.exit_code == 0, done.output or done.exception
        assert "choosing by kmeans-sampling" in done.stderr
        assert not re.search(r"\brate\b|coreset|\bpool\b|\bfitting\b|seed 0", done.output + done.stderr)
