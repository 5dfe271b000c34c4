"""What an encoder was trained with: as the user states it, or as the name of the weights tells."""

from __future__ import annotations

from typing import Any

import pytest

from bench import SpecError
from bench.embedding.supervision import stated
from bench.plugins import Trained


@pytest.mark.parametrize(
    ("params", "told", "trained"),
    [
        ({}, "language", "language"),
        ({"supervision": "auto"}, "labels", "labels"),
        ({"supervision": "none"}, "labels", "none"),
        ({"supervision": None}, "labels", "none"),  # the bare word none, as the grammar reads it
        ({"supervision": "self-supervised"}, None, "self-supervised"),
    ],
)
def test_what_the_user_states_counts_first(params: dict[str, Any], told: Trained | None, trained: Trained) -> None:
    assert stated(params, told, "encoder 'timm'") == trained


def test_a_name_that_tells_nothing_needs_a_statement() -> None:
    with pytest.raises(SpecError, match=r"encoder 'timm': mine does not tell .*; add supervision=none"):
        stated({"name": "mine"}, None, "encoder 'timm'")
