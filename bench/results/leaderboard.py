"""Ranks methods over many columns; a method with a hole is listed with what it misses, and not ranked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.errors import RowError
from bench.quantities import counted
from bench.results.facts import METRIC, common, incomplete, label_leak, other_seeds
from bench.results.sheets import MISSING, Fact, Field, Section, Sheet
from bench.results.stats import RANK_INTERVAL, rank_intervals, ranks, summarize
from bench.results.table_text import percent
from bench.results.tables import Block, Line, Measured, parameters

Lines = tuple[Line | None, ...]
"""A method's line in each block; None where it was not run."""


@dataclass(frozen=True)
class Standing:
    """One method.

    Attributes:
        label: the method's name, or its variant where a block has several of it.
        supervision: what it saw.
        variants: how it was written, over all blocks.
        mean_rank: weighted mean over all columns of its rank among the ranked methods, 1 is best; None if it is not
            ranked.
        rank_low: lower end of the 95 % interval of the mean rank; None where a block has one seed.
        rank_high: upper end.
        mean_accuracy: weighted mean over the same columns, in percent.
        wins: weight of the columns in which no ranked method is better, in [0, 1].
        seeds: number of seeds per column, ascending and distinct.
        missing: what it misses, one text per block; empty if it is ranked.
    """

    label: str
    supervision: str
    variants: tuple[str, ...]
    mean_rank: float | None
    rank_low: float | None
    rank_high: float | None
    mean_accuracy: float | None
    wins: float
    seeds: tuple[int, ...]
    missing: tuple[str, ...]


def standings(blocks: Sequence[Block]) -> list[Standing]:
    """Rank methods by their mean rank over all columns, a column being a rate of a block.

    A method is ranked if it has the block's seeds in every column; ranks, wins and mean accuracies are then taken among
    ranked methods over all columns, so that nobody's mean is over other columns than another's. ``full`` is not ranked.

    Every data set with its model has the same weight, divided equally among its encoders and then among their rates:
    methods without an encoder have the same numbers in the block of every encoder, which must not count twice.

    The interval of a mean rank says how far it depends on seeds, and nothing of other data sets (``rank_intervals``).

    Args:
        blocks: from ``bench.results.tables.blocks``, with at least one pruned line.

    Returns:
        Ranked methods, best first, ties by mean accuracy and then by name; after them the others by name.

    Raises:
        RowError: there is no pruned line.
    """
    blocks = [block for block in blocks if block.lines]
    found = entrants(blocks)
    if not found:
        raise RowError("nothing to rank: all rows are of the full data set.")
    holes = {label: _missing(blocks, lines) for label, lines in found.items()}
    ranked = [label for label in found if not holes[label]]
    scores = dict(zip(ranked, _scores(blocks, [found[label] for label in ranked]), strict=True))
    made = []
    for label, lines in found.items():
        own = [line for line in lines if line]
        variants = tuple(sorted({line.variant for line in own}))
        seeds = tuple(sorted({len(one.seeds) for line in own for one in line.measured if one.seeds}))
        score = scores.get(label, (None, None, None, None, 0.0))
        made.append(Standing(label, own[0].supervision, variants, *score, seeds, tuple(holes[label])))
    return sorted(made, key=_order)


def entrants(blocks: Sequence[Block]) -> dict[str, Lines]:
    """Label -> the method's line in each block. Methods go by name where no block has two of one, else by variant.

    Variants that differ only by the rates they have a value for are one method.
    """
    counts = [Counter(line.method for line in block.lines) for block in blocks]
    split = {method for count in counts for method, lines in count.items() if lines > 1}
    found: dict[str, list[Line | None]] = {}
    for number, block in enumerate(blocks):
        for line in block.lines:
            name = line.family if line.method in split else line.method
            found.setdefault(name, [None] * len(blocks))[number] = line
    return dict(sorted((_label(lines, split), tuple(lines)) for lines in found.values()))


def _label(lines: Sequence[Line | None], split: set[str]) -> str:
    own = [line for line in lines if line]
    labels = {line.label for line in own}
    if len(labels) == 1 and not (own[0].method in split and own[0].method in labels):
        return labels.pop()  # the method's name, or the one that the user gave
    return " or ".join(sorted({line.variant for line in own}))


