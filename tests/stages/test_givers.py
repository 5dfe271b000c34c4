"""Every part of a pool has what computes it."""

from __future__ import annotations

from dataclasses import fields

from bench.parts import (
    PARTS,
    PartArrays,
)
from bench.stages.givers import Giver, giver


def test_every_row_names_what_gives_it_and_what_holds_it() -> None:
    held = {field.name for field in fields(PartArrays)}
    for part in PARTS.values():
        assert isinstance(giver(part), Giver)
        assert not part.array or {part.array.format(of=of) for of in ("labels", "pseudo")} <= held
    told = {part.array.format(of=of) for part in PARTS.values() for of in ("labels", "pseudo") if part.array}
    assert told | {"label_array"} == held
