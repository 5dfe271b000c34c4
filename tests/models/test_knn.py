"""The k nearest neighbours as a model, against scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from bench.engine.plan import make_plan
from bench.errors import SpecError
from bench.grid.spec import load_spec
from bench.identity import ModelRef
from bench.training.footprint import footprint
from tests.models.networks import Vectors, accuracy


def test_knn_is_no_proxy() -> None:
    grid = {"datasets": "digits", "rates": "0.5", "seeds": 1, "models": "knn"}
    assert make_plan(load_spec(given={**grid, "methods": "random,kcenter"}), out=None).cells
    assert make_plan(load_spec(given={**grid, "methods": "aum", "proxy_model": "linear_probe"}), out=None).cells
    with pytest.raises(SpecError, match="knn does not learn; name one that does with --proxy-model"):
        make_plan(load_spec(given={**grid, "methods": "aum"}), out=None)
    auto = "auto(judge={},candidates='random,kcenter')"
    assert make_plan(load_spec(given={**grid, "methods": auto.format("ridge")}), out=None).cells
    for learning in (
        auto.format("network"),
        "auto(judge=ridge,candidates='random,elfs(clustering=kmeans)')",
        "elfs(clustering=kmeans,beta=0.1)",
        "entropy",
        "grand",
    ):
        with pytest.raises(SpecError, match="knn does not learn; name one that does with --proxy-model"):
            make_plan(load_spec(given={**grid, "methods": learning}), out=None)


def test_counting_what_knn_holds_warns_of_nothing() -> None:
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert footprint(ModelRef(name="knn"), (8,), 10) is None  # before it has seen the items that vote
    finally:
        torch.set_warn_always(before)
    assert not said


def test_knn_is_that_of_scikit_learn(vectors: Vectors) -> None:
    inputs, labels = vectors
    [found] = accuracy("knn", vectors)
    oracle = KNeighborsClassifier(20, metric="cosine", weights=lambda far: np.exp((1 - far) / 0.07))
    wanted = 100 * oracle.fit(inputs[:1000], labels[:1000]).score(inputs[1000:], labels[1000:])
    assert found.accuracy == pytest.approx(wanted, abs=0.2)
    assert found.accuracy == accuracy("knn", vectors)[0].accuracy
    assert accuracy("knn", vectors, k=5000)[0].accuracy < found.accuracy
    assert accuracy("knn", vectors, temperature=1e-4)[0].accuracy == accuracy("knn", vectors, k=1)[0].accuracy
