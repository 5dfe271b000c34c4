"""A place for stages, digits whose labels say nothing, and a count of an encoder's trainings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import Dataset
from bench.loading import load_dataset
from bench.plugins import datasets
from bench.stages.session import Session


@pytest.fixture
def workspace(tmp_path: Path) -> Session:
    return Session(out=tmp_path / "out", cache=tmp_path / "cache")


@pytest.fixture
def permuted() -> Iterator[str]:
    """The digits with their true labels permuted: the same images, other classes."""

    def permuted_digits(root: Path | None) -> Dataset:
        """Digits whose labels say nothing."""
        plain = load_dataset("digits", {}, root=None, download=False, pool_size=None)
        shuffled = np.random.default_rng(5).permutation(plain.train.labels)
        return replace(plain, train=replace(plain.train, labels=shuffled))

    datasets.add("permuted-digits", permuted_digits, datasets.get("digits").info)
    yield "permuted-digits"
    datasets.remove("permuted-digits")


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images every training of the encoder was given."""
    from bench.encoders.simsiam import SimSiamEncoder

    counts, fit = [], SimSiamEncoder.fit

    def counted(self: Any, images: np.ndarray, **more: Any) -> Any:
        counts.append(len(images))
        return fit(self, images, **more)

    monkeypatch.setattr(SimSiamEncoder, "fit", counted)
    return counts
