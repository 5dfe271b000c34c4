"""Methods against a baseline at the same seeds, and how far their coresets and scores agree; from rows and files."""

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
    """The contests of a block, and the baseline's line in it, where it was run."""

    block: Block
    baseline: Line | None
    contests: pd.DataFrame


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
        # The user's own name first: it may be what another method is called.
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


def agreements(block: Block, folders: Sequence[Path], rates: Sequence[float] | None = None) -> pd.DataFrame:
    """Say how far coresets (Jaccard) and scores (Kendall's tau-b) agree, of every two methods and of each with itself.

    Args:
        block: from ``bench.results.tables.blocks``.
        folders: where the rows came from; their ``indices`` and ``scores`` are read.
        rates: of the block; by default all.

    Returns:
        One line per rate, measure and two methods in the block's order, with the columns of ``overlap.csv``; Kendall of
        methods that reported scores alone. ``mean``: over ``n`` pairs at the same seed, of one method between its
        seeds; none without a pair that can be compared. ``chance``: Jaccard overlap of two random coresets of the
        block's budget. Besides them ``missing``: rows of the rate without an indices file.

    Raises:
        DataError: a file does not have the SHA-256 that its row names.
    """
    files, records = Files(folders), []
    for rate in block.rates if rates is None else rates:
        there = block.pruned[block.pruned["rate"] == rate]
        # Every method of the block, with a coreset or without, or matrices of two rates could not be laid side by side.
        own = {line.label: block.cells_of(line, rate) for line in block.lines}
        coresets = {label: files.coresets(cells) for label, cells in own.items()}
        # Methods without scores would be empty lines and columns.
        scores = {label: known for label, cells in own.items() if (known := files.scores(cells))}
        chance = chance_jaccard(there["budget"].max(), there["pool_size"].iloc[0])
        compared: tuple[Any, ...] = (("jaccard", coresets, jaccard, chance), ("kendall", scores, files.tau, None))
        for measure, parts, compare_two, by_chance in compared:
            records += [
                {
                    **{"dataset": block.dataset, "model": block.model, "rate": rate, "measure": measure},
                    "between": "seeds" if one == other else "methods",
                    **{"method": one, "encoder": block.encoder, "other_method": other, "other_encoder": block.encoder},
                    **agreement(parts[one], None if one == other else parts[other], compare_two),
                    "chance": by_chance,
                    "missing": len(there) - sum(map(len, coresets.values())),
                }
                for one, other in itertools.combinations_with_replacement(parts, 2)
            ]
    return _pairs(records)


def between_encoders(blocks: Sequence[Block], folders: Sequence[Path]) -> pd.DataFrame:
    """Say how far a method's coresets and scores agree between two encoders, for methods that use one.

    Args:
        blocks: from ``bench.results.tables.blocks``.
        folders: see ``agreements``.

    Returns:
        One line per two blocks, method, rate and measure, with the columns of ``agreements``; both measures are left
        out where neither has a pair.

    Raises:
        DataError: see ``agreements``.
    """
    files, records = Files(folders), []
    for one, other in itertools.combinations(blocks, 2):
        # One name may be of other images elsewhere, whose positions mean nothing here.
        if len({(block.dataset, block.model, block.cells["fingerprint"].iloc[0]) for block in (one, other)}) > 1:
            continue
        theirs = {line.family: line for line in other.lines}
        shared = [line for line in one.lines if line.encoder != NO_ENCODER and line.family in theirs]
        for line, rate in itertools.product(shared, one.rates):
            ours, others = one.cells_of(line, rate), other.cells_of(theirs[line.family], rate)
            measured = {
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
                for measure, value in measured.items()
                if any(each["n"] for each in measured.values())
            ]
    return _pairs(records)


