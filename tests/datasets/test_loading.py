"""From a name to a data set with its pool, and the fixed split."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import DataError
from bench.data import fingerprint
from bench.datasets._common import stratified_split
from bench.errors import SpecError, UnknownName
from bench.loading import load_dataset


def test_pool_is_a_fixed_part_of_the_training_split() -> None:
    whole = load_dataset("digits", {}, root=None, download=False, pool_size=None)
    first, second = (load_dataset("digits", {}, root=None, download=False, pool_size=100) for _ in range(2))
    assert np.array_equal(first.pool_index, second.pool_index)
    assert (len(first.train), len(first.test)) == (100, len(whole.test))
    assert np.array_equal(np.asarray(first.train.images), np.asarray(whole.train.images)[first.pool_index])
    assert np.array_equal(first.train.labels, whole.train.labels[first.pool_index])
    assert fingerprint(first) == fingerprint(second) != fingerprint(whole)


@pytest.mark.parametrize("size", [0, -1, 1439])
def test_a_pool_that_does_not_fit_is_explained(size: int) -> None:
    with pytest.raises(DataError, match=rf"dataset digits: pool_size={size} is not valid: .* 1438 images"):
        load_dataset("digits", {}, root=None, download=False, pool_size=size)


def test_an_unknown_name_or_parameter_gets_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean digits"):
        load_dataset("digit", {}, root=None, download=False, pool_size=None)
    with pytest.raises(UnknownName, match="Did you mean merge_valid"):
        load_dataset("cinic10", {"merge_val": True}, root=None, download=False, pool_size=None)


def test_download_is_no_parameter_of_the_data() -> None:
    with pytest.raises(SpecError, match="use --download"):
        load_dataset("cifar10", {"download": True}, root=None, download=False, pool_size=None)


def test_download_is_harmless_where_nothing_is_fetched() -> None:
    fetched = load_dataset("digits", {}, root=None, download=True, pool_size=None)
    assert fingerprint(fetched) == fingerprint(load_dataset("digits", {}, root=None, download=False, pool_size=None))


@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=80), fraction=st.floats(0.01, 0.99))
def test_stratified_split_is_a_partition(labels: list[int], fraction: float) -> None:
    array = np.array(labels, dtype=np.int64)
    train, test = stratified_split(array, fraction)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for number in np.unique(array):
        size, held = int((array == number).sum()), int((array[test] == number).sum())
        assert held == (0 if size == 1 else min(max(1, round(fraction * size)), size - 1))


def test_listing_the_data_sets_imports_nothing_heavy() -> None:
    code = "import sys; from bench.plugins import datasets; list(datasets); print(*sys.modules)"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "bench.datasets.cifar" in listed
    assert not {"torch", "torchvision", "sklearn", "scipy", "pandas", "PIL", "mlxtend"} & set(listed)
