"""Comparing methods: with a baseline at the same seeds, and the agreement of their coresets and scores."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import RowError, SpecError, UnknownName
from bench.grammar import respelled
from bench.identity import NO_ENCODER
from bench.results.block import Block, Line
from bench.results.frame import named
from bench.results.published import find_coreset, find_scores
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

if TYPE_CHECKING:
    import pandas as pd

PAIR = (
    *("dataset", "model", "rate", "measure", "between", "method", "encoder", "other_method", "other_encoder"),
    *("mean", "n", "chance"),
)
"""Columns of ``overlap.csv``."""
_NUMBERS = (
    *("rate", "mean", "difference", "ci_low", "ci_high", "p", "p_holm", "p_floor", "win_rate"),
    *("rank", "rank_low", "rank_high"),
)
_FILES = ("seed", "cell_id", "indices_sha256", "scores_sha256")


class Compared(NamedTuple):
    """The contests of a block, and the baseline's line in it, if it was run."""

    block: Block
    baseline: Line | None
    contests: pd.DataFrame


def find_baseline(blocks: Sequence[Block], name: str) -> list[Line | None]:
    """Return the baseline's line in each block; None for blocks without it.

    Args:
        blocks: from ``bench.results.tables.blocks``.
        name: a method, or a variant such as ``ccs(beta=0.1)`` if a block has several of the method.

    Raises:
        UnknownName: no block has it.
        SpecError: a block has several variants of it.
    """
    baselines: list[Line | None] = []
    for block in blocks:
        # The user's own names first: they may be names of other methods.
        lines = [line for line in block.all_lines if name == line.label or respelled(name) == line.variant]
        lines = lines or [line for line in block.all_lines if line.method == name]
        if len(lines) > 1:
            variants = " or ".join(repr(line.variant) for line in lines)
            raise SpecError(f"baseline {name!r} is ambiguous in the block {block.name}; give {variants}.")
        baselines.append(lines[0] if lines else None)
    if not any(baselines):
        raise UnknownName("baseline", name, {line.label for block in blocks for line in block.all_lines})
    return baselines


def compare(blocks: Sequence[Block], baseline: str) -> list[Compared]:
    """Return the contests of each block with pruned methods; see ``find_baseline`` and ``contests``.

    Raises:
        RowError: no block has a pruned line.
    """
    pruned = [block for block in blocks if block.lines]
    if not pruned:
        raise RowError("nothing to compare: all rows are of the full data set.")
    lines = find_baseline(pruned, baseline)
    return [Compared(block, line, contests(block, line)) for block, line in zip(pruned, lines, strict=True)]


def contests(block: Block, baseline: Line | None) -> pd.DataFrame:
    """Return every method's comparison with the baseline: at each rate, and over all rates if there are several.

    A baseline that is not pruned (``full``) is the same at every rate. Over all rates, a seed's value is its mean over
    the rates, for seeds that have all rates.

    Args:
        block: from ``bench.results.tables.blocks``; its metric is compared.
        baseline: one of its lines, or None.

    Returns:
        One line per rate (NaN: over all rates) and method, in the block's order. ``n`` and ``mean``: number and mean of
        the method's accuracies over seeds, in percent. ``pairs``: seeds that it shares with the baseline; 0 for the
        baseline itself. ``difference`` to ``win_rate``, ``wins`` and ``ties``: see ``PairedTest``. ``p_holm``: ``p``
        adjusted for the number of methods with a difference at this rate, including those without a p-value, since
        which have none depends on the accuracies. ``rank`` and its interval: among the methods with exactly the block's
        seeds at this rate; missing for other methods.
    """
    import pandas as pd

    # NaN stands for all rates: it is a float like the rates, and no row can have it.
    groups = [(rate, [rate]) for rate in block.rates] + [(math.nan, list(block.rates))] * (len(block.rates) > 1)
    frame = pd.DataFrame([record for rate, rates in groups for record in _records(block, baseline, rate, rates)])
    frame = frame.astype(dict.fromkeys(_NUMBERS, float))
    # Tests without spread count with p = 1; otherwise Holm would adjust for fewer tests.
    known = frame["p"].fillna(1.0)[frame["pairs"] > 0]
    adjusted = known.groupby(frame["rate"], dropna=False).transform(lambda p: pd.Series(holm(list(p)), p.index))
    return frame.assign(p_holm=adjusted.where(frame["p"].notna()))


