"""Each part of the pool, asked for under each supervision: what the method may read is given, all else refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench import Pool, parts
from bench.conformance.samples import few_digits
from bench.errors import LabelAccessError, UndeclaredNeed
from bench.parts import SUPERVISIONS, Supervision

PARTS: dict[str, tuple[Supervision, Callable[[Pool], Any]]] = {
    "images": ("none", lambda pool: pool.images),
    "embeddings": ("none", lambda pool: pool.embeddings),
    "neighbors": ("none", lambda pool: pool.neighbors(3)),
    "pseudo_labels": ("pseudo", lambda pool: pool.pseudo_labels()),
    "dynamics of pseudo-labels": ("pseudo", lambda pool: pool.dynamics("pseudo")),
    "rehearse": ("pseudo", lambda pool: pool.rehearse(np.arange(12))),
    "judge": ("pseudo", lambda pool: pool.judge([np.arange(12)])),
    "coreset": ("pseudo", lambda pool: pool.coreset("elfs(beta=0.2)")),
    "reveal": ("coreset", lambda pool: pool.reveal([0, 1])),
    "outputs": ("coreset", lambda pool: pool.outputs()),
    "dynamics of labels": ("labels", lambda pool: pool.dynamics("labels")),
    "dynamics by default": ("labels", lambda pool: pool.dynamics()),
    "gradient_norms": ("labels", lambda pool: pool.gradient_norms()),
    "labels": ("labels", lambda pool: pool.labels),
}
"""Part -> the least supervision that docs/add-a-method.md allows it, and how a method asks for it."""


def pool(supervision: Supervision, undeclared: str | None = None) -> Pool:
    sample = few_digits()
    return Pool(
        size=sample.size,
        num_classes=sample.num_classes,
        rate=0.5,
        supervision=supervision,
        needs=set(parts.PARTS) - {undeclared},
        source=sample.source,
        budget=sample.size // 2,
    )


@pytest.mark.parametrize("supervision", SUPERVISIONS)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_given_from_its_least_supervision_on(part: str, supervision: Supervision) -> None:
    least, ask = PARTS[part]
    if SUPERVISIONS.index(supervision) >= SUPERVISIONS.index(least):
        assert ask(pool(supervision)) is not None
        return
    with pytest.raises(
        LabelAccessError, match=f"supervision='{supervision}' may not read .* needs supervision='{least}'"
    ):
        ask(pool(supervision))


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("labels", "reveal")])
def test_a_part_that_is_not_declared_is_refused_whatever_the_supervision(part: str) -> None:
    """Labels need no declaration: the supervision is theirs."""
    need = {"rehearse": "rehearsal"}.get(part, part.partition(" ")[0])
    with pytest.raises(UndeclaredNeed, match="does not declare it"):
        PARTS[part][1](pool("labels", undeclared=need))


def test_every_public_part_of_the_pool_is_asked_for() -> None:
    public = {name for name in vars(Pool) if not name.startswith("_")}
    told = {"revealed", "report", "diagnostics"}
    assert public - told == {part.partition(" ")[0] for part in PARTS}
