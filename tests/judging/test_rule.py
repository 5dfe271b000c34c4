"""Which judge looks at coresets."""

from __future__ import annotations

import pytest

from bench import Judge
from bench.judging.rule import NETWORK_FROM, judge_for


@pytest.mark.parametrize(
    ("by", "budget", "images", "judge"),
    [
        ("rule", NETWORK_FROM - 1, True, "ridge"),
        ("rule", NETWORK_FROM, True, "network"),
        ("rule", 10 * NETWORK_FROM, False, "ridge"),
        ("ridge", 10 * NETWORK_FROM, True, "ridge"),
        ("network", 1, False, "network"),
    ],
)
def test_by_name_or_by_what_is_judged(by: Judge, budget: int, images: bool, judge: str) -> None:
    assert judge_for(by, budget, images=images) == judge
