"""Near-duplicates, by slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.knn import unit_rows
from bench.labelling.duplicates import without_duplicates


@given(st.integers(1, 12), st.sampled_from([0.5, 0.9, 1.0]), st.integers(0, 2**31))
def test_against_the_definition(size: int, similarity: float, seed: int) -> None:
    # Few directions of whole coordinates, so that many are the same and cosines lie apart.
    rows = np.random.default_rng(seed).integers(-1, 2, (size, 3)).astype(np.float32)

    def same(one: int, other: int) -> bool:
        a, b = rows[one].astype(float), rows[other].astype(float)
        if not a.any() or not b.any():
            return not a.any() and not b.any()
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) >= similarity - 1e-9

    stay: list[int] = []
    for item in range(size):
        if not any(same(item, earlier) for earlier in stay):
            stay.append(item)
    assert without_duplicates(rows, similarity).tolist() == stay


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_lengths_play_no_part(scale: float) -> None:
    rows = np.array([[1, 0], [2, 0], [0, 1]], dtype=np.float32) * np.float32(scale)
    assert without_duplicates(rows, 0.99).tolist() == [0, 2]


def test_more_than_one_block_is_compared() -> None:
    rows = np.random.default_rng(0).normal(size=(1100, 8)).astype(np.float32)
    told: list[tuple[int, int]] = []
    again = np.concatenate([rows, rows[::-1] * 3])
    kept = without_duplicates(again, 0.999999, progress=lambda done, whole: told.append((done, whole)))
    assert kept.tolist() == list(range(1100))
    assert told[-1] == (2200, 2200)


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


def test_the_search_for_near_duplicates_says_how_far_it_is() -> None:
    told = []
    rows = np.random.default_rng(0).normal(size=(2500, 4)).astype(np.float32)
    without_duplicates(rows, 0.98, progress=lambda done, total: told.append((done, total)))
    assert told == [(1024, 2500), (2048, 2500), (2500, 2500)]


def test_many_copies_leave_one() -> None:
    rows = np.vstack([np.tile([1.0, 0, 0], (70, 1)), np.tile([0, 1.0, 0], (3, 1))]).astype(np.float32)
    np.testing.assert_array_equal(without_duplicates(rows, 0.98), [0, 70])


def test_copies_whose_embeddings_differ_by_rounding_are_the_same() -> None:
    """As far apart as two copies of a file that an encoder saw in different batches."""
    rng = np.random.default_rng(0)
    row = rng.normal(size=1280)
    rounding = rng.normal(size=1280)
    rounding *= 2e-6 * np.linalg.norm(row) / np.linalg.norm(rounding)
    assert without_duplicates(np.array([row, row + rounding], dtype=np.float32), 1.0).tolist() == [0]


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
