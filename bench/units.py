"""Amounts as people write and read them: bytes, spans of time and numbers of things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import Field

from bench.errors import SpecError

Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_BYTES = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as ``10GB``; the units B, KB, MB, GB and TB are decimal.

    Raises:
        SpecError: the text is not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text, re.IGNORECASE)
    if match is None:
        raise SpecError(f"size {text!r} is not valid; write it like 500MB, 10GB or 1.5TB.")
    unit = match[2].upper()
    return round(float(match[1]) * _BYTES[f"{unit}B" if unit else ""])


def parse_seconds(text: str) -> float:
    """Return the seconds of a span of time such as ``30d``; units are s, min, h and d, and s if there is none.

    Raises:
        SpecError: the text is not a span of time above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)?\s*", text)
    if match is None or float(match[1]) == 0:
        raise SpecError(f"time {text!r} is not valid; write it like 90s, 30min, 12h or 30d.")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def part_of(fraction: float | Decimal, number: int) -> int:
    """Return round(fraction * number) in decimals: in binary 0.145 * 100 is below 14.5. Halves go to even."""
    # To even, as in Python's round, by which the budgets of published rows were computed.
    return int((Decimal(str(fraction)) * number).to_integral_value(ROUND_HALF_EVEN))


def in_percent(fraction: float) -> str:
    """Return a fraction in percent with as many decimals as it has, up to nine: ``0.3`` gives ``30``."""
    # Nine digits: ``g`` alone has six, and would call 0.9992187 and 0.9992195 (of ImageNet, 1,001 and 1,000) the same.
    return f"{100 * fraction:.9g}"


def percent(rate: float) -> str:
    """Return a rate for people, such as a column heading: the percent removed."""
    return f"{in_percent(rate)} %"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 cell``, ``2,000 cells``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def some_of(names: Sequence[str], most: int) -> str:
    """Return the first names as a list that says how many more there are: ``a, b and 3 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def show_bytes(size: float) -> str:
    """Return bytes as text: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        # Where rounding would write 1000, the next unit is used.
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def about(seconds: float) -> str:
    """Return an estimated time as text: ``under a minute``, ``12 min``, ``3.5 h``, ``40 days``."""
    if seconds < 60:
        return "under a minute"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.{int(seconds < 36000)}f} h"
    return f"{seconds / 86400:.{int(seconds < 864000)}f} days"


def show_seconds(seconds: float) -> str:
    """Return seconds as text in the largest unit that is not below 1: ``3 d``."""
    for unit, length in reversed(_SECONDS.items()):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"
