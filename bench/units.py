"""Amounts that a person writes and reads: bytes, spans of time and numbers of things."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import Field

from bench.errors import SpecError

Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_BYTES = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_bytes(text: str) -> int:
    """Read ``10GB`` as a number of bytes; decimal units, B, KB, MB, GB and TB.

    Raises:
        SpecError: not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text, re.IGNORECASE)
    if match is None:
        raise SpecError(f"size {text!r} is not valid; write it like 500MB, 10GB or 1.5TB.")
    unit = match[2].upper()
    return round(float(match[1]) * _BYTES[f"{unit}B" if unit else ""])


def parse_seconds(text: str) -> float:
    """Read ``30d`` as a number of seconds; s, min, h and d, and seconds without a unit.

    Raises:
        SpecError: not a span of time above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)?\s*", text)
    if match is None or float(match[1]) == 0:
        raise SpecError(f"time {text!r} is not valid; write it like 90s, 30min, 12h or 30d.")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def part_of(fraction: float | Decimal, number: int) -> int:
    """Return round(fraction * number) in decimals: in binary 0.145 * 100 is below 14.5. Halves go to even."""
    # To even, as Python's own round: budgets of rows that are published were made by it.
    return int((Decimal(str(fraction)) * number).to_integral_value(ROUND_HALF_EVEN))


def counted(number: int, noun: str) -> str:
    """Write ``1 cell``, ``2,000 cells``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def show_bytes(size: float) -> str:
    """Write ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        # The next unit from where rounding would write 1000.
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def about(seconds: float) -> str:
    """``under a minute``, ``12 min``, ``3.5 h``, ``40 days``: as exact as an estimate is."""
    if seconds < 60:
        return "under a minute"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.{int(seconds < 36000)}f} h"
    return f"{seconds / 86400:.{int(seconds < 864000)}f} days"


def show_seconds(seconds: float) -> str:
    """Write ``3 d``: the largest unit that is not below 1."""
    for unit, length in reversed(_SECONDS.items()):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"
