from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from bench import select
from bench.errors import DataError, LabelAccessError, SpecError, UnknownName
from bench.grammar import Call, parse_call
from bench.knn import unit_rows
from bench.labelling.choose import affordable, check_method
from bench.labelling.duplicates import without_duplicates
from bench.labelling.vectors import read_embeddings
from bench.plugins import methods


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.sampled_from([0.9, 0.99, 1.0]), st.integers(0, 10))
def test_no_two_items_that_stay_are_near_duplicates(size: int, similarity: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, 6))
    rows = (
        centres[rng.integers(4, size=size)] + rng.choice([0, 0.05, 0.5], size=(size, 1)) * rng.normal(size=(size, 6))
    ).astype(np.float32)
    kept = without_duplicates(rows, similarity)
    dropped = np.setdiff1d(np.arange(size), kept)
    for a in kept:
        assert all(cosine(rows[a], rows[b]) < similarity + 1e-5 for b in kept if b != a) or similarity == 1.0
    for a in dropped:
        assert any(cosine(rows[a], rows[b]) > similarity - 1e-5 for b in kept if b < a)


@pytest.mark.parametrize(
    "method", ["zcore", "kmeans-sampling", "typiclust", "kcenter", "elfs(clustering=kmeans,beta=0.1)"]
)
def test_the_scale_of_embeddings_changes_no_choice(method: str, tmp_path: Path) -> None:
    """Case F17 of 2026-11-28: squares of such numbers leave the range of float32."""
    rows = load_digits().data[:60] + 1

    def chosen(array: np.ndarray) -> list[int]:
        return select(array, budget=20, method=method, num_classes=4, cache_dir=tmp_path).order.tolist()

    expected = chosen(rows)
    assert chosen((rows * 2.0**-105).astype(np.float32)) == expected
    assert chosen((rows * 2.0**62).astype(np.float32)) == expected
    assert chosen(rows * 2.0**-300) == expected, "float64 that float32 would take for 0"


def test_the_search_for_near_duplicates_says_how_far_it_is() -> None:
    told = []
    rows = np.random.default_rng(0).normal(size=(2500, 4)).astype(np.float32)
    without_duplicates(rows, 0.98, progress=lambda done, total: told.append((done, total)))
    assert told == [(1024, 2500), (2048, 2500), (2500, 2500)]


def test_many_copies_leave_one() -> None:
    rows = np.vstack([np.tile([1.0, 0, 0], (70, 1)), np.tile([0, 1.0, 0], (3, 1))]).astype(np.float32)
    np.testing.assert_array_equal(without_duplicates(rows, 0.98), [0, 70])


def test_a_method_that_reads_labels_is_refused_with_those_that_do_not() -> None:
    with pytest.raises(LabelAccessError, match=r"'ccs' reads labels.*Label-free:.*elfs"):
        check_method(Call("ccs", {}), budget=5, items=20, classes=3)
    with pytest.raises(UnknownName, match="Did you mean elfs"):
        check_method(Call("efls", {}), budget=5, items=20, classes=3)


@pytest.mark.parametrize(
    ("budget", "classes", "what"), [(1, 3, "--budget 1"), (21, 3, "--budget 21"), (5, 21, "--classes 21")]
)
def test_what_the_items_do_not_allow_is_refused(budget: int, classes: int, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        check_method(Call("elfs", {}), budget=budget, items=20, classes=classes)


@pytest.mark.parametrize("items", [20, 1_000, 100_000, 1_000_000])
def test_heads_and_epochs_shrink_with_the_pool_unless_they_are_given(items: int) -> None:
    entry = methods.get("elfs")
    params = affordable(entry, Call("elfs", {}), items, "cpu").params
    assert 3 <= params["heads"] <= 50
    assert 5 <= params["cluster_epochs"] <= 200
    assert params["heads"] * params["cluster_epochs"] * items <= max(1_000_000, 15 * items)
    assert affordable(entry, parse_call("elfs(heads=7,cluster_epochs=9)"), items, "cpu").params == {
        "heads": 7,
        "cluster_epochs": 9,
    }
    kmeans = parse_call("elfs(clustering=kmeans)")
    assert affordable(entry, kmeans, items, "cpu") == kmeans


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((1, 3)), r"shape \(1, 3\)"),
        (np.array([["a", "b"]] * 3), "holds <U1"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), r"NaN.* in 1 of 2 lines, first in line 1"),
        (np.array([[0.0, 1e300], [1.0, 0.0]]), "too large for float32"),
    ],
)
def test_embeddings_that_are_no_matrix_of_numbers_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=message):
        read_embeddings(tmp_path / "x.npy")


