"""From result folders to blocks, and from tables to files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli._results import read_blocks
from bench.errors import BenchError, RowError


def test_blocks_hold_the_chosen_methods_by_the_names_that_are_wanted(two_methods: Path) -> None:
    [whole] = read_blocks([two_methods])
    assert len(whole.lines) == 2
    [chosen] = read_blocks([two_methods], methods="elfs=Ours")
    assert len(chosen.lines) == 1
    [kept] = read_blocks([two_methods], methods="elfs", keep="random")
    assert len(kept.lines) == 2, "the baseline stays"
    with pytest.raises(BenchError, match="zcore"):
        read_blocks([two_methods], methods="zcore")
    with pytest.raises(RowError):
        read_blocks([two_methods / "rows" / "nothing"])
