"""Methods against a baseline at the same seeds, and how far their coresets and scores agree; from rows and files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import RowError, SpecError, UnknownName
from bench.identity import NO_ENCODER
from bench.results.published import find_coreset, find_scores
from bench.results.rows import Row
from bench.results.stats import (
    PERCENT,
    RankInterval,
    chance_jaccard,
    holm,
    jaccard,
    kendall,
    paired_test,
    rank_intervals,
    summarize,
)
from bench.results.tables import Block, Line

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, int]
"""Name of a method, or of an encoder, and seed."""
_NUMBERS = (
    *("rate", "mean", "difference", "ci_low", "ci_high", "p", "p_holm", "p_floor", "win_rate"),
    *("rank", "rank_low", "rank_high"),
)


class Compared(NamedTuple):
    """The contests of a block, and the baseline's line in it, where it was run."""

    block: Block
    baseline: Line | None
    contests: pd.DataFrame


class Agreement(NamedTuple):
    """Mean agreement of two methods at the same seed, or of one method at two seeds.

    Attributes:
        mean: over ``n`` pairs; None without a pair that can be compared.
        n: pairs.
    """

    mean: float | None
    n: int


@dataclass(frozen=True)
class Overlap:
    """How far the methods of a block agree at one rate.

    Attributes:
        labels: of the methods, in the block's order.
        coresets: (i, j) with i <= j -> Jaccard overlap; i = j is between seeds of one method.
        scores: the same for Kendall's tau-b, where methods reported scores.
        chance: Jaccard overlap of two random coresets of the block's budget.
        missing: rows without an indices file.
        total: rows.
    """

    labels: tuple[str, ...]
    coresets: Mapping[tuple[int, int], Agreement]
    scores: Mapping[tuple[int, int], Agreement]
    chance: float
    missing: int
    total: int


def find_baseline(blocks: Sequence[Block], name: str) -> list[Line | None]:
    """Return the baseline's line in each block; None where it was not run.

    Args:
        blocks: from ``bench.results.tables.blocks``.
        name: a method, or a variant such as ``ccs(beta=0.1)`` where a block has several of the method.

    Raises:
        UnknownName: no block has it.
        SpecError: a block has several variants of it.
    """
    baselines: list[Line | None] = []
    for block in blocks:
        lines = [line for line in block.all_lines if name in (line.label, line.variant)]
        lines = lines or [line for line in block.all_lines if line.method == name]
        if len(lines) > 1:
            variants = " or ".join(repr(line.variant) for line in lines)
            raise SpecError(f"baseline {name!r} is ambiguous in the block {block.name}; give {variants}.")
        baselines.append(lines[0] if lines else None)
    if not any(baselines):
        raise UnknownName("baseline", name, {line.label for block in blocks for line in block.all_lines})
    return baselines


def compare(blocks: Sequence[Block], baseline: str) -> list[Compared]:
    """Compare the methods of each block that has any with a baseline, as ``find_baseline`` and ``contests`` do.

    Raises:
        RowError: no block has a pruned line.
    """
    made = [block for block in blocks if block.lines]
    if not made:
        raise RowError("nothing to compare: all rows are of the full data set.")
    lines = find_baseline(made, baseline)
    return [Compared(block, line, contests(block, line)) for block, line in zip(made, lines, strict=True)]


def contests(block: Block, baseline: Line | None) -> pd.DataFrame:
    """Compare every method of a block with the baseline: at each rate, and over all rates where there are several.

    A baseline that is not pruned (``full``) is the same at every rate. Over all rates, a seed's value is its mean over
    the rates, for the seeds that have them all.

    Args:
        block: from ``bench.results.tables.blocks``; its metric is compared.
        baseline: one of its lines, or None.

    Returns:
        One line per rate (none: over all rates) and method, in the block's order. ``n`` and ``mean``: of its own
        accuracies over seeds, in percent. ``pairs``: seeds that it shares with the baseline; 0 for the baseline itself.
        ``difference`` to ``win_rate``, ``wins`` and ``ties``: see ``PairedTest``. ``p_holm``: ``p`` adjusted for the
        number of methods at this rate that have a difference, those without a p-value too, since which those are
        depends on the accuracies. ``rank`` with its interval: among the methods with the block's seeds at this rate;
        none for one that has others or lacks some.
    """
    import pandas as pd

    # NaN stands for all rates: a float like the others, and no rate that a row can have.
    groups = [(rate, [rate]) for rate in block.rates] + [(math.nan, list(block.rates))] * (len(block.rates) > 1)
    frame = pd.DataFrame([record for rate, rates in groups for record in _records(block, baseline, rate, rates)])
    frame = frame.astype(dict.fromkeys(_NUMBERS, float))
    # 1 is the p-value of no evidence: without it Holm would count fewer tests where some have no spread.
    known = frame["p"].fillna(1.0)[frame["pairs"] > 0]
    adjusted = known.groupby(frame["rate"], dropna=False).transform(lambda p: pd.Series(holm(list(p)), p.index))
    return frame.assign(p_holm=adjusted.where(frame["p"].notna()))


