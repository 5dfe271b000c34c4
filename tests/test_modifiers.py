"""Long-tailed and noisy versions of a data set: the pure functions, then whole data sets, then what a method sees."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data import Dataset, fingerprint
from bench.datasets._common import stratified_split
from bench.engine.plan import make_plan
from bench.errors import DataError, SpecError, UnknownName
from bench.grid.spec import load_spec
from bench.loading import load_dataset
from bench.modifiers import check_modifiers, describe, long_tailed, modified, noisy
from bench.results.published import pool_positions
from bench.stages.base import in_order
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.narrowing import in_memory


def digits(modifiers: dict[str, float], pool_size: int | None = None) -> Dataset:
    return load_dataset("digits", {}, root=None, download=False, pool_size=pool_size, modifiers=modifiers)


def balanced(classes: int, size: int) -> np.ndarray:
    return np.repeat(np.arange(classes), size)


@pytest.mark.parametrize(
    ("classes", "size", "imbalance", "total", "smallest"),
    [(10, 5000, 100, 12_406, 50), (10, 5000, 10, 20_431, 500), (100, 500, 100, 10_847, 5), (100, 500, 10, 19_573, 50)],
)
def test_class_sizes_are_those_of_cifar_lt(
    classes: int, size: int, imbalance: float, total: int, smallest: int
) -> None:
    """The numbers of images that papers on CIFAR-10-LT and CIFAR-100-LT state for the profile of Cui et al. 2019."""
    labels = balanced(classes, size)
    kept = labels[long_tailed(labels, classes, imbalance, np.random.default_rng(0))]
    sizes = np.bincount(kept, minlength=classes)
    assert (len(kept), sizes[0], sizes[-1]) == (total, size, smallest)
    assert np.all(np.diff(sizes) <= 0)


LABELS = st.lists(st.integers(1, 60), min_size=2, max_size=8).map(
    lambda sizes: np.random.default_rng(len(sizes)).permutation(np.repeat(np.arange(len(sizes)), sizes))
)


@given(LABELS, st.floats(1, 20), st.integers(0, 5))
def test_the_profile_fits_classes_of_any_size(labels: np.ndarray, imbalance: float, seed: int) -> None:
    classes = labels.max() + 1
    before, untouched = np.bincount(labels), labels.copy()
    kept = long_tailed(labels, classes, imbalance, np.random.default_rng(seed))
    sizes = np.bincount(labels[kept], minlength=classes)
    assert np.array_equal(labels, untouched)
    assert np.array_equal(kept, np.unique(kept))
    assert np.all(sizes <= before)
    ranked = np.argsort(-before, kind="stable")
    largest = sizes[ranked[0]]
    for rank, number in enumerate(ranked):
        share = imbalance ** (-rank / (classes - 1))
        # The largest class is itself rounded down, so the exact profile lies between largest and largest + 1.
        assert np.floor(largest * share + 1e-9) <= sizes[number] <= np.floor((largest + 1) * share + 1e-9)
    # No larger profile fits: one more image in the largest class would ask some class for more than it has.
    asks = [(largest + 1) * imbalance ** (-rank / (classes - 1)) for rank in range(classes)]
    assert np.any(np.array(asks) > before[ranked])


@given(LABELS, st.floats(0, 1), st.integers(0, 5))
def test_noise_replaces_exactly_its_share_and_never_by_the_same_class(
    labels: np.ndarray, noise: float, seed: int
) -> None:
    untouched = labels.copy()
    result = noisy(labels, labels.max() + 1, noise, np.random.default_rng(seed))
    assert np.array_equal(labels, untouched)
    assert (result != labels).sum() == round(Fraction(str(noise)) * len(labels))
    assert result.min() >= 0
    assert result.max() <= labels.max()


def test_noise_counts_in_decimals_as_budgets_do() -> None:
    # In binary floating point 0.35 * 90 is below 31.5, and 0.07 * 150 above 10.5; halves go to the even number.
    for noise, size, expected in ((0.35, 90, 32), (0.07, 150, 10)):
        labels = np.arange(size) % 2
        assert (noisy(labels, 2, noise, np.random.default_rng(0)) != labels).sum() == expected
    assert len(stratified_split(np.zeros(90, np.int64), 0.35)[1]) == 32


def test_every_other_class_replaces_a_label_equally_often() -> None:
    labels = np.full(40_000, 2)
    counts = np.bincount(noisy(labels, 5, 1.0, np.random.default_rng(0)), minlength=5)
    assert counts[2] == 0
    # Four classes at 10,000 each; 500 is more than five standard deviations of sqrt(40000 * 1/4 * 3/4) = 87.
    assert np.abs(counts[[0, 1, 3, 4]] - 10_000).max() < 500


def test_more_noise_and_more_imbalance_build_on_less() -> None:
    clean, less, more = (digits({"noise": noise} if noise else {}).train.labels for noise in (0, 0.1, 0.3))
    replaced = less != clean
    assert np.array_equal(less[replaced], more[replaced])
    labels = balanced(4, 50)
    mild, strong = (set(long_tailed(labels, 4, ratio, np.random.default_rng(0))) for ratio in (2, 10))
    assert strong < mild


def test_only_the_training_split_changes() -> None:
    plain, version = digits({}), digits({"imbalance": 5, "noise": 0.2})
    assert np.array_equal(in_memory(plain.test.images), in_memory(version.test.images))
    assert np.array_equal(plain.test.labels, version.test.labels)
    assert (version.mean, version.std, version.class_names) == (plain.mean, plain.std, plain.class_names)
    assert len(version.train) < len(plain.train)
    assert np.array_equal(in_memory(version.train.images), np.asarray(plain.train.images)[version.pool_index])
    assert (version.train.labels != plain.train.labels[version.pool_index]).mean() == pytest.approx(0.2, abs=1e-3)


def test_images_go_first_then_labels_then_the_pool_is_drawn() -> None:
    plain, tailed, both = digits({}), digits({"imbalance": 5}), digits({"noise": 0.2, "imbalance": 5})
    assert np.array_equal(tailed.pool_index, both.pool_index)
    clean_sizes = np.sort(np.bincount(plain.train.labels[both.pool_index]))
    assert clean_sizes[-1] / clean_sizes[0] == pytest.approx(5, rel=0.05)
    pool = digits({"noise": 0.2, "imbalance": 5}, pool_size=300)
    assert len(pool.train) == 300
    places = np.searchsorted(both.pool_index, pool.pool_index)
    assert np.array_equal(both.pool_index[places], pool.pool_index)
    assert np.array_equal(both.train.labels[places], pool.train.labels)
    assert np.array_equal(pool_positions(pool.pool_index, pool), np.arange(300))


def test_versions_differ_by_content_and_repeat_exactly() -> None:
    given_modifiers: list[dict[str, float]] = [
        {},
        {"imbalance": 5},
        {"noise": 0.2},
        {"noise": 0.3},
        {"noise": 0.2, "seed": 1},
    ]
    prints = [fingerprint(digits(modifiers)) for modifiers in given_modifiers]
    assert len(set(prints)) == len(prints)
    assert prints == [fingerprint(digits(modifiers)) for modifiers in given_modifiers]


def test_an_imbalance_of_1_makes_equal_classes() -> None:
    sizes = np.bincount(digits({"imbalance": 1}).train.labels)
    assert set(sizes) == {np.bincount(digits({}).train.labels).min()}


def test_modifiers_that_change_nothing_are_the_data_set_itself() -> None:
    assert check_modifiers("digits", {"noise": 0, "seed": 3}) == {}
    assert check_modifiers("digits", {"noise": 0.2, "seed": 0}) == {"noise": 0.2}
    assert describe({}) == ""


@pytest.mark.parametrize(
    ("modifiers", "says"),
    [
        ({"nois": 0.2}, "unknown modifier of dataset 'digits': 'nois'. Did you mean noise?"),
        ({"noise": 1.2}, "dataset digits: @noise=1.2 is not valid: a number from 0 to 1."),
        ({"noise": -0.1}, "@noise=-0.1 is not valid"),
        ({"imbalance": 0.5}, "@imbalance=0.5 is not valid: a number from 1 on."),
        ({"imbalance": 10**400}, "is not valid"),
        ({"seed": 1}, "@seed draws nothing without @imbalance or @noise"),
        ({"noise": "a_lot"}, "@noise=a_lot is not valid: a number from 0 to 1."),
        ({"noise": "nan"}, "@noise=nan is not valid: a finite number from 0 to 1."),
        ({"seed": 1.5, "noise": 0.2}, "@seed=1.5 is not valid: a whole number from 0 on."),
    ],
)
def test_wrong_modifiers_are_explained(modifiers: dict[str, float], says: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_modifiers("digits", modifiers)
    assert says in str(caught.value)
    assert isinstance(caught.value, UnknownName) == ("unknown" in says)


def test_a_class_that_would_become_empty_is_named() -> None:
    with pytest.raises(DataError) as caught:
        digits({"imbalance": 5000})
    for words in ("dataset digits@imbalance=5000: @imbalance=5000 would leave", "of 10 classes", "to 146 images"):
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"@noise=0\.0003 would replace none of 1438 labels; leave it out\."):
        digits({"noise": 0.0003})
    with pytest.raises(DataError, match=r"digits@imbalance=10: pool_size=1400 .* has \d+ images"):
        digits({"imbalance": 10}, pool_size=1400)
    whole = digits({})
    with pytest.raises(DataError, match="a data set of one class"):
        modified(Dataset(whole.train, whole.test, ("all",), whole.mean, whole.std, whole.pool_index), {"noise": 0.1})


def test_images_in_files_can_be_long_tailed_and_noisy(ten_classes: Path) -> None:
    params = {"path": str(ten_classes), "size": 16, "memory_gb": 0}
    version = load_dataset(
        "folder", params, root=None, download=False, pool_size=None, modifiers={"imbalance": 3, "noise": 0.1}
    )
    whole = load_dataset("folder", params, root=None, download=False, pool_size=None)
    assert len(version.train.images) == len(version.train) < len(whole.train)
    assert np.array_equal(version.train.images[np.arange(5)], whole.train.images[version.pool_index[:5]])


GRID = {"rates": "0.5", "seeds": [2], "pool_size": 200, "recipe": {"iterations": 4, "proxy_epochs": 2}}
METHODS = "random,prototypicality,elfs(clustering=kmeans,beta=0.1),aum"


def cells(dataset: str, folder: Path, **changes: object) -> dict[str, Cell]:
    grid = {**GRID, "datasets": dataset, "methods": METHODS, **changes}
    return {cell.method: cell for cell in make_plan(load_spec(given=grid), out=folder).cells}


@pytest.mark.integration
def test_a_label_free_method_gets_the_same_coreset_whatever_the_noise(tmp_path: Path) -> None:
    """Also where nothing is shared: each version has a cache of its own."""
    found = []
    for dataset in ("digits", "digits@noise=0.4"):
        place = Session(out=tmp_path, cache=tmp_path / dataset)
        found.append({name: cell.row(place).indices_sha256 for name, cell in cells(dataset, tmp_path).items()})
    assert {name: found[0][name] == found[1][name] for name in found[0]} == {
        "random": True,
        "prototypicality": True,
        "elfs": True,
        "aum": False,
    }


@pytest.mark.parametrize(
    ("plain", "version"),
    [("digits", "digits@noise=0.4@seed=1"), ("digits@imbalance=5", "digits@imbalance=5@noise=0.4")],
)
def test_stages_that_read_no_label_are_shared_with_the_data_set_without_noise(
    plain: str, version: str, tmp_path: Path
) -> None:
    clean, dirty = cells(plain, tmp_path), cells(version, tmp_path)
    for name in ("random", "prototypicality", "elfs"):
        assert clean[name].cell_id != dirty[name].cell_id
        assert in_order([clean[name].selection()]) == in_order([dirty[name].selection()])
    assert set(in_order([clean["aum"].selection()])).isdisjoint(in_order([dirty["aum"].selection()]))
    probes = [cells(name, tmp_path, models="linear_probe")["aum"].stages() for name in (plain, version)]
    assert {stage.kind for stage in set(probes[0]) & set(probes[1])} == {"embeddings"}


def test_an_imbalance_shares_nothing_since_the_images_are_others(tmp_path: Path) -> None:
    whole, tailed = cells("digits", tmp_path), cells("digits@imbalance=5", tmp_path)
    stages = [set(in_order([cell.selection() for cell in of.values()])) for of in (whole, tailed)]
    assert stages[0].isdisjoint(stages[1])
