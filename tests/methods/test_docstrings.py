"""The page docs/methods.md is made of docstrings: each says what its parameters mean and what comes back."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from bench.plugins import methods
from bench.registry import Entry


@pytest.mark.parametrize(
    "entry", [entry for entry in methods if entry.origin.startswith("bench.methods.")], ids=lambda entry: entry.name
)
def test_every_parameter_and_the_result_are_described(entry: Entry[Any]) -> None:
    text = inspect.getdoc(entry.function) or ""
    described = set(re.findall(r"^    (\w+): ", text, re.MULTILINE))
    assert described >= set(inspect.signature(entry.function).parameters)
    assert "\nReturns:\n" in text
