"""What the tests of several rounds share: embeddings of digits, and how well picks cover them."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from bench.knn import unit_rows


def digits(size: int = 300) -> np.ndarray:
    return load_digits().data[:size].astype(np.float32)


def coverage(rows: np.ndarray, picks: np.ndarray) -> float:
    """Sum over rows of exp(-d^2) to the nearest pick, by the definition."""
    unit = unit_rows(rows).astype(np.float64)
    squares = ((unit[:, None] - unit[picks][None]) ** 2).sum(-1)
    return float(np.exp(-squares).max(1).sum())