def method_agreements(block: Block, folders: Sequence[Path], rates: Sequence[float] | None = None) -> pd.DataFrame:
    """Return how far coresets (Jaccard) and scores (Kendall's tau-b) of every two methods agree.

    A method is also compared with itself, between its seeds.

    Args:
        block: from ``bench.results.tables.blocks``.
        folders: folders of the rows; their ``indices`` and ``scores`` are read.
        rates: rates of the block; by default all.

    Returns:
        One line per rate, measure and pair of methods in the block's order, with the columns of ``overlap.csv``;
        Kendall only for methods that reported scores. ``mean``: over ``n`` pairs at the same seed, or of one method at
        two seeds; missing if no pair can be compared. ``chance``: Jaccard overlap of two random coresets of the block's
        budget. ``missing``: number of rows at the rate without an indices file.

    Raises:
        DataError: a file does not have the SHA-256 that its row names.
    """
    files, records = Files(folders), []
    for rate in block.rates if rates is None else rates:
        at_rate = block.pruned[block.pruned["rate"] == rate]
        # Every method of the block, even without a coreset, so that matrices of two rates have the same lines.
        cells_of = {line.label: block.cells_of(line, rate) for line in block.lines}
        coresets = {label: files.coresets(cells) for label, cells in cells_of.items()}
        # Methods without scores would be empty lines and columns.
        scores = {label: known for label, cells in cells_of.items() if (known := files.scores(cells))}
        chance = chance_jaccard(at_rate["budget"].max(), at_rate["pool_size"].iloc[0])
        compared: tuple[Any, ...] = (("jaccard", coresets, jaccard, chance), ("kendall", scores, files.tau, None))
        for measure, parts, compare_two, by_chance in compared:
            records += [
                {
                    **{"dataset": block.dataset, "model": block.model, "rate": rate, "measure": measure},
                    "between": "seeds" if one == other else "methods",
                    **{"method": one, "encoder": block.encoder, "other_method": other, "other_encoder": block.encoder},
                    **agreement(parts[one], None if one == other else parts[other], compare_two),
                    "chance": by_chance,
                    "missing": len(at_rate) - sum(map(len, coresets.values())),
                }
                for one, other in itertools.combinations_with_replacement(parts, 2)
            ]
    return _pairs(records)


def between_encoders(blocks: Sequence[Block], folders: Sequence[Path]) -> pd.DataFrame:
    """Return how far a method's coresets and scores agree between two encoders, for methods that use an encoder.

    Args:
        blocks: from ``bench.results.tables.blocks``.
        folders: see ``method_agreements``.

    Returns:
        One line per pair of blocks, method, rate and measure, with the columns of ``method_agreements``; none if
        neither measure has a pair.

    Raises:
        DataError: see ``method_agreements``.
    """
    files, records = Files(folders), []
    for one, other in itertools.combinations(blocks, 2):
        # Data sets of one name may have different images, whose positions cannot be compared.
        if len({(block.dataset, block.model, block.cells["fingerprint"].iloc[0]) for block in (one, other)}) > 1:
            continue
        theirs = {line.family: line for line in other.lines}
        shared = [line for line in one.lines if line.encoder != NO_ENCODER and line.family in theirs]
        for line, rate in itertools.product(shared, one.rates):
            ours, others = one.cells_of(line, rate), other.cells_of(theirs[line.family], rate)
            agreements = {
                "jaccard": agreement(files.coresets(ours), files.coresets(others), jaccard),
                "kendall": agreement(files.scores(ours), files.scores(others), files.tau),
            }
            records += [
                {
                    **{"dataset": one.dataset, "model": one.model, "rate": rate, "measure": measure},
                    **{"between": "encoders", "method": line.label, "encoder": one.encoder},
                    **{"other_method": line.label, "other_encoder": other.encoder},
                    **value,
                }
                for measure, value in agreements.items()
                if any(each["n"] for each in agreements.values())
            ]
    return _pairs(records)


