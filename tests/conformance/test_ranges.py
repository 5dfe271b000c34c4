from __future__ import annotations

import enum
import math
from typing import Annotated, Any, Literal, Optional

import annotated_types
import pytest
from pydantic import Field, PositiveInt

from bench.conformance.ranges import choices, one_by_one, pairs, range_ends
from bench.plugins import methods
from bench.registry import Param


class Side(enum.Enum):
    left = "left"
    right = "right"


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (Annotated[int, Field(ge=1)], 10, [1, 41]),
        (Annotated[int, Field(gt=1, lt=9)], 5, [2, 8]),
        (Annotated[int, Field(ge=0, le=3)], 0, [3]),
        (Annotated[int, Field(ge=100)], 200, [100]),
        (Annotated[int, annotated_types.Interval(ge=2, le=4)], 3, [2, 4]),
        (Annotated[int, Field(ge=1, multiple_of=4)], 8, []),
        (PositiveInt, 3, [1, 41]),
        (int, 3, [-1, 0, 41]),
        (Annotated[float, Field(ge=0, lt=1)], 0.5, [0.0, math.nextafter(1, 0)]),
        (Annotated[float, Field(gt=0, le=2)], 1.0, [math.nextafter(0, 1), 2.0]),
        (Annotated[float, Field(ge=0)], 1.0, [0.0, 1e6]),
        (float, 1.0, [-1e6, 0.0, 1e6]),
        (Annotated[float, Field(ge=0, lt=1)] | Literal["auto"], "auto", [0.0, math.nextafter(1, 0)]),
        (Annotated[int, Field(ge=2)] | None, None, [2, 41]),
        (Annotated[Optional[int], Field(ge=2)], 5, [2, 41, None]),  # noqa: UP045
        (Literal["hard", "easy"], "hard", ["easy"]),
        (bool, False, [True]),
        (bool | int, 1, [False, True, -1, 0, 41]),
        (Side, Side.left, [Side.right]),
        (str, "text", []),
        (Any, 3, []),
    ],
)
def test_ends_by_hand(annotation: Any, default: Any, expected: list[Any]) -> None:
    found = range_ends(Param("mine", default, annotation), 40)
    assert [(type(value), value) for value in found] == [(type(value), value) for value in expected]


def test_combinations_of_a_registered_method() -> None:
    entry = methods.get("ccs")
    alone = one_by_one(entry, 40)
    assert alone[0] == {}
    assert {"strata": 1} in alone
    assert {"strata": 41} in alone
    others = ["aum-logits", "forgetting", "el2n", "dyn-unc", "dual", "least-confidence", "margin", "entropy", "tdds"]
    scores = [{"score": score} for score in others]
    assert choices(entry, 40) == [{}, *scores, {"per_class": True}, {"never_learned": "zero"}]
    both = list(pairs(entry, 40))
    assert {"strata": 1, "score": "el2n"} in both
    assert all(len(params) == 2 for params in both)
    # Besides their defaults: beta has one end, strata two, score nine values, per_class and never_learned one each.
    assert len(both) == 1 * (2 + 9 + 1 + 1) + 2 * (9 + 1 + 1) + 9 * (1 + 1) + 1 * 1