def test_pickled_embeddings_are_not_executed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[{}, 1]] * 2, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot read"):
        read_embeddings(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", a=np.zeros((3, 3)), b=np.zeros((3, 3)))
    with pytest.raises(DataError, match="archive of 2 arrays"):
        read_embeddings(tmp_path / "x.npz")


def exhaustive(rows: np.ndarray, similarity: float) -> list[int]:
    """In order, keep each that resembles none kept before: the definition, pair by pair."""
    kept: list[int] = []
    for place, row in enumerate(rows):
        if all(cosine(row, rows[other]) < similarity for other in kept):
            kept.append(place)
    return kept


def test_an_item_is_left_out_only_because_of_one_that_stays() -> None:
    """Two bursts of 25 on a circle, and an item just beyond them: case F1 of 2026-11-28."""
    step = np.arccos(0.98)
    angles = np.r_[0, 0.95 * step, 1.9 * step, 0.95 * step - np.linspace(1e-4, 2e-3, 25), -np.linspace(1e-4, 2e-3, 25)]
    rows = np.zeros((59, 8), np.float32)
    rows[:53, 0], rows[:53, 1], rows[53:, 2:] = np.cos(angles), np.sin(angles), np.eye(6)
    assert without_duplicates(rows, 0.98).tolist() == [0, 2, *range(53, 59)] == exhaustive(rows, 0.98)


@pytest.mark.parametrize("seed", range(20))
def test_bursts_of_any_length_are_thinned_as_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    walks = [np.cumsum(rng.normal(scale=0.04, size=(rng.integers(1, 90), 3)), axis=0) for _ in range(6)]
    rows = np.concatenate([walk + rng.normal(size=3) for walk in walks]).astype(np.float32)
    rows = rows[rng.permutation(len(rows))]
    similarity = float(rng.choice([0.9, 0.97, 0.995]))
    assert without_duplicates(rows, similarity).tolist() == exhaustive(rows, similarity)


@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1.0, 1e19, 1e30])
def test_the_scale_of_embeddings_does_not_count(scale: float) -> None:
    rows = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        scaled = (rows.astype(np.float64) * scale).astype(np.float32)
        assert without_duplicates(scaled, 0.98).tolist() == list(range(100))
        lengths = np.linalg.norm(unit_rows(scaled).astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_rows_of_zeros_resemble_each_other_alone() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    rows[[0, 7, 30]] = 0
    expected = [place for place in range(40) if place not in (7, 30)]
    assert without_duplicates(rows, 0.98).tolist() == expected
    assert 0 in without_duplicates(rows, 0.5)
    assert len(without_duplicates(rows, 0.5)) > 20


def test_a_stored_matrix_reads_as_float32_whole_or_in_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for stored in (
        rng.normal(size=(9, 4)).astype(np.float16),
        rng.normal(size=(9, 4)),
        rng.integers(-5, 5, (9, 4)),
        np.asfortranarray(rng.normal(size=(9, 4))),
        rng.normal(size=(9, 4)).astype(">f4"),
    ):
        np.save(tmp_path / "x.npy", stored)
        rows, names = read_embeddings(tmp_path / "x.npy")
        assert names is None
        assert isinstance(rows.stored, np.memmap), "the file is not read as a whole"
        for part in (slice(None), slice(2, 5), np.array([7, 0, 3])):
            assert rows[part].dtype == np.float32
            assert rows[part].flags.c_contiguous
            np.testing.assert_array_equal(rows[part], stored[part].astype(np.float32))


def test_embeddings_choose_alike_whatever_they_are_stored_as(tmp_path: Path) -> None:
    rows = load_digits().data[:100].astype(np.float16)
    chosen = [
        select(array, budget=10, method="kmeans-sampling", num_classes=5, cache_dir=tmp_path).order.tolist()
        for array in (rows, rows.astype(np.float32), rows.astype(np.float64), rows.astype(np.int32))
    ]
    assert chosen[1:] == chosen[:1] * 3
    assert len(list(tmp_path.glob("selection/*.npz"))) == 1, "the same numbers are the same items"


@pytest.mark.parametrize("name", ["X", "labelled", "exclude", "groups"])
def test_masks_are_not_silently_dropped(name: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "X": np.ma.masked_array(load_digits().data[:60]),
        "labelled": np.ma.masked_array([1, 2, 3]),
    }
    given |= {"exclude": np.ma.masked_array([4, 5]), "groups": np.ma.masked_array(np.arange(60) // 2)}
    options: dict[str, Any] = {"budget": 10, "num_classes": 3, "method": "random", "cache_dir": tmp_path}
    assert len(select(**given, **options).indices) == 10, "nothing is masked"
    given[name][1] = np.ma.masked
    with pytest.raises(
        DataError, match=rf"{name} is a masked array of which \d+ of [\d,]+ values are masked, the first at \[1"
    ):
        select(**given, **options)
