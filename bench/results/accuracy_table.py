"""The accuracy table as tables and as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from bench.identity import NO_ENCODER
from bench.results.facts import doubtful, table_facts
from bench.results.rendering import MISSING, Field, Section, TextTable
from bench.results.tables import Block, Line, Measured

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
    columns = ("method", *(percent(rate) for rate in block.rates), *["Avg"] * block.averages)
    sections = []
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
    return [
        _record(block, line, rate, one)
        for block in made
        for line in block.all_lines
        for rate, one in zip((0.0,) if line is block.full else block.rates, line.measured, strict=True)
    ]


def _record(block: Block, line: Line, rate: float, one: Measured) -> dict[str, Any]:
    summary, number = one.summary, one.reported
    return {
        **block.identity,
        "supervision": line.supervision,
        "method": line.method,
        "variant": line.variant,
        "uses_encoder": line.encoder != NO_ENCODER,
        "rate": rate,
        "pool_size": block.rows[0].pool_size,
        "metric": block.metric,
        "n": len(one.seeds),
        "complete": one.complete,
        "seeds": list(one.seeds),
        "mean": summary and summary.mean,
        "std": summary and summary.std,
        "ci_low": summary and summary.ci_low,
        "ci_high": summary and summary.ci_high,
        "reported": number and number.accuracy,
        "difference": one.difference,
        "reported_paper": number and number.citation,
        "reported_kind": number and number.kind,
        "reported_where": number and number.where,
        "reported_encoder": number and number.encoder,
        "reported_note": number and number.note,
    }


def _entries(line: Line, block: Block) -> list[tuple[Field, ...]]:
    fields = [Field(_accuracy(one, block), bold=one.best) for one in line.measured]
    if block.averages:
        average = MISSING if line.average is None else f"{line.average:.{block.digits}f}"
        fields.append(Field(average, bold=line.best_average))
    entries = [(Field(line.label), *fields)]
    papers = [one.reported.paper for one in line.measured if one.reported]
    if papers:
        second = [Field(_reported(one, block.digits), faint=True) for one in line.measured] + [
            Field("")
        ] * block.averages
        entries.append((Field(f"reported ({papers[0]})", faint=True), *second))
    return entries


def _accuracy(one: Measured, block: Block, most: int | None = None) -> str:
    if one.summary is None:
        return MISSING
    spread = "" if one.summary.std is None else f" ± {one.summary.std:.{block.digits}f}"
    # Said only where it differs from the n of the notes, or every cell would repeat it.
    short = "" if one.summary.n == (most or len(block.seeds)) else f" (n={one.summary.n})"
    return f"{one.summary.mean:.{block.digits}f}{spread}{short}"


def _reported(one: Measured, digits: int) -> str:
    if one.reported is None:
        return ""
    doubt = "*" if doubtful(one.reported) else ""
    difference = "" if one.difference is None else f" ({signed(one.difference, digits)})"
    return f"{one.reported.accuracy:.{digits}f}{doubt}{difference}"


def signed(value: float, digits: int) -> str:
    """Return a difference with its sign; adding 0.0 turns a rounded -0.0 into 0.0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _lead(block: Block) -> str:
    if block.full is None:
        return ""
    one = block.full.measured[0]
    text = f"full data (0 % removed): {_accuracy(one, block, len(block.seeds or one.seeds))}"
    if one.reported:
        text += f"; reported ({one.reported.paper}): {_reported(one, block.digits)}"
    return text
