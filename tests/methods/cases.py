"""What the tests of several methods share: the run of a named method on a source, and small sets of points."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution

from bench import Pool
from bench.array_source import ArraySource
from bench.plugins import methods
from bench.selection import method_pool, run_method

Case = tuple[Any, ...]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(name: str, source: ArraySource, rate: float = 0.5, **params: Any) -> Pool:
    # A source may be blind.
    size = len(source.embeddings() if source.label_array is None else source.label_array)
    return method_pool(methods.get(name), params, source, size=size, num_classes=10, rate=rate)


def run(name: str, source: ArraySource, budget: int, seed: int = 0, rate: float = 0.5, **params: Any) -> np.ndarray:
    return run_method(methods.get(name), pool_of(name, source, rate, **params), params, budget, seed).indices


@st.composite
def point_sets(draw: st.DrawFn, most: int = 9) -> Case:
    """Points on a grid of whole numbers, and a budget."""
    size = draw(st.integers(1, most))
    points = [[float(draw(st.integers(-4, 4))) for _ in range(2)] for _ in range(size)]
    return np.array(points), draw(st.integers(0, size))


@st.composite
def quarter_points(draw: st.DrawFn, most: int = 9) -> Case:
    """Points on a grid of quarters, so that squared distances are exact in float32, and a budget."""
    size = draw(st.integers(1, most))
    points = [[draw(st.integers(-4, 4)) / 4 for _ in range(2)] for _ in range(size)]
    return np.array(points, dtype=np.float32), draw(st.integers(0, size))


def chances(score: np.ndarray, confidence: np.ndarray, rate: float, exponent: float) -> np.ndarray:
    """The probabilities of DUAL's first draw, as the paper's section 4.2 and its released code have them."""
    anchor = confidence[np.argsort(score)[-10:]].mean()
    b = 15 * (1 - anchor) * (1 - rate**exponent)
    p = beta_distribution.pdf(confidence, 16 - b, b) * score
    return p / p.sum()


def keeps_the_highest(name: str, source: ArraySource, scores: np.ndarray, **params: Any) -> bool:
    """Whether no image that the method leaves out of 200 has a higher score than one that it keeps."""
    kept = run(name, source, 200, **params)
    return bool(scores[kept].min() >= np.delete(scores, kept).max())