def overlap(block: Block, rate: float, folders: Sequence[Path]) -> Overlap:
    """Agreement of coresets and of scores at one rate of a block.

    Args:
        block: from ``bench.results.tables.blocks``.
        rate: one of its rates.
        folders: where the rows came from; their ``indices`` and ``scores`` are read.

    Raises:
        DataError: a file does not have the SHA-256 that its row names.
    """
    rows = {(line.label, row.seed): row for line in block.lines for row in line.rows_at(rate).values()}
    labels = tuple(line.label for line in block.lines)
    files = Files(rows, folders)
    with_scores = {labels.index(name) for name, _ in files.scores}
    taus = agreements(labels, files.scores, files.tau)
    budget = max((row.budget for row in rows.values()), default=0)
    return Overlap(
        labels,
        agreements(labels, files.coresets, jaccard),
        {pair: value for pair, value in taus.items() if with_scores.issuperset(pair)},
        chance_jaccard(budget, budget, block.rows[0].pool_size),
        len(rows) - len(files.coresets),
        len(rows),
    )


class EncoderOverlap(NamedTuple):
    """One method at one rate with two encoders: agreement at the same seed."""

    dataset: str
    model: str
    label: str
    rate: float
    one: str
    other: str
    coresets: Agreement
    scores: Agreement


def between_encoders(blocks: Sequence[Block], folders: Sequence[Path]) -> list[EncoderOverlap]:
    """How far a method's coresets and scores agree between two encoders, for methods that use one.

    Args:
        blocks: from ``bench.results.tables.blocks``.
        folders: see ``overlap``.

    Raises:
        DataError: see ``overlap``.
    """
    overlaps = []
    for one, other in itertools.combinations(blocks, 2):
        # One name may be of other images elsewhere, whose positions mean nothing here.
        if (one.dataset, one.model, one.rows[0].fingerprint) != (other.dataset, other.model, other.rows[0].fingerprint):
            continue
        theirs = {line.family: line for line in other.lines}
        for line in one.lines:
            if line.encoder == NO_ENCODER or line.family not in theirs:
                continue
            for rate in one.rates:
                rows = {("one", seed): row for seed, row in line.rows_at(rate).items()}
                rows |= {("other", seed): row for seed, row in theirs[line.family].rows_at(rate).items()}
                files, pair = Files(rows, folders), ("one", "other")
                overlaps.append(
                    EncoderOverlap(
                        *(one.dataset, one.model, line.label, rate, one.encoder, other.encoder),
                        agreements(pair, files.coresets, jaccard)[0, 1],
                        agreements(pair, files.scores, files.tau)[0, 1],
                    )
                )
    return [entry for entry in overlaps if entry.coresets.n or entry.scores.n]


def agreements(
    names: Sequence[str], parts: Mapping[Key, Any], measure: Callable[[Any, Any], float | None]
) -> dict[tuple[int, int], Agreement]:
    """Mean agreement of every two names at the same seed, and of each name between its seeds.

    Args:
        names: methods.
        parts: (name, seed) -> what is compared.
        measure: symmetric; None where two parts cannot be compared.

    Returns:
        (i, j) with i <= j, all of them -> agreement.
    """
    by_name = {name: {seed: part for (owner, seed), part in parts.items() if owner == name} for name in names}
    means = {}
    for i, j in itertools.combinations_with_replacement(range(len(names)), 2):
        one, other = by_name[names[i]], by_name[names[j]]
        if i == j:
            pairs = list(itertools.combinations([one[seed] for seed in sorted(one)], 2))
        else:
            pairs = [(one[seed], other[seed]) for seed in sorted(one.keys() & other.keys())]
        values = [value for value in (measure(*pair) for pair in pairs) if value is not None]
        means[i, j] = Agreement(math.fsum(values) / len(values) if values else None, len(values))
    return means


