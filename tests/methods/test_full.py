"""Everything is kept, and pruning is refused."""

from __future__ import annotations

import pytest

from bench import SelectionError
from bench.array_source import ArraySource
from bench.plugins import methods
from bench.selection import method_pool, run_method


def test_full_refuses_to_prune(some_digits: ArraySource) -> None:
    pool = method_pool(methods.get("full"), {}, some_digits, size=300, num_classes=10, rate=0.9)
    with pytest.raises(SelectionError, match="keeps the whole pool of 300 images, not 30"):
        run_method(methods.get("full"), pool, {}, 30, 0)
