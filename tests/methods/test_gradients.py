"""Last-layer gradients as factors, and what holds for both methods that read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from bench import Outputs, SelectionError
from bench.array_source import ArraySource
from bench.errors import LabelAccessError
from bench.methods._gradients import Gradients
from bench.plugins import methods
from bench.selection import method_pool
from tests.methods.conftest import remake
from tests.methods.gradient_cases import factors, learned, run, select, with_network, written_out
from tests.narrowing import present


@given(factors())
def test_products_and_norms_are_those_of_the_gradients_written_out(case: tuple[Gradients, int]) -> None:
    gradients, _ = case
    dense = np.array(written_out(gradients))
    np.testing.assert_array_equal(gradients.products(gradients), dense @ dense.T)
    np.testing.assert_array_equal(gradients.squares(), (dense**2).sum(1))


@pytest.mark.parametrize("name", ["craig", "grad-match"])
def test_classes_are_kept_in_proportion(some_digits: ArraySource, name: str) -> None:
    source = with_network(some_digits)
    kept = run(name, source, 60)
    sizes, found = np.bincount(source.labels()), np.bincount(source.labels()[kept], minlength=10)
    assert np.abs(found - 60 * sizes / 300).max() < 1


@pytest.mark.parametrize("name", ["craig", "grad-match"])
def test_the_order_of_the_pool_changes_no_weight(some_digits: ArraySource, name: str) -> None:
    source, order = learned(some_digits)[0], np.random.default_rng(1).permutation(300)
    outputs = present(source.network)(source.embeddings(), np.arange(300), source.labels())
    # The same network for both: one that is fitted to another order differs by rounding.
    given = (outputs, Outputs(*(part[order] for part in outputs)))
    plain, shuffled = (
        select(name, replace(one, network=lambda *_, out=out: Outputs(*(part.copy() for part in out))), 60)
        for one, out in zip((source, remake(source, order)), given, strict=True)
    )
    # Of two images that are each other's nearest either is as good a medoid, and the shuffle decides.
    others = np.setdiff1d(order[shuffled.indices], plain.indices)
    assert len(others) <= (2 if name == "craig" else 0)
    np.testing.assert_allclose(np.sort(present(shuffled.weights)), np.sort(present(plain.weights)), rtol=1e-4)


def test_a_class_without_images_is_left_out(some_digits: ArraySource) -> None:
    source = with_network(some_digits)
    few = with_network(remake(source, np.flatnonzero(source.labels() < 4)))
    for name in ("craig", "grad-match"):
        assert len(set(run(name, few, 30).tolist())) == 30


@pytest.mark.parametrize("name", ["craig", "grad-match"])
def test_outputs_that_are_not_finite_are_refused(some_digits: ArraySource, name: str) -> None:
    def broken(embeddings: np.ndarray, indices: np.ndarray, labels: np.ndarray) -> Outputs:
        return Outputs(np.full((len(embeddings), 10), np.nan, dtype=np.float32), embeddings.copy())

    with pytest.raises(SelectionError, match="the network's probabilities of 300 images are not finite"):
        run(name, replace(some_digits, network=broken), 30)


def test_a_method_of_fewer_rights_may_not_read_a_network_of_all_labels(some_digits: ArraySource) -> None:
    pool = method_pool(methods.get("badge"), {}, with_network(some_digits), size=300, num_classes=10, rate=0.9)
    with pytest.raises(
        LabelAccessError, match=r"may not read pool.outputs\(on='pool'\); it needs supervision='labels'"
    ):
        pool.outputs(on="pool")
