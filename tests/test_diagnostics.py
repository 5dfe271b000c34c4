from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import Pool, SelectionError
from bench.array_source import ArraySource
from bench.diagnostics import Diagnostics
from bench.store.cache import Store


def pool(size: int = 4) -> Pool:
    return Pool(size=size, num_classes=2, rate=0.5, supervision="none", needs=(), source=ArraySource())


def test_a_report_survives_the_store_without_pickle(tmp_path: Path) -> None:
    class Kept:
        kind, key = "selection", "0"

        def describe(self) -> dict[str, Any]:
            return {}

    made = pool()
    made.report(beta=0.1, scores=[4, 3, 2, 1])
    made.report(judged={"beta=0.3": np.float64(0.5), "d2(gamma=1, k=5)": 0.25}, taken="beta=0.3")
    made.report(beta=np.float64(0.3), gamma=2)
    store, stage = Store(tmp_path), Kept()
    store.get(stage, lambda: {"indices": np.arange(2), **made.diagnostics.arrays()})
    again = store.load(stage)
    assert again is not None
    found = Diagnostics.from_arrays(again.arrays)
    assert found.chosen == {"beta": 0.3, "gamma": 2.0}
    assert found.scores is not None
    assert found.scores.dtype == np.float32
    assert found.scores.tolist() == [4, 3, 2, 1]
    assert (found.judged, found.taken) == ({"beta=0.3": 0.5, "d2(gamma=1, k=5)": 0.25}, "beta=0.3")


def test_a_selection_stored_earlier_reports_nothing() -> None:
    assert Diagnostics.from_arrays({"indices": np.arange(3)}) == Diagnostics()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": np.ones(3)}, r"shape \(3,\); expected one number, high = hard, for each of the 4"),
        ({"scores": np.ones((4, 1))}, r"shape \(4, 1\)"),
        ({"scores": ["a", "b", "c", "d"]}, "expected one number"),
        (
            {"scores": np.ma.masked_array(np.ones(4), mask=[False, True, False, False])},
            "a masked array; expected a number for every",
        ),
        ({"scores": [1.0, np.nan, np.inf, 1e300]}, "3 of 4 scores that are NaN or infinite"),
        ({"beta": "auto"}, "reported as one number"),
        ({"beta": float("nan")}, "must be finite"),
        ({"judged": {"kcenter": 1.5}, "taken": "kcenter"}, "got 1.5 for kcenter; a judge's value lies in 0 to 1"),
        ({"judged": {"kcenter": float("nan")}, "taken": "kcenter"}, "must be finite"),
        ({"judged": {"kcenter": 0.5}, "taken": "herding"}, "taken='herding'.: judged were kcenter"),
    ],
)
def test_what_is_no_report_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        pool().report(**given)


def test_a_report_is_a_copy() -> None:
    scores, made = np.ones(4, dtype=np.float32), pool()
    made.report(scores=scores)
    scores[:] = 2
    assert made.diagnostics.scores is not None
    assert made.diagnostics.scores.tolist() == [1, 1, 1, 1]
