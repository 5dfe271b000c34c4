"""AUM with beta: the hardest go first."""

from __future__ import annotations

import numpy as np
import pytest

from bench.array_source import ArraySource
from bench.errors import SpecError
from bench.plugins import methods
from tests.methods.cases import keeps_the_highest, run
from tests.narrowing import present


def test_aum_with_beta_drops_the_hardest_first(digits: ArraySource) -> None:
    aum = present(digits.dynamics_labels).aum
    kept = run("aum", digits, 200, beta=0.25)
    order = np.argsort(aum, kind="stable")
    dropped = int(0.25 * len(aum))
    assert set(kept.tolist()) == set(order[dropped : dropped + 200].tolist())
    with pytest.raises(SpecError, match=r"beta=0\.6 is not valid at rate 0\.5"):
        methods.get("aum").info.check({"beta": 0.6}, 0.5)


@pytest.mark.parametrize(("margin", "field"), [("softmax", "aum"), ("logits", "aum_logits")])
def test_the_lowest_margins_are_kept(digits: ArraySource, margin: str, field: str) -> None:
    assert keeps_the_highest("aum", digits, -getattr(present(digits.dynamics_labels), field), margin=margin)