def column_weights(blocks: Sequence[Block]) -> list[float]:
    """Weight of each rate of each block, all of which sum to 1; see ``standings`` for the rule."""
    of_pair = Counter((block.dataset, block.model) for block in blocks)
    return [1 / (len(of_pair) * of_pair[block.dataset, block.model] * len(block.rates)) for block in blocks]


def leaderboard_sheet(blocks: Sequence[Block], table: Sequence[Standing], *, intervals: bool = True) -> Sheet:
    """The leaderboard as a table; it has no dates, so that the same rows give the same bytes.

    Args:
        blocks: what was ranked.
        table: from ``standings`` of the same blocks.
        intervals: whether to show the intervals of mean ranks.
    """
    columns = ("#", "method", "supervision", "mean rank", *["rank 95 %"] * intervals, "wins", "mean accuracy", "seeds")
    ranked = [entry for entry in table if entry.mean_rank is not None]
    places = dict(zip((entry.label for entry in ranked), _places(ranked), strict=True))

    def line(entry: Standing) -> tuple[Field, ...]:
        numbers = [MISSING] * (len(columns) - 4)
        if entry.mean_rank is not None:
            numbers = [f"{entry.mean_rank:.2f}", *[_interval(entry)] * intervals, f"{100 * entry.wins:.0f} %"]
            numbers.append(f"{entry.mean_accuracy:.{blocks[0].digits}f}")
        place = str(places.get(entry.label, MISSING))
        return tuple(map(Field, (place, entry.label, entry.supervision, *numbers, _seeds(entry))))

    groups = {"": ranked, "not ranked": [entry for entry in table if entry.mean_rank is None]}
    sections = [Section(heading, tuple(map(line, entries))) for heading, entries in groups.items() if entries]
    facts = tuple(_facts([block for block in blocks if block.lines], table, intervals))
    return Sheet("Leaderboard", columns, tuple(sections), facts=facts, left=3)


def leaderboard_records(blocks: Sequence[Block], table: Sequence[Standing]) -> list[dict[str, Any]]:
    """One record per method; a method that is not ranked has neither rank nor mean.

    Args:
        blocks: what was ranked.
        table: from ``standings`` of the same blocks.
    """
    places = [*_places([entry for entry in table if entry.mean_rank is not None]), *[None] * len(table)]
    return [
        {
            "rank": place,
            "method": entry.label,
            "supervision": entry.supervision,
            "variants": "; ".join(entry.variants),
            "mean_rank": entry.mean_rank,
            "rank_low": entry.rank_low,
            "rank_high": entry.rank_high,
            "wins": None if entry.mean_rank is None else entry.wins,
            "mean_accuracy": entry.mean_accuracy,
            "columns": sum(len(block.rates) for block in blocks),
            "seeds": list(entry.seeds),
            "metric": blocks[0].metric,
            "protocol": blocks[0].rows[0].protocol,
            "missing": "; ".join(entry.missing),
        }
        for place, entry in zip(places, table, strict=False)
    ]


Score = tuple[float | None, float | None, float | None, float | None, float]
"""Mean rank, ends of its interval, mean accuracy and wins, as in ``Standing``."""


def _scores(blocks: Sequence[Block], ranked: Sequence[Lines]) -> list[Score]:
    """What each ranked method reached."""
    if not ranked:
        return []
    shares = [share for block, share in zip(blocks, column_weights(blocks), strict=True) for _ in block.rates]
    columns = [
        [list(line.accuracies(rate, block.metric).values()) for line in column if line]
        for block, column in zip(blocks, zip(*ranked, strict=True), strict=True)
        for rate in block.rates
    ]
    means = np.array([[summarize(seeds).mean for seeds in column] for column in columns])
    best = np.array([ranks(column) == ranks(column).min() for column in means])
    intervals = all(len(block.seeds) > 1 for block in blocks)
    made: list[Score] = []
    for found, own, won in zip(rank_intervals(columns, shares), means.T, best.T, strict=True):
        ends = (found.low, found.high) if intervals else (None, None)
        made.append((found.rank, *ends, _weighted(own, shares), _weighted(won, shares)))
    return made


