"""Ranks methods over many columns; a method with a hole is listed with what it misses, and not ranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.captions import METRIC, common, label_leak
from bench.errors import RowError
from bench.sheets import MISSING, Field, Section, Sheet, to_csv
from bench.stats import ranks
from bench.table_text import percent
from bench.tables import DECIMALS, NO_ENCODER, Block, Cell, Line, parameters


@dataclass(frozen=True)
class Standing:
    """One method.

    Attributes:
        label: the method's name, or its variant where a block has several of it.
        supervision: what it saw.
        variants: how it was written, over all blocks.
        mean_rank: mean over all columns of its rank among the ranked methods, 1 is best; None if it is not ranked.
        mean_accuracy: mean over the same columns, in percent.
        wins: columns in which no ranked method is better.
        seeds: number of seeds per column, ascending and distinct.
        missing: what it misses, one text per block; empty if it is ranked.
    """

    label: str
    supervision: str
    variants: tuple[str, ...]
    mean_rank: float | None
    mean_accuracy: float | None
    wins: int
    seeds: tuple[int, ...]
    missing: tuple[str, ...]


def standings(blocks: Sequence[Block]) -> list[Standing]:
    """Rank methods by their mean rank over all columns, a column being a rate of a block.

    A method is ranked if its cell is complete in every column; ranks, wins and mean accuracies are then taken among
    ranked methods over all columns, so that nobody's mean is over other columns than another's. ``full`` is not ranked.

    Args:
        blocks: from ``bench.tables.blocks``, with at least one pruned line.

    Returns:
        Ranked methods, best first, ties by mean accuracy and then by name; after them the others by name.

    Raises:
        RowError: there is no pruned line.
    """
    entries = _entries(blocks)
    if not entries:
        raise RowError("nothing to rank: all rows are of the full data set.")
    holes = {name: _missing(blocks, lines) for name, lines in entries.items()}
    accuracies = {
        name: [cell.summary.mean for line in entries[name] if line for cell in line.cells if cell.summary]
        for name in entries
        if not holes[name]
    }
    columns = [ranks(column) for column in zip(*accuracies.values(), strict=True)]
    made = []
    for name in entries:
        lines = [line for line in entries[name] if line]
        own = [float(column[list(accuracies).index(name)]) for column in columns] if name in accuracies else []
        best = [column.min() for column in columns]
        made.append(
            Standing(
                name,
                lines[0].supervision,
                tuple(sorted({line.variant for line in lines})),
                math.fsum(own) / len(own) if own else None,
                math.fsum(accuracies[name]) / len(accuracies[name]) if own else None,
                sum(rank == top for rank, top in zip(own, best, strict=False)),
                tuple(sorted({len(cell.seeds) for line in lines for cell in line.cells if cell.seeds})),
                tuple(holes[name]),
            )
        )
    return sorted(made, key=_order)


def leaderboard_sheet(blocks: Sequence[Block]) -> Sheet:
    """The leaderboard as a table; it has no dates, so that the same rows give the same bytes."""
    table = standings(blocks)
    columns = ("#", "method", "supervision", "mean rank", "wins", "mean accuracy", "seeds")
    ranked = [entry for entry in table if entry.mean_rank is not None]
    lines = [
        (
            Field(str(place)),
            Field(entry.label),
            Field(entry.supervision),
            Field(f"{entry.mean_rank:.2f}"),
            Field(str(entry.wins)),
            Field(f"{entry.mean_accuracy:.{DECIMALS}f}"),
            Field(_seeds(entry)),
        )
        for place, entry in zip(_places(ranked), ranked, strict=True)
    ]
    others = [
        (
            Field(MISSING),
            Field(entry.label),
            Field(entry.supervision),
            *[Field(MISSING)] * (len(columns) - 4),
            Field(_seeds(entry)),
        )
        for entry in table
        if entry.mean_rank is None
    ]
    sections = [Section("", tuple(lines))] * bool(lines) + [Section("not ranked", tuple(others))] * bool(others)
    return Sheet("Leaderboard", columns, tuple(sections), notes=tuple(_notes(blocks, table)), left=3)


def leaderboard_csv(blocks: Sequence[Block]) -> str:
    """One line per method; a method that is not ranked has neither rank nor mean."""
    table = standings(blocks)
    places = [*_places([entry for entry in table if entry.mean_rank is not None]), *[None] * len(table)]
    return to_csv(
        [
            {
                "rank": place,
                "method": entry.label,
                "supervision": entry.supervision,
                "variants": "; ".join(entry.variants),
                "mean_rank": entry.mean_rank,
                "wins": None if entry.mean_rank is None else entry.wins,
                "mean_accuracy": entry.mean_accuracy,
                "columns": sum(len(block.rates) for block in blocks),
                "seeds": " ".join(map(str, entry.seeds)),
                "metric": blocks[0].metric,
                "protocol": blocks[0].rows[0].protocol,
                "missing": "; ".join(entry.missing),
            }
            for place, entry in zip(places, table, strict=False)
        ]
    )


def _entries(blocks: Sequence[Block]) -> dict[str, list[Line | None]]:
    """Name -> its line in each block. Methods go by name where no block has two of one, else by variant."""
    split = {line.method for block in blocks for line in block.lines if line.label != line.method}
    found: dict[str, list[Line | None]] = {}
    for number, block in enumerate(blocks):
        for line in block.lines:
            name = line.variant if line.method in split else line.method
            found.setdefault(name, [None] * len(blocks))[number] = line
    return dict(sorted(found.items()))


def _missing(blocks: Sequence[Block], lines: Sequence[Line | None]) -> list[str]:
    texts = []
    for block, line in zip(blocks, lines, strict=True):
        cells = line.cells if line else (Cell(),) * len(block.rates)
        holes = [(rate, len(cell.seeds)) for rate, cell in zip(block.rates, cells, strict=True) if not cell.complete]
        if holes and not any(n for _, n in holes) and len(holes) == len(block.rates):
            texts.append(f"{block.name}: all")
        elif holes:
            parts = ", ".join(f"{percent(rate)} ({n} of {block.max_seeds} seeds)" for rate, n in holes)
            texts.append(f"{block.name}: {parts}")
    return texts


def _places(ranked: Sequence[Standing]) -> list[int]:
    """Equal mean ranks share a place."""
    means = [entry.mean_rank for entry in ranked]
    return [means.index(mean) + 1 for mean in means]


def _order(entry: Standing) -> tuple[bool, float, float, str]:
    return entry.mean_rank is None, entry.mean_rank or 0.0, -(entry.mean_accuracy or 0.0), entry.label


def _seeds(entry: Standing) -> str:
    return " to ".join(map(str, dict.fromkeys((entry.seeds[0], entry.seeds[-1]))))


def _notes(blocks: Sequence[Block], table: Sequence[Standing]) -> list[str]:
    ranked = [entry for entry in table if entry.mean_rank is not None]
    total = sum(len(block.rates) for block in blocks)
    where = "; ".join(f"{block.name}: {', '.join(map(percent, block.rates))}" for block in blocks if block.rates)
    columns = f"{total} column{'s' * (total > 1)}"
    if ranked:
        notes = [
            f"{METRIC[blocks[0].metric].capitalize()}. Mean rank: among the {len(ranked)} ranked methods, 1 is best, "
            f"over {columns} (data set, encoder, model, rate) that are complete for each of them. Wins: columns in "
            "which no ranked method is better. Mean accuracy: in percent, over the same columns.",
        ]
    else:
        notes = [f"No method is complete in all {columns}: none is ranked. Leave a folder out, or run what is missing."]
    notes.append(f"Columns: {where}.")
    unranked = [entry for entry in table if entry.mean_rank is None]
    notes += [f"Not ranked, misses: {entry.label}: {'; '.join(entry.missing)}." for entry in unranked]
    notes += common([row for block in blocks for row in block.rows])
    for block in blocks:
        readers = [line for line in block.lines if line.encoder != NO_ENCODER and line.supervision != "labels"]
        how = {row.encoder_supervision for row in block.rows if row.encoder != NO_ENCODER}
        notes += label_leak(block.encoder, how.pop() if how else "-", [line.label for line in readers])
    for entry in table:
        texts = [text for text in map(parameters, entry.variants) if text]
        if texts and entry.label not in entry.variants:
            notes.append(f"{entry.label}: {' or '.join(texts)}.")
    return list(dict.fromkeys(notes))
