"""From a name to a data set with its pool, and the fixed split."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import DataError, Recipe, register_dataset
from bench.data import Dataset, fingerprint
from bench.errors import SpecError, UnknownName
from bench.loading import load_dataset
from bench.plugins import datasets


def test_pool_is_a_fixed_part_of_the_training_split() -> None:
    whole = load_dataset("digits", {}, root=None, download=False, pool_size=None)
    first, second = (load_dataset("digits", {}, root=None, download=False, pool_size=100) for _ in range(2))
    assert np.array_equal(first.pool_index, second.pool_index)
    assert (len(first.train), len(first.test)) == (100, len(whole.test))
    assert np.array_equal(np.asarray(first.train.images), np.asarray(whole.train.images)[first.pool_index])
    assert np.array_equal(first.train.labels, whole.train.labels[first.pool_index])
    assert fingerprint(first) == fingerprint(second) != fingerprint(whole)


def test_another_seed_of_the_pool_draws_other_images() -> None:
    def drawn(**given: Any) -> Dataset:
        return load_dataset("digits", {}, root=None, download=False, pool_size=100, **given)

    usual, other = drawn().pool_index, drawn(pool_seed=1).pool_index
    np.testing.assert_array_equal(usual, drawn(pool_seed=0).pool_index)
    np.testing.assert_array_equal(other, drawn(pool_seed=1).pool_index)
    assert len(np.intersect1d(usual, other)) < 30  # 7 by chance
    assert len(set(other.tolist())) == 100


@pytest.mark.parametrize("size", [0, -1, 1439])
def test_a_pool_that_does_not_fit_is_explained(size: int) -> None:
    with pytest.raises(DataError, match=rf"dataset digits: pool_size={size} is not valid: .* 1438 images"):
        load_dataset("digits", {}, root=None, download=False, pool_size=size)


def test_an_unknown_name_or_parameter_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean digits"):
        load_dataset("digit", {}, root=None, download=False, pool_size=None)
    with pytest.raises(UnknownName, match="Did you mean merge_valid"):
        load_dataset("cinic10", {"merge_val": True}, root=None, download=False, pool_size=None)


@pytest.fixture
def made_up() -> Iterator[list[Any]]:
    """A data set whose reader returns the last item of a list."""
    given: list[Any] = []
    recipe = Recipe(iterations=10, proxy_epochs=1, batch_size=8)
    usual: dict[str, Any] = {"num_classes": None, "image_size": None, "mean": (0.5,), "std": (0.5,), "recipe": recipe}

    @register_dataset("made-up", **usual, model="small_cnn", encoder="pixels", source="a test")
    def read(root: Path | None) -> Any:
        """Whatever was given."""
        return given[-1]

    yield given
    datasets.remove("made-up")


def test_a_reader_that_returns_something_else_is_named(made_up: list[Any]) -> None:
    made_up.append((np.zeros((3, 1, 4, 4), np.uint8), [0, 1, 1]))
    with pytest.raises(
        DataError, match=r"dataset made-up: its reader returned tuple, not a data set from bench\.make_dataset"
    ):
        load_dataset("made-up", {}, root=None, download=False, pool_size=None)


def test_download_is_no_parameter_of_the_data() -> None:
    with pytest.raises(SpecError, match="use --download"):
        load_dataset("cifar10", {"download": True}, root=None, download=False, pool_size=None)


def test_download_is_harmless_where_nothing_is_fetched() -> None:
    fetched = load_dataset("digits", {}, root=None, download=True, pool_size=None)
    assert fingerprint(fetched) == fingerprint(load_dataset("digits", {}, root=None, download=False, pool_size=None))


@pytest.mark.integration
def test_listing_the_data_sets_imports_nothing_heavy() -> None:
    code = "import sys; from bench.plugins import datasets; list(datasets); print(*sys.modules)"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "bench.datasets.cifar" in listed
    assert not {"torch", "torchvision", "sklearn", "scipy", "pandas", "PIL", "mlxtend"} & set(listed)