def _weighted(values: Iterable[float], shares: Sequence[float]) -> float:
    return math.fsum(float(value) * share for value, share in zip(values, shares, strict=True))


def _missing(blocks: Sequence[Block], lines: Lines) -> list[str]:
    texts = []
    for block, line in zip(blocks, lines, strict=True):
        measured = line.measured if line else (Measured(),) * len(block.rates)
        holes = [(rate, one.seeds) for rate, one in zip(block.rates, measured, strict=True) if not one.complete]
        if holes and not any(seeds for _, seeds in holes) and len(holes) == len(block.rates):
            texts.append(f"{block.name}: all")
        elif holes:
            parts = [
                f"{percent(rate)} ({len({*seeds} & {*block.seeds})} of {counted(len(block.seeds), 'seed')})"
                for rate, seeds in holes
            ]
            texts.append(f"{block.name}: {', '.join(parts)}")
    return texts


def _places(ranked: Sequence[Standing]) -> list[int]:
    """Equal mean ranks share a place."""
    means = [entry.mean_rank for entry in ranked]
    return [means.index(mean) + 1 for mean in means]


def _order(entry: Standing) -> tuple[bool, float, float, str]:
    return entry.mean_rank is None, entry.mean_rank or 0.0, -(entry.mean_accuracy or 0.0), entry.label


def _seeds(entry: Standing) -> str:
    return " to ".join(map(str, dict.fromkeys((entry.seeds[0], entry.seeds[-1]))))


def _interval(entry: Standing) -> str:
    return MISSING if entry.rank_low is None else f"[{entry.rank_low:.1f}, {entry.rank_high:.1f}]"


def weighing_facts(block: Block) -> list[Fact]:
    """Return how a leaderboard weighs its columns, whatever these are."""
    weight = "every data set with its model has the same, divided equally among its encoders and then among their rates"
    return [
        Fact("Accuracy", f"{METRIC[block.metric]} in percent, mean over the columns by their weight"),
        Fact("Weight", weight),
        Fact("Wins", "the weight of the columns in which no ranked method is better"),
    ]


def _facts(blocks: Sequence[Block], table: Sequence[Standing], intervals: bool) -> list[Fact]:
    ranked = [entry for entry in table if entry.mean_rank is not None]
    where = "; ".join(f"{block.name}: {', '.join(map(percent, block.rates))}" for block in blocks if block.rates)
    columns = counted(sum(len(block.rates) for block in blocks), "column")
    if ranked:
        among = (
            f"1 is best, among {counted(len(ranked), 'method')} over {columns} (data set, encoder, model, rate) in "
            "which each of them has all seeds"
        )
        facts = [*weighing_facts(blocks[0]), Fact("Mean rank", among)]
        if intervals and ranked[0].rank_low is None:
            facts.append(Fact("Rank 95 %", "none, since some column has one seed, which has no spread"))
        elif intervals:
            facts.append(Fact("Rank 95 %", f"{RANK_INTERVAL}; it says nothing of other data sets"))
    else:
        text = f"none, since no method is complete in all {columns}; leave a folder out, or run what is missing"
        facts = [Fact("Ranked", text)]
    facts.append(Fact("Columns", where))
    unranked = [entry for entry in table if entry.mean_rank is None]
    facts += [Fact(f"Not ranked: {entry.label}", f"misses {'; '.join(entry.missing)}") for entry in unranked]
    for block in blocks:
        facts += [Fact(fact.label, f"{block.name}: {fact.text}") for fact in (*incomplete(block), *other_seeds(block))]
    facts += common([row for block in blocks for row in block.rows])
    for block in blocks:
        facts += label_leak(block)
    for entry in table:
        texts = [text for text in map(parameters, entry.variants) if text]
        if texts and entry.label not in entry.variants:
            facts.append(Fact(entry.label, " or ".join(texts)))
    return list(dict.fromkeys(facts))