class Files:
    """Coresets and scores of some rows, as far as their files are there.

    Args:
        rows: by method, or encoder, and seed.
        folders: where the files are looked for.

    Attributes:
        coresets: positions in the full training split, int64 [n].
        scores: SHA-256 of scores. Methods that rank by the same score of the same proxy share a file of scores; so do
            the rates of one method.

    Raises:
        DataError: a file does not have the SHA-256 that its row names.
    """

    def __init__(self, rows: Mapping[Key, Row], folders: Sequence[Path]) -> None:
        stored = {key: find_coreset(row, folders) for key, row in rows.items()}
        self.coresets = {key: coreset for key, coreset in stored.items() if coreset is not None}
        unique = {row.scores_sha256: row for row in rows.values()}
        read = {digest: find_scores(row, folders) for digest, row in unique.items()}
        self._scores = {digest: scores for digest, scores in read.items() if scores is not None}
        self.scores = {key: row.scores_sha256 for key, row in rows.items() if row.scores_sha256 in self._scores}
        self._known: dict[frozenset[str], float | None] = {}

    def tau(self, one: str, other: str) -> float | None:
        """Kendall's tau-b of two scores by their SHA-256, each pair computed once."""
        key = frozenset((one, other))
        if key not in self._known:
            self._known[key] = kendall(self._scores[one], self._scores[other])
        return self._known[key]


class Scored(NamedTuple):
    """Scores of a method's pool, and the coreset that it chose by them, at one seed.

    Attributes:
        label: of the method.
        row: which coreset.
        scores: float32 [N], high = hard.
        coreset: int64 [n], sorted positions in the full training split.
    """

    label: str
    row: Row
    scores: NDArray[np.float32]
    coreset: NDArray[np.int64]


def scored(block: Block, rate: float, folders: Sequence[Path]) -> list[Scored]:
    """Return the first seed of every method at one rate whose scores and coreset are there."""
    entries = []
    for line in block.lines:
        for row in line.rows_at(rate).values():
            scores, coreset = find_scores(row, folders), find_coreset(row, folders)
            if scores is not None and coreset is not None:
                entries.append(Scored(line.label, row, scores, coreset))
                break
    return entries


def chosen(block: Block) -> list[tuple[str, float, str, dict[int, float]]]:
    """Parameters that methods chose themselves: label, rate, parameter and seed -> value."""
    choices = []
    for line, rate in itertools.product(block.lines, block.rates):
        rows = line.rows_at(rate)
        for name in sorted({name for row in rows.values() for name in row.chosen}):
            values = {seed: row.chosen[name] for seed, row in rows.items() if name in row.chosen}
            choices.append((line.label, rate, name, values))
    return choices


def _records(block: Block, baseline: Line | None, rate: float, rates: list[float]) -> Iterator[dict[str, Any]]:
    """One record per line of the block, at a rate or over several."""
    accuracies = [[line.accuracies(each, block.metric) for each in rates] for line in block.lines]
    against = {}
    if baseline is not None:
        # The full data has one rate, 0, and is the same opponent at every other.
        unpruned = baseline is block.full
        against = _mean([baseline.accuracies(0.0 if unpruned else each, block.metric) for each in rates])
    ranks = _ranks(accuracies, block.seeds)
    for number, (line, columns) in enumerate(zip(block.lines, accuracies, strict=True)):
        values, rank = _mean(columns), ranks.get(number)
        summary = summarize(list(values.values()), within=PERCENT) if values else None
        test = None if line is baseline else paired_test(values, against)
        difference = test and test.difference
        yield {
            **block.identity,
            "rate": rate,
            "method": line.method,
            "variant": line.variant,
            "supervision": line.supervision,
            "metric": block.metric,
            "n": len(values),
            "mean": summary and summary.mean,
            "baseline": baseline and baseline.variant,
            "pairs": difference.n if difference else 0,
            "difference": difference and difference.mean,
            "ci_low": difference and difference.ci_low,
            "ci_high": difference and difference.ci_high,
            "p": test and test.p,
            "p_holm": None,
            "p_floor": test and test.p_floor,
            "win_rate": test and test.win_rate,
            "rank": rank and rank.rank,
            "rank_low": rank and rank.low,
            "rank_high": rank and rank.high,
            "label": line.label,
            "wins": test.wins if test else 0,
            "ties": test.ties if test else 0,
        }


def _ranks(accuracies: list[list[dict[int, float]]], seeds: tuple[int, ...]) -> dict[int, RankInterval]:
    """Rank the methods that have the block's seeds in every column, by their number."""
    whole = [number for number, columns in enumerate(accuracies) if all(tuple(column) == seeds for column in columns)]
    if len(whole) < 2:
        return {}
    columns = [
        [list(column.values()) for column in methods]
        for methods in zip(*(accuracies[number] for number in whole), strict=True)
    ]
    return dict(zip(whole, rank_intervals(columns, [1 / len(columns)] * len(columns)), strict=True))


def _mean(columns: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Seed -> mean over the columns, for seeds that all columns have."""
    common = set.intersection(*(set(column) for column in columns))
    return {seed: math.fsum(column[seed] for column in columns) / len(columns) for seed in sorted(common)}
