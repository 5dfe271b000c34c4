"""The list of what to label, and that an older one in its place holds nothing of the user's."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from bench.errors import SpecError
from bench.labelling.choose import Chosen

Named = Literal["file", "item"]
_FORMS = {"order": r"\d+", "file": r".+", "item": r"\d+", "cluster": r"\d+", "score": r"(-?\d+\.\d{6})?"}
"""What each column holds, as ``bench.results.sheets.to_csv`` writes it."""


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


def beside(out: Path) -> tuple[Path, Path]:
    """Where the contact sheet of a list lies, and the list of files that were skipped."""
    return out.with_suffix(".jpg"), out.with_name(f"{out.stem}.skipped.csv")


def check_replaceable(out: Path) -> None:
    """Raise ``SpecError`` where ``out`` is a file that is not exactly a list as it is written: it may hold labels."""
    try:
        with out.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, csv.Error) as error:
        raise SpecError(f"cannot replace {out}: {error}.") from error
    if lines and (change := _change(lines[0], lines[1:])):
        raise SpecError(
            f"{out} is there already, and not as it was written: {change}. It may hold your labels, so it is not "
            "replaced; give another --out, or move it away."
        )


def _change(header: list[str], entries: list[list[str]]) -> str:
    """The first thing that no list has as it is written, in words; empty where there is none."""
    if tuple(header) not in (columns("file"), columns("item")):
        return f"its columns are {', '.join(header)}"
    for number, entry in enumerate(entries, 1):
        fitting = [re.fullmatch(_FORMS[name], text, re.DOTALL) for name, text in zip(header, entry, strict=False)]
        if len(entry) != len(header) or entry[0] != str(number) or not all(fitting):
            return f"its entry {number} is {', '.join(entry)}"
    return ""