def square(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the means of one rate and measure as a matrix, with the methods down and across in their order."""
    # The frame has each pair once, and the matrix both orders.
    half = pairs.pivot(index="method", columns="other_method", values="mean")
    labels = pairs["method"].unique()
    return half.combine_first(half.T).reindex(index=labels, columns=labels)


def agreement(
    one: Mapping[int, Any], other: Mapping[int, Any] | None, measure: Callable[[Any, Any], float | None]
) -> dict[str, Any]:
    """Return the mean agreement of two methods at the same seed, or of one method at every two of its seeds.

    Args:
        one: seed -> coreset or scores.
        other: the same of the other method; None to compare a method with itself.
        measure: symmetric agreement of two values; None if they cannot be compared.

    Returns:
        ``mean`` over ``n`` pairs; None if no pair can be compared.
    """
    if other is None:
        pairs = list(itertools.combinations(one.values(), 2))
    else:
        # Pairs of different seeds would also measure different data orders and proxies.
        pairs = [(one[seed], other[seed]) for seed in one.keys() & other.keys()]
    values = [value for value in itertools.starmap(measure, pairs) if value is not None]
    return {"mean": math.fsum(values) / len(values) if values else None, "n": len(values)}


class Files:
    """Coresets and scores of rows, from the files that exist.

    Args:
        folders: folders that may contain the files.

    Raises:
        DataError: a file does not have the SHA-256 that its row names.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._scores: dict[str, NDArray[np.float32] | None] = {}
        self._known: dict[frozenset[str], float | None] = {}

    def coresets(self, cells: pd.DataFrame) -> dict[int, NDArray[np.int64]]:
        """Return seed -> positions in the full training split, int64 [n], of one method's cells at one rate."""
        coresets = {cell.seed: find_coreset(cell, self._folders) for cell in named(cells[[*_FILES]])}
        return {seed: coreset for seed, coreset in coresets.items() if coreset is not None}

    def scores(self, cells: pd.DataFrame) -> dict[int, str]:
        """Return seed -> SHA-256 of the scores of one method's cells at one rate.

        Methods that rank by the same score of the same proxy share a file of scores, and so do the rates of a method.
        """
        digests = {}
        for cell in named(cells[[*_FILES]]):
            if cell.scores_sha256 not in self._scores:
                self._scores[cell.scores_sha256] = find_scores(cell, self._folders)
            digests[cell.seed] = cell.scores_sha256
        return {seed: digest for seed, digest in digests.items() if self._scores[digest] is not None}

    def tau(self, one: str, other: str) -> float | None:
        """Return Kendall's tau-b of two scores, given by their SHA-256; each pair is computed once."""
        key = frozenset((one, other))
        if key not in self._known:
            first, second = self._scores[one], self._scores[other]
            self._known[key] = None if first is None or second is None else kendall(first, second)
        return self._known[key]


class ScoredCoreset(NamedTuple):
    """A method's scores of the pool and its coreset, at one seed.

    Attributes:
        label: label of the method's line.
        row: row of the coreset, a line of ``Block.cells``.
        scores: float32 [N], high = hard.
        coreset: int64 [n], sorted positions in the full training split.
    """

    label: str
    row: Any
    scores: NDArray[np.float32]
    coreset: NDArray[np.int64]


def scored_coresets(block: Block, rate: float, folders: Sequence[Path]) -> list[ScoredCoreset]:
    """Return every method's scores and coreset at a rate, of its first seed with both files."""
    entries = []
    for line in block.lines:
        for cell in named(block.cells_of(line, rate)):
            scores, coreset = find_scores(cell, folders), find_coreset(cell, folders)
            # One seed: a histogram over several seeds would mix scores of different proxies.
            if scores is not None and coreset is not None:
                entries.append(ScoredCoreset(line.label, cell, scores, coreset))
                break
    return entries


def _pairs(records: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(records, columns=[*PAIR, "missing"]).astype({"mean": float, "chance": float})


def _records(block: Block, baseline: Line | None, rate: float, rates: list[float]) -> Iterator[dict[str, Any]]:
    """Yield one record per line of the block, at one rate or over several."""
    accuracies = block.accuracies.loc[rates]
    by_seed = accuracies.groupby("seed")
    # Means over different rates would compare the rates; ``fsum`` does not depend on their order.
    values = (by_seed.agg(math.fsum) / len(rates)).where(by_seed.count() == len(rates))
    against: dict[int, float] = {}
    if baseline is not None:
        # The full data has one rate, 0, and is the baseline at every other rate.
        column = block.accuracies.loc[0.0] if baseline is block.full else values
        against = column[baseline.label].dropna().to_dict()
    complete = block.means[block.means["rate"].isin(rates)].groupby("label")["complete"].all()
    ranked = [line.label for line in block.lines if complete[line.label]]
    ranks: dict[str, RankInterval] = {}
    if len(ranked) > 1:
        columns = [accuracies.loc[each].loc[list(block.seeds), ranked].to_numpy().T for each in rates]
        ranks = dict(zip(ranked, rank_intervals(columns, [1 / len(rates)] * len(rates)), strict=True))
    for line in block.lines:
        of_line, rank = values[line.label].dropna().to_dict(), ranks.get(line.label)
        summary = summarize(list(of_line.values()), within=PERCENT) if of_line else None
        test = None if line is baseline else paired_test(of_line, against)
        difference = test and test.difference
        yield {
            **block.identity,
            "rate": rate,
            "method": line.method,
            "variant": line.variant,
            "supervision": line.supervision,
            "metric": block.metric,
            "n": len(of_line),
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
