"""The accuracy table as sheets and as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from bench.captions import caption, doubtful
from bench.sheets import MISSING, Field, Section, Sheet, to_csv
from bench.tables import DECIMALS, NO_ENCODER, Block, Cell, Line

_SUPERVISION = {
    "none": "no labels",
    "pseudo": "pseudo-labels",
    "coreset": "labels of the coreset only",
    "labels": "labels",
}


def sheet(block: Block, *, compare: bool = False) -> Sheet:
    """Lay a block out: methods down, grouped by supervision, percent removed across.

    Args:
        block: from ``bench.tables.blocks``.
        compare: put the papers' number and ours minus it on a second line below each method that has any.
    """
    with_average = len(block.rates) > 1 and any(line.average is not None for line in block.lines)
    columns = ("method", *(percent(rate) for rate in block.rates), *["Avg"] * with_average)
    sections = []
    for supervision, lines in groupby(block.lines, key=lambda line: line.supervision):
        entries = [entry for line in lines for entry in _entries(line, block, with_average, compare)]
        sections.append(Section(_SUPERVISION[supervision], tuple(entries)))
    return Sheet(block.name, columns, tuple(sections), _lead(block, compare), tuple(caption(block, compare=compare)))


def percent(rate: float) -> str:
    """Percent removed, as a column heading."""
    return f"{rate * 100:g} %"


def table_csv(made: Iterable[Block]) -> str:
    """Long format, one line per block, method and rate; a missing cell has n = 0 and no numbers.

    ``encoder`` is the block's; where ``uses_encoder`` is 0 the same numbers stand in every block of the data set and
    model.
    """
    return to_csv(
        [
            _record(block, line, rate, cell)
            for block in made
            for line in block.all_lines
            for rate, cell in zip((0.0,) if line is block.full else block.rates, line.cells, strict=True)
        ]
    )


def _record(block: Block, line: Line, rate: float, cell: Cell) -> dict[str, object]:
    summary, found = cell.summary, cell.reported
    return {
        "dataset": block.dataset,
        "encoder": block.encoder,
        "model": block.model,
        "supervision": line.supervision,
        "method": line.method,
        "variant": line.variant,
        "uses_encoder": line.encoder != NO_ENCODER,
        "rate": f"{rate:g}",
        "pool_size": block.rows[0].pool_size,
        "metric": block.metric,
        "n": len(cell.seeds),
        "complete": cell.complete,
        "seeds": " ".join(map(str, cell.seeds)),
        "mean": summary and summary.mean,
        "std": summary and summary.std,
        "ci_low": summary and summary.ci_low,
        "ci_high": summary and summary.ci_high,
        "reported": found and found.accuracy,
        "difference": cell.difference,
        "reported_paper": found and found.citation,
        "reported_kind": found and found.kind,
        "reported_where": found and found.where,
        "reported_encoder": found and found.encoder,
        "reported_note": found and found.note,
    }


def _entries(line: Line, block: Block, with_average: bool, compare: bool) -> list[tuple[Field, ...]]:
    fields = [Field(_accuracy(cell, block.max_seeds), bold=cell.best) for cell in line.cells]
    if with_average:
        average = MISSING if line.average is None else f"{line.average:.{DECIMALS}f}"
        fields.append(Field(average, bold=line.best_average))
    entries = [(Field(line.label), *fields)]
    papers = [cell.reported.paper for cell in line.cells if cell.reported]
    if compare and papers:
        second = [Field(_reported(cell), faint=True) for cell in line.cells] + [Field("")] * with_average
        entries.append((Field(f"reported ({papers[0]})", faint=True), *second))
    return entries


def _accuracy(cell: Cell, most: int) -> str:
    if cell.summary is None:
        return MISSING
    spread = "" if cell.summary.std is None else f" ± {cell.summary.std:.{DECIMALS}f}"
    short = "" if cell.summary.n == most else f" (n={cell.summary.n})"
    return f"{cell.summary.mean:.{DECIMALS}f}{spread}{short}"


def _reported(cell: Cell) -> str:
    if cell.reported is None:
        return ""
    doubt = "*" if doubtful(cell.reported) else ""
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    difference = "" if cell.difference is None else f" ({round(cell.difference, DECIMALS) + 0.0:+.{DECIMALS}f})"
    return f"{cell.reported.accuracy:.{DECIMALS}f}{doubt}{difference}"


def _lead(block: Block, compare: bool) -> str:
    if block.full is None:
        return ""
    cell = block.full.cells[0]
    text = f"full data (0 % removed): {_accuracy(cell, block.max_seeds or len(cell.seeds))}"
    if compare and cell.reported:
        text += f"; reported ({cell.reported.paper}): {_reported(cell)}"
    return text
