"""The list of what to label, and that an older one in its place holds nothing of the user's."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from bench.errors import SpecError
from bench.labelling.choose import Chosen

Named = Literal["file", "item"]


def columns(named: Named) -> tuple[str, ...]:
    """Of a list whose entries are files or numbered items."""
    return ("order", named, "cluster", "score")


def records(chosen: Chosen, names: Sequence[str], named: Named) -> list[dict[str, Any]]:
    """One record per entry, in the order to label.

    Args:
        chosen: what ``choose`` returned.
        names: of the entries, in the same order.
        named: what they name.
    """
    scores = [None] * len(names) if chosen.scores is None else chosen.scores.tolist()
    values = zip(range(1, len(names) + 1), names, chosen.clusters.tolist(), scores, strict=True)
    return [dict(zip(columns(named), value, strict=True)) for value in values]


def check_replaceable(out: Path) -> None:
    """Raise ``SpecError`` where ``out`` is a file that holds more than a list as it is written, such as labels."""
    if not out.exists():
        return
    try:
        with out.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            first = tuple(next(csv.reader(file), ()))
    except (OSError, csv.Error) as error:
        raise SpecError(f"cannot replace {out}: {error}.") from error
    if first not in (columns("file"), columns("item")):
        more = ", ".join(first) or "nothing"
        raise SpecError(
            f"{out} is there already, and not as it was written: its columns are {more}. It may hold your labels, so "
            "it is not replaced; give another --out, or move it away."
        )
