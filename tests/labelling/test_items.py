"""The user's items as a pool: what identifies them, and what a method can read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import LabelAccessError, SelectionError
from bench.grammar import parse_call
from bench.labelling.items import ComputeSettings, ItemsSession, embed_images, items_selection, proxy_for
from bench.labelling.rows import StoredRows
from bench.parts import EMBEDDINGS, IMAGES, NO_OPTIONS
from bench.stages.selection import Selection
from tests.digits import load_digits
from tests.labelling.cases import digits


def selection(rows: np.ndarray | StoredRows, method: str = "kcenter", seed: int = 0, classes: int = 10) -> Selection:
    return items_selection(rows, parse_call(method), budget=20, classes=classes, seed=seed)


def session(folder: Path, rows: np.ndarray) -> ItemsSession:
    return ComputeSettings(folder, "cpu", 1, lambda title: lambda done, total: None).session(rows)


def test_items_are_known_by_their_numbers_alone() -> None:
    rows = digits()
    key = selection(rows).key
    assert selection(rows.copy(order="F")).key == key
    assert selection(StoredRows(rows.astype(np.float64))).key == key
    changed = rows.copy()
    changed[299, 63] += 1
    others = [selection(changed), selection(rows, seed=1), selection(rows, "herding"), selection(rows[:299])]
    assert len({key, *(other.key for other in others)}) == 5


def test_a_selection_on_items_is_stored_and_found_again(tmp_path: Path) -> None:
    rows, stage = digits(), selection(digits())
    first = session(tmp_path, rows).get(stage)
    again = session(tmp_path, rows).get(stage)
    assert (first.reused, again.reused) == (False, True)
    np.testing.assert_array_equal(first.arrays["indices"], again.arrays["indices"])
    assert len(np.unique(first.arrays["indices"])) == 20


def test_a_method_can_read_copies_of_the_embeddings_and_nothing_else(tmp_path: Path) -> None:
    rows, stage = digits(), selection(digits())
    source = session(tmp_path, rows).source(stage)
    received = source.read(EMBEDDINGS, NO_OPTIONS)
    np.testing.assert_array_equal(received, rows)
    assert not np.shares_memory(received, rows)
    with pytest.raises(SelectionError, match="reads images; `bench select` gives a method embeddings only"):
        source.read(IMAGES, NO_OPTIONS)
    with pytest.raises(LabelAccessError, match="unlabelled items have none"):
        source.labels()


def test_images_in_memory_are_embedded_once_and_known_by_shape_and_content(tmp_path: Path) -> None:
    images = (load_digits().images[:12] * 15).astype(np.uint8)[:, None]

    def embedded(pictures: np.ndarray) -> np.ndarray:
        return embed_images(pictures, parse_call("pixels(size=8)"), tmp_path, device="cpu", threads=1)

    first = embedded(images)
    assert first.dtype == np.float32
    assert len(first) == 12
    np.testing.assert_array_equal(embedded(images), first)
    assert len(list(tmp_path.glob("embeddings/*.npz"))) == 1
    embedded(images.reshape(12, 1, 4, 16))
    embedded(255 - images)
    assert len(list(tmp_path.glob("embeddings/*.npz"))) == 3, "the same bytes in another shape are other images"


@pytest.mark.parametrize(("size", "batch"), [(9_999, 256), (10_000, 1024)])
def test_the_proxy_is_a_linear_probe_that_needs_no_images(size: int, batch: int) -> None:
    proxy = proxy_for(size)
    assert proxy.model.name == "linear_probe"
    assert (proxy.recipe.batch_size, proxy.recipe.augmentation) == (batch, "none")
