"""The accuracy table as tables and as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from bench.results.block import Block, Line
from bench.results.facts import doubtful, table_facts
from bench.results.frame import plain
from bench.results.rendering import MISSING, Field, Section, TextTable

_SUPERVISION = {
    "none": "no labels",
    "pseudo": "pseudo-labels",
    "coreset": "labels of the coreset only",
    "labels": "labels",
}


def accuracy_table(block: Block) -> TextTable:
    """Lay a block out: methods down, grouped by supervision, percent removed across.

    The papers' number, where the block has it, and ours minus it stand on a second line below their method.
    """
    columns = ("method", *(percent(rate) for rate in block.rates), *["Avg"] * bool(len(block.averages)))
    sections = []
    # Adjacent lines only: the user's own order may come back to a supervision, and gets a heading again.
    for supervision, lines in groupby(block.lines, key=lambda line: line.supervision):
        entries = [entry for line in lines for entry in _entries(line, block)]
        sections.append(Section(_SUPERVISION[supervision], tuple(entries)))
    return TextTable(block.name, columns, tuple(sections), _lead(block), tuple(table_facts(block)))


def percent(rate: float) -> str:
    """Percent removed, as a column heading."""
    return f"{rate * 100:g} %"


def table_records(made: Iterable[Block]) -> list[dict[str, Any]]:
    """Plain values, one record per block, method and rate; where no row is, n = 0 and there are no numbers.

    ``encoder`` is the block's; where ``uses_encoder`` is false the same numbers stand in every block of the data set
    and model.
    """
    own = ["label", "family", "paper", "best"]
    return [record for block in made for record in plain(block.means.drop(columns=own))]


def _entries(line: Line, block: Block) -> list[tuple[Field, ...]]:
    means = block.means_of(line)
    fields = [Field(_accuracy(one, block), bold=one.best) for one in means]
    if len(block.averages):
        average: Any = block.averages.loc[line.label] if line.label in block.averages.index else None
        text = MISSING if average is None else f"{average['mean']:.{block.digits}f}"
        fields.append(Field(text, bold=average is not None and average["best"]))
    entries = [(Field(line.label), *fields)]
    papers = [one.paper.paper for one in means if one.paper]
    if papers:
        second = [Field(_reported(one, block.digits), faint=True) for one in means]
        # The papers report no average, and one over the rates that they share with us would be another thing.
        second += [Field("")] * bool(len(block.averages))
        entries.append((Field(f"reported ({papers[0]})", faint=True), *second))
    return entries


def _accuracy(one: Any, block: Block, most: int | None = None) -> str:
    """Return what a line of ``means`` shows."""
    if not one.n:
        return MISSING
    spread = "" if math.isnan(one.std) else f" ± {one.std:.{block.digits}f}"
    # Said only where it differs from the n of the notes, or every cell would repeat it.
    short = "" if one.n == (most or len(block.seeds)) else f" (n={one.n})"
    return f"{one.mean:.{block.digits}f}{spread}{short}"


def _reported(one: Any, digits: int) -> str:
    if not one.paper:
        return ""
    doubt = "*" if doubtful(one.paper) else ""
    return f"{one.reported:.{digits}f}{doubt} ({signed(one.difference, digits)})"


def signed(value: float, digits: int) -> str:
    """Return a difference with its sign; adding 0.0 turns a rounded -0.0 into 0.0."""
    # A plus too, so that nobody reads a difference as an accuracy.
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _lead(block: Block) -> str:
    if block.full is None:
        return ""
    [one] = block.means_of(block.full)
    text = f"full data (0 % removed): {_accuracy(one, block, len(block.seeds) or one.n)}"
    if one.paper:
        text += f"; reported ({one.paper.paper}): {_reported(one, block.digits)}"
    return text
