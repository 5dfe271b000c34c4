"""The choice of items: methods, numbers, and what the items do not allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import select
from bench.errors import DataError, LabelAccessError, SpecError, UnknownName
from bench.grammar import Call, parse_call
from bench.labelling.choose import affordable, check_request, rough_clusters
from bench.plugins import methods
from tests.digits import load_digits
from tests.labelling.cases import digits


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


def test_a_method_that_reads_labels_is_refused_with_those_that_do_not() -> None:
    with pytest.raises(LabelAccessError, match=r"'ccs' reads labels.*Label-free:.*elfs"):
        check_request(Call("ccs", {}), budget=5, items=20, classes=3)
    with pytest.raises(UnknownName, match="Did you mean elfs"):
        check_request(Call("efls", {}), budget=5, items=20, classes=3)


@pytest.mark.parametrize(
    ("budget", "classes", "what"), [(1, 3, "budget 1 "), (21, 3, "budget 21 "), (5, 21, "21 classes ")]
)
def test_what_the_items_do_not_allow_is_refused(budget: int, classes: int, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        check_request(Call("elfs", {}), budget=budget, items=20, classes=classes)


@pytest.mark.parametrize(("items", "said"), [(0, "there is none"), (1, "there is 1")])
def test_of_one_item_nothing_is_chosen(items: int, said: str) -> None:
    """The message was: of 1 items 2 to 1 can be kept."""
    with pytest.raises(SpecError, match=f"nothing can be chosen: of 3 files .*; a choice needs at least 2 .* {said}"):
        check_request(Call("random", {}), budget=2, items=items, classes=2, left_out="of 3 files 2 could not be read; ")


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


def test_more_classes_than_rows_of_the_rough_clustering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.labelling.choose._ROUGH", 50)
    labels = rough_clusters(digits(), 60, np.random.default_rng(0))
    assert labels.shape == (300,)
    assert 50 < len(np.unique(labels)) <= 60


@pytest.mark.parametrize(("given", "message"), [({"seed": -1}, "seed=-1"), ({"threads": 0}, "threads=0")])
def test_numbers_out_of_range_are_refused_before_any_work(given: Any, message: str) -> None:
    with pytest.raises(bench.SpecError, match=f"{message} is not valid: a whole number from"):
        bench.select(digits(), budget=20, num_classes=4, **given)
