"""The accuracy table, as text and as records for CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from bench.results.block import Block, Line
from bench.results.facts import doubtful, table_facts
from bench.results.frame import plain
from bench.results.rendering import MISSING, Field, Section, TextTable
from bench.units import percent

_SUPERVISION = {
    "none": "no labels",
    "pseudo": "pseudo-labels",
    "coreset": "labels of the coreset only",
    "labels": "labels",
}


def accuracy_table(block: Block) -> TextTable:
    """Return a block as a table: methods down, grouped by supervision, percent removed across.

    If the block has a paper's numbers, a second line below the method shows them, with ours minus theirs.
    """
    columns = ("method", *(percent(rate) for rate in block.rates), *["Avg"] * bool(len(block.averages)))
    sections = []
    # Only adjacent lines are grouped: the user's order may return to a supervision, which then gets another heading.
    for supervision, lines in groupby(block.lines, key=lambda line: line.supervision):
        entries = [entry for line in lines for entry in _entries(line, block)]
        sections.append(Section(_SUPERVISION[supervision], tuple(entries)))
    return TextTable(block.name, columns, tuple(sections), _lead(block), tuple(table_facts(block)))


def table_records(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return plain values, one record per block, method and rate; without rows n is 0 and there are no numbers.

    ``encoder`` is the block's. If ``uses_encoder`` is false, all blocks of the data set and model have the same
    numbers.
    """
    internal = ["label", "family", "paper", "best"]
    return [record for block in blocks for record in plain(block.means.drop(columns=internal))]


def _entries(line: Line, block: Block) -> list[tuple[Field, ...]]:
    means = block.means_of(line)
    fields = [Field(_accuracy(mean, block), bold=mean.best) for mean in means]
    if len(block.averages):
        average: Any = block.averages.loc[line.label] if line.label in block.averages.index else None
        text = MISSING if average is None else f"{average['mean']:.{block.digits}f}"
        fields.append(Field(text, bold=average is not None and average["best"]))
    entries = [(Field(line.label), *fields)]
    papers = [mean.paper.paper for mean in means if mean.paper]
    if papers:
        second = [Field(_reported(mean, block.digits), faint=True) for mean in means]
        # The papers report no average, and an average over the rates that we share would be something else.
        second += [Field("")] * bool(len(block.averages))
        entries.append((Field(f"reported ({papers[0]})", faint=True), *second))
    return entries


def _accuracy(mean: Any, block: Block, most: int | None = None) -> str:
    """Return the text of a line of ``Block.means``: mean, standard deviation, and n if it is not the usual one."""
    if not mean.n:
        return MISSING
    spread = "" if math.isnan(mean.std) else f" ± {mean.std:.{block.digits}f}"
    # Only if n differs from the notes' n, or every cell would repeat it.
    short = "" if mean.n == (most or len(block.seeds)) else f" (n={mean.n})"
    return f"{mean.mean:.{block.digits}f}{spread}{short}"


def _reported(mean: Any, digits: int) -> str:
    if not mean.paper:
        return ""
    doubt = "*" if doubtful(mean.paper) else ""
    return f"{mean.reported:.{digits}f}{doubt} ({signed(mean.difference, digits)})"


def signed(value: float, digits: int) -> str:
    """Return a difference with its sign; adding 0.0 turns a rounded -0.0 into 0.0."""
    # With a plus sign too, so that a difference is not read as an accuracy.
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _lead(block: Block) -> str:
    if block.full is None:
        return ""
    [mean] = block.means_of(block.full)
    text = f"full data (0 % removed): {_accuracy(mean, block, len(block.seeds) or mean.n)}"
    if mean.paper:
        text += f"; reported ({mean.paper.paper}): {_reported(mean, block.digits)}"
    return text
