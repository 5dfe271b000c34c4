"""What several tests share: embeddings and pictures of digits, keys of a bucket, and how well picks cover the rest."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.spatial.distance import cdist

from bench.knn import unit_rows
from tests.digits import load_digits


def digits(size: int = 300) -> np.ndarray:
    return load_digits().data[:size].astype(np.float32)


ODD_KEYS = ("two words + ü%20#1.png", "sub/[x]*.png", "=SUM(A1).png")


def picture(number: int) -> bytes:
    """A digit as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray((load_digits().images[number] * 15).astype(np.uint8)).resize((16, 16)).save(buffer, "PNG")
    return buffer.getvalue()


def coverage(rows: np.ndarray, picks: np.ndarray) -> float:
    """Sum over rows of exp(-d^2) to the nearest pick, by the definition."""
    unit = unit_rows(rows).astype(np.float64)
    return float(np.exp(-cdist(unit, unit[picks], "sqeuclidean").min(1)).sum())
