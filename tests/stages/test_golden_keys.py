"""Nothing that was computed is computed again by accident: identities of stages and cells stay what they were."""

from __future__ import annotations

import json
from collections.abc import Callable

from bench.stages.training import Cell
from tests.stages import golden_keys


def test_identities_are_those_on_record(cells_of: Callable[..., list[Cell]]) -> None:
    assert golden_keys.present(cells_of) == json.loads(golden_keys.FILE.read_text())
