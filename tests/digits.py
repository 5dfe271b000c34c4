"""scikit-learn's digits, read once: each call of its ``load_digits`` parses 1,797 lines of text."""

from __future__ import annotations

from functools import cache
from typing import Any

import sklearn.datasets


@cache
def load_digits() -> Any:
    digits = sklearn.datasets.load_digits()
    for array in (digits.data, digits.images, digits.target):
        array.flags.writeable = False  # all tests of a process share them
    return digits
