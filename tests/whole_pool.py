"""A pool that refuses nothing, to look at what its source gives."""

from __future__ import annotations

from bench import Pool
from bench.parts import PARTS
from bench.pool import PoolSource


def whole_pool(source: PoolSource, size: int, num_classes: int = 10) -> Pool:
    """Every part is declared, and every label may be read."""
    return Pool(size=size, num_classes=num_classes, rate=0.5, supervision="labels", needs=PARTS, source=source)