def square(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the means of ``agreements``, of one rate and measure, with methods down and across, in their order."""
    # Pairs are there once; a matrix is read from either side.
    half = pairs.pivot(index="method", columns="other_method", values="mean")
    labels = pairs["method"].unique()
    return half.combine_first(half.T).reindex(index=labels, columns=labels)


def agreement(
    one: Mapping[int, Any], other: Mapping[int, Any] | None, measure: Callable[[Any, Any], float | None]
) -> dict[str, Any]:
    """Average how far two methods agree at the same seed, or one method at every two of its seeds.

    Args:
        one: seed -> what is compared.
        other: likewise; None for one method by itself.
        measure: symmetric; None where two parts cannot be compared.

    Returns:
        ``mean`` over ``n`` pairs; None without a pair that can be compared.
    """
    if other is None:
        pairs = list(itertools.combinations(one.values(), 2))
    else:
        # Other seeds are other data orders and proxies, so pairs across them would measure those.
        pairs = [(one[seed], other[seed]) for seed in one.keys() & other.keys()]
    values = [value for value in itertools.starmap(measure, pairs) if value is not None]
    return {"mean": math.fsum(values) / len(values) if values else None, "n": len(values)}


class Files:
    """Coresets and scores of rows, as far as their files are there.

    Args:
        folders: where the files are looked for.

    Raises:
        DataError: a file does not have the SHA-256 that its row names.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._scores: dict[str, NDArray[np.float32] | None] = {}
        self._known: dict[frozenset[str], float | None] = {}

    def coresets(self, cells: pd.DataFrame) -> dict[int, NDArray[np.int64]]:
        """Return seed -> positions in the full training split, int64 [n], of one method's cells at one rate."""
        found = {cell.seed: find_coreset(cell, self._folders) for cell in named(cells[[*_FILES]])}
        return {seed: coreset for seed, coreset in found.items() if coreset is not None}

    def scores(self, cells: pd.DataFrame) -> dict[int, str]:
        """Return seed -> SHA-256 of scores, of one method's cells at one rate.

        Methods that rank by the same score of the same proxy share a file of scores; so do the rates of one method.
        """
        digests = {}
        for cell in named(cells[[*_FILES]]):
            if cell.scores_sha256 not in self._scores:
                self._scores[cell.scores_sha256] = find_scores(cell, self._folders)
            digests[cell.seed] = cell.scores_sha256
        return {seed: digest for seed, digest in digests.items() if self._scores[digest] is not None}

    def tau(self, one: str, other: str) -> float | None:
        """Kendall's tau-b of two scores by their SHA-256, each pair computed once."""
        key = frozenset((one, other))
        if key not in self._known:
            first, second = self._scores[one], self._scores[other]
            self._known[key] = None if first is None or second is None else kendall(first, second)
        return self._known[key]


class Scored(NamedTuple):
    """Scores of a method's pool, and the coreset that it chose by them, at one seed.

    Attributes:
        label: of the method.
        row: which coreset, a line of ``Block.cells``.
        scores: float32 [N], high = hard.
        coreset: int64 [n], sorted positions in the full training split.
    """

    label: str
    row: Any
    scores: NDArray[np.float32]
    coreset: NDArray[np.int64]


def scored(block: Block, rate: float, folders: Sequence[Path]) -> list[Scored]:
    """Return the first seed of every method at one rate whose scores and coreset are there."""
    entries = []
    for line in block.lines:
        for cell in named(block.cells_of(line, rate)):
            scores, coreset = find_scores(cell, folders), find_coreset(cell, folders)
            # One seed: a histogram over several would mix scores of several proxies.
            if scores is not None and coreset is not None:
                entries.append(Scored(line.label, cell, scores, coreset))
                break
    return entries


def _pairs(records: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(records, columns=[*PAIR, "missing"]).astype({"mean": float, "chance": float})


def _records(block: Block, baseline: Line | None, rate: float, rates: list[float]) -> Iterator[dict[str, Any]]:
    """One record per line of the block, at a rate or over several."""
    here = block.accuracies.loc[rates]
    by_seed = here.groupby("seed")
    # A mean of fewer rates than the others' would compare the rates; ``fsum`` leaves no trace of their order.
    values = (by_seed.agg(math.fsum) / len(rates)).where(by_seed.count() == len(rates))
    against: dict[int, float] = {}
    if baseline is not None:
        # The full data has one rate, 0, and is the same opponent at every other.
        column = block.accuracies.loc[0.0] if baseline is block.full else values
        against = column[baseline.label].dropna().to_dict()
    complete = block.means[block.means["rate"].isin(rates)].groupby("label")["complete"].all()
    whole = [line.label for line in block.lines if complete[line.label]]
    ranks: dict[str, RankInterval] = {}
    if len(whole) > 1:
        columns = [here.loc[each].loc[list(block.seeds), whole].to_numpy().T for each in rates]
        ranks = dict(zip(whole, rank_intervals(columns, [1 / len(rates)] * len(rates)), strict=True))
    for line in block.lines:
        own, rank = values[line.label].dropna().to_dict(), ranks.get(line.label)
        summary = summarize(list(own.values()), within=PERCENT) if own else None
        test = None if line is baseline else paired_test(own, against)
        difference = test and test.difference
        yield {
            **block.identity,
            "rate": rate,
            "method": line.method,
            "variant": line.variant,
            "supervision": line.supervision,
            "metric": block.metric,
            "n": len(own),
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
